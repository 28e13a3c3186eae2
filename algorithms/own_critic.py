"""A critic that is a model of its own, beside a policy that has no head for values (role `critic`; the four models of
InstructGPT: Ouyang et al. 2022, arXiv:2203.02155).

    L_v = c_v · mean of ½(V − target)²,    one step of its own AdamW wherever the policy makes one, as long as that one

No weight is shared, so that neither gradient is cut by the size of the other.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..agents.protocols import Critic, Policy
from .loss_terms import value_term
from .method_row import Update
from .metrics import Log
from .optimizer import Masters, OptimizerSettings
from .training_batch import TrainingBatch, micro_batches
from .update import UpdateRefused

_FILE = "critic.safetensors"


class OwnCritic:
    """Lets `model` learn what states are worth. `ValueError` for one that has no head to say it with."""

    def __init__(self, model: Policy, settings: OptimizerSettings) -> None:
        if not isinstance(model, Critic) or not model.has_critic:
            raise ValueError("a critic says what states are worth, and this model has no head for it")
        self.model: Critic = model
        self._weights = {name: p for name, p in model.module().named_parameters() if p.requires_grad}
        self._optimizer, self._max_grad_norm = Masters(self._weights, settings), settings.max_grad_norm

    def step(self, training: TrainingBatch, update: Update, micro_batch: int | None, lr: float) -> dict[str, float]:
        """One step on a minibatch; what was seen. `UpdateRefused` where the gradient is not finite: it is not taken."""
        seen = Log()
        with self._optimizer.gradient():
            for part in micro_batches(training, micro_batch, self.model):
                value_term(part, self.model.value(part.batch.inputs)[0], update, seen).backward()
        norm = torch.nn.utils.clip_grad_norm_(self._optimizer.tensors, self._max_grad_norm)
        seen.add({"gradient/critic_norm": norm})
        metrics = seen.means()
        if not math.isfinite(metrics["gradient/critic_norm"]):
            raise UpdateRefused(f"the norm of the critic's gradient is {metrics['gradient/critic_norm']}", metrics)
        self._optimizer.step(lr)
        return metrics

    def tensors(self) -> dict[str, Tensor]:
        """All that learns, by what it is, in words."""
        return {f"the critic's {name}": weight for name, weight in self._weights.items()}

    def save(self, folder: Path) -> None:
        """Write weights and state of the optimiser: `critic.safetensors`."""
        weights = {f"weights.{name}": weight.detach().contiguous() for name, weight in self._weights.items()}
        moments = {f"optimizer.{name}": tensor for name, tensor in self._optimizer.state().items()}
        save_file(weights | moments, folder / _FILE)

    @torch.no_grad()
    def load(self, folder: Path) -> None:
        """Continue exactly from what `save` wrote. `ValueError` if it belongs to another critic."""
        found = load_file(folder / _FILE)
        for name, weight in self._weights.items():
            saved = found.get(f"weights.{name}")
            if saved is None or saved.shape != weight.shape:
                raise ValueError(f"{folder / _FILE} belongs to another critic ({name})")
            weight.copy_(saved)
        own = {name.removeprefix("optimizer."): x for name, x in found.items() if name.startswith("optimizer.")}
        self._optimizer.load_state(own)
