"""An episode that a run kept, as lines to read: who said what, what it earned, and a number for every token.

    advantage, weight, entropy, value   as the update saw them that learned from the episode
    gap         log π(token) of the trainer − that of the sampler, which is zero where both mean one distribution
    logp        log π(token) of the sampler

Where nobody learned from an episode (an evaluation's), the sign of its reward stands for the advantage.
Where the chat template rewrote earlier turns, an episode has several sequences of tokens. Each reply is shown with its
tokens from the one sequence in which it was sampled, and trained.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...envs.errors import UserError, unknown
from ...envs.vocabulary import Episode
from ..assembly.settings import stage_method
from ..config.agents import CausalLMAgentSpec
from ..config.schema import Scenario
from ..run.checkpoint import last_good
from ..run.kept_episodes import SPLITS, kept_files, read_episode
from ..run.noticed import notice
from ..run.rescored import Rescored, rescored_episodes
from ..run.run_directory import RunDirectory
from ..run.verified import trusted_scenario

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

LEARNED = {  # which of `Episode.learned` a measure is made of, and what it means
    "advantage": ("advantage", "advantage in the update that learned from the episode"),
    "weight": ("weight", "weight w of w · log π in the first pass of that update"),
    "gap": ("logp", "log-probability of the trainer − at sampling"),
    "entropy": ("entropy", "entropy of the distribution that the token was drawn from"),
    "value": ("value", "value of the state before the token, as the critic said"),
}
MEASURES = (*LEARNED, "logp")
Values = Sequence[Sequence[float | None]]  # a number for each token of each sequence


@dataclass(frozen=True)
class Token:
    """One token that the agent chose."""

    id: int
    text: str
    logp: float  # under the policy that sampled it
    value: float | None  # of the measure; None where it cannot be known


@dataclass(frozen=True)
class Line:
    """One message. Those of the agent have a turn, and what it earned."""

    role: str
    text: str
    name: str | None = None  # of the tool that speaks
    turn: int | None = None
    reward: float | None = None
    tokens: tuple[Token, ...] = ()
    calls: tuple[str, ...] = ()  # names of the tools that answered this turn


@dataclass(frozen=True)
class Transcript:
    """One episode, ready to be read."""

    episode: Episode
    update: int  # after which it was kept
    place: int  # in its file
    kept: int  # episodes in that file
    lines: tuple[Line, ...]
    measure: str  # one of MEASURES, or "sign" in place of an advantage that cannot be known
    basis: str  # where the measure comes from, in words
    rescored: tuple[Rescored, ...] = ()  # what other versions of the reward say, see `peripatos rescore`


def read_transcript(
    path: Path, place: int = 0, *, update: int | None = None, split: str | None = None, by: str = "advantage"
) -> Transcript:
    """The `place`-th kept episode of the run at `path`.

    UserError for a run, an update, a split, an episode or a measure that is not there.
    """
    if by not in MEASURES:
        raise UserError(f"--by {by}: {unknown('measure', by, MEASURES)}")
    run = RunDirectory.open(path)
    update, split, file = _kept(run, update, split)
    episode, kept = read_episode(file, place)
    if episode is None:
        raise UserError(
            f"--episode {place}: of update {update} there are {kept} {split} episodes, numbered 0 to {kept - 1}"
        )
    scenario = trusted_scenario(run)
    if not episode.messages and episode.actions is not None:
        raise UserError(
            f"an episode of {scenario.world.id!r} is not made of words, but of {episode.turns} actions: it is watched, "
            f"by `peripatos record {shlex.quote(str(path))}`"
        )
    measure = by
    if by == "value" and not any(stage.method and stage_method(stage).needs_critic for stage in scenario.stages):
        raise UserError(
            f"--by value shows what a critic says, and no stage of {run.path} has one; allowed here: "
            f"{', '.join(measure for measure in MEASURES if measure != by)}"
        )
    values, basis = _values(episode, by)
    if values is None and by != "advantage":
        raise UserError(f"the {by} of these tokens is not known: {basis}")
    if values is None:
        values, measure, basis = _signs(episode), "sign", f"sign of the episode's reward, because {basis}"
    lines = _lines(episode, values, _tokenizer(run, scenario))
    again = rescored_episodes(run, update, split, episode)
    return Transcript(episode, update, place, kept, lines, measure, basis, again)


def transcript_row(transcript: Transcript) -> dict[str, Any]:
    """The same as JSON can hold it."""
    episode = transcript.episode
    facts = (
        "split",
        "group",
        "index",
        "seed",
        "version",
        "task",
        "scored_by",
        "reward",
        "reward_terms",
        "success",
        "turns",
        "units",
    )
    more = ("terminated", "truncated", "stop_reason", "failure", "metrics")
    return {
        "update": transcript.update,
        "episode": transcript.place,
        **{name: getattr(episode, name) for name in (*facts, *more)},
        "rescored": [vars(again) for again in transcript.rescored],
        "measure": transcript.measure,
        "basis": transcript.basis,
        "lines": [
            {**{f.name: getattr(line, f.name) for f in fields(line)}, "tokens": [vars(token) for token in line.tokens]}
            for line in transcript.lines
        ],
    }


def _kept(run: RunDirectory, update: int | None, split: str | None) -> tuple[int, str, Path]:
    """The file that is to be read, and of which update and split it is."""
    if split is not None and split not in SPLITS:
        raise UserError(f"--split {split}: {unknown('split', split, SPLITS)}")
    files: dict[int, dict[str, Path]] = {}
    for (number, name), file in kept_files(run.episodes).items():
        if split in (None, name):
            files.setdefault(number, {})[name] = file
    if not files:
        kind = f"{split} episodes" if split else "episodes"
        raise UserError(f"{run.path} has kept no {kind}; log.episodes of a scenario says how many are kept")
    chosen = max(files) if update is None else update
    if chosen not in files:
        kind = f"{split} episodes" if split else "episodes"
        known = ", ".join(map(str, sorted(files)))
        raise UserError(f"--update {chosen}: no {kind} were kept after it; they were after the updates {known}")
    name = next(name for name in SPLITS if name in files[chosen])
    return chosen, name, files[chosen][name]


def _tokenizer(run: RunDirectory, scenario: Scenario) -> PreTrainedTokenizerBase:
    """The one that wrote the run's tokens."""
    saved, problems = last_good(run.checkpoints)
    for problem in problems:
        notice(f"{problem}; the words are those of the one before")
    if scenario.speaks and saved is not None:
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(saved / "policy", trust_remote_code=False)
    if isinstance(scenario.agent, CausalLMAgentSpec):
        from ...agents.language.model_files import load_language_model

        return load_language_model(scenario.agent.model, revision=scenario.agent.revision)[1]
    from ...agents.language.tiny_llama import byte_tokenizer, tiny_tokenizer

    return tiny_tokenizer() if scenario.speaks else byte_tokenizer()


def replies(episode: Episode) -> dict[int, tuple[int, range]]:
    """Of each turn, in which sequence its reply was sampled and where it stands there."""
    runs = [(number, run) for number, seen in enumerate(episode.sequences()) for run in _runs(seen["mask"])]
    return dict(enumerate(runs, _spoken(episode) - len(runs)))


def _runs(mask: Sequence[bool]) -> Iterator[range]:
    """Where `mask` is true, from each beginning to its end."""
    at = 0
    for chosen, run in groupby(mask):
        length = len(list(run))
        if chosen:
            yield range(at, at + length)
        at += length


def _spoken(episode: Episode) -> int:
    """Replies in the episode: its turns, and one that the world never answered."""
    unanswered = episode.failure is not None and bool(episode.mask) and episode.mask[-1]
    return episode.turns + unanswered


def _lines(episode: Episode, values: Values, tokenizer: PreTrainedTokenizerBase) -> tuple[Line, ...]:
    """Every message. Replies of the agent are the last ones of its role; earlier ones were examples in the prompt."""
    where, seen, lines = replies(episode), episode.sequences(), []
    assistants = sum(message["role"] == "assistant" for message in episode.messages)
    turn = _spoken(episode) - assistants - 1
    for number, message in enumerate(episode.messages):
        turn += message["role"] == "assistant"
        if message["role"] != "assistant" or turn < 0:
            lines.append(Line(message["role"], message["content"], message.get("name")))
            continue
        k, at = where.get(turn, (0, range(0)))
        ids = [seen[k]["tokens"][t] for t in at]
        tokens = tuple(
            Token(id_, text, seen[k]["behavior_logp"][t], values[k][t])
            for t, id_, text in zip(at, ids, spell(tokenizer, ids), strict=True)
        )
        calls = tuple(message.get("name", "") for message in _answers(episode.messages[number + 1 :]))
        text = message.get("written", message["content"])
        reward = episode.turn_rewards[turn] if turn < len(episode.turn_rewards) else None
        lines.append(Line("assistant", text, turn=turn, reward=reward, tokens=tokens, calls=calls))
    return tuple(lines)


def _answers(messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The tool messages at the beginning of `messages`."""
    count = next((n for n, message in enumerate(messages) if message["role"] != "tool"), len(messages))
    return list(messages[:count])


def spell(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> list[str]:
    """The text of each token, such that the texts add up to the text of all; a character that several tokens
    make together stands at the last of them."""
    texts, before = [], ""
    for count in range(1, len(ids) + 1):
        text = str(tokenizer.decode(list(ids[:count]), skip_special_tokens=False, clean_up_tokenization_spaces=False))
        if count < len(ids) and text.endswith("\ufffd"):
            texts.append("")
            continue
        texts.append(text[len(before) :])
        before = text
    return texts


def _values(episode: Episode, measure: str) -> tuple[Values | None, str]:
    """The measure of every token of every sequence, as the run kept it, and where it comes from; None and the reason
    where nobody knows it.
    """
    seen = episode.sequences()
    if measure == "logp":
        return [one["behavior_logp"] for one in seen], "log-probability at sampling"
    if measure == "gap" and not any(any(one["behavior_logp"]) for one in seen):
        return None, "these tokens were written and not sampled: they have no log-probability to compare with"
    if not episode.learned:
        return None, _why_nothing_was_learned(episode)
    name, words = LEARNED[measure]
    columns = [
        list(one.get(name, ())) or [None] * len(two["tokens"]) for one, two in zip(episode.learned, seen, strict=True)
    ]
    if measure == "gap":
        columns = [_minus(column, one["behavior_logp"]) for column, one in zip(columns, seen, strict=True)]
    if all(value is None for column in columns for value in column):
        return None, "the gradient of its tokens is known to be zero, and nobody computed more"
    return columns, words


def _why_nothing_was_learned(episode: Episode) -> str:
    if episode.split != "train":
        return "nobody learned from an episode of an evaluation"
    if episode.reward is None:
        return "an episode without a reward is not trained on"
    return "nothing was said"


def _minus(ours: Sequence[float | None], theirs: Sequence[float | None]) -> list[float | None]:
    return [None if one is None or two is None else one - two for one, two in zip(ours, theirs, strict=True)]


def _signs(episode: Episode) -> Values:
    """The sign of the episode's reward, for every token."""
    reward = episode.reward
    sign = None if reward is None else float((reward > 0) - (reward < 0))
    return [[sign] * len(seen["tokens"]) for seen in episode.sequences()]
