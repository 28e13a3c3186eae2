"""Running what a model wrote: safely, fast, and without being fooled."""

from .expected import AnyOrder, Raises
from .judge import Judge
from .session import Cell, Session, SessionError
from .supervised import SessionLimits
from .verdicts import Limits, SandboxUnavailable, Status, TestResult, Verdict

__all__ = [
    "AnyOrder",
    "Cell",
    "Judge",
    "Limits",
    "Raises",
    "SandboxUnavailable",
    "Session",
    "SessionError",
    "SessionLimits",
    "Status",
    "TestResult",
    "Verdict",
]
