"""The agent of a run in a body as one file of ONNX, which acts without this package and without torch.

Before the file has its name it is read back and asked beside the agent, in the agent's own worlds: 1,000 observations,
and what is remembered at each. A number may be 1e-5 off (of 1, or of the largest action), of what is rounded before
that; another choice is allowed where the agent finds it as likely to within 1e-5.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from .. import __version__
from ..agents.control.mlp import ActorCritic
from ..agents.control.onnx_agent import ABOUT, EXTRA, OnnxAgent, open_session, sealed
from ..agents.control.onnx_graph import agent_graph, numbers_in
from ..agents.protocols import Act
from ..agents.threads import torch_threads
from ..envs.control.flat_spaces import Actions
from ..envs.control.world_batch import WorldBatch
from ..envs.errors import UserError
from ..envs.seeding import derive_seed
from ..envs.world_source import WorldSource
from .agent_file import FORMAT, About, Home, Spaces, row_of
from .config.agents import MlpAgentSpec
from .run.disk import RunFailed, disk_errors, make_folder, write_bytes
from .run.run_directory import RunDirectory
from .run.saved_agent import OpenedAgent, find_checkpoint, open_agent
from .run.verified import trusted_scenario

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

PARITY = 1e-5
OBSERVATIONS, _WORLDS = 1000, 8


def export_onnx(path: Path, to: Path | None, *, checkpoint: str = "best") -> str:
    """Write the agent of the run at `path` to the new file `to` (default: `RUN/model.onnx`); gives what was done, in a
    sentence.

    UserError for a run whose agent is no network in a body, for a file that is there already, and where `onnx` is not
    installed. RunFailed where what was written does not do what the agent does.
    """
    run = RunDirectory.open(path)
    agent = trusted_scenario(run).agent
    if not isinstance(agent, MlpAgentSpec):
        raise UserError(
            f"{path} is a run of kind {agent.kind!r}, and a file of ONNX is for agents in bodies (mlp); a language "
            "model is exported as a folder: --to FOLDER"
        )
    to = to or path / "model.onnx"
    if to.exists() or to.is_symlink():
        raise UserError(f"{to} is there already and is not overwritten; use another --to")
    folder = find_checkpoint(run, checkpoint)
    opened = open_agent(path, checkpoint, "cpu")
    assert isinstance(opened.policy, ActorCritic), "the agent is an mlp"
    with opened.sources, torch_threads(1):
        content = _content(opened, opened.policy, folder.name)
        session = open_session(content)
        apart = float(np.max([_apart(opened.policy, session, source) for source in opened.sources.values()]))
    if not apart <= PARITY:
        raise RunFailed(f"the file is not the agent: what it does is off by {apart:.2g}, allowed is {PARITY:g}")
    make_folder(to.parent)
    with disk_errors(to, into_run=False):
        write_bytes(to, content)
    agrees = f"whose actions are the agent's to {apart:.1g} on {OBSERVATIONS:,} observations"
    return f"checkpoint {folder.name} is in {to}: a graph for onnxruntime, {agrees}"


def _content(opened: OpenedAgent, policy: ActorCritic, checkpoint: str) -> bytes:
    """The file: the graph, what is to be known of it, and the digest of both."""
    try:
        from onnx.helper import set_model_props
    except ImportError as error:
        raise UserError(f"a file of ONNX needs the extra: {EXTRA} ({error})") from None
    scenario, first = opened.scenario, opened.sources.first.facts
    facts = {name: source.facts for name, source in opened.sources.items()}
    homes = {
        name: Home(world=one.world, spaces=Spaces.of(facts[name].observation_space, facts[name].action_space))
        for name, one in scenario.alone().items()
    }
    about = About(
        format=FORMAT,
        peripatos=__version__,
        checkpoint=checkpoint,
        seed=scenario.seed,
        episodes=opened.sources.evaluated(scenario, "test"),
        homes=homes,
        row=row_of(first.observation_space),
    )
    model = agent_graph(policy, Actions(first.action_space))
    set_model_props(model, {ABOUT: about.model_dump_json(exclude_defaults=True)})
    return sealed(model.SerializeToString())


class _Moment(NamedTuple):
    """What N worlds show, what is remembered of them, and what the agent does."""

    observation: np.ndarray
    memory: np.ndarray
    act: Act


def _moments(policy: ActorCritic, worlds: WorldBatch, seed: int) -> Iterator[_Moment]:
    """The agent at its work, for `OBSERVATIONS` observations: episodes that end begin again."""
    ids = np.arange(worlds.n)
    begun, memory = worlds.n, policy.begin(worlds.n)
    observation = worlds.reset(ids, [derive_seed(seed, "parity", k) for k in range(begun)])
    for _ in range(0, OBSERVATIONS, worlds.n):
        act = policy.act(observation, None, memory)
        yield _Moment(observation, memory, act)
        result = worlds.step(ids, act.action)
        observation, memory = result.observation.copy(), act.memory_N.copy()
        over = ids[result.terminated | result.truncated | np.isin(ids, list(result.failure))]
        memory[over] = policy.begin(len(over))
        if len(over):
            observation[over] = worlds.reset(over, [derive_seed(seed, "parity", begun + k) for k in range(len(over))])
        begun += len(over)


def _apart(policy: ActorCritic, session: InferenceSession, source: WorldSource) -> float:
    """How far the file's actions and memories are from the agent's, at the worst; NaN where one is NaN."""
    actions = Actions(source.facts.action_space)
    twin, apart = OnnxAgent(session, actions), [0.0]
    worlds = source.make_batch(_WORLDS, at_once=_WORLDS)
    try:
        for moment in _moments(policy, worlds, 0):
            theirs = twin.act(moment.observation, None, moment.memory)
            apart += [_distance(theirs.memory_N, moment.act.memory_N)]
            apart += _off(policy, moment, theirs.action, actions)
    finally:
        worlds.close()
    return float(np.max(apart))


def _off(policy: ActorCritic, moment: _Moment, action: np.ndarray, actions: Actions) -> list[float]:
    """How far numbers are from the agent's, within the bounds, and how much less likely choices are."""
    real, mine, off = policy.head.real, moment.act.action, []
    if real:
        box = numbers_in(actions.stored)
        given, within = action[:, :real], np.clip(mine[:, :real], box.low, box.high)
        if (given != np.rint(given))[:, actions.whole].any():
            return [math.inf]  # no number of this world
        rounding = np.where(actions.whole, np.clip(given - within, -0.5, 0.5), 0.0)
        off.append(_distance(given - rounding, within))
    if policy.head.choices:
        index = action.reshape(len(action), -1)[:, real:]
        if ((index < 0) | (index >= policy.head.choices)).any():
            return [math.inf]  # no choice of this world
        chosen = action if not real else np.concatenate([mine[:, :real], action[:, real:]], axis=1)
        off.append(float(np.max(moment.act.logp_N - _logp(policy, moment, chosen))))
    return off


def _distance(theirs: np.ndarray, mine: np.ndarray) -> float:
    """The largest difference, of 1 or of the largest number."""
    if not mine.size:
        return 0.0
    return float(np.abs(theirs - mine).max() / max(1.0, float(np.abs(mine).max())))


@torch.no_grad()
def _logp(policy: ActorCritic, moment: _Moment, action: np.ndarray) -> np.ndarray:
    """The log-probabilities of other actions at that moment [N]."""
    numbers = len(policy.observations.mean)
    row = torch.from_numpy(moment.observation)
    inputs: dict[str, Any] = {
        "observation_B_T_D": row[:, None, :numbers],
        policy.head.name: torch.from_numpy(np.ascontiguousarray(action))[:, None],
    }
    if row.shape[1] > numbers:
        inputs["pixels_B_T_P"] = row[:, None, numbers:]
    if policy.memory is not None:
        inputs |= {
            "memory_B_H": torch.from_numpy(moment.memory),
            "first_B_T": torch.zeros(len(row), 1, dtype=torch.bool),
        }
    return policy.score(inputs).logp_B_T[:, 0].numpy()
