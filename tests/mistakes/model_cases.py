"""TODO model."""

from __future__ import annotations

from mistake_cases import Case

CASES: list[Case] = []
