"""One stage of a run: evaluate, then collect and learn until the budget is spent or the goal is reached.

The order within an update is fixed: collect, learn, push the weights, write the row, evaluate, checkpoint. What a
checkpoint holds is therefore always the state *between* two updates.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from ...agents.protocols import EngineDied, Policy, PolicyNotFinite, Weights
from ...algorithms.judged_rewards import JudgedRewards
from ...algorithms.learner import Learner, UpdateRefused
from ...envs.contained import TimeIsUp
from ...envs.conversation.conversation_env import Split
from ...envs.seeding import derive_seed
from ...envs.vocabulary import Collection, Episode
from ..assembly.learners import fit_policy
from ..assembly.settings import judging_stage, learns_from_shown, stage_method
from ..assembly.texts import updates_in_epoch
from ..assembly.unusual import seen_at_first
from ..cluster.pool import Pool
from .checkpoint import write_checkpoint
from .collecting import Collecting
from .context import RunContext
from .counters import StageResult
from .disk import RunFailed
from .display import LEAST_SECONDS, time_split
from .episode_statistics import Numbers, rank, reached
from .failed_episodes import explain_failures, explain_unanswered, failed_expert, first_causes, judge_evaluation
from .kept_units import with_units
from .logs import read_jsonl
from .several_worlds import describe_worlds, spell_worlds, summarize_worlds
from .signals import Stopped
from .stage_learner import stage_learner
from .watching import Watch

_CAUSES = 3  # for which episodes have no reward, said of a stage
_GRACE, _GRACE_SHARE = 10.0, 0.1  # seconds, or share of a budget in seconds, that a last collection may take longer


class StageRun:
    """Stage `index` of a run's scenario, from its first evaluation to its last."""

    def __init__(
        self, context: RunContext, index: int, policy: Policy | None, pool: Pool, checkpoint: Path | None
    ) -> None:
        self.context, self.index, self.policy, self.checkpoint = context, index, policy, checkpoint
        self.progress, self.run, self.scenario = context.progress, context.run, context.scenario
        self.stage = self.scenario.stages[index]
        self.seed = derive_seed(self.scenario.seed, "stage", index)
        pool.enter(index)
        self.collecting = Collecting(self.scenario, index, pool, policy, context.sources, self.seed)
        self.learner: Learner | None = None
        self.watch: Watch | None = None  # over the learner
        self._trained: Sequence[Episode] = ()  # some of the latest collection, for reading
        self._saved: int | None = None  # the update of the latest checkpoint
        self._causes: set[str] = set()  # of what was said why episodes have no reward
        self._doubted = False  # whether it was said that the expert fails
        self.progress.enter_stage(index)
        begun = self.progress.state == "learning"
        if self.stage.method is not None and policy is not None:
            self.learner = stage_learner(context, index, policy, seed=self.seed, begun=begun)
            self.watch = Watch(context, self.stage, self.learner)

    def go(self) -> None:
        """Run the stage to its end and note its result."""
        with self.collecting:
            if self.checkpoint is not None and self.progress.state == "learning":
                self._restore(self.checkpoint)
            if self.learner is not None:
                fit_policy(self.scenario, self.learner.policy, self.learner)
                self._say_budget(self.learner)
            self._go()

    def _restore(self, checkpoint: Path) -> None:
        """Go on from where `checkpoint` was written."""
        if self.learner is not None:
            self.learner.load(checkpoint / "learner")
        parted = self.collecting.restore(checkpoint, self.learner.version if self.learner else 0)
        if parted:
            self.context.journal.warned(
                f"{self.stage.name}: {parted} running episodes begin anew, because their world did not do again "
                "what it had done: it has chance of its own, fails now and then, or has changed"
            )
        self._saved = self.progress.update if self.progress.looked else None

    def _go(self) -> None:
        try:
            self._push()
            if self.progress.state == "new":
                self._begin()
            elif self.watch is not None:
                self.watch.resumed()
            if not self.progress.looked and self.learner is not None:
                self._look_around(self.learner.version)
            spent, ended = self._standing()
            while ended is None:
                if self.context.stop.is_set():
                    raise self.context.stop.stopped()
                try:
                    self._update(spent)
                except TimeIsUp as late:
                    if self.progress.update == self.progress.begun["update"]:
                        raise RunFailed(self._nothing_in_time()) from late
                spent, ended = self._standing()
            self._finish(ended)
        except EngineDied as death:
            raise RunFailed(str(death)) from death
        except PolicyNotFinite as broken:
            if self.watch is None:
                raise RunFailed(f"the policy gives NaN: {broken}") from broken
            raise self.watch.not_finite(broken) from broken
        except Stopped as stopped:
            if stopped.in_order and self.progress.state == "learning" and self.progress.in_stage("update"):
                self._checkpoint()
            raise

    def _say_budget(self, learner: Learner) -> None:
        """How many tokens are read at once, where that was left to the free memory."""
        if self.scenario.speaks and learner.settings.micro_batch is None and learner.micro_batch is not None:
            self.context.journal.said(
                f"{self.stage.name}: at most {learner.micro_batch:,} tokens are read at once, for which there is "
                "memory (optimizer.micro_batch)"
            )

    def _push(self) -> None:
        self.collecting.load(Weights(self.learner.version if self.learner else 0))

    def _begin(self) -> None:
        """The evaluation before. The one at the end of the stage before is the same and is not done twice, unless that
        was of somebody who acts, and this one makes a judge of it: then what was best is another measure, too."""
        p = self.progress
        judges = self.stage.method is not None and stage_method(self.stage).judges
        if judges:
            p.best, p.latest, p.told = None, None, []
        before = p.results[-1].after if p.results and not judges else self._report()
        best = self._validate()
        epoch = updates_in_epoch(self.scenario, self.stage, self.policy, self.context.sources)
        p.begin_stage(before, self.context.seconds, epoch)  # those evaluations are no part of the budget
        if p.results:
            return
        for stage in self.scenario.stages:
            # a goal that evaluations lack is said now, and not after hours; of success a world may tell later on
            reached(p.before, {name: goal for name, goal in stage.stop.items() if not name.endswith("success_rate")})
        if self.learner is not None:
            self._checkpoint(best=best)

    def _validate(self) -> bool:
        """Measure the policy as it is now on the tasks that decide, unless that was done; whether none was better (of
        equals the later one is the best). Where nobody looks on the way, the latest is the best.
        """
        p = self.progress
        if self.scenario.evaluation.every is None or self.learner is None:
            return True
        latest = self._validation()
        value = rank(latest, p.told)
        if value is None or (p.best is not None and value < p.best):
            return False
        p.best = value
        return True

    def _validation(self) -> Numbers:
        """That of the policy as it is now; it is not played twice."""
        p = self.progress
        if p.latest is None or p.latest["update"] != p.update:
            p.latest = {**self._evaluate("validation"), "update": p.update}
            if p.state == "learning" and self.watch is not None:
                self.watch.validated(p.latest)
        return p.latest

    def _standing(self) -> tuple[float, str | None]:
        """The spent share of the budget, and what ends the stage now, in words; None to go on."""
        if self.learner is None:
            return 0.0, "evaluation only"
        goal = reached(self.progress.latest or {}, self.stage.stop, checked=True)
        if goal and self.progress.update == self.progress.begun["update"]:
            goal += ", and was before the first update: nothing was learned"
        spent, limit = self.progress.spent(self.stage, self.context.seconds)
        return spent, goal or limit

    def _update(self, spent: float) -> None:
        """Collect, learn, push the weights, write it down, look around.

        `spent` is the share of the budget before this update, so below 1: each batch that was paid for moves the
        policy, the last one too.
        """
        assert self.learner is not None, "a stage without a learner ends before its first update"
        assert self.watch is not None, "there is one wherever there is a learner"
        p, version, begun = self.progress, self.learner.version, time.perf_counter()
        collection = self._collect(version, self.learner.judged)
        collected = time.perf_counter()
        assert collection.batch is not None, "_collect has checked"
        held = self.learner.micro_batch
        try:
            learned = self.learner.update(collection.batch, progress=spent, shown=collection.shown)
        except UpdateRefused as refusal:
            raise self.watch.refused(refusal, self._axes()) from refusal
        except MemoryError as lack:
            raise RunFailed(str(lack)) from lack
        if self.learner.micro_batch != held:
            fit_policy(self.scenario, self.learner.policy, self.learner)
            self.context.journal.warned(
                f"{self.stage.name}, update {p.update + 1}: memory was full; from here on at most "
                f"{self.learner.micro_batch:,} units are read at once (optimizer.micro_batch)"
            )
        groups = self.collecting.learned(collection)
        self._push()
        p.update, p.looked = p.update + 1, False
        ended = time.perf_counter()
        times = {f"time/{name}": seconds for name, seconds in collection.seconds.items()}
        times |= {"time/collect": collected - begun, "time/update": ended - collected}
        times["time/env_steps_per_second"] = collection.env_steps / max(ended - begun, LEAST_SECONDS)
        seen = describe_worlds(collection.episodes, running=collection.running, told=p.told)
        row = {**seen, **groups, **learned.metrics, **times}
        self.context.journal.row({**self._axes(), **row})
        for remark in seen_at_first(self.stage, stage_method(self.stage), collection.episodes) if version == 0 else ():
            self.context.journal.said(remark)
        self.watch.updated(row)
        self.context.journal.moved(self.stage.name, p.spent(self.stage, self.context.seconds)[0], row)
        kept = collection.episodes[: self.scenario.log.episodes]
        self._trained = with_units(kept, collection.batch, learned.units)
        self._look_around(version + 1)

    def _collect(self, version: int, judged: JudgedRewards | None) -> Collection:
        with self.context.stop.at_once(afterwards=False), self.context.until(self._last_moment()):
            collection = self.collecting.take(version)
        if judged is not None:
            collection = judged(collection)
        p, said = self.progress, self.progress.unanswered > 0
        p.count(collection)
        if p.unanswered and not said:
            note = "have prompts that do not fit into the context; they are left out (episodes/unanswered)"
            self.context.journal.said(
                f"{self.stage.name}: {p.unanswered} of {len(collection.episodes)} episodes {note}"
            )
        self.context.strangeness.tell(self.stage.name, collection.episodes)
        if unanswered := explain_unanswered(collection.episodes):
            raise RunFailed(unanswered)
        failed, tried = p.in_stage("failed"), p.in_stage("episodes")
        if why := explain_failures(failed, tried, self.scenario.failures.max_share, p.first_failure):
            raise RunFailed(why)
        self._say_causes(collection.episodes, f"update {p.update + 1}")
        self._doubt_expert(collection.episodes)
        if collection.batch is None:
            because = f"; the first failure was:\n{p.first_failure}" if p.first_failure else ""
            unscored = next((e.unscored for e in collection.episodes if e.unscored is not None), None)
            because = because or (f": {unscored}" if unscored else "")
            raise RunFailed(f"no episode of update {p.update + 1} gave anything to learn from{because}")
        if collection.shown is None and stage_method(self.stage).imitates_beside:
            raise RunFailed(f"no demonstration of update {p.update + 1} could be scored, and some are to be imitated")
        return collection

    def _last_moment(self) -> float | None:
        """Seconds of the run at which a collection is given up: long after a budget in seconds, which pays for the
        update in which it ends."""
        assert self.stage.budget is not None, "the schema asks for it where there is a method"
        budget = self.stage.budget.seconds
        if budget is None:
            return None
        return self.progress.begun["seconds"] + budget + max(_GRACE, _GRACE_SHARE * budget)

    def _nothing_in_time(self) -> str:
        budget = self.stage.budget
        assert budget is not None, "time is up only where it is limited"
        return (
            f"the budget of {budget.seconds or 0:g} seconds was over before the first update: collecting experience "
            f"took longer than {self.context.seconds - self.progress.begun['seconds']:.0f} s"
        )

    def _say_causes(self, episodes: Sequence[Episode], when: str) -> None:
        """Say once in a stage why episodes have no reward; of many causes the first few."""
        for cause, told in first_causes(episodes).items():
            if cause not in self._causes and len(self._causes) < _CAUSES:
                self._causes.add(cause)
                self.context.journal.said(f"{self.stage.name}, {when}: {told}")

    def _doubt_expert(self, episodes: Sequence[Episode]) -> None:
        """Say once in a stage that whoever shows what is to be imitated fails."""
        agent = self.stage.demonstrations.agent if self.stage.demonstrations is not None else None
        if agent is None or not learns_from_shown(self.stage) or self._doubted:
            return
        if doubt := failed_expert(episodes):
            self._doubted = True
            self.context.journal.said(f"{self.stage.name}: {doubt}")

    def _look_around(self, version: int) -> None:
        """Evaluate and checkpoint where that is due, unless the stage is about to end and does both."""
        every = self.scenario.evaluation.every
        best = every is not None and version % every == 0 and self._validate()
        self.progress.looked = True
        if self._standing()[1] is None and (best or version % self.scenario.checkpoint.every == 0):
            self._checkpoint(best=best)

    def _finish(self, ended: str) -> None:
        p = self.progress
        seconds = None if self.learner is None else round(p.spent_by_name(self.context.seconds)["seconds"], 3)
        self.collecting.drop()
        best, after = self._validate(), p.before
        if self.learner is not None and p.update > p.begun["update"]:
            after = self._report()
        updates, episodes, failed = (p.in_stage(name) for name in ("update", "episodes", "failed"))
        counted = updates, episodes, failed
        p.finish_stage(StageResult(self.stage.name, self.stage.method, ended, *counted, p.before, after, seconds))
        if updates:
            self._checkpoint(best=best)
        self.context.journal.said(f"{self.stage.name}: {ended}; {spell_worlds(after)}")
        rows = [row for row in read_jsonl(self.run.metrics)[0] if row["stage"] == self.stage.name]
        if rows:
            self.context.journal.said(f"{self.stage.name}: {time_split(rows)}")

    def _report(self) -> Numbers:
        return self._validation() if self.scenario.evaluation.split == "validation" else self._evaluate("test")

    def _evaluate(self, split: Split) -> Numbers:
        """Greedy episodes of `split`, on the same tasks each time: what "test" gives is reported and decides nothing;
        goals and the best checkpoint are judged by what "validation" gives, which ends with its first tasks where these
        miss the goal and the scenario says how many they are.
        """
        count, first = self.context.sources.evaluated(self.scenario, split), self.scenario.evaluation.first
        lists = {} if judging_stage(self.scenario) is self.stage else self.context.sources.lists(split)
        p = self.progress
        if split == "validation" and first is not None and first < count and self.stage.stop:
            episodes = self._play(first, split)
            if reached(summarize_worlds(episodes, lists, p.told), self.stage.stop, checked=True):
                episodes = self._play(count, split)
        else:
            episodes = self._play(count, split)
        p.hear(episodes)
        result = summarize_worlds(episodes, lists, p.told)
        self.context.journal.evaluated({**self._axes(), "set": split, **result})
        kept = self.scenario.log.episodes
        if kept:
            self.context.journal.episodes(f"{p.update:06d}-{split}", episodes[:kept])
            if self._trained:
                self.context.journal.episodes(f"{p.update:06d}-train", self._trained)
        self.context.journal.said(f"{self.stage.name}, update {p.update}, {split}: {spell_worlds(result)}")
        return result

    def _play(self, tasks: int, split: Split) -> list[Episode]:
        """Greedy episodes of the first `tasks` of `split`. RunFailed where they are worth nothing."""
        version = self.learner.version if self.learner else 0
        seed, update = derive_seed(self.scenario.seed, "evaluation"), self.progress.update
        with self.context.stop.at_once():
            episodes = self.collecting.evaluate(tasks, seed=seed, version=version, split=split)
        self.context.strangeness.tell(self.stage.name, episodes)
        if unanswered := explain_unanswered(episodes):
            raise RunFailed(unanswered)
        if why := judge_evaluation(episodes, self.scenario.failures.max_share):
            raise RunFailed(f"update {update}, {split}: {why}")
        self._say_causes(episodes, f"update {update}, {split}")
        return episodes

    def _checkpoint(self, *, best: bool = False) -> None:
        p = self.progress
        if self.policy is None or (self._saved == p.update and p.state == "learning"):
            return
        if self.learner is not None and (unsound := self.learner.find_unsound()):
            raise RunFailed(f"the policy of update {p.update} is not saved: {unsound}")
        if best:
            p.best_at = p.update
        p.seconds = self.context.seconds
        folder = write_checkpoint(
            self.run.checkpoints,
            update=p.update,
            policy=self.policy,
            learner=self.learner,
            actor_state=self.collecting.state(),
            beside=self.collecting.files(),
            progress={**p.to_json(), "known": self.context.known()},
        )
        self._saved = p.update
        self.context.journal.saved(folder)

    def _axes(self) -> dict[str, float | str]:
        """The four x-axes, and which stage this is."""
        p = self.progress
        at = {"update": p.update, "env_steps": p.env_steps, "action_units": p.action_units}
        return {**at, "seconds": round(self.context.seconds, 3), "stage": self.stage.name}
