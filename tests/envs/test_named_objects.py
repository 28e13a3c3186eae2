"""What the names in a scenario may call: what is beside it, plug-ins and worlds, and never the standard library."""

import subprocess
import sys
from pathlib import Path

import gymnasium
import pytest

from peripatos.envs.conversation import TaskWorld
from peripatos.envs.errors import UnknownWorld, UserError
from peripatos.envs.named_objects import keep_to_folder, load_function, trust_names
from peripatos.envs.registry import make_world
from peripatos.scenarios.assembly.checks import check_parts
from peripatos.scenarios.config.loading import load_scenario

WORLD = """
import gymnasium
import numpy as np

class World(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}
    def step(self, action):
        return np.zeros(1, np.float32), 0.0, True, False, {}

def make(**options):
    return World()

def act(observation):
    return 0
"""
STRANGER = """
name: stranger
world: {{id: "{world}", options: {{{options}}}}}
agent: {{kind: {agent}}}
stages: [{{name: look}}]
"""


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """The folder of a scenario, and another one, which is the current directory."""
    beside, elsewhere = tmp_path / "beside", tmp_path / "elsewhere"
    for folder, name in ((beside, "named_beside"), (elsewhere, "named_elsewhere")):
        folder.mkdir()
        (folder / f"{name}.py").write_text(WORLD)
    monkeypatch.chdir(elsewhere)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield beside
    for name in ("named_beside", "named_elsewhere"):
        sys.modules.pop(name, None)


def scenario(folder: Path, world: str, options: str = "", agent: str = "random") -> Path:
    path = folder / "stranger.yaml"
    path.write_text(STRANGER.format(world=world, options=options, agent=agent))
    return path


@pytest.mark.parametrize(
    ("world", "options"),
    [
        ("os:system", 'command: "touch owned"'),
        ("subprocess:check_output", 'args: ["touch", "owned"]'),
        ("subprocess:Popen", 'args: ["touch", "owned"]'),
        ("pathlib:Path", ""),
        ("builtins:open", 'file: owned, mode: "w"'),
        ("importlib:import_module", "name: antigravity"),
        ("os.path:exists", "path: ."),
        ("posix:system", 'command: "touch owned"'),
        ("antigravity:World", ""),
        ("antigravity:World-v0", ""),
        ("runpy:run_path", "path_name: x"),
        ("numpy:save", "file: owned, arr: [1]"),
        ("numpy:savetxt", "fname: owned, X: [1]"),
        ("yaml:unsafe_load", 'stream: "!!python/object/apply:os.system [touch owned]"'),
        ("torch:load", "f: owned"),
        ("peripatos.scenarios.run.run_directory:write_text", "path: owned, text: x"),
        ("peripatos.envs.named_objects:load_attribute", 'reference: "os:system"'),
        ("peripatos.envs.registry:make_world", 'name: "CartPole-v1"'),
        ("gymnasium:make", 'id: "CartPole-v1"'),
        ("named_elsewhere:make", ""),
    ],
)
def test_a_scenario_cannot_call_what_is_not_beside_it(folders, world, options):
    with pytest.raises(UserError, match=r"standard library|--trust"):
        check_parts(load_scenario(str(scenario(folders, world, options))))
    assert not Path("owned").exists()
    assert not (folders / "owned").exists()


@pytest.mark.parametrize(
    "world",
    [
        "named_beside:make",
        "named_beside:World",
        "named_elsewhere:World",
        "CartPole-v1",
        "gymnasium.envs.classic_control:CartPoleEnv",
    ],
)
def test_what_is_beside_it_and_worlds_anywhere_may_be_named(folders, world):
    check_parts(load_scenario(str(scenario(folders, world))))


def test_scripted_agents_and_rewards_keep_to_the_same(folders):
    keep_to_folder(folders)
    assert load_function("named_beside:act", "observation")(None) == 0
    for name in ("named_elsewhere:act", "os:getcwd", "numpy:asarray"):
        with pytest.raises(UnknownWorld):
            load_function(name, "observation")
    with pytest.raises(UnknownWorld):
        TaskWorld([{"prompt": "a"}], "subprocess:call")


def test_trust_lifts_it(folders):
    path = scenario(folders, "named_elsewhere:make")
    with pytest.raises(UserError, match="--trust"):
        check_parts(load_scenario(str(path)))
    trust_names()
    check_parts(load_scenario(str(path)))


def test_a_module_that_runs_a_program_when_it_is_imported_is_not_imported(folders):
    for world in ("pytest.__main__:main", "pip.__main__:x", "peripatos.__main__:main"):
        with pytest.raises(UnknownWorld, match="not the name of a module"):
            make_world(world)


def test_without_a_scenario_a_program_names_what_it_likes_but_no_standard_library(folders):
    assert isinstance(make_world("named_elsewhere:make"), gymnasium.Env)
    with pytest.raises(UnknownWorld, match="standard library"):
        make_world("os:system", command="true")


def test_a_folder_whose_name_looks_like_two_allows_one(tmp_path, folders):
    odd = tmp_path / f"x:{tmp_path}/elsewhere"
    odd.mkdir(parents=True)
    with pytest.raises(UserError, match="--trust"):
        check_parts(load_scenario(str(scenario(odd, "named_elsewhere:make"))))


def test_an_installed_library_below_the_scenarios_folder_is_not_its_own(tmp_path, monkeypatch):
    library = tmp_path / ".venv" / "site-packages"
    library.mkdir(parents=True)
    (library / "named_library.py").write_text(WORLD)
    monkeypatch.syspath_prepend(str(library))
    path = scenario(tmp_path, "named_library:make")
    with pytest.raises(UserError, match="--trust"):
        check_parts(load_scenario(str(path)))
    sys.modules.pop("named_library")


@pytest.mark.parametrize("flags", [[], ["--trust"]])
def test_the_command_line_refuses_and_trusts(folders, flags):
    path = scenario(folders, "named_elsewhere:make")
    command = [sys.executable, "-m", "peripatos", "run", str(path), "--dry-run", *flags]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode == 0) == bool(flags), ran.stderr
    assert flags or "--trust" in ran.stderr


CALLED = """
async def later(messages, seed): ...
def many(messages, seed): yield ""
def one(messages): return ""
def good(messages, seed): return ""
class Later:
    async def __call__(self, messages, seed): ...
class Good:
    def __call__(self, messages, seed): return ""
"""


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("later", "is an `async def`, and nobody awaits it: write a plain `def`"),
        ("many", "is a generator, for it has a `yield`"),
        ("one", r"is called with \(messages, seed\), and is defined with \(messages\)"),
        ("Later", "is an `async def`"),
        ("good", None),
        ("Good", None),
    ],
)
def test_a_function_of_a_voice_that_gives_no_text_when_it_is_called_is_refused(folders, name, words):
    (folders / "named_beside.py").write_text(CALLED)
    keep_to_folder(folders)
    if words is None:
        assert callable(load_function(f"named_beside:{name}", "messages", "seed"))
        return
    with pytest.raises(UserError, match=words):
        load_function(f"named_beside:{name}", "messages", "seed")
