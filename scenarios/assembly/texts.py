"""The plain text that a stage learns from, in the tokens of its agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ...agents.protocols import Policy
from ...envs.conversation.written_texts import WrittenTexts
from ..config.mistakes import at
from ..config.schema import Scenario, Stage
from .rendering import context_of, make_renderer
from .settings import learns_from_shown
from .worlds import WorldSources

if TYPE_CHECKING:
    from ...agents.language.language_policy import LanguagePolicy
    from ...agents.language.text_actor import TextActor, Windows


def texts_of(stage: Stage) -> WrittenTexts | None:
    """Those of a stage that has some. UserError for a source that cannot be read."""
    shown = stage.demonstrations
    return None if shown is None or shown.text is None else WrittenTexts(shown.text)


def make_text_actor(scenario: Scenario, texts: WrittenTexts, policy: LanguagePolicy) -> TextActor:
    """Who brings the texts of a stage."""
    from ...agents.language.text_actor import TextActor

    return TextActor(_windows(scenario, texts, policy), make_renderer(policy, scenario))


def updates_in_epoch(scenario: Scenario, stage: Stage, policy: Policy | None, sources: WorldSources) -> float | None:
    """How many updates are a pass over all that a stage learns from; None where nobody knows how much that is."""
    texts = texts_of(stage)
    if texts is None or not learns_from_shown(stage):
        return sources.epoch(stage)
    assert stage.collect is not None, "the schema asks for it"
    return len(_windows(scenario, texts, policy).windows) / stage.collect.groups


def remarks_on_texts(scenario: Scenario, policy: Policy) -> list[str]:
    """What is to be said of the texts that stages learn from, a sentence each."""
    said = []
    for number, stage in enumerate(scenario.stages):
        with at("stages", number, "demonstrations", "text"):
            texts = texts_of(stage)
            if texts is None:
                continue
            windows = _windows(scenario, texts, policy)
        context, many = context_of(cast("LanguagePolicy", policy), scenario), len(texts.texts)
        cut = f"{_count(many, 'text')} in {_count(len(windows.windows), 'window')} of up to {context:,} tokens"
        remarks = [*texts.remarks, f"{cut}, of which {windows.learned:,} are learned in one pass"]
        if windows.too_short:
            few = f"{len(windows.too_short):,} of {_count(many, 'text')} have no token behind the first"
            remarks.append(f"{few}, and are left out; the first is {windows.too_short[0]}")
        said += [f"{stage.name}: {remark}" for remark in remarks]
    return said


def _windows(scenario: Scenario, texts: WrittenTexts, policy: Policy | None) -> Windows:
    """UserError where nothing of the texts can be learned."""
    from ...agents.language.language_policy import LanguagePolicy
    from ...agents.language.text_actor import cut_texts

    assert isinstance(policy, LanguagePolicy), "checked before: what is written down is for agents that speak"
    return cut_texts(texts.texts, make_renderer(policy, scenario), context_of(policy, scenario))


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"
