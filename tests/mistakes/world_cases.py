"""Mistakes in worlds of a stranger's: modules, names, constructors, spaces, what a world gives."""

from __future__ import annotations

from mistake_cases import Case, control, language

BODY = """\
import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, Text

class World(gymnasium.Env):
    observation_space = Box(-1, 1, (2,))
    action_space = Discrete(2)

    def __init__(self, size=5, kind="flat"):
        self.size = size

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.n = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.n += 1
        return np.zeros(2, np.float32), 1.0, self.n == 5, False, {}
"""
TALK = """\
from peripatos.envs.conversation import ConversationEnv, Opening, Outcome, TaskWorld

class World(ConversationEnv):
    weights = {"found": 1.0}
    max_turns = 2

    def __init__(self, size=5):
        super().__init__()

    def opening(self, rng, split):
        return f"Say {int(rng.integers(100))}{'t' if split == 'test' else ''}."

    def respond(self, reply):
        return Outcome("no", terms={"found": 0.0})
"""
TOOLS = """\
from peripatos.envs.tools import ToolWorld

TASKS = [{"prompt": f"task {i}"} for i in range(50)]

class Lamps:
    def __init__(self, task):
        pass

    def switch(self, room: str) -> str:
        "Switch a lamp."
        return room

def reward(lamps, task, reply):
    return True

def world():
    return ToolWorld(TASKS, Lamps, reward)
"""
FAILED = {"exits": (1,)}


def _changed(code: str, changes: tuple[str, ...]) -> str:
    for old, new in zip(changes[::2], changes[1::2], strict=True):
        assert old in code, old
        code = code.replace(old, new, 1)
    return code


def _body(name: str, changes: tuple[str, ...], *needs: str, world: str = "{id: 'maze:World'}", **rest: object) -> Case:
    """A world with a body, changed."""
    files = {**control("{id: CartPole-v1}", world), "maze.py": _changed(BODY, changes)}
    return Case(name, files, *needs, **rest)  # pyright: ignore[reportArgumentType]


def _talk(
    name: str,
    changes: tuple[str, ...],
    *needs: str,
    id_: str = "maze:World",
    options: str = "{}",
    code: str = TALK,
    **rest: object,
) -> Case:
    """A world that talks, changed."""
    files = language(
        "peripatos/Arithmetic-v0", id_, '{operators: ["+"], digits: 1, prompt: bare, answer_tag: answer}', options
    )
    return Case(name, {**files, "maze.py": _changed(code, changes)}, *needs, **rest)  # pyright: ignore[reportArgumentType]


def _named(name: str, id_: str, *needs: str, **files: str) -> Case:
    """A world by a name in some form, beside maze.py."""
    there = {file.replace("_", ".").replace("__", "/"): code for file, code in files.items()}
    return Case(name, {**control("{id: CartPole-v1}", f"{{id: {id_!r}}}"), "maze.py": BODY, **there}, *needs)


NAMES = [
    _named("module-typo", "mase:World", r"no module 'mase'.*Did you mean 'maze'\?"),
    _named("module-none", "labyrinth:World", r"no module 'labyrinth' in .* or among the installed packages"),
    _named("class-typo", "maze:Wrold", r"'Wrold'\. Did you mean 'World'\?"),
    _named("class-none", "maze:Labyrinth", r"nothing called 'Labyrinth'; it has 'World'"),
    _named("class-small", "maze:world", r"'world'\. Did you mean 'World'\?"),
    _named("class-forgotten", "maze", r"'maze' is a module.*maze:NAME"),
    _named("class-empty", "maze:", r"maze"),
    _named("file", "maze.py", r"maze:NAME"),
    _named("file-class", "maze.py:World", r"maze:World"),
    _named("path", "./maze.py:World", r"maze:World"),
    _named("path-of-folder", "worlds/maze:World", r"maze:World"),
    _named("path-absolute", "/home/me/maze.py:World", r"maze:World"),
    _named("path-windows", "worlds\\maze.py:World", r"maze:World"),
    _named("dot", "maze.World", r"module:Class.*maze:World"),
    _named("slash", "maze/World", r"maze:World"),
    _named("arrow", "maze->World", r"maze"),
    _named("two-colons", "maze::World", r"Did you mean 'World'\?"),
    _named("brackets", "maze:World()", r"World"),
    _named("space-in-name", "maze: World", r"World"),
    _named("dash", "my-maze:World", r"call the file my_maze\.py, and write my_maze:World"),
    _named("another-thing", "maze:np", r"maze:np' is a module, not a class"),
    _named("standard-library", "json:JSONDecoder", r"'json' is part of Python's standard library"),
    _named("version-of-ours", "peripatos/Walker-v9", r"Did you mean 'peripatos/Walker-v0'\?"),
    _named("namespace-of-ours", "Walker-v0", r"peripatos/Walker-v0"),
    _named("upper-case", "cartpole-v1", r"Did you mean 'CartPole-v1'\?"),
    _named("no-version", "CartPole", r"CartPole-v1"),
    _named("package-robots", "FetchReach-v4", r"gymnasium-robotics.*pip install"),
    _named("package-none", "Nobody/Knows-v0", r"'Nobody'"),
    _named("class-of-another-package", "gymnasium.spaces:Box", r"gymnasium\.spaces:Box"),
]  # fmt: skip

MODULES = [
    _body("syntax", ("def step(self, action):", "def step(self, action)"), r"line \d.*SyntaxError: maze\.py, line 17, column \d+: expected ':'"),
    _body("indent", ("        self.n = 0", "      self.n = 0"), r"IndentationError: maze\.py, line 1\d.*unindent"),
    _body("tab", ("        self.n = 0", "\tself.n = 0"), r"TabError: maze\.py, line 1\d"),
    _body("import", ("import numpy as np", "import numpyy as np"), r"No module named 'numpyy'.*maze\.py, line 2.*install"),
    _body("import-relative", ("import numpy as np", "from .helpers import np"), r"relative import.*bare name"),
    _body("import-name", ("Box, Dict,", "Bax, Dict,"), r"cannot import name 'Bax'.*maze\.py, line 3"),
    _body("name-undefined", ("    action_space = Discrete(2)", "    action_space = Discret(2)"), r"NameError: name 'Discret' is not defined.*maze\.py, line 7"),
    _body("old-gym", ("import gymnasium\n", "import gym as gymnasium\n"), r"No module named 'gym'.*maze\.py, line 1.*import gymnasium"),
    _body("exits", ("import numpy as np", "import numpy as np\nraise SystemExit(3)"), r"ends the program"),
    _body("empty-file", (BODY, ""), r"nothing called 'World'; it has no class"),
]  # fmt: skip

MAKING = [
    _body("option-unknown", (), r"unknown option 'sise'.*Did you mean 'size'\?", world="{id: 'maze:World', options: {sise: 3}}"),
    _body("option-of-none", ('(self, size=5, kind="flat")', "(self, size=5)"), r"unknown option 'gravity'; allowed: .*size", world="{id: 'maze:World', options: {gravity: 3}}"),
    _body("option-type", ("self.size = size", "self.size = size + 1"), r"maze:World.*TypeError.*maze\.py, line 10", world="{id: 'maze:World', options: {size: five}}"),
    _body("option-needed", ("size=5", "size"), r"needs 'size'.*options: \{size: …\}"),
    _body("options-list", (), r"options is \[3\], not a mapping", world="{id: 'maze:World', options: [3]}"),
    _body("option-beside", (), r"unknown key 'world\.size'.*world\.options\.size", world="{id: 'maze:World', size: 3}"),
    _body("limit-zero", (), r"max_episode_steps is 0; allowed is a whole number", world="{id: 'maze:World', options: {max_episode_steps: 0}}"),
    _body("limit-text", (), r"max_episode_steps is 'ten'; allowed is a whole number", world="{id: 'maze:World', options: {max_episode_steps: ten}}"),
    _body("constructor-raises", ("self.size = size", "raise OSError('no map')"), r"cannot be made: OSError: no map\n    maze\.py, line 10"),
    _body("constructor-returns", ("self.size = size", "return 3"), r"__init__\(\) should return None"),
    _body("not-a-world", ("class World(gymnasium.Env)", "class World"), r"World object, not a gymnasium\.Env.*class World\(gymnasium\.Env\)"),
    _body("function-of-class", ("class World(gymnasium.Env)", "def World():\n    return gymnasium.Env\n\nclass Maze(gymnasium.Env)"), r"returned the class Env"),
    _body("function-of-nothing", ("class World(gymnasium.Env)", "def World():\n    Maze()\n\nclass Maze(gymnasium.Env)"), r"returned None.*`return`"),
    _body("abstract", ("class World(gymnasium.Env):", "import abc\nclass World(gymnasium.Env, abc.ABC):\n    @abc.abstractmethod\n    def dig(self): ...\n"), r"abstract class World.*dig"),
    _body("no-step", ("def step(", "def stepp("), r"World has to define step\(self, action\)"),
    _body("no-reset", ("def reset(", "def restart("), r"World has to define reset\(self, \*, seed=None, options=None\)"),
    _body("reset-without-seed", ("self, *, seed=None, options=None", "self, options=None"), r"reset takes .*reset\(self, \*, seed=None, options=None\)"),
    _body("reset-without-options", ("self, *, seed=None, options=None", "self, seed=None"), r"reset takes .*reset\(self, \*, seed=None, options=None\)"),
    _body("reset-old", ("self, *, seed=None, options=None", "self"), r"reset takes .*reset\(self, \*, seed=None, options=None\)"),
    _body("reset-one", ("np.zeros(2, np.float32), {}\n\n", "np.zeros(2, np.float32)\n\n"), r"World'? cannot begin.*reset gave array.*it gives observation, info"),
    _body("reset-three", ("np.zeros(2, np.float32), {}\n\n", "np.zeros(2, np.float32), {}, 1\n\n"), r"cannot begin.*reset gave 3 values; it gives observation, info"),
    _body("reset-nothing", ("        return np.zeros(2, np.float32), {}\n\n", "\n"), r"cannot begin.*reset gave None; it gives observation, info"),
    _body("reset-raises", ("self.n = 0", "self.n = self.m"), r"cannot begin: AttributeError.*'m'.*maze\.py, line 14"),
    _body("step-without-action", ("def step(self, action)", "def step(self)"), r"World\.step takes .* besides self; write step\(self, action\)"),
    _body("step-two-arguments", ("def step(self, action)", "def step(self, x, y)"), r"World\.step takes .* besides self; write step\(self, action\)"),
    _body("static-step", ("    def step(self, action)", "    @staticmethod\n    def step(action)"), r"the run failed.*maze\.py.*'self' is not defined", **FAILED),
    _body("observation-shape", ("np.zeros(2, np.float32), {}\n\n", "np.zeros(3, np.float32), {}\n\n"), r"cannot begin.*\(3,\).*\(2,\)"),
    _body("observation-nan", ("np.zeros(2, np.float32), {}\n\n", "np.full(2, np.nan), {}\n\n"), r"cannot begin.*finite|cannot begin.*nan"),
    _body("observation-none", ("np.zeros(2, np.float32), {}\n\n", "None, {}\n\n"), r"cannot begin.*None"),
    _body("observation-text", ("np.zeros(2, np.float32), {}\n\n", "'left', {}\n\n"), r"cannot begin.*'left'"),
]  # fmt: skip

SPACES = [
    _body("no-observation-space", ("    observation_space = Box(-1, 1, (2,))\n", ""), r"World has no observation_space; set it"),
    _body("no-action-space", ("    action_space = Discrete(2)\n", ""), r"World has no action_space; set it"),
    _body("space-typo", ("    action_space", "    actions_space"), r"World has no action_space.*actions_space"),
    _body("space-number", ("Discrete(2)", "2"), r"action_space of World is 2.*gymnasium\.spaces"),
    _body("space-class", ("Discrete(2)", "Discrete"), r"action_space of World is the class Discrete; write Discrete\("),
    _body("space-tuple", ("Box(-1, 1, (2,))", "(2,)"), r"observation_space of World is \(2,\)"),
    _body("space-dict", ("Box(-1, 1, (2,))", "Dict({'a': Box(-1, 1, (2,))})"), r"cannot begin: there is nothing at 'a' of array"),
    _body("space-words", ("Discrete(2)", "Text(2)"), r"actions Text.*supported are Box, Discrete, MultiDiscrete, MultiBinary"),
    _body("space-words-seen", ("Box(-1, 1, (2,))", "Text(5)"), r"observations Text.*nothing can be flattened to numbers"),
    _body("space-zero", ("Discrete(2)", "Discrete(0)"), r"maze\.py, line 7"),
    _body("space-equal-bounds", ("Discrete(2)", "Box(1, 1, (2,))"), r"line 2.*action_space is Box\(1\.0, 1\.0, \(2,\), float32\), whose bounds are equal"),
    _body("space-one-action", ("Discrete(2)", "Discrete(1)"), r"line 2.*action_space is Discrete\(1\): one action"),
    _body("space-empty", ("Box(-1, 1, (2,))", "Box(-1, 1, (0,))"), r"line 2.*observation_space has the shape \(0,\), which holds no number"),
    _body("space-empty-action", ("Discrete(2)", "Box(-1, 1, (2, 0))"), r"action_space has the shape \(2, 0\)"),
    _body("space-whole-numbers", ("Box(-1, 1, (2,))", "Box(5, 1, (2,))"), r"maze"),
]  # fmt: skip

WRAPPING = [
    Case(f"wrapper-{name}", control("{id: CartPole-v1}", f"{{id: CartPole-v1, wrappers: {wrappers}}}"), rf"line 2.*{needs}")
    for name, wrappers, needs in (
        ("typo", "[{id: FrameStackObservatio}]", r"column \d+: unknown wrapper.*Did you mean 'FrameStackObservation'\?"),
        ("without", "[{id: FrameStackObservation}]", r"needs 'stack_size', which has no default"),
        ("option", "[{id: ClipReward, options: {max: 1}}]", r"unknown option 'max'; allowed: max_reward, min_reward"),
        ("statistics", "[{id: NormalizeObservation}]", r"an agent of kind mlp normalises what it sees"),
        ("rewards", "[{id: NormalizeReward}]", r"overrides: \{rewards: \{scale: return\}\}"),
        ("dotted", "[{id: minigrid.wrappers.ImgObsWrapper}]", r"In another package it is minigrid\.wrappers:ImgObsWrapper"),
        ("misfit", "[{id: ReshapeObservation, options: {shape: [3, 3]}}]", r"cannot be wrapped in ReshapeObservation"),
        ("text", "[FlattenObservation]", r"wrappers\.0 is 'FlattenObservation', not a mapping"),
        ("mapping", "{id: FlattenObservation}", r"world\.wrappers is .*not a list"),
        ("key", "[{id: ClipReward, option: {max_reward: 1}}]", r"option'.*'options'\?"),
    )
]  # fmt: skip

GIVING = [
    _body("step-four", (", False, {}\n", ", {}\n"), r"the run failed.*step gave 4 values; it gives observation, reward, terminated, truncated, info", **FAILED),
    _body("step-three", (", self.n == 5, False, {}", ", {}"), r"the run failed.*observation, reward, terminated, truncated, info", **FAILED),
    _body("step-nothing", ("        return np.zeros(2, np.float32), 1.0, self.n == 5, False, {}", "        pass"), r"the run failed.*None", **FAILED),
    _body("reward-text", ("1.0, self", "'1.0', self"), r"the run failed.*reward.*'1\.0'", **FAILED),
    _body("reward-none", ("1.0, self", "None, self"), r"the run failed.*reward.*None", **FAILED),
    _body("reward-nan", ("1.0, self", "float('nan'), self"), r"the run failed.*reward.*nan", **FAILED),
    _body("reward-array", ("1.0, self", "np.ones(2), self"), r"the run failed.*reward", **FAILED),
    _body("flag-text", ("self.n == 5, False", "'no', False"), r"the run failed.*terminated.*'no'", **FAILED),
    _body("info-none", ("False, {}\n", "False, None\n"), r"the run failed.*None in the place of the info", **FAILED),
    _body("step-observation", ("return np.zeros(2, np.float32), 1.0", "return np.zeros(3, np.float32), 1.0"), r"the run failed.*\(3,\).*\(2,\)", **FAILED),
    _body("success-text", ("False, {}\n", "False, {'success': 'yes'}\n"), r"success is 'yes', neither true nor false", exits=(0,)),
]  # fmt: skip

TALKING = [
    _talk("talk-without-super", ("        super().__init__()", "        self.size = size")),
    _talk("talk-without-opening", ("def opening", "def open"), r"World has to define opening\(self, rng, split\)"),
    _talk("talk-without-respond", ("def respond", "def answer"), r"World has to define respond\(self, reply\)"),
    _talk("opening-signature", ("def opening(self, rng, split)", "def opening(self)"), r"opening\(self, rng, split\)"),
    _talk("opening-swapped", ("def opening(self, rng, split)", "def opening(self, rng)"), r"opening\(self, rng, split\)"),
    _talk("respond-signature", ("def respond(self, reply)", "def respond(self)"), r"respond\(self, reply\)"),
    _talk("respond-many", ("def respond(self, reply)", "def respond(self, reply, task)"), r"respond\(self, reply\)"),
    _talk("opening-none", ("        return f\"Say", "        f\"Say"), r"opening gave None; allowed are a text and an Opening"),
    _talk("opening-list", ("        return f\"Say", "        return [1]\n        return f\"Say"), r"opening gave \[1\]; allowed are a text and an Opening"),
    _talk("opening-empty", ("        return f\"Say", "        return ''\n        return f\"Say"), r"opening"),
    _talk("opening-role", ("        return f\"Say", "        return Opening([{'role': 'robot', 'content': 'a'}])\n        return f\"Say"), r"'robot'.*user"),
    _talk("opening-raises", ("        return f\"Say", "        1 / 0\n        return f\"Say"), r"cannot begin: ZeroDivisionError.*maze\.py, line \d+"),
    _talk("weights-list", ('{"found": 1.0}', '["found"]'), r"weights.*\['found'\]"),
    _talk("weights-text", ('{"found": 1.0}', '{"found": "1"}'), r"weight.*'found'.*'1'"),
    _talk("weights-nan", ('{"found": 1.0}', '{"found": float("nan")}'), r"weight.*'found'.*nan"),
    _talk("turns-text", ("max_turns = 2", "max_turns = '2'"), r"max_turns.*'2'"),
    _talk("success-no", ("max_turns = 2", "max_turns = 2\n    has_success = 'no'"), r"has_success of World is 'no'; allowed are None, True and False"),
    _talk("turns-zero", ("max_turns = 2", "max_turns = 0"), r"max_turns.*0"),
    _talk("talk-option", (), r"unknown option 'sise'.*'size'\?", options="{sise: 3}"),
    _talk("respond-none", ("        return Outcome", "        Outcome"), r"the run failed.*respond gave None; allowed is an Outcome", **FAILED),
    _talk("respond-text", ("        return Outcome", "        return 'no'\n        return Outcome"), r"the run failed.*respond gave 'no'; allowed is an Outcome", **FAILED),
    _talk("respond-tuple", ("        return Outcome", "        return 'no', 1.0\n        return Outcome"), r"the run failed.*respond gave \('no', 1\.0\); allowed is an Outcome", **FAILED),
    _talk("term-typo", ('terms={"found"', 'terms={"fuond"'), r"'fuond'.*'found'\?", exits=(1, 2)),
    _talk("term-text", ("0.0}", "'0.0'}"), r"the run failed.*'found'.*'0\.0'", **FAILED),
    _talk("outcome-argument", ("terms=", "reward="), r"the run failed.*unexpected keyword argument 'reward'", **FAILED),
    _talk("tool-no-annotation", ("room: str", "room"), r"'switch': parameter 'room' has no type; write such as room: str", id_="maze:world", code=TOOLS),
    _talk("tool-no-docstring", ('        "Switch a lamp."\n', ""), id_="maze:world", code=TOOLS),
    _talk("tool-annotation", ("room: str", "room: Lamps"), r"name 'Lamps' is not defined.*line 9", id_="maze:world", code=TOOLS),
    _talk("tool-reward", ("def reward(lamps, task, reply)", "def reward(reply)"), r"`check` \(reward\) is called with \(tools, task, reply\)", id_="maze:world", code=TOOLS),
    _talk("tool-state", ("def __init__(self, task)", "def __init__(self)"), r"`tools` \(Lamps\) is called with \(task\), and is defined with \(\)", id_="maze:world", code=TOOLS),
    _talk("tool-tasks", ("ToolWorld(TASKS", "ToolWorld([]"), r"at least one task", id_="maze:world", code=TOOLS),
    _talk("task-without-super", (TALK, "from peripatos.envs.conversation import TaskWorld\n\nclass World(TaskWorld):\n    def __init__(self):\n        self.n = 1\n"), r"World\.__init__.*super\(\)\.__init__"),
    _talk("task-super-empty", (TALK, "from peripatos.envs.conversation import TaskWorld\n\nclass World(TaskWorld):\n    def __init__(self):\n        super().__init__()\n"), r"missing 1 required positional argument: 'tasks'"),
]  # fmt: skip

SCRIPTS = """\
def left(observation):
    return "left"

def high(observation):
    return 2

def half(observation):
    return 0.5

def many(observation):
    return [0, 1]

def nothing(observation):
    pass

async def later(observation):
    return 0

def two(observation, state):
    return 0

def index(observation):
    return int(observation[7] > 0)

def good(observation):
    return int(observation[2] > 0)

class Stateful:
    def __call__(self):
        return 0

NUMBER = 3
"""


def _script(name: str, function: str, *needs: str) -> Case:
    """A scripted agent on CartPole."""
    stages = "  - name: balance\n"
    old = control()["s.yaml"]
    text = old.replace("{kind: mlp, hidden: [16]}", f"{{kind: scripted, function: {function!r}}}")
    text = text[: text.index("  - name")] + stages + "evaluation: {episodes: 2}\n"
    return Case(name, {"s.yaml": text, "maze.py": SCRIPTS}, *needs)


ACTING = [
    _script("script-good", "maze:good"),
    _script("script-text", "maze:left", r"line 3, column \d+: the script maze:left gave the action 'left'; allowed are the whole numbers 0 to 1"),
    _script("script-high", "maze:high", r"the script maze:high gave the action 2; allowed are the whole numbers 0 to 1"),
    _script("script-half", "maze:half", r"the script maze:half gave the action 0\.5"),
    _script("script-many", "maze:many", r"the script maze:many gave the action \[0, 1\]"),
    _script("script-none", "maze:nothing", r"the script maze:nothing gave the action None"),
    _script("script-arguments", "maze:two", r"'maze:two' is called with \(observation\), and is defined with .*'state'"),
    _script("script-raises", "maze:index", r"the script maze:index fails: IndexError.*maze\.py, line 23"),
    _script("script-class", "maze:Stateful", r"`__call__` of 'maze:Stateful' is called with \(self, observation\)"),
    _script("script-number", "maze:NUMBER", r"'maze:NUMBER' is not a function"),
    _script("script-typo", "maze:god", r"'god'\. Did you mean 'good'\?"),
    _script("script-no-colon", "maze", r"the scripted agent is 'maze'; it is named module:function"),
    _script("script-module", "mazes:good", r"no module 'mazes'.*Did you mean 'maze'\?"),
]  # fmt: skip

BREAKS = "        return dig(self)\n\ndef dig(world):\n    return 1 / 0\n"
RAISED = r"ZeroDivisionError: division by zero\n    maze\.py, line \d+, in .*dig"
RESPONDS = '        return Outcome("no", terms={"found": 0.0})\n'


def _also(name: str, method: str, *needs: str, **rest: object) -> Case:
    """A world that talks, with one method more, which breaks."""
    return _talk(name, (RESPONDS, f"{RESPONDS}\n{method}{BREAKS}"), *needs, **rest)


BREAKING = [
    _body("step-raises", ("        self.n += 1\n", BREAKS.partition("\n\n")[0] + "\n\n"), r"NameError", **FAILED),
    _talk("respond-raises", (RESPONDS, BREAKS), r"maze:World failed in respond \(maze\.py, line \d+\): " + RAISED, **FAILED),
    _also("read-raises", "    def read(self, text):\n", r"maze:World failed in read \(maze\.py, line \d+\): " + RAISED, **FAILED),
    _also("version-raises", "    @property\n    def scored_by(self):\n", r"'maze:World' cannot be asked what it is: " + RAISED),
    _also("limit-raises", "    @property\n    def turn_limit(self):\n", r"'maze:World' cannot be asked what it is: " + RAISED),
    _also("another-raises", "    def another(self):\n", r"another\(\) of world 'maze:World' fails: " + RAISED),
    _also("end-raises", "    def end(self):\n", RAISED),
    _also("close-raises", "    def close(self):\n"),
    _script("script-async", "maze:later", r"'maze:later' is an `async def`, and nobody awaits it"),
]  # fmt: skip

CASES = [*ACTING, *NAMES, *MODULES, *MAKING, *SPACES, *WRAPPING, *GIVING, *TALKING, *BREAKING]
