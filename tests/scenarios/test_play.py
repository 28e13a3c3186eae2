"""Agents that are taken along: exported, and played without torch as the run's evaluation plays them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scenarios_runs import PATIENCE, command

import peripatos
from peripatos.agents.control.onnx_agent import AgentFile, sealed
from peripatos.envs.errors import UserError
from peripatos.scenarios.export_onnx import export_onnx
from peripatos.scenarios.play import play_file
from peripatos.scenarios.run.disk import RunFailed
from peripatos.scenarios.run.saved_agent import Examination, evaluate_run

WORLDS = """\
import gymnasium, numpy as np
from gymnasium.spaces import *

TWO = Box(-1, 1, (2,), np.float32)
SEEN = {
    "nested": Dict({"a": TWO, "t": Text(5), "n": Tuple((Discrete(3, start=1), MultiDiscrete([2, 3])))}),
    "beside": Dict({"cam": Box(0, 255, (7, 7, 3), np.uint8), "v": TWO, "s": Sequence(Discrete(2))}),
}
DONE = {
    "matrix": Box(-1, 1, (2, 2), np.float64),
    "from zero": MultiDiscrete([2, 3]),
    "from one": MultiDiscrete([2, 3], start=[1, 1]),
    "wide": Box(-10**6, 10**6, (2,), np.int64),
    "both": Dict({"b": Box(-1, 1, (2, 2), np.float64), "c": Discrete(3, start=-1), "t": Tuple((MultiBinary(2), TWO))}),
}

class World(gymnasium.Env):
    def __init__(self, kind, limit=6):
        self.observation_space, self.action_space = SEEN.get(kind, TWO), DONE.get(kind, Discrete(3, start=-1))
        self.limit = limit

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(int(self.np_random.integers(2**31)))
        self.left = self.limit
        return self.observation_space.sample(), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        self.left -= 1
        earned = sum(float(np.sum(part)) for part in flat(action))
        return self.observation_space.sample(), earned, self.left == 0, False, {"metrics": {"left": self.left}}

def flat(action):
    inside = action.values() if isinstance(action, dict) else action if isinstance(action, tuple) else ()
    return [part for one in inside for part in flat(one)] if inside else [action]
"""


def scenario(world: str, options: dict[str, Any] | None = None, **agent: Any) -> dict[str, Any]:
    return {
        "name": "taken-along",
        "world": {"id": world, "options": options or {}},
        "agent": {"kind": "mlp", "hidden": [8], **agent},
        "stages": [
            {"name": "learn", "method": "ppo", "collect": {"groups": 4, "horizon": 16}, "budget": {"updates": 2}}
        ],
        "evaluation": {"episodes": 3},
    }


@pytest.fixture(scope="module")
def cart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, with the file beside it."""
    folder = tmp_path_factory.mktemp("cart")
    run = peripatos.run(scenario("CartPole-v1"), out=folder / "run").path
    export_onnx(run, folder / "cart.onnx", checkpoint="last")
    return folder


def without_torch(*arguments: object) -> subprocess.CompletedProcess[str]:
    """A command line in a process where torch cannot be imported."""
    code = """
import sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ImportError("there is no torch here")

sys.meta_path.insert(0, NoTorch())
from peripatos.scenarios.cli import main
main()
"""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_a_file_plays_without_torch_what_evaluate_plays_of_the_run(cart: Path) -> None:
    done = without_torch("play", cart / "cart.onnx", "--json")
    assert done.returncode == 0, done.stderr
    played = json.loads(done.stdout)
    rows = played.pop("played")
    assert played == evaluate_run(cart / "run", "last", Examination())
    assert [row["episode"] for row in rows] == [0, 1, 2]
    assert np.mean([row["return"] for row in rows]) == played["return_mean"]
    other = play_file(cart / "cart.onnx", episodes=5, seed=4).episodes
    assert [one.reward for one in other] != [row["return"] for row in rows]
    mean = evaluate_run(cart / "run", "last", Examination(episodes=5, seed=4))["return_mean"]
    assert np.mean([one.reward or 0.0 for one in other]) == mean


@pytest.mark.parametrize(
    ("kind", "agent"),
    [("nested", {}), ("beside", {}), ("matrix", {"memory": {"size": 5}}), ("wide", {}), ("both", {})],
)
def test_worlds_of_every_kind_are_played(
    kind: str, agent: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"along_{kind}"  # a module is imported once
    (tmp_path / f"{name}.py").write_text(WORLDS)
    monkeypatch.chdir(tmp_path)
    run = peripatos.run(scenario(f"{name}:World", {"kind": kind}, **agent), out=tmp_path / "run").path
    said = export_onnx(run, None, checkpoint="last")
    assert re.search(r"whose actions are the agent's to \S+ on 1,000 observations$", said)
    played = play_file(run / "model.onnx").episodes
    numbers = evaluate_run(run, "last", Examination())
    assert np.mean([one.reward or 0.0 for one in played]) == pytest.approx(numbers["return_mean"], rel=1e-5)
    assert {one.metrics["left"] for one in played} == {0.0}


def test_a_robot_is_played_as_it_is_evaluated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = peripatos.run(scenario("peripatos/Walker-v0", {"world_damping": False}), out=tmp_path / "run").path
    assert command("export", run, "--to", "onnx", "--checkpoint", "last") == 0
    assert command("play", run / "model.onnx", "--episodes", 4) == 0
    said = capsys.readouterr().out
    assert re.search(r"^return \S+ \[.*\], 4 episodes$", said, re.MULTILINE)
    expected = evaluate_run(run, "last", Examination(episodes=4))
    found = [float(row[2]) for line in said.splitlines() if (row := line.split()) and row[0].isdecimal()]
    assert len(found) == 4
    assert np.mean(found) == pytest.approx(expected["return_mean"], rel=0.01)


def test_an_agent_of_two_worlds_is_played_in_both(tmp_path: Path) -> None:
    two = scenario("CartPole-v1")
    del two["world"]
    two["worlds"] = [
        {"id": "CartPole-v1", "name": "short", "options": {"max_episode_steps": 7}},
        {"id": "CartPole-v1", "name": "long"},
    ]
    run = peripatos.run(two, out=tmp_path / "run").path
    export_onnx(run, None, checkpoint="last")
    played = play_file(run / "model.onnx").episodes
    numbers = evaluate_run(run, "last", Examination())
    for name in ("short", "long"):
        own = [one.reward or 0.0 for one in played if one.world == name]
        assert np.mean(own) == numbers[f"{name}/return_mean"]
    assert {one.turns for one in played if one.world == "short"} == {7}


def test_a_file_says_where_the_agent_lives_and_what_stands_in_its_row(cart: Path) -> None:
    about = json.loads(AgentFile.read(cart / "cart.onnx").about)
    assert about["homes"][""]["world"] == {"id": "CartPole-v1"}
    assert about["homes"][""]["spaces"]["action"] == "Discrete(2)"
    assert about["row"] == [{"part": "", "size": 4}]
    assert about["peripatos"] == peripatos.__version__


def test_the_page_shows_how_a_file_acts_without_this_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "control.md").read_text()
    code = page.partition("## Take it along")[2].partition("```python\n")[2].partition("```")[0]
    run = peripatos.run(scenario("peripatos/Walker-v0"), out=tmp_path / "run").path
    export_onnx(run, tmp_path / "walker.onnx")
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nassert action.shape == (1, 6) and np.abs(action).max() <= 1"],
        cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


# --- what is refused


def test_a_file_that_is_not_the_agent_is_never_written(cart: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("peripatos.agents.control.onnx_graph.CLIP", 0.01)
    with pytest.raises(RunFailed, match=r"the file is not the agent: what it does is off by 0.* allowed is 1e-05"):
        export_onnx(cart / "run", tmp_path / "other.onnx")
    assert list(tmp_path.iterdir()) == []


def test_worlds_that_count_choices_otherwise_have_no_file_in_common(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "along_counted.py").write_text(WORLDS)
    monkeypatch.chdir(tmp_path)
    two = scenario("along_counted:World")
    del two["world"]
    two["worlds"] = [
        {"id": "along_counted:World", "name": name, "options": {"kind": f"from {name}"}} for name in ("zero", "one")
    ]
    run = peripatos.run(two, out=tmp_path / "run").path
    with pytest.raises(RunFailed, match="the file is not the agent"):
        export_onnx(run, None, checkpoint="last")


def test_every_damage_of_a_file_is_noticed(cart: Path, tmp_path: Path) -> None:
    whole, file = (cart / "cart.onnx").read_bytes(), tmp_path / "damaged.onnx"
    rng = np.random.default_rng(0)
    for place in [*rng.integers(0, len(whole), 200), *range(len(whole) - 90, len(whole))]:
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << int(rng.integers(8))]) + whole[place + 1 :])
        with pytest.raises(UserError, match=r"damaged\.onnx (is not as it was exported|was not written by peripatos)"):
            AgentFile.read(file)
    for length in (0, 1, 80, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:length])
        with pytest.raises(UserError, match=r"damaged\.onnx was not written by peripatos export|is not as it was"):
            AgentFile.read(file)
    file.write_bytes(whole + b"\n")
    with pytest.raises(UserError, match="is not as it was exported"):
        AgentFile.read(file)


def changed(file: Path, to: Path, change: Any) -> Path:
    """A file that is sealed, and which says something else of its agent."""
    import onnx

    model = onnx.load(file)
    about = json.loads(model.metadata_props[0].value)
    change(about)
    model.metadata_props[0].value = json.dumps(about)
    del model.metadata_props[1:]
    to.write_bytes(sealed(model.SerializeToString()))
    return to


def _home(**world: Any) -> Any:
    return lambda about: about["homes"][""]["world"].update(world)


CHANGES = {
    "no such world": (_home(id="CartPole-v9"), "unknown world 'CartPole-v9'"),
    "no such option": (_home(options={"sutton": 1}), "unknown option 'sutton'; allowed: max_episode_steps"),
    "other spaces": (
        _home(id="Acrobot-v1"),
        r"made for 'Acrobot-v1' with the observation space Box\(.*\(4,\).*here it has Box\(.*\(6,\).*another version",
    ),
    "a stranger's world": (_home(id="os:system"), "'os' is part of Python's standard library"),
    "a stranger's function": (_home(id="json.tool:main"), "standard library"),
    "another format": (lambda about: about.update(format=2), r"does not read \(format: .*export the run again"),
    "no home": (lambda about: about.pop("homes"), r"does not read \(homes: Field required\); it reads format 1"),
    "more": (lambda about: about.update(more=1), r"does not read \(more: Extra"),
    "no episodes": (lambda about: about.update(episodes=0), r"does not read \(episodes: .*greater than or equal to 1"),
    "a seed below 0": (lambda about: about.update(seed=-1), r"does not read \(seed: .*greater than or equal to 0"),
    "homes without one": (lambda about: about.update(homes={}), r"does not read \(homes: .*at least 1 item"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_a_file_says_is_not_believed(name: str, cart: Path, tmp_path: Path) -> None:
    change, words = CHANGES[name]
    with pytest.raises(UserError, match=words):
        play_file(changed(cart / "cart.onnx", tmp_path / "other.onnx", change))


def test_a_graph_that_anybody_has_sealed_is_none_of_an_agent(cart: Path, tmp_path: Path) -> None:
    import onnx

    info, node = onnx.helper.make_tensor_value_info, onnx.helper.make_node
    whole, FLOAT, INT = onnx.load(cart / "cart.onnx"), onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
    zero = onnx.helper.make_tensor("zero", INT, [1], [0])
    given = {
        r"takes x and gives action; an agent's takes observation": ("x", "action", ["N", 4]),
        r"takes observation and gives y": ("observation", "y", ["N", 4]),
        r"gives actions of shape \[1\] for 3 observations, and this world takes \[3\]": (
            "observation",
            "action",
            ["N", 4],
        ),
        r"onnxruntime cannot run the agent's graph: .*; export the run again": ("observation", "action", ["N", 5]),
    }
    for words, (reads, gives, shape) in given.items():
        constant = node("Identity", ["zero"], [gives])
        graph = onnx.helper.make_graph(
            [constant], "other", [info(reads, FLOAT, shape)], [info(gives, INT, [1])], [zero]
        )
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
        model.metadata_props.add(key="peripatos", value=whole.metadata_props[0].value)
        (tmp_path / "other.onnx").write_bytes(sealed(model.SerializeToString()))
        with pytest.raises(UserError, match=words):
            play_file(tmp_path / "other.onnx", episodes=3)


def _endless(onnx: Any) -> Any:
    """A loop whose condition stays true, and which stays in native code for ever."""
    info, node, BOOL = onnx.helper.make_tensor_value_info, onnx.helper.make_node, onnx.TensorProto.BOOL
    body = onnx.helper.make_graph(
        [node("Identity", ["go"], ["on"]), node("Identity", ["x"], ["y"])],
        "body",
        [info("i", onnx.TensorProto.INT64, []), info("go", BOOL, []), info("x", onnx.TensorProto.FLOAT, ["N", 4])],
        [info("on", BOOL, []), info("y", onnx.TensorProto.FLOAT, ["N", 4])],
    )
    return node("Loop", ["", "true", "observation"], ["action"], body=body)


@pytest.mark.parametrize("kind", ["Loop", "If", "Scan", "of a stranger", "a function", "in another file"])
def test_a_graph_that_may_never_end_is_not_begun(kind: str, cart: Path, tmp_path: Path) -> None:
    import onnx

    info, node = onnx.helper.make_tensor_value_info, onnx.helper.make_node
    reads, gives = (info(name, onnx.TensorProto.FLOAT, ["N", 4]) for name in ("observation", "action"))
    same = node("Identity", ["observation"], ["action"])
    empty = onnx.helper.make_graph([], "empty", [], [])
    nodes = {
        "Loop": _endless(onnx),
        "If": node("If", ["true"], ["action"], then_branch=empty, else_branch=empty),
        "Scan": node("Scan", ["observation"], ["action"], body=empty, num_scan_inputs=1),
        "of a stranger": node("Identity", ["observation"], ["action"], domain="com.stranger"),
        "a function": node("Tanh", ["observation"], ["action"]),
    }
    true = onnx.helper.make_tensor("true", onnx.TensorProto.BOOL, [], [True])
    graph = onnx.helper.make_graph([nodes.get(kind, same)], "other", [reads], [gives], [true])
    opset = [onnx.helper.make_opsetid("", 17)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)
    if kind == "a function":  # by which a name of ours is something else
        model.functions.append(onnx.helper.make_function("", "Tanh", ["x"], ["y"], [_endless(onnx)], opset))
    if kind == "in another file":
        model.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL
    model.metadata_props.add(key="peripatos", value=onnx.load(cart / "cart.onnx").metadata_props[0].value)
    file = tmp_path / "endless.onnx"
    file.write_bytes(sealed(model.SerializeToString()))
    words = {"of a stranger": r"operation 'com\.stranger\.Identity'", "a function": "operation 'Tanh'"}
    words |= {"in another file": "weights from another file"}
    with pytest.raises(UserError, match=words.get(kind, f"operation '{kind}'.* nothing of it is run")):
        play_file(file)


def test_a_strangers_model_is_no_agent(tmp_path: Path) -> None:
    file = tmp_path / "agent.onnx"
    import onnx

    reads = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N"])
    node = onnx.helper.make_node("Identity", ["x"], ["x2"])
    gives = onnx.helper.make_tensor_value_info("x2", onnx.TensorProto.FLOAT, ["N"])
    opset = [onnx.helper.make_opsetid("", 17)]
    graph = onnx.helper.make_graph([node], "other", [reads], [gives])
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
    for content, words in {
        b"": "was not written by peripatos export",
        model: "was not written by peripatos export",
        sealed(model): r"says of its agent what this version does not read \(all of it",
        sealed(b""): "cannot read the agent's graph",
    }.items():
        file.write_bytes(content)
        with pytest.raises(UserError, match=words):
            play_file(file)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("export run --to cart.onnx", r"^error: cart\.onnx is there already and is not overwritten; use another --to$"),
        ("export run --to onnx --merged", r"^error: --merged adds the adapter of a language model"),
        ("export run", r"has no language model to export; its agent in a body is written by --to onnx$"),
        ("export run --to onnx --checkpoint 77", r"has no checkpoint '77'"),
        (
            "export nothing --to onnx",
            r"^error: --to is for the model of a run, and nothing is not a run directory: there is no such folder$",
        ),
        ("export ru --to onnx", r"there is no such folder\. Did you mean 'run'\?$"),
        (
            "export cart.onnx --checkpoint 3",
            r"^error: --checkpoint is for the model of a run, and cart\.onnx is not a run",
        ),
        (
            "export quickstart --merged",
            r"it is a shipped scenario, a run of which begins with peripatos run quickstart$",
        ),
        ("play gone.onnx", r"^error: there is no file gone\.onnx; peripatos export RUN --to onnx writes one$"),
        ("play run", r"^error: run is no file; what is played is the file that peripatos export"),
        ("play run/scenario.yaml", r"^error: run/scenario\.yaml was not written by peripatos export"),
        ("play cart.onnx --episodes 0", r"--episodes is 0; allowed is a whole number, 1 or greater"),
        ("play", r"Missing argument FILE of peripatos play: what peripatos export RUN --to onnx has written"),
        ("play cart.onnx --set seed=1", r"peripatos play has no option --set"),
    ],
)
def test_mistakes_are_told_in_a_sentence(
    line: str, words: str, cart: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(cart)
    assert command(*line.split()) == 2
    said = capsys.readouterr().err.strip()
    assert re.search(words, said)
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("package", "line"),
    [("onnx", "export run --to onnx"), ("onnx", "play cart.onnx"), ("onnxruntime", "play cart.onnx")],
)
def test_a_package_that_is_not_installed_is_named(
    package: str, line: str, cart: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(cart)
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    assert command(*line.split()) == 2
    assert "needs the extra: pip install 'peripatos[onnx]'" in capsys.readouterr().err


def test_an_agent_that_speaks_or_has_no_network_is_refused_with_the_reason(tmp_path: Path) -> None:
    talk = {
        "name": "talk",
        "world": {"id": "peripatos/Arithmetic-v0"},
        "agent": {"kind": "tiny_llama", "hidden": 16, "layers": 1, "heads": 2},
        "stages": [{"name": "look"}],
        "evaluation": {"episodes": 1},
    }
    chance = {**scenario("CartPole-v1"), "agent": {"kind": "random"}, "stages": [{"name": "look"}]}
    for name, told in {"tiny_llama": talk, "random": chance}.items():
        run = peripatos.run(told, out=tmp_path / name).path
        with pytest.raises(UserError, match=f"is a run of kind '{name}', and a file of ONNX is for agents in bodies"):
            export_onnx(run, None)


def test_a_world_that_fails_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "along_fails.py").write_text(WORLDS)
    monkeypatch.chdir(tmp_path)
    run = peripatos.run(scenario("along_fails:World", {"kind": "nested"}), out=tmp_path / "run").path
    export_onnx(run, None, checkpoint="last")
    broken = changed(run / "model.onnx", tmp_path / "broken.onnx", _home(options={"kind": "nested", "limit": "six"}))
    with pytest.raises(RunFailed, match="3 of 3 episodes failed"):
        play_file(broken)


def test_a_file_is_played_beside_its_world_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, kept = tmp_path / "made", tmp_path / "kept"
    for folder in (made, kept):
        folder.mkdir()
        (folder / "along_anywhere.py").write_text(WORLDS)
    monkeypatch.chdir(made)
    run = peripatos.run(scenario("along_anywhere:World", {"kind": "nested"}), out=made / "run").path
    export_onnx(run, kept / "agent.onnx", checkpoint="last")
    monkeypatch.chdir(tmp_path)
    done = without_torch("play", kept / "agent.onnx")
    assert done.returncode == 0, done.stderr
    assert "3 episodes" in done.stdout
