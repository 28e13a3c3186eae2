"""Where the worlds of a scenario come from: a name and options, which any process can make worlds of.

    source = WorldSource("peripatos/Store-v0", {"levels": [1]})
    source.facts.kind                  # one world is made to answer this, and no other
    world = source.make()
    worlds = WorldSource("CartPole-v1").make_batch(8)

To construct a world may be costly: it reads its tasks. So a source constructs as few as it can. The first one answers
what anybody asks about the world. Where it has siblings that share what never changes (`ConversationEnv.another`), it
is kept as their pattern, and never played; otherwise it is the first that `make` hands out, and the others are made
anew.
"""

from __future__ import annotations

import copy
import inspect
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, TypeVar

import gymnasium
import numpy as np
from gymnasium.wrappers import OrderEnforcing, TimeLimit

from .control.acted_as import acted_as
from .control.seen_as import seen_as
from .control.symmetry import Symmetry, declared_symmetry
from .control.worker_worlds import STEP_SECONDS, Fitting, WorkerWorlds, first_made, fitting_workers
from .control.world_batch import BatchedWorld, ListOfWorlds, WorldBatch
from .control.world_process import Ready
from .conversation.conversation_env import SPLITS, ConversationEnv, Split, Voice
from .conversation.wrapped_conversation import WrappedConversation
from .errors import UnsupportedWorld, UserError, unknown
from .first_episodes import Openings, beginnings, noticed, openings, why_not
from .lost_threads import in_thread
from .made_worlds import parameters_of
from .open_worlds import claim, close
from .registry import WorldKind, make_world, world_kind
from .time_limits import OWN_WRAPPERS, is_wrapped, least, time_limit
from .user_code import told
from .wrappers import wrapped

Env = gymnasium.Env[Any, Any]
Answer = TypeVar("Answer")

_LIMITS = ("max_steps", "max_episode_steps", "_max_episode_steps")  # by which worlds name their own


@dataclass(frozen=True)
class WorldFacts:
    """What there is to know about a world before it is played."""

    kind: WorldKind
    observation_space: gymnasium.Space[Any]  # as the world has it, not flattened
    action_space: gymnasium.Space[Any]
    longest_episode: int | None  # steps, or turns of a conversation; None where nothing limits them
    waits: bool = False  # see `ConversationEnv`, as the other two
    side_by_side: int = 1
    voices: tuple[str, ...] = ()
    scored_by: str = ""  # the version of the reward, see `ConversationEnv.scored_by`
    calls: bool = False  # whether it reads tool calls in replies
    tools_in_prompt: bool = False  # see `ConversationEnv`
    remarks: tuple[str, ...] = ()
    tasks: Mapping[str, int | None] = field(default_factory=dict)  # how many each split has; None: made by chance
    pooled: bool = False  # bodies: many are simulated in one object, on a pool of threads
    symmetry: Symmetry | None = None  # of bodies, where the world declares one


class WorldSource:
    """Makes worlds of one kind, in any process: pickled, a source is its id, options and wrappers.

    Args:
        id: a Gymnasium id or `module:Class`.
        options: of the world's constructor, as JSON holds them. Each world gets a copy of its own.
        wrappers: what is put around it, {"id": …, "options": …} each, the first innermost (see `wrappers`).
        workers: processes in which bodies are stepped that are not simulated on a pool; "auto": one for each core,
            where a step is slow enough for that. None: here, one after the other. The episodes are the same.
        step_seconds: that a step in a worker may take.
    """

    def __init__(
        self,
        id: str,
        options: Mapping[str, Any] | None = None,
        wrappers: Sequence[Mapping[str, Any]] = (),
        *,
        workers: int | Literal["auto"] | None = None,
        step_seconds: float = STEP_SECONDS,
    ) -> None:
        self.id = id
        self._workers, self._step_seconds = workers, step_seconds
        self._options = copy.deepcopy(dict(options or {}))
        self._wrappers = copy.deepcopy(list(wrappers))
        self._fitting: Fitting | None = None  # what "auto" has come to
        self._made: Ready | None = None  # of one in a process of its own
        self._lock = threading.RLock()
        self._facts: WorldFacts | None = None
        self._first: Env | None = None  # the pattern of the others, or the next to be handed out
        self._has_siblings = True  # until the first one says otherwise
        self.noticed: tuple[str, ...] = ()  # what a rehearsal has seen that somebody should know

    def __repr__(self) -> str:
        return f"WorldSource({self.id!r}, {self._options!r}, {self._wrappers!r})"

    def __reduce__(self) -> tuple[Callable[[], WorldSource], tuple[()]]:
        how = {"workers": self._workers, "step_seconds": self._step_seconds}
        return partial(type(self), self.id, self._options, self._wrappers, **how), ()

    def to_json(self) -> dict[str, Any]:
        """Which worlds these are, for another process; how they are stepped is nothing of theirs."""
        return {"id": self.id, "options": self.options, "wrappers": copy.deepcopy(self._wrappers)}

    @property
    def options(self) -> dict[str, Any]:
        """A copy."""
        return copy.deepcopy(self._options)

    def with_options(self, **more: Any) -> WorldSource:
        """The source of the same worlds with `more` options."""
        return WorldSource(self.id, {**self._options, **more}, self._wrappers)

    @property
    def facts(self) -> WorldFacts:
        """What one world says, asked once.

        Raises:
            UserError: as `make_world`.
            UnsupportedWorld: no agent can live in this world.
        """
        with self._lock:
            if self._facts is None:
                if self._workers is not None:  # first there, where its death can be told
                    self._made = first_made(self._here())
                world = self._ask()
                try:
                    with told(f"world {self.id!r} cannot be asked what it is"):
                        self._facts = _facts_of(self.id, world, self._options)
                except UserError:
                    self.close()
                    raise
            return self._facts

    def make(self, voices: Mapping[str, Voice] | None = None) -> Env:
        """A world that nobody else has. `voices` are those that a conversation may talk to, by the names that its class
        lists in `voice_names`.

        Raises:
            UserError: as `make_world`; a voice that the world lacks or does not know; a function that gives one world
                twice.
            UnsupportedWorld: no agent can live in this world.
        """
        facts = self.facts
        _check_voices(self.id, facts.voices, voices or {})
        if facts.kind == "control":
            return self._new()
        with self._lock:
            world = claim(self._sibling() or self._new(), self.id)
        inside = world.unwrapped
        assert isinstance(inside, ConversationEnv)
        inside.voices = dict(voices or {})
        if facts.longest_episode is not None:
            inside.endless_after = None
        return WrappedConversation(world) if is_wrapped(world, beyond=(OrderEnforcing,)) else world

    def make_batch(self, n: int, *, threads: int | None = None, at_once: int | None = None) -> WorldBatch:
        """`n` control worlds that are stepped together; `threads` is for those that are simulated on a pool (None: see
        `MujocoBatch`). Of others, each of which is an object that may hold a simulator or a licence, there are at most
        `at_once`, if that is given.

        Raises:
            UserError: as `make`; n < 1.
            UnsupportedWorld: this is no control world.
        """
        if n < 1:
            raise UserError(f"cannot make {n} worlds of {self.id}: at least 1 is needed")
        if self.facts.kind != "control":
            raise UnsupportedWorld(f"{self.id!r} is a conversation; only control worlds are stepped as one batch")
        if self.facts.pooled:
            with self._lock:
                pattern = self._ask()
            assert isinstance(pattern.unwrapped, BatchedWorld)
            return pattern.unwrapped.make_batch(n, threads=threads, max_episode_steps=time_limit(pattern))
        if processes := self.workers.workers:
            self.close()  # the worlds are elsewhere
            n, how = min(n, at_once or n), {"step_seconds": self._step_seconds, "known": self._made}
            return WorkerWorlds(self._here(), n, processes, **how)
        return ListOfWorlds(self.id, min(n, at_once or n), self._new)

    @property
    def workers(self) -> Fitting:
        """In how many processes bodies are stepped that are not simulated on a pool, and why, where that was left to
        us; a world is tried once for that. Errors as of `make_batch`."""
        with self._lock:
            if self._workers == "auto" and self._fitting is None:
                self._fitting = fitting_workers(self._here(), step_seconds=self._step_seconds, known=self._made)
            return self._fitting or Fitting(int(self._workers or 0), "")

    def _here(self) -> WorldSource:
        """One of the same worlds that steps them where it is."""
        return WorldSource(self.id, self._options, self._wrappers)

    def rehearse(
        self,
        splits: Sequence[str],
        *,
        seconds: float,
        expert: bool = False,
        scripts: Sequence[Callable[[np.ndarray], object]] = (),
    ) -> None:
        """Begin an episode of each of `splits`, to see that it can be done; the other worlds do not notice. A world
        that `waits` and takes longer than `seconds` is passed over, and one that talks to somebody, who is not here.
        With `expert` the world's own expert is asked once as well, and each of `scripts` is given the first
        observation of a control world, flat.

        Raises:
            UserError: the world cannot begin with any of a few seeds, or what it observes does not fit its space.
        """
        if self.facts.voices:
            return
        problem = self._lend(lambda world: why_not(world, splits, expert, scripts), seconds)
        if problem is not None:
            raise UserError(f"world {self.id!r} {problem}")
        if not self.facts.waits:
            self.noticed = self._lend(lambda world: noticed(self.id, world), seconds) or ()

    def openings(self, split: Split, *, seconds: float) -> Openings | None:
        """What the tasks of a split ask; None where the world cannot list that, talks to somebody, who is not here, or
        does not begin an episode in so many `seconds`."""
        if self.facts.kind != "conversation" or self.facts.voices:
            return None
        return self._lend(lambda world: openings(world, split), seconds)

    def beginnings(self, split: Split, count: int, *, seconds: float) -> list[Openings]:
        """How some episodes of a conversation begin, each as the only one of its kind; none of a world that talks to
        somebody, who is not here, that may wait, or that does not begin."""
        if self.facts.kind != "conversation" or self.facts.voices or self.facts.waits:
            return []
        return self._lend(lambda world: beginnings(world, split, count), seconds) or []

    def limits_itself(self) -> bool:
        """Whether a body says how many steps its episodes have, as MiniGrid's `max_steps` does; it is not stepped for
        that, for what a stranger's world does to a process it would do before there is a run to say so."""
        with self._lock:
            world = self._ask().unwrapped
        limits = (inspect.getattr_static(world, name, None) for name in _LIMITS)
        return any(isinstance(limit, int) and limit > 0 for limit in limits)

    def _lend(self, task: Callable[[Env], Answer], seconds: float) -> Answer | None:
        """What `task` says of a world that begins episodes for it; None where the world `waits` for longer."""
        with self._lock:
            world = self._sibling() if self.facts.kind == "conversation" else None
            world, borrowed = (self._ask(), True) if world is None else (world, False)
        if not self.facts.waits:
            answer = task(world)
        else:
            try:
                answer = in_thread(partial(task, world), "rehearsal").result(seconds)
            except TimeoutError:
                answer = None
                self._first = None if borrowed else self._first
                borrowed = True  # it is busy: nobody else may have it, and nobody may close it
        if not borrowed:
            close(world)
        return answer

    def close(self) -> None:
        """Free the world that was kept; twice is harmless. Worlds that were handed out are closed by who has them, and
        the source can be used again."""
        with self._lock:
            first, self._first = self._first, None
        if first is not None:
            close(first)

    def __enter__(self) -> WorldSource:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

    def _ask(self) -> Env:
        """The world that is kept."""
        if self._first is None:
            self._first = self._make()
        return self._first

    def _new(self) -> Env:
        """The one that is kept, or one from the constructor."""
        with self._lock:
            kept, self._first = self._first, None
        return self._make() if kept is None else kept

    def _make(self) -> Env:
        """One from the constructor, in its wrappers."""
        return wrapped(self.id, make_world(self.id, **self._options), self._wrappers)

    def _sibling(self) -> Env | None:
        """A sibling of the world that is kept, in the wrappers of that one; None where it has none."""
        if not self._has_siblings:
            return None
        pattern = self._ask()
        inside = pattern.unwrapped
        assert isinstance(inside, ConversationEnv)
        with told(f"another() of world {self.id!r} fails"):
            other = None if is_wrapped(pattern, beyond=OWN_WRAPPERS) else inside.another()
        if other is None:
            self._has_siblings = False
            return None
        if other is inside or type(other) is not type(inside):
            raise UserError(f"{self.id!r}: another() must give another {type(inside).__name__}, not {other!r:.80}")
        other.spec = inside.spec
        return _wrapped_as(pattern, other)


def _facts_of(name: str, world: Env, options: Mapping[str, Any]) -> WorldFacts:
    kind, limit, inside = world_kind(world, name), time_limit(world), world.unwrapped
    spaces = world.observation_space, world.action_space
    if not isinstance(inside, ConversationEnv):
        pooled = isinstance(inside, BatchedWorld) and not is_wrapped(world, beyond=OWN_WRAPPERS)
        ways = inside.own_ways() if isinstance(inside, BatchedWorld) and pooled else ()
        pooled, symmetry = pooled and not ways, declared_symmetry(name, world)
        remarks = (*seen_as(name, spaces[0]), *acted_as(name, spaces[1]), *_own_ways(name, inside, ways))
        remarks += _idle_attempts(name, options.get("attempts"), limit)
        return WorldFacts(kind, *spaces, limit, remarks=remarks, pooled=pooled, symmetry=symmetry)
    turns, voices = least(limit, inside.turn_limit), tuple(inside.voice_names)
    calls = type(inside).read is not ConversationEnv.read
    has_attempts = "attempts" in options or "attempts" in (parameters_of(type(inside)) or {})
    return WorldFacts(
        kind,
        *spaces,
        turns,
        inside.waits,
        inside.side_by_side,
        voices,
        inside.scored_by,
        calls=calls,
        tools_in_prompt=inside.tools_in_prompt,
        remarks=(*inside.remarks, *_idle_attempts(name, inside.turn_limit if has_attempts else None, limit)),
        tasks={split: inside.tasks_in(split) for split in SPLITS},
    )


def _own_ways(name: str, inside: Env, ways: Sequence[str]) -> tuple[str, ...]:
    """A sentence about a class that could be simulated on a pool, were it not for `ways` of its own."""
    if not ways:
        return ()
    return (
        f"{name!r}: {type(inside).__name__} has its own {', '.join(ways)}, so its worlds are stepped one by one, and "
        "not on a pool, which is faster and knows nothing but the task; put it into the task, if that can be",
    )


def _idle_attempts(name: str, attempts: object, limit: int | None) -> tuple[str, ...]:
    """A sentence about a world that allows more attempts than its episodes have steps."""
    if not isinstance(attempts, int) or limit is None or attempts <= limit:
        return ()
    return (
        f"{name!r}: an episode ends after {limit} step{'s' * (limit > 1)} (max_episode_steps), and {attempts} attempts "
        f"are allowed, so that nobody has the others; give attempts of {limit}, if that is meant",
    )


def _check_voices(name: str, wanted: tuple[str, ...], given: Mapping[str, Voice]) -> None:
    for voice in given:
        if voice not in wanted:
            raise UserError(f"world {name!r}: {unknown('voice', voice, wanted)}")
    for voice in wanted:
        if voice not in given:
            raise UserError(f"world {name!r} talks to {voice!r}, and was given no such voice")


def _wrapped_as(pattern: Env, world: Env) -> Env:
    """`world` in wrappers like those of `pattern`, which are all of `OWN_WRAPPERS`."""
    if isinstance(pattern, TimeLimit):
        return TimeLimit(_wrapped_as(pattern.env, world), pattern._max_episode_steps)
    if isinstance(pattern, OrderEnforcing):
        return OrderEnforcing(_wrapped_as(pattern.env, world))
    return world
