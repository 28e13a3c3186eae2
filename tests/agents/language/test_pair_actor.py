"""Both sides of a pair are played as members of one group."""

from __future__ import annotations

import torch

from peripatos.agents.language.authors import Oracle
from peripatos.agents.language.chat_template import Renderer
from peripatos.agents.language.conversation_actor import ConversationActor
from peripatos.agents.language.pair_actor import PairActor
from peripatos.agents.language.tiny_llama import byte_tokenizer
from peripatos.algorithms.credit import assign_credit
from peripatos.algorithms.methods import METHODS
from peripatos.envs.conversation.pair_world import HeldOutPairs, PairWorld
from peripatos.envs.worlds.maths.digits import conversation

ROWS = [{"prompt": f"{n}?", "chosen": f"better {n}", "rejected": f"worse {n}"} for n in range(5)]
ROWS.append({"prompt": "5?", "chosen": "better 5", "rejected": "x" * 200})  # does not fit into the context


def actor() -> PairActor:
    return told(PairWorld(ROWS))


def told(world: PairWorld) -> PairActor:
    """Each reply of its rows by an actor of its own, with room for 64 tokens."""
    sides = [world.on_side(side) for side in range(world.size)]
    return PairActor([ConversationActor(s.sibling, Oracle(), Renderer(byte_tokenizer()), context=64) for s in sides])


def test_both_replies_to_one_prompt_are_a_group_and_the_chosen_one_earns_one() -> None:
    collection = actor().collect(range(6), 1, seed=3, version=2)
    by_number = {episode.number: episode for episode in collection.episodes}
    assert len(by_number) == 12
    for group in range(6):
        chosen, rejected = by_number[group << 20], by_number[(group << 20) + 1]
        assert chosen.task == rejected.task
        assert chosen.messages[0] == rejected.messages[0]
        n = chosen.messages[0]["content"][0]
        assert chosen.messages[-1]["content"] == f"better {n}"
        assert n == "5" or rejected.messages[-1]["content"] == f"worse {n}"
        assert (chosen.reward, rejected.reward) == (1.0, 0.0) or n == "5"
    assert {episode.messages[0]["content"] for episode in collection.episodes} == {f"{n}?" for n in range(6)}


def test_a_pair_of_which_one_side_does_not_fit_is_none() -> None:
    batch = actor().collect(range(6), 1, seed=3, version=0).batch
    assert batch is not None
    side = assign_credit(batch, METHODS["dpo"].credit).advantage_B_T
    assert len(side) == 11
    assert (side > 0).any(dim=1).sum() == (side < 0).any(dim=1).sum() == 5
    alone = torch.bincount(batch.group_B).argmin()
    assert not side[batch.group_B == alone].any()


HELD_OUT = {"answers": [conversation("0:", [n]) for n in (9, 5, 1)], "split": "test"}


def test_a_side_that_is_cut_behind_its_first_turn_is_no_side_either() -> None:
    """Who is cut earns nothing, and was the worse side of its pair even where it had been ranked the best of three."""
    long, short, other = (conversation("1:", [n, n]) for n in (9, 5, 1))
    long[-1] = {"role": "assistant", "content": "9" * 200}
    rankings = HeldOutPairs([{"answers": [long, short, other], "split": "train"}, HELD_OUT])
    collection = told(rankings).collect([0], 1, seed=0, version=0)
    assert [episode.turns for episode in collection.episodes] == [1, 2, 2]
    assert collection.batch is not None
    assert collection.batch.episode_B.tolist() == [1, 2]
    for better, worse in ((long, short), (short, long)):
        batch = told(PairWorld([{"chosen": better, "rejected": worse}])).collect([0], 1, seed=0, version=0).batch
        assert batch is not None
        assert not assign_credit(batch, METHODS["dpo"].credit).advantage_B_T.any()


def test_equal_beginnings_have_one_number_behind_each_of_their_turns() -> None:
    answers = [conversation("1:", digits) for digits in ([9, 8], [9, 1], [2])]
    world = HeldOutPairs([{"answers": answers, "split": "train"}, HELD_OUT])
    batch = told(world).collect([0], 1, seed=0, version=0).batch
    assert batch is not None
    noted, turn, mask = batch.notes["beginning_B_T"], batch.turn_B_T, batch.mask_B_T
    numbers = [[set(noted[row][mask[row] & (turn[row] == k)].tolist()) for k in (0, 1)] for row in range(3)]
    assert [[len(number) for number in row] for row in numbers] == [[1, 1], [1, 1], [1, 0]]
    assert numbers[0][0] == numbers[1][0]
    assert len({*numbers[0][0], *numbers[0][1], *numbers[1][1], *numbers[2][0]}) == 4


def test_pairs_that_are_collected_apart_are_those_that_are_collected_together() -> None:
    whole, part = (actor().collect(groups, 1, seed=3, version=0).batch for groups in (range(6), [2, 3]))
    assert whole is not None
    assert part is not None
    rows = torch.isin(whole.group_B, part.group_B)
    width = part.mask_B_T.shape[1]
    assert torch.equal(whole.inputs["tokens_B_T"][rows][:, :width], part.inputs["tokens_B_T"])
