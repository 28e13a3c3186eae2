"""What a faulty world gives, raises or does, by name."""

from __future__ import annotations

import asyncio
import builtins
import math
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import torch

from peripatos.envs.errors import UserError
from peripatos.envs.vocabulary import WorldFailure


class Odd:
    """No number, and no text that can be shown."""

    def __repr__(self) -> str:
        raise ValueError("I show nothing")


VALUES: dict[str, Any] = {
    "NaN": math.nan,
    "infinity": math.inf,
    "1e39": 1e39,
    "1e300": 1e300,
    "-1e300": -1e300,
    "10**400": 10**400,
    "text of a number": "1.0",
    "text False": "False",
    "an empty text": "",
    "bytes": b"1",
    "None": None,
    "a list": [1.0],
    "a set": {1.0},
    "complex": 1j,
    "an array of two": np.ones(2),
    "a moment": np.datetime64("2026-01-01"),
    "odd": Odd(),
    "0.5": 0.5,
    "-1": -1,
    "2": 2,
    "True": True,
    "0": 0,
    "numpy bool": np.bool_(True),
    "numpy False": np.bool_(False),
    "numpy float32": np.float32(1.0),
    "numpy 0-d": np.array(1.0),
    "numpy one": np.array([1.0]),
    "Decimal": Decimal(1),
    "Fraction": Fraction(1),
    "Decimal of NaN": Decimal("nan"),
    "Decimal of sNaN": Decimal("snan"),
    "a tensor": torch.tensor(1.0),
    "a tensor with a gradient": torch.ones(1, requires_grad=True)[0],
    "a tensor of two": torch.ones(2),
    "observed NaN": np.array([0.0, np.nan], np.float32),
    "observed 1e300": np.array([0.0, 1e300]),
    "observed three": np.zeros(3, np.float32),
    "observed texts": np.array(["0", "1"]),
    "observed list of texts": ["0", "1"],
    "observed complex": np.zeros(2, complex),
    "observed objects": np.array([0.0, None], object),
    "observed list": [0.0, 0.0],
    "observed integers": np.zeros(2, np.int64),
    "observed float64": np.zeros(2),
    "named as ours": {"return": -1000.0, "turns": 77.0, "units": 5.0, "mean": 9.0, "std": 9.0, "success": 9.0},
    "numbered": {1: 1.0},
    "NaN by name": {"a": math.nan},
    "a text by name": {"a": "text"},
    "None by name": {"a": None},
    "an array by name": {"a": np.ones(3)},
    "no sum": {"a": 5.0, "b": 7.0},
    "content None": [{"role": "user", "content": None}],
    "content in parts": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
    "no role": [{"content": "Hello"}],
    "messages of text": ["Hello"],
    "because": "because",
}
RAISED: dict[str, BaseException | type[BaseException]] = {
    "ValueError": ValueError("stumbled"),
    "UserError": UserError("from the world"),
    "WorldFailure": WorldFailure("cannot go on"),
    "SystemExit": SystemExit(0),
    "KeyboardInterrupt": KeyboardInterrupt(),
    "GeneratorExit": GeneratorExit(),
    "BaseException": BaseException("everything"),
    "StopIteration": StopIteration(),
    "MemoryError": MemoryError(),
    "CancelledError": asyncio.CancelledError(),
    "RecursionError": RecursionError(),
}


def _lose(stream: str) -> None:
    setattr(sys, stream, None)


ACTS: dict[str, Callable[[], Any]] = {
    "os._exit(0)": lambda: os._exit(0),
    "os._exit(7)": lambda: os._exit(7),
    "changes the folder": lambda: os.chdir("/"),
    "loses stdout": lambda: _lose("stdout"),
    "loses stderr": lambda: _lose("stderr"),
    "closes stdout": lambda: sys.stdout.close(),
    "closes stderr": lambda: sys.stderr.close(),
    "prints": lambda: (print("noise"), os.write(1, b"noise\n")),
    "no gradients": lambda: torch.set_grad_enabled(False),
    "another type": lambda: torch.set_default_dtype(torch.float64),
    "a low recursion limit": lambda: sys.setrecursionlimit(120),
    "warnings are errors": lambda: warnings.simplefilter("error"),
    "an empty path": lambda: sys.path.clear(),
    "another open": lambda: setattr(builtins, "open", lambda *given: 1 / 0),
    "a clock that stands still": lambda: setattr(time, "perf_counter", lambda: 0.0),
    "a thread": lambda: threading.Thread(target=time.sleep, args=(1000,)).start(),
}
