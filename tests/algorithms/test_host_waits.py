"""How often an update makes the host wait for the device: counted on a CPU, by what would block on a GPU."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from peripatos.agents.language.language_policy import LanguagePolicy
from peripatos.agents.language.model_path import SHORT
from peripatos.agents.language.packing import pack
from peripatos.agents.language.sample import Sample
from peripatos.agents.language.tiny_llama import tiny_llama
from peripatos.algorithms.learner import Learner
from peripatos.algorithms.methods import method
from peripatos.algorithms.optimizer import OptimizerSettings
from peripatos.envs.vocabulary import Batch

WAITING = ("_local_scalar_dense", "is_nonzero", "aten.nonzero", "_unique", "masked_select", "bincount")
ONCE = 25  # of a whole update: credit, layout of rows, metrics, whether all is finite


class Waits(TorchDispatchMode):
    """Counts; reads of whole tensors (`tolist`) escape it, and are added by `counted`."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        name = str(func)
        chosen = args[1] if "index" in name and len(args) > 1 and isinstance(args[1], list | tuple) else ()
        masks = any(isinstance(one, Tensor) and one.dtype == torch.bool for one in chosen)
        if masks or any(one in name for one in WAITING):
            self.seen[name] += 1
        return func(*args, **(kwargs or {}))


def counted(monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> Counter[str]:
    waits, read = Waits(), Tensor.tolist

    def tolist(tensor: Tensor) -> Any:
        waits.seen["tolist"] += 1
        return read(tensor)

    with monkeypatch.context() as patched, waits:
        patched.setattr(Tensor, "tolist", tolist)
        work()
    return waits.seen


def batch_of(rows: int, length: int, prompt: int) -> Batch:
    samples = []
    for row in range(rows):
        sample = Sample([3 + (row // 4 + at) % 50 for at in range(prompt)])
        said = [3 + (7 * row + at) % 50 for at in range(length - prompt)]
        sample.extend(said, 0, (-4.0,) * len(said))
        sample.reward[len(sample.tokens) - 1] = float(row % 2) + 0.5
        samples.append(sample)
    return pack(samples, [(row // 4, row % 4) for row in range(rows)], 0, [False] * rows)


@pytest.mark.parametrize(("prompt", "a_pass"), [(4, 2), (40, 3)], ids=["read plainly", "prompts shared"])
def test_the_host_waits_a_few_times_an_update_and_as_it_begins_a_pass(
    monkeypatch: pytest.MonkeyPatch, prompt: int, a_pass: int
) -> None:
    def waits(rows: int, length: int, micro: int) -> int:
        model = tiny_llama(seed=0, hidden=16, layers=1, heads=2)
        policy = LanguagePolicy(*model, precision="bf16", path=replace(SHORT, masked=False))
        settings = OptimizerSettings(lr=1e-4, micro_batch=micro)
        learner, batch = Learner(policy, method("reinforce", {}), settings, seed=0), batch_of(rows, length, prompt)
        return sum(counted(monkeypatch, lambda: learner.update(batch)).values())

    whole = waits(8, 64, 10_000)
    assert whole <= ONCE + a_pass
    assert waits(32, 64, 100_000) == waits(8, 120, 100_000) == whole  # neither rows nor units
    passes, cut = 4, 1  # lengths, and which rows stay together, are read once
    assert waits(16, 64, 4 * 70) == whole + cut + (passes - 1) * a_pass
