"""Dates and times of day in the spellings that people write, as one.

    moment("12th April 2025")  →  ("date", 2025, 4, 12)
    moment("3:45 p.m.")        →  ("time", 15, 45)

3/4/2025 is read by nobody, for it is two days; so is 3:45 without its half of the day.
"""

from __future__ import annotations

import re

_NAMES = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_MONTHS = {name: number for number, name in enumerate(_NAMES, 1)}
_MONTHS |= {name[:3]: number for name, number in _MONTHS.items()} | {"sept": 9}
_DAYS = r"(?:(?:on )?(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?\.?,? )?"
_MONTH = rf"(?P<month>{'|'.join(sorted(_MONTHS, key=len, reverse=True))})\.?"
_DAY = r"(?P<day>[0-9]{1,2})(?: ?(?:st|nd|rd|th))?"
_YEAR = r"(?:,? (?:in )?(?P<year>[0-9]{4}))?"
_DATES = [
    re.compile(rf"{_DAYS}(?:the )?{_DAY}(?: of)? {_MONTH}{_YEAR}"),
    re.compile(rf"{_DAYS}{_MONTH} (?:the )?{_DAY}{_YEAR}"),
    re.compile(rf"{_DAY}-{_MONTH}-(?P<year>[0-9]{{4}})"),
    re.compile(r"(?P<year>[0-9]{4})[-/.](?P<month>[0-9]{1,2})[-/.](?P<day>[0-9]{1,2})"),
]
_HALF = r" ?(?:(?P<half>[ap])\.? ?m\.?|(?P<part>in the (?:morning|afternoon|evening)|at night))"
_TIMES = [
    re.compile(rf"(?P<hour>[0-9]{{1,2}})(?:[:.h](?P<minute>[0-9]{{2}}))?{_HALF}"),
    re.compile(r"(?P<hour>1[3-9]|2[0-3]|0[0-9])(?:[:h](?P<minute>[0-9]{2}))(?: ?(?:hours|hrs|h))?"),
    re.compile(
        rf"(?:a )?(?P<spoken>quarter|half|ten|twenty|five) (?P<way>past|to) (?P<word>[a-z]+|[0-9]{{1,2}}){_HALF}"
    ),
]
_HOURS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_SPOKEN = {"quarter": 15, "half": 30, "ten": 10, "twenty": 20, "five": 5}
Moment = tuple[str, int, int, int]


def moment(text: str) -> Moment | None:
    """The date (its year 0 where it has none) or the time of day that `text` is; None where it is neither."""
    text = re.sub(r"\s+", " ", text.lower().replace("~", " ")).strip(" ,")
    text = re.sub(r"^(?:at|on|it is) ", "", text[:80])
    if text in ("noon", "midday", "12 noon", "midnight", "12 midnight"):
        return ("time", 0 if "midnight" in text else 12, 0, 0)
    for pattern in _DATES:
        found = pattern.fullmatch(text.rstrip("."))
        if found:
            month = _MONTHS.get(found["month"]) or int(found["month"])
            day = int(found["day"])
            return ("date", int(found["year"] or 0), month, day) if 1 <= month <= 12 and 1 <= day <= 31 else None
    return next((time for time in (_time(pattern.fullmatch(text)) for pattern in _TIMES) if time), None)


def _time(found: re.Match[str] | None) -> Moment | None:
    if found is None:
        return None
    said = found.groupdict()
    late = said.get("half") == "p" or (said.get("part") or "").endswith(("afternoon", "evening", "night"))
    if said.get("word"):
        hour = (
            _HOURS.index(said["word"]) + 1
            if said["word"] in _HOURS
            else int(said["word"])
            if said["word"].isdigit()
            else 0
        )
        minutes = _SPOKEN[said["spoken"]]
        if not hour or (said["way"] == "to" and said["spoken"] == "half"):
            return None
        hour, minute = (hour - 1, 60 - minutes) if said["way"] == "to" else (hour, minutes)
    else:
        hour, minute = int(said["hour"]), int(said["minute"] or 0)
    if said.get("half") or said.get("part"):
        if not 0 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * late
    return ("time", hour, minute, 0) if hour < 24 and minute < 60 else None
