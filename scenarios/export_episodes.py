"""What was said in the episodes that a run kept, as data for supervised fine-tuning, of that agent or of a student.

    peripatos export runs/r1/episodes/000040-train.jsonl --out chats.jsonl

The rows are those of `export_chat`, with the `split` of their tasks. Only episodes that were solved are written; the
others are counted. A reply that was cut at `max_tokens` has weight 0: who learned it would learn to end there. Tools
are no part of what a run keeps, so each episode is begun again in the run's world; one that begins otherwise there, as
a demonstration from a file does, is left out.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from ..agents.language.asking import step_world
from ..envs.conversation.conversation_env import ConversationEnv
from ..envs.errors import UserError
from ..envs.vocabulary import Episode, Message, StopReason
from .assembly.voices import scripted_voices
from .assembly.worlds import WorldSources
from .config.schema import Scenario
from .export_chat import Export, chat_row
from .rescore import spoken, start_of
from .run.kept_episodes import notice_damage, read_episodes
from .run.provenance import where_it_was_begun
from .run.run_directory import RunDirectory
from .run.verified import trusted_scenario

_BEGINS_OTHERWISE = "the run's world does not begin as they do"
_ALL_CUT = "each reply was cut at max_tokens"
_READ_AGAIN = ("written", "parse_error", "tool_calls", "reasoning_content")  # from what was written


def export_episodes(file: Path) -> Export:
    """The solved episodes of a file in the folder `episodes` of a run.

    Raises:
        UserError: the file is in no run, or holds what is no episode; a run in several worlds, or in one of bodies.
    """
    run = RunDirectory.open(file.parent.parent)
    scenario = trusted_scenario(run)
    if scenario.worlds:
        raise UserError(f"{run.path} was played in {len(scenario.worlds)} worlds, and episodes of one are exported")
    episodes = read_episodes(file)
    notice_damage(file, len(episodes))
    with where_it_was_begun(run), WorldSources.of(scenario) as sources:
        world = sources.first.make(scripted_voices(scenario))
        try:
            if not isinstance(world.unwrapped, ConversationEnv):
                raise UserError(f"{scenario.world.id!r} is not a world of messages: there is no conversation to export")
            return _exported(world.unwrapped, scenario, episodes)
        finally:
            world.close()


def _exported(world: ConversationEnv, scenario: Scenario, episodes: list[Episode]) -> Export:
    rows, left_out, cut = list[dict[str, Any]](), Counter[str](), 0
    for episode in filter(_is_solved, episodes):
        tools = _tools(world, scenario, episode)
        replies = [reply.stop_reason == StopReason.LENGTH for reply in spoken(scenario, episode)]
        if tools is None or all(replies):
            left_out[_BEGINS_OTHERWISE if tools is None else _ALL_CUT] += 1
            continue
        row = chat_row([_as_said(message) for message in episode.messages], tools)
        said = [message for message in row["messages"] if message["role"] == "assistant"]
        for message, was_cut in zip(said[len(said) - episode.turns :], replies, strict=True):
            message |= {"weight": 0} if was_cut else {}
        cut += sum(replies)
        rows.append({**row, "split": episode.split})
    failures = tuple(episode.failure for episode in episodes if episode.failure is not None)
    unsolved = len(episodes) - len(rows) - len(failures) - left_out.total()
    return Export(tuple(rows), unsolved, failures, dict(left_out), cut)


def _is_solved(episode: Episode) -> bool:
    """As `export_chat` says it of the oracle's."""
    if episode.failure is not None or episode.reward is None or not episode.turns:
        return False
    return episode.reward > 1 - 1e-9 if episode.success is None else episode.success == 1


def _tools(world: ConversationEnv, scenario: Scenario, episode: Episode) -> list[Any] | None:
    """The tools that could be called in an episode; None where the world does not begin as it did."""
    begun = start_of(scenario, episode)
    if begun is None:
        return None
    info = step_world(world, begun[0]).info
    opening = [(message["role"], message["content"]) for message in info.get("messages", ())]
    then = [(message["role"], message["content"]) for message in episode.messages[: len(opening)]]
    return list(info.get("tools", ())) if opening and opening == then else None


def _as_said(message: Message) -> Message:
    """A message as it was before its calls and its thought were read."""
    kept: Any = {key: value for key, value in message.items() if key not in _READ_AGAIN}
    return kept | {"content": message.get("written", message["content"])}
