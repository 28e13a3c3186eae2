"""Running what a model wrote: safely, fast, and without being fooled."""

from .judge import Judge
from .session import Cell, Session, SessionError
from .supervised import SessionLimits
from .verdicts import Limits, SandboxUnavailable, Status, TestResult, Verdict

__all__ = [
    "Cell",
    "Judge",
    "Limits",
    "SandboxUnavailable",
    "Session",
    "SessionError",
    "SessionLimits",
    "Status",
    "TestResult",
    "Verdict",
]
