"""What a scenario may say of its agent."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue, field_validator, model_validator

from ...envs.errors import WrongWithin
from ...envs.quantities import real, whole
from .voices import Address, Part, number_as_text

Width = Annotated[int, whole(1, 1 << 16)]  # of a layer


class Origin(Part):
    """A run whose agent this one begins as; written by `agent: {from: RUN, checkpoint: best}`."""

    run: str
    checkpoint: str = "best"

    _may_be_a_number = field_validator("checkpoint", mode="before")(number_as_text)


class MemorySpec(Part):
    """What an agent in a body remembers of its episode: `size` numbers of a gated recurrent unit."""

    kind: Literal["gru"] = "gru"
    size: Width = 64


class MlpAgentSpec(Part):
    """Actor and critic as two tanh networks, for worlds of bodies; pictures go through convolutions before them. With a
    `memory` both read what it holds beside what is seen. With `symmetry: critic` a state and its mirror image, by the
    symmetry that the world declares, have one value. `log_std` is where log σ of actions begins, in half widths of
    their bounds (in the world's own units where there are none)."""

    kind: Literal["mlp"]
    origin: Origin | None = None
    hidden: Annotated[list[Width], Field(min_length=1, max_length=100)] = [128, 128]
    memory: MemorySpec | None = None
    symmetry: Literal["critic"] | None = None
    log_std: Annotated[float, real(least=-3, most=2)] | None = None  # default: -0.5

    @model_validator(mode="after")
    def _what_is_remembered_has_no_image(self) -> MlpAgentSpec:
        if self.memory is not None and self.symmetry is not None:
            words = "agent.symmetry mirrors what is seen, and what is remembered has no image: leave one of both out"
            raise WrongWithin(["symmetry"], words)
        return self


class TinyLlamaAgentSpec(Part):
    """A small Llama built from nothing, with a character tokenizer: needs no download."""

    kind: Literal["tiny_llama"]
    origin: Origin | None = None
    hidden: Width = 96
    layers: Annotated[int, whole(1, 1000)] = 3
    heads: Annotated[int, whole(1, 1000)] = 4

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> TinyLlamaAgentSpec:
        if self.hidden % (2 * self.heads):  # each head rotates pairs of numbers
            words = f"agent.hidden is {self.hidden}, which is not a multiple of 2 × heads = {2 * self.heads}"
            raise WrongWithin(["heads" if "hidden" not in self.model_fields_set else "hidden"], words)
        return self


class LoraSpec(Part):
    """Only small matrices beside the linear layers learn; `targets` are names of layers (`q_proj`), by default all."""

    rank: Annotated[int, whole(1, 1 << 16)] = 16
    alpha: Annotated[int, whole(1, 1 << 20)] = 32
    targets: list[str] = []


ReplyFormat = Literal[
    "auto", "hermes", "llama3", "python", "mistral", "qwen3.5", "deepseek", "harmony", "glm", "gemma", "lfm"
]


class CausalLMAgentSpec(Part):
    """Any causal language model of `transformers`: a hub id, a local folder or a GGUF file.

    A reply ends at the model's own end tokens, at what the chat template writes behind one, and at `stop`. `template`
    are variables of the chat template; the date that it is told is that of `today`, which a run fills in as it begins.
    """

    kind: Literal["causal_lm"]
    origin: Origin | None = None
    model: str
    revision: str | None = None
    chat_template: str | None = None  # a file, a model's folder or a hub id; default: the model's own
    template: dict[str, JsonValue] = {}  # {enable_thinking: false, date_string: …}
    stop: list[str | int] = []  # further tokens that end a reply, by text or id
    context: Annotated[int, whole(1, 1 << 24)] | None = None  # most tokens of a conversation; default: the model's
    lora: LoraSpec | None = None
    reply_format: ReplyFormat = "auto"  # how it writes tool calls; auto: as its template does
    today: str | None = None  # "2026-11-26"


class RandomAgentSpec(Part):
    """Acts at random; learns nothing."""

    kind: Literal["random"]


class ScriptedAgentSpec(Part):
    """Acts by a function `module:name` from observation to action; learns nothing."""

    kind: Literal["scripted"]
    function: str


class OracleAgentSpec(Part):
    """Gives the reply that the conversation world itself knows to be right; learns nothing."""

    kind: Literal["oracle"]


class OpenAIAgentSpec(Part):
    """A model behind a server of OpenAI's chat-completions protocol, at `url` ("http://host:8000/v1"). It plays, and
    learns nothing. The server's key is in the environment, in the variable that `key_env` names."""

    kind: Literal["openai"]
    model: str
    url: Address = "https://api.openai.com/v1"
    key_env: str | None = None


Demonstrator = Annotated[RandomAgentSpec | ScriptedAgentSpec | OracleAgentSpec, Field(discriminator="kind")]
Agent = Annotated[
    MlpAgentSpec
    | TinyLlamaAgentSpec
    | CausalLMAgentSpec
    | OpenAIAgentSpec
    | RandomAgentSpec
    | ScriptedAgentSpec
    | OracleAgentSpec,
    Field(discriminator="kind"),
]
