"""Puzzles of reasoning-gym, with its own verifiers."""
