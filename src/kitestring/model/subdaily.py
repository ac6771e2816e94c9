"""Polar motion and UT1 within a day: ocean tides and libration.

IERS tables of Earth orientation hold what is slower than two days; diurnal and
semidiurnal terms have to be added at the epoch itself (IERS TN36 sections 5.5.1,
5.5.3 and 8.2). They move a station by up to 2 cm.
"""

from __future__ import annotations

from typing import Literal

import erfa
import numpy as np
from numpy.typing import NDArray

from kitestring.model._blocks import BlockSpline
from kitestring.model.displacement import DOODSON_SPEEDS, doodson_arguments
from kitestring.model.time import Epoch

Floats = NDArray[np.float64]

Subdaily = Literal["ocean_tides", "libration"]
SUBDAILY: tuple[Subdaily, ...] = ("ocean_tides", "libration")

_MICROARCSECOND = 1e-6 * erfa.DAS2R
_MICROSECOND = 1e-6

# The tidal potential (Cartwright, Tayler & Edden) of the lines that count: multiples of tau, s,
# h, p, N', ps, and its height in mm; the list of the IERS' ORTHO_EOP (TN36 section 8.2)
_POTENTIAL = np.array(
    [
        (1, -4, 2, 1, 0, 0, -1.94),
        (1, -3, 0, 2, -1, 0, -1.25),
        (1, -3, 0, 2, 0, 0, -6.64),
        (1, -3, 2, 0, -1, 0, -1.51),
        (1, -3, 2, 0, 0, 0, -8.02),
        (1, -2, 0, 1, -1, 0, -9.47),
        (1, -2, 0, 1, 0, 0, -50.2),
        (1, -2, 2, -1, -1, 0, -1.8),
        (1, -2, 2, -1, 0, 0, -9.54),
        (1, -1, 0, 0, -2, 0, 1.52),
        (1, -1, 0, 0, -1, 0, -49.45),
        (1, -1, 0, 0, 0, 0, -262.21),
        (1, -1, 0, 2, 0, 0, 1.7),
        (1, -1, 2, 0, 0, 0, 3.43),
        (1, 0, -2, 1, 0, 0, 1.94),
        (1, 0, 0, -1, -1, 0, 1.37),
        (1, 0, 0, -1, 0, 0, 7.41),
        (1, 0, 0, 1, 0, 0, 20.62),
        (1, 0, 0, 1, 1, 0, 4.14),
        (1, 0, 2, -1, 0, 0, 3.94),
        (1, 1, -3, 0, 0, 1, -7.14),
        (1, 1, -2, 0, -1, 0, 1.37),
        (1, 1, -2, 0, 0, 0, -122.03),
        (1, 1, -1, 0, 0, -1, 1.02),
        (1, 1, -1, 0, 0, 1, 2.89),
        (1, 1, 0, 0, -1, 0, -7.3),
        (1, 1, 0, 0, 0, 0, 368.78),
        (1, 1, 0, 0, 1, 0, 50.01),
        (1, 1, 0, 0, 2, 0, -1.08),
        (1, 1, 1, 0, 0, -1, 2.93),
        (1, 1, 2, 0, 0, 0, 5.25),
        (1, 2, -2, 1, 0, 0, 3.95),
        (1, 2, 0, -1, 0, 0, 20.62),
        (1, 2, 0, -1, 1, 0, 4.09),
        (1, 3, -2, 0, 0, 0, 3.42),
        (1, 3, 0, -2, 0, 0, 1.69),
        (1, 3, 0, 0, 0, 0, 11.29),
        (1, 3, 0, 0, 1, 0, 7.23),
        (1, 3, 0, 0, 2, 0, 1.51),
        (1, 4, 0, -1, 0, 0, 2.16),
        (1, 4, 0, -1, 1, 0, 1.38),
        (2, -3, 0, 3, 0, 0, 1.8),
        (2, -3, 2, 1, 0, 0, 4.67),
        (2, -2, 0, 2, 0, 0, 16.01),
        (2, -2, 2, 0, 0, 0, 19.32),
        (2, -2, 3, 0, 0, -1, 1.3),
        (2, -1, -1, 1, 0, 1, -1.02),
        (2, -1, 0, 1, -1, 0, -4.51),
        (2, -1, 0, 1, 0, 0, 120.99),
        (2, -1, 1, 1, 0, -1, 1.13),
        (2, -1, 2, -1, 0, 0, 22.98),
        (2, -1, 3, -1, 0, -1, 1.06),
        (2, 0, -2, 2, 0, 0, -1.9),
        (2, 0, -1, 0, 0, 1, -2.18),
        (2, 0, 0, 0, -1, 0, -23.58),
        (2, 0, 0, 0, 0, 0, 631.92),
        (2, 0, 1, 0, 0, -1, 1.92),
        (2, 1, -2, 1, 0, 0, -4.66),
        (2, 1, 0, -1, 0, 0, -17.86),
        (2, 1, 0, 1, 0, 0, 4.47),
        (2, 1, 0, 1, 1, 0, 1.97),
        (2, 2, -3, 0, 0, 1, 17.2),
        (2, 2, -2, 0, 0, 0, 294.0),
        (2, 2, -1, 0, 0, -1, -2.46),
        (2, 2, 0, 0, -1, 0, -1.02),
        (2, 2, 0, 0, 0, 0, 79.96),
        (2, 2, 0, 0, 1, 0, 23.83),
        (2, 2, 0, 0, 2, 0, 2.59),
        (2, 3, 0, -1, 0, 0, 4.47),
        (2, 3, 0, -1, 1, 0, 1.95),
        (2, 4, 0, 0, 0, 0, 1.17),
    ]
)

# Orthotide weights and orthoweights of the same model (Ray, Steinberg, Chao & Cartwright 1994),
# for the diurnal, then the semidiurnal band; rows of the latter are x, y (microarcseconds)
# and UT1 (microseconds), columns alternate between the potential's two parts
_ORTHOTIDES = np.array(
    [
        (0.0298, 0.1408, 0.0805, 0.6002, 0.3025, 0.1517),
        (0.0200, 0.0905, 0.0638, 0.3476, 0.1645, 0.0923),
    ]
)
_ORTHOWEIGHTS = np.array(
    [
        (
            (-6.77832, -14.86323, 0.47884, -1.45303, 0.16406, 0.42030),
            (14.86283, -6.77846, 1.45234, 0.47888, -0.42056, 0.16469),
            (-1.76335, 1.03364, -0.27553, 0.34569, -0.12343, -0.10146),
        ),
        (
            (0.09398, 25.73054, -4.77974, 0.28080, 1.94539, -0.73089),
            (15.30276, -4.30615, 0.07564, 2.28321, -0.45717, -1.62010),
            (-0.47119, 1.28997, -0.19336, 0.02724, 0.08955, 0.04726),
        ),
    ]
)
_LAG = 2.0  # days between the potential's values that an orthotide combines

# TN36 table 5.1a, diurnal rows: multiples of theta + pi, l, l', F, D, Omega, then
# sine and cosine of x and sine and cosine of y, microarcseconds
_POLAR_LIBRATION = np.array(
    [
        (1, -1, 0, -2, 0, -1, -0.4, 0.3, -0.3, -0.4),
        (1, -1, 0, -2, 0, -2, -2.3, 1.3, -1.3, -2.3),
        (1, 1, 0, -2, -2, -2, -0.4, 0.3, -0.3, -0.4),
        (1, 0, 0, -2, 0, -1, -2.1, 1.2, -1.2, -2.1),
        (1, 0, 0, -2, 0, -2, -11.4, 6.5, -6.5, -11.4),
        (1, -1, 0, 0, 0, 0, 0.8, -0.5, 0.5, 0.8),
        (1, 0, 0, -2, 2, -2, -4.8, 2.7, -2.7, -4.8),
        (1, 0, 0, 0, 0, 0, 14.3, -8.2, 8.2, 14.3),
        (1, 0, 0, 0, 0, -1, 1.9, -1.1, 1.1, 1.9),
        (1, 1, 0, 0, 0, 0, 0.8, -0.4, 0.4, 0.8),
    ]
)

# TN36 table 5.1b: multiples as above, then sine and cosine of UT1, microseconds
_AXIAL_LIBRATION = np.array(
    [
        (2, -2, 0, -2, 0, -2, 0.05, -0.03),
        (2, 0, 0, -2, -2, -2, 0.06, -0.03),
        (2, -1, 0, -2, 0, -2, 0.35, -0.20),
        (2, 1, 0, -2, -2, -2, 0.07, -0.04),
        (2, 0, 0, -2, 0, -1, -0.07, 0.04),
        (2, 0, 0, -2, 0, -2, 1.75, -1.01),
        (2, 1, 0, -2, 0, -2, -0.05, 0.03),
        (2, 0, -1, -2, 2, -2, 0.04, -0.03),
        (2, 0, 0, -2, 2, -2, 0.76, -0.44),
        (2, 0, 0, 0, 0, 0, 0.21, -0.12),
        (2, 0, 0, 0, 0, -1, 0.06, -0.04),
    ]
)

# 0.25 h: of a semidiurnal wave of 1 mas a spline leaves 1e-9 mas
_NODES_PER_DAY = 96


def ocean_tides(epoch: Epoch) -> Floats:
    """Return polar motion and UT1 by diurnal and semidiurnal ocean tides (TN36 section 8.2).

    The model of Ray et al. (1994) in orthotides, as in the IERS' routine
    ORTHO_EOP, evaluated line by line: an orthotide is a combination of the
    potential now and two days to either side, which for one line is a factor.

    Parameters
    ----------
    epoch : Epoch, shape (...)
        Any scale. UT1 is known to a second here.

    Returns
    -------
    ndarray, shape (..., 3)
        xp, yp (rad) and UT1 (s), to be added to the values of a daily table.

    Examples
    --------
    >>> x, y, _ = ocean_tides(Epoch.from_mjd(47100.0)) * 648000e6 / np.pi
    >>> abs(x + 162.84) < 0.3, abs(y - 117.79) < 0.3  # microarcseconds, of ORTHO_EOP
    (np.True_, np.True_)
    """
    tau, slow = doodson_arguments(epoch)
    phase = tau[..., None] * _POTENTIAL[:, 0] + slow @ _POTENTIAL[:, 1:6].T
    return np.asarray((np.exp(1j * phase) @ _OCEAN_AMPLITUDES).real)


def _ocean_amplitudes() -> NDArray[np.complex128]:
    """Return complex amplitudes of x, y and UT1 of each line, shape (line, 3), rad and s."""
    band = _POTENTIAL[:, 0].astype(int) - 1
    turn = _LAG * (_POTENTIAL[:, :6] @ DOODSON_SPEEDS)
    s1, s2, s3, s4, s5, s6 = _ORTHOTIDES[band].T
    weights = np.stack(
        [
            s1,
            s2 - 2.0 * s3 * np.cos(turn),
            s4 - 2.0 * s5 * np.cos(turn) + 2.0 * s6 * np.sin(turn),
        ],
        axis=-1,
    )
    # the potential's parts are h cos(alpha) and -h sin(alpha): a cosine's and i times it
    rows = _ORTHOWEIGHTS[band]
    response = rows[..., 0::2] + 1j * rows[..., 1::2]
    # alpha lags the line's argument by a quarter where degree and order are of unlike parity
    quarter = np.where(band == 0, -1j, 1.0)
    height = _POTENTIAL[:, 6] * quarter
    units = np.array([_MICROARCSECOND, _MICROARCSECOND, _MICROSECOND])
    return np.asarray(units * height[:, None] * np.einsum("nk,nck->nc", weights, response))


_OCEAN_AMPLITUDES = _ocean_amplitudes()


def libration(epoch: Epoch) -> Floats:
    """Return diurnal polar motion and semidiurnal UT1 by the triaxiality of the Earth.

    TN36 tables 5.1a (rows of a day; slower ones are in the tables of Earth
    orientation) and 5.1b, as in the IERS' routines PMSDNUT2 and UTLIBR.

    Parameters
    ----------
    epoch : Epoch, shape (...)
        Any scale. UT1 is known to a second here.

    Returns
    -------
    ndarray, shape (..., 3)
        xp, yp (rad) and UT1 (s), to be added to the values of a daily table.
    """
    tt = epoch.to("tt")
    t = tt.centuries()
    tau, slow = doodson_arguments(tt)
    fundamental = [erfa.fal03(t), erfa.falp03(t), erfa.faf03(t), erfa.fad03(t), erfa.faom03(t)]
    arguments = np.stack(np.broadcast_arrays(tau + slow[..., 0], *fundamental), axis=-1)
    polar = arguments @ _POLAR_LIBRATION[:, :6].T
    axial = arguments @ _AXIAL_LIBRATION[:, :6].T
    pole = np.sin(polar) @ _POLAR_LIBRATION[:, [6, 8]] + np.cos(polar) @ _POLAR_LIBRATION[:, [7, 9]]
    ut1 = np.sin(axial) @ _AXIAL_LIBRATION[:, 6:7] + np.cos(axial) @ _AXIAL_LIBRATION[:, 7:8]
    return np.concatenate([pole * _MICROARCSECOND, ut1 * _MICROSECOND], axis=-1)


_SPLINES = {
    "ocean_tides": BlockSpline(ocean_tides, _NODES_PER_DAY),
    "libration": BlockSpline(libration, _NODES_PER_DAY),
}


def subdaily(effect: str, epoch: Epoch) -> Floats:
    """Return what `ocean_tides` or `libration` does, splined where there are many epochs.

    Parameters
    ----------
    effect : {"ocean_tides", "libration"}
        Which.
    epoch : Epoch, shape (...)
        Any scale.

    Returns
    -------
    ndarray, shape (..., 3)
        xp, yp (rad) and UT1 (s), to be added to the values of a daily table.
    """
    return _SPLINES[effect].at(epoch)
