"""Distillation on the policy's own units: a teacher pays for each, in the place of the world.

    chosen   r_t = log ν(y_t) − log μ(y_t)          E_μ[−r_t] = KL(μ ‖ ν) of the unit
    all      L_t = KL(π ‖ ν) = Σ_v π(v)·(log π(v) − log ν(v)),   v over all that might have been chosen

with ν the teacher and μ who acted. What is paid for the chosen alone is one draw, whose mean has the gradient of the
sum over all: Agarwal et al. 2023 (arXiv:2306.13649) with the reverse KL. At γ = 0, as in that sum, a unit answers for
itself alone, so that the gradient is that of the reverse KL at the states that were visited; at γ = 1 it answers for
all that follows, and the gradient is that of KL(π ‖ ν) of whole sequences. Nothing here knows who
the teacher is: another model, or the policy itself that has been shown more. Left out: forward KL and what lies
between, which learn from what the teacher would choose.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..agents.protocols import Comparable, Policy, Scorer, Scores
from ..envs.vocabulary import Batch
from .aggregate import Shares, reduce
from .annotate import read_scores
from .metrics import Log
from .training_batch import TrainingBatch

NOTE = "teacher_logp_B_T"


def read_by(teacher: Scorer, batch: Batch, micro_batch: int | None) -> Batch:
    """The batch with the teacher's log-probability of every unit noted."""
    logp_B_T, _ = read_scores(teacher, batch, micro_batch)
    return replace(batch, notes={**batch.notes, NOTE: logp_B_T})


def paid_by_teacher(batch: Batch) -> Batch:
    """The batch with r = log ν − log μ at every unit, whatever the world has paid."""
    r_B_T = torch.where(batch.mask_B_T, batch.notes[NOTE] - batch.behavior_logp_B_T, 0.0)
    return replace(batch, reward_B_T=r_B_T.to(batch.reward_B_T.dtype))


def unpaid(batch: Batch) -> Batch:
    """The batch without any reward, for a method that compares."""
    return replace(batch, reward_B_T=torch.zeros_like(batch.reward_B_T))


def compared(policy: Policy, teacher: Scorer, part: TrainingBatch, seen: Log) -> tuple[Scores, Tensor]:
    """What the policy says of the units, and the share that these rows have of the mean of KL(π ‖ ν) over the units
    that a teacher teaches so, which `seen` hears of. `ValueError` for a policy that cannot be compared."""
    if not isinstance(policy, Comparable):
        raise ValueError("rewards.teacher_pays is 'all', and this policy says nothing of what was not chosen")
    scores, apart_B_T = policy.compare(part.batch.inputs, teacher)
    seen.add_units({"kl/teacher": apart_B_T.detach()}, part.taught_B_T)
    return scores, reduce(apart_B_T, part.taught_B_T, shares=Shares(part.share_B_T, part.count or 1.0))
