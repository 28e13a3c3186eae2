"""Pairs of replies: read from files, played side by side, learned from by `dpo`; what is no pair is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from scenarios_runs import command, write_scenario

from peripatos.envs.conversation.pair_world import HeldOutPairs, PairWorld, read_ranking
from peripatos.envs.errors import UserError
from peripatos.envs.worlds.maths.digits import conversation

ASKED = {"role": "user", "content": "2 + 2 ="}


def said(*texts: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text} for text in texts]


ROW = {"prompt": "2 + 2 =", "chosen": "4", "rejected": "5"}


@pytest.mark.parametrize(
    "row",
    [
        ROW,
        {**ROW, "question": None, "answers": None, "ranks": None, "system": None, "weight": None},
        {
            **ROW,
            **{
                side: [{"role": None, "content": None, "from": "gpt", "value": text}]
                for side, text in (("chosen", "4"), ("rejected", "5"))
            },
        },
        {"question": "2 + 2 =", "chosen": "4", "rejected": "5", "score_chosen": 7.0},
        {"prompt": [ASKED], "chosen": said("4"), "rejected": said("5")},
        {"chosen": [ASKED, *said("4")], "rejected": [ASKED, *said("5")]},
        {"prompt": "2 + 2 =", "chosen": [ASKED, *said("4")], "rejected": [ASKED, *said("5")]},
        {
            "chosen": [{"from": "human", "value": "2 + 2 ="}, {"from": "gpt", "value": "4"}],
            "rejected": [{"from": "human", "value": "2 + 2 ="}, {"from": "gpt", "value": "5"}],
        },
    ],
)
def test_every_form_of_a_row_is_the_same_pair(row: dict[str, Any]) -> None:
    pair = read_ranking("row 0", row)
    chosen, rejected = (chat.messages for chat in pair.chats)
    assert (pair.asked, pair.ranks, pair.earned) == (1, (0.0, 1.0), (1.0, 0.0))
    assert [(m["role"], m["content"]) for m in chosen] == [("user", "2 + 2 ="), ("assistant", "4")]
    assert [m["content"] for m in rejected] == ["2 + 2 =", "5"]


@pytest.mark.parametrize(
    ("row", "begun"),
    [
        ({"question": "2 + 2 =", "chosen": "4", "rejected": "5"}, ["Be brief.", "2 + 2 ="]),
        ({"chosen": [ASKED, *said("4")], "rejected": [ASKED, *said("5")]}, ["Be brief.", "2 + 2 ="]),
        ({"prompt": "2 + 2 =", "answers": ["4", "5"]}, ["Be brief.", "2 + 2 ="]),
        (
            {"prompt": [{"role": "system", "content": "Be brief."}, ASKED], "answers": ["4", "5"]},
            ["Be brief.", "2 + 2 ="],
        ),
    ],
)
def test_a_column_for_the_system_is_the_first_message_of_both_sides(row: dict[str, Any], begun: list[str]) -> None:
    pair = read_ranking("row 0", {"system": "Be brief.", **row})
    assert [[m["content"] for m in chat.messages] for chat in pair.chats] == [[*begun, "4"], [*begun, "5"]]
    assert (pair.asked, pair.prompt) == (2, 2)
    assert read_ranking("row 0", {"system": "", **row}).prompt == (2 if isinstance(row.get("prompt"), list) else 1)


SYSTEM = {"role": "system", "content": "Be brief."}
EARLIER = [{"role": "user", "content": "1 + 1 ="}, *said("2")]


@pytest.mark.parametrize(
    ("prompt", "head", "begun"),
    [
        ([SYSTEM, ASKED], [ASKED], [SYSTEM, ASKED]),
        ([SYSTEM, ASKED], [SYSTEM, ASKED], [SYSTEM, ASKED]),
        ("2 + 2 =\n", [SYSTEM, ASKED], [SYSTEM, ASKED]),
        ([SYSTEM], [ASKED], [SYSTEM, ASKED]),
        ([*EARLIER, ASKED], [ASKED], [*EARLIER, ASKED]),
        ([*EARLIER, ASKED], [SYSTEM, ASKED], [SYSTEM, *EARLIER, ASKED]),
        ([SYSTEM, *EARLIER, ASKED], [ASKED], [SYSTEM, *EARLIER, ASKED]),
        ([SYSTEM, *EARLIER, ASKED], [SYSTEM, ASKED], [SYSTEM, *EARLIER, ASKED]),
        ([*EARLIER, ASKED], [*EARLIER, ASKED], [*EARLIER, ASKED]),
        ("1 + 1 =", [*EARLIER, ASKED], [*EARLIER, ASKED]),
        ("2 + 2 =", [*EARLIER, ASKED], [*EARLIER, ASKED]),
        ([SYSTEM, ASKED], [*EARLIER, ASKED], [SYSTEM, *EARLIER, ASKED]),
        ([{"from": "human", "value": "2 + 2 ="}], [ASKED], [ASKED]),
        ("", [ASKED], [ASKED]),
        ([], [ASKED], [ASKED]),
    ],
)
def test_what_of_a_prompt_is_not_in_whole_conversations_stands_before_them(
    prompt: Any, head: list[dict[str, str]], begun: list[dict[str, str]]
) -> None:
    row = {"prompt": prompt, "chosen": [*head, *said("4")], "rejected": [*head, *said("5")]}
    pair = read_ranking("row 0", row)
    for chat, reply in zip(pair.chats, "45", strict=True):
        assert [dict(message) for message in chat.messages] == [*begun, *said(reply)]
    assert pair.asked == len(begun)
    assert [*said("x"), *pair.chats[0].messages][pair.prompt]["role"] == "user"  # it ends with what is asked
    beside = read_ranking("row 0", {**row, "system": "Be brief."})
    bare = begun[begun[0] == SYSTEM :]
    assert [dict(message) for message in beside.chats[0].messages] == [SYSTEM, *bare, *said("4")]


@pytest.mark.parametrize(
    ("prompt", "head"),
    [
        ("3 + 3 =", [ASKED]),
        ([{**SYSTEM, "content": "Be long."}, ASKED], [SYSTEM, ASKED]),
        ([ASKED, *said("4"), EARLIER[0]], [ASKED]),
    ],
)
def test_a_prompt_that_whole_conversations_contradict_is_refused(prompt: Any, head: list[dict[str, str]]) -> None:
    row = {"prompt": prompt, "chosen": [*head, *said("6")], "rejected": [*head, *said("5")]}
    with pytest.raises(UserError, match=r"row 0: 'prompt' ends with .*, and row 0, chosen begins with .*: a whole"):
        read_ranking("row 0", row)


@pytest.mark.parametrize(
    "name", ["id", "source", "topic", "score_chosen", "chosen-rating", "rejectedScore", "franks", "border", "scorecard"]
)
def test_a_column_of_another_meaning_says_no_order(name: str) -> None:
    assert read_ranking("row 0", {**ROW, name: 1, "label": None}).ranks == (0.0, 1.0)
    assert read_ranking("row 0", {"prompt": "a", "answers": ["b", "c"], name: 1, "scores": None}).ranks == (0.0, 1.0)


def test_a_prompt_may_hold_replies_which_nobody_learns() -> None:
    pair = read_ranking("row 0", {**ROW, "prompt": [ASKED, {**said("3")[0], "weight": 0}, ASKED]})
    assert (pair.asked, pair.prompt, [len(chat.messages) for chat in pair.chats]) == (3, 3, [4, 4])


def test_answers_are_ranked_as_they_stand_or_as_their_ranks_say() -> None:
    row = {"prompt": "2 + 2 =", "answers": ["4", "5", "6"]}
    assert read_ranking("row 0", row).earned == (2.0, 1.0, 0.0)
    tied = read_ranking("row 0", {**row, "ranks": [2, 1, 2]})
    assert tied.earned == (0.0, 2.0, 0.0)
    assert [chat.messages[-1]["content"] for chat in tied.chats] == ["4", "5", "6"]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("4", "row 7: a pair is a mapping with chosen and rejected, not the text '4'"),
        (4, "row 7: a pair is a mapping with chosen and rejected, not 4"),
        (None, "row 7: a pair is a mapping with chosen and rejected, not None"),
        ({}, "row 7 has no 'chosen'; it has no key at all."),
        (
            {"prompt": "a", "chosen": "b", "rejectd": "c"},
            "row 7 has no 'rejected'; it has 'prompt', 'chosen', 'rejectd'. Did you mean 'rejectd'?",
        ),
        ({"promt": "a", "chosen": "b", "rejected": "c"}, "row 7 has no 'prompt'; it has 'promt'"),
        ({**ROW, "rejected": None}, "row 7: 'rejected' is null"),
        ({**ROW, "rejected": "4"}, "row 7: chosen and rejected are equal, so that nothing is preferred"),
        ({**ROW, "rejected": 5}, "row 7, rejected, message 1"),
        ({**ROW, "split": "dev"}, "row 7: unknown split 'dev'"),
        ({"prompt": "a", "answers": ["b"]}, "row 7: answers are ['b']; allowed is a list of two or more, the best"),
        ({"prompt": "a", "answers": "b"}, "row 7: answers are 'b'; allowed is a list"),
        ({"prompt": "a", "answers": ["b", "c"], "ranks": [1]}, "allowed is a number for each of the 2 answers"),
        ({"prompt": "a", "answers": ["b", "c"], "ranks": [1, 1]}, "row 7: all answers have the rank 1"),
        ({"prompt": "a", "answers": ["b", "b"]}, "row 7: answer 0 and answer 1 are equal"),
        *(
            ({"prompt": "a", "answers": ["b", "c"], "ranks": ranks}, "allowed is a number for each of the 2 answers")
            for ranks in ([True, False], [1, True], [0, float("nan")])
        ),
        ({"prompt": "a", "answers": ["4", "44", "44"], "ranks": [1, 2, 3]}, "row 7: answer 1 and answer 2 are equal"),
        ({"prompt": "a", "answers": ["44", "4", "44"], "ranks": [3, 1, 2]}, "row 7: answer 0 and answer 2 are equal"),
        ({"answers": ["b", "c"]}, "row 7 has no 'prompt'; it has 'answers'"),
        ({**ROW, "chosen": [ASKED, {**said("3")[0], "weight": 0}, ASKED, *said("4")]}, "row 7: a reply has weight 0"),
        *(
            (
                {"prompt": "a", "answers": ["b", "c"], name: [1, 5]},
                f"row 7 has {name!r}, which nobody reads; answers stand",
            )
            for name in (
                "scores",
                "Ratings",
                "rank",
                "rnaks",
                "label",
                "answer_scores",
                "answerScores",
                "overall-ranking",
            )
        ),
        *(
            ({**ROW, name: 1}, f"row 7 has {name!r}, which nobody reads; the better reply is 'chosen'")
            for name in ("label", "margin", "preference", "ranks", "scores", "winner", "human_preference")
        ),
        (
            {**ROW, "prompt": [{"role": "system", "content": "Own."}, ASKED], "system": "Other."},
            "row 7, chosen begins with a system message, and its column 'system' gives another",
        ),
        ({**ROW, "weight": 0}, "row 7: a reply has weight 0"),
        ({**ROW, "weight": 0.5}, "row 7: its weight is 0.5; allowed are 1"),
        ({**ROW, "chosen": []}, "row 7, chosen has no list of messages"),
        (
            {"chosen": [ASKED, *said("4")], "rejected": [{**ASKED, "content": "3 + 3 ="}, *said("5")]},
            "row 7: chosen and rejected differ in message 0, which is no reply: their prompts differ",
        ),
        (
            {"chosen": [ASKED, *said("4")], "rejected": [ASKED, *said("4"), ASKED, *said("5")]},
            "row 7: one of chosen and rejected only goes on where the other ends",
        ),
    ],
)
def test_what_is_no_pair_is_refused_with_its_row(row: Any, words: str) -> None:
    with pytest.raises(UserError, match=re.escape(words)):
        read_ranking("row 7", row)


def test_rankings_that_are_made_here_have_a_name() -> None:
    digits = HeldOutPairs("peripatos/digits")
    assert (digits.size, sum(digits.rankings_in(split) for split in digits.splits)) == (3, 60)


def test_rows_that_rank_fewer_or_more_than_others_are_refused_where_rankings_stay_whole() -> None:
    rows = [ROW, {"prompt": "1 + 1 =", "answers": ["2", "3", "4"]}]
    with pytest.raises(UserError, match=re.escape("row 1 ranks 3 replies, and row 0 2; all rows rank equally many")):
        HeldOutPairs(rows)
    assert len(PairWorld(rows)) == 1 + 3


def told(rows: list[dict[str, Any]]) -> tuple[set[tuple[str, str, str]], PairWorld]:
    """Prompt, better and worse reply of every pair that is learned from."""
    world = PairWorld(rows)
    better, worse = world.on_side(0), world.on_side(1)
    found = set()
    for group in range(len(world)):
        at = {"split": "train", "run": 0, "group": group}
        (asked, _), _ = better.reset(seed=0, options=at), worse.reset(seed=0, options=at)
        found.add((asked, better.oracle().text, worse.oracle().text))
        assert (earned(better), earned(worse)) == (1.0, 0.0)
    return found, world


def earned(world: PairWorld) -> float:
    total, over = 0.0, False
    while not over:
        _, reward, over, _, _ = world.step(world.oracle())
        total += float(reward)
    return total


def test_a_ranking_is_all_its_pairs_of_different_rank_and_no_answer_is_left_out() -> None:
    ranked = {"prompt": "a", "answers": ["1", "2", "3", "4"], "ranks": [2, 1, 2, 3]}
    pairs, world = told([ranked, {"prompt": "b", "answers": ["x", "y", "z"]}])
    assert pairs == {
        *(("a", "2", "1"), ("a", "2", "3"), ("a", "2", "4"), ("a", "1", "4"), ("a", "3", "4")),  # 1 and 3 tie
        *(("b", "x", "y"), ("b", "x", "z"), ("b", "y", "z")),
    }
    assert world.remarks == ("2 rankings are 8 pairs of different rank, each a row of its own",)
    assert told([ROW])[1].remarks == ()


def test_a_pair_of_a_ranking_opens_with_all_that_its_own_two_replies_share() -> None:
    first, more = [ASKED, *said("4")], {"role": "user", "content": "Sure?"}
    pairs, _ = told([{"answers": [[*first, more, *said("Yes.")], [*first, more, *said("No.")], [ASKED, *said("5")]]}])
    assert pairs == {("Sure?", "Yes.", "No."), ("2 + 2 =", "4", "5")}  # of the third pair the replies are the same


def test_equal_answers_of_different_rank_are_refused_by_their_numbers() -> None:
    with pytest.raises(UserError, match="row 0: answer 1 and answer 2 are equal, so that nothing is preferred"):
        PairWorld([{"prompt": "a", "answers": ["1", "2", "2"]}])
    assert len(PairWorld([{"prompt": "a", "answers": ["1", "2", "2"], "ranks": [1, 2, 2]}])) == 2
    assert len(PairWorld([{"prompt": "a", "answers": ["2", "2", "1"], "ranks": [1, 1, 2]}])) == 2


def test_pairs_that_say_that_they_are_for_testing_are_held_out_and_counted() -> None:
    ranked = {"prompt": "b", "answers": ["x", "y", "z"], "split": "test"}
    pairs, world = told([{**ROW, "split": "train"}, ranked, {**ROW, "prompt": "c", "split": "validation"}])
    assert pairs == {("2 + 2 =", "4", "5")}
    assert world.remarks == ('2 of 3 rows say "split": "test" or "validation", and are held out',)
    with pytest.raises(UserError, match='all 1 rows say "split": "test" or "validation"'):
        PairWorld([ranked])


def test_rows_are_held_out_by_what_they_say_and_else_by_their_prompts() -> None:
    rows = [{**ROW, "prompt": f"{n} + 2 =", "split": "test" if n % 4 == 0 else "train"} for n in range(12)]
    said = HeldOutPairs(rows)
    assert [said.rankings_in(split) for split in ("train", "validation", "test")] == [9, 9, 3]  # train stands in
    twice = [{"prompt": f"{n} + 2 =", "chosen": "4", "rejected": wrong} for n in range(200) for wrong in ("5", "6")]
    divided = HeldOutPairs(twice)
    prompts = {
        split: {
            divided.reset(seed=0, options={"split": split, "run": 0, "group": g})[0]
            for g in range(divided.rankings_in(split))
        }
        for split in ("train", "validation", "test")
    }
    assert sum(map(len, prompts.values())) == 200  # no prompt is in two
    assert 20 < len(prompts["test"]) < 60
    with pytest.raises(UserError, match=r'of 1 rows none is for t.*mark some with "split": "t'):
        HeldOutPairs(rows[:1])


def test_a_prompt_that_rows_put_into_several_splits_stays_in_the_last_of_them() -> None:
    rows = [{**ROW, "prompt": f"{n} ="} for n in range(10)]
    in_train = [{**row, "split": "train"} for row in rows]
    in_test = [{**row, "rejected": "6", "split": "test"} for row in rows[:3]]
    in_validation = [{**row, "split": "validation"} for row in rows[2:6]]
    world = HeldOutPairs([*in_train, *in_test, *in_validation])
    assert [world.rankings_in(split) for split in ("train", "validation", "test")] == [4, 3, 3]
    assert world.remarks == (
        "1 of 4 validation rows ask what test rows ask, and are left out of validation",
        "6 of 10 train rows ask what validation or test rows ask, and are left out of train",
    )
    with pytest.raises(UserError, match="of 6 rows none is for training"):
        HeldOutPairs([*in_train[:3], *in_test])


def test_a_prompt_is_in_one_split_whatever_its_answers_share() -> None:
    """Half of the rows open behind the first reply, and an example in a prompt is no reply to it."""
    rows = [{"answers": [conversation(f"{n}:", d) for d in ([9, 8, 7], worse)]} for n in range(60) for worse in WORSE]
    divided = HeldOutPairs(rows)
    found: dict[str, set[str]] = {split: set() for split in divided.splits}
    for split in divided.splits:
        for group in range(divided.rankings_in(split)):
            _, info = divided.reset(seed=0, options={"split": split, "run": 0, "group": group})
            found[split].add(info["messages"][0]["content"])
    assert sum(map(len, found.values())) == 60
    shown = [{"prompt": [ASKED, *said("4"), {"role": "user", "content": f"{n} ="}], **SIDES} for n in range(60)]
    assert 4 < HeldOutPairs(shown).rankings_in("test") < 24


WORSE = ([9, 1, 1], [2, 1, 1])
SIDES = {"chosen": "4", "rejected": "5"}
OTHERWISE = [*conversation("7:", [9]), {"role": "user", "content": "Sure?"}, *said("8")]


@pytest.mark.parametrize(
    ("answers", "words", "opening", "turns"),
    [
        ([conversation("7:", [9]), conversation("7:", [9, 8])], "only goes on where the other ends", 1, 2),
        ([conversation("7:", [9, 8, 7]), conversation("7:", [9])], "only goes on where the other ends", 1, 3),
        ([conversation("7:", [9, 8, 7]), conversation("7:", [9, 8])], "only goes on where the other ends", 3, 2),
        (
            [conversation("7:", [9, 8]), OTHERWISE],
            "differ in message 2, which is no reply: they were answered differently after equal replies",
            1,
            2,
        ),
        ([conversation("7:", [9, 8]), OTHERWISE, conversation("7:", [1])], "answered differently", 1, 2),
    ],
)
def test_scores_compare_conversations_that_reply_alike_until_one_ends_or_is_answered_otherwise(
    answers: list[Any], words: str, opening: int, turns: int
) -> None:
    with pytest.raises(UserError, match=words):
        PairWorld([{"answers": answers}])
    others = [conversation("0:", [n]) for n, _ in enumerate(answers)]
    world = HeldOutPairs([{"answers": others, "split": "train"}, {"answers": answers, "split": "test"}])
    assert world.turns == turns
    for side, answer in enumerate(answers):
        sided, over = world.on_side(side), False
        _, info = sided.reset(seed=0, options={"split": "test", "run": 0, "group": 0})
        heard = list(info["messages"])
        assert [m["content"] for m in heard] == [m["content"] for m in answer[:opening]]
        replies = 0
        while not over:
            _, _, over, _, _ = sided.step(sided.oracle())
            replies += 1
        assert replies == sum(m["role"] == "assistant" for m in answer[opening:])


def test_scores_do_not_compare_replies_to_different_prompts() -> None:
    with pytest.raises(UserError, match="differ in message 0, which is no reply: their prompts differ"):
        HeldOutPairs([{"answers": [conversation("7:", [9]), conversation("8:", [9, 8])]}])


def test_turns_are_counted_from_the_beginning_of_the_conversation() -> None:
    shared = [
        {"answers": [conversation(f"{s}:", d) for d in ([9, 8, 7], [9, 1, 1])], "split": s} for s in ("train", "test")
    ]
    world = HeldOutPairs(shared)
    assert (world.turns, world.depths) == (2, [2, 3])


def test_an_episode_opens_with_what_both_sides_share_and_each_side_is_said_to_its_end() -> None:
    more = {"role": "user", "content": "Sure?"}
    rows = [{"chosen": [ASKED, *said("4"), more, *said("Yes.")], "rejected": [ASKED, *said("4"), more, *said("No.")]}]
    world = PairWorld(rows)
    for side, text, reward in ((0, "Yes.", 1.0), (1, "No.", 0.0)):
        sided = world.on_side(side)
        _, info = sided.reset(seed=0, options={"split": "train"})
        assert [message["content"] for message in info["messages"]] == ["2 + 2 =", "4", "Sure?"]
        assert sided.oracle().text == text
        _, got, terminated, _, _ = sided.step(sided.oracle())
        assert (got, terminated) == (reward, True)


SCENARIO = """\
name: pairs
world: {id: peripatos/Arithmetic-v0, options: {operators: ["+"], digits: 1, prompt: bare}}
agent: {kind: tiny_llama, hidden: 32, layers: 1, heads: 2}
sampling: {max_tokens: 3}
stages:
  - name: prefer
    method: dpo
    demonstrations: {pairs: FILE}
    collect: {groups: 16}
    optimizer: {lr: 2e-2}
    budget: {epochs: 3}
evaluation: {episodes: 1}
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    rows = [{"prompt": f"{a}+{b}=", "chosen": "9", "rejected": "11"} for a in range(8) for b in range(4)]
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return write_scenario(tmp_path, SCENARIO.replace("FILE", str(tmp_path / "pairs.jsonl")))


def test_a_scenario_learns_from_pairs(scenario: Path, tmp_path: Path) -> None:
    assert command("run", scenario, "--out", tmp_path / "run") == 0
    metrics = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert len(metrics) == 6  # 32 pairs, 16 at a time, three times
    assert abs(metrics[0]["preference/margin"]) < 1e-4  # the policy is still its reference
    assert metrics[-1]["preference/accuracy"] == 1.0
    assert metrics[-1]["preference/margin"] > 1
    assert metrics[-1]["preference/rejected"] < metrics[-1]["preference/chosen"]
    assert metrics[0]["batch/rows"] == 32
    assert "surrogate/mean" not in metrics[0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["stages.prefer.demonstrations.pairs=nothing.jsonl"], "there is no such file"),
        (["stages.prefer.method=sft"], "of demonstrations.pairs one reply is not to be imitated; write"),
        (["stages.prefer.method=grpo"], "takes no `demonstrations`"),
        (["stages.prefer.demonstrations={chats: x.jsonl}"], "demonstrations.chats shows one of each; write"),
        (["stages.prefer.demonstrations=null"], "needs `demonstrations`; write such as demonstrations: {pairs: FILE}"),
        (["stages.prefer.demonstrations.chats=x.jsonl"], "have one of agent, chats, pairs and text"),
        (["stages.prefer.collect.group_size=4"], "reads pairs, which are groups of two by themselves"),
        (
            ["stages.prefer.method=online_dpo", "stages.prefer.demonstrations=null", "stages.prefer.budget.epochs=1"],
            "compares the members of a group: collect.group_size must be at least 2",
        ),
        (["stages.prefer.overrides.weighting.kl=k3"], "would have no effect"),
        (["stages.prefer.overrides.preference.beta=0"], "preference.beta is 0; allowed is a number greater than 0"),
        (["stages.prefer.overrides.preference.kind=kto"], "preference.kind"),
        (["stages.prefer.optimizer.schedule=adaptive_kl"], "those of pairs are unknown"),
        (
            ["world={id: CartPole-v1}", "agent={kind: mlp}", "sampling=null"],
            "reads pairs of replies, and nobody speaks here; online_dpo compares what the policy itself does",
        ),
    ],
)
def test_pairs_that_have_no_meaning_are_refused_when_the_scenario_is_read(
    scenario: Path, changes: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sets = [part for change in changes for part in ("--set", change)]
    assert command("run", scenario, "--dry-run", *sets) == 2
    assert words in " ".join(capsys.readouterr().err.split())


def test_the_first_row_that_is_no_pair_is_named_with_its_file(
    scenario: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text(file.read_text() + '\n{"prompt": "1+1=", "chosen": "2"}\n{"chosen": 3}\n')
    assert command("run", scenario, "--dry-run") == 2
    shown = " ".join(capsys.readouterr().err.split())
    assert "has no 'rejected'; it has 'prompt', 'chosen'" in shown
    assert "33" in shown


def test_a_stage_learns_from_the_best_and_the_worst_of_its_own_groups_also_at_some_age(
    scenario: Path, tmp_path: Path
) -> None:
    text = scenario.read_text()
    start, end = text.index("    method"), text.index("    optimizer")
    text = text[:start] + "    method: online_dpo\n    collect: {groups: 4, group_size: 6, staleness: 1}\n" + text[end:]
    path = write_scenario(tmp_path, text.replace("{epochs: 3}", "{updates: 3}"))
    assert command("run", path, "--out", tmp_path / "own") == 0
    metrics = [json.loads(line) for line in (tmp_path / "own" / "metrics.jsonl").read_text().splitlines()]
    assert len(metrics) == 3


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"prompt": "x", "chosen": "a", "rejected": None}, "row 0: 'rejected' is null; a pair has two replies"),
        ({"prompt": "x", "chosen": "a"}, "row 0 has no 'rejected'; it has 'prompt', 'chosen'"),
        ({"prompt": "x", "chosen": 1, "rejected": 2}, "row 0, chosen, message 1: its content is 1"),
    ],
)
def test_a_row_of_a_list_is_told_by_its_number(row: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        PairWorld([row])
