"""Whom a world talks to besides the agent, made from `world.voices` of a scenario."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from ...agents.protocols import Engine
from ...envs.conversation.conversation_env import Voice
from ...envs.errors import UserError, unknown
from ...envs.named_objects import load_function
from ...envs.world_source import WorldFacts
from ..config.mistakes import at
from ..config.schema import CausalLMVoice, PolicyVoice, Scenario, ScriptedVoice, VoiceSpec
from .engines import check_model_is_there, make_engine, model_that_does_not_learn

if TYPE_CHECKING:
    from ...agents.language.language_policy import LanguagePolicy

KINDS = "scripted, policy or causal_lm"


def check_voices(scenario: Scenario, facts: WorldFacts) -> None:
    """UserError for a voice that the world wants and does not get, for one that it does not want, and for one that
    cannot speak."""
    name, given = scenario.world.id, scenario.world.voices
    with at("world"):
        for wanted in facts.voices:
            if wanted not in given:
                raise UserError(f"{name!r} talks to {wanted!r}: give world.voices.{wanted}, of kind {KINDS}")
    for voice, spec in given.items():
        with at("world", "voices", voice):
            if voice not in facts.voices:
                raise UserError(f"{name!r}: {unknown('voice', voice, facts.voices)}")
            if isinstance(spec, ScriptedVoice):
                load_function(spec.function)
                continue
            if not facts.waits:
                raise UserError(f"{name!r} is stepped in place (`waits` is False), so {voice!r} can only be scripted")
            if isinstance(spec, PolicyVoice) and not scenario.speaks:
                raise UserError(
                    f"{voice!r} is to be the agent itself, and one of kind {scenario.agent.kind!r} has no voice"
                )
            if isinstance(spec, CausalLMVoice):
                check_model_is_there(spec.model)


class Voices:
    """The voices of one stage, and the engines that are theirs alone. `policy` and `engine` are the agent's, where it
    is a language model."""

    def __init__(self, scenario: Scenario, policy: LanguagePolicy | None, engine: Engine | None, device: str) -> None:
        self._engines: list[Engine] = []
        self._makers = {name: self._maker(spec, policy, engine, device) for name, spec in scenario.world.voices.items()}

    def for_a_world(self) -> Mapping[str, Voice]:
        """Those of one world."""
        return {name: make() for name, make in self._makers.items()}

    def close(self) -> None:
        """Close the engines; twice is harmless."""
        for engine in self._engines:
            engine.close()

    def _maker(
        self, spec: VoiceSpec, policy: LanguagePolicy | None, engine: Engine | None, device: str
    ) -> Callable[[], Voice]:
        if isinstance(spec, ScriptedVoice):
            function = load_function(spec.function)
            return lambda: function
        from ...agents.language.chat_template import Renderer
        from ...agents.language.voices import LanguageVoice

        if isinstance(spec, CausalLMVoice):
            policy = model_that_does_not_learn(spec, device)
            engine, renderer = make_engine(policy)
            self._engines.append(engine)
        else:
            assert policy is not None, "check_voices has seen to it"
            assert engine is not None, "an agent that speaks has one"
            renderer = Renderer(policy.tokenizer, policy.end_ids)
        return partial(LanguageVoice, engine, renderer, context=policy.context, max_tokens=spec.max_tokens)
