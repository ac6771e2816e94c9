"""Corrections: clocks, instrument, media and quasar referencing."""
