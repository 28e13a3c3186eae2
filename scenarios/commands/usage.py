"""A command line that cannot be read, in one sentence: what was typed, what is allowed, what to type instead.

The errors are those of the library that reads the command line; they are told apart by their names and attributes,
which have stayed, and not by their classes, which have moved.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import typer

from ...envs.errors import nearest
from ...envs.quantities import read_number, shown
from .app import app

_SYNONYMS = {
    **dict.fromkeys(("train", "start", "fit", "learn"), "run"),
    **dict.fromkeys(("eval", "test", "measure", "benchmark"), "evaluate"),
    **dict.fromkeys(("continue", "restart", "go"), "resume"),
    **dict.fromkeys(("render", "video", "film", "watch"), "record"),
    **dict.fromkeys(("ls", "worlds", "methods", "scenarios"), "list"),
    **dict.fromkeys(("view", "read", "transcript", "cat"), "show"),
    **dict.fromkeys(("validate", "lint", "verify"), "check"),
    **dict.fromkeys(("tune", "search", "optimize", "hpo"), "sweep"),
}


def usage_sentence(problem: Any, argv: Sequence[str]) -> str:
    """What is wrong with the command line `argv` (without the program's name)."""
    group: Any = typer.main.get_command(app)
    name = next((word for word in argv if word in group.commands), None)
    path = "peripatos" if name is None else f"peripatos {name}"
    told = {
        "NoSuchCommand": _no_command,
        "NoSuchOption": _no_option,
        "MissingParameter": _missing,
        "BadParameter": _bad_value,
        "BadOptionUsage": _no_value,
    }.get(type(problem).__name__, _other)
    words = told(problem, group if name is None else group.commands[name], path, list(argv))
    return f"{words} ({path} --help)"


def _no_command(problem: Any, command: Any, path: str, argv: list[str]) -> str:
    commands = sorted(command.commands)
    name = next((word for word in argv if not word.startswith("-")), "")
    meant = _SYNONYMS.get(name)
    hint = f" Did you mean {meant!r}?" if meant else nearest(name, commands)
    if not hint and re.search(r"\.ya?ml$", name):
        hint = f" Did you mean peripatos run {name}?"
    return f"No such command {name!r}; commands are {', '.join(commands)}.{hint}"


def _no_option(problem: Any, command: Any, path: str, argv: list[str]) -> str:
    name = problem.option_name
    allowed = sorted({opt for param in command.params for opt in param.opts if opt.startswith("--")})
    hint = nearest(name, allowed)
    if not hint and "--set" in allowed:
        hint = _as_a_key(name, argv)
    return f"{path} has no option {name}; it has {', '.join(allowed) or '--help'}.{hint}"


def _as_a_key(option: str, argv: list[str]) -> str:
    """How to give a key of the scenario that was typed as an option."""
    from ..config.keys import belongs

    key = option.lstrip("-").replace("-", "_")
    where = re.search(r"(?:at |mean ')([\w.]+)", belongs(key, (key,), {}))
    value = next((argv[n + 1] for n, word in enumerate(argv[:-1]) if word == option), "VALUE")
    return f" Keys of the scenario are given as --set {where[1].rstrip('.')}={value}." if where else ""


def _missing(problem: Any, command: Any, path: str, argv: list[str]) -> str:
    param = problem.param
    option = param.opts[0].startswith("--")
    name = param.opts[0] if option else (param.metavar or param.name).upper()
    return f"Missing {'option' if option else 'argument'} {name} of {path}: {_help(param)}"


def _bad_value(problem: Any, command: Any, path: str, argv: list[str]) -> str:
    param, message = problem.param, problem.message
    name = next((opt for opt in param.opts if opt.startswith("--")), param.name)
    value = _value_of(param.opts, argv)
    least = re.search(r"greater than or equal to (\S+)", message) or re.search(r"x>=(\S+)", message)
    both = re.search(r"(\d+)<=x<=(\d+)", message)
    most = re.search(r"less than or equal to (\d+)", message)
    if both:
        allowed = f"allowed is a whole number, {both[1]} or greater, and at most {int(both[2]):,}"
    elif most:
        allowed = f"allowed is a whole number, and at most {int(most[1]):,}"
    elif least:
        allowed = f"allowed is a whole number, {least[1]} or greater"
    elif "integer" in message:
        allowed = "allowed is a whole number"
    elif "valid number" in message or "float" in message:
        allowed = "allowed is a number"
    else:
        allowed = f"{message[:1].lower()}{message[1:]}".rstrip(".")
    number = read_number(value) if value is not None else None
    said = "" if value is None else f" is {shown(value if number is None else number)}"
    return f"{name}{said}; {allowed}: {_help(param)}"


def _no_value(problem: Any, command: Any, path: str, argv: list[str]) -> str:
    param = next((one for one in command.params if problem.option_name in one.opts), None)
    return f"{problem.option_name} needs a value behind it{f': {_help(param)}' if param is not None else ''}"


def _other(problem: Any, command: Any, path: str, argv: list[str]) -> str:
    message = problem.format_message() if hasattr(problem, "format_message") else str(problem)
    if message.startswith("No such command"):
        return _no_command(problem, command, path, argv)
    extra = re.search(r"unexpected extra arguments?(?:\(s\))? \((.*)\)", message)
    if extra is None:
        return message.rstrip(".")
    words = extra[1].split()
    for word in words:
        if re.match(r"[\w.]+=", word):
            return f"{word} stands without its flag; write --set {word}"
    taken = [(param.metavar or param.name).upper() for param in command.params if param.opts[0][0] != "-"]
    hint = "; several scenarios are run by peripatos compare" if path == "peripatos run" else ""
    return f"{path} takes {' and '.join(taken) or 'no argument'} and nothing more, not {extra[1]}{hint}"


def _value_of(opts: Sequence[str], argv: list[str]) -> str | None:
    for number, word in enumerate(argv):
        if word in opts and number + 1 < len(argv):
            return argv[number + 1]
        if any(word.startswith(f"{opt}=") for opt in opts):
            return word.partition("=")[2]
    return None


def _help(param: Any) -> str:
    said = (getattr(param, "help", None) or "").rstrip(".")
    return f"{said[:1].lower()}{said[1:]}" if said else param.name
