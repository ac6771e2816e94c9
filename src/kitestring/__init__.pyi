from kitestring.calibrate.reference import delta_dor as delta_dor
from kitestring.correlate.engine import correlate as correlate_scan
from kitestring.dynamics.propagate import propagate as propagate
from kitestring.dynamics.types import ForceModel as ForceModel
from kitestring.dynamics.types import OrbitState as OrbitState
from kitestring.errors import KitestringError as KitestringError
from kitestring.fringe.fit import fit_visibilities as fit_visibilities
from kitestring.fringe.tones import fit_tones as fit_tones
from kitestring.model.earth import EarthModel as EarthModel
from kitestring.model.ephemeris import Ephemeris as Ephemeris
from kitestring.model.predict import Predictor as Predictor
from kitestring.model.sources import get_source as get_source
from kitestring.model.stations import get_station as get_station
from kitestring.model.time import Epoch as Epoch
from kitestring.observables.types import Observables as Observables
from kitestring.products.catalogues import find_sources as find_sources
from kitestring.products.catalogues import find_stations as find_stations
from kitestring.recordings.describe import describe as describe
from kitestring.recordings.open import open_recording as open_recording
from kitestring.session.file import read_session as read_session
from kitestring.session.run import run_session as run_session
from kitestring.session.run import session_status as session_status
from kitestring.session.simulation import simulate_session as simulate_session
from kitestring.tones.extract import extract_tones as extract_tones
from kitestring.tones.phasecal import phase_cal as phase_cal

__version__: str
__all__ = [
    "EarthModel",
    "Ephemeris",
    "Epoch",
    "ForceModel",
    "KitestringError",
    "Observables",
    "OrbitState",
    "Predictor",
    "__version__",
    "correlate_scan",
    "delta_dor",
    "describe",
    "extract_tones",
    "find_sources",
    "find_stations",
    "fit_tones",
    "fit_visibilities",
    "get_source",
    "get_station",
    "open_recording",
    "phase_cal",
    "propagate",
    "read_session",
    "run_session",
    "session_status",
    "simulate_session",
]
