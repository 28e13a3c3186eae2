"""What a set of episodes says: means with 95 % intervals, and the rows of the two logs.

    success rate   Wilson's interval (Wilson 1927) at the effective number of episodes, right for shares near 0 and 1
    return         mean ± t(n − 1) · error

Episodes of one task are not independent: `error` is the standard error of the mean over n tasks (`task_error`), which
is s/√n where each is played once. A task may be drawn k times (`evaluate --k`), an evaluation may have more episodes
than a list has tasks, and one ranking has many pairs. p (1 − p)/error² independent episodes would tell as much about a
share p (Kish 1965): at least n, at most all. Coverage of a success rate by simulation at 10, 20 and 50 tasks × 1, 4
and 16: 93 % or more, of tasks that are all alike as of ones that are nearly always or nearly never solved.

Episodes that failed or were never answered have no reward. They are counted, and left out of every mean.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence

import numpy as np

from ...envs.errors import UserError, nearest
from ...envs.vocabulary import Episode, StopReason
from ..config.schema import Stop, read_goal

Numbers = dict[str, float | int | None]
NO_LISTS: Mapping[str, int | None] = {}
NO_SUCCESS = (
    "pass@k counts successes, and this world says nothing about success; of a world of tasks, `success_at` in its "
    "options says from which reward on a reply is one, and a reward that is true or false says it itself"
)
_COLUMNS = (
    *("success_rate", "success_low", "success_high", "return_mean", "return_low", "return_high"),
    *("turns_mean", "units_mean", "episodes", "truncated", "failed", "unanswered", "unscored"),
)  # of `summarize`, besides the means of what worlds measure
_MEANT = {  # what others call them
    "return_mean": [
        "return",
        "returns",
        "ret",
        "reward",
        "rewards",
        "reward_mean",
        "mean_return",
        "mean_reward",
        "score",
        "scores",
    ],
    "success_rate": [
        "success",
        "successes",
        "success_mean",
        "accuracy",
        "acc",
        "solved",
        "solve_rate",
        "pass_rate",
        "win_rate",
    ],
    "turns_mean": ["turn", "turns", "mean_turns"],
    "units_mean": ["unit", "units", "steps", "length", "lengths", "episode_length", "tokens", "mean_length"],
}


def summarize(
    episodes: Sequence[Episode], lists: Mapping[str, int | None] = NO_LISTS, *, tells: bool = False
) -> Numbers:
    """Counts, means and 95 % intervals. `success_rate` only where the world has said something about success: the share
    of all scored episodes that succeeded, so that one which was cut before, or of which nothing was said, counts as one
    that did not, and a tie of two scores as half of one. What the world measures has names of its own,
    `world/NAME_mean`. `left_out` counts the episodes in which a world by somebody else reported what has no form of
    ours; `tasks` counts them where some were played more than once.

    Args:
        lists: how many tasks each world has, by its name, and None where they have no end, see `task_of`.
        tells: whether the world has said something about success before.
    """
    scored = [episode for episode in episodes if episode.reward is not None]
    tasks = [task_of(episode, lists) for episode in scored]
    result: Numbers = {"episodes": len(episodes), **_unscored(episodes)}
    different = len({task_of(episode, lists) for episode in episodes})
    if different < len(episodes):
        result["tasks"] = different
    if left_out := sum(episode.left_out is not None for episode in episodes):
        result["left_out"] = left_out
    result["truncated"] = sum(episode.truncated for episode in scored)
    rate = _success_rate(scored, tells=tells)
    if rate is not None:
        low, high = share_interval([float(episode.success or 0) for episode in scored], tasks)
        result |= {"success_rate": rate, "success_low": low, "success_high": high}
    returns = [episode.reward for episode in scored if episode.reward is not None]
    low, high = mean_interval(returns, tasks)
    result |= {"return_mean": _mean(returns), "return_low": low, "return_high": high}
    result |= {"turns_mean": _mean([e.turns for e in scored]), "units_mean": _mean([e.units for e in scored])}
    for name in sorted({name for episode in scored for name in episode.metrics}):
        result[f"world/{name}_mean"] = _mean([e.metrics[name] for e in scored if _is_known(e.metrics.get(name))])
    return result


def pass_rates(
    episodes: Sequence[Episode], k: int, lists: Mapping[str, int | None] = NO_LISTS, *, tells: bool = False
) -> Numbers:
    """pass@1, pass@2, pass@4 … and pass@k, with 95 % intervals over tasks (`pass@k_low`, `pass@k_high`): the mean over
    tasks of the unbiased estimate from all of a task's scored episodes. Tasks with fewer than k of these are left out;
    `pass_tasks` counts the others. UserError where the world says nothing about success, and never has (`tells`).
    """
    tasks: dict[Hashable, list[bool]] = {}
    for episode in episodes:
        if episode.reward is not None:
            tasks.setdefault(task_of(episode, lists), []).append(episode.success is True)
    if not tells and all(episode.success is None for episode in episodes):
        raise UserError(NO_SUCCESS)
    whole = [successes for successes in tasks.values() if len(successes) >= k]
    from ...algorithms.metrics import pass_at_k  # brings torch, which is not where a file is played

    sizes = sorted({*(2**power for power in range(k.bit_length()) if 2**power < k), k})
    result: Numbers = {"pass_tasks": len(whole)}
    for size in sizes:
        rates = [pass_at_k(len(one), sum(one), size) for one in whole]
        result[f"pass@{size}"] = _mean(rates)
        if rates:
            most = sum(len(one) // size for one in whole)  # draws of `size` that share no episode
            low, high = share_interval(rates, range(len(rates)), most)
            result |= {f"pass@{size}_low": low, f"pass@{size}_high": high}
    return result


def score(result: Mapping[str, float | int | None], told: Collection[str] = ()) -> float | None:
    """What "best" means: the success rate where there is one, else the mean return.

    Of worlds that have `told` of success in other evaluations (by `told_in`), one in which none of their episodes tells
    is one without success: a return never stands among success rates.
    """
    if not told:
        return result.get("success_rate", result.get("return_mean"))
    there = told_in(result)
    if not there and result.get("return_mean") is None:
        return None
    # every world is measured by as many tasks, so that those which tell elsewhere alone share in the rate as zeros
    return (result.get("success_rate") or 0.0) * len(there) / len({*there, *told})


def told_in(result: Mapping[str, float | int | None]) -> set[str]:
    """The worlds that have told of success in an evaluation; the only one of a scenario is called ""."""
    named = {key.rpartition("/")[0] for key in result if key.rpartition("/")[2] == "success_rate"}
    return named - {""} or named


def rank(result: Mapping[str, float | int | None], told: Collection[str] = ()) -> list[float] | None:
    """The order of "best": by the success rate, 0 where nobody tells of success, and among equal ones by the mean
    return; None where nothing was scored."""
    value, mean = score(result, told or told_in(result) or ("",)), result.get("return_mean")
    return None if value is None or mean is None else [float(value), float(mean)]


def check_goals(stop: Stop, worlds: Sequence[str]) -> None:
    """UserError for a goal that no evaluation has, of all or of one of several `worlds` (`WORLD/…`). Which
    `world/NAME_mean` there are, only the evaluations of a world say.
    """
    known = [*_COLUMNS, *(f"{world}/{column}" for world in worlds for column in _COLUMNS)]
    for name in stop:
        measured = name.endswith("_mean") and _without_world(name, worlds).startswith("world/")
        if name not in known and not measured:
            words = f"evaluations have {', '.join(_COLUMNS)}, and world/NAME_mean of what the world measures"
            raise UserError(f"stop.{name}: {words}.{_goal_meant(name, known)}")


def _goal_meant(name: str, known: Sequence[str]) -> str:
    """The number of evaluations that a name will have meant: of a return its mean, and not a bound of its interval."""
    world, slash, column = name.rpartition("/")
    meant = f"{world}{slash}{next((ours for ours, words in _MEANT.items() if column.lower() in words), '')}"
    if meant in known:
        return f" Did you mean {meant!r}?"
    return nearest(name, [one for one in known if not one.endswith(("_low", "_high"))]) or nearest(name, known, 0.8)


def _without_world(name: str, worlds: Sequence[str]) -> str:
    first, slash, rest = name.partition("/")
    return rest if slash and first in worlds else name


def reached(result: Mapping[str, float | int | None], stop: Stop, *, checked: bool = False) -> str | None:
    """A stage's goals in words, once an evaluation reaches all of them. `UserError` for a goal that it lacks, unless
    goals were `checked` before; success is not lacking while every episode was cut before the world could say it.
    """
    for name in stop:
        if name not in result and not checked and not (name.endswith("success_rate") and _all_cut(result)):
            known = [n for n in result if n.endswith(("success_rate", "_mean"))]
            raise UserError(f"stop.{name}: evaluations of this world have {', '.join(known)}.{nearest(name, known)}")
    words = []
    for name, goal in stop.items():
        sign, wanted = read_goal(goal)
        seen = result.get(name)
        if seen is None or (seen < wanted if sign == "≥" else seen > wanted):
            return None
        words.append(f"{name} {seen:.4g} {sign} {wanted:g}")
    return ", ".join(words) or None


def _all_cut(result: Mapping[str, float | int | None]) -> bool:
    """Whether no scored episode came to its own end."""
    scored = (result.get("episodes") or 0) - sum(result.get(name) or 0 for name in ("failed", "unanswered", "unscored"))
    return result.get("truncated") == scored


def task_of(episode: Episode, lists: Mapping[str, int | None] = NO_LISTS) -> Hashable:
    """Equal for episodes that start alike. Of a world with a list of tasks, group g of the world's own plays the task
    in place g modulo their number (`ConversationEnv.pick`).

    Args:
        lists: how many tasks of the split each world has, by its name; None where they have no end. All worlds of the
            evaluation, for they share the group numbers (`agents.mixture`); empty where nobody knows.
    """
    there = lists.get(episode.world)
    if there:
        return episode.world, episode.group // len(lists) % there
    return episode.world, episode.group, episode.seed


def share_interval(
    successes: Sequence[float], tasks: Sequence[Hashable], most: float | None = None
) -> tuple[float, float]:
    """The 95 % interval of a share, from successes (or shares, each in [0, 1]) of `tasks`: Wilson's, see above.

    Args:
        most: independent draws that there may be at most; default: one for each of `successes`.
    """
    rate, different = float(np.mean(successes)), len(set(tasks))
    error = task_error(successes, tasks) if different > 1 else math.inf
    most = len(successes) if most is None else most
    alike = rate in (0.0, 1.0)  # no spread to go by, and no claim that draws of one task are independent
    effective = different if alike else rate * (1 - rate) / error**2 if error else most
    trials = min(max(effective, different), most)
    return wilson(rate * trials, trials)


def wilson(successes: float, trials: float) -> tuple[float, float]:
    """The 95 % interval of a share of independent trials, of which an effective number need not be whole."""
    from scipy.special import ndtri  # without the half second that scipy.stats takes to import

    z, rate = float(ndtri(0.975)), successes / trials
    center, scale = rate + z**2 / (2 * trials), 1 + z**2 / trials
    width = z * math.sqrt(rate * (1 - rate) / trials + z**2 / (4 * trials**2))
    return max(0.0, (center - width) / scale), min(1.0, (center + width) / scale)


def mean_interval(
    values: Sequence[float], tasks: Sequence[Hashable] | None = None
) -> tuple[float | None, float | None]:
    """The 95 % interval of a mean under Student's t; None where fewer than two tasks stand. Without `tasks` each value
    is of its own."""
    tasks = range(len(values)) if tasks is None else tasks
    different = len(set(tasks))
    if different < 2:
        return None, None
    from scipy.special import stdtrit  # as `ndtri`

    center, width = float(np.mean(values)), float(stdtrit(different - 1, 0.975)) * task_error(values, tasks)
    return center - width, center + width


def task_error(values: Sequence[float], tasks: Sequence[Hashable]) -> float:
    """The standard error of the mean of N `values` of n ≥ 2 `tasks`, of which those of one task hang together:

    √( n/(n − 1) · Σ_task (Σ (value − mean))² ) / N        (Liang and Zeger 1986)
    """
    apart: dict[Hashable, float] = {}
    center = float(np.mean(values))
    for value, task in zip(values, tasks, strict=True):
        apart[task] = apart.get(task, 0.0) + value - center
    return math.sqrt(len(apart) / (len(apart) - 1) * sum(x**2 for x in apart.values())) / len(values)


def describe_collection(episodes: Sequence[Episode], *, running: int = 0, tells: bool = False) -> dict[str, float]:
    """The part of a metrics row that comes from the episodes which ended in this collection.

    Where `running` episodes go on into the next one, the short ones have ended first: the first means are theirs, and
    only an evaluation says how good the policy is.
    """
    scored = [episode for episode in episodes if episode.reward is not None]
    row = {"episodes/finished": float(len(episodes)), "episodes/running": float(running)}
    row |= {f"episodes/{name}": float(count) for name, count in _unscored(episodes).items()}
    if left_out := sum(episode.left_out is not None for episode in episodes):
        row["episodes/left_out"] = float(left_out)
    if not scored:
        return row
    returns = [episode.reward for episode in scored if episode.reward is not None]
    row |= {"reward/mean": float(np.mean(returns)), "reward/std": float(np.std(returns))}
    row |= _term_means("term", [episode.reward_terms for episode in scored])
    row |= _term_means("world", [episode.metrics for episode in scored])
    row["episodes/turns"] = float(np.mean([episode.turns for episode in scored]))
    row["episodes/units"] = float(np.mean([episode.units for episode in scored]))
    spoken = [episode for episode in scored if episode.tokens]
    if spoken:
        row["episodes/cut"] = float(np.mean([episode.stop_reason == StopReason.LENGTH for episode in spoken]))
        row["episodes/silent"] = float(np.mean([_is_silent(episode) for episode in spoken]))
        row["episodes/malformed"] = float(np.mean([_is_malformed(episode) for episode in spoken]))
    row |= _flat_share(scored)
    rate = _success_rate(scored, tells=tells)
    if rate is not None:
        row["success/rate"] = rate
    return row


def _is_silent(episode: Episode) -> bool:
    """Whether every reply was the stop token alone."""
    return episode.stop_reason == StopReason.STOP and episode.units == episode.turns


def _is_malformed(episode: Episode) -> bool:
    """Whether the agent has written a tool call that nobody could read."""
    return any("parse_error" in message for message in episode.messages)


def _flat_share(scored: Sequence[Episode]) -> dict[str, float]:
    """Of the groups with more than one scored episode, the share in which all earned exactly the same. Episodes that
    follow one another in one row have one group number too, but did not begin alike."""
    groups: dict[tuple[str, int, int], list[float | None]] = {}
    for episode in scored:
        groups.setdefault((episode.world, episode.group, episode.seed), []).append(episode.reward)
    compared = [rewards for rewards in groups.values() if len(rewards) > 1]
    return {"groups/flat": float(np.mean([len(set(rewards)) == 1 for rewards in compared]))} if compared else {}


def _unscored(episodes: Sequence[Episode]) -> dict[str, int]:
    """How many have no reward, by the reason."""
    unanswered = sum(episode.unanswered is not None for episode in episodes)
    unscored = sum(episode.unscored is not None for episode in episodes)
    failed = sum(episode.reward is None for episode in episodes) - unanswered - unscored
    return {"failed": failed, "unanswered": unanswered, "unscored": unscored}


def _success_rate(scored: Sequence[Episode], *, tells: bool) -> float | None:
    """The share of all `scored` episodes that succeeded; None where there are none, and where the world has said
    nothing about any of them, unless it `tells` of success otherwise."""
    if not scored or (not tells and all(episode.success is None for episode in scored)):
        return None
    return sum(float(episode.success or 0) for episode in scored) / len(scored)


def _term_means(group: str, terms: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = sorted({name for row in terms for name in row if _is_known(row[name])})
    known = {name: [row[name] for row in terms if _is_known(row.get(name))] for name in names}
    return {f"{group}/{name}": float(np.mean(values)) for name, values in known.items()}


def _is_known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _mean(values: Iterable[float]) -> float | None:
    known = list(values)
    return float(np.mean(known)) if known else None


def spell_evaluation(result: Numbers) -> str:
    """`success 97.2 % [95.4, 98.3], return 0.97 [0.96, 0.98], 500 episodes`; `10 tasks × 16` where each has so many"""
    parts = []
    if result.get("success_rate") is not None:
        parts.append(f"success {_spell_share(result, 'success_rate', 'success')}")
    if result.get("return_mean") is not None:
        text = f"return {result['return_mean']:.4g}"
        if result.get("return_low") is not None:
            text += f" [{result['return_low']:.4g}, {result['return_high']:.4g}]"
        parts.append(text)
    rates = [name for name in result if name.startswith("pass@") and not name.endswith(("_low", "_high"))]
    parts += [f"{name} {_spell_share(result, name, name)}" for name in rates if result[name] is not None]
    words = {"failed": "failed", "unanswered": "never answered: prompt too long", "unscored": "not scored"}
    unscored = "; ".join(f"{result[name]} {word}" for name, word in words.items() if result.get(name))
    return ", ".join([*parts, f"{_spell_count(result)}{f' ({unscored})' if unscored else ''}"])


def _spell_share(result: Numbers, rate: str, bounds: str) -> str:
    share, low, high = (100 * float(result[key] or 0) for key in (rate, f"{bounds}_low", f"{bounds}_high"))
    return f"{share:.1f} % [{low:.1f}, {high:.1f}]"


def _spell_count(result: Numbers) -> str:
    episodes, tasks = result["episodes"] or 0, result.get("tasks")
    if not tasks:
        return f"{episodes} episodes"
    return f"{episodes} episodes of {tasks} tasks" if episodes % tasks else f"{tasks} tasks × {episodes // tasks}"
