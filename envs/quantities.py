"""Numbers as people write them: the types of every number in a scenario, and what is said of one that is none.

    Annotated[int, whole(1, 100)], Annotated[float, real(above=0)], Share

A number may stand in quotes ('1e-3') and have underscores (150_000). yes, true and on are no numbers, and neither are
10%, 0,001, 10k or 0x10: what is said of these is what to write instead.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Annotated

from pydantic import BeforeValidator

HUGE = 2**63 - 1  # the largest whole number that arrays and files hold
SINGLE = 3.4e38  # beyond, a number is none in single precision, in which everything is learned
_PLAIN = re.compile(r"[-+]?(\d+(_\d+)*\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_PREFIXED = re.compile(r"[-+]?0[xXoObB][0-9a-fA-F]+")
_UNITS = (
    (("ms", "millisecond", "milliseconds"), 0.001),
    (("s", "sec", "secs", "second", "seconds"), 1),
    (("m", "min", "mins", "minute", "minutes"), 60),
    (("h", "hr", "hrs", "hour", "hours"), 3600),
    (("d", "day", "days"), 86400),
)
_TIMES = {"k": 10**3, "m": 10**6, "b": 10**9, "g": 10**9}


IN_A_LIST = "; in a list, a comma stands between two numbers"  # begins the hint for '8 8'


class NoNumber(ValueError):
    """What is said of a value: "is 95; allowed is …", to be read behind its key."""


def whole(least: int, most: int = HUGE) -> BeforeValidator:
    """Whole numbers from `least` to `most`."""
    allowed = f"a whole number, {least} or greater{'' if most == HUGE else f', and at most {most:,}'}"
    return BeforeValidator(_reader(allowed, whole=True, fits=lambda x: least <= x <= most, most=most))


def real(
    *,
    above: float | None = None,
    least: float | None = None,
    most: float | None = None,
    below: float | None = None,
    percent: float = math.inf,
    time: bool = False,
) -> BeforeValidator:
    """Numbers of single precision within bounds. Who writes `percent` or more may mean so many percent: 95 for 0.95.
    Of a `time`, 10m are minutes."""
    if least is not None and most is not None:
        allowed = f"a number from {least:g} to {most:g}"
    elif least is not None and below is not None:
        allowed = f"a number from {least:g} to below {below:g}"
    else:
        low = (
            f" greater than {above:g}" if above is not None else f", {least:g} or greater" if least is not None else ""
        )
        allowed = f"a number{low}{'' if most is None else f', and at most {most:g}'}"

    def fits(x: float) -> bool:
        low = above is None or x > above
        high = (most is None or x <= most) and (below is None or x < below)
        return low and (least is None or x >= least) and high and abs(x) <= SINGLE

    return BeforeValidator(_reader(allowed, whole=False, fits=fits, percent=percent, time=time))


def read_number(value: object) -> int | float | None:
    """The number that somebody has written; None for what is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    if isinstance(value, str) and _PLAIN.fullmatch(value.strip()):
        text = value.strip().replace("_", "")
        try:
            return int(text) if re.fullmatch(r"[-+]?\d+", text) else float(text)
        except ValueError:  # more digits than Python reads
            return None
    return None


def _reader(
    allowed: str,
    *,
    whole: bool,
    fits: Callable[[float], bool],
    percent: float = math.inf,
    most: int = HUGE,
    time: bool = False,
) -> Callable[[object], int | float]:
    def read(value: object) -> int | float:
        number = read_number(value)
        if whole and isinstance(number, float) and math.isfinite(number) and number == int(number):
            number = int(number)  # 1e6 and 3.0
        finite = number is not None and (isinstance(number, int) or math.isfinite(number))
        if number is not None and finite and not (whole and isinstance(number, float)) and fits(number):
            return number if whole else float(number)
        unsaid = f", and at most {HUGE:,}" if finite and whole and number is not None and number > HUGE == most else ""
        if finite and not whole and number is not None and abs(number) > SINGLE:
            unsaid = f"; {SINGLE:g} is the largest there is in single precision"
        hint = _hint(value, number, fits, whole, percent, seconds_in if time else meant_by)
        raise NoNumber(f"is {shown(value)}; allowed is {allowed}{unsaid}{hint}")

    return read


def shown(value: object) -> str:
    """A value as a scenario spells it, cut where it is long."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _hint(
    value: object,
    number: float | None,
    fits: Callable[[float], bool],
    whole: bool,
    percent: float,
    meaning: Callable[[object], float | None],
) -> str:
    """What may have been meant, as the rest of the sentence."""
    if isinstance(value, bool):
        return "; yes, no, on, off, true and false are no numbers"
    apart = [] if isinstance(value, str) and _PREFIXED.fullmatch(value.strip()) else apart_in(value)
    if len(apart) > 1 and fits(apart[0]):
        return f"{IN_A_LIST}: {', '.join(f'{one:g}' for one in apart)}"
    meant = meaning(value) if number is None else None
    if number is not None and percent <= number < 1e6 and fits(number / 100):
        return f". It is a share and no percentage: {number / 100:g}?"
    if meant is not None and fits(meant) and not (whole and meant != int(meant)):
        return f"; write {int(meant) if meant == int(meant) and abs(meant) < 1e15 else meant}"
    return ""


def apart_in(value: object) -> list[int | float]:
    """The numbers of a text that holds several: '8 8', '8;8', '8x8'. Empty where it is anything else."""
    if not isinstance(value, str):
        return []
    numbers = [read_number(part) for part in re.split(r"\s*[\s;x×]\s*", value.strip(" []()"))]
    return [number for number in numbers if number is not None] if None not in numbers else []


def seconds_in(value: object) -> float | None:
    """The seconds of a text such as 10m, 1.5 h or 90 seconds."""
    said = re.fullmatch(r"\s*([\d._]+)\s*([a-z]+)\s*", value.lower()) if isinstance(value, str) else None
    number = read_number(said[1]) if said else None
    if said is None or number is None:
        return meant_by(value)
    unit = next((seconds for names, seconds in _UNITS if said[2] in names), None)
    return None if unit is None else float(number * unit)


def meant_by(value: object) -> float | None:
    """The number behind a text that is none: 10%, 0,001, 1,000, 10k, 0x10, −3."""
    text = str(value).strip().replace("−", "-").replace("\u00a0", "") if isinstance(value, str) else ""
    if _PREFIXED.fullmatch(text):
        return float(int(text, 0)) if len(text) < 200 else None
    if re.fullmatch(r"[-+]?\d{1,3}(,\d{3})+(\.\d+)?", text) and not text.startswith("0,"):
        return float(text.replace(",", ""))
    if re.fullmatch(r"[-+]?\d+,\d+([eE][-+]?\d+)?", text):
        return float(text.replace(",", "."))
    ending = text[-1:].lower()
    number = read_number(text[:-1].strip()) if ending in ("%", *_TIMES) else read_number(text)
    if number is None:
        return None
    if not abs(number) < 1e300:  # nobody means as much, and floats end there
        return None
    return number / 100 if ending == "%" else float(number * _TIMES.get(ending, 1))


Share = Annotated[float, real(least=0, most=1, percent=2)]
Discount = Annotated[float, real(least=0, most=1, percent=50)]  # of 2, nobody means two percent
Count = Annotated[int, whole(1)]
NotNegative = Annotated[float, real(least=0)]
Positive = Annotated[float, real(above=0)]
Seconds = Annotated[float, real(above=0, most=1e9, time=True)]
