"""An episode that a run kept, as lines to read: who said what, what it earned, and a number for every token.

    advantage  A, recomputed from the token's group; where the group was not kept whole, the sign of the reward
    gap        log π(token) of the trainer − that of the sampler, which is zero where both mean one distribution
    logp       log π(token) of the sampler

Left out: the tokens of turns that the chat template rewrote, because an episode keeps its last sample only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..envs.errors import UserError, unknown
from ..envs.vocabulary import Episode, StopReason
from .checkpoint import checkpoints
from .run_directory import RunDirectory, read_rows
from .schema import CausalLMAgent, Scenario, Stage

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from ..agents.conversation import Sample

MEASURES = ("advantage", "gap", "logp")
SPLITS = ("train", "test")  # the first that was kept is shown


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
            values, basis = list(episode.behavior_logp), "log-probability under the policy that sampled"
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
    lists = ("messages", "turn_rewards", "tokens", "mask", "behavior_logp")
    return Episode(**{**row, "stop_reason": StopReason(row["stop_reason"]), **{key: tuple(row[key]) for key in lists}})


def _tokenizer(run: RunDirectory, scenario: Scenario) -> PreTrainedTokenizerBase:
    """The one that wrote the run's tokens."""
    saved = checkpoints(run.checkpoints)
    if scenario.speaks and saved:
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(saved[-1] / "policy")
    if isinstance(scenario.agent, CausalLMAgent):
        from ..agents.loading import load_language_model

        return load_language_model(scenario.agent.model, revision=scenario.agent.revision)[1]
    from ..agents.tiny import tiny_tokenizer

    return tiny_tokenizer()


def replies(episode: Episode) -> dict[int, range]:
    """Where in `episode.tokens` each turn's reply stands; turns before a rewriting of the template have none."""
    runs, at = [], 0
    for chosen, run in groupby(episode.mask):
        length = len(list(run))
        if chosen:
            runs.append(range(at, at + length))
        at += length
    first = _spoken(episode) - len(runs)
    return dict(enumerate(runs, first))


def _spoken(episode: Episode) -> int:
    """Replies in the episode: its turns, and one that the world never answered."""
    unanswered = episode.failure is not None and bool(episode.mask) and episode.mask[-1]
    return episode.turns + unanswered


def _lines(episode: Episode, values: Sequence[float | None], tokenizer: PreTrainedTokenizerBase) -> tuple[Line, ...]:
    """Every message. Replies of the agent are the last ones of its role; earlier ones were examples in the prompt."""
    where, lines = replies(episode), []
    assistants = sum(message["role"] == "assistant" for message in episode.messages)
    turn = _spoken(episode) - assistants - 1
    for number, message in enumerate(episode.messages):
        turn += message["role"] == "assistant"
        if message["role"] != "assistant" or turn < 0:
            lines.append(Line(message["role"], message["content"], message.get("name")))
            continue
        at = where.get(turn, range(0))
        ids = [episode.tokens[t] for t in at]
        tokens = tuple(
            Token(id_, text, episode.behavior_logp[t], values[t])
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


def sample_of(episode: Episode) -> Sample:
    """The sample that an episode keeps, as it was trained on: a turn's reward is at the last token of its reply.
    Rewards of turns that the template rewrote come with the first reply that is left."""
    from ..agents.conversation import Sample

    where = replies(episode)
    sample = Sample(list(episode.tokens[: where[min(where)].start]))
    for turn, at in where.items():
        sample.extend(episode.tokens[len(sample.tokens) : at.start], turn, None)
        sample.extend(episode.tokens[at.start : at.stop], turn, episode.behavior_logp[at.start : at.stop])
        earlier = 0 if turn == min(where) else turn
        sample.reward[at.stop - 1] = float(sum(episode.turn_rewards[earlier : turn + 1]))
    sample.extend(episode.tokens[len(sample.tokens) :], max(where), None)
    return sample


def _advantages(
    run: RunDirectory, scenario: Scenario, episode: Episode, episodes: Sequence[Episode], update: int
) -> tuple[list[float | None], str]:
    """The advantage of every token that was trained, recomputed; the sign of the reward where that cannot be."""
    stage, why = _stage(run, scenario, update), None
    members = [other for other in episodes if other.group == episode.group]
    if episode.split != "train" or stage is None:
        why = "an episode of an evaluation has no advantage"
    elif episode.reward is None:
        why = "a failed episode is not trained on"
    else:
        why = _unknowable(stage, episode, len(members))
    if stage is None or why is not None:
        reward = episode.reward
        sign = None if reward is None else float((reward > 0) - (reward < 0))
        return [sign] * len(episode.tokens), f"sign of the episode's reward, because {why}"
    from ..agents.packing import pack
    from ..algorithms.credit import assign_credit
    from .build import stage_method

    scored = [other for other in members if other.reward is not None and any(other.mask)]
    batch = pack([sample_of(e) for e in scored], range(len(scored)), [e.group for e in scored], episode.version)
    row = assign_credit(batch, stage_method(stage).credit).advantage_B_T[scored.index(episode)]
    among = f", among the {len(members)} of its group" if len(members) > 1 else ""
    return row[: len(episode.tokens)].tolist(), f"advantage, as {stage.method!r} gives it{among}"


def _unknowable(stage: Stage, episode: Episode, members: int) -> str | None:
    """Why what was kept does not tell an episode's advantages; None if it does."""
    from .build import stage_method

    row = stage_method(stage)
    size = stage.collect.group_size if stage.collect else 1
    if not any(episode.mask):
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


def _gaps(run: RunDirectory, scenario: Scenario, episode: Episode, sampled_at: int) -> tuple[list[float | None], str]:
    """Trainer's minus sampler's log-probability of every token, with the checkpoint nearest to the sampler's."""
    import torch

    from ..agents.language import LanguagePolicy
    from ..agents.packing import pack
    from .replay import open_agent

    if not any(episode.mask):
        raise UserError("nothing was said in this episode, so there is no gap")
    if not any(episode.behavior_logp):
        raise UserError("these tokens were written and not sampled: they have no log-probability to compare with")
    saved = checkpoints(run.checkpoints)
    if not saved:
        raise UserError(f"{run.path} has no checkpoint to compute log-probabilities with")
    nearest = min(saved, key=lambda folder: abs(int(folder.name) - sampled_at))
    policy = open_agent(run.path, nearest.name)[2]
    assert isinstance(policy, LanguagePolicy), "only language models sample tokens"
    batch = pack([sample_of(episode)], [0], [episode.group], episode.version).to(str(policy.device))
    with torch.no_grad():
        logp = policy.evaluate(batch.inputs)[0][0, : len(episode.tokens)].tolist()
    apart = abs(int(nearest.name) - sampled_at)
    basis = f"log-probability at checkpoint {nearest.name} − at sampling"
    return (
        [mine - theirs for mine, theirs in zip(logp, episode.behavior_logp, strict=True)],
        basis + (f"; {apart} updates lie between them" if apart else ""),
    )
