"""Checks on how conversations become tokens: what a chat template does to earlier turns, and where a reply ends."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from itertools import pairwise, takewhile

from ...agents.language.authors import Script
from ...agents.language.chat_template import Renderer
from ...agents.language.conversation_actor import ConversationActor
from ...agents.language.language_policy import LanguagePolicy
from ...agents.language.plain_text import MARK
from ...agents.language.talk import Talk
from ...agents.language.template_habits import ASKED, HEARD, SAID, THOUGHT
from ...agents.protocols import Completion, Request
from ...algorithms.learner import Learner
from ...algorithms.methods import METHODS
from ...algorithms.optimizer import OptimizerSettings
from ...envs.registry import stand_in
from ...envs.vocabulary import Batch, Message, Reply, StopReason
from ..assembly.engines import make_engine
from ..assembly.rendering import context_of, make_renderer
from .measures import Measured
from .patient import DoesNotApply, Patient

_TURNS, _MOST = 5, 32  # of the conversation, at least and at most: as many as the world has
_LONG = " ".join(map(str, range(1000, 1400)))  # 2,000 characters, which no template should cut
_LIMIT = 8  # tokens of a reply that is stopped
_SAME = 1e-4  # between log-probabilities of one engine that draws the same twice
Turns = list[tuple[str, bool]]  # how each is rendered, and whether it began a row


def check_template(patient: Patient) -> Measured:
    """Whether each turn's rendering begins with that of the turn before, or begins a row of its own; whether a
    conversation is rendered alike twice; and whether what was said stands in it later, in its order."""
    renderer = make_renderer(_speaker(patient), patient.scenario)
    begin, end = renderer.marks[0]
    texts = [SAID, f"{begin}\n{THOUGHT}\n{end}\n\n{SAID}"] if renderer.thinks else [SAID]
    count = min(max(_TURNS, patient.sources.first.facts.longest_episode or 0), _MOST)
    talks = [_conversation(renderer, text, count) for text in texts]
    wrong = [words for text, turns in zip(texts, talks, strict=True) for words in _faults(renderer, text, turns)]
    wrong += _unasked(patient, renderer)
    anew, later = sum(rewritten for turns in talks for _, rewritten in turns), len(texts) * (count - 1)
    rows = sum(bool(episode.earlier) for episode in patient.collection.episodes)
    said = f"{anew} of {later} later turns are rewritten, and begin a row" if anew else "each turn is a prefix"
    played = f"; of {len(patient.collection.episodes)} episodes {rows} are several rows" if anew or rows else ""
    return Measured(len(wrong), "; ".join(wrong) or said + played)


def check_stop(patient: Patient) -> Measured:
    """Whether every reply that was not cut ends at a stop token, and none goes on behind one; whether the engine stops
    at a token that it is told of; and whether the loss reads the token that ends a reply."""
    policy = _speaker(patient)
    renderer = make_renderer(policy, patient.scenario)
    drawn, written = patient.batch, _written(patient, renderer)
    wrong = [words for batch in (drawn, written) for words in _ends(batch, renderer)]
    wrong += _unread(policy, written)
    stopped = "which is no engine of this process" if patient.scenario.engine else "and stops where it is told"
    if patient.scenario.engine is None:
        wrong += _goes_on(patient, policy, renderer)
    replies = sum(len(list(_replies(batch))) for batch in (drawn, written))
    names = ", ".join(repr(renderer.spell([stop])) for stop in renderer.stop_ids)
    return Measured(len(wrong), wrong[0] if wrong else f"{replies} replies; the engine knows {names}, {stopped}")


def _speaker(patient: Patient) -> LanguagePolicy:
    policy = patient.policy
    if not isinstance(policy, LanguagePolicy):
        raise DoesNotApply("a body says nothing")
    return policy


def _conversation(renderer: Renderer, text: str, count: int) -> Turns:
    """A conversation of `count` turns in which `text` is replied each time; at first everybody is long-winded."""
    talk = Talk(renderer, Reply)
    asked: Message = {"role": "user", "content": f"{ASKED} {_LONG}"}
    talk.begin([asked], [])
    turns = [(renderer.prompt(talk.messages, said=1), False)]
    while len(turns) < count:
        first = len(turns) == 1
        talk.take(talk.write(f"{text} {_LONG}" if first else text), StopReason.STOP)
        answer: Message = {"role": "user", "content": f"{HEARD}{len(turns)}." + f" {_LONG}" * first}
        _, rewritten = talk.go_on([answer])
        turns.append((renderer.prompt(talk.messages, said=1), rewritten))
    return turns


def _faults(renderer: Renderer, text: str, turns: Turns) -> Iterator[str]:
    """What nobody can live with in a conversation, in words."""
    again = _conversation(renderer, text, len(turns))
    for turn, (one, other) in enumerate(zip(turns, again, strict=True), start=1):
        if one != other:
            yield f"turn {turn} is rendered otherwise when it is rendered again"
    for turn, ((before, _), (prompt, rewritten)) in enumerate(pairwise(turns), start=2):
        if not prompt.startswith(before) and not rewritten:
            yield f"turn {turn} does not begin with turn {turn - 1}, and its row goes on all the same"
    for turn, (prompt, _) in enumerate(turns, start=1):
        words = [ASKED, *[f"{HEARD}{n}." for n in range(1, turn)]]
        lost = [word for word in words if word not in prompt]
        if lost or prompt.count(SAID) < turn - 1:
            yield f"turn {turn} has lost what was said before: {', '.join(lost or [SAID])}"
        elif [prompt.find(word) for word in words] != sorted(prompt.find(word) for word in words):
            yield f"turn {turn} tells what was said before in another order"
        elif prompt.count(_LONG) < (1 if turn == 1 else 3):
            yield f"turn {turn} has lost a part of a message of {len(_LONG):,} characters"


def _unasked(patient: Patient, renderer: Renderer) -> Iterator[str]:
    """What a rendering has lost of what the world itself asks at first, in words."""
    opening = list(takewhile(lambda message: message["role"] != "assistant", patient.collection.episodes[0].messages))
    prompt = renderer.prompt(opening, said=len(opening)).replace(MARK, "")
    for message in opening:
        lost = [line.strip() for line in message["content"].splitlines() if line.strip() not in prompt]
        if lost:
            yield f"of what the world asks at first is lost: {lost[0]!r:.80}"


def _written(patient: Patient, renderer: Renderer) -> Batch:
    """A conversation in the first world, in which somebody says the same word each time."""
    source, policy = patient.sources.first, _speaker(patient)
    actor = ConversationActor(
        lambda: source.make(dict.fromkeys(source.facts.voices, stand_in)),
        Script(lambda messages: SAID),
        renderer,
        context=context_of(policy, patient.scenario),
    )
    try:
        batch = actor.collect([0], 1, seed=0, version=0).batch
    finally:
        actor.close()
    if batch is None:
        raise DoesNotApply(f"an episode in which {SAID!r} is said has no reward")
    return batch.to(patient.device)


def _replies(batch: Batch) -> Iterator[tuple[int, list[int]]]:
    """The row and the columns of each reply: chosen tokens of one turn."""
    for row, (mask, turn) in enumerate(zip(batch.mask_B_T.tolist(), batch.turn_B_T.tolist(), strict=True)):
        said = [column for column, chosen in enumerate(mask) if chosen]
        for number in sorted({turn[column] for column in said}):
            yield row, [column for column in said if turn[column] == number]


def _ends(batch: Batch, renderer: Renderer) -> Iterator[str]:
    """Each reply that neither ends at a stop token nor was cut, or that goes on behind one."""
    tokens, cut = batch.inputs["tokens_B_T"].tolist(), batch.notes["cut_B_T"].tolist()
    for row, columns in _replies(batch):
        *within, last = (tokens[row][column] in renderer.stop_ids for column in columns)
        words = renderer.spell([tokens[row][column] for column in columns])
        if any(within):
            yield f"the reply {words!r:.60} goes on behind a stop token"
        if not last and not cut[row][columns[-1]]:
            yield f"the reply {words!r:.60} was not cut, and ends with no stop token"


def _unread(policy: LanguagePolicy, batch: Batch) -> Iterator[str]:
    """Each last token of a reply to which the loss of `sft` gives no weight."""
    learner = Learner(policy, METHODS["sft"], OptimizerSettings(lr=0.0), seed=0)
    weight = learner.update(batch).units.weight_B_T
    policy.zero_grad(set_to_none=True)
    for row, columns in _replies(batch):
        if not bool(weight[row, columns[-1]].abs() > 0):
            yield f"the token that ends reply {int(batch.turn_B_T[row, columns[-1]]) + 1} has no weight in the loss"


def _goes_on(patient: Patient, policy: LanguagePolicy, renderer: Renderer) -> Iterator[str]:
    """Whether a reply goes on behind a token of its own, when it is given again and that token is to end it."""
    batch = patient.batch
    prompt = batch.inputs["tokens_B_T"][0, : int(batch.inputs["first_B"][0])].tolist()
    said = _drawn(patient, policy, renderer, (), prompt)
    last = said.tokens[len(said.tokens) // 2]
    end = said.tokens.index(last) + 1
    found = _drawn(patient, policy, renderer, (last,), prompt)
    if (found.tokens, found.stop_reason) != (said.tokens[:end], StopReason.STOP):
        yield f"a reply that is to end at its token {end} has {len(found.tokens)}, and ends by {found.stop_reason}"
    elif max(abs(one - other) for one, other in zip(found.logp, said.logp, strict=False)) > _SAME:
        yield "tokens have other log-probabilities where one of them ends the reply"


def _drawn(
    patient: Patient, policy: LanguagePolicy, renderer: Renderer, stops: Sequence[int], prompt: Sequence[int]
) -> Completion:
    """The likeliest reply of an engine that stops at `stops` alone."""
    other = copy.copy(renderer)
    other.stop_ids = tuple(stops)
    engine = make_engine(policy, other, patient.scenario)
    try:
        return engine.submit([Request(0, tuple(prompt), _LIMIT, 0, greedy=True)])[0].result()
    finally:
        engine.close()
