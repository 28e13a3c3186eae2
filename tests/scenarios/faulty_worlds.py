"""Worlds with one fault each, a tiny run of each in a forked process, and what became of it.

    python tests/scenarios/faulty_worlds.py            # the table: silently wrong, raw traceback, no end

A fault is a field of what a world gives, or something that it does, a value, and the moment at which that happens. The
clean episode is always the same: three steps that earn 1 each, or one reply that earns 3. So every run that ends well
has to say a mean return of 3.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import gymnasium
import numpy as np
import torch
from faulty_values import ACTS, RAISED, VALUES
from gymnasium.spaces import Box, Discrete

from peripatos.envs.conversation import ConversationEnv, Opening, Outcome

Moment = Literal["train", "evaluation", "reset"]
Class = Literal["failed", "said", "fine"]
WORLD = Path(__file__).stem
SECONDS = 60.0  # until a run is said to have no end


@dataclass(frozen=True)
class Fault:
    """`field` is given the value `value` (by its name), or the act of that name is done, at `moment`."""

    kind: Literal["control", "talk"]
    field: str
    value: str
    expected: Class  # the run fails with a sentence; it ends well and says something; it ends well
    moment: Moment = "train"

    @property
    def name(self) -> str:
        return f"{self.kind} {self.field} {self.value} {self.moment}"


@dataclass(frozen=True)
class Ended:
    """How a run ended."""

    code: int | None  # None: it had to be killed
    out: str
    err: str
    summary: dict[str, Any]

    @property
    def became(self) -> str:
        """The class of the table."""
        if self.code is None:
            return "no end"
        if self.code < 0:
            return "died"
        if "Traceback (most recent call last)" in self.err:
            return "raw traceback"
        if self.code == 0:
            good = self.summary.get("status") == "done" and self.means == {3.0}
            return "silently wrong" if not good else "said" if "left out" in self.err else "fine"
        if self.code == 2 and "error:" in self.err:
            return "refused"
        failed = self.code == 1 and self.summary.get("status") == "failed"
        return "failed" if failed and "the run failed:" in self.err else "without a word"

    @property
    def means(self) -> set[float]:
        stages = self.summary.get("stages", [])
        return {stage["evaluation"][when]["return_mean"] for stage in stages for when in ("before", "after")}


class _Faulty:
    """What both kinds of worlds share."""

    def _is(self, field: str, *, moment: str | None = None) -> bool:
        when = moment or ("train" if self.split == "train" else "evaluation")
        return self.field == field and self.moment == when

    def _given(self, field: str, otherwise: Any, *, moment: str | None = None) -> Any:
        return VALUES[self.value] if self._is(field, moment=moment) else otherwise

    def _misbehave(self, *, moment: str | None = None) -> None:
        if self._is("raises", moment=moment):
            raise RAISED[self.value]
        if self._is("does", moment=moment):
            ACTS[self.value]()

    split, field, value, moment = "", "", "", ""


class Control(_Faulty, gymnasium.Env[Any, Any]):
    """Three steps."""

    observation_space, action_space = Box(-1, 1, (2,), np.float32), Discrete(2)

    def __init__(self, field: str = "", value: str = "", moment: str = "train") -> None:
        self.field, self.value, self.moment = field, value, moment

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.split, self.age = (options or {}).get("split", "train"), 0
        trains = self.split == "train" and (seed or 0) > 10  # not what looks whether the world can begin
        if trains:
            self._misbehave(moment="reset")
        first = self.np_random.uniform(-1, 1, 2).astype(np.float32)
        return self._given("observation", first, moment="reset") if trains else first, {}

    def step(self, action: Any) -> Any:
        self.age += 1
        seen, earned, terminated, truncated, info = np.zeros(2, np.float32), 1.0, self.age >= 3, False, {}
        if self.age == 2:
            self._misbehave()
            seen, earned = self._given("observation", seen), self._given("reward", earned)
            terminated, truncated = self._given("terminated", terminated), self._given("truncated", truncated)
        if self.age == 3:
            names = ("success", "is_success", "metrics", "reward_terms")
            info = {name: self._given(name, None) for name in names if self._is(name)}
            info = self._given("info", info)
        return seen, earned, terminated, truncated, info


class Talk(_Faulty, ConversationEnv):
    """One reply."""

    weights: ClassVar[dict[str, float]] = {"earned": 1.0}

    def __init__(self, field: str = "", value: str = "", moment: str = "train") -> None:
        super().__init__()
        self.field, self.value, self.moment = field, value, moment

    def opening(self, rng: np.random.Generator, split: str) -> Any:
        self.split = split
        if split == "train" and self._place is not None:  # not what looks whether the world can begin
            self._misbehave(moment="reset")
            if self._is("opening", moment="reset"):
                return VALUES[self.value]
            if self._is("messages", moment="reset"):
                return Opening(VALUES[self.value])
        return f"{split} {rng.integers(1000)}"

    def respond(self, reply: Any) -> Any:
        self._misbehave()
        if self._is("outcome"):
            return VALUES[self.value]
        fields = ("messages", "terms", "truncated", "success", "metrics", "stop_reason", "unscored")
        given = {name: VALUES[self.value] for name in fields if self._is(name)}
        terms = {"earned": self._given("earned", 3.0)}
        return Outcome(**{"terms": terms, "terminated": self._given("terminated", True), **given})


CONTROL = """\
name: faulty
world: {{id: "{world}:Control", workers: {workers}, options: {options}}}
agent: {{kind: mlp, hidden: [8]}}
stages: [{{name: learn, method: ppo, collect: {{groups: 2, horizon: 8}}, budget: {{updates: 1}}}}]
evaluation: {{episodes: 2}}
"""
TALK = """\
name: faulty
world: {{id: "{world}:Talk", options: {options}}}
agent: {{kind: tiny_llama, hidden: 16, layers: 1, heads: 2}}
sampling: {{max_tokens: 2}}
stages: [{{name: learn, method: grpo, collect: {{groups: 2, group_size: 2}}, budget: {{updates: 1}}}}]
evaluation: {{episodes: 2}}
"""


def _faults() -> list[Fault]:
    found: list[Fault] = []

    def add(kind: Any, field: str, expected: Class, values: str, moment: Moment = "train") -> None:
        found.extend(Fault(kind, field, value, expected, moment) for value in values.split(", "))

    no_number = "NaN, infinity, 1e300, -1e300, 10**400, text of a number, bytes, None, a list, a set, complex, "
    no_number += "an array of two, a moment, odd, Decimal of NaN, Decimal of sNaN, a tensor of two"
    add("control", "reward", "failed", no_number)
    numbers = "True, numpy bool, numpy float32, numpy 0-d, numpy one, Decimal, Fraction, a tensor"
    add("control", "reward", "fine", f"{numbers}, a tensor with a gradient")
    no_flag = "text False, an empty text, None, 2, 0.5, NaN, a list, an array of two"
    add("control", "terminated", "failed", no_flag)
    add("control", "terminated", "fine", "numpy False, 0")
    add("control", "truncated", "failed", "text False, None")
    seen = "observed NaN, observed 1e300, observed three, None, an empty text, observed texts, observed list of texts, "
    seen += "observed complex, observed objects, a set"
    add("control", "observation", "failed", seen)
    add("control", "observation", "fine", "observed list, observed integers, observed float64")
    add("control", "observation", "failed", "observed NaN, observed texts", "reset")
    add("control", "observation", "failed", "observed NaN", "evaluation")
    add("control", "reward", "failed", "text of a number", "evaluation")
    add("control", "success", "said", "0.5, -1, 2, an empty text, NaN, an array of two")
    add("control", "is_success", "said", "0.5, text False")
    add("control", "success", "fine", "numpy bool, True, 0, numpy float32")
    add("control", "metrics", "said", "a list, an empty text, numbered, a text by name, None by name, an array by name")
    add("control", "metrics", "fine", "NaN by name, named as ours")
    add("control", "reward_terms", "said", "a list, an empty text")
    add("control", "reward_terms", "failed", "no sum, numbered, NaN by name, a text by name")
    add("control", "info", "failed", "None, a list")
    add(
        "talk",
        "earned",
        "failed",
        "NaN, infinity, 1e39, 1e300, text of a number, bytes, None, complex, an array of two",
    )
    add("talk", "terms", "failed", "no sum, None, a list, numbered")
    add("talk", "terminated", "failed", "text False, None, 2")
    add("talk", "success", "failed", "0.5, an empty text, 2, NaN, a list")
    add("talk", "success", "fine", "numpy bool, True, 0")
    add("talk", "metrics", "failed", "a text by name, None, a list, numbered")
    add("talk", "metrics", "fine", "named as ours, NaN by name")
    add("talk", "stop_reason", "failed", "because")
    add("talk", "messages", "failed", "None, bytes, content None, content in parts, no role, messages of text")
    add("talk", "outcome", "failed", "None, an empty text, a list")
    add("talk", "opening", "failed", "None, an empty text, bytes, a list", "reset")
    add("talk", "messages", "failed", "content None, content in parts", "reset")
    add("talk", "success", "failed", "0.5", "evaluation")
    for kind in ("control", "talk"):
        add(kind, "raises", "failed", ", ".join(RAISED))
        add(kind, "raises", "failed", "ValueError, KeyboardInterrupt, GeneratorExit", "reset")
        add(kind, "raises", "failed", "BaseException", "evaluation")
        add(kind, "does", "failed", "os._exit(0), os._exit(7)")
        add(kind, "does", "fine", ", ".join(name for name in ACTS if "_exit" not in name))
    return found


FAULTS = _faults()


def preload() -> None:
    """Import what runs import, so that each forked one need not: what a clean one of each kind has imported."""
    torch.set_num_threads(1)
    for kind in ("control", "talk"):
        with tempfile.TemporaryDirectory() as folder:
            play(Fault(kind, "", "", "fine"), Path(folder))
            for name in (Path(folder) / "modules").read_text().split():
                with contextlib.suppress(Exception):
                    importlib.import_module(name)


def play(fault: Fault, folder: Path, *, workers: int | None = None) -> Ended:
    """Run a world with this fault in a forked process, and wait for its end; a body in so many processes of its own."""
    text = CONTROL if fault.kind == "control" else TALK
    options = {"field": fault.field, "value": fault.value, "moment": fault.moment}
    path = folder / "faulty.yaml"
    path.write_text(text.format(world=WORLD, workers=json.dumps(workers), options=json.dumps(options)))
    child = os.fork()
    if child == 0:
        _run(path, folder)
    code, deadline = None, time.monotonic() + SECONDS
    while code is None and time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        code = os.waitstatus_to_exitcode(status) if done else None
        time.sleep(0.01)
    if code is None:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    summary = folder / "out" / "summary.json"
    told = json.loads(summary.read_text()) if summary.exists() else {}
    return Ended(code, (folder / "stdout").read_text(), (folder / "stderr").read_text(), told)


def _run(path: Path, folder: Path) -> None:
    """In the child: never returns."""
    code = 70
    try:
        for number, name in ((1, "stdout"), (2, "stderr")):
            file = os.open(folder / name, os.O_WRONLY | os.O_CREAT)
            os.dup2(file, number)
            os.close(file)
        sys.stdout, sys.stderr = (open(n, "w", buffering=1, closefd=False) for n in (1, 2))  # noqa: SIM115
        sys.argv = ["peripatos", "run", str(path), "--out", str(folder / "out"), "--json"]
        os.environ["CI"] = "1"
        from peripatos.scenarios.cli import main

        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException as problem:
        sys.excepthook(type(problem), problem, problem.__traceback__)
        code = 1
    finally:
        (folder / "modules").write_text("\n".join(sys.modules))
        for stream in (sys.stdout, sys.stderr):
            if stream is not None and not stream.closed:
                stream.flush()
        os._exit(code)


def main() -> None:
    """Print the table."""
    preload()
    chosen = [fault for fault in FAULTS if all(word in fault.name for word in sys.argv[1:])]
    counts: dict[tuple[str, str], int] = {}
    for fault in chosen:
        with tempfile.TemporaryDirectory() as folder:
            ended = play(fault, Path(folder))
        expected = "as expected" if ended.became == fault.expected else f"EXPECTED {fault.expected}"
        print(f"{fault.name:60}  {ended.became:15}  {expected}", flush=True)
        counts[fault.kind, ended.became] = counts.get((fault.kind, ended.became), 0) + 1
    classes = (
        "silently wrong",
        "raw traceback",
        "no end",
        "died",
        "without a word",
        "refused",
        "failed",
        "said",
        "fine",
    )
    print("", "| world | " + " | ".join(classes) + " |", "|---|" + "---:|" * len(classes), sep="\n")
    for kind in ("control", "talk"):
        print(f"| {kind} | " + " | ".join(str(counts.get((kind, name), 0)) for name in classes) + " |")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
