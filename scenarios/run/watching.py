"""Watching a stage: what is wrong with its learning is said once, and an update that was refused ends it in words."""

from __future__ import annotations

import json
from collections.abc import Mapping

from ...agents.running_moments import wild
from ...algorithms.learner import Learner, UpdateRefused
from ..config.schema import Stage
from .checkpoint import BadCheckpoint, last_good
from .context import RunContext
from .disk import RunFailed, disk_errors, write_json
from .episode_statistics import Numbers
from .health import see, suspects
from .sign import FIRST, Facts

REFUSED = "refused.json"  # what was seen of an update that was refused
UNSEEN = 3  # validations without a goal's number, until it is said


class Watch:
    """Over `stage` of a run, in which `learner` learns."""

    def __init__(self, context: RunContext, stage: Stage, learner: Learner) -> None:
        self._context, self._stage, self._learner = context, stage, learner
        self._refused_path = context.run.path / REFUSED
        self._wild: set[str] = set()  # of what it was said that it is out of all bounds

    def updated(self, row: Mapping[str, float]) -> None:
        """Say once, and keep for the summary, what the row of an update shows to be wrong."""
        p = self._context.progress
        self._refused_path.unlink(missing_ok=True)
        p.first_row = p.first_row or {name: row[name] for name in FIRST if name in row}
        for sign, text in see(row, self._facts(), p.streaks, p.warned(self._stage.name)).items():
            self._warn(sign, text)
        self._say_wild()

    def validated(self, validation: Numbers) -> None:
        """Say once that a goal cannot be reached, because several validations in a row did not have its number."""
        p, sign = self._context.progress, "goal_unseen"
        unseen = [name for name in self._stage.stop if validation.get(name) is None]
        p.streaks[sign] = p.streaks.get(sign, 0) + 1 if unseen else 0
        if p.streaks[sign] >= UNSEEN and sign not in p.warned(self._stage.name):
            means = [name for name in validation if name.endswith(("success_rate", "_mean"))]
            there = ", ".join(name for name in means if validation[name] is not None)
            hope = " unless this world tells of success only where it succeeds" if "success" in unseen[0] else ""
            self._warn(
                sign,
                f"the goal stages.{self._stage.name}.stop.{unseen[0]} cannot be reached{hope}: {UNSEEN} validations in "
                f"a row had no {unseen[0]}; they have {there}",
            )

    def refused(self, refusal: UpdateRefused, axes: Mapping[str, float | str]) -> RunFailed:
        """Write down what was seen, look at the last checkpoint, and say how the run ends."""
        run = self._context.run
        with disk_errors(run.path):
            write_json(self._refused_path, {**axes, "message": str(refusal), "diagnostics": refusal.diagnostics})
        try:
            left, _ = last_good(run.checkpoints)
            kept = "there is no checkpoint" if left is None else f"checkpoint {left.name} is from before, and sound"
        except BadCheckpoint as problem:
            kept = str(problem)
        return RunFailed(
            f"update {self._context.progress.update + 1} was refused: {refusal}. What was seen is in "
            f"{self._refused_path}; {kept}. {self._ends_again()}"
        )

    def resumed(self) -> None:
        """Where the next updates were refused before, say so: they will be again."""
        try:
            refused = json.loads(self._refused_path.read_text(encoding="utf-8"))
            update, message = int(refused["update"]) + 1, str(refused["message"])
        except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return
        if update > self._context.progress.update:
            self._context.journal.warned(
                f"{self._stage.name}: update {update} was refused before: {message}. {self._ends_again()}"
            )

    def not_finite(self, what: object) -> RunFailed:
        """What to say of a policy that gives NaN while it acts."""
        update = self._context.progress.update
        again = f". {self._ends_again()}" if update else ""
        return RunFailed(f"the policy gives NaN after update {update}: {what}{again}")

    def _say_wild(self) -> None:
        """Say once in a stage that statistics have left something out."""
        found = {"observations": wild(self._learner.policy.module())}
        found["rewards"] = sum(wild(scale.moments) for scale in self._learner.scales if scale is not None)
        for what, count in found.items():
            if count and what not in self._wild:
                self._wild.add(what)
                self._context.journal.said(
                    f"{self._stage.name}: {count} {what} are a million times as large as the others: the running "
                    "statistics leave them out. Look at what the world gives (`peripatos check`)"
                )

    def _ends_again(self) -> str:
        return f"Going on with the same settings ends there again: begin anew with less of {suspects(self._facts())}"

    def _warn(self, sign: str, text: str) -> None:
        p = self._context.progress
        p.warn(self._stage.name, sign, text)
        self._context.journal.warned(f"{self._stage.name}, update {p.update}: {text}")

    def _facts(self) -> Facts:
        gated = self._stage.collect is not None and self._stage.collect.gate is not None
        first = self._context.progress.first_row
        return Facts(self._stage.name, self._learner.method, self._learner.settings, gated=gated, first=first)
