"""What draws tokens from a language agent: `engine: transformers` (ours, the default), `engine: vllm`, or
`engine: {vllm: {memory: 4}}`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, SerializerFunctionWrapHandler, model_serializer, model_validator

from ...envs.errors import WrongWithin, nearest
from ...envs.quantities import real, shown
from .voices import Address, Part

OURS = "transformers"


class VllmSpec(Part):
    """vLLM, in this process: GiB of memory for keys and values, in which precision it multiplies, and whether a GPU has
    its memory back while the learner learns. Or a server's `url` ("http://127.0.0.1:8000"), which has a memory and a
    precision of its own."""

    memory: Annotated[float, real(above=0, most=1e5)] = 2.0
    dtype: Literal["fp32", "bf16"] | None = None  # default: the scenario's precision
    sleep: bool = False
    url: Address | None = None

    @model_validator(mode="after")
    def _is_here_or_there(self) -> VllmSpec:
        for name in ("memory", "dtype", "sleep"):
            if self.url is not None and getattr(self, name) != type(self).model_fields[name].default:
                raise WrongWithin(
                    [name], f"engine.vllm.{name} has no effect on a server, which was started with its own"
                )
        return self

    @model_serializer(mode="wrap")
    def _of_a_server_its_url(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return handler(self) if self.url is None else {"url": self.url}


class EngineSpec(Part):
    """One engine with its options."""

    vllm: VllmSpec


def _by_name(given: Any) -> Any:
    """A name alone stands for an engine with its defaults."""
    if isinstance(given, dict) and list(given) == [OURS] and not given[OURS]:
        return None  # it has no options
    if not isinstance(given, str):
        return given
    if given == OURS:
        return None
    names = [OURS, *EngineSpec.model_fields]
    if given not in names:
        raise ValueError(f"{shown(given)} is no engine; allowed: {', '.join(names)}.{nearest(given, names)}")
    return {given: {}}


Engine = Annotated[EngineSpec | None, BeforeValidator(_by_name)]
