"""What a scenario may say of those whom its world talks to besides the agent, and what every piece of one keeps to."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ...envs.quantities import real, shown, whole

Temperature = Annotated[float, real(least=0.001, most=1000)]  # beyond, softmax is no distribution in fp32
TopP = Annotated[
    float, real(least=0.001, most=1, percent=2)
]  # below, only the likeliest token is left, and nothing is learned


def _is_address(url: str) -> str:
    """`url`, if it is one of a server. Keys do not stand in it: a run keeps its scenario, and messages say the url."""
    if any(mark in url for mark in "@?#"):
        raise ValueError("a url holds no user, password, ? or #; name the variable with the key by agent.key_env")
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and not set(url) & set(" \t\n")
    except ValueError:  # of a port that is none, of brackets that do not close
        fits = False
    if not fits:
        raise ValueError(f"{shown(url)} is no url of a server; write such as http://host:8000/v1")
    return url


Address = Annotated[str, AfterValidator(_is_address)]  # of a server
MinP = Annotated[float, real(least=0, most=1, percent=2)]  # of the likeliest token's probability


class Part(BaseModel):
    """A piece of a scenario: frozen, and strict about its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())


def number_as_text(given: object) -> object:
    """Of a checkpoint's name, which is a number where YAML reads it bare: 000190."""
    return str(given) if isinstance(given, int) and not isinstance(given, bool) else given


class ScriptedVoice(Part):
    """A function `module:name` from messages and a seed to text."""

    kind: Literal["scripted"]
    function: str


class PolicyVoice(Part):
    """The agent itself, as it speaks at the moment. Its part of the conversation is not trained on."""

    kind: Literal["policy"]
    max_tokens: Annotated[int, whole(1, 1_000_000)] = 32


class CausalLMVoice(Part):
    """Another language model, which does not learn: a hub id, a local folder or a GGUF file."""

    kind: Literal["causal_lm"]
    model: str
    revision: str | None = None
    temperature: Temperature = 1.0
    top_p: TopP = 1.0
    top_k: Annotated[int, whole(1, 1_000_000)] | None = None
    min_p: MinP = 0.0
    max_tokens: Annotated[int, whole(1, 1_000_000)] = 32


VoiceSpec = Annotated[ScriptedVoice | PolicyVoice | CausalLMVoice, Field(discriminator="kind")]
