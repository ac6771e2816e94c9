"""Carrier, DOR and phase-cal tones."""
