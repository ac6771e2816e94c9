"""Correlation: delay tracking and the FX engine."""
