"""Who speaks in a stage of conversations: the agent, demonstrators, and whom the worlds talk to besides."""

from __future__ import annotations

from ...agents.language.chat_template import Renderer
from ...agents.language.conversation_actor import ConversationActor
from ...agents.language.language_policy import LanguagePolicy
from ...agents.language.scheduling import Patience
from ...agents.language.tiny_llama import tiny_tokenizer
from ...agents.protocols import Author, Engine, Policy
from ...envs.named_objects import load_function
from ...envs.world_source import WorldSource
from ..config.schema import Agent, Demonstrator, OracleAgentSpec, Sampling, Scenario, ScriptedAgentSpec, WorldSpec
from .engines import make_engine
from .settings import choose_device
from .voices import Voices


class Talkers:
    """The agent has one engine, in all worlds of `scenario`; a voice may speak with it too."""

    def __init__(self, scenario: Scenario, policy: Policy | None) -> None:
        self._scenario, self._alone = scenario, scenario.alone()
        self._engine: Engine | None = None
        self._context, device = 1_000_000, choose_device(scenario.device, scenario.agent)
        self._renderer = Renderer(tiny_tokenizer())  # in whose tokens an agent without a model writes
        language = policy if isinstance(policy, LanguagePolicy) else None
        if language is not None:
            self._context, device = language.context, str(language.device)
            self._engine, self._renderer = make_engine(language, scenario.precision)
        self._voices = {name: Voices(alone, language, self._engine, device) for name, alone in self._alone.items()}

    def actor(self, name: str, source: WorldSource, who: Agent | Demonstrator) -> ConversationActor:
        """`who` in the world `name`, which comes from `source`."""
        own = who is self._scenario.agent
        voices = self._voices[name]
        return ConversationActor(
            lambda: source.make(voices.for_a_world()),
            self._engine if own and self._engine is not None else _author(who),
            self._renderer,
            context=self._context,
            max_tokens=(self._scenario.sampling or Sampling()).max_tokens,
            patience=_patience(self._alone[name].world),
        )

    def close(self) -> None:
        """Close the engines; twice is harmless."""
        for voices in self._voices.values():
            voices.close()
        if self._engine is not None:
            self._engine.close()


def _patience(world: WorldSpec) -> Patience:
    """The limits of time that the scenario gives, and the usual ones where it gives none."""
    given = {"step": world.step_seconds, "episode": world.episode_seconds}
    return Patience(**{name: seconds for name, seconds in given.items() if seconds is not None})


def _author(agent: Agent | Demonstrator) -> Author:
    """An agent without parameters; a script sees the messages."""
    from ...agents.language.authors import Chance, Oracle, Script

    if isinstance(agent, ScriptedAgentSpec):
        return Script(load_function(agent.function))
    return Oracle() if isinstance(agent, OracleAgentSpec) else Chance()
