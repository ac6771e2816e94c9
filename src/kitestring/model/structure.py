"""What an antenna is built of, as far as warmth moves it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

import numpy as np

from kitestring.errors import ConfigurationError

Focus = Literal["primary", "secondary"]
FOCI: tuple[Focus, ...] = ("primary", "secondary")

_LONGEST = 200.0  # m: no part of an antenna is longer
_SOFTEST = 1e-4  # 1/K: no building material expands more


@dataclass(frozen=True)
class Structure:
    """Dimensions of an antenna, and how they expand (Nothnagel 2009, fig. 1).

    Attributes
    ----------
    reference_temperature : float
        At which the antenna is as it was surveyed, K.
    foundation : float
        Height of the concrete above the ground, m.
    fixed_axis : float
        From the top of the concrete to the moving axis along the fixed one, m.
    vertex : float
        From the moving axis to the vertex of the dish, m.
    focus_height : float
        From the vertex to the subreflector, or to the primary focus, m.
    focus : {"primary", "secondary"}
        Where the feed sits.
    foundation_expansion, fixed_axis_expansion, offset_expansion, vertex_expansion, \
    focus_expansion : float
        Coefficients of these parts and of the axis offset, 1/K: concrete 1.0e-5,
        steel 1.2e-5, where nothing else is known.
    radome : bool
        Whether the antenna stands in one: then the air inside counts.

    Raises
    ------
    ConfigurationError
        For figures that no antenna has.
    """

    reference_temperature: float
    foundation: float
    fixed_axis: float
    vertex: float
    focus_height: float
    focus: Focus = "secondary"
    foundation_expansion: float = 1.0e-5
    fixed_axis_expansion: float = 1.2e-5
    offset_expansion: float = 1.2e-5
    vertex_expansion: float = 1.2e-5
    focus_expansion: float = 1.2e-5
    radome: bool = False

    def __post_init__(self) -> None:
        if self.focus not in FOCI:
            raise ConfigurationError(
                f"{self.focus!r} is not a focus.", next_step=f"Use one of {FOCI}."
            )
        for item in fields(self):
            if item.name in ("focus", "radome"):
                continue
            value = getattr(self, item.name)
            low, high, unit = 0.0, _LONGEST, "m"
            if item.name.endswith("_expansion"):
                high, unit = _SOFTEST, "1/K (steel: 1.2e-5)"
            elif item.name == "reference_temperature":
                low, high, unit = 180.0, 340.0, "K"
            if not (np.isfinite(value) and low <= value <= high):
                raise ConfigurationError(
                    f"{item.name} of {value:g} is not that of an antenna, {low:g} to {high:g}.",
                    next_step=f"Give it in {unit}.",
                )
