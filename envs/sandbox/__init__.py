"""Running what a model wrote: safely, fast, and without being fooled."""

from .judge import Judge
from .verdicts import Limits, SandboxUnavailable, Status, TestResult, Verdict

__all__ = ["Judge", "Limits", "SandboxUnavailable", "Status", "TestResult", "Verdict"]
