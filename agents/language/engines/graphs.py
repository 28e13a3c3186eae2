"""Work that is the same kernels on the same memory each time, started with one call: CUDA graphs.

    the first time     the work runs as it is, and is watched: does it ask the host for anything?
    the second time    it is recorded, and started
    from then on       it is started

The first run also has the device load and choose all that it needs, which it could not while a graph is recorded. Work
that asks the host (how many experts were chosen, say) cannot be recorded. It is found by watching, since a recording
that breaks off would leave torch's allocator in disorder.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

Key = tuple[int, int, tuple[bool, ...]]  # rows, length, and in which way


class _Watch(TorchDispatchMode):
    """Notes the first operation whose outcome the host must know before it can go on: `asks`."""

    def __init__(self) -> None:
        super().__init__()
        self.asks = ""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Any operation of this thread."""
        said = func(*args, **(kwargs or {}))
        if not self.asks and _asks(func, args, said):
            self.asks = str(func)
        return said


def _asks(func: Any, args: Any, said: Any) -> bool:
    """By torch's own tags, and by what is given: a mask that says which entries are meant, a copy to another device."""
    if torch.Tag.data_dependent_output in func.tags:
        return True
    tensors = [leaf for leaf in tree_leaves(args) if isinstance(leaf, torch.Tensor)]
    name = str(func).partition(".")[2].partition(".")[0]
    if name in ("index", "index_put", "index_put_", "_unsafe_index"):
        return any(leaf.dtype == torch.bool for leaf in tree_leaves(args[1]) if isinstance(leaf, torch.Tensor))
    if torch.Tag.dynamic_output_shape in func.tags:
        return True
    if name in ("_to_copy", "copy_"):
        devices = {tensor.device.type for tensor in (*tensors, said)}
        return len(devices) > 1
    return False


class Graphs:
    """Recorded work of the model called `name`, by its size."""

    def __init__(self, name: str, *, on: bool) -> None:
        self._name, self.on = name, on
        self._known: dict[Key, torch.cuda.CUDAGraph | None] = {}  # None: it was run as it is
        self._aside: torch.cuda.Stream | None = None  # where work is recorded
        self._pool: Any = None  # the graphs' memory, which they share: one runs at a time

    def __len__(self) -> int:
        """How many are recorded."""
        return sum(graph is not None for graph in self._known.values())

    def fitting(self, key: Key) -> Key:
        """The smallest that is known and at least as large, but at most twice; `key` itself if there is none."""
        rows, length, way = key
        for wide, long, other in sorted(self._known):
            if other == way and rows <= wide <= 2 * rows and length <= long <= 2 * length:
                return wide, long, way
        return key

    def drop(self) -> None:
        """What they were recorded over is no more."""
        if len(self):
            torch.cuda.current_stream().synchronize()  # the last one may still run
        self._known, self._pool = {}, None

    def run(self, key: Key, work: Callable[[], None]) -> None:
        """The work of this size, once."""
        if not self.on:
            work()
        elif key not in self._known:
            with _Watch() as watch:
                work()
            self._known[key] = None
            if watch.asks:
                self._give_up(f"{watch.asks} asks the host in the middle of a step")
        else:
            graph = self._known[key] or self._recorded(work)
            if graph is None:
                work()
            else:
                self._known[key] = graph
                graph.replay()

    def _recorded(self, work: Callable[[], None]) -> torch.cuda.CUDAGraph | None:
        """The kernels of the work, none of which has run yet; None if it cannot be recorded after all."""
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        self._aside = aside = self._aside or torch.cuda.Stream()
        graph = torch.cuda.CUDAGraph()
        aside.wait_stream(torch.cuda.current_stream())
        try:
            with torch.cuda.stream(aside):
                # other threads, a learner's for one, may use the device meanwhile as they like
                graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
                try:
                    work()
                finally:
                    graph.capture_end()
        except Exception as problem:  # whatever a driver or an architecture does that was not foreseen
            self._give_up(" ".join(str(problem).split())[:200])
            return None
        torch.cuda.current_stream().wait_stream(aside)
        return graph

    def _give_up(self, why: str) -> None:
        self.on = False
        self.drop()
        warnings.warn(f"{self._name} is sampled without CUDA graphs, which takes longer: {why}", stacklevel=2)
