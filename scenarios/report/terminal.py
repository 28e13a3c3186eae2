"""A transcript in the terminal: turns, tool calls, rewards, and each token on the colour of its number.

    advantage   green above zero, red below, as strong as it is among the episode's largest (or only its sign)
    gap         white at 1e-6 and less, red at 1 and more, on a logarithmic scale
    logp        white where the sampler was certain, blue where the token had a chance of 1/150 or less
    entropy     the same blue, at 5 nats and more; weight and value are coloured as an advantage is

The numbers stand in each turn's heading as well, so that nothing is lost without colours (`NO_COLOR`, a pipe).
Control characters are spelled out: text from a model is hostile, and a terminal obeys.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from ...envs.visible_text import visible
from ..run.rescored import Rescored
from ..streams import data
from .transcript import Line, Token, Transcript

GREEN, RED, BLUE = (0, 150, 70), (215, 40, 40), (40, 110, 215)
WIDTH = 110  # where the output is no terminal
ROLES = {"system": "magenta", "user": "cyan", "assistant": "bold", "tool": "yellow"}


def print_transcript(transcript: Transcript, console: Console | None = None) -> None:
    """Print to stdout, or to `console`."""
    console = console or Console(
        file=data(),
        width=None if data().isatty() or "COLUMNS" in os.environ else WIDTH,
        markup=False,
        highlight=False,
    )
    for text in (*_heading(transcript), *_body(transcript)):
        console.print(text)


def color(value: float | None, measure: str, largest: float) -> tuple[int, int, int] | None:
    """What colour a token is printed on; None for none. `largest` is the largest |value| of the episode."""
    if value is None or not math.isfinite(value) or value == 0:
        return None
    match measure:
        case "advantage" | "sign" | "weight" | "value":
            return _mixed(GREEN if value > 0 else RED, 0.25 + 0.75 * abs(value) / largest)
        case "gap":
            return _mixed(RED, (math.log10(abs(value)) + 6) / 6)
        case _:
            return _mixed(BLUE, abs(value) / 5)


def _mixed(hue: tuple[int, int, int], strength: float) -> tuple[int, int, int] | None:
    """`hue` mixed with white; None where nothing of it is left."""
    share = min(1.0, strength)
    if share < 0.05:
        return None
    red, green, blue = (round(255 + (part - 255) * share) for part in hue)
    return red, green, blue


def _heading(transcript: Transcript) -> list[Text]:
    episode = transcript.episode
    first = (
        f"update {transcript.update}, {episode.split} episode {transcript.place} of {transcript.kept} "
        f"({f'{episode.world}, ' if episode.world else ''}group {episode.group}, member {episode.index}, "
        f"seed {episode.seed})"
    )
    reward = "not scored" if episode.reward is None else f"reward {episode.reward:+.4g}"
    terms = " ".join(f"{name} {_spelled_number(value)}" for name, value in episode.reward_terms.items())
    success = _spelled_success(episode.success)
    end = "terminated" if episode.terminated else "truncated" if episode.truncated else "failed"
    second = (
        f"{reward}{f' = {terms}' if terms and episode.reward is not None else ''}{success}; "
        f"{end}: {episode.stop_reason.value}; {episode.turns} turns, {episode.units} tokens"
    )
    lines = [Text(visible(first), "bold"), Text(f"task {visible(episode.task)}"), Text(visible(second))]
    lines.append(Text(f"colour: {visible(transcript.basis)}", "dim"))
    if episode.scored_by:
        lines.append(Text(f"scored by {visible(episode.scored_by)}", "dim"))
    lines += [Text(visible(_rescored(again)), "yellow") for again in transcript.rescored]
    if episode.failure:
        lines.append(Text(f"failed: {visible(episode.failure.strip())}", "red"))
    if episode.unanswered:
        lines.append(Text(f"never answered: {visible(episode.unanswered)}", "red"))
    if episode.unscored:
        lines.append(Text(f"not scored: {visible(episode.unscored)}", "yellow"))
    return lines


def _spelled_number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:+.4g}"  # None: as a record holds it


def _spelled_success(success: float | None) -> str:
    return (
        "" if success is None else f", {'success' if success == 1 else 'half a success' if success else 'no success'}"
    )


def _rescored(again: Rescored) -> str:
    """What another version of the reward says, never in a line with the first number."""
    success = _spelled_success(again.success)
    reason = again.left_out or again.unscored
    said = f"not scored: {reason}" if again.reward is None else f"reward {again.reward:+.4g}{success}"
    return f"by another version, {again.scored_by}: {said}"


def _body(transcript: Transcript) -> list[Text]:
    values = [token.value for line in transcript.lines for token in line.tokens if token.value is not None]
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    texts = []
    for line in transcript.lines:
        texts.append(Text(f"\n── {visible(_title(line, transcript.measure))}", ROLES.get(line.role, "bold")))
        texts.append(_colored(line.tokens, transcript.measure, largest) if line.tokens else Text(visible(line.text)))
    return texts


def _title(line: Line, measure: str) -> str:
    """`assistant, turn 1: reward +0.5, 12 tokens, advantage +0.71, calls calculator`"""
    if line.turn is None:
        return line.role + (f" {line.name}" if line.name else "")
    parts = [] if line.reward is None else [f"reward {line.reward:+.4g}"]
    if line.tokens:
        parts += [f"{len(line.tokens)} tokens", *_spelled(line.tokens, measure)]
    else:
        parts.append("tokens not kept, because the template rewrote this turn")
    if line.calls:
        parts.append(f"calls {', '.join(line.calls)}")
    return f"assistant, turn {line.turn}: {', '.join(parts)}"


def _spelled(tokens: Sequence[Token], measure: str) -> list[str]:
    """The measure of a turn in words: one number where all tokens agree."""
    values = [token.value for token in tokens if token.value is not None and math.isfinite(token.value)]
    if not values:
        return []
    if measure == "gap":
        return [f"largest gap {max(values, key=abs):+.2g}"]
    if min(values) == max(values):
        return [f"{measure} {values[0]:+.4g}"]
    return [f"{measure} {sum(values) / len(values):+.4g} on average ({min(values):+.4g} to {max(values):+.4g})"]


def _colored(tokens: Sequence[Token], measure: str, largest: float) -> Text:
    text = Text()
    for token in tokens:
        shade = color(token.value, measure, largest)
        style = f"{_ink(shade)} on rgb({shade[0]},{shade[1]},{shade[2]})" if shade else ""
        text.append(visible(token.text), style)
    return text


def _ink(shade: tuple[int, int, int]) -> str:
    """Black or white, whichever can be read on `shade`."""
    red, green, blue = shade
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "white"
