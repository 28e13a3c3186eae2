"""Units of measure: what they measure, and how much of the base unit they are, exactly.

A unit is a product of powers, as in km/h, "metres per second squared", cm^2, "square feet". A word that is no unit is a
noun, which is compared by its spelling.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from .words import singular, words_of


@dataclass(frozen=True)
class Unit:
    """`powers` of what is measured (("length", 2) for an area), `factor` to the base; `noun` for things counted."""

    powers: tuple[tuple[str, int], ...]
    factor: Fraction
    noun: str = ""

    @property
    def is_angle(self) -> bool:
        return self.powers in ((("degree", 1),), (("radian", 1),))


_F = Fraction
_TABLE: dict[str, tuple[str, Fraction]] = {}


def _define(dimension: str, **names: Fraction | int | str) -> None:
    for spelled, factor in names.items():
        for name in spelled.split("__"):
            _TABLE[name] = (dimension, Fraction(factor))


_define("length", m__meter__metre=1, foot__ft=_F("0.3048"), inch__in=_F("0.0254"), yard__yd=_F("0.9144"))
_define("length", mile__mi=_F("1609.344"), micron=_F("1e-6"))
_define("mass", g__gram__gramme=1, tonne=10**6, pound__lb=_F("453.59237"), ounce__oz=_F("28.349523125"))
_define("mass", ton=_F("907184.74"))
_define("time", s__sec__second=1, min__minute=60, h__hr__hour=3600, day=86400, week=604800)
_define("month", month=1, year__yr=12)
_define("volume", l__L__liter__litre=_F("0.001"), gallon__gal=_F("0.003785411784"), quart__qt=_F("0.000946352946"))
_define("volume", pint=_F("0.000473176473"), cup=_F("0.0002365882365"))
_define("dollar", dollar__USD__usd__buck=100, cent__c=1)
_define("euro", euro__EUR=1)
_define("pound sterling", GBP__quid__sterling=1, pence__penny=_F("0.01"))
_define("yen", yen__JPY=1)
_define("degree", deg__degree=1)
_define("radian", rad__radian=1)
_define("celsius", celsius=1)
_define("fahrenheit", fahrenheit=1)
_define("kelvin", K__kelvin=1)
_define("force", N__newton=1)
_define("energy", J__joule=1, cal__calorie=_F("4.184"), eV=_F("1.602176634e-19"))
_define("power", W__watt=1, hp__horsepower=_F("745.7"))
_define("pressure", Pa__pascal=1, bar=10**5, atm=101325)
_define("frequency", Hz__hertz=1)
_define("voltage", V__volt=1)
_define("current", A__amp__ampere=1)
_define("resistance", Ohm__ohm=1)
_define("charge", C__coulomb=1)
_define("amount", mol__mole=1)
_define("data", bit=1, B__byte=8)
_define("count", dozen=12)

_DERIVED = {  # in grams, metres and seconds
    "force": (_F(1000), {"mass": 1, "length": 1, "time": -2}),
    "energy": (_F(1000), {"mass": 1, "length": 2, "time": -2}),
    "power": (_F(1000), {"mass": 1, "length": 2, "time": -3}),
    "pressure": (_F(1000), {"mass": 1, "length": -1, "time": -2}),
    "frequency": (_F(1), {"time": -1}),
}
_PREFIXES = {"k": 3, "M": 6, "G": 9, "T": 12, "c": -2, "m": -3, "u": -6, "n": -9, "p": -12, "d": -1}
_LONG_PREFIXES = {"kilo": 3, "mega": 6, "giga": 9, "centi": -2, "milli": -3, "micro": -6, "nano": -9, "deci": -1}
_PREFIXED = words_of("""m g s l L N J W Pa Hz V A Ohm C mol B bit eV cal""")
_LONG_PREFIXED = words_of(
    """meter metre gram gramme liter litre second newton joule watt pascal hertz volt byte calorie"""
)
_COMPOUND = {"mph": "mi/h", "kph": "km/h", "kmh": "km/h", "kmph": "km/h", "fps": "ft/s", "cc": "cm^3", "sqft": "ft^2"}
_SQUARES = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}
_AFTER = {"squared": 2, "cubed": 3}


def _named(word: str) -> tuple[str, Fraction] | None:
    """Dimension and factor of one word."""
    for spelled in (word, word.lower() if len(word) > 2 else word, singular(word) if len(word) > 2 else word):
        if spelled in _TABLE:
            return _TABLE[spelled]
        for prefix, power in _LONG_PREFIXES.items():
            if spelled.startswith(prefix) and spelled[len(prefix) :] in _LONG_PREFIXED:
                dimension, factor = _TABLE[spelled[len(prefix) :]]
                return dimension, factor * _F(10) ** power
    prefix, rest = word[:1], word[1:]
    if prefix in _PREFIXES and rest in _PREFIXED:
        dimension, factor = _TABLE[rest]
        return dimension, factor * _F(10) ** _PREFIXES[prefix]
    return None


def is_unit(word: str) -> bool:
    """Whether `word` names a unit of measure."""
    return word in _COMPOUND or _named(word) is not None


def read_unit(parts: list[str]) -> Unit | None:
    """The unit that words and signs spell: ["km", "/", "h"], ["square", "feet"], ["m", "^", "2"]. None if none."""
    expanded: list[str] = []
    for part in parts:
        compound = _COMPOUND.get(part.lower())
        expanded += _split(compound) if compound else [part]
    for place in reversed(range(len(expanded) - 1)):  # degrees of a scale are one unit
        if singular(expanded[place]) == "degree" and expanded[place + 1].lower() in ("celsius", "fahrenheit"):
            del expanded[place]
    powers: Counter[str] = Counter()
    factor, sign, wanted, place = Fraction(1), 1, 1, 0
    while place < len(expanded):
        part = expanded[place]
        place += 1
        if part in ("/", "per"):
            sign = -1
        elif part in ("*", "."):
            continue
        elif part.lower() in _SQUARES:
            wanted = _SQUARES[part.lower()]
        else:
            named = _named(part)
            if named is None:
                return None
            after, place = _power(expanded, place)
            power = sign * wanted * after
            powers[named[0]] += power
            factor *= named[1] ** power
            wanted = 1
    return _unit(powers, factor) if powers and wanted == 1 else None


def _unit(powers: Mapping[str, int], factor: Fraction) -> Unit:
    """Volumes are cubes of lengths, and what cancels is gone."""
    counted = Counter(powers)
    counted["length"] += 3 * counted.pop("volume", 0)
    for name, (scale, parts) in _DERIVED.items():
        power = counted.pop(name, 0)
        factor *= scale**power
        for part, exponent in parts.items():
            counted[part] += power * exponent
    return Unit(tuple(sorted((name, power) for name, power in counted.items() if power)), factor)


def _power(parts: list[str], place: int) -> tuple[int, int]:
    if parts[place : place + 1] == ["^"]:
        sign = -1 if parts[place + 1 : place + 2] == ["-"] else 1
        place += 1 + (sign < 0)
        digits = parts[place] if place < len(parts) else ""
        return (sign * int(digits) if digits.isdecimal() and len(digits) < 3 else 1), place + 1
    if parts[place - 1].endswith("m") and parts[place:] in (["2"], ["3"]):  # cm2
        return int(parts[place]), place + 1
    word = parts[place].lower() if place < len(parts) else ""
    return (_AFTER[word], place + 1) if word in _AFTER else (1, place)


def _split(text: str) -> list[str]:
    return text.replace("/", " / ").replace("^", " ^ ").split()
