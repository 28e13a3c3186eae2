# pyright: reportMissingImports=false
"""Ray, started for one run and stopped with it: on this machine's loopback, behind a token of its own, and silent.

Environment, signal handlers and files are afterwards as they were.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..run.disk import RunFailed


@contextmanager
def _environment(settings: dict[str, str]) -> Iterator[None]:
    """Ray's processes inherit `settings`; this one forgets them, and what Ray adds."""
    before = dict(os.environ)
    os.environ.update(settings)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # no cluster beyond this machine, so that it stays on the loopback
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
}
with _environment(_SETTINGS):  # read when it is imported, and by the processes that it starts
    import ray
    import ray._private.worker
    import ray.util
    from ray._raylet import AuthenticationTokenLoader


class RayInstance:
    """A Ray of our own, with room for `cores`. RunFailed where it does not start."""

    def __init__(self, cores: int) -> None:
        ray._private.worker._worker_logs_enabled = False  # it tells of dead workers on stdout, where data goes
        self._folder = Path(tempfile.mkdtemp(prefix="peripatos-ray-"))
        settings = {
            "address": "local",
            "num_cpus": cores,
            "num_gpus": 0,
            "include_dashboard": False,
            "configure_logging": False,
            "log_to_driver": False,
            "_temp_dir": str(self._folder),
        }
        try:
            with _environment(_SETTINGS), _handlers_kept():
                AuthenticationTokenLoader.instance().reset_cache()  # or it would have the token of the Ray before
                ray.init(**settings)
        except (OSError, RuntimeError) as problem:
            self.close()
            raise RunFailed(f"Ray did not start: {problem}") from problem
        ship_tensors_as_arrays()

    def close(self) -> None:
        """Stop it, and what runs in it; closing twice is harmless."""
        with _handlers_kept():
            ray.shutdown()
        AuthenticationTokenLoader.instance().reset_cache()
        shutil.rmtree(self._folder, ignore_errors=True)


def ship_tensors_as_arrays() -> None:
    """From here on, this process gives tensors to Ray as NumPy arrays, which lie in its store as they are; the copy
    that arrives may be written to."""
    ray.util.register_serializer(Tensor, serializer=_to_array, deserializer=_from_array)


def _to_array(tensor: Tensor) -> tuple[Any, str]:
    name = str(tensor.dtype).removeprefix("torch.")
    tensor = tensor.detach().cpu()
    return (tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor).numpy(), name


def _from_array(packed: tuple[Any, str]) -> Tensor:
    array, name = packed
    tensor = torch.tensor(array)
    return tensor.view(torch.bfloat16) if name == "bfloat16" else tensor


@contextmanager
def _handlers_kept() -> Iterator[None]:
    """Ray puts in a handler of SIGTERM that exits, and a run has one that saves."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
