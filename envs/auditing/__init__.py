"""What a world pays to those who do not do its task: `peripatos check --audit WORLD`."""

from .audit import Audit, audit_world

__all__ = ["Audit", "audit_world"]
