"""Comparisons: which runs they make, and what they make of their scores."""

from .intervals import interval

__all__ = ["interval"]
