"""Answers about credits and adjustments."""
