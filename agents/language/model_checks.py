"""What this house asks of a language model before anything runs, each question answered by trying.

The answer to *how is it read* is a `ModelPath`: the first of these that gives the model's own numbers.

    short, in slots        prompts shared within a group; sampled by `transformers_engine`, turns remembered
    short                  the same, and `generate` on left-padded prompts, every turn anew
    plain                  right-padded rows; `generate` as before
    plain, …               … on prompts of one length at a time; … without a cache

A small conversation of three ragged rows is sampled on the candidate's path, trained on it, and read once more row by
row by the model's own forward. A check says `UserError` where the answer is no, and names the model's kind and what is
missing. An architecture may raise whatever it likes while it is tried: that is a no as well, never a traceback.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from ...envs.errors import UserError
from ..protocols import EngineDied, Request
from . import plain_rows, prefix_tree
from .engines.plain_engine import PlainEngine
from .engines.policy_engine import PolicyEngine
from .engines.transformers_engine import TransformersEngine
from .language_policy import LanguagePolicy
from .model_path import PLAIN, SHORT, ModelPath, own_logits, sees_all, takes_bools
from .packing import pack
from .sample import Sample

_ROUNDING = 0.05  # of the largest state: what another order of sums may do to one in bf16
_SAME = 1e-4  # of the largest state, in fp32: sums of another order
CLOSE = 5e-3  # between log-probabilities in fp32; a few 1e-6 are usual, 1e-4 in deep recurrences
Check = Callable[[LanguagePolicy], None]


@dataclass(frozen=True)
class Tried:
    """One candidate, and how far its log-probabilities were from the model's own; `why` it was not to be had."""

    path: ModelPath
    sampler: float = 0.0  # largest |sampled with − trained with|
    trainer: float = 0.0  # largest |trained with − the model's own|
    why: str = ""


def _refusing(check: Check) -> Check:
    """`check`, without gradients, with everything that the architecture raises turned into a refusal."""

    @wraps(check)
    @torch.no_grad()
    def refuse(policy: LanguagePolicy) -> None:
        try:
            check(policy)
        except UserError:
            raise
        except Exception as error:
            raise UserError(f"{_kind(policy)} fails when it is tried ({_words(error)}); not supported yet") from error

    return refuse


def _kind(policy: LanguagePolicy) -> str:
    return type(policy.model).__name__


def _words(error: Exception) -> str:
    """One line; of an engine that died, what it died of: the end of its traceback."""
    if isinstance(error, EngineDied):
        return str(error).strip().splitlines()[-1][:300]
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def check_model(policy: LanguagePolicy) -> ModelPath:
    """All that a run needs of an fp32 policy; sets its `path` and gives it. Left to the doctor: whether a checkpoint
    can be read back, which writes to the disk."""
    check_context(policy)
    tried = find_path(policy)
    if tried[-1].why:
        raise UserError(f"{_kind(policy)} cannot be read on any path; on the plainest one: {tried[-1].why}")
    policy.path = tried[-1].path
    policy.path = replace(policy.path, trees=_reads_trees(policy))
    return policy.path


@torch.no_grad()
def check_precision(policy: LanguagePolicy) -> None:
    """In bf16, whether layers bear what they are given; sets the policy's `path` to cast between them where they do
    not, and to read without a mask where that is the same. `UserError` if it does not run at all."""
    if policy.precision == "fp32":
        return
    before = policy.path
    for policy.path in (before, replace(before, autocast=True)):
        try:
            samples = small_conversation(policy)
            batch = pack(samples, [(0, index) for index in range(len(samples))], 0, [False] * len(samples))
            batch = batch.to(str(policy.device))
            why = "" if bool(policy.score(batch.inputs).logp_B_T.isfinite().all()) else "it gives NaN"
            policy.path = replace(policy.path, masked=_needs_mask(policy, batch.inputs))
        except Exception as error:  # whatever an architecture raises
            why = _words(error)
        if not why:
            return
    raise UserError(f"{_kind(policy)} cannot be read in bf16 ({why}); use precision: fp32")


@_refusing
def check_context(policy: LanguagePolicy) -> None:
    """`UserError` if a sequence has no room for a prompt and a reply."""
    if policy.context < 2:
        raise UserError(f"{_kind(policy)} has a context of {policy.context} tokens, which holds no reply")


@torch.no_grad()
def find_path(policy: LanguagePolicy) -> list[Tried]:
    """What was tried, the last one with success unless it says why not."""
    tried = []
    for candidate in _candidates(policy):
        tried.append(_try(policy, candidate))
        if not tried[-1].why:
            break
    return tried


def _candidates(policy: LanguagePolicy) -> list[ModelPath]:
    """The shortest first. What keeps more than one key and value for each token has no short path at all."""
    plain = [PLAIN, replace(PLAIN, ragged=False), replace(PLAIN, own_cache=False)]
    plain.append(replace(plain[-1], ragged=False))
    try:
        layers = DynamicCache(config=policy.model.config.get_text_config()).layers
        linear = _is_linear(policy)
    except Exception:  # of any architecture: then it is a plain one
        return plain
    plain = [replace(path, linear_head=linear) for path in plain]
    if any(not isinstance(layer, DynamicLayer) for layer in layers):
        return plain
    short = replace(SHORT, linear_head=linear)
    return [short, replace(short, slots=False), *plain]


def _is_linear(policy: LanguagePolicy) -> bool:
    """Whether logits are one matrix product: of states that are large enough for a soft cap or a scale to show."""
    head = policy.model.get_output_embeddings()
    if not isinstance(head, torch.nn.Linear):
        return False
    probe = _probe(policy, SHORT)
    states = 30 * torch.randn(4, head.in_features, generator=torch.Generator().manual_seed(0)).to(head.weight)
    ours, theirs = probe.logits(states), own_logits(policy.model, states)
    return ours.shape == theirs.shape and torch.allclose(ours, theirs, rtol=1e-4, atol=1e-4 * float(ours.abs().max()))


def _probe(policy: LanguagePolicy, path: ModelPath) -> LanguagePolicy:
    """The same model in fp32, without temperature, on another path."""
    return LanguagePolicy(policy.model, policy.tokenizer, path=path)


def _try(policy: LanguagePolicy, path: ModelPath) -> Tried:
    """Sample, train and read a small conversation."""
    try:
        probe = _probe(policy, path)
        samples = small_conversation(probe)
        batch = pack(samples, [(0, index) for index in range(len(samples))], 0, [False] * len(samples))
        batch = batch.to(str(policy.device))
        said = batch.mask_B_T
        logp = probe.score(batch.inputs).logp_B_T[said]
        sampler = float((logp - batch.behavior_logp_B_T.to(logp)[said]).abs().max())
        trainer = float((logp - torch.cat([_alone(policy, sample) for sample in samples])).abs().max())
    except Exception as error:  # whatever an architecture raises
        return Tried(path, why=_words(error))
    gap = max(sampler, trainer)
    why = "" if gap <= CLOSE else f"its log-probabilities are off by {gap:.2g}"  # NaN is not close either
    return Tried(path, sampler, trainer, why)


def small_conversation(probe: LanguagePolicy) -> list[Sample]:
    """Three rows of two turns, as long as the context allows, with what their own engine said in them."""
    V = int(probe.model.config.get_text_config().vocab_size)
    room = max(1, min(12, (probe.context - 8) // 4))
    lengths = [room, max(1, room // 3), max(1, room // 2)]
    prompts = [[(7 + 5 * row + 11 * t) % V for t in range(n)] for row, n in enumerate(lengths)]
    prompts.append(prompts[0])  # a group of two
    samples = [Sample(list(prompt)) for prompt in prompts]
    engine = engine_of(probe)(probe, stop_ids=[])
    try:
        for turn in range(2 if probe.context >= 16 else 1):
            requests = [Request(row, tuple(sample.tokens), 3, row, greedy=False) for row, sample in enumerate(samples)]
            for row, (sample, future) in enumerate(zip(samples, engine.submit(requests), strict=True)):
                reply = future.result()
                sample.extend(reply.tokens, turn, reply.logp)
                sample.extend([(3 + row) % V] * (1 + row), turn, None)
    finally:
        engine.close()
    for sample in samples:
        sample.take_back()
    return samples


def engine_of(policy: LanguagePolicy) -> type[PolicyEngine]:
    """The engine in this process that reads on the policy's path."""
    return TransformersEngine if policy.path.slots else PlainEngine


def _alone(policy: LanguagePolicy, sample: Sample) -> Tensor:
    """The model's own log-probability of each chosen token: a forward pass of one row, with nothing shared."""
    ids = torch.tensor([sample.tokens], device=policy.device)
    logp_T_V = policy.model(input_ids=ids, use_cache=False).logits[0].float().log_softmax(dim=-1)
    at = _positions(sample.chosen)
    return logp_T_V[[t - 1 for t in at], [sample.tokens[t] for t in at]]


def _positions(chosen: Sequence[bool]) -> list[int]:
    return [t for t, is_chosen in enumerate(chosen) if is_chosen]


def _needs_mask(policy: LanguagePolicy, inputs: Mapping[str, Tensor]) -> bool:
    """Whether what stands in padding on the right reaches the tokens before it: by more than rounding does."""
    tokens, length = inputs["tokens_B_T"], inputs["length_B"]
    place = torch.arange(1, int(length.max()) + 1, device=tokens.device).expand(len(tokens), -1)
    with policy.autocast():
        with_mask, without = (
            plain_rows.states(policy.backbone, tokens, length, place, place.shape[1], masked=masked).float()
            for masked in (True, False)
        )
    real = place <= length[:, None]
    return not bool((with_mask - without)[real].abs().max() <= _ROUNDING * with_mask[real].abs().max())


@torch.no_grad()
def _reads_trees(policy: LanguagePolicy) -> bool:
    """Whether rows that begin alike have the states on the tree path that they have alone."""
    if not policy.path.shared_prompts or not sees_all(policy.model):
        return False
    V, room = int(policy.model.config.get_text_config().vocab_size), max(2, min(12, policy.context))
    stem = [(7 + 11 * t) % V for t in range(room)]
    rows = torch.tensor([stem, [*stem[:-1], 3 % V], [*stem[: room // 2], *[5 % V] * (room - room // 2)], stem[::-1]])
    length = torch.full((len(rows),), room)
    forest = prefix_tree.grow(rows.numpy(), length.numpy(), 1 << 20, math.inf)
    rows, length = rows.to(policy.device), length.to(policy.device)
    place = torch.arange(1, room + 1, device=policy.device).expand(len(rows), -1)
    assert forest is not None, "nothing is too much"
    try:
        trees = prefix_tree.states(policy.backbone, forest, place, bools=takes_bools(policy.model))
        alone = plain_rows.states(policy.backbone, rows, length, place, room)
    except Exception:  # whatever an architecture raises: then it is read as before
        return False
    return bool((trees - alone).abs().max() <= _SAME * alone.abs().max())


@_refusing
def check_checkpoint(policy: LanguagePolicy) -> None:
    """`UserError` if what `save` writes does not come back through `load` exactly. Takes the disk and the memory of
    the model once more; a policy that fails is left without its weights."""
    before = {name: tensor.clone() for name, tensor in policy.state_dict().items()}
    with tempfile.TemporaryDirectory() as folder:
        policy.save(Path(folder))
        for parameter in policy.parameters():
            parameter.zero_()
        policy.load(Path(folder))
    for name, tensor in policy.state_dict().items():
        if not torch.equal(tensor, before[name]):
            raise UserError(f"{_kind(policy)}: {name} is not read back as it was written; such a run could not resume")
