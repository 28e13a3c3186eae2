"""An episode that a run kept, as lines to read: who said what, what it earned, and a number for every token.

    advantage  A, recomputed from the token's group; where the group was not kept whole, the sign of the reward
    gap        log π(token) of the trainer − that of the sampler, which is zero where both mean one distribution
    logp       log π(token) of the sampler

Where the chat template rewrote earlier turns, an episode has several sequences of tokens. Each reply is shown with its
tokens from the one sequence in which it was sampled, and trained.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...envs.errors import UserError, unknown
from ...envs.vocabulary import Batch, Episode, Seen, StopReason
from ..config.schema import CausalLMAgentSpec, Scenario, Stage
from ..run.checkpoint import checkpoints
from ..run.run_directory import RunDirectory, read_rows

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

    from ...agents.language.sample import Sample

MEASURES = ("advantage", "gap", "logp")
SPLITS = ("train", "test", "validation")  # the first that was kept is shown
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


def read_transcript(
    path: Path, place: int = 0, *, update: int | None = None, split: str | None = None, by: str = "advantage"
) -> Transcript:
    """The `place`-th kept episode of the run at `path`.

    UserError for a run, an update, a split, an episode or a measure that is not there.
    """
    if by not in MEASURES:
        raise UserError(unknown("measure", by, MEASURES))
    run = RunDirectory.open(path)
    update, split, episodes = _kept(run, update, split)
    if place >= len(episodes):
        raise UserError(f"there is no episode {place}: update {update} kept {len(episodes)}, counted from 0")
    episode, scenario = episodes[place], run.scenario()
    if not episode.messages and episode.actions is not None:
        raise UserError(f"an episode of {scenario.world.id!r} is not made of words; use peripatos record {path}")
    measure = by
    match by:
        case "gap":
            values, basis = _gaps(run, scenario, episode, update - (split == "train"))
        case "logp":
            values, basis = [seen["behavior_logp"] for seen in sequences(episode)], "log-probability at sampling"
        case _:
            values, basis = _advantages(run, scenario, episode, episodes, update)
            measure = by if basis.startswith(by) else "sign"
    lines = _lines(episode, values, _tokenizer(run, scenario))
    return Transcript(episode, update, place, len(episodes), lines, measure, basis)


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
        "measure": transcript.measure,
        "basis": transcript.basis,
        "lines": [
            {**{f.name: getattr(line, f.name) for f in fields(line)}, "tokens": [vars(token) for token in line.tokens]}
            for line in transcript.lines
        ],
    }


def _kept(run: RunDirectory, update: int | None, split: str | None) -> tuple[int, str, list[Episode]]:
    """The episodes of one file, and which file that is."""
    if split is not None and split not in SPLITS:
        raise UserError(unknown("split", split, SPLITS))
    files: dict[int, dict[str, Path]] = {}
    for file in run.episodes.glob("*-*.jsonl"):
        number, _, name = file.stem.partition("-")
        if number.isdigit() and name in SPLITS and split in (None, name):
            files.setdefault(int(number), {})[name] = file
    if not files:
        kind = f"{split} episodes" if split else "episodes"
        raise UserError(f"{run.path} has kept no {kind}; log.episodes of a scenario says how many are kept")
    chosen = max(files) if update is None else update
    if chosen not in files:
        raise UserError(f"no episodes were kept after update {chosen}; kept are {', '.join(map(str, sorted(files)))}")
    name = next(name for name in SPLITS if name in files[chosen])
    return chosen, name, [_episode(row) for row in read_rows(files[chosen][name])]


def _episode(row: Mapping[str, Any]) -> Episode:
    """What `episode_row` wrote."""
    lists = ("messages", "turn_rewards", "tokens", "mask", "behavior_logp", "earlier")
    given = {key: tuple(row.get(key, ())) for key in lists}
    return Episode(**{**row, "stop_reason": StopReason(row["stop_reason"]), **given})


def _tokenizer(run: RunDirectory, scenario: Scenario) -> PreTrainedTokenizerBase:
    """The one that wrote the run's tokens."""
    saved = checkpoints(run.checkpoints)
    if scenario.speaks and saved:
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(saved[-1] / "policy")
    if isinstance(scenario.agent, CausalLMAgentSpec):
        from ...agents.language.model_files import load_language_model

        return load_language_model(scenario.agent.model, revision=scenario.agent.revision)[1]
    from ...agents.language.tiny_llama import tiny_tokenizer

    return tiny_tokenizer()


def sequences(episode: Episode) -> list[Seen]:
    """Every sequence of tokens that the model saw, in order."""
    last = Seen(tokens=list(episode.tokens), mask=list(episode.mask), behavior_logp=list(episode.behavior_logp))
    return [*episode.earlier, last]


def replies(episode: Episode) -> dict[int, tuple[int, range]]:
    """Of each turn, in which sequence its reply was sampled and where it stands there."""
    runs = [(number, run) for number, seen in enumerate(sequences(episode)) for run in _runs(seen["mask"])]
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
    where, seen, lines = replies(episode), sequences(episode), []
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
        reward = episode.turn_rewards[turn] if turn < len(episode.turn_rewards) else None
        lines.append(Line("assistant", message["content"], turn=turn, reward=reward, tokens=tokens, calls=calls))
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


def samples_of(episode: Episode) -> dict[int, Sample]:
    """What was trained on, by the number of the sequence: those with a reply, and each turn's reward at the last token
    of its reply. Rewards of turns whose tokens are not there come with the first reply that is."""
    from ...agents.language.sample import Sample

    where, seen = replies(episode), sequences(episode)
    samples: dict[int, Sample] = {}
    for turn, (k, at) in where.items():
        tokens, logp = seen[k]["tokens"], seen[k]["behavior_logp"]
        sample = samples.setdefault(k, Sample(tokens[: at.start]))
        sample.extend(tokens[len(sample.tokens) : at.start], turn, None)
        sample.extend(tokens[at.start : at.stop], turn, tuple(logp[at.start : at.stop]))
        first = 0 if turn == min(where) else turn
        sample.reward[at.stop - 1] = float(sum(episode.turn_rewards[first : turn + 1]))
    for k, sample in samples.items():
        sample.extend(seen[k]["tokens"][len(sample.tokens) :], sample.turn[-1], None)
    return samples


def _batch_of(episodes: Sequence[Episode]) -> tuple[Batch, list[tuple[int, int]]]:
    """The rows that `episodes` were trained as; of each the place of its episode and the number of its sequence."""
    from ...agents.language.packing import pack

    rows = [(n, k, sample) for n, episode in enumerate(episodes) for k, sample in samples_of(episode).items()]
    names = [(episodes[n].group, episodes[n].index) for n, _, _ in rows]
    batch = pack([sample for _, _, sample in rows], names, episodes[0].version)
    return batch, [(n, k) for n, k, _ in rows]


def _values(episode: Episode, found: Mapping[int, Tensor]) -> Values:
    """A value for every token of every sequence, from those rows of a batch that hold a reply."""
    return [
        found[k][: len(seen["tokens"])].tolist() if k in found else [None] * len(seen["tokens"])
        for k, seen in enumerate(sequences(episode))
    ]


def _advantages(
    run: RunDirectory, scenario: Scenario, episode: Episode, episodes: Sequence[Episode], update: int
) -> tuple[Values, str]:
    """The advantage of every token that was trained, recomputed; the sign of the reward where that cannot be."""
    stage, why = _stage(run, scenario, update), None
    members = [other for other in episodes if other.group == episode.group]
    if episode.split != "train" or stage is None:
        why = "an episode of an evaluation has no advantage"
    elif episode.reward is None:
        why = "an episode without a reward is not trained on"
    else:
        why = _unknowable(stage, episode, len(members))
    if stage is None or why is not None:
        reward = episode.reward
        sign = None if reward is None else float((reward > 0) - (reward < 0))
        signs: Values = [[sign] * len(seen["tokens"]) for seen in sequences(episode)]
        return signs, f"sign of the episode's reward, because {why}"
    from ...algorithms.credit import assign_credit
    from ..assembly.settings import stage_method

    scored = [other for other in members if other.reward is not None and replies(other)]
    batch, rows = _batch_of(scored)
    advantage = assign_credit(batch, stage_method(stage).credit).advantage_B_T
    own = scored.index(episode)
    values = _values(episode, {k: advantage[b] for b, (n, k) in enumerate(rows) if n == own})
    among = f", among the {len(members)} of its group" if len(members) > 1 else ""
    return values, f"advantage, as {stage.method!r} gives it{among}"


def _unknowable(stage: Stage, episode: Episode, members: int) -> str | None:
    """Why what was kept does not tell an episode's advantages; None if it does."""
    from ..assembly.settings import stage_method

    row = stage_method(stage)
    size = stage.collect.group_size if stage.collect else 1
    if not replies(episode):
        return "nothing was said"
    if row.credit.transform == "one":
        return None
    if row.needs_critic:
        return "a critic's values are not kept"
    if row.credit.baseline == "batch_mean" or row.credit.whiten != "none":
        return f"{row.name!r} compares with a whole batch, which is not kept"
    if row.needs_groups and members < size:
        return f"only {members} of the {size} episodes of its group were kept (log.episodes)"
    if row.credit.granularity != "trajectory" and min(replies(episode)) > 0:
        return "the template rewrote its earlier turns, whose tokens are not kept"
    return None


def _stage(run: RunDirectory, scenario: Scenario, update: int) -> Stage | None:
    """The stage that an update belonged to."""
    names = [row["stage"] for row in read_rows(run.metrics) if row["update"] == update]
    return next((stage for stage in scenario.stages if names and stage.name == names[-1]), None)


def _gaps(run: RunDirectory, scenario: Scenario, episode: Episode, sampled_at: int) -> tuple[Values, str]:
    """Trainer's minus sampler's log-probability of every token, with the checkpoint nearest to the sampler's."""
    import torch

    from ...agents.language.language_policy import LanguagePolicy
    from ..run.saved_agent import open_agent

    if not replies(episode):
        raise UserError("nothing was said in this episode, so there is no gap")
    if not any(any(seen["behavior_logp"]) for seen in sequences(episode)):
        raise UserError("these tokens were written and not sampled: they have no log-probability to compare with")
    saved = checkpoints(run.checkpoints)
    if not saved:
        raise UserError(f"{run.path} has no checkpoint to compute log-probabilities with")
    nearest = min(saved, key=lambda folder: abs(int(folder.name) - sampled_at))
    policy = open_agent(run.path, nearest.name)[2]
    assert isinstance(policy, LanguagePolicy), "only language models sample tokens"
    batch, rows = _batch_of([episode])
    batch = batch.to(str(policy.device))
    with torch.no_grad():
        gap = policy.evaluate(batch.inputs)[0] - batch.behavior_logp_B_T
    apart = abs(int(nearest.name) - sampled_at)
    basis = f"log-probability at checkpoint {nearest.name} − at sampling"
    return (
        _values(episode, {k: gap[b] for b, (_, k) in enumerate(rows)}),
        basis + (f"; {apart} updates lie between them" if apart else ""),
    )
