"""The process that compares mathematics: the grader on math-verify's grammar, in a process that can be killed.

Run as a script by `maths.py`. One JSON line in, `{"expected", "answer", "kind", "tolerance"}`; one JSON line out, a
word of `mathematics.verdict`, "too_much" or "failed", and a reason. It confines itself before the first line: no new
processes, no sockets, no signals, a limit on memory. SymPy's reader of plain text, which evaluates Python, is replaced
by one that reads a decimal number and nothing else.
"""

from __future__ import annotations

import json
import os
import re
import sys
import warnings
from pathlib import Path

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
    from inside import confine, filters  # type: ignore[import-not-found]  # a neighbour of this script

    confine.die_with_parent()
    confine.limit({"AS": MEMORY, "CORE": 0, "FSIZE": 0})
    confine.no_new_privileges()
    filters.install(filters.base_filter())
    filters.install(filters.program_filter(signals=False))


def main() -> None:
    """Serve until the input ends."""
    words = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries may print; the words have a descriptor of their own
    warnings.simplefilter("ignore")
    sys.path.insert(0, str(Path(__file__).parent))
    from mathematics.judging import judge  # type: ignore[import-not-found]  # a neighbour of this script
    from sympy.parsing import sympy_parser

    # Once through, so that everything is imported before the reader of plain text is replaced: SymPy reads its own
    # tables of units with it.
    for expected, answer in ((r"\sqrt{x^2+2x+1}", r"\sqrt{(x + 1)^2}"), ("(1,2)", "1<x<2"), ("x+y=1", "2x+2y=2")):
        judge(expected, answer)
    sympy_parser.parse_expr = _read_number
    _confine()
    sys.path.pop(0)
    print(json.dumps(["ready", ""]), file=words, flush=True)
    for line in sys.stdin:
        task = json.loads(line)
        try:
            verdict = judge(task["expected"], task["answer"], task["kind"], task["tolerance"])
            said = [verdict.word, verdict.reason]
        except (RecursionError, MemoryError):
            said = ["too_much", "it takes too much memory to read"]
        except Exception as error:  # a fault of the grader's or of its libraries is told, and is nobody's wrong answer
            said = ["failed", f"{type(error).__name__}: {error}"]
        print(json.dumps([said[0], said[1][:300]]), file=words, flush=True)


if __name__ == "__main__":
    main()
