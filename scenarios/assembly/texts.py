"""The plain text that a stage learns from, in the tokens of its agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast
from weakref import WeakKeyDictionary

from ...agents.protocols import Policy
from ...envs.conversation.written_texts import WrittenText, WrittenTexts
from ..config.mistakes import at
from ..config.schema import Sampling, Scenario, Stage
from .rendering import context_of, make_renderer
from .settings import learns_from_shown
from .worlds import WorldSources

if TYPE_CHECKING:
    from ...agents.language.language_policy import LanguagePolicy
    from ...agents.language.text_actor import TextActor, Windows

# what was cut for a policy: remarks, epochs and the actor ask for the same, and a book takes minutes to be encoded
_CUT: WeakKeyDictionary[Policy, dict[tuple[tuple[WrittenText, ...], int], Windows]] = WeakKeyDictionary()


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
        language = cast("LanguagePolicy", policy)
        context, many = context_of(language, scenario), len(texts.texts)
        cut = f"{_count(many, 'text')} in {_count(len(windows.windows), 'window')} of up to {context:,} tokens"
        remarks = [*texts.remarks, f"{cut}, of which {windows.learned:,} are learned in one pass"]
        if windows.too_short:
            few = f"{len(windows.too_short):,} of {_count(many, 'text')} have no token behind the first"
            remarks.append(f"{few}, and are left out; the first is {windows.too_short[0]}")
        remarks += [*_on_unknown(windows, language), *_on_sampling(scenario), *_on_repeats(stage, windows)]
        said += [f"{stage.name}: {remark}" for remark in remarks]
    return said


def _on_unknown(windows: Windows, policy: LanguagePolicy) -> list[str]:
    """A sentence where the tokenizer cannot write all of the texts."""
    name, number = policy.tokenizer.unk_token, policy.tokenizer.unk_token_id
    many = 0 if number is None else sum(int((window.tokens[1:] == number).sum()) for window in windows.windows)
    if not many:
        return []
    share = f"{many:,} of {windows.learned:,} ({many / windows.learned:.1%})"
    return [f"{share} of the tokens that are learned are {name}: characters that the tokenizer does not have"]


def _on_sampling(scenario: Scenario) -> list[str]:
    """A sentence where the distribution that is sampled, which is the one that learns, is not that of pre-training."""
    whole, sampling = Sampling(), scenario.sampling or Sampling()
    names = ("temperature", "top_p", "top_k", "min_p")
    odd = [
        f"sampling.{name} {getattr(sampling, name):g}"
        for name in names
        if getattr(sampling, name) != getattr(whole, name)
    ]
    if not odd:
        return []
    return [
        f"text is learned under the distribution that is sampled ({', '.join(odd)}); pre-training is at temperature 1"
    ]


def _on_repeats(stage: Stage, windows: Windows) -> list[str]:
    """A sentence where one update alone is more than a pass."""
    assert stage.collect is not None, "the schema asks for it"
    many, groups = len(windows.windows), stage.collect.groups
    if groups <= many or not learns_from_shown(stage):
        return []
    return [
        f"an update learns {groups:,} windows (collect.groups), each of the {many:,} about {groups / many:.3g} times"
    ]


def _windows(scenario: Scenario, texts: WrittenTexts, policy: Policy | None) -> Windows:
    """UserError where nothing of the texts can be learned."""
    from ...agents.language.language_policy import LanguagePolicy
    from ...agents.language.text_actor import cut_texts

    assert isinstance(policy, LanguagePolicy), "checked before: what is written down is for agents that speak"
    cut, key = _CUT.setdefault(policy, {}), (texts.texts, context_of(policy, scenario))
    if key not in cut:
        cut[key] = cut_texts(texts.texts, make_renderer(policy, scenario), key[1])
    return cut[key]


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"
