"""Grades the kept episodes of a run anew, without sampling: by the reward as it is now, or by another grader.

    peripatos rescore runs/maths-0                              the world's reward, as this version of it says
    peripatos rescore runs/maths-0 --grader maths               a world of tasks, by the grader for mathematics
    peripatos rescore runs/maths-0 --grader my_world:score      the same, by a function of (reply, task)

Each episode is replayed: the world is reset as it was, and given the stored replies. What it says has to be what it
said then, word for word, or the episode is left out: another version of a *task* is no version of a reward. Worlds
that wait for tools, servers or voices are refused, for what they do would be done again.

Each number stands with the version that gave it (`Episode.scored_by`), and numbers of two versions never stand in one
table, see `run/rescored.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..agents.language.asking import Answer, Start, step_world
from ..envs.conversation.conversation_env import ConversationEnv
from ..envs.conversation.graders import GRADERS
from ..envs.errors import UserError
from ..envs.registry import make_world
from ..envs.seeding import derive_seed
from ..envs.vocabulary import Episode, Reply, StopReason, ToolCall
from .commands.app import command_line
from .config.loading import apply_sets, check_scenario, dump_data
from .config.schema import Sampling, Scenario
from .config.yaml_text import Source
from .report.transcript import replies
from .run.episode_statistics import Numbers, summarize
from .run.kept_episodes import kept_files, notice_damage, read_episodes
from .run.provenance import where_it_was_begun
from .run.rescored import Rescored, write_rescored
from .run.reward_versions import NOT_NOTED, one_version
from .run.run_directory import RunDirectory
from .run.verified import trusted_scenario

_WHO_GRADES = ("reward", "grader", "group_reward")  # options of which a world of tasks has one


@dataclass(frozen=True)
class FileRescored:
    """One file of kept episodes, and what two versions say about those that could be replayed."""

    update: int
    split: str
    versions: tuple[str, str]  # that of the run and that of now
    before: Numbers
    after: Numbers
    changed: int  # episodes with another reward or success
    left_out: Mapping[str, int]  # how many could not be replayed, by the reason
    folder: Path | None  # where the new numbers are; None: the version is the same, and so should they be


def rescore(
    path: Path, *, grader: str | None = None, sets: Sequence[str] = (), update: int | None = None
) -> list[FileRescored]:
    """Grade every kept episode of the run at `path` anew (those kept after `update`, where one is given).

    `grader` is one of `GRADERS` or `module:function`, `sets` are `--set world.options.…` flags. UserError for a run
    without kept episodes, a world that cannot be replayed, and a grader that the world does not take.
    """
    run = RunDirectory.open(path)
    scenario = _with_grader(run, grader, sets)
    files = {key: file for key, file in kept_files(run.episodes).items() if update in (None, key[0])}
    if not files and (known := sorted({number for number, _ in kept_files(run.episodes)})):
        after = ", ".join(map(str, known))
        raise UserError(f"--update {update}: no episodes were kept after it; they were after the updates {after}")
    if not files:
        raise UserError(f"{path} has kept no episodes; log.episodes of a scenario says how many are kept")
    with where_it_was_begun(run):
        try:
            world = make_world(scenario.world.id, **scenario.world.options)
        except UserError as problem:
            flags = " ".join(f"--set {text}" for text in sets) or (grader and f"--grader {grader}")
            if not flags:
                raise
            raise UserError(f"{flags}: {problem}") from problem
    try:
        base = _replayable(world.unwrapped, scenario)
        again = _Again(base, scenario, other_grader=grader is not None, sets=sets)
        with run.held(command_line()):
            return [_file(run, again, key, file) for key, file in files.items()]
    finally:
        world.close()


def _with_grader(run: RunDirectory, grader: str | None, sets: Sequence[str]) -> Scenario:
    """The run's scenario, whose world is paid by another grader or with other options."""
    for text in sets:
        if not text.strip().startswith("world.options."):
            raise UserError(f"--set {text}: only world.options can change, for the episodes are what they are")
    data, source = dump_data(trusted_scenario(run)), Source(str(run.path / "scenario.yaml"))
    scenario = check_scenario(apply_sets(data, sets, source), source)
    if scenario.worlds:
        raise UserError(f"{run.path} was played in {len(scenario.worlds)} worlds, and only runs in one are graded anew")
    if grader is None:
        return scenario
    key = "grader" if grader in GRADERS else "reward"
    if key == "reward" and ":" not in grader:
        raise UserError(f"--grader is {grader!r}; allowed: {', '.join(GRADERS)}, or module:function")
    kept = {name: value for name, value in scenario.world.options.items() if name not in _WHO_GRADES}
    options = kept | {key: grader}
    return scenario.model_copy(update={"world": scenario.world.model_copy(update={"options": options})})


def _replayable(world: Any, scenario: Scenario) -> ConversationEnv:
    name = scenario.world.id
    if not isinstance(world, ConversationEnv):
        raise UserError(f"{name!r} is not a world of messages: the version of its reward is in its name")
    if world.waits:
        raise UserError(
            f"{name!r} waits for tools or servers, and to replay an episode would be to do again what was done in it; "
            "it cannot be graded anew"
        )
    return world


def _file(run: RunDirectory, again: _Again, key: tuple[int, str], file: Path) -> FileRescored:
    episodes = read_episodes(file)
    notice_damage(file, len(episodes))
    if not episodes:
        raise UserError(f"{file} holds no episode")
    (name,) = one_version([(str(file), episode.scored_by) for episode in episodes])
    rows = [again.score(episode) for episode in episodes]
    folder = None if again.version == name else write_rescored(run, file.stem, rows)
    both = [(episode, row) for episode, row in zip(episodes, rows, strict=True) if row.left_out is None]
    return FileRescored(
        *key,
        versions=(name or NOT_NOTED, again.version),
        before=summarize([episode for episode, _ in both]),
        after=summarize([_as_episode(episode, row) for episode, row in both]),
        changed=sum((episode.reward, episode.success) != (row.reward, row.success) for episode, row in both),
        left_out=dict(Counter(row.left_out for row in rows if row.left_out is not None)),  # `asdict` takes no Counter
        folder=folder,
    )


def _as_episode(episode: Episode, row: Rescored) -> Episode:
    new: dict[str, Any] = {name: getattr(row, name) for name in ("reward", "success", "reward_terms", "unscored")}
    return replace(episode, **new, metrics={}, scored_by=row.scored_by)


class _Again:
    """A world of now, to which the replies of stored episodes are given."""

    def __init__(self, world: ConversationEnv, scenario: Scenario, *, other_grader: bool, sets: Sequence[str]) -> None:
        self._world, self._scenario = world, scenario
        self._other_grader = other_grader  # it may ask for another form of answer, at the end of the question
        self.version = world.scored_by + (f", with {', '.join(sets)}" if sets else "")

    def score(self, episode: Episode) -> Rescored:
        """What the world pays for the replies of an episode."""
        row = Rescored(episode.group, episode.index, self.version, None, None, {})
        if episode.failure is not None or episode.unanswered is not None:
            return replace(row, left_out="it failed or was never answered")
        start = _start(self._scenario, episode)
        if start is None:
            return replace(row, left_out="no stage of this run begins an episode with its seed")
        try:
            return self._replay(episode, start, row)
        finally:
            step_world(self._world, None)

    def _replay(self, episode: Episode, start: Start, row: Rescored) -> Rescored:
        reward, terms, success = 0.0, Counter[str](), None
        spoken = _spoken(self._scenario, episode)
        answer = step_world(self._world, start)
        at, parted = self._opened(answer, episode)
        for left, reply in zip(range(len(spoken) - 1, -1, -1), spoken, strict=True):
            if parted is not None:
                break
            answer, at = step_world(self._world, reply), at + 1
            parted = _parted(answer, episode, at, over=left == 0)
            at += len(answer.info.get("messages", ()))
            reward += answer.reward
            terms.update(answer.info.get("reward_terms", {}))
            success = answer.info.get("success")
        if parted is not None:
            return replace(row, left_out=parted)
        if answer.info.get("unscored") is not None:
            return replace(row, unscored=answer.info["unscored"])
        if success is None and episode.truncated and self._world.has_success:
            success = False
        return replace(row, reward=reward, success=success, reward_terms=dict(terms))

    def _opened(self, answer: Answer, episode: Episode) -> tuple[int, str | None]:
        """How many messages open the stored episode, and why this is not the same opening (None: it is)."""
        before = [n for n, message in enumerate(episode.messages) if message["role"] == "assistant"]
        before = before[len(before) - episode.turns :]
        if self._other_grader and answer.failure is None and before:
            same = answer.info["task"] == episode.task
            return before[0], None if same else "the world does not give the task that it gave then"
        return len(answer.info.get("messages", ())), _parted(answer, episode, 0, over=episode.turns == 0)


def _parted(answer: Answer, episode: Episode, at: int, *, over: bool) -> str | None:
    """Why the world does not say what it said then; None where it does."""
    if answer.failure is not None:
        return f"the world failed: {answer.failure.strip().splitlines()[0]}"
    said = [(message["role"], message["content"]) for message in answer.info["messages"]]
    then = [(message["role"], message["content"]) for message in episode.messages[at : at + len(said)]]
    ended = answer.terminated or answer.truncated
    if ended and not over:
        return "the world ends the episode before its last reply"
    if over and episode.terminated and not ended:
        return "the world would go on after the last reply"
    return None if said == then else "the world does not say what it said then"


def _start(scenario: Scenario, episode: Episode) -> Start | None:
    """How the episode was begun: by the run's seed for evaluations, or by that of a stage."""
    roots = [derive_seed(scenario.seed, "stage", number) for number in range(len(scenario.stages))]
    for root in (derive_seed(scenario.seed, "evaluation"), *roots):
        start = Start.of(root, episode.split, episode.group)
        if start.seed == episode.seed:
            return start
    return None


def _spoken(scenario: Scenario, episode: Episode) -> list[Reply]:
    """The replies that the world answered, as it was given them."""
    said = [message for message in episode.messages if message["role"] == "assistant"]
    said = said[len(said) - episode.turns :]
    lengths = {turn: len(at) for turn, (_, at) in replies(episode).items()}
    most = (scenario.sampling or Sampling()).max_tokens
    return [
        Reply(
            message["content"],
            tool_calls=tuple(_call(call) for call in message.get("tool_calls", ())),
            parse_error=message.get("parse_error"),
            thought=message.get("reasoning_content", ""),
            stop_reason=StopReason.LENGTH if lengths.get(turn) == most else StopReason.STOP,
            units=lengths.get(turn),
        )
        for turn, message in enumerate(said)
    ]


def _call(call: Mapping[str, Any]) -> ToolCall:
    return ToolCall(call["function"]["name"], call["function"]["arguments"], call.get("id", ""))
