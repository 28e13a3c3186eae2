"""The language policy: any causal language model of `transformers`, with an optional value head.

A row of a batch is one sample: the prompt, then everything that was said and sampled after it, right-padded with
at least one column to spare. Unit t is the token at position t, so

    logp[t] = log π(token[t] | token[<t]),    value[t] = V(state before token t),

and value[t + 1] is the value of the state that token t led to.

How rows are read is the model's `path`: as trees, whatever they begin with alike once (`prefix_tree`), with each prompt
once for all rows that begin with it (`shared_prompts`), or as they are (`plain_rows`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Literal, NamedTuple, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from ...envs.errors import UserError
from ...envs.vocabulary import Batch
from ..protocols import Distribution, Scores
from . import plain_rows, prefix_tree, shared_prompts
from .comparison import Teaching, Whole, divergence
from .compiled import compiled_forward, compiles
from .context_length import context_length
from .distribution import Read, entropy, log_probabilities, product, read_chosen, read_in_pieces
from .lora import Lora, load_adapter, save_adapter
from .low_precision import lower
from .model_path import SHORT, ModelPath, backbone_of, own_logits, takes_bools
from .short_attention import short_rows

Precision = Literal["fp32", "bf16"]
SHORT_PROMPTS = 0.25  # of all tokens: to share prompts of a smaller share saves less than a mask costs


class LanguagePolicy(nn.Module):
    """A causal language model as a `Policy`.

    `temperature`, `top_p`, `top_k` and `min_p` are part of the policy: they say which distribution is sampled
    (`Distribution`), and log-probabilities are of that distribution. With `precision` "bf16" the model's matrices are
    rounded to bf16, in place (`low_precision`); norms, logits, log-probabilities and the value head stay fp32.
    """

    memoryless = False

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        critic: bool = False,
        temperature: float = 1.0,
        top_p: float = 1.0,
        top_k: int | None = None,
        min_p: float = 0.0,
        precision: Precision = "fp32",
        path: ModelPath = SHORT,
        lora: Lora | None = None,
    ) -> None:
        super().__init__()
        if temperature <= 0:
            raise UserError(f"temperature must be above 0, got {temperature}; for the likeliest token, be greedy")
        if not 0 < top_p <= 1:
            raise UserError(f"top_p must be in (0, 1], got {top_p}")
        if not 0 <= min_p <= 1:
            raise UserError(f"min_p must be in [0, 1], got {min_p}")
        if top_k is not None and top_k < 1:
            raise UserError(f"top_k must be at least 1, got {top_k}; leave it out to draw from all tokens")
        self.model, self.tokenizer = model.eval(), tokenizer  # eval: dropout would change log-probabilities
        if precision == "bf16":
            lower(model)
        self.distribution, self.precision = Distribution(temperature, top_p, top_k, min_p), precision
        self.path, self.lora = path, lora
        self.token_budget: int | None = None  # a pass of more tokens keeps one state a layer, and runs layers again
        self.has_critic = critic
        self.value_head = nn.Linear(model.config.get_text_config().hidden_size, 1) if critic else None
        if self.value_head is not None:
            nn.init.zeros_(self.value_head.weight)
            nn.init.zeros_(self.value_head.bias)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.model.parameters()).device

    @property
    def context(self) -> int:
        """Most tokens that a sequence can have."""
        return context_length(self.model.config.get_text_config())

    @property
    def end_ids(self) -> tuple[int, ...]:
        """The tokens at which the model's own `generation_config` ends a reply."""
        config = self.model.generation_config
        ends = None if config is None else config.eos_token_id
        return () if ends is None else tuple([ends] if isinstance(ends, int) else ends)

    def score(self, inputs: Mapping[str, Tensor]) -> Scores:
        """`logp_B_T, entropy_B_T, value_B_T` (see the module's docstring), differentiable.

        inputs: `tokens_B_T` int; `first_B` int, where the first sampled token is (the prompt's length,
        at least 1); `length_B` int, tokens in the row (less than T); `chosen_B_T` bool, which tokens were
        sampled: log-probabilities are computed there only and are 0 elsewhere.
        """
        (logp_B_T, entropy_B_T), value_B_T = self._units(inputs, self._read)
        return Scores(logp_B_T, entropy_B_T, value_B_T)

    def compare(self, inputs: Mapping[str, Tensor], teacher: Teaching) -> tuple[Scores, Tensor]:
        """As `Comparable`, over the whole vocabulary. `ValueError` where the teacher has one of another size."""
        told = teacher.whole(inputs)

        def piece(hidden_N_H: Tensor, token_N: Tensor, part: slice) -> tuple[Tensor, ...]:
            logp_N_V = log_probabilities(self.logits(hidden_N_H), self.distribution, kept_N=token_N)
            logp_N = logp_N_V.gather(-1, token_N[:, None])[:, 0]
            return logp_N, entropy(logp_N_V), divergence(logp_N_V, told(part))

        (logp_B_T, entropy_B_T, apart_B_T), value_B_T = self._units(
            inputs, lambda hidden_N_H, token_N: read_in_pieces(piece, hidden_N_H, token_N, self.vocabulary, 3)
        )
        return Scores(logp_B_T, entropy_B_T, value_B_T), apart_B_T

    @torch.no_grad()
    def whole(self, inputs: Mapping[str, Tensor]) -> Whole:
        """As `Teaching`: states are read now, and their logits where somebody asks."""
        states: list[Tensor] = []

        def keep(hidden_N_H: Tensor, token_N: Tensor) -> tuple[Tensor, ...]:
            states.append(hidden_N_H)
            return ()

        self._units(inputs, keep)

        @torch.no_grad()
        def of(part: slice) -> Tensor:
            return log_probabilities(self.logits(states[0][part]), self.distribution)

        return of

    @torch.no_grad()
    def energy(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """As `Energetic`: 1 − 2π(y) + Σ_v π(v)², the logits being divided by the temperature."""
        return self._units(inputs, self._read_energy)[0][0]

    def _units(self, inputs: Mapping[str, Tensor], read: Read) -> tuple[tuple[Tensor, ...], Tensor]:
        """What `read` makes of the states before chosen tokens and of those tokens, each [B, T]; and their values."""
        tokens, first, length = inputs["tokens_B_T"], inputs["first_B"], inputs["length_B"]
        sizes = _sizes(inputs)
        B, T, C = *tokens.shape, sizes.columns
        position_B_C = first[:, None] + torch.arange(C, device=tokens.device)
        hidden_B_C_H, after_B_C = self._states(tokens, first, length, position_B_C, sizes)
        chosen_B_C = torch.nn.functional.pad(inputs["chosen_B_T"], (0, C)).gather(1, position_B_C)
        # where they are, in order: to index by a mask, the host would wait for the device
        place_N = torch.argsort(chosen_B_C.flatten().byte(), descending=True, stable=True)[: sizes.chosen]
        token_N = after_B_C.flatten()[place_N]
        read_N = read(hidden_B_C_H.flatten(0, 1).index_select(0, place_N), token_N)

        def spread(value_N: Tensor) -> Tensor:
            """[N] at the chosen positions to [B, T]."""
            value_B_C = value_N.new_zeros(B, C).masked_scatter(chosen_B_C, value_N)
            return value_N.new_zeros(B, T + C).scatter(1, position_B_C, value_B_C)[:, :T]

        value_B_T = torch.zeros(B, T, device=tokens.device)
        if self.value_head is not None:
            value_B_T = self._values(self.value_head, hidden_B_C_H, position_B_C, T)
        return tuple(map(spread, read_N)), value_B_T

    def hearing(self, inputs: Mapping[str, Tensor], observed_B_T: Tensor) -> Mapping[str, Tensor]:
        """As `Hearing`."""
        return {**inputs, "chosen_B_T": inputs["chosen_B_T"] | observed_B_T}

    def _read(self, hidden_N_H: Tensor, token_N: Tensor) -> tuple[Tensor, ...]:
        """`logp_N, entropy_N` of the tokens that were chosen in these states."""
        if not (self.distribution.whole and self.path.linear_head):
            return read_in_pieces(self._read_piece, hidden_N_H, token_N, self.vocabulary)
        head = self._head
        hidden_N_H = hidden_N_H.to(head.weight.dtype)
        temperature = self.distribution.temperature
        return read_chosen(hidden_N_H, head.weight, head.bias, token_N, temperature=temperature)

    def _read_piece(self, hidden_N_H: Tensor, token_N: Tensor, part: slice) -> tuple[Tensor, ...]:
        """The same, with all logits in memory."""
        logits_N_V = self.logits(hidden_N_H)
        logp_N_V = log_probabilities(logits_N_V, self.distribution, kept_N=token_N)
        return logp_N_V.gather(-1, token_N[:, None])[:, 0], entropy(logp_N_V)

    def _read_energy(self, hidden_N_H: Tensor, token_N: Tensor) -> tuple[Tensor, ...]:
        """‖1_y − π‖² of the tokens that were chosen in these states, and their log-probabilities."""

        def piece(hidden_N_H: Tensor, token_N: Tensor, part: slice) -> tuple[Tensor, ...]:
            logp_N_V = log_probabilities(self.logits(hidden_N_H), self.distribution, kept_N=token_N)
            logp_N = logp_N_V.gather(-1, token_N[:, None])[:, 0]
            # ‖1_y − π‖² = 1 − 2π(y) + Σ_v π(v)²
            return 1 - 2 * logp_N.exp() + (2 * logp_N_V).exp().sum(dim=-1), logp_N

        return read_in_pieces(piece, hidden_N_H, token_N, self.vocabulary)

    @property
    def vocabulary(self) -> int:
        """How many tokens have a probability."""
        return self.model.config.get_text_config().vocab_size

    def value(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """`value_B_T` as `score` gives it, without logits, and `successor_B_T`: V of the state that unit t led to, that
        is the one before token t + 1. `ValueError` without a critic."""
        if self.value_head is None:
            raise ValueError("this policy has no critic")
        tokens, first, length = inputs["tokens_B_T"], inputs["first_B"], inputs["length_B"]
        sizes = _sizes(inputs)
        position_B_C = first[:, None] + torch.arange(sizes.columns, device=tokens.device)
        hidden_B_C_H, _ = self._states(tokens, first, length, position_B_C, sizes)
        value_B_T = self._values(self.value_head, hidden_B_C_H, position_B_C, tokens.shape[1])
        return value_B_T, torch.nn.functional.pad(value_B_T[:, 1:], (0, 1))

    @staticmethod
    def _values(head: nn.Linear, hidden_B_C_H: Tensor, position_B_C: Tensor, T: int) -> Tensor:
        """[B, T]: what `head` says to each state."""
        value_B_C = head(hidden_B_C_H.float())[..., 0]
        B, C = position_B_C.shape
        return value_B_C.new_zeros(B, T + C).scatter(1, position_B_C, value_B_C)[:, :T]

    def _states(
        self, tokens: Tensor, first: Tensor, length: Tensor, position_B_C: Tensor, sizes: _Sizes
    ) -> tuple[Tensor, Tensor]:
        """[B, C, H]: the hidden state *before* each token behind the prompt; and those tokens [B, C]."""
        unmasked = self.precision == "bf16" and not self.path.masked  # the kernel that this is for is one of bf16
        wide = torch.nn.functional.pad(tokens, (0, position_B_C.shape[1]))  # a window of C fits behind every prompt
        after_B_C = wide.gather(1, position_B_C)
        short = self.path.shared_prompts and not (unmasked and sizes.prompts < SHORT_PROMPTS)
        forest = self._forest(tokens, first, length, sizes, short, unmasked) if self.path.trees else None
        large = torch.is_grad_enabled() and self._over_budget(tokens, length, sizes)
        cached = forest is None and short and not large
        with ExitStack() as stack:
            stack.enter_context(self.autocast())
            if self.path.trees and not cached and compiles(self.model):
                stack.enter_context(plain_rows.layers_by(self.backbone, compiled_forward))
            if large:
                stack.enter_context(plain_rows.layers_by(self.backbone, plain_rows.recomputed))
            if forest is not None:
                hidden = prefix_tree.states(self.backbone, forest, position_B_C, bools=takes_bools(self.model))
            elif cached:
                stack.enter_context(short_rows(self.model, sizes.columns, sizes.longest))
                hidden = shared_prompts.states(self.backbone, tokens, first, length, after_B_C, pad=self._pad)
            else:
                hidden = plain_rows.states(
                    self.backbone, tokens, length, position_B_C, sizes.longest, masked=not unmasked
                )
        return hidden, after_B_C

    def positions(self, inputs: Mapping[str, Tensor]) -> Tensor | None:
        """As `Sharing`: what a row adds to the one before it, where rows are read as trees."""
        if not self.path.trees:
            return None
        return inputs["length_B"] - prefix_tree.alike(inputs["tokens_B_T"], inputs["length_B"])

    def _over_budget(self, tokens: Tensor, length: Tensor, sizes: _Sizes) -> bool:
        """Whether a pass is larger than those that `passes` makes, counted as it counts."""
        if self.token_budget is None or len(tokens) * sizes.longest <= self.token_budget:
            return False
        added = self.positions({"tokens_B_T": tokens, "length_B": length})
        return added is None or int(added.sum()) > self.token_budget

    def _forest(
        self, tokens: Tensor, first: Tensor, length: Tensor, sizes: _Sizes, short: bool, unmasked: bool
    ) -> prefix_tree.Forest | None:
        """Where it is cheaper than what would be read without it: prompts once and the rest of each row, or rows."""
        L, pairs = sizes.longest, 2 * self.model.config.get_text_config().hidden_size
        read = torch.cat([tokens[:, :L], first[:, None], length[:, None]], dim=1).cpu().numpy()
        tokens_B_L, first_B, length_B = read[:, :L], read[:, L], read[:, L + 1]
        other = prefix_tree.cost(len(read), L, L / 2 if unmasked else L, pairs)
        if short:
            P, C = int(first_B.max()), sizes.columns - 1
            prompts = len({row[:n].tobytes() for row, n in zip(tokens_B_L, first_B, strict=True)})
            other = prefix_tree.cost(prompts, P, P, pairs) + prefix_tree.cost(len(read), C, P + C, pairs)
        return prefix_tree.grow(tokens_B_L, length_B, pairs, other)

    def read_prompts(
        self, prompts: Sequence[Sequence[int]], cache: DynamicCache | None = None, seen_U_S: Tensor | None = None
    ) -> tuple[Tensor, DynamicCache, Tensor]:
        """As `shared_prompts.read_prompts`."""
        with self.autocast():
            return shared_prompts.read_prompts(self.backbone, prompts, pad=self._pad, cache=cache, seen_U_S=seen_U_S)

    @property
    def _pad(self) -> int:
        """What stands in padding, where nobody looks."""
        return self.tokenizer.pad_token_id if isinstance(self.tokenizer.pad_token_id, int) else 0

    @property
    def backbone(self) -> nn.Module:
        """The transformer without its head."""
        return backbone_of(self.model)

    def logits(self, hidden_N_H: Tensor) -> Tensor:
        """[N, V], in fp32 outside of any autocast."""
        if not self.path.linear_head:
            return own_logits(self.model, hidden_N_H)
        head = self._head
        logits_N_V = product(hidden_N_H.to(head.weight.dtype), head.weight.T)
        return logits_N_V if head.bias is None else logits_N_V + head.bias

    @property
    def _head(self) -> nn.Linear:
        return cast(nn.Linear, self.model.get_output_embeddings())

    def autocast(self) -> AbstractContextManager[object]:
        """For the architectures whose bf16 matrices meet fp32 on their way."""
        if self.precision == "bf16" and self.path.autocast:
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return nullcontext()

    def advance(self, batch: Batch) -> None:
        """No running statistics."""

    def module(self) -> nn.Module:
        """This module."""
        return self

    def save(self, folder: Path) -> None:
        """A plain Hugging Face folder (of LoRA the adapter alone), and `value_head.safetensors` beside it if there is a
        critic."""
        if self.lora is not None:
            save_adapter(self.model, folder, self.lora)
        else:
            self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        if self.value_head is not None:
            save_file(self.value_head.state_dict(), folder / "value_head.safetensors")

    def load(self, folder: Path, *, critic_too: bool = True) -> None:
        """Read the weights that `save` wrote; the value head as well, unless told otherwise. `ValueError` says what
        does not fit.

        Through `from_pretrained`, because many architectures rename and fuse their weights between file and memory.
        """
        try:
            if self.lora is not None:
                load_adapter(self.model, folder)
            elif (folder / "adapter_model.safetensors").is_file():
                raise ValueError("they are an adapter (LoRA), and this agent has no agent.lora")
            else:
                self._load_all(folder)
            if self.value_head is not None and critic_too:
                self.value_head.load_state_dict(load_file(folder / "value_head.safetensors"))
        except OSError as error:
            raise ValueError(f"the weights in {folder} cannot be read: {error}") from error
        except (ValueError, RuntimeError, SafetensorError) as error:
            raise ValueError(f"the weights in {folder} belong to another model: {error}") from error

    def _load_all(self, folder: Path) -> None:
        read, told = cast(
            "tuple[PreTrainedModel, dict[str, list[str]]]",
            type(self.model).from_pretrained(
                folder,
                dtype=torch.float32,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
            ),
        )
        wrong = [name for kind in ("missing_keys", "unexpected_keys", "mismatched_keys") for name in told[kind]]
        if wrong:
            raise ValueError(f"{wrong[0]!r} does not fit")
        self.model.load_state_dict(read.state_dict())


class _Sizes(NamedTuple):
    """How large the parts of a batch are."""

    columns: int  # behind the prompts: one more than is said, for the state after the last token
    longest: int  # row
    chosen: int  # tokens
    prompts: float  # their share of all tokens


def _sizes(inputs: Mapping[str, Tensor]) -> _Sizes:
    """Read in one go: it is the only time that the host waits for the device on the way forward."""
    first, length = inputs["first_B"], inputs["length_B"]
    parts = ((length - first).max(), length.max(), inputs["chosen_B_T"].sum(), first.sum(), length.sum())
    said, longest, chosen, prompts, tokens = torch.stack(parts).tolist()
    return _Sizes(said + 1, longest, chosen, prompts / max(1, tokens))
