"""Delay and rate from visibilities and tones."""
