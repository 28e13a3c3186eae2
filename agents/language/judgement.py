"""What a language model with a scalar head says of episodes that are over; and how often it is right about rankings.

    s = V of the state behind the last token of an episode

Read from the sequence of tokens that holds the last reply. A score is of the tokens as the model itself would write
them, which is why episodes that others have played are said again first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import TypeVar

import torch

from ...envs.conversation.chat_world import PlayedWorld
from ...envs.vocabulary import Episode, Seen
from ..protocols import Actor
from .authors import Oracle
from .chat_template import Renderer
from .conversation_actor import ConversationActor
from .language_policy import LanguagePolicy
from .pair_actor import PairActor, beginning

Score = TypeVar("Score")
_TOKENS = 1 << 14  # of a pass, where nobody has said how many there is memory for


def score_episodes(policy: LanguagePolicy, episodes: Sequence[Episode]) -> list[float | None]:
    """s of each episode; None where nobody replied. `ValueError` where the policy has no head."""
    said = {n: seen for n, episode in enumerate(episodes) if (seen := _last_said(episode)) is not None}
    scores: list[float | None] = [None] * len(episodes)
    for n, score_T in zip(said, _values(policy, list(said.values())), strict=True):
        scores[n] = score_T[-1]
    return scores


def score_turns(policy: LanguagePolicy, episodes: Sequence[Episode]) -> list[list[float] | None]:
    """V behind the last token of each reply, in the sequence in which it was said; None where nobody replied."""
    said = [(n, seen) for n, episode in enumerate(episodes) for seen in episode.sequences() if any(seen["mask"])]
    scores: list[list[float]] = [[] for _ in episodes]
    for (n, seen), score_T in zip(said, _values(policy, [seen for _, seen in said]), strict=True):
        mask = [*seen["mask"], False]
        scores[n] += [score for t, score in enumerate(score_T) if mask[t] and not mask[t + 1]]
    return [score or None for score in scores]


@torch.no_grad()
def _values(policy: LanguagePolicy, said: Sequence[Seen]) -> list[list[float]]:
    """V behind each token of these sequences, up to the last that was chosen."""
    values: list[list[float]] = [[] for _ in said]
    for part in _passes(said, policy.token_budget or _TOKENS):
        _, successor_B_T = policy.value(_inputs([said[n] for n in part], policy.device))
        for n, score_T in zip(part, successor_B_T.tolist(), strict=True):
            values[n] = score_T[: _length(said[n])]
    return values


def _last_said(episode: Episode) -> Seen | None:
    """The sequence that holds the last reply."""
    return next((seen for seen in reversed(episode.sequences()) if any(seen["mask"])), None)


def _length(seen: Seen) -> int:
    """Up to the last token that was chosen."""
    return len(seen["mask"]) - seen["mask"][::-1].index(True)


def _passes(said: Sequence[Seen], tokens: int) -> Iterator[list[int]]:
    """Their numbers, of equal lengths together, as many at once as make so many tokens, but at least one."""
    part: list[int] = []
    for n in sorted(range(len(said)), key=lambda n: _length(said[n])):
        if part and (len(part) + 1) * _length(said[n]) > tokens:
            yield part
            part = []
        part.append(n)
    if part:
        yield part


def _inputs(rows: Sequence[Seen], device: torch.device) -> dict[str, torch.Tensor]:
    """As `LanguagePolicy.value` takes them."""
    lengths = [_length(seen) for seen in rows]
    T = max(lengths) + 1
    tokens = [seen["tokens"][:length] + [0] * (T - length) for seen, length in zip(rows, lengths, strict=True)]
    chosen = [seen["mask"][:length] + [False] * (T - length) for seen, length in zip(rows, lengths, strict=True)]
    return {
        "tokens_B_T": torch.tensor(tokens, device=device),
        "first_B": torch.tensor([seen["mask"].index(True) for seen in rows], device=device),
        "length_B": torch.tensor(lengths, device=device),
        "chosen_B_T": torch.tensor(chosen, device=device),
    }


class RewardModel:
    """A `Reward`: what `policy` says of episodes, whoever played them, after their messages were said again in its own
    tokens (`renderer`), of which `context` fit. Tools that could be called are not shown to it."""

    def __init__(self, policy: LanguagePolicy, renderer: Renderer, context: int) -> None:
        self.policy, self._renderer, self._context = policy, renderer, context

    def __call__(self, episodes: Sequence[Episode]) -> list[float | None]:
        """As `Reward`: None of an episode in which nobody replied, or which does not fit."""
        return self._of_whole(episodes, lambda said: score_episodes(self.policy, said))

    def turns(self, episodes: Sequence[Episode]) -> list[list[float] | None]:
        """As `Reward`; None as well where its own template knows another number of replies."""
        scores = self._of_whole(episodes, lambda said: score_turns(self.policy, said))
        told = zip(scores, episodes, strict=True)
        return [score if score is not None and len(score) == episode.turns else None for score, episode in told]

    def _of_whole(
        self, episodes: Sequence[Episode], score: Callable[[Sequence[Episode]], Sequence[Score | None]]
    ) -> list[Score | None]:
        """What `score` says of the episodes, once they were said again; None where that does not come to an end."""
        replied = [n for n, episode in enumerate(episodes) if any(m["role"] == "assistant" for m in episode.messages)]
        world = PlayedWorld([episodes[n] for n in replied])
        actor = ConversationActor(world.sibling, Oracle(), self._renderer, context=self._context)
        said = [e if e.terminated else None for e in actor.evaluate(len(replied), seed=0, version=0, split="train")]
        scores: list[Score | None] = [None] * len(episodes)
        whole = [(n, episode) for n, episode in zip(replied, said, strict=True) if episode is not None]
        for (n, _), one in zip(whole, score([one for _, one in whole]), strict=True):
            scores[n] = one
        return scores


class JudgingActor(PairActor):
    """Collects rankings to learn from, and evaluates whoever scores them on others, `held_out` by split.

    An evaluation has an episode for each pair of replies with different ranks: that of the better one, which succeeds
    where its score is the higher one, and measures by how much (`margin`). A pair with equal scores is half a success:
    a head that has learned nothing is right about half of them, and not about none.
    With `turns` beginnings are compared: each pair has an episode for each turn k in which its two differ already, as
    `prefix_margins` has them, and `depth_k` says how often the better beginning of k turns has the higher score. Turns
    are those of the whole conversation, of which what is common to all is in the opening.
    """

    def __init__(
        self, sides: Sequence[Actor], policy: LanguagePolicy, held_out: Mapping[str, int], *, turns: bool
    ) -> None:
        super().__init__(sides)
        self._policy, self._held_out, self._turns = policy, held_out, turns

    def evaluate(
        self, tasks: int, *, seed: int, version: int, greedy: bool = True, split: str = "test", each: int = 1
    ) -> list[Episode]:
        """As `Actor.evaluate`, of at most as many rankings as there are."""
        count = min(tasks, self._held_out[split])
        sides = [actor.evaluate(count, seed=seed, version=version, split=split) for actor in self._sides]
        scored = [list(zip(side, self._scores(side), strict=True)) for side in sides]
        return [episode for group in zip(*scored, strict=True) for episode in self._compared(group)]

    def _scores(self, side: Sequence[Episode]) -> list[list[float] | None]:
        """Of each episode those that are compared: of all its turns, or of its end alone."""
        if self._turns:
            return score_turns(self._policy, side)
        return [None if score is None else [score] for score in score_episodes(self._policy, side)]

    def _compared(self, group: Sequence[tuple[Episode, list[float] | None]]) -> Iterator[Episode]:
        """An episode for each pair of a group's replies, or of their beginnings; those without a score or a reward, and
        those that were cut, are as they are."""
        heard = [(e, scores if e.terminated else None) for e, scores in group]
        told = [(e, e.reward, scores) for e, scores in heard if e.reward is not None and scores is not None]
        yield from (episode for episode, scores in heard if episode.reward is None or scores is None)
        pairs = ((one, other) for one, other in product(told, told) if one[1] > other[1])
        compared = (
            (better, k, ones[min(k, len(ones) - 1)] - others[min(k, len(others) - 1)])
            for (better, _, ones), (worse, _, others) in pairs
            for k in range(max(len(ones), len(others)))
            if not self._turns or beginning(better, k) != beginning(worse, k)
        )
        for index, (better, k, margin) in enumerate(compared):
            before = sum(message["role"] == "assistant" for message in better.messages) - better.turns
            right = margin > 0 if margin else 0.5
            metrics = {"margin": margin} | ({f"depth_{before + k + 1}": float(right)} if self._turns else {})
            yield _comparison(better, index, right, metrics)


def _comparison(better: Episode, index: int, right: bool | float, metrics: Mapping[str, float]) -> Episode:
    """The better side of a pair, which earns 1 where it is found to be that, and half where both are found equal."""
    return replace(
        better,
        index=index,
        reward=float(right),
        reward_terms={"right": float(right)},
        turn_rewards=(*(0.0,) * (better.turns - 1), float(right)),
        success=right,
        metrics=metrics,
    )
