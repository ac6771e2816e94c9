"""Kitestring finds where a spacecraft is from the voltages of radio telescopes.

The names in `__all__` are what most users need. Each is loaded on its first
use: importing the package costs nothing that a script does not use.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# name -> (module, name there); `__init__.pyi` tells type checkers the same
_EXPORTS = {
    "EarthModel": ("kitestring.model.earth", "EarthModel"),
    "Ephemeris": ("kitestring.model.ephemeris", "Ephemeris"),
    "Epoch": ("kitestring.model.time", "Epoch"),
    "ForceModel": ("kitestring.dynamics.types", "ForceModel"),
    "KitestringError": ("kitestring.errors", "KitestringError"),
    "Observables": ("kitestring.observables.types", "Observables"),
    "OrbitState": ("kitestring.dynamics.types", "OrbitState"),
    "Predictor": ("kitestring.model.predict", "Predictor"),
    # under another name: `kitestring.correlate` is the package
    "correlate_scan": ("kitestring.correlate.engine", "correlate"),
    "delta_dor": ("kitestring.calibrate.reference", "delta_dor"),
    "describe": ("kitestring.recordings.describe", "describe"),
    "extract_tones": ("kitestring.tones.extract", "extract_tones"),
    "find_sources": ("kitestring.products.catalogues", "find_sources"),
    "find_stations": ("kitestring.products.catalogues", "find_stations"),
    "fit_tones": ("kitestring.fringe.tones", "fit_tones"),
    "fit_visibilities": ("kitestring.fringe.fit", "fit_visibilities"),
    "get_source": ("kitestring.model.sources", "get_source"),
    "get_station": ("kitestring.model.stations", "get_station"),
    "open_recording": ("kitestring.recordings.open", "open_recording"),
    "phase_cal": ("kitestring.tones.phasecal", "phase_cal"),
    "propagate": ("kitestring.dynamics.propagate", "propagate"),
    "read_session": ("kitestring.session.file", "read_session"),
    "run_session": ("kitestring.session.run", "run_session"),
    "session_status": ("kitestring.session.run", "session_status"),
    "simulate_session": ("kitestring.session.simulation", "simulate_session"),
}

__all__ = ["__version__", *_EXPORTS]


def __getattr__(name: str) -> Any:
    """Load a public name on its first use (PEP 562)."""
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, original = _EXPORTS[name]
    value = getattr(import_module(module), original)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
