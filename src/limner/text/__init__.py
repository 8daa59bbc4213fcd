"""Captions as tokens."""
