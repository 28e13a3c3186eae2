"""The entrance from Python: what `import peripatos` offers.

    run = peripatos.run("cartpole-ppo", {"stages.balance.budget.env_steps": 4000})
    run.summary, run.metrics, run.evaluations
    run.resume({"stages.balance.budget.env_steps": 8000})
    agent = run.agent("best")
    agent.play(5)

A run changes nothing outside of its folder: torch's thread count, the global random states and the signal handlers are
afterwards as they were.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..envs.errors import UserError
from .config.loading import check_scenario, find_scenario, put_at
from .config.yaml_text import Source, read_yaml
from .run.logs import EVALUATIONS, METRICS, read_jsonl
from .run.run_directory import RunDirectory

if TYPE_CHECKING:
    from ..agents.protocols import Actor
    from ..envs.vocabulary import Episode
    from .assembly.worlds import WorldSources
    from .config.schema import Scenario
    from .run.amend import GoingOn
    from .run.listeners import Listener
    from .run.saved_agent import OpenedAgent


def run(
    scenario: str | Path | Mapping[str, Any],
    overrides: Mapping[str, Any] | None = None,
    *,
    seed: int | None = None,
    out: str | Path | None = None,
    device: str | None = None,
    listeners: Sequence[Listener] = (),
    quiet: bool = True,
) -> Run:
    """Run a scenario from its beginning to its end, and give what it left.

    Args:
        scenario: a shipped name, a path to YAML, or the mapping that such a file holds.
        overrides: values by dotted key, `{"stages.learn.budget.updates": 10}`.
        seed, device: of the run; default: the scenario's.
        out: the folder; default: runs/NAME-SEED.
        listeners: who is told how it goes, see `peripatos.scenarios.run.listeners`.
        quiet: False shows progress on stderr, as the command does.

    Raises:
        UserError: something about the scenario or the folder is wrong; nothing was run.
        RunFailed: the run could not go on.
        KeyboardInterrupt: Ctrl-C, or another signal that asks for an end (`Stopped`); everything is saved.
    """
    from .assembly.checks import check_parts
    from .commands.app import load_plugins
    from .config.mistakes import placed
    from .run.beginning import check_place

    given = {
        **(overrides or {}),
        **{key: value for key, value in (("seed", seed), ("device", device)) if value is not None},
    }
    resolved, source = _resolved(scenario, given)
    load_plugins()
    with placed(source), check_parts(resolved, source) as worlds:
        folder = None if out is None else Path(out)
        resolved = check_place(resolved, folder)
        directory = RunDirectory.create(folder, resolved, ["peripatos.run", str(resolved.name), *map(str, given)])
        with directory.held():
            try:
                return _go(directory, worlds, listeners, quiet)
            except UserError:
                directory.discard_unless_begun()
                raise


def compare(
    scenarios: str | Path | Sequence[str | Path],
    methods: Sequence[str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    seeds: int | None = None,
    out: str | Path = "runs/compare",
    limit: int | None = None,
    quiet: bool = True,
) -> dict[str, Any]:
    """Run methods × scenarios × seeds with equal budgets, as the command does, and give `comparison.json`'s content.

    Args:
        scenarios: shipped names or paths to YAML, or a comparison, such as "compare-quick".
        methods: each takes the place of a scenario's last that learns from its own actions; default: the comparison's.
        overrides: values by dotted key, in every scenario. seeds: how many; default: the comparison's, or 3.
        out: the folder; what was begun there is gone on with. limit: processes at once; default: the cores.

    Raises UserError if something cannot be run or compared, before anything runs; KeyboardInterrupt as `run`.
    """
    from .commands.app import load_plugins
    from .compare.findings import report
    from .compare.from_python import as_flags, folder, method_names, scenario_names
    from .compare.jobs import compare as run_all

    for name, number in (("seeds", seeds), ("limit", limit)):
        if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 1):
            raise UserError(f"{name} is {number!r}; allowed is a whole number, 1 or more")
    load_plugins()
    names, wanted, path = scenario_names(scenarios), method_names(methods), folder(out)
    sets = as_flags({} if overrides is None else overrides)
    compared = run_all(names, wanted, seeds, path, sets=sets, limit=limit, quiet=quiet)
    return report(compared.results, path, compared.against)


def load_run(path: str | Path) -> Run:
    """What the run in the folder `path` has left so far. UserError if there is none."""
    return Run(RunDirectory.open(Path(path)))


class Run:
    """What a run has left, as plain data; read anew at each look."""

    def __init__(self, directory: RunDirectory) -> None:
        self._directory, self.path = directory, directory.path

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, {self.summary.get('status', 'not begun')})"

    @property
    def scenario(self) -> Scenario:
        """What it runs, resolved."""
        from .run.verified import trusted_scenario

        return trusted_scenario(self._directory)

    @property
    def summary(self) -> dict[str, Any]:
        """summary.json."""
        return self._directory.summary()

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The rows of metrics.jsonl: one for each update."""
        from .run.verified import read_log

        return read_log(self._directory, METRICS)

    @property
    def evaluations(self) -> list[dict[str, Any]]:
        """The rows of evaluations.jsonl; `set` says on which tasks."""
        from .run.verified import read_log

        return read_log(self._directory, EVALUATIONS)

    def column(self, name: str) -> np.ndarray:
        """The metric `name` over updates, float64 [updates]; NaN where a row lacks it. UserError if all do."""
        rows = self.metrics
        known = {key for row in rows for key in row}
        if name not in known:
            from ..envs.errors import unknown

            raise UserError(unknown("metric", name, known))
        return np.asarray([np.nan if row.get(name) is None else row[name] for row in rows], np.float64)

    def episodes(self, update: int | None = None, split: str = "test") -> list[dict[str, Any]]:
        """The episodes that were kept after `update` (default: the last with any), as their file holds them."""
        from .run.kept_episodes import kept_files, notice_damage

        files = kept_files(self._directory.episodes)
        chosen = [file for (number, name), file in files.items() if name == split and update in (None, number)]
        if not chosen:
            kept = ", ".join(file.stem for file in files.values())
            raise UserError(f"{self.path} has kept no such episodes; it has {kept or 'none'}")
        rows, _ = read_jsonl(chosen[-1])
        notice_damage(chosen[-1], len(rows))
        return rows

    def resume(
        self,
        overrides: Mapping[str, Any] | None = None,
        *,
        listeners: Sequence[Listener] = (),
        quiet: bool = True,
    ) -> Run:
        """Go on where it was stopped; or, with a larger budget among the `overrides`, where it had ended.

        A run that has nothing more to do is left as it is, or gets the learning curve that it lacks. Errors as of
        `run`; UserError for an override that would make it another run.
        """
        from .commands.app import load_plugins
        from .report.curves import draw_if_missing
        from .run.amend import begin_again, is_over
        from .run.noticed import notice

        load_plugins()
        command = ["peripatos.load_run", str(self.path), "resume", *map(str, overrides or ())]
        sets = [f"{key}={json.dumps(value)}" for key, value in (overrides or {}).items()]
        if not sets and is_over(self._directory):
            draw_if_missing(self._directory, quiet=quiet)
            return self
        with self._directory.held(command):
            going_on = begin_again(self._directory, sets)
            if not going_on.to_do:
                for note in going_on.notes:
                    notice(note)
                draw_if_missing(self._directory, quiet=quiet)
                return self
            self._directory.note_command(command)
            return _go(self._directory, None, listeners, quiet, going_on)

    def agent(self, checkpoint: str = "best", *, device: str | None = None) -> SavedAgent:
        """The agent as it stood at `checkpoint` (best, last or a number)."""
        from .run.saved_agent import open_agent

        return SavedAgent(open_agent(self.path, checkpoint, device))


class SavedAgent:
    """An agent out of a run, ready to act in its world. Close it, or use it as a context."""

    def __init__(self, opened: OpenedAgent) -> None:
        from ..agents.protocols import Weights
        from .assembly.actors import make_stage
        from .config.schema import Stage

        self.policy, self._sources = opened.policy, opened.sources
        self._parts = make_stage(opened.scenario, Stage(name="play"), opened.policy, opened.sources)
        self._actor: Actor = self._parts.evaluator
        self._actor.load(Weights(0))

    def play(self, episodes: int = 1, *, seed: int = 0, greedy: bool = True, split: str = "test") -> list[Episode]:
        """So many episodes in each of its worlds, of other tasks for each seed: the agent's best guess, or drawn as in
        training."""
        return self._actor.evaluate(episodes, seed=seed, version=0, greedy=greedy, split=split)

    def act(self, observation: np.ndarray) -> np.ndarray:
        """The best action of a control agent in one state [D], or in several [N, D]. UserError for others, and for one
        that remembers what came before."""
        from ..agents.control.mlp import ActorCritic

        if not isinstance(self.policy, ActorCritic):
            raise UserError("only a control agent that has learned acts on observations; use play")
        if not self.policy.memoryless:
            raise UserError(
                "this agent remembers its episode, and one observation does not say what came before: use play, or "
                "policy.begin and policy.act, which give and take what is remembered"
            )
        seen = np.asarray(observation, np.float32)
        action = self.policy.act(seen if seen.ndim == 2 else seen[None])[0]
        return action if seen.ndim == 2 else action[0]

    def close(self) -> None:
        """Free the worlds; twice is harmless."""
        self._parts.close()
        self._sources.close()

    def __enter__(self) -> SavedAgent:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()


def _resolved(scenario: str | Path | Mapping[str, Any], overrides: Mapping[str, Any]) -> tuple[Scenario, Source]:
    if isinstance(scenario, Mapping):
        data, source = dict(scenario), Source("the scenario")
    else:
        data, source = read_yaml(find_scenario(str(scenario)))
    for key, value in overrides.items():
        if not isinstance(key, str) or not key:
            raise UserError(f"the key {key!r} of the overrides is no dotted key, such as 'stages.learn.budget.updates'")
        data, where = put_at(data, key, value)
        source.places[where] = f"override {key!r}"
    return check_scenario(data, source), source


def _go(
    directory: RunDirectory,
    worlds: WorldSources | None,
    listeners: Sequence[Listener],
    quiet: bool,
    going_on: GoingOn | None = None,
) -> Run:
    from .report.curves import draw_if_possible
    from .run.disk import typed
    from .run.display import make_display
    from .run.runner import Runner
    from .run.signals import Stopped

    with as_it_was():
        display = make_display(quiet=quiet)
        try:
            Runner(directory, display, going_on=going_on, sources=worlds, listeners=listeners).go()
        except Stopped as stopped:
            how = f"stopped; to go on: peripatos resume {typed(directory.path)}"
            raise Stopped(stopped.number, how) from None
        draw_if_possible(directory, display)
    return Run(directory)


@contextmanager
def as_it_was() -> Iterator[None]:
    """torch's thread count, and the global random states of torch, NumPy and Python, are put back."""
    import torch

    threads, torch_state = torch.get_num_threads(), torch.get_rng_state()
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002 (of others, to be put back)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_rng_state(torch_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)
