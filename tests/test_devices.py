"""No tensor stays on the wrong device, and a host rarely waits: whole updates in both worlds on a pretended device."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from pretend_device import PretendDevice
from whole_updates import UPDATES, moves

from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.protocols import Policy
from peripatos.algorithms.learner import Learner
from peripatos.algorithms.methods import Method
from peripatos.algorithms.optimizer import OptimizerSettings
from peripatos.envs.vocabulary import Batch


@pytest.fixture(autouse=True)
def fused_optimizer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch asks a list whether a device has the fused AdamW."""
    from torch.optim import optimizer
    from torch.utils import _foreach_utils

    known = _foreach_utils._get_fused_kernels_supported_devices()
    for module in (optimizer, _foreach_utils):
        monkeypatch.setattr(module, "_get_fused_kernels_supported_devices", lambda: [*known, "meta"])
    torch.set_num_threads(1)


def updated(policy: Policy, batch: Batch, row: Method, device: PretendDevice | None, **settings: Any) -> Learner:
    """`policy` after an update, on a device that is entered and to which it has been moved."""
    reference = copy.deepcopy(policy) if row.needs_reference else None
    if device is not None:
        device.move(policy.module())
        if reference is not None:
            device.move(reference.module())
    # with a large eps a step is smooth in the gradient: else the sign of a gradient of nothing would decide
    learner = Learner(policy, row, OptimizerSettings(lr=1.0, eps=1.0, **settings), seed=0, reference=reference)
    learner.update(batch)
    return learner


@pytest.mark.parametrize("name", UPDATES)
def test_an_update_on_another_device_is_the_same(name: str) -> None:
    make, options, row = UPDATES[name]
    policy, batch = make(**options)
    twin = copy.deepcopy(policy)
    updated(policy, batch, row, None, schedule="constant" if row.source == "demonstrations" else "adaptive_kl")
    with PretendDevice() as device:
        updated(twin, batch, row, device, schedule="constant" if row.source == "demonstrations" else "adaptive_kl")
        for mine, theirs in zip(
            policy.module().state_dict().values(), twin.module().state_dict().values(), strict=True
        ):
            assert theirs.device.type == "meta"
            if isinstance(policy, LanguagePolicy):  # whose attention is another kernel there
                torch.testing.assert_close(mine, device.read(theirs), atol=1e-5, rtol=1e-4)
            else:
                assert torch.equal(mine, device.read(theirs))


def test_a_tensor_that_stayed_on_the_host_is_found() -> None:
    policy, batch = moves()
    with PretendDevice() as device:
        device.move(policy)
        with pytest.raises(RuntimeError, match="on the same device"):
            policy.score(batch.inputs)


def waits(name: str, rows: int, **settings: Any) -> int:
    make, options, row = UPDATES[name]
    policy, batch = make(rows=rows, **options)
    with PretendDevice() as device:
        updated(policy, batch, row, device, **settings)
    return sum(device.waits.values())


PER_UPDATE, PER_PASS = 40, 12  # how often a host may wait; a pass is one micro-batch forward and backward


@pytest.mark.parametrize("name", UPDATES)
def test_how_often_a_host_waits_for_an_update_does_not_grow_with_its_units(name: str) -> None:
    few, many = waits(name, 12), waits(name, 24)
    steps = UPDATES[name][2].update.epochs * UPDATES[name][2].update.minibatches
    assert many <= PER_UPDATE + PER_PASS * steps
    assert many <= few + steps  # a minibatch whose prompts are of one length needs no look at a mask of padding


@pytest.mark.parametrize("name", ["language: reinforce", "language: sft"])
def test_how_often_a_host_waits_grows_by_a_constant_with_each_micro_batch(name: str) -> None:
    few, many = waits(name, 8, micro_batch=8 * 128), waits(name, 8, micro_batch=128)
    assert few < many <= few + PER_PASS * 16
