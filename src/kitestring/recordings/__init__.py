"""Voltages: describe, open and write recordings."""
