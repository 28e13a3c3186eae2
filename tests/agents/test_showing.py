"""Demonstrations come beside what an agent does: of the same tasks, and of others where rows go on."""

from __future__ import annotations

import torch

from peripatos.agents.control.control_actor import ControlActor
from peripatos.agents.control.scripted import RandomAgent
from peripatos.agents.language.authors import Chance, Oracle
from peripatos.agents.language.chat_template import Renderer
from peripatos.agents.language.conversation_actor import ConversationActor
from peripatos.agents.language.tiny_llama import byte_tokenizer
from peripatos.agents.showing import ShowingActor
from peripatos.envs.registry import make_world
from peripatos.envs.vocabulary import Collection
from peripatos.envs.world_source import WorldSource
from peripatos.envs.worlds.maths.arithmetic import Arithmetic


def talking(who: Oracle | Chance) -> ConversationActor:
    return ConversationActor(
        lambda: Arithmetic(operators=("+",), digits=1, prompt="bare"), who, Renderer(byte_tokenizer()), context=256
    )


def test_one_demonstration_of_each_groups_own_task_comes_beside_what_is_done() -> None:
    actor, alone = ShowingActor(talking(Chance()), talking(Oracle()), rows_go_on=False), talking(Chance())
    whole, own = actor.collect([4, 5], 3, seed=1, version=2), alone.collect([4, 5], 3, seed=1, version=2)
    assert whole.episodes == own.episodes
    assert whole.batch is not None
    assert own.batch is not None
    assert torch.equal(whole.batch.inputs["tokens_B_T"], own.batch.inputs["tokens_B_T"])
    assert whole.shown is not None
    assert whole.shown.group_B.tolist() == [4, 5]
    assert whole.shown.notes["term_correct_B"].tolist() == [1.0, 1.0]  # the oracle is right
    assert (whole.env_steps, whole.action_units) == (own.env_steps + 2, own.action_units)
    for shown, row in ((0, 0), (1, 3)):
        first = int(whole.shown.inputs["first_B"][shown])
        asked = [one.inputs["tokens_B_T"][n][:first] for one, n in ((whole.shown, shown), (own.batch, row))]
        assert torch.equal(*asked)
    parts = [actor.collect([group], 3, seed=1, version=2) for group in (5, 4)]
    joined = Collection.join(parts).shown
    assert joined is not None
    assert torch.equal(joined.inputs["tokens_B_T"], whole.shown.inputs["tokens_B_T"])
    assert actor.evaluate(2, seed=0, version=0) == alone.evaluate(2, seed=0, version=0)
    actor.close()
    alone.close()


def test_rows_that_go_on_are_shown_another_episode_in_each_collection() -> None:
    world = make_world("CartPole-v1")
    who = RandomAgent(world.action_space)
    world.close()
    own, expert = (ControlActor(who, WorldSource("CartPole-v1"), mode="episodes", horizon=8) for _ in range(2))
    actor = ShowingActor(own, expert, rows_go_on=True)
    seen = []
    for version in (0, 0, 1):
        shown = actor.collect([0, 1], 1, seed=3, version=version).shown
        assert shown is not None
        seen.append(shown.inputs["observation_B_T_D"][:, 0])
    assert torch.equal(seen[0], seen[1])
    assert not torch.isclose(seen[0], seen[2]).all()
    assert actor.load_state(actor.state()) == 0
    actor.close()
