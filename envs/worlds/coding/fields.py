"""What rows of every shape have: a name, and what of the program is called. `what` is the place and the field."""

from __future__ import annotations

from ...errors import UserError
from ...sandbox.judge import check_entry


def id_of(given: object, what: str) -> str:
    """The name of a task, a text or a whole number. `UserError` for anything else."""
    if isinstance(given, float) and given.is_integer():  # of a table with an empty cell
        given = int(given)
    if isinstance(given, bool) or not isinstance(given, str | int) or given == "":
        raise UserError(f"{what} is {given!r:.80}; it names the task, as text or a whole number")
    return str(given)


def entry_of(given: object, what: str) -> str:
    """The name of a function, a class or a method. `UserError` for anything else."""
    try:
        check_entry(given)
    except ValueError:
        allowed = "the name of a function or a class, and of a method such as Solution().solve"
        raise UserError(f"{what} is {given!r:.80}; allowed is {allowed}") from None
    return str(given)
