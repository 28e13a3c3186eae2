"""A world from nothing but tasks and a reward function: one question, one reply.

    def score(reply, task):
        return reply.text.strip() == task["answer"]

    TaskWorld([{"prompt": "Capital of France?", "answer": "Paris"}, …], score)

Where answers are mathematics, a grader takes the function's place and is told what each task expects:

    TaskWorld([{"prompt": "Solve 2x = 1.", "answer": "1/2"}, …], grader="maths")

Tasks are a list, a function of a random generator, a JSONL file (`tasks.jsonl`, one object a line) or a Hugging
Face dataset by name (`owner/name` or `owner/name:configuration`). A task is a mapping with at least a prompt; all of
it is handed to the reward function. Keys with a meaning here:

    prompt   what the agent is asked (another key can be named: `prompt="question"`)
    id       names the task in reports; default: the prompt
    split    "train", "validation" or "test"; default: one task in five is for testing and one for validation, by a
             hash of the prompt
    oracle   a reply that an expert would give, for demonstrations

A prompt that is in several splits is kept in the last of them only. Without a validation task, those for training stand
in: what is reported never decides anything. A run goes through the tasks of a list, a file or a data set
in an order of its own and begins again at the end, so that as many evaluation episodes as there are held-out tasks
meet each of them once; a function is asked anew for each episode.

A reward function that returns None, and a grader that is unsure, leave the episode without a reward: it is counted as
unscored, and teaches nothing.

Left out: several turns (write a `ConversationEnv`) and streaming of data sets that do not fit into memory.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, ClassVar, Self, cast

import numpy as np

from ..errors import UserError, nearest, unknown
from ..named_objects import load_attribute
from ..reported import number
from ..user_code import check_call
from ..vocabulary import Reply
from ..worlds.maths.answers import AnswerTag
from .conversation_env import SPLITS, ConversationEnv, Opening, Outcome, Split
from .reward_version import function_version
from .reward_weights import merge_weights
from .task_rows import check_names, check_prompts_differ, check_row, remarks_on
from .task_source import Placed, Task, TaskSource, placed_tasks, split_of

if TYPE_CHECKING:
    from ..worlds.maths.grading import MathsGrader

Judgement = float | Mapping[str, float] | Outcome | None
RewardFunction = Callable[[Reply, Task], Judgement]

GRADERS = ("maths",)
_ONE_IN = 5  # tasks is for testing, and one for validation
_FEW = 10  # different prompts, which may well all fall into the same split
_MAX_DRAWS = 10_000  # from a generator, for one task of the split that is asked for


class TaskWorld(ConversationEnv):
    """Single-turn tasks from a list, a generator, a JSONL file or a Hugging Face dataset.

    Args:
        tasks: see the module's docstring. A plain string in a list is a prompt.
        reward: of (reply, task); or `module:function`. It returns a number, a bool (which is success too), a mapping
            of terms (named in `weights`), a whole `Outcome`, or None where it does not know.
        grader: in the place of `reward`: "maths" compares answers that are mathematics (needs peripatos[maths]).
        answer: the key under which a task keeps the answer that the grader expects.
        answer_tag: where the grader looks for a reply's answer: "boxed", "answer" or "number".
        prompt: the key under which a task keeps its prompt.
        weights: of the terms that `reward` returns; default {"reward": 1}.

    Raises:
        UserError: a file or data set that cannot be read, a task without a prompt or an answer, no such grader.
    """

    weights = {"reward": 1.0}  # noqa: RUF012 (read only, copied by the base class)
    splits = SPLITS
    reward_version = "1"
    _own_fields: ClassVar[frozenset[str]] = frozenset(
        {"observation_space", "action_space", "weights", "voices", "spec", "waits", "side_by_side", "_is_made"}
        | {"max_turns", "has_success", "granted_seconds", "endless_after", "_turn", "_place"}
        | {"_prompt", "_grader", "_reward", "_judge_name", "_draw", "_tasks", "_left_out", "remarks"}
    )  # of a world that has not been played
    _has_turns: ClassVar[bool] = False  # a task's oracle may list what is done in each
    _functions: ClassVar[tuple[str, ...]] = ("_reward", "_draw")  # those of the fields that are called

    def __init__(
        self,
        tasks: TaskSource,
        reward: RewardFunction | str | None = None,
        *,
        grader: str | None = None,
        answer: str = "answer",
        answer_tag: AnswerTag = "boxed",
        prompt: str = "prompt",
        weights: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        if weights is not None:
            self.weights = merge_weights(weights, weights)
        self._prompt = prompt
        if (reward is None) == (grader is None):
            raise UserError("a TaskWorld needs a reward function or a grader, and not both")
        self._grader = None if grader is None else _grader(grader, prompt, answer, answer_tag)
        self._judge_name = f"the grader {grader!r}" if grader else f"the reward function {_name(reward)!r}"
        self._reward = self._grader.grade if self._grader else _function(reward)
        self.side_by_side = self._grader.workers if self._grader else 1
        self._draw = tasks if callable(tasks) else None
        if not callable(tasks):
            self._sort(placed_tasks(tasks))

    @property
    def scored_by(self) -> str:
        """The world's version, and that of its grader or reward function."""
        return f"{super().scored_by}, {self._grader.version if self._grader else function_version(self._reward)}"

    def another(self) -> Self | None:
        """A sibling that shares the tasks. None where this world, or a function that it calls, may hold something else
        that two worlds must not share: a field that a subclass added, an object whose method was given, a closure.
        """
        if not self._own_fields.issuperset(vars(self)):
            return None
        other = self.sibling()
        for name in self._functions:
            function = getattr(self, name)
            if isinstance(function, MethodType) and function.__self__ is self:
                setattr(other, name, MethodType(function.__func__, other))
            elif function is not None and not self._may_be_shared(function):
                return None
        return other

    def opening(self, rng: np.random.Generator, split: Split) -> Opening:
        self._task = _own(self._drawn(self._draw, rng, split) if self._draw else self._picked(rng, split))
        prompt, name = self._task[self._prompt], self._task.get("id")
        return Opening(self._asked(self._task), task=prompt if name is None else str(name))

    def prompts(self, split: Split) -> list[str]:
        """What its tasks of a split ask; none where a function makes the tasks."""
        return [] if self._draw else [self._asked(task) for task in self._tasks[split]]

    def _asked(self, task: Task) -> str:
        prompt = task[self._prompt]
        return f"{prompt}\n\n{self._grader.wanted}" if self._grader else prompt

    def respond(self, reply: Reply) -> Outcome:
        verdict = self._reward(reply, self._task)
        if isinstance(verdict, Outcome):
            return verdict
        if verdict is None:
            return Outcome(unscored=f"{self._judge_name} returned None")
        if isinstance(verdict, Mapping):
            return Outcome(terms=verdict, terminated=True)
        success = bool(verdict) if isinstance(verdict, bool | np.bool_) else None
        earned = number(verdict, f"the reward that {self._judge_name} gave")
        return Outcome(terms={"reward": earned}, terminated=True, success=success)

    def misweighed(self) -> str | None:
        """What is wrong between the weights and what an empty reply earns in the episode that has begun: a term that no
        weight names. None where nothing is, and where the reward fails, which its episodes will say."""
        try:
            outcome = self.respond(Reply(""))
            strangers = [str(term) for term in outcome.terms if term not in self.weights]
        except Exception:  # of a stranger's function
            return None
        if not strangers:
            return None
        name, there = strangers[0], ", ".join(self.weights) or "nothing"
        what = " (so a number is called)" if name == "reward" else ""
        return (
            f"{self._judge_name} gives the reward term {name!r}{what}, and weights name {there}."
            f"{nearest(name, self.weights) or f' Give weights: {{{name}: 1.0}}, or return other terms'}"
        )

    def oracle(self) -> str | None:
        """The task's own `oracle`, where it has one, else the answer that a grader expects."""
        if self._grader and "oracle" not in self._task:
            return self._grader.oracle(self._task)
        return self._task.get("oracle")

    def _picked(self, rng: np.random.Generator, split: Split) -> Task:
        tasks = self._tasks[split] or (self._tasks["train"] if split == "validation" else [])
        if not tasks:
            raise UserError(f"there is no {split} task{self._why_there_is_none(split)}")
        return self.pick(tasks, rng)

    def _why_there_is_none(self, split: Split) -> str:
        left_out, prompts = (
            self._left_out[split],
            len({t[self._prompt] for ts in self._tasks.values() for t in ts}),
        )
        if left_out:
            others = " and ".join(other for other in SPLITS[SPLITS.index(split) + 1 :] if self._tasks[other])
            return (
                f": the prompts of all {left_out} are among those of {others} tasks, so that they are left out; "
                "a prompt must tell which task it is"
            )
        few = f", and the tasks have only {prompts} different prompts" if prompts < _FEW else ""
        return f'; tasks are divided by their prompts{few}: mark some with "split": "{split}", or give more tasks'

    def _may_be_shared(self, function: object) -> bool:
        """Whether a function keeps nothing of its own from call to call, so that making it again gives the same."""
        if isinstance(function, MethodType):
            return function.__self__ is self._grader or isinstance(function.__self__, type)
        if isinstance(function, type):
            return "<locals>" not in function.__qualname__
        if not isinstance(function, FunctionType) or function.__closure__ or vars(function):
            return False
        return "<locals>" not in function.__qualname__ or not (function.__defaults__ or function.__kwdefaults__)

    def _drawn(self, draw: Callable[[np.random.Generator], Task | str], rng: np.random.Generator, split: Split) -> Task:
        for _ in range(_MAX_DRAWS):
            task = self._checked(draw(rng))
            if self._split_of(task) == split:
                return task
        raise UserError(f"the task generator drew no {split} task in {_MAX_DRAWS} draws: it has too few tasks")

    def _sort(self, tasks: Sequence[Placed]) -> None:
        if not tasks:
            raise UserError("a TaskWorld needs at least one task")
        rows = [(place, self._checked(task, place)) for place, task in tasks]
        check_names(rows)
        check_prompts_differ(rows, self._prompt)
        self.remarks = tuple(remarks_on(rows))
        checked = [task for _, task in rows]
        self._tasks: dict[Split, list[Task]] = {split: [] for split in SPLITS}
        self._left_out: dict[Split, int] = {}  # tasks whose prompt a later split has too
        later: set[str] = set()  # prompts of the splits that have been filled
        for split in reversed(SPLITS):
            mine = [task for task in checked if self._split_of(task) == split]
            self._tasks[split] = [task for task in mine if task[self._prompt] not in later]
            self._left_out[split] = len(mine) - len(self._tasks[split])
            later |= {task[self._prompt] for task in mine}

    def _checked(self, task: Task | str, place: str = "a task") -> Task:
        checked = check_row(place, task, self._prompt, turns=self._has_turns)
        if self._grader:
            try:
                self._grader.check(checked)
            except UserError as problem:
                raise UserError(f"{place}: {problem}") from problem
        return checked

    def _split_of(self, task: Task) -> Split:
        split = task.get("split")
        return split_of(task[self._prompt], _ONE_IN) if split is None else split


def _own(task: Task) -> Task:
    """A copy, so that a reward function or a tool that changes its task changes no other episode's; the task itself,
    where it holds what cannot be copied.
    """
    try:
        return copy.deepcopy(task)
    except Exception:  # of a stranger's object
        return task


def _grader(name: str, prompt: str, answer: str, answer_tag: AnswerTag) -> MathsGrader:
    if name not in GRADERS:
        raise UserError(unknown("grader", str(name), GRADERS))
    from ..worlds.maths.grading import MathsGrader  # it is one of the worlds, which import this folder

    return MathsGrader(prompt=prompt, answer=answer, answer_tag=answer_tag)


def _function(reward: RewardFunction | str | None) -> RewardFunction:
    if isinstance(reward, str) and ":" not in reward:
        raise UserError(f"reward is {reward!r}; a function is named module:function, as in my_rewards:{reward}")
    found = load_attribute(reward) if isinstance(reward, str) else reward
    if not callable(found):
        raise UserError(
            f"reward is {reward!r:.80}; allowed are a function of (reply, task) and its name, module:function"
        )
    check_call(f"the reward function {_name(reward)!r}", found, "reply", "task")
    return cast("RewardFunction", found)


def _name(function: object) -> str:
    """What a function is called in messages; an object that is called, by its class."""
    return function if isinstance(function, str) else getattr(function, "__name__", type(function).__name__)
