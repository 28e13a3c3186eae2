"""Distillation on the policy's own units: a teacher pays for each, in the place of the world.

    r_t = log ν(y_t) − log μ(y_t)          E_μ[−r_t] = KL(μ ‖ ν) of the unit

with ν the teacher and μ who acted. At γ = 0 a unit answers for itself alone, so that its gradient is that of the
reverse KL at the states that were visited (Agarwal et al. 2023, arXiv:2306.13649, with the reverse KL by samples); at
γ = 1 it answers for all that follows, and the gradient is that of KL(π ‖ ν) of whole sequences. Nothing here knows who
the teacher is: another model, or the policy itself that has been shown more. Left out: divergences over the whole
vocabulary.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from ..agents.protocols import Scorer
from ..envs.vocabulary import Batch
from .annotate import read_scores

NOTE = "teacher_logp_B_T"


def read_by(teacher: Scorer, batch: Batch, micro_batch: int | None) -> Batch:
    """The batch with the teacher's log-probability of every unit noted."""
    logp_B_T, _ = read_scores(teacher, batch, micro_batch)
    return replace(batch, notes={**batch.notes, NOTE: logp_B_T})


def paid_by_teacher(batch: Batch) -> Batch:
    """The batch with r = log ν − log μ at every unit, whatever the world has paid."""
    r_B_T = torch.where(batch.mask_B_T, batch.notes[NOTE] - batch.behavior_logp_B_T, 0.0)
    return replace(batch, reward_B_T=r_B_T.to(batch.reward_B_T.dtype))
