"""How the conversations of a scenario become text and tokens: its chat template, its stop tokens, its limits."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from ...envs.errors import UserError, nearest
from ..config.agents import CausalLMAgentSpec
from ..config.mistakes import at
from ..config.schema import Scenario

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from ...agents.language.chat_template import Renderer
    from ...agents.language.language_policy import LanguagePolicy
    from .worlds import WorldSources


def give_template(tokenizer: PreTrainedTokenizerBase, agent: CausalLMAgentSpec) -> None:
    """Put `agent.chat_template` in place of the tokenizer's own."""
    if agent.chat_template is not None:
        with at("agent", "chat_template"):
            tokenizer.chat_template = _template(agent.chat_template)


def _template(name: str) -> str:
    """The text of a template: a file, or what a model's folder or a hub's model has."""
    path = Path(name).expanduser()
    if path.is_file():
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"agent.chat_template {name!r} is no text file: {error}") from error
    local = path.is_absolute() or name.startswith((".", "~")) or path.suffix == ".jinja" or name.count("/") != 1
    if local and not path.is_dir():
        raise UserError(f"agent.chat_template {name!r} is no file, no model's folder and no hub id like org/name")
    from transformers import AutoTokenizer

    try:
        template = AutoTokenizer.from_pretrained(name, trust_remote_code=False).chat_template
    except Exception as error:  # of files of a stranger's, whose readers raise what they like
        raise UserError(
            f"agent.chat_template: could not read {name!r}: {' '.join(str(error).split())[:500]}"
        ) from error
    if not isinstance(template, str):
        raise UserError(f"agent.chat_template: the tokenizer of {name!r} has no chat template")
    return template


def make_renderer(policy: LanguagePolicy, scenario: Scenario) -> Renderer:
    """The renderer of the agent that learns. `UserError` for what `doctor` calls fatal, in the same words."""
    from ...agents.language.chat_template import Renderer

    agent = scenario.agent
    if not isinstance(agent, CausalLMAgentSpec):
        return Renderer(policy.tokenizer, policy.end_ids)
    with at("agent", "today"):
        _check_day(agent.today)
    with at("agent", "stop"):
        stops = [_stop_id(policy.tokenizer, stop) for stop in agent.stop]
    _check_variables(policy.tokenizer.chat_template, agent.template)
    with at("agent"):
        return Renderer(
            policy.tokenizer,
            [*stops, *policy.end_ids],
            variables=agent.template,
            today=agent.today,
            calls=None if agent.reply_format == "auto" else agent.reply_format,
        )


def context_of(policy: LanguagePolicy, scenario: Scenario) -> int:
    """Most tokens of a conversation. `UserError` for a limit above the model's own."""
    limit = scenario.agent.context if isinstance(scenario.agent, CausalLMAgentSpec) else None
    if limit is None:
        return policy.context
    with at("agent", "context"):
        if limit > policy.context:
            raise UserError(f"agent.context is {limit}, and the model holds {policy.context} tokens; give at most that")
    return limit


def template_remarks(policy: object, scenario: Scenario, sources: WorldSources) -> Iterator[str]:
    """What somebody should know of the chat template before the first episode."""
    if not isinstance(scenario.agent, CausalLMAgentSpec):
        return  # before what is imported for language alone: a robot need not wait for it
    from ...agents.language.language_policy import LanguagePolicy

    if not isinstance(policy, LanguagePolicy):
        return
    renderer = make_renderer(policy, scenario)
    calls = any(source.facts.calls for source in sources.values())
    if calls and not (renderer.habits.tool_role or renderer.habits.lone_tool):
        yield "the chat template knows no role for tools: what they answer is given as a user's message"
    if not renderer.habits.tools and any(
        source.facts.calls and not source.facts.tools_in_prompt for source in sources.values()
    ):
        yield (
            "the chat template shows no tools, and tools_in_prompt is off, so that the agent is not told what it can "
            "call; a ToolWorld describes its tools with tools_in_prompt=True (world.options.tools_in_prompt: true)"
        )
    if renderer.tells_the_date:
        today = scenario.agent.today
        yield f"the chat template writes the date: this run is told {today} (agent.today), now and resumed"


def _check_variables(template: object, variables: Mapping[str, object]) -> None:
    """UserError for a variable that a chat template never reads: the word does not stand in it."""
    text = template if isinstance(template, str) else json.dumps(template)
    words = set(re.findall(r"[^\W\d]\w*", text))
    for name in variables:
        if name not in words:
            with at("agent", "template", name):
                raise UserError(
                    f"agent.template.{name} has no effect: the chat template never reads {name!r}."
                    f"{nearest(name, words)} Leave it out"
                )


def _check_day(today: str | None) -> None:
    try:
        date.fromisoformat(today or "2000-01-01")
    except ValueError:
        raise UserError(f"agent.today is {today!r}, which is no day; it is written as 2026-11-26") from None


def _stop_id(tokenizer: PreTrainedTokenizerBase, stop: str | int) -> int:
    if isinstance(stop, int):
        if not 0 <= stop < len(tokenizer):
            raise UserError(f"agent.stop: there is no token {stop}; ids go from 0 to {len(tokenizer) - 1}")
        return stop
    ids = tokenizer(stop, add_special_tokens=False)["input_ids"]
    if len(ids) != 1:
        words = json.dumps(stop, ensure_ascii=False)
        raise UserError(f"agent.stop: {words} is {len(ids)} tokens of this tokenizer; a stop is one token, or its id")
    return int(ids[0])
