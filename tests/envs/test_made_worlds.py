"""Worlds that cannot be imported or made: each mistake is one sentence that names the place and what to write."""

from __future__ import annotations

import importlib
import os
import sys

import pytest

from peripatos.envs.errors import UserError
from peripatos.envs.registry import make_world

HEAD = "import gymnasium\nfrom gymnasium.spaces import Box, Discrete\nfrom peripatos.envs.conversation import *\n\n"
BODY = "    observation_space = Box(-1, 1, (2,))\n    action_space = Discrete(2)\n"
GOOD = "class Good(gymnasium.Env):\n" + BODY
GOOD += "    def reset(self, *, seed=None, options=None):\n        pass\n    def step(self, action):\n        pass\n"

MISTAKES = [  # the code, what is named, what is said
    ("def world(:", "World", r"SyntaxError: maze\.py, line 5, column 11: invalid syntax: def world\(:"),
    ("class A:\nx = 1", "World", r"IndentationError: maze\.py, line 6, .*expected an indented block"),
    ("x = '\0'", "World", r"cannot be imported: SyntaxError.*null bytes"),
    ("from .helpers import dig", "World", r"import what lies beside it by its bare name"),
    ("import no_such_package", "World", r"No module named 'no_such_package'\n    maze\.py, line 5.*\n.*pip install"),
    ("from maze import World", "World", r"ImportError: cannot import name 'World'.*circular"),
    (
        "import sys\nsys.exit(3)",
        "World",
        r"cannot be imported: it ends the program \(sys\.exit\(3\)\)\n    maze\.py, l",
    ),
    ("raise GeneratorExit", "World", r"cannot be imported: GeneratorExit\n    maze\.py, line 5"),
    (
        "def dig():\n    1 / 0\n\ndig()",
        "World",
        r"ZeroDivisionError: division by zero\n.*line 8.*\n.*line 6, in dig: 1 / 0",
    ),
    ("def __getattr__(name):\n    raise OSError('no disk')", "World", r"cannot be looked up: OSError: no disk"),
    (GOOD, "good", r"has nothing called 'good'\. Did you mean 'Good'\?"),
    (GOOD, "Labyrinth", r"has nothing called 'Labyrinth'; it has 'Good'"),
    (GOOD + "\nworld = Good()", "world", r"is a Good object, not a class or a function that makes a world"),
    (GOOD + "\nmake = lambda: Good", "make", r"returned the class Good, not a world of it: write Good\(\)"),
    ("def make():\n    pass", "make", r"returned None, not a gymnasium\.Env; does it lack a `return`"),
    ("def make():\n    return {}", "make", r"makes a dict, not a gymnasium\.Env"),
    (
        "def make(path):\n    pass",
        "make",
        r"needs 'path', which has no default: give it as an option.*options: \{path: …",
    ),
    ("def make(path, /):\n    pass", "make", r"takes 'path' without a name, and options are given by name"),
    (
        "def make():\n    raise ValueError('odd')",
        "make",
        r"cannot be made: ValueError: odd\n    maze\.py, line 6, in make",
    ),
    ("def make():\n    raise SystemExit", "make", r"cannot be made: it ends the program \(sys\.exit\(None\)\)"),
    ("def make():\n    assert False", "make", r"cannot be made: AssertionError\n    maze\.py, line 6, in make: assert"),
    (
        "import abc\nclass World(gymnasium.Env, abc.ABC):\n    @abc.abstractmethod\n    def dig(self): ...",
        "World",
        r"cannot be made: TypeError: Can't instantiate abstract class World",
    ),
    (
        "class World(gymnasium.Env):\n" + BODY,
        "World",
        r"World has to define reset\(self, \*, seed=None, options=None\)",
    ),
    (GOOD.partition("    def step")[0], "Good", r"Good has to define step\(self, action\)"),
    (GOOD.replace("    action_space", "    actions"), "Good", r"Good has no action_space"),
    (GOOD.replace("Discrete(2)", "2"), "Good", r"the action_space of Good is 2, not a gymnasium\.spaces\.Space"),
    ("class World(ConversationEnv):\n    pass", "World", r"World has to define opening\(self, rng, split\)"),
    (
        "class World(ConversationEnv):\n    def opening(self, rng, split):\n        return 'a'",
        "World",
        r"World has to define respond\(self, reply\)",
    ),
]


@pytest.fixture
def maze(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    sys.modules.pop("maze", None)
    importlib.invalidate_caches()
    yield tmp_path / "maze.py"
    sys.modules.pop("maze", None)


@pytest.mark.parametrize(("code", "named", "words"), MISTAKES)
def test_a_world_that_cannot_be_made_is_told_with_the_users_lines_and_none_of_ours(maze, code, named, words):
    maze.write_text(HEAD + code + "\n")
    with pytest.raises(UserError, match=words) as caught:
        make_world(f"maze:{named}")
    assert f"{os.sep}envs{os.sep}" not in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 4


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("maze.py:Good", r"a module is named without \.py: maze:Good"),
        ("./maze:Good", r"write maze:Good, without folder and ending"),
        ("./maze.py:Good", r"write maze:Good, without folder and ending"),
        ("worlds/maze.py:Good", r"write maze:Good"),
        ("maze.Good", r"named module:Class: maze:Good"),
        ("maze/Good", r"named module:Class: maze:Good"),
        ("maze", r"'maze' is a module; name what makes a world in it: maze:NAME"),
        ("maze.py", r"'maze' is a module; name what makes a world in it: maze:NAME"),
        ("Maze:Good", r"there is no module 'Maze' in .* Did you mean 'maze'\?"),
        ("maze::Good", r"has nothing called ':Good'\. Did you mean 'Good'\?"),
        ("maze:", r"has nothing called ''; it has 'Good'"),
        ("maze:Good-v0", r"the module 'maze' registers none of that name"),
        ("ALE/Pong-v5", r"in the package ale-py.*pip install ale-py, and write ale_py:ALE/Pong-v5"),
        ("nobody/Knows-v0", r"nothing has registered the namespace 'nobody'"),
        ("CartPole-v7", r"Did you mean 'CartPole-v1'\?"),
    ],
)
def test_a_name_in_another_form_is_answered_with_the_right_one(maze, name, words):
    maze.write_text(HEAD + GOOD)
    with pytest.raises(UserError, match=words):
        make_world(name)


def test_a_world_whose_constructor_python_cannot_describe_is_made_without_questions(maze):
    maze.write_text(HEAD + GOOD + "\nimport functools\nmake = functools.partial(Good)\n")
    assert type(make_world("maze:make").unwrapped).__name__ == "Good"


def test_a_text_in_the_place_of_a_list_is_refused_but_where_the_list_is_of_characters():
    with pytest.raises(UserError, match=r"families is 'algebra', not a list; write \['algebra'\]"):
        make_world("peripatos/Mathematics-v0", families="algebra")
    assert make_world("peripatos/Arithmetic-v0", operators="+-").unwrapped.close() is None


@pytest.mark.parametrize(
    ("world", "option", "value", "words"),
    [
        ("Mathematics", "families", 3, r"families is 3, not a list; write \[3\]"),
        ("Coding", "packages", 3, r"packages is 3, not a list; write \[3\]"),
        ("Coding", "packages", [3], r"packages is \[3\]; allowed is a list of names"),
        ("Store", "levels", [True], "unknown level 'True'; allowed: 1, 2, 3"),
        ("Arithmetic", "reverse_digits", "yes", "reverse_digits is 'yes'; allowed are true and false"),
        ("Arithmetic", "operators", "plus", "operators is 'plus'; allowed is a list of"),
        ("Arithmetic", "digits", [], r"digits is \[\]; allowed are"),
    ],
)
def test_an_option_of_another_kind_is_refused_with_what_was_given(world, option, value, words):
    with pytest.raises(UserError, match=words):
        make_world(f"peripatos/{world}-v0", **{option: value})
