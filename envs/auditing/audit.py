"""Which blind strategy earns most in a world, and how much of what an expert earns.

    audit = audit_world("peripatos/Store-v0")
    audit.best.share        (best blind reward − reward of doing nothing) / (expert's reward − reward of doing nothing)

A share above `MOST_BLIND` is a world that pays for something else than its task. Every strategy is screened on a few
episodes, and the best of them are played again on others, so that the best figure is not the luckiest one.

The checks bear the names under which OpenEnv's validation policy lists them. Where a check needs an expert and the
world has none, it is neither passed nor failed, and says so. A search finds what it looks for, and proves nothing more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium

from ..check_play import absurd_texts
from ..conversation.conversation_env import SPLITS, ConversationEnv
from ..errors import UserError, unknown
from ..registry import give_voices, make_world, world_kind
from ..vocabulary import Reply
from .blind_replies import Lessons, Strategy, blind_strategies, nothing, random_text, written
from .control_audit import audit_control
from .playing import Played, Speaker, play
from .results import MOST_BLIND, Audit, Result, Row, decided, gameability, ranked

_LESSONS = 100  # episodes of experts from which habits are learned
_LESSON_SEEDS = 1_000_000
_SCREENED = 12  # episodes of every strategy
_FINALISTS = 6
_LEAST_LEAK = 4  # characters: shorter answers stand in a question by chance
_SMALL = 1e-9

Env = gymnasium.Env[Any, Any]


def audit_world(world: str | Env, *, episodes: int = 60, split: str = "train", **options: Any) -> Audit:
    """Search blind strategies in a world, given by name (with its options) or as an object, which is closed at the end.

    Args:
        world: a name or an object.
        episodes: that the finalists, the expert and doing nothing are played.
        split: of conversation worlds.
        options: of the world.

    Raises:
        UserError: there is no world of that name, or it has no such option.
        UnsupportedWorld: neither a conversation nor a control world.
    """
    if split not in SPLITS:
        raise UserError(unknown("split", str(split), SPLITS))
    make: Callable[[], Env] | None = None
    if isinstance(world, str):
        name = world
        make = lambda: give_voices(make_world(name, **options))  # noqa: E731 (a world may be needed twice)
        world = make()
    try:
        if world_kind(world) == "control":
            return audit_control(world, episodes)
        base = world.unwrapped
        assert isinstance(base, ConversationEnv)
        return _Conversations(base, make, episodes, split).audit()
    finally:
        world.close()


@dataclass
class _Conversations:
    """The audit of one conversation world."""

    world: ConversationEnv
    make: Callable[[], Env] | None
    episodes: int
    split: str
    _played: dict[str, list[Played]] = field(default_factory=dict)

    def audit(self) -> Audit:
        lessons, tools = self._lessons()
        expert = self._expert(range(self.episodes))
        floor = self._mean("nothing", nothing, range(self.episodes))
        top = None if expert is None else _mean_of(expert)
        rows = self._search(blind_strategies(lessons, tools))
        rows = ranked(rows, floor, top)
        results = [
            self._maximum(expert),
            self._floor_gap(floor, top),
            self._leakage(),
            self._determinism(rows, expert),
            self._replay(),
            gameability(rows, floor, top),
            self._adversarial(floor, top),
            self._survival(),
        ]
        return Audit("conversation", floor, top, "the world's own oracle" if top is not None else "", rows, results)

    def _play(self, strategy: Speaker, seed: int, world: ConversationEnv | None = None) -> Played:
        return play(world or self.world, strategy, seed, self.split)

    def _mean(self, name: str, strategy: Strategy, seeds: range) -> float:
        played = self._played[name] = [self._play(strategy, seed) for seed in seeds]
        return _mean_of(played)

    def _expert(self, seeds: range) -> list[Played] | None:
        """The oracle's episodes; None if there is no oracle."""
        played = [self._play(self._ask_oracle, seed) for seed in seeds]
        return None if any(episode.given_up for episode in played) else played

    def _ask_oracle(self, view: object) -> Reply | str | None:
        return self.world.oracle()

    def _lessons(self) -> tuple[Lessons, Sequence[Any]]:
        played = [self._play(self._ask_oracle, _LESSON_SEEDS + seed) for seed in range(_LESSONS)]
        tools = played[0].tools
        return Lessons.of([episode.replies for episode in played if episode.replies]), tools

    def _search(self, strategies: dict[str, Strategy]) -> list[Row]:
        """Every strategy on a few episodes, and the best of them on others."""
        seeds = range(10_000, 10_000 + _SCREENED)
        screened = {name: self._mean(name, strategy, seeds) for name, strategy in strategies.items()}
        best = sorted(screened, key=lambda name: -screened[name])[:_FINALISTS]
        again = {name: self._mean(name, strategies[name], range(self.episodes)) for name in best}
        return [Row(name, again.get(name, reward), name in again) for name, reward in screened.items()]

    def _maximum(self, expert: list[Played] | None) -> Result:
        name = "oracle reaches the maximum"
        if expert is None:
            return decided(name, None, "this world has no oracle")
        failed = [episode.seed for episode in expert if episode.success is False]
        if failed:
            return decided(name, False, f"the oracle failed with seeds {failed[:5]}")
        top = {episode.seed: episode.reward for episode in expert}
        for strategy, played in self._played.items():
            for episode in played:
                if episode.reward > top.get(episode.seed, episode.reward) + _SMALL:
                    best = f"{episode.reward:.3g}, the oracle {top[episode.seed]:.3g}"
                    return decided(name, False, f"seed {episode.seed}: {strategy} earned {best}")
        low, high = min(top.values()), max(top.values())
        return decided(name, True, f"reward {low:.3g} to {high:.3g} in {len(top)} episodes; nobody earned more")

    def _floor_gap(self, floor: float, top: float | None) -> Result:
        chance = self._mean("random text", random_text, range(self.episodes))
        shown = f"nothing {floor:.3f}, random text {chance:.3f}"
        if top is None:
            return decided("floor gap", None, f"{shown}; no oracle to compare with")
        wide = top > floor and chance - floor <= MOST_BLIND * (top - floor)
        return decided("floor gap", wide, f"{shown}, oracle {top:.3f}")

    def _leakage(self) -> Result:
        """What an expert says must not stand in what the agent was shown before."""
        name, leaks, asked = "no solution leakage", 0, 0
        for seed in range(min(self.episodes, 40)):
            _, info = self.world.reset(seed=seed, options={"split": self.split})
            reply = self.world.oracle()
            if reply is None:
                return decided(name, None, "this world has no oracle")
            text = written(reply).strip()
            shown = [message["content"] for message in info["messages"]]
            shown += [repr(value) for key, value in info.items() if key not in ("messages", "tools", "task", "split")]
            asked += 1
            leaks += len(text) >= _LEAST_LEAK and any(text in part for part in shown)
        detail = f"the oracle's first reply stood in {leaks} of {asked} openings"
        return decided(name, leaks <= MOST_BLIND * asked, detail)

    def _determinism(self, rows: Sequence[Row], expert: list[Played] | None) -> Result:
        """The same replies get the same rewards, from the expert and from the best blind strategies."""
        name = "verifier determinism"
        experts = {} if expert is None else {"the oracle": expert}
        for strategy, played in {**experts, **{row.strategy: self._played[row.strategy] for row in rows[:3]}}.items():
            for first in played[:10]:
                again = self._play(_again(first), first.seed)
                if again.rewards != first.rewards:
                    where = f"{strategy}, seed {first.seed}"
                    return decided(name, False, f"{where}: {first.rewards[:8]}, then {again.rewards[:8]}")
        return decided(name, True, "the same replies were given again")

    def _replay(self) -> Result:
        """What was said to one world gets the same answers and rewards from another."""
        other = self.world if self.make is None else self.make().unwrapped
        assert isinstance(other, ConversationEnv)
        try:
            for seed in range(5):
                first = self._play(self._ask_oracle, seed)
                first = self._play(random_text, seed) if first.given_up else first
                again = self._play(_again(first), seed, other)
                if (again.rewards, again.heard) != (first.rewards, first.heard):
                    return decided("replayability", False, f"seed {seed}: a second world answered otherwise")
        finally:
            if other is not self.world:
                other.close()
        where = "the same object, reset" if other is self.world else "a second world"
        return decided("replayability", True, f"5 episodes in {where}")

    def _survival(self) -> Result:
        played = [episode for episodes in self._played.values() for episode in episodes]
        raised = [episode for episode in played if episode.error]
        detail = (
            f"seed {raised[0].seed}: {raised[0].error}" if raised else f"{len(played)} episodes, none of which raised"
        )
        return decided("blind agents are survived", not raised, detail)

    def _adversarial(self, floor: float, top: float | None) -> Result:
        """Hostile texts earn no more than doing nothing."""
        worst, at = float("-inf"), ""
        for name, text in absurd_texts().items():
            reward = _mean_of([self._play(lambda _, said=text: said, seed) for seed in range(5)])
            worst, at = max((worst, at), (reward, name))
        shown = f"at most {worst:.3f}, for {at}"
        if top is None:
            return decided("adversarial floor", None, f"{shown}; no oracle to compare with")
        return decided("adversarial floor", worst - floor <= MOST_BLIND * max(top - floor, 0.0), shown)


def _again(played: Played) -> Speaker:
    """Says what was said in an episode."""
    return lambda view: played.replies[view.turn] if view.turn < len(played.replies) else None


def _mean_of(played: Sequence[Played]) -> float:
    scored = [episode.reward for episode in played if not episode.failed]
    return sum(scored) / len(scored) if scored else 0.0
