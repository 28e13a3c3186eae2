"""Does a world keep the contract? `peripatos check ID` runs these checks on any world, ours or not.

Each check plays the world and either returns (passed, perhaps with a remark) or raises (failed). A world that
raises inside a check has failed that check; the others still run. Findings are data: nothing is printed here.

Left out: rendering, which needs a display and is the recorder's business.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env

from .check_play import (
    STEPS,
    Broken,
    Env,
    Untested,
    absurd_texts,
    identical,
    is_unscored,
    not_counted,
    play,
    require,
    seen_amiss,
    unscored_as_zero,
)
from .check_process import leaves_the_process, talk_ends
from .contained import Contained, is_ours
from .control.batch_check import checks_of_many
from .control.learnable import unlearnable
from .control.symmetry_check import keeps_symmetry
from .conversation.conversation_env import SPLITS, ConversationEnv
from .errors import NeverEnds, UnsupportedWorld, UserError
from .registry import WorldKind, give_voices, make_world, world_kind
from .reported import BadReport, begin, foreign, metric, number
from .time_limits import ending
from .user_code import described
from .vocabulary import Reply, ToolCall, WorldFailure

Test = Callable[[Env], str]  # a remark; raises where the world breaks the contract

_SEEDS = range(8)
_SPLIT_SAMPLE = 300  # tasks drawn from each split
_SPLIT_FEW, _SPLIT_SECONDS = 20, 5.0  # so many at least, and more for so long
_SLOW = 5.0  # seconds that one absurd action may take
_TOLERANCE = 1e-9  # of sums
_HUGE = 1e6  # a reward that deserves a remark
_ROLES = ("system", "user", "assistant", "tool")
_INFO_KEYS = ("messages", "task", "reward_terms", "success", "metrics")  # what has to be reproduced, besides numbers


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    check: str
    passed: bool
    detail: str = ""
    tested: bool = True  # false: nothing speaks against the world, and nothing for it


def check_world(world: str | Env, **options: Any) -> list[Finding]:
    """Every check on a world, given by name (with its options) or as an object, which is closed at the end.

    Raises:
        UserError: there is no world of that name, it has no such option, or it cannot be made.
    """
    if isinstance(world, str):
        world = make_world(world, **options)
    give_voices(world)
    try:
        kind = world_kind(world)
    except UnsupportedWorld as error:
        world.close()
        return [Finding("its spaces are supported", False, str(error))]
    return [_found(name, test, world) for name, test in (_tests(kind) | checks_of_many(world)).items()]


def _tests(kind: WorldKind) -> dict[str, Test]:
    common: dict[str, Test] = {
        "the process stays as it was": leaves_the_process,
        "gymnasium's own check_env": _gymnasium,
        "a seed reproduces an episode bit for bit": _reproduces,
        "different seeds give different episodes": _seeds_differ,
        "observations are in the declared space": _observations,
        "rewards are finite, flags are bools": _rewards_and_flags,
        "reward terms sum to the reward": _terms_sum,
        "info has the documented keys and types": _info,
    }
    if kind == "conversation":
        common |= {
            "any text gets a reward": _any_text,
            "what is no reply is refused, and the episode goes on": _no_reply,
            "stepping after the end asks for a reset": _after_the_end,
            "the oracle succeeds": _oracle,
            "an episode ends": talk_ends,
            "train and test tasks are disjoint": _splits,
        }
    else:
        common["there is something to see and to decide"] = _learnable
        common["absurd actions do not kill the world"] = _absurd_actions
        common["an episode ends"] = ending
        common["a declared symmetry is kept"] = keeps_symmetry
    return {**common, "ending and closing twice is harmless": _close_twice}


def _found(name: str, test: Test, world: Env) -> Finding:
    try:
        with Contained(type(world.unwrapped).__name__):
            remark = test(world)
            return Finding(name, True, remark, not isinstance(remark, Untested))
    except BaseException as error:  # whatever a stranger's world raises is what we came to learn
        if is_ours(error) and not isinstance(error, NeverEnds):
            raise
        return Finding(name, False, _described(error))


def _described(error: BaseException) -> str:
    """The message; for an error that is not a check's own verdict, also where it was raised."""
    if isinstance(error, Broken | UserError | WorldFailure):
        return str(error)
    words, *lines = described(error).splitlines()
    return f"{words} ({lines[-1].strip()})" if lines else words


def _gymnasium(world: Env) -> str:
    with warnings.catch_warnings(record=True) as caught, unscored_as_zero(world):
        warnings.simplefilter("always")
        check_env(world.unwrapped, skip_render_check=True)
    remarks = [str(warning.message).replace("\x1b[33m", "").replace("\x1b[0m", "") for warning in caught]
    spec_missing = "Not able to test alternative render modes"
    return " ".join(remark for remark in remarks if spec_missing not in remark)


def _reproduces(world: Env) -> str:
    for seed in (0, 1):
        once, again = (play(world, seed, action_seed=seed) for _ in range(2))
        require(identical(once[0], again[0]), f"seed {seed}: two resets gave different first observations")
        require(_same_info(once[1], again[1]), f"seed {seed}: two resets gave different info")
        require(len(once[2]) == len(again[2]), f"seed {seed}: {len(once[2])} steps, then {len(again[2])}")
        for count, (one, two) in enumerate(zip(once[2], again[2], strict=True), start=1):
            same = (
                identical(one.observation, two.observation)
                and identical(one.reward, two.reward)
                and (one.terminated, one.truncated) == (two.terminated, two.truncated)
                and _same_info(one.info, two.info)
            )
            require(same, f"seed {seed}: step {count} differs when the same actions are taken again")
    return ""


def _same_info(one: Mapping[str, Any], two: Mapping[str, Any]) -> bool:
    """Undocumented keys may hold anything, such as times."""
    return all(identical(one.get(key), two.get(key)) for key in _INFO_KEYS)


def _seeds_differ(world: Env) -> str:
    episodes = [play(world, seed) for seed in _SEEDS]
    first = episodes[0]
    for other in episodes[1:]:
        if not identical(first[0], other[0]) or len(first[2]) != len(other[2]):
            return ""
        if not all(identical(a.observation, b.observation) for a, b in zip(first[2], other[2], strict=True)):
            return ""
    if isinstance(world.unwrapped, ConversationEnv):
        if len({episode[1].get("task") for episode in episodes}) > 1:
            return "seen only in the names of tasks"
        said = {_by_the_oracle(world, seed) for seed in _SEEDS}
        require(len(said) > 1 or said == {""}, "every seed gave the same episode, and the oracle the same replies")
        nobody = "random replies saw no difference, and there is no oracle to ask"
        return nobody if said == {""} else "seen only with the oracle's replies"
    return (
        f"{len(_SEEDS)} seeds gave one and the same episode: right for a world without chance; "
        "else draw all of it from self.np_random"
    )


def _by_the_oracle(world: Env, seed: int) -> str:
    """What an expert says in an episode, and hears: what differs between episodes may be hidden from the agent. Empty
    where there is no expert."""
    base, heard = world.unwrapped, []
    assert isinstance(base, ConversationEnv)
    begin(world, seed)
    while len(heard) < STEPS and (reply := base.oracle()) is not None:
        text, reward, terminated, truncated, _ = world.step(reply)
        heard.append((reply, text, reward))
        if terminated or truncated:
            break
    return repr(heard) if heard else ""


def _observations(world: Env) -> str:
    for seed in _SEEDS[:3]:
        first, _, steps = play(world, seed)
        for count, observation in enumerate([first, *(step.observation for step in steps)]):
            amiss = seen_amiss(world, observation)
            require(amiss is None, f"seed {seed}, after {count} steps: {amiss}")
    return ""


def _rewards_and_flags(world: Env) -> str:
    both, largest, scored, why = False, 0.0, 0, ""
    for seed in _SEEDS[:3]:
        for at, step in enumerate(play(world, seed)[2], start=1):
            try:
                if is_unscored(world, step.reward, step.info):
                    why = str(step.info["unscored"])
                    continue
                scored, largest = scored + 1, max(largest, abs(number(step.reward, "the reward")))
            except BadReport as problem:
                raise Broken(f"seed {seed}, step {at}: {problem}") from problem
            for name, given in (("terminated", step.terminated), ("truncated", step.truncated)):
                require(isinstance(given, bool | np.bool_), f"seed {seed}, step {at}: {name} is {given!r}, not a bool")
            both = both or bool(step.terminated and step.truncated)
    remarks = [f"a reward of {largest:g} makes all others small"] if largest > _HUGE else []
    if why and not scored:
        return Untested(f"no episode of random replies has a reward: {why}")
    remarks += [f"some episodes have no reward: {why}"] if why else []
    return "; ".join(remarks + (["a step that is both terminated and truncated counts as terminated"] if both else []))


def _terms_sum(world: Env) -> str:
    reported = False
    for seed in _SEEDS[:3]:
        for at, step in enumerate(play(world, seed)[2], start=1):
            given = step.info.get("reward_terms")
            if given is None:
                continue
            reported = True
            if is_unscored(world, step.reward, step.info):
                continue
            require(isinstance(given, Mapping), f'seed {seed}, step {at}: info["reward_terms"] is no mapping')
            total = math.fsum(number(value, f"the reward term {name!r}") for name, value in given.items())
            close = abs(total - number(step.reward, "the reward")) <= _TOLERANCE * max(1.0, abs(total))
            require(close, f"seed {seed}, step {at}: terms sum to {total}, the reward is {step.reward}")
    require(reported or world_kind(world) == "control", 'no step reported info["reward_terms"]')
    return "" if reported else "this world reports no terms"


def _info(world: Env) -> str:
    talks = world_kind(world) == "conversation"
    _, opening, steps = play(world, 0)
    if talks:
        _require_messages(opening, "reset")
        require(isinstance(opening.get("tools"), list), 'reset: info["tools"] is not a list')
        require(bool(opening.get("task")) and isinstance(opening["task"], str), 'reset: info["task"] names no task')
    for count, step in enumerate(steps, start=1):
        at = f"step {count}"
        if talks:
            _require_messages(step.info, at)
        if not talks and (left_out := foreign(step.info, number(step.reward, "the reward"), wrapped=True).left_out):
            raise Broken(f"{at}: {left_out}")
        success = step.info.get("success")
        require(success is None or isinstance(success, bool | np.bool_), f"{at}: success is {success!r}")
        for key in ("reward_terms", "metrics"):
            numbers = step.info.get(key, {})
            require(isinstance(numbers, dict), f'{at}: info["{key}"] is no dict')
            for name, value in numbers.items():
                named = isinstance(name, str) and isinstance(value, int | float | np.number)
                require(named, f'{at}: info["{key}"] has {name!r}: {value!r}, not a name and a number')
    return "" if talks else not_counted(steps)


def _require_messages(info: Mapping[str, Any], at: str) -> None:
    messages = info.get("messages")
    require(isinstance(messages, list), f'{at}: info["messages"] is no list')
    for message in messages or ():
        fit = isinstance(message, dict) and message.get("role") in _ROLES
        require(fit and isinstance(message.get("content"), str), f"{at}: {message!r:.80} is no chat message")


def _any_text(world: Env) -> str:
    replies: dict[str, Reply | str] = dict(absurd_texts())
    replies["a call of a tool that is not there"] = Reply("", tool_calls=(ToolCall("no such tool", {"x": [None]}),))
    replies["a malformed tool call"] = Reply("{", parse_error="the call is not JSON")
    for name, reply in replies.items():
        begin(world, 0)
        begun = time.perf_counter()
        try:
            _, reward, _, _, info = world.step(reply)
        except (Exception, SystemExit) as error:
            raise Broken(f"{name}: the world failed: {_described(error)}") from error
        seconds = time.perf_counter() - begun
        require(math.isfinite(reward) or is_unscored(world, reward, info), f"{name}: the reward is {reward}")
        require(seconds < _SLOW, f"{name}: the reply took {seconds:.1f} s")
    return f"{len(replies)} absurd replies"


def _no_reply(world: Env) -> str:
    begin(world, 0)
    for action in (None, 7, b"bytes", ["list"], {"text": "dict"}, np.zeros(3)):
        try:
            world.step(action)
        except TypeError:
            continue
        raise Broken(f"step({action!r}) was accepted; a TypeError was due")
    world.step("the episode goes on")
    return ""


def _after_the_end(world: Env) -> str:
    steps = play(world, 0)[2]
    if not steps or not (steps[-1].terminated or steps[-1].truncated):
        return f"no episode ended within {STEPS} turns"
    try:
        world.step("one more")
    except ResetNeeded:
        return ""
    raise Broken("step() after the end was accepted; gymnasium.error.ResetNeeded was due")


def _oracle(world: Env) -> str:
    base = world.unwrapped
    assert isinstance(base, ConversationEnv)
    for split in SPLITS:
        for seed in _SEEDS:
            world.reset(seed=seed, options={"split": split})
            for _ in range(STEPS):
                reply = base.oracle()
                if reply is None:
                    return "this world has no oracle"
                _, reward, terminated, truncated, info = world.step(reply)
                if terminated or truncated:
                    shown = f"{split} seed {seed}: the oracle's last reply {reply!r:.80} got reward {reward}"
                    done = terminated and info["success"] is None  # at a limit, saying nothing is no success
                    require(done or bool(info["success"]), f"{shown} and no success")
                    break
            else:
                raise Broken(f"{split} seed {seed}: the oracle did not come to an end in {STEPS} turns")
    return ""


def _splits(world: Env) -> str:
    seen: dict[str, set[str]] = {split: set() for split in SPLITS}
    until = time.monotonic() + _SPLIT_SECONDS
    for seed in range(_SPLIT_SAMPLE):
        if seed >= _SPLIT_FEW and time.monotonic() > until:
            break
        for split, tasks in seen.items():
            tasks.add(world.reset(seed=seed, options={"split": split})[1]["task"])
    if len(seen["train"] | seen["test"]) == 1:
        return "every episode names the same task, so that the splits cannot be told apart"
    both = sorted((seen["train"] | seen["validation"]) & seen["test"])
    require(not both, f"{len(both)} test tasks are in another split too, such as {both[:1]!r:.120}")
    return f"{len(seen['train'])} train and {len(seen['test'])} test tasks drawn"


def _learnable(world: Env) -> str:
    why = unlearnable(world.observation_space, world.action_space)
    require(why is None, str(why))
    return ""


def _absurd_actions(world: Env) -> str:
    space = world.action_space
    absurd: dict[str, object] = {"None": None, "text": "left", "a wrong shape": np.zeros((3, 1, 5), np.float32)}
    if isinstance(space, gymnasium.spaces.Box):
        for name, value in (("NaN", np.nan), ("infinity", np.inf), ("1e30", 1e30)):
            absurd[name] = np.full(space.shape, value, space.dtype)
    elif isinstance(space, gymnasium.spaces.Discrete):
        absurd |= {"too large": int(space.start + space.n), "too small": int(space.start) - 1, "NaN": math.nan}
    accepted, unscored, silent = [], [], []
    for name, action in absurd.items():
        begin(world, 0)
        begun = time.perf_counter()
        try:
            _, reward, *_ = world.step(action)
            (accepted if math.isfinite(metric(reward, "the reward")) else unscored).append(name)
        except Exception as error:
            silent += [] if str(error) else [f"{name} ({type(error).__name__})"]
        seconds = time.perf_counter() - begun
        require(seconds < _SLOW, f"{name}: the step took {seconds:.1f} s")
        alive = all(math.isfinite(metric(step.reward, "the reward")) for step in play(world, 0)[2])
        require(alive, f"after {name}, the next episode has rewards that are not finite")
    remarks = [f"accepted: {', '.join(accepted)}"] if accepted else []
    remarks += [f"rewarded with NaN or infinity: {', '.join(unscored)}"] if unscored else []
    remarks += [f"refused without a word: {', '.join(silent)}"] if silent else []
    return "; ".join(remarks)


def _close_twice(world: Env) -> str:
    begin(world, 0)
    if isinstance(world.unwrapped, ConversationEnv):
        world.unwrapped.end()  # in the middle of an episode
        world.unwrapped.end()
    world.close()
    world.close()
    return ""
