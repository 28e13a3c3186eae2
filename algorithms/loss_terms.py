"""Further terms of a loss, beside that of the policy: each is a mean over units of its own.

    L ← L + c_v · mean of ½(V − target)²                         what the critic should have said
          − c_o · mean of log π(what the world said)             ECHO: Shrivastava et al. 2026, arXiv:2605.24517
          − c_i · mean of log π(demonstrations)                  PPO-ptx: Ouyang et al. 2022, arXiv:2203.02155, eq. 2

Demonstrations come beside a batch, as a batch of their own. They are prepared as `sft` prepares its own: w = 1, one
mean over all their units. Each step of an update sees as large a part of them as of the batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat

import numpy as np
import torch
from torch import Tensor

from ..agents.protocols import Policy
from ..envs.vocabulary import Batch
from .aggregate import Shares, reduce
from .credit import Credit
from .loss import policy_loss, squared_error
from .method_row import Method, Update
from .metrics import Log
from .training_batch import TrainingBatch, as_units, minibatches, prepare

_IMITATION = Method("imitation", "w = 1", source="demonstrations", credit=Credit(transform="one"))


def value_term(part: TrainingBatch, value_B_T: Tensor, update: Update, seen: Log) -> Tensor:
    """c_v · mean of ½(V − target)², on one micro-batch, which has values; `seen` hears the error."""
    assert part.batch.value_B_T is not None, "whoever calls has seen them"
    error = squared_error(value_B_T, part.target_B_T, part.batch.value_B_T, clip=update.value_clip)
    seen.add_units({"value/loss": error.detach()}, part.target_mask_B_T)
    whole = Shares(torch.ones_like(part.share_B_T), part.target_count or 1.0)
    return update.value_coefficient * reduce(error, part.target_mask_B_T, shares=whole)


def observation_term(part: TrainingBatch, logp_B_T: Tensor, update: Update, seen: Log) -> Tensor:
    """−c_o · mean of log π over what the world said, on one micro-batch; `seen` hears log π."""
    seen.add_units({"observation/logp": logp_B_T.detach()}, part.observed_B_T)
    whole = Shares(torch.ones_like(part.share_B_T), part.observed_count or 1.0)
    return -update.observation_coefficient * reduce(logp_B_T, part.observed_B_T, shares=whole)


def imitation_term(policy: Policy, part: TrainingBatch, update: Update, seen: Log) -> Tensor:
    """−c_i · mean of log π over demonstrations, on one micro-batch of them; `seen` hears the mean of −log π."""
    logp_B_T, mask = policy.score(part.batch.inputs).logp_B_T, part.batch.mask_B_T
    seen.add_units({"imitation/loss": -logp_B_T.detach()}, mask)
    weight_B_T = update.imitation_coefficient * part.advantage_B_T  # which is 1, as of `sft`
    return policy_loss(logp_B_T, weight_B_T, mask, shares=Shares(part.share_B_T, part.count or 1.0))


def prepare_shown(shown: Batch, policy: Policy) -> TrainingBatch:
    """A batch of demonstrations, ready to be imitated. Nobody asks who showed them, or how likely that was."""
    unknown = torch.zeros_like(shown.behavior_logp_B_T)
    training = prepare(shown, _IMITATION, unknown, unknown)
    return as_units(training) if policy.memoryless else training


def shown_parts(shown: TrainingBatch | None, count: int, rng: np.random.Generator) -> Iterator[TrainingBatch | None]:
    """The demonstrations for each of `count` steps; without any, None for each."""
    return repeat(None, count) if shown is None else minibatches(shown, count, rng)
