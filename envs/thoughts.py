"""Where a reply thinks and where it speaks: what stands between a pair of marks is neither said nor obeyed.

Most models write `<think>…</think>`, some with marks of their own; gpt-oss writes channels:

    <|channel|>analysis<|message|>…<|end|><|start|>assistant<|channel|>final<|message|>…

A prompt may have opened the thought already, and a reply may be cut inside one: whoever knows says so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .vocabulary import Reply

Marks = tuple[str, str]

MARKS: tuple[Marks, ...] = (
    ("<think>", "</think>"),
    ("[THINK]", "[/THINK]"),  # Magistral
    ("<|START_THINKING|>", "<|END_THINKING|>"),  # Command A
    ("<|channel>thought", "<channel|>"),  # Gemma 4
    ("<seed:think>", "</seed:think>"),
    ("◁think▷", "◁/think▷"),  # Kimi
)
"""The pairs that models are known to write."""

_CHANNEL = re.compile(  # it begins only where no character before could begin it: each is looked at once
    r"(?:<\|start\|>assistant|(?<![^<])|(?<=<\|end\|>)|(?<=<\|call\|>)|(?<=<\|return\|>))"
    r"(?P<to>[^<]*+)<\|channel\|>(?P<channel>[^<]*+)(?:<\|constrain\|>[^<]*+)?<\|message\|>"
    r"(?P<text>.*?)(?P<end><\|end\|>|<\|return\|>|<\|call\|>|(?=<\|start\|>)|\Z)",
    re.DOTALL,
)


def split_thought(text: str, marks: Sequence[Marks] = MARKS, opened: Marks | None = None) -> tuple[str, str]:
    """What `text` thinks, and what it says after its last thought. `opened`: the marks between which it began. A reply
    that ends in the middle of a thought says nothing.
    """
    if "<|channel|>" in text:
        return _split_channels(text)
    if opened is not None and opened[1] not in text:
        return text, ""
    thoughts = []
    pairs: list[Marks] = [*([opened] if opened else []), *marks]
    for begin, end in dict.fromkeys(pairs):
        if begin not in text and end not in text:
            continue
        before, _, after = text.rpartition(end)
        text, _, unfinished = after.partition(begin)
        if before and not unfinished:
            text = text.lstrip()
        inside = before.lstrip().removeprefix(begin).replace(end, "").replace(begin, "")
        thoughts.append(inside + unfinished)
    return "".join(thoughts), text


def reply_of(text: str) -> Reply:
    """A reply that is known by its text alone."""
    thought, said = split_thought(text)
    return Reply(said, thought=thought.strip())


def _split_channels(text: str) -> tuple[str, str]:
    """Channels of gpt-oss: the analysis is thought. What is addressed to a tool stays as it is written."""
    thoughts, said, at = [], [], 0
    for found in _CHANNEL.finditer(text):
        said.append(text[at : found.start()])
        at = found.end()
        if "to=" in found["to"] + found["channel"]:
            said.append(found[0])
        elif found["channel"].strip() == "analysis":
            thoughts.append(found["text"])
        else:
            said.append(found["text"])
    said.append(text[at:])
    return "\n".join(thoughts), "".join(said)
