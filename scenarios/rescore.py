"""Grades the kept episodes of a run anew, without sampling: by the reward as it is now, or by another grader.

    peripatos rescore runs/maths-0                              the world's reward, as this version of it says
    peripatos rescore runs/maths-0 --grader maths               a world of tasks, by the grader for mathematics
    peripatos rescore runs/maths-0 --grader my_world:score      the same, by a function of (reply, task)

Each episode is replayed: the world is reset as it was, and given the stored replies. What it says has to be what it
said then, word for word, or the episode is left out: another version of a *task* is no version of a reward. Worlds
that wait for tools, servers or voices are refused, for what they do would be done again. A reward that judges whole
groups is given whole groups: of one that was kept in part (`log.episodes`) no episode is graded.

Each number stands with the version that gave it (`Episode.scored_by`), and numbers of two versions never stand in one
table, see `run/rescored.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from ..agents.language.asking import Answer, Start, step_world
from ..envs.contained import Contained, is_ours
from ..envs.conversation.conversation_env import ConversationEnv, Split
from ..envs.conversation.graders import GRADERS
from ..envs.errors import UserError
from ..envs.registry import make_world
from ..envs.reported import explained
from ..envs.seeding import derive_seed
from ..envs.vocabulary import Episode, Reply, StopReason, ToolCall
from .assembly.settings import judging_stage
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
        with run.held(command_line()), closing(again):
            return [_file(run, again, key, file) for key, file in files.items()]
    finally:
        world.close()


def _with_grader(run: RunDirectory, grader: str | None, sets: Sequence[str]) -> Scenario:
    """The run's scenario, whose world is paid by another grader or with other options."""
    for text in sets:
        if not text.strip().startswith("world.options."):
            raise UserError(f"--set {text}: only world.options can change, for the episodes are what they are")
    told = trusted_scenario(run)
    if judging_stage(told) is not None:
        raise UserError(
            f"{run.path} has made a reward model: what it kept are rankings that somebody wrote, and no world pays "
            "for; peripatos evaluate measures it"
        )
    data, source = dump_data(told), Source(str(run.path / "scenario.yaml"))
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
    rows = again.score(episodes)
    folder = None if again.version == name else write_rescored(run, file.stem, rows)
    both = [(episode, row) for episode, row in zip(episodes, rows, strict=True) if row.left_out is None]
    return FileRescored(
        *key,
        versions=(name or NOT_NOTED, again.version),
        before=summarize([episode for episode, _ in both], again.lists(key[1])),
        after=summarize([_as_episode(episode, row) for episode, row in both], again.lists(key[1])),
        changed=sum((episode.reward, episode.success) != (row.reward, row.success) for episode, row in both),
        left_out=dict(Counter(row.left_out for row in rows if row.left_out is not None)),  # `asdict` takes no Counter
        folder=folder,
    )


def _as_episode(episode: Episode, row: Rescored) -> Episode:
    new: dict[str, Any] = {name: getattr(row, name) for name in ("reward", "success", "reward_terms", "unscored")}
    return replace(episode, **new, metrics={}, scored_by=row.scored_by)


class _Again:
    """Worlds of now, to which the replies of stored episodes are given."""

    def __init__(self, world: ConversationEnv, scenario: Scenario, *, other_grader: bool, sets: Sequence[str]) -> None:
        self._worlds, self._scenario = [world], scenario  # more than one for groups alone
        self._other_grader = other_grader  # it may ask for another form of answer, at the end of the question
        self.version = world.scored_by + (f", with {', '.join(sets)}" if sets else "")

    def close(self) -> None:
        """Close the worlds that were made here."""
        while len(self._worlds) > 1:
            self._worlds.pop().close()

    def lists(self, split: str) -> dict[str, int | None]:
        """As `WorldSources.lists`; of tasks that are learned from nothing, for a curriculum has an order of its own."""
        return {} if split == "train" else {"": self._worlds[0].tasks_in(cast(Split, split))}

    def score(self, episodes: Sequence[Episode]) -> list[Rescored]:
        """What the world pays for the replies of each episode: of a group together, where it judges groups."""
        together: dict[object, list[int]] = {}
        for place, episode in enumerate(episodes):
            together.setdefault(episode.group if self._worlds[0].judges_groups else (place,), []).append(place)
        rows: dict[int, Rescored] = {}
        for places in together.values():
            rows |= zip(places, self._members([episodes[place] for place in places]), strict=True)
        return [rows[place] for place in range(len(episodes))]

    def _members(self, episodes: Sequence[Episode]) -> list[Rescored]:
        """The episodes of a group, or a single one; their worlds hear each turn together before they are stepped."""
        while len(self._worlds) < len(episodes):
            options = self._scenario.world.options
            made = self._worlds[0].another() or make_world(self._scenario.world.id, **options).unwrapped
            assert isinstance(made, ConversationEnv)
            self._worlds.append(made)
        rows: dict[int, Rescored] = {}
        going = {n: self._graded(self._worlds[n], one, len(episodes)) for n, one in enumerate(episodes)}
        while going:
            said: dict[int, Reply] = {}
            for n, episode in list(going.items()):
                try:
                    said[n] = next(episode)
                except StopIteration as end:
                    rows[n] = end.value
                    del going[n]
            failure = self._heard(said)
            for n in list(going) if failure is not None else ():
                rows[n] = replace(self._row(episodes[n]), left_out=f"the world failed: {failure}")
                going.pop(n).close()
        return [rows[n] for n in range(len(episodes))]

    def _heard(self, said: Mapping[int, Reply]) -> str | None:
        """Let the worlds hear what is said together; why that failed."""
        if not said or not self._worlds[0].judges_groups:
            return None
        members = [(self._worlds[n], reply) for n, reply in said.items()]
        try:
            with Contained(self._scenario.world.id):
                members[0][0].hear_together(members)
        except BaseException as error:
            if is_ours(error):
                raise
            return explained(error, self._scenario.world.id).strip().splitlines()[0]
        return None

    def _row(self, episode: Episode) -> Rescored:
        return Rescored(episode.group, episode.index, self.version, None, None, {})

    def _graded(self, world: ConversationEnv, episode: Episode, kept: int) -> Generator[Reply, None, Rescored]:
        """Gives each reply before the world is stepped with it, and returns what the world pays for all of them."""
        row = self._row(episode)
        if episode.failure is not None or episode.unanswered is not None:
            return replace(row, left_out="it failed or was never answered")
        begun = start_of(self._scenario, episode)
        if begun is None:
            return replace(row, left_out="no stage of this run begins an episode with its seed")
        start, size = begun
        if world.judges_groups and kept < size:
            return replace(row, left_out="its group was not kept whole, and the reward judges groups (log.episodes)")
        try:
            return (yield from self._replay(world, episode, start, row))
        finally:
            step_world(world, None)

    def _replay(
        self, world: ConversationEnv, episode: Episode, start: Start, row: Rescored
    ) -> Generator[Reply, None, Rescored]:
        reward, terms, success = 0.0, Counter[str](), None
        heard = spoken(self._scenario, episode)
        answer = step_world(world, start)
        at, parted = self._opened(answer, episode)
        for left, reply in zip(range(len(heard) - 1, -1, -1), heard, strict=True):
            if parted is not None:
                break
            yield reply
            answer, at = step_world(world, reply), at + 1
            parted = _parted(answer, episode, at, over=left == 0)
            at += len(answer.info.get("messages", ()))
            reward += answer.reward
            terms.update(answer.info.get("reward_terms", {}))
            success = answer.info.get("success")
        if parted is not None:
            return replace(row, left_out=parted)
        if answer.info.get("unscored") is not None:
            return replace(row, unscored=answer.info["unscored"])
        if success is None and episode.truncated and world.has_success:
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


def start_of(scenario: Scenario, episode: Episode) -> tuple[Start, int] | None:
    """How the episode was begun, by the run's seed for evaluations or by that of a stage, and the size of its group."""
    roots = {derive_seed(scenario.seed, "evaluation"): 1}
    for number, stage in enumerate(scenario.stages):
        roots[derive_seed(scenario.seed, "stage", number)] = stage.collect.group_size if stage.collect else 1
    for root, size in roots.items():
        start = Start.of(root, episode.split, episode.group)
        if start.seed == episode.seed:
            return start, size
    return None


def spoken(scenario: Scenario, episode: Episode) -> list[Reply]:
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
