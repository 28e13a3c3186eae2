"""What a scenario may say of those whom its world talks to besides the agent."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt


class _VoicePart(BaseModel):
    """One voice: frozen, and strict about its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())


class ScriptedVoice(_VoicePart):
    """A function `module:name` from messages and a seed to text."""

    kind: Literal["scripted"]
    function: str


class PolicyVoice(_VoicePart):
    """The agent itself, as it speaks at the moment. Its part of the conversation is not trained on."""

    kind: Literal["policy"]
    max_tokens: PositiveInt = 32


class CausalLMVoice(_VoicePart):
    """Another language model, which does not learn: a hub id, a local folder or a GGUF file."""

    kind: Literal["causal_lm"]
    model: str
    revision: str | None = None
    temperature: PositiveFloat = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    max_tokens: PositiveInt = 32


VoiceSpec = Annotated[ScriptedVoice | PolicyVoice | CausalLMVoice, Field(discriminator="kind")]
