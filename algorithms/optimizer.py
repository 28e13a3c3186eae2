"""The optimiser: its settings, its step on fp32 masters, and how its step size follows the KL divergence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from torch import (
    Tensor,
    _foreach_copy_,  # pyright: ignore[reportPrivateImportUsage] (what torch's own optimisers are made of)
    nn,
)
from torch.optim.adamw import adamw  # the function: the class imports a compiler, which takes a second of every start

from ..envs.quantities import Count, NotNegative, Positive, whole

_BETA_1, _BETA_2 = 0.9, 0.999  # of the moments
ADAPTED_RANGE = 30.0  # by which factor a step size may leave the one that was asked for


@dataclass(frozen=True)
class OptimizerSettings:
    """AdamW and how its step size moves."""

    lr: Positive = 3e-4
    schedule: Literal["constant", "linear", "adaptive_kl"] = "constant"
    """linear: to zero at the end of the budget. adaptive_kl: divided or multiplied by 1.5 after each step
    that leaves the KL to the old policy above twice or below half of `target_kl` (Rudin et al. 2022, arXiv:2109.11978).
    It is measured on the minibatch that follows, and after the last step of an update on its own."""
    target_kl: Positive = 0.015
    warmup: Annotated[int, whole(0)] = 0
    """Updates over which the step size rises to `lr`: Adam's first steps have no scale yet and are as long as it
    lets them be, which can cost a policy the variety that it would have learned from."""
    weight_decay: NotNegative = 0.0
    eps: Positive = 1e-8
    max_grad_norm: Positive = 1.0
    micro_batch: Count | None = None  # most positions in one forward pass; None: the whole minibatch


def adapted(lr: float, kl: float, settings: OptimizerSettings) -> float:
    """The next step size under the adaptive schedule.

    α ← α/1.5 where KL > 2·KL*,   1.5·α where KL < KL*/2,   within [α₀/30, 30·α₀]
    """
    # α ← max(α₀/30, α/1.5) where KL > 2 KL*,   min(30 α₀, 1.5 α) where KL < KL*/2
    if kl > 2 * settings.target_kl:
        return max(settings.lr / ADAPTED_RANGE, lr / 1.5)
    if kl < settings.target_kl / 2:
        return min(settings.lr * ADAPTED_RANGE, lr * 1.5)
    return lr


class Masters:
    """AdamW on the fp32 masters θ of a module's parameters w, which may be bf16.

        g = Σ ∂L/∂w over the passes of a step, summed in fp32
        θ ← AdamW(θ, g),    w ← θ rounded to w's type

    Without θ, a step of less than half a unit in w's last place would be none. An fp32 parameter is its own master.
    """

    def __init__(self, named: Mapping[str, nn.Parameter], settings: OptimizerSettings) -> None:
        self.named = dict(named)
        self._low: list[Tensor] = [p for p in named.values() if p.dtype.itemsize < torch.float32.itemsize]
        high = {id(p): p.detach().float() for p in self._low}
        self._high = list(high.values())  # the masters of `_low`
        self.tensors: list[Tensor] = [high.get(id(p), p) for p in named.values()]  # all masters, in the module's order
        self._seen = [p._version for p in self._low]
        self._settings = settings
        self._slots: list[dict[str, Tensor]] = []  # of each master, from the first step on

    @contextmanager
    def gradient(self) -> Iterator[None]:
        """From zero, what is propagated back while this holds is summed in the masters' `grad`: the first pass gives
        it, the others add to it."""
        rooms = [master.grad for master in self._high]
        for master in self.tensors:
            master.grad = None
        moved = [
            part.register_post_accumulate_grad_hook(_adder(at, room))
            for part, at, room in zip(self._low, self._high, rooms, strict=True)
        ]
        try:
            yield
        finally:
            for hook in moved:
                hook.remove()
        for master in self.tensors:
            if master.grad is None:  # no pass reached it, and its moments decay all the same
                master.grad = torch.zeros_like(master)

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """One step down the gradient."""
        self._follow()
        if not self._slots:
            self._slots = [_slots(master) for master in self.tensors]
        adamw(
            self.tensors,
            [_gradient_of(master) for master in self.tensors],
            [slots["exp_avg"] for slots in self._slots],
            [slots["exp_avg_sq"] for slots in self._slots],
            [],  # of AMSGrad
            [slots["step"] for slots in self._slots],
            fused=True,
            amsgrad=False,
            beta1=_BETA_1,
            beta2=_BETA_2,
            lr=lr,
            weight_decay=self._settings.weight_decay,
            eps=self._settings.eps,
            maximize=False,
        )
        if self._low:
            _foreach_copy_(self._low, self._high)
        self._seen = [p._version for p in self._low]

    def moments(self) -> dict[str, Tensor]:
        """AdamW's moments, by what they are of, in words."""
        kinds = ("exp_avg", "exp_avg_sq")
        named = zip(self.named, self._slots, strict=False)  # none before the first step
        return {f"the optimiser's {kind} of {name}": slots[kind] for name, slots in named for kind in kinds}

    def state(self) -> dict[str, Tensor]:
        """Moments, steps and masters, by the number of the parameter."""
        found = {
            f"{index}.{name}": tensor.contiguous()
            for index, slots in enumerate(self._slots)
            for name, tensor in slots.items()
        }
        return found | {f"{index}.master": master for index, master in zip(self._numbers(), self._high, strict=True)}

    @torch.no_grad()
    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from what `state` gave. `ValueError` says which parameter it does not fit."""
        state: dict[int, dict[str, Any]] = {}
        for key, tensor in tensors.items():
            index, name = key.split(".", 1)
            state.setdefault(int(index), {})[name] = tensor
        masters = {index: slots.pop("master") for index, slots in state.items() if "master" in slots}
        if state and masters.keys() != set(self._numbers()):
            raise ValueError("was written with another precision")
        for index, tensor in [*masters.items(), *((i, slots["exp_avg"]) for i, slots in state.items() if slots)]:
            if index >= len(self.tensors) or tensor.shape != self.tensors[index].shape:
                raise ValueError(f"belongs to another policy (parameter {index})")
        self._slots = [_slots(master) for master in self.tensors] if any(state.values()) else []
        for index, slots in state.items():
            for name, tensor in slots.items():
                self._slots[index][name].copy_(tensor)
        for index, master in masters.items():
            self.tensors[index].copy_(master)
        self._seen = [p._version for p in self._low]

    def _numbers(self) -> list[int]:
        """Which of the parameters have a master of their own."""
        return [index for index, p in enumerate(self.named.values()) if self.tensors[index] is not p]

    def _follow(self) -> None:
        """Where somebody else has written into the module since the latest step, the master is what was written."""
        for part, master, seen in zip(self._low, self._high, self._seen, strict=True):
            if part._version != seen and not torch.equal(master.to(part.dtype), part):
                master.copy_(part)


def _slots(master: Tensor) -> dict[str, Tensor]:
    """What AdamW keeps of a master: how many steps it has taken, and its moments."""
    step = torch.zeros((), dtype=torch.float32, device=master.device)
    return {"step": step, "exp_avg": torch.zeros_like(master), "exp_avg_sq": torch.zeros_like(master)}


def _adder(master: Tensor, room: Tensor | None) -> Callable[[Tensor], None]:
    """A hook that moves a gradient on into that of the master, which takes the `room` of the step before: memory that
    is new costs as much as to fill it."""

    def move(part: Tensor) -> None:
        if master.grad is None:
            master.grad = (torch.empty_like(master) if room is None else room).copy_(_gradient_of(part))
        else:
            master.grad.add_(_gradient_of(part))
        part.grad = None

    return move


def _gradient_of(part: Tensor) -> Tensor:
    assert part.grad is not None, "what was propagated back is there"
    return part.grad


def lacks_memory(problem: Exception) -> bool:
    """Whether an allocation failed, on whatever device."""
    return isinstance(problem, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(problem)
