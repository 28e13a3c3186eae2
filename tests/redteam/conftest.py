"""Makes the fixture with the planted secrets known to this folder."""

from planted_secrets import planted

__all__ = ["planted"]
