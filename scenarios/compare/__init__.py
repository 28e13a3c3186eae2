"""Comparisons: which runs they make, and what they make of their scores."""
