"""A collection that nobody wants any more, while worlds are at work in threads of their own."""

import threading
from typing import ClassVar

import pytest
from agents_worlds import Echo

from peripatos.agents.language.authors import Chance
from peripatos.agents.language.chat_template import Renderer
from peripatos.agents.language.conversation_actor import ConversationActor
from peripatos.agents.language.tiny_llama import byte_tokenizer
from peripatos.envs.contained import TimeIsUp, give_up
from peripatos.envs.conversation import Outcome
from peripatos.envs.vocabulary import Reply


class Busy(Echo):
    """Each object says in which threads it was at once; the first step of all lasts until it is let go."""

    waits = True
    inside, let_go = threading.Event(), threading.Event()
    both: ClassVar[list[object]] = []

    def respond(self, reply: Reply) -> Outcome:
        if getattr(self, "at_work", False):
            self.both.append(self)
        self.at_work = True
        if not self.inside.is_set():
            self.inside.set()
            self.let_go.wait(60)
        self.at_work = False
        return super().respond(reply)


def test_a_world_that_is_still_at_work_when_a_collection_is_broken_off_plays_no_other_episode() -> None:
    actor = ConversationActor(Busy, Chance(), Renderer(byte_tokenizer()), context=1000)
    broken: list[BaseException] = []

    def collect() -> None:
        with pytest.raises(TimeIsUp) as problem:
            actor.collect([0], 1, seed=0, version=0)
        broken.append(problem.value)

    thread = threading.Thread(target=collect)
    thread.start()
    assert thread.ident is not None
    assert Busy.inside.wait(60)
    give_up(thread.ident)
    thread.join(60)
    give_up(thread.ident, on=False)
    assert broken
    assert [episode.failure for episode in actor.evaluate(1, seed=0, version=0)] == [None]
    assert not Busy.both
    Busy.let_go.set()
    actor.close()
