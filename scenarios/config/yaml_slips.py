"""What went wrong where text is no YAML: the parser's errors in the words of somebody who looks at the file.

line 9, column 4: 'budget' begins at column 4, and what stands above it at columns 1, 3 and 5
line 5, column 5: here stands a no-break space (U+00A0), as web pages have them; write a plain space
"""

from __future__ import annotations

import re
import unicodedata

import yaml

QUOTES = "“”„‟‘’‚‛«»‹›"
LIKE_ASCII = {"：": ":", "，": ",", "–": "-", "—": "-", "−": "-", "｛": "{", "｝": "}", "［": "[", "］": "]", "＝": "="}
_UNSEEN = {"Cf", "Zs", "Zl", "Zp", "Cc"}  # Unicode's categories of what leaves no ink


def is_unseen(letter: str) -> bool:
    """Whether a character looks like a space, or like nothing, and is not the space of the keyboard."""
    return letter not in " \n" and unicodedata.category(letter) in _UNSEEN


def stranger_in(letter: str) -> str:
    """A character by what it is, and what to write instead."""
    if letter == "\t":
        return "a tab; write spaces"
    code = f"U+{ord(letter):04X}"
    if letter in QUOTES:
        return f"the curly quote {letter} ({code}), as web pages and word processors write it; write \" or '"
    name = unicodedata.name(letter, "a control character").lower()
    if letter in LIKE_ASCII:
        return f"{letter!r} ({code}, {name}); write {LIKE_ASCII[letter]!r}"
    if unicodedata.category(letter) == "Zs":
        return f"the invisible character {code} ({name}), as web pages have it; write a plain space"
    return f"the invisible character {code} ({name}); remove it"


def first_stranger(word: str, *, everywhere: bool) -> int | None:
    """The index of the first character of a word that nobody sees, or of a curly quote at its ends; only at its ends
    where a stranger within may be meant. None if there is none.
    """
    at_ends = {0, len(word) - 1}
    for index, letter in enumerate(word):
        if letter.isascii() and letter != "\t":
            continue
        ends = index in at_ends
        if (is_unseen(letter) and (ends or everywhere)) or (letter in QUOTES and ends and everywhere):
            return index
    return None


def explain_slip(problem: yaml.YAMLError, text: str) -> tuple[int, int, str]:
    """The line and column of an error, from 1, and what is wrong there."""
    said = str(getattr(problem, "problem", None) or problem)
    mark = getattr(problem, "problem_mark", None) or getattr(problem, "context_mark", None)
    if mark is None:
        return 1, 1, said
    opened = getattr(problem, "context_mark", None) or mark
    lines = text.split("\n")
    seen = _stranger_between(lines, min(opened.line, mark.line), mark.line) or _stranger_above(lines, mark.line)
    if seen is not None:
        return seen
    line, column = mark.line + 1, mark.column + 1
    return _in_words(said, str(getattr(problem, "context", "") or ""), lines, (line, column), opened)


def _stranger_between(lines: list[str], first: int, last: int) -> tuple[int, int, str] | None:
    """A character that nobody means, in the lines that the parser was reading: the reason for most of its errors."""
    for number in range(first, min(last, len(lines) - 1) + 1):
        code = _code(lines[number])
        for index, letter in enumerate(code):
            odd = letter == "\t" if letter.isascii() else is_unseen(letter) or letter in QUOTES or letter in LIKE_ASCII
            if odd:
                return number + 1, index + 1, f"here stands {stranger_in(letter)}"
    return None


def _stranger_above(lines: list[str], line: int) -> tuple[int, int, str] | None:
    """A character of the two lines above that nobody sees, or that stands for a colon or for the dash of a list."""
    for number in range(max(0, line - 2), line):
        code = _code(lines[number])
        begin = len(code) - len(code.lstrip())
        for index, letter in enumerate(code):
            if is_unseen(letter) or letter == "：" or (index == begin and letter in LIKE_ASCII):
                return number + 1, index + 1, f"here stands {stranger_in(letter)}"
    return None


def _code(line: str) -> str:
    """A line without its comment, and without the words of a description."""
    return re.sub(r"(^|\s)#.*|^\s*description:.*", "", line)


def _in_words(
    said: str, context: str, lines: list[str], at: tuple[int, int], opened: yaml.Mark
) -> tuple[int, int, str]:
    line, column = at
    words = _word_at(lines, line, column)
    where_opened = f"line {opened.line + 1}, column {opened.column + 1}"
    if "flow mapping" in context or "flow sequence" in context:
        begin, end = "{}" if "mapping" in context else "[]"
        return (
            line,
            column,
            f"{words} stands where ',' or '{end}' should; the '{begin}' of {where_opened} is not closed",
        )
    if "quoted scalar" in context and "end of stream" in said:
        return opened.line + 1, opened.column + 1, "the quote that begins here is never closed"
    if "escape character" in said or "hexdecimal" in said:
        return line, column, "in \"double quotes\" a backslash begins an escape; write '…' in single quotes, or \\\\"
    if said.startswith("mapping values are not allowed"):
        if _begins_above(lines, line):
            return line - 1, 1, f"{lines[line - 2].strip()!r} has no ': ' behind its key (a colon and a space)"
        return line, column, _second_colon(lines, line, column)
    if "could not find expected ':'" in said:
        number, text = opened.line + 1, lines[opened.line].strip()
        return number, opened.column + 1, f"{text!r:.60} has no ': ' behind its key (a colon and a space)"
    if "entries are not allowed" in said:
        return line, column, "a list begins below its key, in a line of its own"
    if said.startswith("expected <block end>"):
        return line, column, _crooked(lines, line, column)
    if "undefined alias" in said:
        anchors = re.findall(r"(?<!\S)&([\w-]+)", "\n".join(lines))
        there = f"; anchors are {', '.join(anchors)}" if anchors else "; there is no anchor (&name) in this file"
        return line, column, f"{said.removeprefix('found ')}{there}"
    if "constructor for the tag" in said or "tag handle" in said:
        return line, column, f"{_tag(said)}; a scenario holds plain values, without tags"
    if "another document" in said:
        return line, column, "here begins a second document; a scenario is one, without '---' in its midst"
    if "cannot start any token" in said:
        return line, column, f"{words} begins with a character that YAML keeps for itself; put it into quotes"
    return line, column, said


def _second_colon(lines: list[str], line: int, column: int) -> str:
    key, above = lines[line - 1][: column - 1], lines[line - 2] if line > 1 else ""
    begin, begin_above = (len(text) - len(text.lstrip(" -")) + 1 for text in (key, above))
    if ":" not in key and begin > begin_above and above.strip():
        return (
            f"{key.strip()!r} begins at column {begin}, deeper than the line above it (column {begin_above}), which "
            "has a value already"
        )
    return "a second ': ' in one line; put a value that holds one into quotes"


def _tag(said: str) -> str:
    found = re.search(r"'([^']+)'", said)
    return f"the tag {found[1].replace('tag:yaml.org,2002:', '!!')!r} is not allowed" if found else said


def _word_at(lines: list[str], line: int, column: int) -> str:
    rest = lines[line - 1][column - 1 :].strip() if line <= len(lines) else ""
    if not rest:
        return "the end of the file" if not any(text.strip() for text in lines[line:]) else "the end of the line"
    word = re.match(r"[\w.+-]+|.", rest)
    return repr(word[0] if word else rest)


def _begins_above(lines: list[str], line: int) -> bool:
    """Whether the line before is no key and value: its words ran on into this one."""
    above = re.sub(r"(^|\s)#.*", "", lines[line - 2]).strip() if line > 1 else ""
    return bool(above) and not re.search(r":(\s|$)", above) and not above.endswith((",", "{", "[")) and above != "---"


def _crooked(lines: list[str], line: int, column: int) -> str:
    """What an indentation should have been: those of the lines above that are still open."""
    open_: list[int] = []
    for text in reversed(lines[: line - 1]):
        stripped = re.sub(r"(^|\s)#.*", "", text)
        if not stripped.strip():
            continue
        begin = len(stripped) - len(stripped.lstrip()) + 1
        columns = [begin]
        while (dash := re.match(r"-\s+", stripped[columns[-1] - 1 :])) is not None:
            columns.append(columns[-1] + len(dash[0]))
        open_ += [one for one in reversed(columns) if not open_ or one < min(open_)]
        if begin == 1:
            break
    allowed = " or ".join(map(str, sorted(open_)))
    return f"{_word_at(lines, line, column)} begins at column {column}; what stands above it allows column {allowed}"
