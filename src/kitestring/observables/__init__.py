"""Typed, weighted and flagged measurements."""
