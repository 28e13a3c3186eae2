"""The runner: stages in order, and around each update the things that make a run worth trusting.

    for each stage:  evaluate, then until the budget is spent or the goal is reached:
        collection = pool.submit(groups, seed, version)           the pool
        update     = learner.update(collection.batch)             the learner
        pool.load(weights)                                        the link
        a row of metrics; sometimes an evaluation, a checkpoint

The pool is this process, or many (`cluster`). Random streams are made
from (seed, stage, version), so a run that was killed and resumed ends bit for bit as one that was not: on the
CPU, with worlds that do not wait for tools and no budget in seconds. Elsewhere it ends so up to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import torch

from ...agents.protocols import Policy
from ...agents.threads import fitting_threads
from ...envs.contained import no_exit, watch
from ...envs.errors import UserError
from ..assembly.no_effect import remarks_on
from ..assembly.policies import make_policy
from ..assembly.settings import choose_device, explain_device, explain_precision
from ..assembly.worlds import WorldSources
from ..cluster.choose import make_pool
from ..trackers import make_trackers
from .amend import GoingOn, begin_again
from .beginning import begin
from .context import RunContext
from .disk import RunFailed
from .display import Display
from .ended import in_one_line
from .journal import Journal
from .listeners import Listener
from .logs import KEPT, LOGS, KnownLog, cut, find_damage, mend
from .provenance import describe_session, note_session, what_changed, where_it_was_begun
from .reward_versions import check_same_reward, scored_by
from .run_directory import UNFINISHED, RunDirectory
from .signals import Stop, Stopped, asked_to_end, heard_by
from .stage import StageRun


class Runner:
    """Runs one scenario in one run directory.

    Args:
        going_on: what the run goes on from, where that was prepared already.
        sources: of its worlds, where they have been asked about already. They are closed at the end.
    """

    def __init__(
        self,
        run: RunDirectory,
        display: Display,
        *,
        going_on: GoingOn | None = None,
        sources: WorldSources | None = None,
        device: str | None = None,
        listeners: Sequence[Listener] = (),
    ) -> None:
        self._going_on = going_on or begin_again(run)
        self.run, self.display, self.scenario = run, display, run.scenario()
        sources = sources or WorldSources.of(self.scenario)
        self.journal = Journal(run, display, [*make_trackers(self.scenario.trackers, run.path), *listeners])
        self._wanted = device or self.scenario.device
        self._summary: dict[str, Any] = {}
        device = choose_device(self._wanted, self.scenario.agent)
        self.context = RunContext(run, self.scenario, self.journal, device, sources, stop=Stop(display.say))

    def go(self) -> dict[str, Any]:
        """Run to the end, from the last checkpoint if there is one, and give the summary.

        Raises:
            RunFailed: the run cannot go on; summary.json says "failed".
            Stopped: Ctrl-C, SIGTERM or SIGHUP; everything is saved.
            BadCheckpoint: there are checkpoints, and none is whole.
            UserError: another process writes this run.
        """
        with self.run.held():
            return self._go()

    def _go(self) -> dict[str, Any]:
        why = explain_device(self._wanted, self.scenario.agent)
        self.journal.began(self.scenario)
        self.journal.said(f"{self.scenario.name}: device {self.context.device}{why}, {self.run.path}")
        if slow := explain_precision(self.scenario.precision, self.context.device):
            self.journal.warned(slow)
        with where_it_was_begun(self.run):
            for remark in (*remarks_on(self.scenario), *self.context.sources.remarks()):
                self.journal.said(remark)
            self._scored_by = scored_by(self.context.sources)
        standing = self._going_on.standing
        check_same_reward(self.run, standing.known.get("scored_by") if standing else None, self._scored_by)
        self.context.scored_by = self._scored_by
        if self.run.lock is not None and self.run.lock.warning is not None:
            self.journal.said(self.run.lock.warning)
        for note in (*self.context.sources.decided(), *self.context.sources.endless()):
            self.journal.said(note)
        self._note_session()
        policy = make_policy(self.scenario, self.context.device, self.context.sources.first)
        if policy is not None:
            torch.set_num_threads(fitting_threads(policy.module()))
        resumed = self._restore(policy)
        begun = begin(self.scenario, policy, self.context.sources, resumed is not None)
        for remark in begun.said:
            self.journal.said(remark)
        for warning in begun.warned:
            self.journal.warned(warning)
        try:
            with closing(make_pool(self.scenario, policy, self.context.sources, self.journal.said)) as pool:
                self.context.start_clock()
                self._write_summary(UNFINISHED)
                limited = watch(self.display.say, deadline=lambda: self.context.deadline)
                with heard_by(self.context.stop.hear), no_exit(), limited:
                    first = self.context.progress.next_stage()
                    for index in range(first, len(self.scenario.stages)):
                        if self.context.stop.is_set():
                            raise self.context.stop.stopped()
                        StageRun(self.context, index, policy, pool, resumed if index == first else None).go()
            return self._write_summary("done")
        except BaseException as end:
            stopped = end if isinstance(end, KeyboardInterrupt) else self.context.stop.raised or asked_to_end()
            if isinstance(stopped, Stopped) and stopped.in_order and isinstance(end, RunFailed | UserError):
                stopped = None  # a world had swallowed it, and then the run failed by itself
            with suppress(RunFailed):  # a full disk must not hide why the run ended
                if stopped is not None:
                    self._write_summary("interrupted")
                else:
                    self._write_summary("failed", why=in_one_line(end))
            if stopped not in (None, end):
                raise stopped from end
            raise
        finally:
            self.context.sources.close()
            self.journal.ended(self._summary)

    def _note_session(self) -> None:
        """Say what was wrong with the run's files and what is other than it was, and note who goes on."""
        standing = self._going_on.standing
        for note in self._going_on.notes:
            self.journal.warned(note)
        self.context.session = describe_session(self.scenario, self.run.command)
        then = standing.known.get("session") if standing else None
        for text in what_changed(then, self.context.session) if then else ():
            self.journal.warned(text)
        damage = note_session(self.run, self.context.session, [then] if then else [])
        if damage:
            self.journal.warned(damage)

    def _restore(self, policy: Policy | None) -> Path | None:
        """Load the checkpoint that the run goes on from, and cut the logs back to it."""
        standing = self._going_on.standing
        if standing is None:
            for name in LOGS:
                cut(self.run.path / name, KnownLog.of({}, name))
            return None
        self.context.progress = standing.progress
        if policy is not None:
            try:
                policy.load(standing.folder / "policy")
            except ValueError as problem:
                raise UserError(f"{problem}: the scenario, or the world, is not the one of this run") from problem
        self.journal.said(f"resumed from {standing.folder}")
        if self.context.progress.may_go_on(self.scenario.stages):
            self.context.progress.go_on()
        for name in LOGS:
            path, known = self.run.path / name, KnownLog.of(standing.known.get("logs", {}), name)
            if name in standing.broken:
                done = mend(path, known, standing.folder)
                self.journal.warned(f"{standing.broken[name]}, and no earlier checkpoint has a whole one: {done}")
            else:
                cut(path, known)
        kept = KnownLog.of(standing.known.get("logs", {}), KEPT)
        if find_damage(self.run.path / KEPT, kept, standing.folder) is None:
            cut(self.run.path / KEPT, kept)
        return standing.folder

    def _write_summary(self, status: str, **more: str) -> dict[str, Any]:
        p = self.context.progress
        summary = {
            "scenario": self.scenario.name,
            "seed": self.scenario.seed,
            "status": status,
            **more,
            "scored_by": self._scored_by,
            "device": self.context.device,
            "wall_s": round(self.context.seconds, 2),
            "updates": p.update,
            "env_steps": p.env_steps,
            "action_units": p.action_units,
            "episodes": p.episodes,
            "failed_episodes": p.failed,
            "warnings": p.warnings,
            "stages": [result.to_json() for result in p.results],
        }
        self._summary = summary
        self.journal.summarized(summary)
        return summary
