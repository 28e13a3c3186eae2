"""A user who talks in a world of tools: by lines, by a rule, by a voice; and a whole small run with one."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

import peripatos
from peripatos.envs.errors import UserError
from peripatos.envs.reported import BadReport
from peripatos.envs.tools import ToolWorld, VoiceUser
from peripatos.envs.tools.prompt_words import described_tools
from peripatos.envs.vocabulary import Message, Reply, ToolCall


class Table:
    """A booking: for how many, and when."""

    def __init__(self, task):
        self.booked: tuple[int, int] | None = None
        self.asked = 0

    def book(self, guests: int, hour: int) -> str:
        """Book a table."""
        self.booked = (guests, hour)
        return "booked"


def is_right(table, task, reply):
    return table.booked == (task["guests"], task["hour"])


def tasks(n: int = 20) -> list[dict]:
    return [
        {
            "prompt": f"A table, please, says guest {n}.",
            "guests": 2 + n % 5,
            "hour": 18 + n % 3,
            "about": f"You are {2 + n % 5} people, and want to come at {18 + n % 3}.",
            "lines": [f"We are {2 + n % 5}.", f"At {18 + n % 3}."],
            "oracle": [
                "For how many?",
                "When?",
                {"name": "book", "arguments": {"guests": 2 + n % 5, "hour": 18 + n % 3}},
                "Done.",
                "Good bye.",
            ],
        }
        for n in range(n)
    ]


def rule(table, task, reply):
    """Says what is asked for, and once all is booked that it was an hour too early."""
    if "many" in reply.text:
        return f"{task['guests']}"
    if "When" in reply.text:
        return f"{task['hour']}"
    table.asked += 1
    return "Thank you!" if table.asked == 1 and table.booked else None


def play(world: ToolWorld, replies: Sequence[str | Reply]) -> tuple[list[str], tuple]:
    """What the user, or a tool, says to each reply, and the last step."""
    world.reset(seed=0)
    steps = [world.step(reply) for reply in replies]
    assert all(not (step[2] or step[3]) for step in steps[:-1])
    for step in steps[:-1]:
        assert step[4]["messages"][-1]["role"] in ("user", "tool")
    return [step[0] for step in steps], steps[-1]


def expert(world: ToolWorld, seed: int = 0) -> tuple[list[str], float, bool | None]:
    """What the expert hears, and how it ends."""
    world.reset(seed=seed)
    heard = []
    while (said := world.oracle()) is not None:
        text, reward, terminated, _, info = world.step(said)
        heard.append(text)
        if terminated:
            return heard, reward, info["success"]
    raise AssertionError("the expert had too few replies")


@pytest.mark.parametrize(
    ("user", "heard"),
    [
        (["First.", "Second.", "Third."], ["First.", "Second.", "booked", "Third.", ""]),
        ("lines", None),
        (rule, None),
    ],
    ids=["list", "key", "rule"],
)
def test_a_user_answers_what_calls_nothing_until_there_is_nothing_more_to_say(user, heard):
    world = ToolWorld(tasks(), Table, is_right, user=user, weights={"tool_call": 0.5})
    said, reward, success = expert(world)
    task = world._task
    if user == "lines":
        heard = [*task["lines"], "booked", ""]
    elif user is rule:
        heard = [f"{task['guests']}", f"{task['hour']}", "booked", "Thank you!", ""]
    assert (said, reward, success) == (heard, 1.0, True)
    world.close()


def test_without_a_user_and_with_one_who_says_nothing_the_first_such_reply_is_judged():
    for user in (None, [], lambda table, task, reply: None):
        world = ToolWorld(tasks(), Table, is_right, user=user)
        _, (_, reward, terminated, _, info) = play(world, ["Hello."])
        assert (reward, terminated, info["success"]) == (0.0, True, False)


def test_a_voice_hears_the_conversation_from_its_side_and_ends_it_with_a_word():
    heard: list[tuple[list[Message], int]] = []

    def voice(messages: Sequence[Message], seed: int) -> str:
        heard.append((list(messages), seed))
        return ["Four.", "At 19.", "Thanks. DONE"][len(heard) - 1]

    world = ToolWorld(tasks(), Table, is_right, user=VoiceUser("guest"))
    assert world.voice_names == ("guest",)
    assert world.waits
    assert ToolWorld.voice_names == ()
    world.voices = {"guest": voice}
    book = Reply("", tool_calls=(ToolCall("book", {"guests": 2, "hour": 18}),))
    said, (_, _, terminated, _, _) = play(world, ["For how many?", "When?", book, "Done."])
    assert (said, terminated) == (["Four.", "At 19.", "booked", ""], True)
    messages, _ = heard[-1]
    assert [message["role"] for message in messages] == [
        "user",
        "assistant",
        "user",
        "assistant",
        "user",
        "assistant",
        "user",
    ]
    assert messages[0]["content"].startswith(world._task["about"])
    assert "DONE" in messages[0]["content"]
    assert [message["content"] for message in messages[1:]] == [
        *(world._task["prompt"], "For how many?", "Four.", "When?", "At 19.", "Done."),
    ]
    seeds = [seed for _, seed in heard]
    assert len(set(seeds)) == 3
    heard.clear()
    play(world, ["For how many?", "When?", book, "Done."])
    assert [seed for _, seed in heard] == seeds
    world.close()


@pytest.mark.parametrize("user", [["First."], "lines", rule, VoiceUser()], ids=lambda user: type(user).__name__)
def test_siblings_share_the_tasks_and_have_users_of_their_own(user):
    world = ToolWorld(tasks(), Table, is_right, user=user)
    other = world.another()
    assert other is not None
    assert other.voice_names == world.voice_names
    for one in (world, other):
        one.voices = {"user": lambda messages, seed: "First."}
    world.reset(seed=0)
    other.reset(seed=0)
    assert world.step("When?")[0] == other.step("When?")[0] != ""
    world.close()
    other.close()


def test_a_rule_counts_as_a_part_of_the_reward():
    with_rule, without = (ToolWorld(tasks(), Table, is_right, user=user) for user in (rule, None))
    assert with_rule.scored_by == f"{without.scored_by}, {__name__}:rule {without.scored_by.split(':is_right ')[1]}"


@pytest.mark.parametrize(
    ("user", "words"),
    [
        (7, r"user is 7; allowed is a list of lines that are not empty, the key .*, a function of \(tools, t"),
        ([""], r"user is \[''\]; allowed is a list of lines"),
        ([7], r"user is \[7\]; allowed"),
        (lambda task: "x", r"`user` \(<lambda>\) is called with \(tools, task, reply\)"),
    ],
)
def test_what_cannot_be_a_user_is_refused_when_the_world_is_made(user, words):
    with pytest.raises(UserError, match=words):
        ToolWorld(tasks(), Table, is_right, user=user)


def test_a_task_without_its_users_lines_and_a_rule_that_gives_no_text_are_named():
    with pytest.raises(UserError, match=r"the task '.+' has no 'line', its user's lines\. Did you mean 'lines'\?"):
        ToolWorld(tasks(), Table, is_right, user="line").reset(seed=0)
    with pytest.raises(UserError, match=r"hour is .*; allowed is a list of lines that are not empty"):
        ToolWorld(tasks(), Table, is_right, user="hour").reset(seed=0)
    world = ToolWorld(tasks(), Table, is_right, user=lambda table, task, reply: 7)
    world.reset(seed=0)
    with pytest.raises(BadReport, match=r"`user` \(<lambda>\) returned 7; it returns a text, or None"):
        world.step("Hello.")


def guest(messages: Sequence[Message], seed: int) -> str:
    """A voice by a rule, as a scenario names it."""
    who, asked = messages[0]["content"].split(), messages[-1]["content"]
    return who[2] if "many" in asked else who[10].rstrip(".") if "When" in asked else "DONE"


def talking() -> ToolWorld:
    """A world whose user is a voice."""
    return ToolWorld(tasks(), Table, is_right, user=VoiceUser("guest"), reply_format="python")


SCENARIO = """\
name: booking
world: {id: "talking_user:talking", voices: {guest: {kind: scripted, function: "talking_user:guest"}}}
agent: {kind: oracle}
stages: [{name: look}]
evaluation: {episodes: 4}
"""


def test_a_scenario_says_who_the_user_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "talking_user.py").write_text(Path(__file__).read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "booking.yaml").write_text(SCENARIO, encoding="utf-8")
    run = peripatos.run(tmp_path / "booking.yaml", out=tmp_path / "run")
    assert run.evaluations[-1]["success_rate"] == 1.0
    messages = run.episodes()[0]["messages"]
    assert [message["role"] for message in messages[:5]] == ["user", "assistant", "user", "assistant", "user"]
    assert messages[2]["content"].isdecimal()


def test_what_the_page_on_tools_shows_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    page = (Path(__file__).parents[3] / "docs" / "tools.md").read_text(encoding="utf-8")
    (tmp_path / "page_on_tools.py").write_text(page.partition("```python\n")[2].partition("```")[0], encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    world = importlib.import_module("page_on_tools").booking()
    _, info = world.reset(seed=0)
    words = described_tools(info["tools"], "").splitlines()[1:-1]
    assert "\n".join(words) in page
    assert world.step("For how many?")[0] == f"There are {world._task['guests']} of us."
    booked = ToolCall("book", {"guests": world._task["guests"], "area": "inside"})
    assert world.step(Reply("", tool_calls=(booked,)))[0] == f'{{"booked": [{world._task["guests"]}], "at": "inside"}}'
    assert world.step("Done.")[0] == "Outside, please: the sun is out."
    world.step(Reply("", tool_calls=(replace(booked, arguments={**booked.arguments, "area": "terrace"}),)))
    assert world.step("Done.")[1:3] == (1.0, True)
