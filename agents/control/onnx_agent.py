"""An agent out of a file of ONNX: it acts by `onnxruntime`, and torch is not imported.

    file = AgentFile.read(path)          the graph of `onnx_graph`, and what was written of it
    agent = OnnxAgent(file.session, Actions(world.action_space))

A file ends with the SHA-256 of everything before, as one more entry of its metadata (messages of Protocol Buffers that
stand one behind the other are one message), so that a byte that has changed is noticed.

A seal can be written by anybody, and what a graph does is done in native code, where nobody can interrupt it. So a
session is opened for no other operations than those that `onnx_graph` writes, of which none repeats or branches.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...envs.control.flat_spaces import Actions
from ...envs.control.world_batch import action_layout
from ...envs.errors import UserError
from ..protocols import Act

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

OBSERVATION, ACTION, MEMORY, NEXT_MEMORY = "observation", "action", "memory", "next_memory"
ABOUT = "peripatos"  # the entry of the metadata that says, as JSON, of which world and run the agent is
OPERATIONS = {
    *("Add", "ArgMax", "Cast", "Clip", "Concat", "Conv", "Flatten", "GRU", "Gemm", "Identity", "Max", "Min", "Mul"),
    *("Relu", "Reshape", "Round", "Split", "Squeeze", "Sub", "Tanh", "Unsqueeze", "Where"),
}
_SEAL = b"peripatos_sha256"
_LARGEST = 1 << 30  # bytes; protobuf reads no more than two of these
EXTRA = "pip install 'peripatos[onnx]'"


def sealed(model: bytes) -> bytes:
    """A serialised model with its digest behind it."""
    digest = hashlib.sha256(model).hexdigest().encode()
    entry = b"\x0a" + bytes([len(_SEAL)]) + _SEAL + b"\x12" + bytes([len(digest)]) + digest  # key, value
    return model + b"\x72" + bytes([len(entry)]) + entry  # the field `metadata_props`


def _is_sealed(content: bytes) -> bool:
    return sealed(content[: -len(sealed(b""))]) == content


@dataclass(frozen=True)
class AgentFile:
    """A file that `peripatos export` has written, and which is as it was written."""

    session: InferenceSession
    about: str  # JSON

    @classmethod
    def read(cls, path: Path) -> AgentFile:
        """UserError where there is no onnxruntime, no such file, or another one."""
        if not path.exists():
            raise UserError(f"there is no file {path}; peripatos export RUN --to onnx writes one")
        if not path.is_file():
            raise UserError(f"{path} is no file; what is played is the file that peripatos export RUN --to onnx writes")
        if path.stat().st_size > _LARGEST:
            raise UserError(f"{path} has {path.stat().st_size:,} bytes; {_LARGEST:,} are read of such a file")
        try:
            content = path.read_bytes()
        except OSError as problem:
            raise UserError(f"{path} cannot be read: {problem.strerror}") from problem
        if _SEAL not in content:
            raise UserError(f"{path} was not written by peripatos export, or its end is missing; export the run again")
        if not _is_sealed(content):
            raise UserError(f"{path} is not as it was exported: it is damaged or was changed; export the run again")
        session = open_session(content)
        return cls(session, session.get_modelmeta().custom_metadata_map.get(ABOUT, ""))


def open_session(content: bytes) -> InferenceSession:
    """One thread on the CPU. UserError where there is no onnxruntime, where it does not read this, or for a graph of
    which `onnx_graph` writes no such."""
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(f"playing a file of ONNX needs the extra: {EXTRA} ({error})") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # fatal: errors are raised, and need not be printed too
    try:
        _check_operations(content)  # first, for opening a session computes what is constant
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except UserError:
        raise
    except Exception as problem:  # its own kinds have no base in common
        reason = str(problem).strip().partition("\n")[0]
        raise UserError(f"onnxruntime {onnxruntime.__version__} cannot read the agent's graph: {reason}") from problem


def _check_operations(content: bytes) -> None:
    """UserError for an operation that is none of an agent's, or for weights that are in another file."""
    try:
        import onnx
    except ImportError as error:
        raise UserError(f"playing a file of ONNX needs the extra: {EXTRA} ({error})") from None
    model = onnx.load_model_from_string(content)
    kinds = {f"{node.domain}.{node.op_type}".removeprefix("ai.onnx").removeprefix(".") for node in model.graph.node}
    strange = sorted({*(kinds - OPERATIONS), *(function.name for function in model.functions)})
    if strange:
        raise UserError(
            f"the graph has the operation {strange[0]!r:.80}, and peripatos export writes none but "
            f"{', '.join(sorted(OPERATIONS))}: nothing of it is run; export the run again"
        )
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer):
        raise UserError("the graph takes weights from another file, which peripatos export never writes")


class OnnxAgent:
    """A `Behaviour` that does what its file holds: the likeliest action, in worlds with `actions`.

    UserError for a graph that is no agent's, or none for these actions: a seal can be written by anybody.
    """

    has_critic = False

    def __init__(self, session: InferenceSession, actions: Actions) -> None:
        shape, kind = action_layout(actions.stored)
        numbers = max(1, math.prod(shape)) - len(actions.first)
        self._session, self._shape = session, shape
        self._shift = np.concatenate([np.zeros(numbers), actions.first]).astype(kind)
        sizes: Mapping[str, int] = {one.name: (one.shape or [0])[-1] for one in session.get_inputs()}
        gives = [one.name for one in session.get_outputs()]
        if (set(sizes), gives) not in (({OBSERVATION}, [ACTION]), ({OBSERVATION, MEMORY}, [ACTION, NEXT_MEMORY])):
            raise UserError(
                f"the graph takes {', '.join(sizes) or 'nothing'} and gives {', '.join(gives) or 'nothing'}; "
                f"an agent's takes {OBSERVATION} and gives {ACTION}, or {MEMORY} and {NEXT_MEMORY} as well: export the "
                "run again"
            )
        self._remembers = sizes.get(MEMORY, 0)

    def draw(self, rng: np.random.Generator, steps: int) -> np.ndarray:
        """Nothing is drawn [steps, 0]."""
        return np.zeros((steps, 0), np.float32)

    def begin(self, n: int) -> np.ndarray:
        """An empty memory for each [n, H]."""
        return np.zeros((n, self._remembers), np.float32)

    def act(
        self,
        observation_N_D: np.ndarray,
        noise_N_K: np.ndarray | None = None,
        memory_N: np.ndarray | None = None,
    ) -> Act:
        """As `Behaviour.act`, without log-probabilities and values."""
        memory_N = self.begin(len(observation_N_D)) if memory_N is None else memory_N
        given = {OBSERVATION: observation_N_D.astype(np.float32)} | ({MEMORY: memory_N} if self._remembers else {})
        try:
            action, *remembered = map(np.asarray, self._session.run(None, given))
        except Exception as problem:  # onnxruntime's own kinds have no base in common
            reason = str(problem).strip().partition("\n")[0][:300]
            raise UserError(f"onnxruntime cannot run the agent's graph: {reason}; export the run again") from problem
        if action.shape != (len(observation_N_D), *self._shape):
            raise UserError(
                f"the graph gives actions of shape {list(action.shape)} for {len(observation_N_D)} observations, and "
                f"this world takes {[len(observation_N_D), *self._shape]}; export the run again"
            )
        nothing = np.zeros(len(action), np.float32)
        counted_from_zero = action - self._shift
        return Act(counted_from_zero, nothing, nothing, remembered[0] if remembered else memory_N)

    def value(self, observation_M_D: np.ndarray, memory_M: np.ndarray | None = None) -> np.ndarray:
        """Zeros [M]: the critic stayed behind."""
        return np.zeros(len(observation_M_D), np.float32)
