"""Worlds by name, and what a mistake in a name or an option says."""

import importlib.util
import subprocess
import sys
import textwrap

import gymnasium
import pytest
from gymnasium.spaces import Dict, Discrete, Sequence, Text, Tuple

import peripatos.envs
from peripatos.envs.errors import UnknownWorld, UnsupportedWorld, UserError, nearest, unknown
from peripatos.envs.registry import list_worlds, make_world, world_kind
from peripatos.envs.time_limits import time_limit
from peripatos.envs.worlds.maths.arithmetic import Arithmetic

WALKER = importlib.util.find_spec("peripatos.envs.worlds.robots.walker") is not None


@pytest.fixture
def author(tmp_path, monkeypatch):
    """The current directory of somebody who wrote a world."""
    (tmp_path / "my_world.py").write_text(
        textwrap.dedent("""
        from peripatos.envs.conversation import ConversationEnv, Outcome

        class Echo(ConversationEnv):
            def __init__(self, word="hello", **options):
                super().__init__()
                self.word = word
            def opening(self, rng, split):
                return f"Say {self.word}."
            def respond(self, reply):
                return Outcome(terminated=True, success=reply.text == self.word)

        class Strict(Echo):
            def __init__(self, *, loudness: int = 3):
                super().__init__()

        def factory(loudness=1):
            return Strict(loudness=loudness)

        def wrong():
            return 7

        number = 7
        """)
    )
    (tmp_path / "needs_something.py").write_text("import a_package_that_nobody_has\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    for name in ("my_world", "needs_something"):
        sys.modules.pop(name, None)


def test_our_ids_work_through_gymnasium_make():
    world = gymnasium.make("peripatos/Arithmetic-v0", operators="+")
    assert isinstance(world.unwrapped, Arithmetic)
    world.reset(seed=0)
    assert world.step(world.unwrapped.oracle())[1] == 1.1


def test_other_peoples_ids_work_unchanged():
    assert world_kind(make_world("CartPole-v1")) == "control"
    assert world_kind(make_world("Pendulum-v1", g=5.0)) == "control"
    assert make_world("CartPole-v1", max_episode_steps=7).spec.max_episode_steps == 7


def test_a_world_in_the_current_directory_is_found(author):
    world = make_world("my_world:Echo", word="peripatos", anything="goes")
    assert world.reset()[0] == "Say peripatos."
    assert world_kind(world) == "conversation"
    assert world_kind(make_world("my_world:factory", loudness=2)) == "conversation"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("peripatos/Arithmetc-v0", "Did you mean 'peripatos/Arithmetic-v0'"),
        ("Arithmetic-v0", "Did you mean 'peripatos/Arithmetic-v0'"),
        ("cartpole-v1", "Did you mean 'CartPole-v1'"),
        ("CartPole", "Did you mean 'CartPole-v1'"),
        ("walker", "Did you mean 'peripatos/Walker-v0'"),
        ("tasks", "Did you mean 'peripatos/Tasks-v0'"),
        ("CartPole-v99", "unknown world 'CartPole-v99'"),
        ("", "unknown world ''"),
        ("no/such/thing", "unknown world"),
        ("my_wrold:Echo", "there is no module 'my_wrold'"),
        ("my_world:Ecko", "nothing called 'Ecko'. Did you mean 'Echo'"),
        ("my_world:number", "not a class or a function"),
        ("my_world:wrong", "makes an int, not a gymnasium.Env"),
        ("my_world:", "nothing called ''"),
        (":Echo", "not the name of a module"),
        ("..my_world:Echo", "not the name of a module"),
        ("my world:Echo", "not the name of a module"),
        ("my_wrold:Echo-v0", "there is no module 'my_wrold'"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest(author, name, words):
    with pytest.raises(UnknownWorld) as caught:
        make_world(name)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("peripatos/Arithmetic-v0", {"operator": "+"}, "Did you mean 'operators'"),
        ("CartPole-v1", {"sutton_barto": True}, "Did you mean 'sutton_barto_reward'"),
        ("my_world:Strict", {"loud": 1}, "allowed: loudness. Did you mean 'loudness'"),
        ("my_world:factory", {"zzz": 1}, "allowed: loudness."),
    ],
)
def test_a_wrong_option_is_answered_with_the_allowed_ones(author, name, options, words):
    with pytest.raises(UserError) as caught:
        make_world(name, **options)
    assert words in str(caught.value)


def test_a_package_that_a_world_needs_is_named_when_it_is_missing(author):
    with pytest.raises(UserError, match=r"'needs_something' needs something.*a_package_that_nobody_has"):
        make_world("needs_something:World")


@pytest.mark.parametrize("limit", ["abc", -1, 0, 2.5, True])
def test_a_limit_of_steps_that_is_no_positive_number_is_refused(limit):
    with pytest.raises(UserError, match=r"max_episode_steps is .*; allowed is a whole number, 1 or greater"):
        make_world("CartPole-v1", max_episode_steps=limit)


def with_a_limit():
    return gymnasium.make("CartPole-v1", max_episode_steps=50)


def with_any_option(**options):
    return gymnasium.make("CartPole-v1", **options)


def without_a_limit():
    return gymnasium.make("CartPole-v1").unwrapped


@pytest.mark.parametrize("maker", [with_a_limit, with_any_option, without_a_limit])
def test_a_function_is_given_a_limit_of_steps_whatever_it_has_itself(maker):
    made = make_world(f"{__name__}:{maker.__name__}", max_episode_steps=20)
    assert time_limit(made) == 20
    if maker is with_a_limit:
        with pytest.raises(UserError, match=r"max_episode_steps is 60.*with_a_limit makes has a limit of 50 already"):
            make_world(f"{__name__}:{maker.__name__}", max_episode_steps=60)


class Novel(gymnasium.Env):
    """Nothing but words, to be read or to be written."""

    def __init__(self, seen, acted):
        self.observation_space, self.action_space = seen, acted


@pytest.mark.parametrize(
    ("seen", "acted", "says"),
    [
        (Text(4), Discrete(2), r"'Novel' has observations Text\(.*nothing can be flattened"),
        (Tuple((Text(4), Sequence(Discrete(2)))), Discrete(2), "nothing can be flattened"),
        (Discrete(3), Text(4), r"'Novel' has actions Text\(.*supported are Box, Discrete, MultiDiscrete"),
        (Discrete(3), Dict({"say": Text(4), "go": Discrete(2)}), "at 'say'; supported are Box"),
    ],
)
def test_a_world_that_no_agent_can_live_in_is_named_with_its_spaces(seen, acted, says):
    with pytest.raises(UnsupportedWorld, match=says):
        world_kind(Novel(seen, acted))


@pytest.mark.skipif(not WALKER, reason="the walker's module is not there")
def test_the_list_shows_every_registered_world_with_its_options():
    rows = {row.id: row for row in list_worlds()}
    assert {"peripatos/Arithmetic-v0", "peripatos/Walker-v0", "peripatos/WalkerHard-v0"} <= set(rows)
    assert rows["peripatos/Arithmetic-v0"].kind == "conversation"
    assert rows["peripatos/Arithmetic-v0"].options["digits"] == 2
    assert rows["peripatos/WalkerHard-v0"].kind == "control"
    assert rows["peripatos/WalkerHard-v0"].options["world_damping"] is False
    assert all(row.description for row in rows.values())


def test_importing_the_worlds_imports_no_physics_and_no_torch():
    heavy = "{'torch', 'mujoco', 'transformers', 'datasets', 'matplotlib', 'pygame'}"
    code = f"import sys, peripatos.envs, peripatos.envs.registry; print(sorted({heavy} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_the_folder_name_alone_cannot_be_imported(tmp_path):
    root = peripatos.__path__[0]
    ran = subprocess.run([sys.executable, "-c", "import envs"], capture_output=True, text=True, cwd=root, check=False)
    assert ran.returncode == 1
    assert "import this package as peripatos.envs" in ran.stderr


def test_nearest_and_unknown_are_sentences():
    assert nearest("worlds", ["world", "method"]) == " Did you mean 'world'?"
    assert nearest("xyzzy", ["world", "method"]) == ""
    assert unknown("flag", "x", []) == "unknown flag 'x'; none is allowed."
    assert unknown("flag", "see", ["seed", "out"]) == ("unknown flag 'see'; allowed: out, seed. Did you mean 'seed'?")


@pytest.mark.parametrize("where", ["module", "constructor"])
def test_a_world_whose_package_is_missing_says_so_in_gymnasiums_own_words(author, tmp_path, where):
    raises = "raise gymnasium.error.DependencyNotInstalled('Nodots is not installed, run `pip install nodots`')"
    top, within = (raises, "pass") if where == "module" else ("", raises)
    (tmp_path / f"lacks_in_{where}.py").write_text(
        f"import gymnasium\n{top}\nclass World(gymnasium.Env):\n    def __init__(self):\n        {within}\n"
    )
    sys.path.insert(0, str(tmp_path))
    gymnasium.register(f"LacksIn{where.title()}-v0", entry_point=f"lacks_in_{where}:World")
    try:
        with pytest.raises(UserError, match="-v0' needs a package that is not installed: Nodots is not installed, run"):
            make_world(f"LacksIn{where.title()}-v0")
    finally:
        del gymnasium.registry[f"LacksIn{where.title()}-v0"]
