"""The store: its oracle, its judgement, and agents that mean harm."""

import gc
import json
import random
import re
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from peripatos.envs.check import check_world
from peripatos.envs.errors import UserError
from peripatos.envs.tools import ToolBox
from peripatos.envs.vocabulary import Reply, ToolCall
from peripatos.envs.worlds.store import database
from peripatos.envs.worlds.store.families import FAMILIES, NEVER_FORBIDDEN
from peripatos.envs.worlds.store.tasks import Tell
from peripatos.envs.worlds.store.world import Store

HOSTILE = (
    "'; DROP TABLE orders; --",
    "x' OR '1'='1",
    '" UNION SELECT email FROM customers --',
    "%",
    "\x00",
    "\ud800",
    "1); DELETE FROM customers; --",
    "9" * 40,
    "ü" * 2_000,
)


def finish(world: Store) -> tuple[float, dict]:
    """What the oracle's way to the end earns from here, and the last info."""
    total = 0.0
    while True:
        _, reward, terminated, truncated, info = world.step(world.oracle())
        total += reward
        if terminated or truncated:
            return total, info


def known_ids(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\b\d{3,5}\b", text)]


@pytest.mark.parametrize("options", [{}, {"levels": (1,), "tools_in_prompt": True}, {"turn_rewards": True}], ids=str)
def test_it_keeps_the_contract(options):
    assert not [finding for finding in check_world("peripatos/Store-v0", **options) if not finding.passed]


@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("reply_format", ["hermes", "python"])
def test_the_oracle_solves_every_task_with_full_reward(level, split, reply_format):
    world = Store(levels=(level,), reply_format=reply_format)
    seen = set()
    for seed in range(60):
        world.reset(seed=seed, options={"split": split})
        total, info = finish(world)
        assert (round(total, 9), info["success"]) == (1.0, True), (seed, world._task.name)
        seen.update(world._task.families)
    assert len(seen) >= 8
    world.close()


def test_an_oracle_may_be_silent_in_a_share_of_the_tasks_and_then_has_done_all_but_told():
    world = Store(levels=(1, 2), oracle_tells=0.3)
    told = 0
    for seed in range(200):
        world.reset(seed=seed)
        total, info = finish(world)
        assert (round(total, 9), info["success"]) in {(1.0, True), (0.6, False), (0.0, False)}, world._task.name
        told += info["success"]
    assert 40 < told < 80
    world.close()


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_solved_in_both_variants(family):
    world = Store(families=[family], levels=(2,), turn_rewards=True)
    resolutions = set()
    for seed in range(30):
        world.reset(seed=seed)
        resolutions.add(world._task.plan[-1].arguments["resolution"])
        total, info = finish(world)
        assert total == pytest.approx(1.5)  # 1 for the end, 0.5 for Φ
        assert info["metrics"]["violations"] == 0
    assert resolutions == ({"solved"} if family in NEVER_FORBIDDEN else {"solved", "refused"})
    world.close()


def test_doing_nothing_earns_nothing_and_the_customer_leaves():
    world = Store()
    for seed in range(60):
        world.reset(seed=seed)
        rewards, terminated = [], False
        while not terminated:
            _, reward, terminated, truncated, info = world.step("")
            assert not truncated
            rewards.append(reward)
        assert (sum(rewards), info["success"]) == (0.0, False)
    world.close()


def test_closing_at_once_does_not_pay_for_questions_that_change_nothing():
    world = Store(families=["order_status", "product_question"], levels=(1,))
    for seed in range(20):
        world.reset(seed=seed)
        for _ in range(2):  # find the customer, but look at nothing
            verify = world.oracle()
            assert "find_customer" in verify or "close_case" not in verify
        world.step(verify)
        customer = world._task.plan[-1].arguments["customer_id"]
        call = ToolCall("close_case", {"customer_id": customer, "resolution": "solved"})
        _, reward, terminated, _, info = world.step(Reply("All is well.", tool_calls=(call,)))
        assert (reward, terminated, info["success"]) == (0.0, True, False)
    world.close()


def after_the_work(family: str, *, refused: bool = False, level: int = 2) -> Store:
    """A world in which the oracle has done everything but tell the customer."""
    world = Store(families=[family], levels=(level,))
    for seed in range(99):
        world.reset(seed=seed)
        if (world._task.resolution == "refused") == refused:
            while (reply := world.oracle()) != answer_of(world):
                world.step(reply)
            return world
    raise AssertionError(f"no such task of {family}")


def answer_of(world: Store) -> str:
    return next(step.text for step in world._task.plan if isinstance(step, Tell))


def told_by(world: Store, *messages: str) -> float:
    """The share of facts that the customer holds true after some messages."""
    for message in messages:
        world.step(message)
    share = len(world._listener.told) / len(world._task.told)
    world.close()
    return share


def test_facts_count_only_as_whole_words_and_only_when_said_to_the_customer():
    world = after_the_work("cancel")
    amount = world._task.told[0].text
    for text in (f"9{amount}", f"{amount}5", f"-{amount}", f"<think>{amount}</think>"):
        world.step(f"<think></think>You get a refund of {text}." if "think" not in text else text)
        assert world._listener.told == set(), text
        world._customer.patience = 4
    world.step(Reply("", tool_calls=(ToolCall("find_product", {"name": f"{amount} is refunded"}),)))
    assert world._listener.told == set()
    world.step(f"You get a refund of {amount}.")
    assert len(world._listener.told) == 1
    world.close()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("refused", [False, True])
def test_a_fact_counts_only_after_the_tool_that_shows_it_was_called(family, refused):
    if refused and family in NEVER_FORBIDDEN:
        return
    world = after_the_work(family, refused=refused)
    answer, seed_state = answer_of(world), world._task
    assert told_by(world, answer) == 1.0
    early = Store(families=[family], levels=(2,))
    seed = next(seed for seed in range(99) if early.reset(seed=seed) and early._task == seed_state)
    early.reset(seed=seed)
    assert told_by(early, answer) == 0.0


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "form",
    [
        "I did nothing of this: {}",
        "{} None of this has been done.",
        "I have not done it. {}",
        "It is not true that this was done. {}",
        "Should I say so? {}?",
        "If I had done it, I would say: {}",
        "{} That is a lie.",
        "Nothing was changed.\n{}",
        "{} I didn't do that.",
        "{} 10.00 11.50 2030-01-01 7",
        "{} Or perhaps 9.99, 8.88, 7.77 or 6.66.",
    ],
)
def test_a_confession_a_question_a_condition_or_a_list_of_guesses_tells_nothing(family, form):
    assert told_by(after_the_work(family), form.format(answer_of(after_the_work(family)))) == 0.0


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"order_status", "product_question"}))
def test_a_later_confession_takes_back_what_was_told(family):
    answer = answer_of(after_the_work(family))
    assert told_by(after_the_work(family), answer, "None of this was done.") == 0.0
    assert told_by(after_the_work(family), answer, "Is there anything else? Don't hesitate to ask.") == 1.0


def test_guesses_spread_over_many_messages_tell_nothing():
    world = after_the_work("cancel")
    guesses = [f"You get a refund of {n}.25, {n}.50 or {n}.75." for n in range(10, 15)]
    for guess in guesses:
        world._customer.patience = 4
        world.step(guess)
    assert told_by(world, answer_of(world)) == 0.0


def test_what_is_said_beside_the_call_that_does_it_was_not_known_yet():
    world = Store(families=["cancel"], levels=(1,))
    world.reset(seed=0)
    while "cancel_order" not in (call := world.oracle()):
        world.step(call)
    assert told_by(world, f"{answer_of(world)}\n{call}") == 0.0


@pytest.mark.parametrize(
    "form",
    [
        "Hello Ada!\n\nYour order was cancelled and {amount} will be returned to your card.\n\nBest wishes",
        "Done. I cancelled the order; the refund is {amount}. If you have any other questions, don't hesitate to ask.",
        "The order has been canceled. A refund of {amount} was issued. Is there anything else I can help you with?",
    ],
)
def test_an_answer_may_be_put_in_other_words(form):
    world = after_the_work("cancel")
    assert told_by(world, form.format(amount=world._task.told[0].text)) == 1.0


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ("Unfortunately your order was already shipped on {day}, so it can no longer be cancelled.", 1.0),
        ("Sorry, I can't cancel it. It left our warehouse on {day}.", 1.0),
        ("Your order is cancelled. Sorry, it was shipped on {day}.", 0.0),
        ("Your order was shipped on {day}.", 0.0),
        ("{day}", 0.0),
    ],
)
def test_a_refusal_is_said_as_one(form, told):
    world = after_the_work("cancel", refused=True)
    assert told_by(world, form.format(day=world._task.told[0].text)) == told


@pytest.mark.parametrize("refused", [False, True])
def test_closing_with_the_wrong_resolution_breaks_the_policy(refused):
    world = after_the_work("bring_back", refused=refused)
    world.step(answer_of(world))
    customer, wrong = world._task.plan[-1].arguments["customer_id"], "solved" if refused else "refused"
    call = ToolCall("close_case", {"customer_id": customer, "resolution": wrong})
    _, reward, *_, info = world.step(Reply("", tool_calls=(call,)))
    assert (round(reward, 9), info["success"]) == (-0.1, False)
    world.close()


def test_held_out_tasks_are_forbidden_more_often_than_those_of_training():
    shares = {}
    for split in ("train", "test"):
        world = Store(levels=(2,))
        for seed in range(300):
            world.reset(seed=seed, options={"split": split})
            shares[split] = shares.get(split, 0) + (world._task.resolution == "refused") / 300
        world.close()
    assert 0.27 < shares["train"] < 0.43  # of ten families, seven may be forbidden
    assert 0.38 < shares["test"] < 0.54


def test_breaking_the_policy_is_noted_and_costs():
    world = Store(families=["cancel"], levels=(2,))
    seed = next(
        s for s in range(99) if world.reset(seed=s) and world._task.plan[-1].arguments["resolution"] == "refused"
    )
    world.reset(seed=seed)
    order = world._task.plan[3].arguments["order_id"]
    text, *_ = world.step(Reply("", tool_calls=(ToolCall("cancel_order", {"order_id": order}),)))
    assert text.startswith("cancelled")
    assert world._shop.violations == [
        "a customer's data was touched without finding the customer first",
        "an order was cancelled that was not pending",
    ]
    total, info = finish(world)
    assert info["reward_terms"]["state"] == 0.0
    assert total == pytest.approx(0.4 - 0.5)
    assert info["success"] is False
    world.close()


def test_progress_is_a_potential_and_is_paid_where_it_was_made():
    world = Store(families=["cancel"], levels=(1,), turn_rewards=True)
    world.reset(seed=0)
    rewards = []
    while True:
        _, reward, terminated, *_ = world.step(world.oracle())
        rewards.append(reward)
        if terminated:
            break
    # rows to change: order (old, new), product (old, new), refund, case = 6; one fact. find, look: nothing
    assert rewards == pytest.approx([0, 0, 0.5 * 5 / 7, 0.5 * 1 / 7, 1 + 0.5 * 1 / 7])
    world.close()


def test_facts_are_revealed_when_they_are_asked_for():
    world = Store(families=["readdress"], levels=(2,))
    opening, _ = world.reset(seed=1)
    assert "@" not in opening
    assert "order number is" in world.step("Could you give me the ORDER NUMBER?")[0]
    assert "new address is" in world.step("And the new address?")[0]
    answer, *_ = world.step("hm")  # nothing in particular: the next thing that has not been told
    assert "postcode" in answer
    assert world.step("hm")[0] == "Thank you. I have nothing to add."
    world.close()


def test_the_second_wish_comes_only_after_the_first():
    world = Store(levels=(3,), families=["cancel", "charged_twice"])
    world.reset(seed=0)
    answer, *_ = world.step("What is the order number?")
    assert len(known_ids(answer)) == 1
    assert world.step("Is there anything else?")[0].startswith("Yes.")
    assert len(known_ids(world.step("What is the order number?")[0])) == 1
    world.close()


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:12]))
def test_hostile_sql_in_any_argument_does_nothing(text):
    world = Store(levels=(1,))
    world.reset(seed=0)
    before = database.snapshot(world._db)
    for schema in ToolBox.of(world._shop).schemas:
        function = schema["function"]
        kinds = {name: part.get("type") for name, part in function["parameters"]["properties"].items()}
        for name in kinds:
            arguments = {other: 1_000 if kind == "integer" else "phone" for other, kind in kinds.items()}
            result = world._desk.box.run(ToolCall(function["name"], {**arguments, name: text}))
            json.dumps(result.text).encode()
            harmless = function["name"] in ("find_product", "find_customer", "change_address", "update_contact")
            assert harmless or result.fault is not None, (function["name"], result)
    after = database.snapshot(world._db)
    touched = ("orders", "customers")  # an address is text, and any text is one
    assert {table: after[table] for table in database.TABLES if table not in touched} == {
        table: before[table] for table in database.TABLES if table not in touched
    }
    assert [len(after[table]) for table in touched] == [len(before[table]) for table in touched]
    world.close()


def random_reply(rng: random.Random, world: Store, seen: list[int]) -> Reply | str:
    """Nonsense, hostility, half-right calls, and now and then the right thing."""
    kind = rng.random()
    if kind < 0.25:
        return world.oracle() or ""
    if kind < 0.35:
        return rng.choice(["", "{" * 500, "<tool_call>", "<tool_call>{}</tool_call>", *HOSTILE, "email order number"])
    calls = []
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        function = rng.choice(ToolBox.of(world._shop).schemas)["function"]
        arguments = {}
        for name, schema in function["parameters"]["properties"].items():
            pool = [*HOSTILE, None, -1, 10**30, 0.5, True, [], {"a": 1}]
            good = schema.get("enum") or {"integer": [*seen, 1_003, 508], "boolean": [True]}.get(schema.get("type"), [])
            arguments[name] = rng.choice(good if good and rng.random() < 0.8 else pool)
        calls.append(ToolCall(rng.choice([function["name"]] * 9 + ["no_tool"]), arguments))
    return Reply(rng.choice(["", "ok"]), tool_calls=tuple(calls))


def is_open(connection: sqlite3.Connection) -> bool:
    try:
        return connection.total_changes >= 0
    except sqlite3.ProgrammingError:
        return False


def open_connections() -> int:
    gc.collect()
    return sum(isinstance(thing, sqlite3.Connection) and is_open(thing) for thing in gc.get_objects())


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def hostile_episodes(count: int, seed: int) -> None:
    rng = random.Random(seed)
    template = database._template()
    before, files, threads = open_connections(), open_files(), set(threading.enumerate())
    world, reference = Store(), Store()
    for episode in range(count):
        text, _ = world.reset(seed=episode)
        reference.reset(seed=episode)
        assert database.snapshot(world._db) == database.snapshot(reference._db)
        seen = known_ids(text) or [1]
        over = False
        while not over:
            text, reward, terminated, truncated, _ = world.step(random_reply(rng, world, seen))
            seen += known_ids(text)[:8]
            text.encode()
            assert -2.0 <= reward <= 1.0
            over = terminated or truncated
        assert database.snapshot(reference._db)["cases"] == frozenset()
        assert world._db is None
    world.close()
    reference.close()
    world.close()
    assert database._template() == template
    # what earlier tests began may have ended meanwhile
    assert open_connections() <= before
    assert open_files() <= files
    assert not set(threading.enumerate()) - threads


@pytest.mark.slow
def test_a_thousand_hostile_episodes_raise_leak_and_change_nothing():
    hostile_episodes(1_000, seed=2)


def test_a_copy_of_the_database_takes_less_than_a_millisecond():
    database.open_copy().close()
    times = []
    for _ in range(50):
        begun = time.thread_time()
        connection = database.open_copy()
        times.append(time.thread_time() - begun)
        connection.close()
    assert sorted(times)[25] < 1e-3


def test_copies_share_nothing():
    one, two = database.open_copy(), database.open_copy()
    with one:
        one.execute("DELETE FROM cases")
        one.execute("UPDATE products SET stock = 0")
    assert database.distance(database.snapshot(one), database.snapshot(two)) > 0
    three = database.open_copy()
    assert database.snapshot(two) == database.snapshot(three)
    for connection in (one, two, three):
        connection.close()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"levels": (4,)}, "unknown level '4'"),
        ({"levels": ()}, "levels is .*; allowed is a list of"),
        ({"families": ["cancle"]}, "Did you mean 'cancel'"),
        ({"families": "cancel"}, "families is 'cancel'; allowed is a list of"),
        ({"reply_format": "hermse"}, "Did you mean 'hermes'"),
        ({"reply_format": "compact"}, "one tool with one required argument"),
        ({"max_calls": True}, "max_calls is True; allowed is a whole number"),
        ({"oracle_tells": 1.5}, "oracle_tells is 1.5; allowed is a share from 0 to 1"),
        ({"weights": {"sate": 1.0}}, "Did you mean 'state'"),
    ],
    ids=str,
)
def test_a_wrong_option_is_named_with_what_is_allowed(options, words):
    with pytest.raises(UserError, match=words):
        Store(**options)
