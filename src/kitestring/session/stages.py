"""All stages of a session, in the order in which they are run."""

from __future__ import annotations

from kitestring.session.orbit_stages import ORBIT_STAGES
from kitestring.session.report_stage import REPORT_STAGE
from kitestring.session.signal_stages import SIGNAL_STAGES

STAGES = (*SIGNAL_STAGES, *ORBIT_STAGES, REPORT_STAGE)
