"""Tasks of a finite list are met in turn: none is left out, and none comes twice before all have come."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from peripatos.agents.language.authors import Script
from peripatos.agents.language.chat_template import Renderer
from peripatos.agents.language.conversation_actor import ConversationActor
from peripatos.agents.language.tiny_llama import tiny_tokenizer
from peripatos.envs.conversation import ConversationEnv, Outcome, TaskWorld
from peripatos.envs.tools import ToolWorld
from peripatos.envs.worlds.coding import world
from peripatos.envs.worlds.coding.world import Coding

TRAIN, TEST = 12, 7
TASKS = [
    *({"prompt": f"q{n}", "split": "test" if n < TEST else "train"} for n in range(TRAIN + TEST)),
    {"prompt": f"q{TRAIN + TEST}", "split": "validation"},  # or some for training would be set aside
]


class Bell:
    def __init__(self, task: dict[str, object]) -> None:
        self.task = task

    def ring(self) -> str:
        """Ring it."""
        return "ding"


class Listed(ConversationEnv):
    """A world of one's own over a list of one's own."""

    def opening(self, rng, split):
        return self.pick([task["prompt"] for task in TASKS if task["split"] == split], rng)

    def respond(self, reply):
        return Outcome(terminated=True)


def from_file(folder: Path, **more: object) -> str:
    path = folder / "tasks.jsonl"
    path.write_text("".join(json.dumps({**task, **more}) + "\n" for task in TASKS))
    return str(path)


WORLDS: dict[str, Callable[[Path], Callable[[], ConversationEnv]]] = {
    "a list": lambda folder: lambda: TaskWorld(TASKS, lambda reply, task: 1.0),
    "a file": lambda folder: lambda: TaskWorld(from_file(folder), lambda reply, task: 1.0),
    "tools": lambda folder: lambda: ToolWorld(TASKS, Bell, lambda bell, task, reply: True),
    "tools in place": lambda folder: lambda: ToolWorld(TASKS, Bell, lambda bell, task, reply: True, timeout=None),
    "programs": lambda folder: lambda: Coding(tasks=from_file(folder, hidden=[[[1], 1], [[2], 2]])),
    "one's own": lambda folder: Listed,
}


@pytest.fixture(params=WORLDS)
def make_world(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], ConversationEnv]:
    monkeypatch.setattr(world, "shared_judge", lambda workers, limits, packages: None)  # nothing here is a program
    return WORLDS[request.param](tmp_path)


def actor_of(make_world: Callable[[], ConversationEnv]) -> ConversationActor:
    renderer = Renderer(tiny_tokenizer())
    return ConversationActor(make_world, Script(lambda messages: "a"), renderer, context=10_000)


def tasks(actor: ConversationActor, groups: range, size: int = 1, seed: int = 0) -> list[str]:
    return [episode.task for episode in actor.collect(groups, size, seed=seed, version=0).episodes]


@pytest.mark.parametrize("episodes", [3, TEST, TEST + 1, 3 * TEST, 50])
def test_an_evaluation_meets_every_held_out_task_equally_often(make_world, episodes: int) -> None:
    met = Counter(episode.task for episode in actor_of(make_world).evaluate(episodes, seed=3, version=0))
    assert sum(met.values()) == episodes
    assert len(met) == min(episodes, TEST)
    assert max(met.values()) - min(met.values()) <= 1


@pytest.mark.parametrize("batch", [1, 4, 5, 11, TRAIN])
def test_training_goes_through_its_tasks_and_no_batch_holds_one_twice(make_world, batch: int) -> None:
    actor, met = actor_of(make_world), []
    for version in range(9):
        now = tasks(actor, range(version * batch, (version + 1) * batch))
        assert len(set(now)) == batch
        met += now
    for epoch in range(len(met) // TRAIN):
        assert len(set(met[epoch * TRAIN : (epoch + 1) * TRAIN])) == TRAIN
    assert met != sorted(met, key=lambda task: int(task[1:]))


def test_the_task_of_an_episode_depends_on_run_split_and_group_alone(make_world) -> None:
    together = tasks(actor_of(make_world), range(5, 11), size=2)
    assert together[::2] == together[1::2]  # a group shares its task
    apart = [tasks(actor_of(make_world), range(group, group + 1))[0] for group in (10, 5, 8)]
    assert apart == [together[10], together[0], together[6]]
    assert tasks(actor_of(make_world), range(TRAIN), seed=1) != tasks(actor_of(make_world), range(TRAIN))


def test_who_gives_a_seed_alone_gets_any_task() -> None:
    listed = Listed()
    met = {listed.reset(seed=seed, options={"split": "test"})[0] for seed in range(100)}
    assert len(met) == TEST
    assert listed.reset(seed=4)[0] == listed.reset(seed=4)[0]
