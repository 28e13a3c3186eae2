"""A world from nothing but tasks and a reward function: one question, one reply.

    def score(reply, task):
        return reply.text.strip() == task["answer"]

    TaskWorld([{"prompt": "Capital of France?", "answer": "Paris"}, …], score)
    TaskWorld("gsm8k.jsonl", grader="number")          # in a scenario: {id: peripatos/Tasks-v0, options: {tasks: …}}

Tasks are files, data sets, frames, lists and functions (see `task_source`). A task is a mapping; all of it is handed to
the reward function. What of it is asked and expected is said by `prompt`, `system` and `answer` (see `task_columns`).
Keys with a meaning here, where a task has them:

    id       names the task in reports; default: the prompt
    split    "train", "validation" or "test"; default: one task in five is for testing and one for validation, by a
             hash of the prompt
    oracle   a reply that an expert would give, for demonstrations; with a grader, the answer stands in

A prompt that is in several splits is kept in the last of them only. Where rows are for training and testing alone, some
of those for training are set aside for validation (see `held_out`): what is reported never decides anything. A run goes
through the tasks of a list, a file or a data set in an order of its own and begins again at the end, so that as many
evaluation episodes as there are held-out tasks meet each of them once; a function is asked anew for each episode.

A reward function that returns None, and a grader that is unsure, leave the episode without a reward: it is counted as
unscored, and teaches nothing.

Left out: several turns (write a `ConversationEnv`) and streaming of data sets that do not fit into memory.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType, MethodType
from typing import Any, ClassVar, Self, cast

import numpy as np

from ..errors import UserError, nearest
from ..named_objects import load_attribute
from ..reported import BadReport, number
from ..user_code import check_call
from ..vocabulary import Message, Reply
from ..worlds.maths.answers import AnswerTag
from .conversation_env import SPLITS, ConversationEnv, Opening, Outcome, Split
from .graders import GRADERS, TextGrader, make_grader
from .held_out import FEW, divide
from .reward_version import function_version
from .reward_weights import merge_weights
from .task_columns import AnswerRule, Columns, fields_of
from .task_rows import check_names, check_prompts_differ, check_row, remarks_on, shown_answer
from .task_source import Picked, Placed, Task, TaskSource, is_drawn, placed_tasks, split_of
from .user_judges import UserJudge

Judgement = float | Mapping[str, float] | Outcome | None
RewardFunction = Callable[[Reply, Task], Any]  # a `Judgement`, or a coroutine that gives one
GroupReward = Callable[[Sequence[Reply], Task], Any]  # a list of those

_ONE_IN = 5  # tasks is for testing, and one for validation
_MAX_DRAWS = 10_000  # from a generator, for one task of the split that is asked for


class TaskWorld(ConversationEnv):
    """Single-turn tasks from a file, a data set, a frame, a list or a function, and who grades the replies.

    Args:
        tasks: see `task_source`. A plain string in a list is a prompt.
        reward: of (reply, task), `async` or not; or `module:function`. It returns a number, a bool (which is success
            too), a mapping of terms (named in `weights`), a whole `Outcome`, or None where it does not know.
        group_reward: in the place of `reward`: of (replies, task), all replies of a group of one task (in an
            evaluation that plays each task once, one reply); it returns a list of what `reward` returns for each.
        grader: in the place of `reward`: choice, exact, maths (needs peripatos[maths]), number, python or regex, see
            `graders`; or `module:function`.
        split: one split of `tasks`, or which of its splits is which: {train: train_sft, test: test_sft}.
        prompt, system, answer: what is asked and expected, see `task_columns`.
        answer_tag: where the grader looks for a reply's answer: "boxed", "answer" or "number". The prompt asks for it.
        tolerance: how far a number may be from the answer of the grader "number".
        success_at: the reward from which a reply is a success, where a function says none.
        at_once: how many replies a reward function judges at once, in threads; by default one after the other, and 64
            as soon as it is seen to wait.
        deadline: seconds for a judgement, else the episode has failed; by default 60 for a function that waits.
        shuffle: whether a run goes through the tasks in an order of its own, or as they are given.
        repeats: how many groups in a row learn from the same task, before the next one.
        weights: of the terms that `reward` returns; default {"reward": 1}.

    Raises:
        UserError: a source that cannot be read, a task without a prompt or an answer, no such grader.
    """

    weights = {"reward": 1.0}  # noqa: RUF012 (read only, copied by the base class)
    splits = SPLITS
    reward_version = "1"
    _own_fields: ClassVar[frozenset[str]] = frozenset(
        {"observation_space", "action_space", "weights", "voices", "spec", "waits", "_is_made"}
        | {"max_turns", "has_success", "granted_seconds", "endless_after", "_turn", "_place"}
        | {"_columns", "_grader", "_reward", "_judge_name", "_draw", "_division", "remarks"}
        | {"_caller", "_success_at", "_shuffle", "_repeats", "judges_groups", "_verdict"}
    )  # of a world that has not been played
    _has_turns: ClassVar[bool] = False  # a task's oracle may list what is done in each
    _functions: ClassVar[tuple[str, ...]] = ("_reward", "_draw")  # those of the fields that are called

    def __init__(
        self,
        tasks: TaskSource,
        reward: RewardFunction | str | None = None,
        *,
        grader: str | None = None,
        group_reward: GroupReward | str | None = None,
        split: Picked | None = None,
        prompt: str | None = None,
        system: str | None = None,
        answer: AnswerRule | None = None,
        answer_tag: AnswerTag | None = None,
        tolerance: float = 0.0,
        success_at: float | None = None,
        at_once: int | None = None,
        deadline: float | None = None,
        shuffle: bool = True,
        repeats: int = 1,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        if weights is not None:
            self.weights = merge_weights(weights, weights)
        _check_one_judges(grader=grader, reward=reward, group_reward=group_reward)
        if isinstance(grader, str) and ":" in grader:
            reward, grader = grader, None
        self._grader = None if grader is None else make_grader(grader, answer_tag, tolerance)
        self.judges_groups = group_reward is not None
        function = group_reward if self.judges_groups else reward
        self._judge_name = f"the grader {grader!r}" if grader else f"the reward function {_name(function)!r}"
        self._reward = self._grader.grade if self._grader else _function(function, of_groups=self.judges_groups)
        self._verdict: list[Judgement] = []  # of this turn, where the whole group was judged
        if self._grader and (at_once, deadline, success_at) != (None, None, None):
            raise UserError("at_once, deadline and success_at are for reward functions; a grader by name has its own")
        self._caller = UserJudge(self._judge_name, at_once=at_once, deadline=deadline)
        self._caller.expect(self._reward)
        self._success_at = None if success_at is None else number(success_at, "success_at")
        if self._grader or self._success_at is not None:
            self.has_success = True
        if isinstance(repeats, bool) or not isinstance(repeats, int) or repeats < 1:
            raise UserError(f"repeats is {repeats!r:.80}; allowed is a whole number, 1 or greater")
        self._shuffle, self._repeats = shuffle, repeats
        self._draw = cast("Callable[[np.random.Generator], Task | str]", tasks) if is_drawn(tasks) else None
        if self._draw is not None:
            if split is not None:
                raise UserError("split is for tasks of a list, and these are drawn by a function")
            self._columns = Columns.of(prompt, answer, system, None)
            self.remarks = tuple(shown_answer(self._columns))
        else:
            placed = placed_tasks(tasks, split)
            self._columns = Columns.of(prompt, answer, system, placed[0][1] if placed else None)
            self._sort(placed)
        if self.judges_groups:
            alone = "an evaluation plays each task once, and asks it about one reply"
            self.remarks = (*self.remarks, f"{self._judge_name} judges whole groups; {alone}")

    @property
    def side_by_side(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """As many replies as the grader grades at once; of a function, as far as it is seen to wait."""
        return self._grader.workers if self._grader else self._caller.side_by_side

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
        self._verdict = []
        self._task = _own(self._drawn(self._draw, rng, split) if self._draw else self._picked(rng, split))
        name = self._task.get("id")
        return Opening(self._begun(self._task), task=self._text(self._task) if name is None else str(name))

    def prompts(self, split: Split) -> list[str]:
        """What its tasks of a split ask; none where a function makes the tasks, or where they begin in different
        ways."""
        if self._draw or fields_of(self._columns.system or ""):
            return []
        begun = [self._begun(task) for task in self._division.rows[split]]
        alike = all(len(messages) <= 2 and messages[:-1] == begun[0][:-1] for messages in begun)
        return [messages[-1]["content"] for messages in begun] if alike else []

    def tasks_in(self, split: Split) -> int | None:
        """Of its list. Training tasks that stand in for validation count as many as there are for testing."""
        if self._draw:
            return None
        there = len(self._division.rows[split]) * (self._repeats if split == "train" else 1)
        return there or (
            min(len(self._division.rows["train"]), len(self._division.rows["test"])) if split == "validation" else 0
        )

    def _begun(self, task: Task) -> list[Message]:
        """The first messages, the last of which says in which form an answer is wanted."""
        messages = self._columns.messages("a task", task)
        if self._grader and self._grader.wanted:
            messages[-1] = {**messages[-1], "content": f"{messages[-1]['content']}\n\n{self._grader.wanted}"}
        return messages

    def _text(self, task: Task) -> str:
        return self._columns.text("a task", task)

    def _graded(self, task: Task) -> Task:
        """A task as graders take it."""
        return {**task, "prompt": self._text(task), "answer": self._columns.expected("the task", task)}

    def respond(self, reply: Reply) -> Outcome:
        if self._grader:
            return self._grader.grade(reply, self._graded(self._task))
        if self.judges_groups and not self._verdict:
            self.hear_together([(self, reply)])
        verdict = self._verdict.pop() if self.judges_groups else self._caller.call(self._reward, reply, self._task)
        if isinstance(verdict, Outcome):
            return verdict
        if verdict is None:
            return Outcome(unscored=f"{self._judge_name} returned None")
        if isinstance(verdict, Mapping):
            return Outcome(terms=verdict, terminated=True, success=self._succeeded(verdict))
        earned = number(verdict, f"the reward that {self._judge_name} gave")
        said = bool(verdict) if isinstance(verdict, bool | np.bool_) else self._succeeded({"reward": earned})
        return Outcome(terms={"reward": earned}, terminated=True, success=said)

    def hear_together(self, members: Sequence[tuple[ConversationEnv, Reply]]) -> None:
        """Ask the function once for all of them."""
        said = self._caller.call(self._reward, [reply for _, reply in members], self._task)
        if not isinstance(said, list | tuple | np.ndarray) or len(said) != len(members):
            raise BadReport(
                f"{self._judge_name} gave {said!r:.60} for {len(members)} replies; a list of as many is needed"
            )
        for (world, _), verdict in zip(members, said, strict=True):
            assert isinstance(world, TaskWorld), "worlds of a group are of one kind"
            world._verdict = [verdict]

    def _succeeded(self, terms: Mapping[str, float]) -> bool | None:
        """Whether terms are worth as much as a success is; None where nobody has said how much."""
        if self._success_at is None:
            return None
        earned = [self.weights.get(name, 0.0) * number(value, name) for name, value in terms.items()]
        return sum(earned) >= self._success_at - 1e-9

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
        typo = next((known for known in self.weights if nearest(name, [known])), None)
        better = "1.0}, or return other terms" if typo is None else f"{self.weights[typo]}}}, in the place of {typo!r}"
        return (
            f"{self._judge_name} gives the reward term {name!r}{what}, and weights name {there}. "
            f"Give weights: {{{name}: {better}"
        )

    def oracle(self) -> str | None:
        """The task's own `oracle`, where it has one, else the answer that a grader expects."""
        if self._grader and "oracle" not in self._task:
            return self._grader.oracle(self._graded(self._task))
        return self._task.get("oracle")

    def _picked(self, rng: np.random.Generator, split: Split) -> Task:
        tasks = self._division.rows[split] or (self._division.rows["train"] if split == "validation" else [])
        if not tasks:
            raise UserError(f"there is no {split} task{self._why_there_is_none(split)}")
        if self._place is None:
            return self.pick(tasks, rng)
        run, group = self._place
        self._place = run, group // (self._repeats if split == "train" else 1)
        return self.pick(tasks, rng) if self._shuffle else tasks[self._place[1] % len(tasks)]

    def _why_there_is_none(self, split: Split) -> str:
        left_out = self._division.left_out[split]
        prompts = len({self._text(task) for tasks in self._division.rows.values() for task in tasks})
        if left_out:
            return (
                f": the prompts of all {left_out} are among those of {self._division.later(split)} tasks, so that they "
                "are left out; a prompt must tell which task it is"
            )
        few = f", and the tasks have only {prompts} different prompts" if prompts < FEW else ""
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
            if self._split_of(self._text(task), task) == split:
                return task
        raise UserError(f"the task generator drew no {split} task in {_MAX_DRAWS} draws: it has too few tasks")

    def _sort(self, tasks: Sequence[Placed]) -> None:
        if not tasks:
            raise UserError("a TaskWorld needs at least one task")
        rows = [(place, self._checked(task, place)) for place, task in tasks]
        texts = [self._text(task) for _, task in rows]
        check_names(rows)
        check_prompts_differ(texts)
        grader = self._grader.name if isinstance(self._grader, TextGrader) else ""
        reading = self._grader.reading if isinstance(self._grader, TextGrader) else lambda task: str(task["answer"])
        self.remarks = tuple(
            remarks_on(rows, texts, self._columns, grader=grader, reading=reading if self._grader else None)
        )
        self._division = divide(
            [(text, task, self._split_of(text, task)) for text, (_, task) in zip(texts, rows, strict=True)],
            aside=lambda task: {**task, "split": "validation"},
        )
        self.remarks += self._division.remarks

    def _checked(self, task: Task | str, place: str = "a task") -> Task:
        checked = check_row(place, task, self._columns, turns=self._has_turns, choosing=self._chooses())
        if self._grader:
            expected = self._columns.expected(place, checked)
            try:
                self._grader.check({**checked, "prompt": self._text(checked), "answer": expected})
            except UserError as problem:
                inner = [f"{self._columns.answer}.{key}" for key in expected] if isinstance(expected, Mapping) else []
                within = f"; what is in it is named by a dot: answer: {' or '.join(inner[:5])}" if inner else ""
                raise UserError(f"{place}: {problem}{within}") from problem
        return checked

    def _chooses(self) -> bool:
        return isinstance(self._grader, TextGrader) and self._grader.name == "choice"

    def _split_of(self, text: str, task: Task) -> Split:
        split = task.get("split")
        return split_of(text, _ONE_IN) if split is None else split


def _own(task: Task) -> Task:
    """A copy, so that a reward function or a tool that changes its task changes no other episode's; the task itself,
    where it holds what cannot be copied.
    """
    try:
        return copy.deepcopy(task)
    except Exception:  # of a stranger's object
        return task


def _check_one_judges(**judges: object) -> None:
    given = [name for name, judge in judges.items() if judge is not None]
    if not given:
        raise UserError(
            f"nobody says what a reply is worth: give a grader ({', '.join(GRADERS)}), or a function, reward or "
            "group_reward: module:function"
        )
    if len(given) > 1:
        raise UserError(f"{' and '.join(given)} are given, and one of them judges, not both; leave one out")


def _function(reward: RewardFunction | GroupReward | str | None, *, of_groups: bool) -> RewardFunction:
    key, given = ("group_reward", "replies") if of_groups else ("reward", "reply")
    if isinstance(reward, str) and ":" not in reward:
        raise UserError(f"{key} is {reward!r}; a function is named module:function, as in my_rewards:{reward}")
    found = load_attribute(reward) if isinstance(reward, str) else reward
    if not callable(found):
        raise UserError(
            f"{key} is {reward!r:.80}; allowed are a function of ({given}, task) and its name, module:function"
        )
    check_call(f"the reward function {_name(reward)!r}", found, given, "task", awaited=True)
    return cast("RewardFunction", found)


def _name(function: object) -> str:
    """What a function is called in messages; an object that is called, by its class."""
    return function if isinstance(function, str) else getattr(function, "__name__", type(function).__name__)
