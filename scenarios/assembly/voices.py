"""Whom a world talks to besides the agent, made from `world.voices` of a scenario."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from ...agents.protocols import Engine, Weights
from ...envs.conversation.conversation_env import Voice
from ...envs.errors import UserError, unknown
from ...envs.named_objects import load_function
from ...envs.user_code import told
from ...envs.vocabulary import Message
from ...envs.world_source import WorldFacts
from ..config.mistakes import at
from ..config.schema import Scenario
from ..config.voices import CausalLMVoice, PolicyVoice, ScriptedVoice, VoiceSpec
from .engines import make_engine, model_that_does_not_learn
from .policies import is_at_hand
from .rendering import make_renderer
from .settings import choose_device

if TYPE_CHECKING:
    from ...agents.language.language_policy import LanguagePolicy

KINDS = "scripted, policy or causal_lm"


def check_voices(scenario: Scenario, facts: WorldFacts) -> None:
    """UserError for a voice that the world wants and does not get, for one that it does not want, and for one that
    cannot speak."""
    name, given = scenario.world.id, scenario.world.voices
    for voice in given:
        with at("world", "voices", voice):
            if voice not in facts.voices:
                raise UserError(f"{name!r}: {unknown('voice', voice, facts.voices)}")
    with at("world"):
        for wanted in facts.voices:
            if wanted not in given:
                raise UserError(f"{name!r} talks to {wanted!r}: give world.voices.{wanted}, of kind {KINDS}")
    for voice, spec in given.items():
        with at("world", "voices", voice):
            if isinstance(spec, ScriptedVoice):
                load_function(spec.function, "messages", "seed")
                continue
            if not facts.waits:
                raise UserError(
                    f"{name!r} is stepped in place (`waits` is False), so {voice!r} can only be scripted; write "
                    f"`waits = True` in its class, and {voice!r} may be of kind {spec.kind}"
                )
            if isinstance(spec, PolicyVoice) and not scenario.speaks:
                raise UserError(
                    f"{voice!r} is to be the agent itself, and one of kind {scenario.agent.kind!r} has no voice"
                )
            if isinstance(spec, CausalLMVoice):
                from ...agents.language.model_names import check_model_is_there

                with at("world", "voices", voice, "model"):
                    check_model_is_there(spec.model, spec.revision)


def scripted_voices(scenario: Scenario) -> Mapping[str, Voice]:
    """Those of a world that is played without an agent. UserError for a voice that needs a model."""
    for name, spec in scenario.world.voices.items():
        if not isinstance(spec, ScriptedVoice):
            raise UserError(f"the voice {name!r} is of kind {spec.kind!r}, and here only scripted ones can speak")
    return Voices(scenario, None, None).for_a_world()


def check_voices_load(scenario: Scenario) -> None:
    """Load the models of voices that are on this disk, and forget them. UserError for one that cannot be used."""
    for spec in {repr(spec): spec for one in scenario.alone().values() for spec in one.world.voices.values()}.values():
        if isinstance(spec, CausalLMVoice) and is_at_hand(spec):
            model_that_does_not_learn(spec, "cpu")


class Voices:
    """The voices in an actor's worlds, and the engines that are theirs alone. `engine`: the agent's, where it acts."""

    def __init__(self, scenario: Scenario, policy: LanguagePolicy | None, engine: Engine | None) -> None:
        self._scenario, self._policy, self._engine = scenario, policy, engine
        self._learning: list[Engine] = []  # with the agent's weights, where the agent itself does not act
        self._fixed: list[Engine] = []
        self._makers = {name: self._maker(spec) for name, spec in scenario.world.voices.items()}

    def for_a_world(self) -> Mapping[str, Voice]:
        """Those of one world."""
        return {name: make() for name, make in self._makers.items()}

    def load(self, weights: Weights) -> None:
        """Voices of the agent speak with these weights."""
        for engine in self._learning:
            engine.load(weights)

    def close(self) -> None:
        """Close the engines; twice is harmless."""
        for engine in (*self._learning, *self._fixed):
            engine.close()

    def _maker(self, spec: VoiceSpec) -> Callable[[], Voice]:
        if isinstance(spec, ScriptedVoice):
            return partial(_scripted, spec.function)
        from ...agents.language.chat_template import Renderer
        from ...agents.language.voices import LanguageVoice

        model = self._policy
        if isinstance(spec, CausalLMVoice):
            model = model_that_does_not_learn(spec, self._device)
        assert model is not None, "check_voices has seen to it"
        own = model is self._policy
        renderer = make_renderer(model, self._scenario) if own else Renderer(model.tokenizer, model.end_ids)
        engine = self._engine
        if not own:
            self._fixed.append(engine := make_engine(model, renderer))
        elif engine is None:
            self._learning.append(engine := make_engine(model, renderer, self._scenario))
        return partial(LanguageVoice, engine, renderer, context=model.context, max_tokens=spec.max_tokens)

    @property
    def _device(self) -> str:
        """Where the agent is."""
        if self._policy is not None:
            return str(self._policy.device)
        return choose_device(self._scenario.device, self._scenario.agent)


def _scripted(name: str) -> Voice:
    """The function `name`; a class has one object for each world. UserError from a call that gives no text."""
    function = load_function(name, "messages", "seed")
    if isinstance(function, type):
        with told(f"the voice {name!r} cannot be made"):
            function = function()

    def say(messages: Sequence[Message], seed: int) -> str:
        text = function(messages, seed)
        if not isinstance(text, str):
            raise UserError(f"the voice {name!r} gave {text!r:.80}, which is no text")
        return text

    return say
