"""The process that compares mathematics: reads expressions with math-verify's parser, in a process that can be killed.

Run as a script by `maths.py`. One JSON line in, `{"expected": LaTeX, "answer": LaTeX}`; one word out:
equal, different, no_expected, no_answer. It confines itself before the first line: no new processes, no sockets,
no signals, a limit on memory. SymPy's reader of plain text, which evaluates Python, is replaced by one that
reads a decimal number and nothing else.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

MEMORY = 2 << 30


_NUMBER = re.compile(r"\s*(-?[0-9]{1,1000})(\.[0-9]{0,1000})?\s*|\s*-?\.[0-9]{1,1000}\s*", re.ASCII)


def _read_number(text: str, *_: object, **__: object) -> object:
    """What SymPy may read from plain text, in the place of its own reader: a decimal number."""
    from sympy import Float, Integer

    match = _NUMBER.fullmatch(text)
    if match is None:
        raise ValueError("text is never evaluated")
    return Integer(int(match[1])) if match[1] and not match[2] else Float(text)


def _confine() -> None:
    sys.path.insert(0, str(Path(__file__).parent))
    from inside import confine, filters  # type: ignore[import-not-found]  # a neighbour of this script

    sys.path.pop(0)
    confine.die_with_parent()
    confine.limit({"AS": MEMORY, "CORE": 0, "FSIZE": 0})
    confine.no_new_privileges()
    filters.install(filters.base_filter())
    filters.install(filters.program_filter(signals=False))


def main() -> None:
    """Serve until the input ends."""
    words = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries may print; the words have a descriptor of their own
    from math_verify import LatexExtractionConfig, parse, verify  # type: ignore[import-not-found]  # optional
    from sympy.parsing import sympy_parser

    latex = [LatexExtractionConfig()]

    def read(text: str) -> list[Any]:
        return parse(f"${text}$", latex, fallback_mode="no_fallback", parsing_timeout=0)

    def compare(expected: str, answer: str) -> str:
        known = read(expected)
        if not known:
            return "no_expected"
        given = read(answer)
        if not given:
            return "no_answer"
        return "equal" if verify(known, given, timeout_seconds=None) else "different"

    # Once through, so that everything is imported before the reader of plain text is replaced: SymPy reads its own
    # tables of units with it.
    compare("x^2 + 2x + 1", "(x + 1)^2")
    sympy_parser.parse_expr = _read_number
    _confine()
    print("ready", file=words, flush=True)
    for line in sys.stdin:
        task = json.loads(line)
        try:
            word = compare(task["expected"], task["answer"])
        except (RecursionError, MemoryError):
            word = "too_much"
        print(word, file=words, flush=True)


if __name__ == "__main__":
    main()
