# pyright: reportMissingImports=false
"""The process in which a generator of reasoning-gym makes its questions and scores answers.

Run as a script by `generator.py`. The first line in says which generator; then `{"index"}` is answered by a question
and its answer, and `{"index", "said"}` by a score. Verifiers read what a model wrote: some by `eval`, some by SymPy's
reader of plain text, which evaluates Python. Here the first reads literals, the second mathematics of known names, and
the process confines itself before it scores anything: no new processes, no sockets, no signals, a limit on memory.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import json
import os
import re
import sys
import warnings
from typing import Any

MEMORY = 2 << 30
_EVALUATING = ("algorithmic.string_insertion", "algorithmic.spiral_matrix", "algorithmic.binary_matrix")
_EVALUATING = (*_EVALUATING, "algorithmic.number_sorting", "games.n_queens")
_PARSING = ("games.countdown", "games.puzzle24")
_MATHS = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+|[A-Za-z]+|[-+*/^() ])*")
_FUNCTIONS = re.compile(r"(?:a?(?:sin|cos|tan|cot|sec|csc)h?|exp|log|ln|sqrt|pi|erf|Abs|[A-Za-z])")


def _guard() -> None:
    """Nothing that a model wrote is evaluated as Python from now on."""
    import sympy
    from sympy.parsing import sympy_parser

    parse = sympy_parser.parse_expr

    def read(text: str, *args: Any, **options: Any) -> Any:
        names = re.findall(r"[A-Za-z]+", text)
        if len(text) > 1000 or not _MATHS.fullmatch(text) or not all(map(_FUNCTIONS.fullmatch, names)):
            raise ValueError("text is never evaluated")
        return parse(text, *args, **options)

    sympy.parse_expr = read  # type: ignore[attr-defined]
    for name in _PARSING:
        importlib.import_module(f"reasoning_gym.{name}").parse_expr = read  # type: ignore[attr-defined]
    for name in _EVALUATING:
        importlib.import_module(f"reasoning_gym.{name}").eval = ast.literal_eval  # type: ignore[attr-defined]


def _confine(sandbox: str) -> None:
    sys.path.insert(0, sandbox)
    from inside import confine, filters  # type: ignore[import-not-found]  # of the sandbox's folder

    sys.path.pop(0)
    confine.die_with_parent()
    confine.limit({"AS": MEMORY, "CORE": 0, "FSIZE": 0})
    confine.no_new_privileges()
    filters.install(filters.base_filter())
    filters.install(filters.program_filter(signals=False))


def _make(asked: dict[str, Any]) -> Any:
    """The data set, once through, so that all is imported; a list of words where it cannot be made."""
    import reasoning_gym
    from reasoning_gym.composite import DatasetSpec
    from reasoning_gym.factory import DATASETS

    if asked["name"] not in DATASETS:
        return ["unknown", sorted(DATASETS)]
    fields = [field.name for field in dataclasses.fields(DATASETS[asked["name"]][1])]
    for option in asked["options"]:
        if option not in fields:
            return ["option", [option, *(field for field in fields if field not in ("seed", "size"))]]
    try:
        if asked["name"] == "composite":  # of other generators, each an object of its own
            asked["options"]["datasets"] = [DatasetSpec(**one) for one in asked["options"].get("datasets", [])]
        made = reasoning_gym.create_dataset(asked["name"], seed=asked["seed"], size=asked["size"], **asked["options"])
        first = made[0]
        made.score_answer(first["answer"], first)
    except Exception as error:  # of the generator's own
        return ["failed", f"{type(error).__name__}: {error}"]
    return made


def main() -> None:
    """Serve until the input ends."""
    words = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries may print; the words have a descriptor of their own
    warnings.simplefilter("ignore")
    asked = json.loads(sys.stdin.readline())
    made = _make(asked)
    if isinstance(made, list):
        print(json.dumps(made), file=words, flush=True)
        return
    _guard()
    _confine(asked["sandbox"])
    print(json.dumps(["ready", None]), file=words, flush=True)
    entries: dict[int, dict[str, Any]] = {}
    for line in sys.stdin:
        wanted = json.loads(line)
        try:
            if wanted["index"] not in entries:
                entries[wanted["index"]] = made[wanted["index"]]
            entry = entries[wanted["index"]]
            if "said" not in wanted:
                told = ["entry", [str(entry["question"]), None if entry["answer"] is None else str(entry["answer"])]]
            else:
                told = ["score", float(_score(made, wanted["said"], entry))]
        except Exception as error:  # a generator that fails is told, and is nobody's wrong answer
            told = ["failed", f"{type(error).__name__}: {error}"[:300]]
        print(json.dumps(told), file=words, flush=True)


def _score(made: Any, said: str | None, entry: dict[str, Any]) -> float:
    """What the verifier gives; nothing where it breaks on what was said, as some do on what is malformed."""
    try:
        return made.score_answer(said, entry)
    except Exception:
        return 0.0


if __name__ == "__main__":
    main()
