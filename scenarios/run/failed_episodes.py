"""Why episodes have no reward, or an expert's earn nothing, in the words that a run says once."""

from __future__ import annotations

from collections.abc import Sequence

from ...envs.vocabulary import Episode, StopReason

FEW = 20  # episodes
_CUT = {
    StopReason.TOOL_LIMIT: "it used up its tool calls",
    StopReason.CONTEXT_LIMIT: "the next prompt did not fit into the model's context",
}


def explain_unanswered(episodes: Sequence[Episode]) -> str | None:
    """What is to be done where no episode at all was answered; None if one was, or failed in another way."""
    if not episodes or any(episode.unanswered is None for episode in episodes):
        return None
    shortest = min(episodes, key=lambda episode: len(episode.tokens))
    return (
        f"none of {len(episodes)} prompts fits into the model's context, so nothing was answered: in the shortest, "
        f"{shortest.unanswered}. Give shorter prompts, or a model with a longer context"
    )


def explain_failures(failed: int, tried: int, share: float, first: str | None, *, whole: bool = False) -> str | None:
    """Why a run cannot go on, where more than a `share` of the episodes have failed. While there are few, and more
    will come, the share is taken of `FEW`; not where they are the `whole` of an evaluation, of which not all may fail.
    """
    if failed <= share * (tried if whole else max(tried, FEW)) and not (whole and tried and failed == tried):
        return None
    return f"{failed} of {tried} episodes failed (failures.max_share is {share:g}); the first failure was:\n{first}"


def judge_evaluation(episodes: Sequence[Episode], share: float) -> str | None:
    """Why an evaluation is worth nothing, where more than a `share` of its episodes have failed."""
    failures = [episode.failure for episode in episodes if episode.failure is not None]
    return explain_failures(len(failures), len(episodes), share, next(iter(failures), None), whole=True)


def first_causes(episodes: Sequence[Episode]) -> dict[str, str]:
    """The first cause for which episodes failed, and for which they were not scored, and the sentence that names it."""
    causes = {
        "failed": [episode.failure for episode in episodes if episode.failure is not None],
        "were not scored": [episode.unscored for episode in episodes if episode.unscored is not None],
    }
    return {
        found[0]: f"{len(found)} of {len(episodes)} episodes {what}; the first cause: {found[0]}"
        for what, found in causes.items()
        if found
    }


def failed_expert(demonstrations: Sequence[Episode]) -> str | None:
    """The sentence where an expert shows nothing that is worth imitating: no success, no positive reward, and something
    that went wrong. None too where a world says nothing about success, and its rewards are below zero."""
    scored = [episode for episode in demonstrations if episode.reward is not None]
    causes = [cause for cause in map(_why_lost, scored) if cause is not None]
    if not causes or any(episode.success or (episode.reward or 0.0) > 0 for episode in scored):
        return None
    many = f"the expert reached the goal in 0 of {len(scored)} demonstrations"
    return f"{many}; the first failed because {causes[0]}"


def _why_lost(episode: Episode) -> str | None:
    """What went wrong in an episode that earned nothing; None where nothing is known to have."""
    unread = next((message["parse_error"] for message in episode.messages if "parse_error" in message), None)
    if unread is not None:
        return f"a tool call could not be read: {unread:.200}"
    if episode.stop_reason in _CUT:
        return _CUT[episode.stop_reason]
    if faults := episode.metrics.get("tool_faults"):
        told = [message["content"] for message in episode.messages if message["role"] == "tool"]
        return f"{faults:g} of its tool calls failed; it was told last: {' '.join(told[-1:])!r:.200}"
    if episode.success is False:
        cut = " and was cut at a limit" if episode.truncated else ""
        return f"the world says so: it earned {episode.reward:g} in {episode.turns} turns{cut}"
    return None
