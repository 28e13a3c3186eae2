"""Checks on how rows are read: the numbers of a row are its own, however rows are padded, shared, split or packed.

Tolerances are for log-probabilities (absolute) and for gradients (‖g − g'‖ / ‖g‖): sums in another order differ in
their last digits, which in bf16 are few.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from ...agents.control.mlp import ActorCritic
from ...agents.protocols import Policy, Scorer
from ...algorithms.learner import Learner
from ...algorithms.methods import Method
from ...envs.vocabulary import Batch
from ..assembly.learners import completed
from ..assembly.policies import make_twin
from ..assembly.settings import optimizer_settings, stage_method
from .measures import Measured, largest, relative
from .patient import DoesNotApply, Patient

_SPARE = 4  # columns of padding more
_PASSES = 4  # into about so many an update is split
_OTHER = 0.9  # × the weights: a model that says something else


def check_parity(patient: Patient) -> Measured:
    """|log π(u) of who learns − log π(u) of who acted|, the largest over all units."""
    policy, batch = patient.policy, patient.batch
    gap = largest(_logp(policy, batch.inputs)[batch.mask_B_T], batch.behavior_logp_B_T[batch.mask_B_T])
    return Measured(gap, f"log-probabilities of {int(batch.mask_B_T.sum()):,} units, as they were chosen and as read")


def check_padding(patient: Patient) -> Measured:
    """|log π(u) in a row alone − log π(u) in the batch|, and with anything in the padding, of which there is more."""
    policy, batch = patient.policy, patient.batch
    together, length = _logp(policy, batch.inputs), _lengths(batch)
    crowded = _logp(policy, _with_noise(batch.inputs, length))
    gap = largest(crowded[:, : together.shape[1]][batch.mask_B_T], together[batch.mask_B_T])
    for row, end in enumerate(length.tolist()):
        one, mask = batch.rows(slice(row, row + 1)), batch.mask_B_T[row]
        alone = _logp(policy, {name: x[:, :end] if "_B_T" in name else x for name, x in one.inputs.items()})
        gap = max(gap, largest(alone[0][mask[:end]], together[row][mask]))
    rows = f"{len(length)} rows of {int(length.min())} to {int(length.max())} columns"
    return Measured(gap, f"log-probabilities of {rows}, each alone, together, and among noise")


def check_packing(patient: Patient) -> Measured:
    """Whether rows have the log-probabilities and the gradient that they have where nothing is shared."""
    from ...agents.language.language_policy import LanguagePolicy

    policy = patient.policy
    if not isinstance(policy, LanguagePolicy) or not (policy.path.shared_prompts or policy.path.trees):
        raise DoesNotApply("rows are read as they are: nothing is shared or packed")
    batch, path, found = patient.batch, policy.path, []
    for policy.path in (path, replace(path, shared_prompts=False, trees=False)):
        try:
            found.append(_read_with_gradient(policy, batch))
        finally:
            policy.path = path
    (packed, slope), (flat, other) = found
    logp, gradient = largest(packed[batch.mask_B_T], flat[batch.mask_B_T]), relative(other, slope)
    how = "prefixes as a tree" if path.trees else "prompts once"
    return Measured(max(logp, gradient), f"{how}: log-probabilities {logp:.1e}, gradient {gradient:.1e} from flat rows")


def check_micro_batches(patient: Patient) -> Measured:
    """Whether the gradient of an update is that of the same update in several passes. Rewards are drawn, so that there
    is a gradient whatever the world pays."""
    batch, method = _paid(patient.lesson), stage_method(patient.learning).name
    positions = batch.mask_B_T.numel()
    micro = max(1, positions // _PASSES)
    readers = _readers(patient)
    whole, parts = (_gradient_of_update(patient, batch, units, readers) for units in (positions, micro))
    if not any(bool(g.count_nonzero()) for g in whole):
        raise DoesNotApply(f"an update of {method} has no gradient here")
    return Measured(relative(whole, parts), f"gradient of {method} in passes of {positions:,} and of {micro:,} units")


def check_memory(patient: Patient) -> Measured:
    """Whether an episode that begins inside of a row is read as it is alone: nothing before it is remembered."""
    policy = patient.policy
    if not isinstance(policy, ActorCritic) or policy.memoryless:
        raise DoesNotApply("nothing is remembered from one unit to the next, but what a row holds")
    batch = patient.batch
    seen = {name: x for name, x in batch.inputs.items() if "_B_T" in name and name != "first_B_T"}
    T = batch.mask_B_T.shape[1]
    behind = {name: torch.cat([x.roll(1, 0), x], dim=1) for name, x in seen.items()}  # another row, then its own
    first_B_T = torch.zeros(len(batch.mask_B_T), 2 * T, dtype=torch.bool, device=batch.mask_B_T.device)
    first_B_T[:, [0, T]] = True
    memory_B_H = torch.from_numpy(policy.begin(len(first_B_T))).to(first_B_T.device)
    alone = _logp(policy, {**seen, "memory_B_H": memory_B_H, "first_B_T": first_B_T[:, :T]})
    after = _logp(policy, {**behind, "memory_B_H": memory_B_H, "first_B_T": first_B_T})[:, T:]
    gap = largest(after[batch.mask_B_T], alone[batch.mask_B_T])
    return Measured(gap, f"log-probabilities of {len(alone)} rows, each alone and behind another's episode")


@torch.no_grad()
def _logp(policy: Scorer, inputs: Mapping[str, Tensor]) -> Tensor:
    return policy.score(inputs).logp_B_T


def _read_with_gradient(policy: Policy, batch: Batch) -> tuple[Tensor, list[Tensor]]:
    """Log-probabilities, and the gradient of their sum with drawn signs."""
    logp = policy.score(batch.inputs).logp_B_T
    sign = torch.randint(0, 2, logp.shape, generator=torch.Generator().manual_seed(0)).to(logp) * 2 - 1
    loss = torch.where(batch.mask_B_T, logp * sign, 0.0).sum()
    learning = [p for p in policy.module().parameters() if p.requires_grad]
    slopes = torch.autograd.grad(loss, learning, allow_unused=True)
    return logp.detach(), [torch.zeros_like(p) if g is None else g for p, g in zip(learning, slopes, strict=True)]


def _lengths(batch: Batch) -> Tensor:
    """Columns that each row needs: up to its last unit, and of tokens one more for the state behind."""
    if "length_B" in batch.inputs:
        return batch.inputs["length_B"] + 1
    columns = torch.arange(1, batch.mask_B_T.shape[1] + 1, device=batch.mask_B_T.device)
    return torch.where(batch.mask_B_T, columns, 1).max(dim=1).values


def _with_noise(inputs: Mapping[str, Tensor], length_B: Tensor) -> dict[str, Tensor]:
    """`inputs` with more padding, in which each row's own numbers stand backwards. What says where something was chosen
    or begins stays as it is."""

    def noisy(x: Tensor) -> Tensor:
        wide = torch.cat([x, x.new_zeros(len(x), _SPARE, *x.shape[2:])], dim=1)
        if x.dtype == torch.bool:
            return wide
        behind = torch.arange(wide.shape[1], device=x.device) >= length_B[:, None]
        return torch.where(behind.view(*behind.shape, *[1] * (x.ndim - 2)), wide.flip(1), wide)

    return {name: noisy(x) if "_B_T" in name else x for name, x in inputs.items()}


def _paid(batch: Batch) -> Batch:
    """`batch` with other rewards: drawn ones at the ends of episodes, and of each of their terms."""
    chance = torch.Generator().manual_seed(0)

    def drawn(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=chance).to(like.device)

    reward = torch.where(batch.end_B_T, drawn(batch.reward_B_T), 0.0)
    terms = {name: drawn(x) for name, x in batch.notes.items() if name.startswith("term_")}
    return replace(batch, reward_B_T=reward, notes={**batch.notes, **terms})


def _readers(patient: Patient) -> dict[str, Scorer]:
    """For each role of the method a model that says something else than the agent, whoever plays it in a run: a
    gradient in parts is that of the whole by whatever both read."""
    roles = stage_method(patient.learning).roles
    if not roles:
        return {}
    other = make_twin(patient.policy)
    other.module().requires_grad_(False)
    with torch.no_grad():
        for weight in other.module().parameters():
            weight.mul_(_OTHER)
    return dict.fromkeys(roles, other)


def _gradient_of_update(patient: Patient, batch: Batch, units: int, readers: Mapping[str, Scorer]) -> list[Tensor]:
    """That of one step on the whole batch, in passes of so many units; the step has length zero."""
    scenario, stage = patient.scenario, patient.learning

    def in_one_step(row: Method) -> Method:
        once = replace(row.update, epochs=1, minibatches=1, minibatch_units=None)
        return completed(replace(row, update=once), scenario, patient.sources)

    row, *worlds = (in_one_step(stage_method(stage, world)) for world in (None, *scenario.worlds))
    settings = replace(optimizer_settings(stage), lr=0.0, max_grad_norm=math.inf, micro_batch=units)
    reference, teacher = readers.get("reference"), readers.get("teacher")
    policy = patient.policy if patient.talks else make_twin(patient.policy)  # a body's statistics move in an update
    learner = Learner(policy, row, settings, seed=0, reference=reference, teacher=teacher, worlds=worlds)
    learner.update(batch)
    gradient = [g.clone() for g in learner.gradient.values() if g is not None]
    policy.module().zero_grad(set_to_none=True)
    return gradient
