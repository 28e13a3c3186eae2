"""A device that this machine does not have: torch's `meta` device, given memory.

On a real accelerator two mistakes show that a CPU forgives: a tensor that stayed on the host, and reading a number
back, for which the host waits. Here every tensor of the `meta` device has its numbers in an ordinary one beside it.
Operations are computed there; those that mix the two devices are refused in the words that CUDA would use, and those
for which a host would wait are counted.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map
from torch.utils.weak import WeakTensorKeyDictionary

aten = torch.ops.aten
WAITS = {
    aten._local_scalar_dense.default,
    aten.is_nonzero.default,
    aten.nonzero.default,
    aten._unique2.default,
    aten.masked_select.default,
    aten.equal.default,
}
COPIES = {aten._to_copy.default, aten.copy_.default}


class PretendDevice(TorchDispatchMode):
    """While it is entered, `meta` is a device with memory. `waits` counts what a host would have waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()
        self._memory = WeakTensorKeyDictionary()
        self._factories = _Factories()

    def __enter__(self):
        self._factories.__enter__()
        return super().__enter__()

    def __exit__(self, *problem):
        super().__exit__(*problem)
        self._factories.__exit__(*problem)

    def move(self, module: nn.Module) -> None:
        """Put a module's parameters and buffers on the device. What is shared stays shared."""
        moved: dict[int, Tensor] = {}
        for owner in module.modules():
            for name, parameter in owner.named_parameters(recurse=False):
                if id(parameter) not in moved:
                    real = parameter.detach().clone()
                    moved[id(parameter)] = there = nn.Parameter(self._on_device(real), parameter.requires_grad)
                    self._memory[there] = real  # a parameter is another tensor than the one that it is made of
                setattr(owner, name, moved[id(parameter)])
            for name, buffer in owner.named_buffers(recurse=False):
                setattr(owner, name, self._on_device(buffer.clone()))

    def read(self, tensor: Tensor) -> Tensor:
        """The numbers of a tensor, wherever it is."""
        return self._memory[tensor] if tensor.device.type == "meta" else tensor

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        tensors = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, Tensor)]
        there = [x for x in tensors if x.device.type == "meta"]
        here = [x for x in tensors if x.device.type != "meta" and x.ndim]
        wanted = kwargs.get("device")
        if there and here and func not in COPIES:
            raise RuntimeError(f"{func}: Expected all tensors to be on the same device, but found meta and cpu")
        if wanted is not None:
            kwargs["device"] = torch.device("cpu")
        to_device = torch.device(wanted).type == "meta" if wanted is not None else bool(there)
        if func is aten.copy_.default:
            to_device = args[0].device.type == "meta"
        self._count(func, args, there, to_device)
        real = {id(self._memory[x]): x for x in there}
        result = func(*tree_map(self._real, args), **tree_map(self._real, kwargs))
        if not to_device:
            return result
        return tree_map(lambda x: real.get(id(x)) if id(x) in real else self._wrapped(x), result)

    def _count(self, func: Any, args: Any, there: list[Tensor], to_device: bool) -> None:
        boolean = func is aten.index.Tensor and any(x is not None and x.dtype == torch.bool for x in args[1])
        if there and (func in WAITS or boolean or (func in COPIES and not to_device)):
            self.waits[str(func)] += 1

    def _real(self, x: Any) -> Any:
        return self._memory[x] if isinstance(x, Tensor) and x.device.type == "meta" else x

    def _wrapped(self, x: Any) -> Any:
        return self._on_device(x) if isinstance(x, Tensor) else x

    def _on_device(self, real: Tensor) -> Tensor:
        with torch._C._DisableTorchDispatch():
            shell = torch.empty_strided(real.size(), real.stride(), dtype=real.dtype, device="meta")
        self._memory[shell] = real
        return shell


class _Factories(TorchFunctionMode):
    """`torch.tensor(…, device="meta")` drops its numbers before anybody can see them: here it is made on the host."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in (torch.tensor, torch.as_tensor, torch.asarray) and str(kwargs.get("device")).startswith("meta"):
            return func(*args, **{**kwargs, "device": "cpu"}).to("meta")
        return func(*args, **kwargs)
