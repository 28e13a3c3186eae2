"""The oracle's conversations as data for supervised fine-tuning, by this or by any other trainer.

    {"messages": [{"role": "user", "content": …}, {"role": "assistant", "content": …, "tool_calls": […]},
                  {"role": "tool", "name": …, "tool_call_id": …, "content": …}, …],  "tools": [JSON schemas]}

One line for each episode that the oracle solved (success, or in worlds without that notion a reward of 1); the others
are counted. Where the world leaves its tools to the chat template, calls stand as `tool_calls`, which a template writes
as its own model writes them. A call that no model's format reads (the compact one), or that the prompt itself teaches,
stays in the text as it was written.

Episode k of a scenario is the k-th that its first demonstration stage learns from. What the world says after the last
reply is left out: there is nothing to learn from it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..agents.language.asking import Start, step_world
from ..agents.language.authors import Oracle
from ..envs.conversation.conversation_env import ConversationEnv
from ..envs.errors import UserError
from ..envs.seeding import derive_seed
from ..envs.tools.call_formats import reply_format
from ..envs.vocabulary import Message, Reply
from .assembly.voices import scripted_voices
from .assembly.worlds import WorldSources
from .config.loading import apply_sets, check_scenario, find_scenario, load_scenario, shipped
from .config.schema import Scenario
from .config.yaml_text import Source
from .run.disk import disk_errors, make_folder, to_json, write_text
from .streams import data

MODEL_FORMATS = ("hermes", "llama3", "python")  # in which chat templates write calls
_WORLD = re.compile(r".*(:|/|-v\d+$)")

_OTHER_FORMS = (".csv", ".tsv", ".parquet", ".yaml", ".yml", ".xlsx", ".arrow", ".gz", ".zip")


@dataclass(frozen=True)
class Export:
    """What came of the episodes."""

    rows: tuple[Mapping[str, Any], ...]  # of the solved ones, in order
    unsolved: int
    failures: tuple[str, ...]  # why, of each that broke
    left_out: Mapping[str, int] = field(default_factory=dict)  # how many solved ones teach nothing, by the reason
    cut: int = 0  # replies of those that are exported which nobody is to learn

    @property
    def summary(self) -> str:
        """`97 of 100 episodes were solved and are exported; 2 were not solved; 1 failed: ValueError: …`"""
        played = len(self.rows) + self.unsolved + len(self.failures) + sum(self.left_out.values())
        parts = [f"{len(self.rows)} of {played} episodes were solved and are exported"]
        if self.unsolved:
            parts.append(f"{self.unsolved} were not solved")
        if self.failures:
            parts.append(f"{len(self.failures)} failed: {self.failures[0].strip().splitlines()[0]}")
        parts += [f"{many} left out: {why}" for why, many in self.left_out.items()]
        if self.cut:
            parts.append(f"{self.cut} replies that were cut at max_tokens have weight 0, and are not learned")
        return "; ".join(parts)


@dataclass(frozen=True)
class _Played:
    """One episode with the oracle."""

    messages: Sequence[Message]
    tools: Sequence[Mapping[str, Any]]
    solved: bool
    failure: str | None


def export_demonstrations(name: str, episodes: int, *, seed: int | None = None, sets: Sequence[str] = ()) -> Export:
    """Conversations with the oracle of a scenario's world, or of the world called `name`, on training tasks.

    `seed` is the run's (default: the scenario's), `sets` are `--set` flags. UserError for a name that is not there,
    and for a world that has no oracle or is none of messages.
    """
    scenario = _scenario(name, sets)
    if scenario.worlds:
        raise UserError(f"the oracles of {len(scenario.worlds)} worlds speak in {name!r}; export the scenario of one")
    world = WorldSources.of(scenario).first.make(scripted_voices(scenario))
    try:
        if not isinstance(world.unwrapped, ConversationEnv):
            raise UserError(f"{scenario.world.id!r} is not a world of messages: there is no conversation to export")
        root = derive_seed(scenario.seed if seed is None else seed, "stage", _demonstrating(scenario))
        conversations = [_play(world.unwrapped, root, group) for group in range(episodes)]
    finally:
        world.close()
    kinds = Counter((conversation.solved, conversation.failure is not None) for conversation in conversations)
    rows = tuple(
        chat_row(conversation.messages, conversation.tools) for conversation in conversations if conversation.solved
    )
    return Export(
        rows, kinds[False, False], tuple(conversation.failure for conversation in conversations if conversation.failure)
    )


def check_export(out: Path | None) -> None:
    """UserError, before anything is played, for a file that is there already, or whose name says another form."""
    if out is None:
        return
    if out.exists():
        raise UserError(f"{out} is there already and is not overwritten; use another --out")
    if out.suffix.lower() in _OTHER_FORMS:
        words = f"and what is written is one JSON object a line; write {out.with_suffix('.jsonl')}"
        raise UserError(f"--out: {out} ends in {out.suffix}, {words}")


def write_export(done: Export, out: Path | None) -> None:
    """One row a line to the new file `out`, or to stdout."""
    text = "".join(to_json(row) + "\n" for row in done.rows)
    if out is None:
        print(text, end="", file=data(), flush=True)
        return
    make_folder(out.parent)
    with disk_errors(out, into_run=False):
        write_text(out, text)


def chat_row(messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A conversation as chat trainers read it, up to its last reply; see the module's docstring."""
    known = {str(tool["function"]["name"]) for tool in tools}
    last = max(n for n, message in enumerate(messages) if message["role"] == "assistant")
    rows: list[dict[str, Any]] = []
    calls, asked = 0, []  # calls so far, and the ids of those that wait for their answer
    for message in messages[: last + 1]:
        row = dict(message)
        if message["role"] == "assistant":
            reply = _read(message["content"], known)
            asked = [f"call{calls + n:05d}" for n in range(len(reply.tool_calls))]  # some templates want nine letters
            calls += len(asked)
            row["content"] = reply.text
            if asked:
                thought, end, _ = message["content"].rpartition("</think>")
                row["content"] = thought + end + reply.text  # who reads calls passes over thoughts
                row["tool_calls"] = [
                    {"id": id_, "type": "function", "function": {"name": call.name, "arguments": dict(call.arguments)}}
                    for id_, call in zip(asked, reply.tool_calls, strict=True)
                ]
        elif message["role"] == "tool" and asked:
            row["tool_call_id"] = asked.pop(0)
        rows.append(row)
    return {"messages": rows, "tools": [dict(tool) for tool in tools]}


def _read(text: str, known: set[str]) -> Reply:
    """The calls in a reply, by the first format of a model that finds calls of known tools; else all is text."""
    for name in MODEL_FORMATS if known else ():
        reply = reply_format(name).parse(text)
        if reply.tool_calls and known.issuperset(call.name for call in reply.tool_calls):
            return reply
    return Reply(text)


def _scenario(name: str, sets: Sequence[str]) -> Scenario:
    """The scenario called `name`, or one that only has the world of that name."""
    if name in shipped() or name.endswith((".yaml", ".yml")) or not _WORLD.match(name):
        return load_scenario(str(find_scenario(name)), sets)
    data = {"name": "export", "world": {"id": name}, "agent": {"kind": "oracle"}, "stages": [{"name": "export"}]}
    source = Source("--set")
    return check_scenario(apply_sets(data, sets, source), source)


def _demonstrating(scenario: Scenario) -> int:
    """The place of the first stage that learns from demonstrations; 0 if there is none."""
    return next((n for n, stage in enumerate(scenario.stages) if stage.demonstrations is not None), 0)


def _play(world: ConversationEnv, root: int, group: int) -> _Played:
    """One training episode, as an actor would open it."""
    answer = step_world(world, Start.of(root, "train", group))
    messages: list[Message] = list(answer.info.get("messages", ()))
    tools = answer.info.get("tools", ())
    reward = 0.0
    while not (answer.terminated or answer.truncated or answer.failure):
        text = Oracle().reply(messages, tools, world, seed=0, greedy=True).text
        messages.append({"role": "assistant", "content": text})
        answer = step_world(world, Reply(text))
        reward += answer.reward
        messages += answer.info.get("messages", ())
    success = answer.info.get("success")
    solved = not answer.failure and (reward > 1 - 1e-9 if success is None else bool(success))
    return _Played(messages, tools, solved, answer.failure)
