"""Worlds from an object with methods: a new user's lamps, and what a desk does with hostile replies."""

import asyncio
import time

import pytest

from peripatos.envs.check import check_world
from peripatos.envs.conversation import Outcome
from peripatos.envs.errors import UserError
from peripatos.envs.reported import BadReport
from peripatos.envs.tools import Tool, ToolWorld
from peripatos.envs.vocabulary import Reply, ToolCall, WorldFailure

ROOMS = ("hall", "attic", "cellar", "kitchen", "bath")


class Lamps:
    """The state of one episode; its public methods are the tools."""

    open = 0

    def __init__(self, task):
        self.lit = set(task["lit"])
        Lamps.open += 1

    def switch(self, room: str, on: bool) -> str:
        """Switch the lamp of a room on or off."""
        if room not in ROOMS:
            raise ValueError(f"there is no {room}")
        (self.lit.add if on else self.lit.discard)(room)
        return f"{room} is {'on' if on else 'off'}"

    def close(self):
        Lamps.open -= 1


@pytest.fixture(autouse=True)
def nothing_open():
    Lamps.open = 0


def check(lamps, task, reply):
    return lamps.lit == set(task["wanted"])


def lamp_task(rng):
    wanted = sorted(rng.choice(ROOMS, size=2, replace=False).tolist())
    steps = [{"name": "switch", "arguments": {"room": room, "on": True}} for room in wanted]
    number = int(rng.integers(1000))
    prompt = f"House {number}: light {' and '.join(wanted)}."
    return {"prompt": prompt, "lit": [], "wanted": wanted, "oracle": [*steps, "Done."]}


def lamps(**options) -> ToolWorld:
    return ToolWorld(lamp_task, Lamps, check, **options)


def call(room: str, on: bool = True) -> ToolCall:
    return ToolCall("switch", {"room": room, "on": on}, id="1")


@pytest.mark.parametrize("reply_format", ["hermes", "llama3", "python"])
def test_a_world_from_a_class_keeps_the_contract(reply_format):
    findings = check_world(lamps(reply_format=reply_format))
    assert not [finding for finding in findings if not finding.passed]
    assert Lamps.open == 0


def test_calls_in_text_and_parsed_calls_do_the_same():
    for reply in (
        '<tool_call>{"name": "switch", "arguments": {"room": "hall", "on": true}}</tool_call>',
        Reply("whatever was said", tool_calls=(call("hall"),)),
    ):
        world = lamps()
        _, info = world.reset(seed=0)
        assert [tool["function"]["name"] for tool in info["tools"]] == ["switch"]
        text, reward, terminated, truncated, info = world.step(reply)
        assert (text, reward, terminated, truncated, info["success"]) == ("hall is on", 0.0, False, False, None)
        assert info["messages"][0]["role"] == "tool"
        assert info["metrics"] == {"tool_calls": 1.0, "tool_faults": 0.0}
        world.close()


def test_several_calls_are_executed_in_order_and_each_is_answered():
    world = lamps(weights={"tool_error": 0.5, "tool_call": 0.125})
    world.reset(seed=0)
    _, reward, _, _, info = world.step(Reply("", tool_calls=(call("hall"), call("moon"), call("hall", False))))
    contents = [message["content"] for message in info["messages"]]
    assert contents == ["hall is on", "switch failed: ValueError: there is no moon", "hall is off"]
    assert info["messages"][0]["tool_call_id"] == "1"
    assert info["reward_terms"] == {"reward": 0.0, "malformed": 0.0, "tool_error": -0.5, "tool_call": -0.375}
    assert reward == -0.875


def test_a_malformed_reply_executes_nothing_and_may_cost():
    world = lamps(weights={"malformed": 0.25})
    world.reset(seed=0)
    good = '<tool_call>{"name": "switch", "arguments": {"room": "hall", "on": true}}</tool_call>'
    text, reward, terminated, *_ = world.step(good + "<tool_call>{")
    assert (reward, terminated) == (-0.25, False)
    assert "not JSON" in text
    assert "To call a tool, write" in text
    text, reward, *_ = world.step(Reply("", tool_calls=(call("hall"),), parse_error="somebody else's words"))
    assert "somebody else's words" in text
    assert reward == -0.25
    assert world._host.lit == set()


class Troubles:
    """Every way in which a tool can fail."""

    def __init__(self, task):
        self.reached = []

    def echo(self, text: str = "", n: int = 0) -> str:
        """Say the same."""
        self.reached.append((text, n))
        return text

    def raises(self) -> str:
        """Fail."""
        raise RuntimeError("out of order")

    def hangs(self) -> str:
        """Wait."""
        time.sleep(5)
        return "late"

    def bytes(self) -> bytes:
        """Give bytes that are no text."""
        return b"\xff\x00"

    async def never(self) -> str:
        """Wait for somebody."""
        await asyncio.sleep(60)
        return "late"


def tag(call: str) -> str:
    return f"<tool_call>{call}</tool_call>"


@pytest.mark.parametrize(
    ("said", "words", "malformed"),
    [
        (tag('{"name": "ecoh"}'), "unknown tool 'ecoh'", False),
        (tag('{"name": "echo", "arguments": {"n": "many"}}'), "n: Input should be a valid integer", False),
        (tag('{"name": "echo", "arguments": {"txet": "a"}}'), "txet: Extra inputs", False),
        (tag('{"name": "echo", "arguments": {"text": "' + "x" * 100_000 + '"}}'), "characters of arguments", False),
        (tag('{"name": "echo", "arguments": {"text": "' + "x" * 1_000_000 + '"}}'), "the reply has 1000", True),
        (tag('{"name": "echo", "arguments": ' + '{"a":' * 20_000), "nested too deeply", True),
        (tag('{"name": "echo", "arguments": {"text": ' + "[" * 300 + "]" * 300 + "}}"), "text: Input should", False),
        (tag(tag('{"name": "echo"}')), "inside another one", True),
        (tag('{"name": "echo", "arguments": {"text": ' + tag('{"name": "echo"}') + "}}"), "inside another one", True),
        ('<tool_call>{"name": "echo", "arguments": {"text": "a', "not JSON", True),
        ('<tool_call>{"name": "echo", "arguments": {"text": "a"}}', "</tool_call> is missing", True),
        (tag('{"name": "raises"}'), "raises failed: RuntimeError: out of order", False),
        (tag('{"name": "hangs"}'), "did not answer within 1 s", False),
        (tag('{"name": "never"}'), "did not answer within 1 s", False),
    ],
    ids=lambda value: str(value)[:50],
)
def test_every_bad_call_is_a_message_a_term_and_no_end(said, words, malformed):
    weights = {"malformed": 0.5, "tool_error": 0.25}
    timeout = 1.0 if "did not answer" in words else 60.0
    world = ToolWorld(["Go."], Troubles, lambda host, task, reply: True, weights=weights, timeout=timeout)
    world.reset(seed=0, options={"split": "train" if world.tasks_in("train") else "test"})
    text, reward, terminated, truncated, info = world.step(said)
    assert words in text
    assert len(text) < 900
    assert (terminated, truncated, reward) == (False, False, -0.5 if malformed else -0.25)
    assert info["metrics"]["tool_faults"] == 1.0
    assert world._host.reached == []
    assert world.step(tag('{"name": "echo", "arguments": {"text": "still here"}}'))[0] == "still here"
    assert world.step("Done.")[1:3] == (1.0, True)


def test_a_result_that_cannot_be_told_is_the_authors_fault_and_fails_the_episode():
    world = ToolWorld(["Go."], Troubles, lambda host, task, reply: True)
    world.reset(seed=0, options={"split": "train" if world.tasks_in("train") else "test"})
    with pytest.raises(WorldFailure, match="the tool 'bytes' returned bytes that are no text in UTF-8"):
        world.step(tag('{"name": "bytes"}'))
    world.close()


def test_a_call_may_stand_in_the_place_of_an_argument():
    class Post:
        def __init__(self, task):
            self.sent = []

        def find(self, name: str) -> dict[str, int]:
            """The address of somebody."""
            if name == "Bob":
                raise LookupError("no Bob")
            return {"house": len(name)}

        def send(self, to: dict[str, int], copies: int = 1) -> str:
            """Send a letter."""
            self.sent.append((to, copies))
            return f"sent to {to['house']}"

    world = ToolWorld(["Go."], Post, lambda post, task, reply: True, reply_format="python", weights={"tool_call": 1.0})
    world.reset(seed=0, options={"split": "train" if world.tasks_in("train") else "test"})
    text, reward, _, _, info = world.step("[send(find('Ann')), send(find(name='Eve'), copies=2)]")
    assert [message["content"] for message in info["messages"]] == ["sent to 3", "sent to 3"]
    assert (text, reward, world._host.sent) == ("sent to 3", -4.0, [({"house": 3}, 1), ({"house": 3}, 2)])
    text, reward, _, _, info = world.step("[send(find('Bob'))]")
    assert text == "send was not called: find failed: LookupError: no Bob"
    assert (reward, info["metrics"], len(world._host.sent)) == (-1.0, {"tool_calls": 5.0, "tool_faults": 1.0}, 2)
    for levels in (65, 240, 250, 260, 5_000):
        argument: object = "x"
        for _ in range(levels):
            argument = {"$call": "find", "arguments": {"name": argument}}
        text = world.step(Reply("", tool_calls=(ToolCall("send", {"to": argument}),)))[0]
        assert text == "send was not called: the calls in its arguments are nested too deeply"
    inner: object = "Bob"
    for _ in range(64):
        inner = {"$call": "find", "arguments": {"name": inner}}
    text = world.step(Reply("", tool_calls=(ToolCall("send", {"to": inner}),)))[0]
    assert text == "send was not called: find failed: LookupError: no Bob"
    deep: object = "x"
    for _ in range(100_000):
        deep = [deep]
    text = world.step(Reply("", tool_calls=(ToolCall("send", {"to": deep}),)))[0]
    assert "the arguments are not JSON" in text
    world.close()


def test_the_worlds_own_limit_is_the_only_one_on_calls_in_a_reply():
    world = lamps(max_calls=40)
    world.reset(seed=0)
    reply = "".join(tag('{"name": "switch", "arguments": {"room": "hall", "on": true}}') for _ in range(40))
    info = world.step(reply)[4]
    assert (len(info["messages"]), info["metrics"]["tool_calls"]) == (40, 40.0)
    _, _, _, truncated, info = world.step(Reply("", tool_calls=(call("hall"),)))
    assert truncated
    assert info["reward_terms"]["malformed"] == 0.0
    assert info["messages"][0]["content"] == "no more than 40 calls are allowed in an episode (max_calls)"


def test_a_megabyte_of_parsed_arguments_is_refused_as_well():
    world = ToolWorld(["Go."], Troubles, lambda host, task, reply: True)
    world.reset(seed=0, options={"split": "train" if world.tasks_in("train") else "test"})
    for arguments in ({"text": "x" * 1_000_000}, {"text": "a", "x" * 1_000_000: 1}, {"n": 10**400_000}):
        assert "arguments" in world.step(Reply("", tool_calls=(ToolCall("echo", arguments),)))[0]
    assert world._host.reached == []
    world.close()


def test_one_call_too_many_truncates_without_a_check():
    world = lamps(max_calls=2)
    world.reset(seed=0)
    host = world._host
    reply = Reply("", tool_calls=(call("hall"), call("bath"), call("attic")))
    text, reward, terminated, truncated, info = world.step(reply)
    assert (reward, terminated, truncated, info["success"]) == (0.0, False, True, None)
    assert text == "no more than 2 calls are allowed in an episode (max_calls)"
    assert host.lit == {"hall", "bath"}


def test_the_final_reply_is_judged_whatever_it_says():
    world = lamps()
    _, info = world.reset(seed=4)
    while (step := world.oracle()) is not None:
        _, reward, terminated, _, info = world.step(step)
    assert (reward, terminated, info["success"]) == (1.0, True, True)
    world.reset(seed=4)
    _, reward, terminated, _, info = world.step("I did nothing.")
    assert (reward, terminated, info["success"]) == (0.0, True, False)
    world.close()


def test_terms_and_outcomes_of_a_check_are_kept():
    def judged(lamps, task, reply):
        return Outcome(terms={"goal": 1, "talk": len(reply.text)}, terminated=True)

    world = ToolWorld(lamp_task, Lamps, judged, weights={"goal": 2.0, "talk": -0.1})
    world.reset(seed=0)
    assert world.step("four")[1] == pytest.approx(2 - 0.4)
    world.close()


def test_tools_may_be_described_in_the_prompt():
    world = lamps(tools_in_prompt=True)
    _, info = world.reset(seed=0)
    assert info["tools"] == []
    assert info["messages"][0]["role"] == "system"
    assert "- switch(room: string, on: boolean): Switch the lamp of a room on or off." in info["messages"][0]["content"]
    world.close()


def test_the_object_is_closed_with_the_last_turn_of_its_episode():
    for replies in (["done"], [""] * 40, [Reply("", tool_calls=(call("hall"),) * 33)]):
        world = lamps()
        world.reset(seed=0)
        for reply in replies:
            assert Lamps.open == 1
            _, _, terminated, truncated, _ = world.step(reply)
            if terminated or truncated:
                break
        assert Lamps.open == 0
        world.close()
        assert Lamps.open == 0


def test_an_action_that_is_no_reply_ends_nothing_and_a_world_that_breaks_ends_its_episode():
    def broken(lamps, task, reply):
        raise WorldFailure("the house is gone")

    world = ToolWorld(lamp_task, Lamps, broken)
    world.reset(seed=0)
    with pytest.raises(TypeError):
        world.step(7)
    assert Lamps.open == 1
    with pytest.raises(WorldFailure, match="house"):
        world.step("done")
    assert Lamps.open == 0


def test_several_objects_are_the_tools_of_one_world_and_all_are_closed():
    closed = []

    class Radio:
        def tune(self, station: str) -> str:
            """Tune the radio."""
            return f"plays {station}"

        def close(self):
            closed.append(self)
            raise OSError("stuck")

    def parts(task):
        return [Lamps(task), Radio(), Tool.from_function(len_of)]

    def len_of(text: str) -> int:
        """The length of a text."""
        return len(text)

    world = ToolWorld(lamp_task, parts, lambda parts, task, reply: check(parts[0], task, reply))
    _, info = world.reset(seed=0)
    assert [tool["function"]["name"] for tool in info["tools"]] == ["switch", "tune", "len_of"]
    calls = (ToolCall("tune", {"station": "jazz"}), ToolCall("len_of", {"text": "four"}), call("hall"))
    messages = world.step(Reply("", tool_calls=calls))[4]["messages"]
    assert [message["content"] for message in messages] == ["plays jazz", "4", "hall is on"]
    with pytest.raises(OSError, match="stuck"):
        world.close()
    assert (len(closed), Lamps.open) == (1, 0)
    world.close()


def test_tools_that_may_wait_are_stepped_in_threads_and_trusted_ones_in_place():
    assert lamps().waits
    assert not lamps(timeout=None).waits
    assert not ToolWorld.waits


def test_what_a_newcomer_gets_wrong_is_named_before_the_first_episode():
    with pytest.raises(UserError, match=r"tools is <.*; allowed is a class or a function of a task"):
        ToolWorld(["Go."], Lamps({"lit": []}), check)
    with pytest.raises(UserError, match=r"check is True; allowed is a class or a function"):
        ToolWorld(["Go."], Lamps, True)


def test_a_check_that_forgets_to_return_says_so():
    world = ToolWorld(lamp_task, Lamps, lambda lamps, task, reply: None)
    world.reset(seed=0)
    with pytest.raises(BadReport, match=r"`check` \(<lambda>\) returned None"):
        world.step("Done.")


@pytest.mark.parametrize("oracle", [7, {"name": "switch"}, ["Done.", 7], [{"arguments": {}}], [{"name": 7}]])
def test_an_oracle_that_is_no_list_of_texts_and_calls_is_refused_when_the_world_is_made(oracle):
    with pytest.raises(UserError, match=r"task 0: oracle is .*; allowed are text and a list"):
        ToolWorld([{"prompt": "Go.", "oracle": oracle}], Lamps, lambda lamps, task, reply: True)


def test_wrong_options_are_named():
    with pytest.raises(UserError, match="max_calls is 0; allowed is a whole number"):
        lamps(max_calls=0)
    with pytest.raises(UserError, match="timeout is 0; allowed are seconds above 0"):
        lamps(timeout=0)
    with pytest.raises(UserError, match="Did you mean 'hermes'"):
        lamps(reply_format="hermse").reset(seed=0)


@pytest.mark.parametrize("arguments", ["x", ["hall"], 7, None])
def test_an_oracle_whose_call_has_no_arguments_by_name_is_refused_when_the_world_is_made(arguments):
    tasks = [{"prompt": "Go.", "oracle": [{"name": "switch", "arguments": arguments}, "Done."]}]
    with pytest.raises(UserError, match=r"task 0: oracle calls 'switch' with arguments .*; allowed is a mapping"):
        ToolWorld(tasks, Lamps, lambda lamps, task, reply: True)


def test_an_oracle_that_ends_before_the_episode_fails_the_check_and_is_named_with_its_task():
    def made(steps):
        return ToolWorld([{"prompt": f"Light {n}.", "lit": [], "oracle": steps} for n in range(8)], Lamps, is_lit)

    def is_lit(lamps, task, reply):
        return bool(lamps.lit)

    call = {"name": "switch", "arguments": {"room": "hall", "on": True}}
    short = {finding.check: finding for finding in check_world(made([call]))}["the oracle succeeds"]
    assert not short.passed
    assert "the task 'Light " in short.detail
    assert "the oracle has 1 step, and the episode goes on after it" in short.detail
    world = made([call, call])
    world.reset(seed=0)
    for _ in range(2):
        world.step(world.oracle())
    with pytest.raises(UserError, match="the oracle has 2 steps"):
        world.oracle()
    whole = {finding.check: finding for finding in check_world(made([call, "Done."]))}["the oracle succeeds"]
    assert (whole.passed, whole.detail) == (True, "")
    none = {finding.check: finding for finding in check_world(made([]))}["the oracle succeeds"]
    assert (none.passed, none.detail) == (True, "this world has no oracle")


@pytest.mark.parametrize("reply_format", ["python", "lfm"])
@pytest.mark.parametrize(("tool", "argument"), [("get-weather", "city"), ("f", "from"), ("f", "user-id"), ("if", "a")])
def test_a_name_that_python_has_not_is_refused_in_formats_that_write_python(reply_format, tool, argument):
    parameters = {"type": "object", "properties": {"a": {"type": "string"}, argument: {"type": "string"}}}
    odd = Tool(tool, "", parameters, lambda given: given, lambda **given: "x")
    world = ToolWorld(["Go."], lambda task: odd, lambda *_: True, reply_format=reply_format)
    name = argument if tool == "f" else tool
    with pytest.raises(UserError, match=rf"no such name as .*'{name}'; use another reply_format, such as 'hermes'"):
        world.reset(seed=0)
    ToolWorld(["Go."], lambda task: odd, lambda *_: True).reset(seed=0)
