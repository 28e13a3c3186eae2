"""Words that change what an answer says: connectives, denial, doubt; and things with names in several spellings."""

from __future__ import annotations

import re


def words_of(text: str) -> frozenset[str]:
    """The words in `text`, which is easier to read than a list of them."""
    return frozenset(text.split())


OR = frozenset(("or",))
AND = frozenset(("and",))
CONNECTIVES = OR | AND

# Closed classes of English words: whatever stands beside one of them is denied, doubted, or one of several candidates.
DOUBT = words_of(
    """not no never none neither nor cannot cant isnt arent wasnt dont doesnt didnt wont without except but
    however although though unless if whether maybe perhaps probably possibly likely unlikely could might may
    should would can must about around approximately approx roughly nearly almost circa estimate estimated
    guess guessed guesses unsure uncertain unknown wrong false incorrect untrue invalid right correct true yes
    hopefully presumably supposedly seems appears looks think thinks believe believes suppose i we you he she
    they some any all every several many few between from until to than more less fewer over under above below
    least most greater smaller larger up down either both another other alternatively instead rather otherwise
    also plus minus times divided sometimes always perhaps is are was were be been being has have had do does
    did will shall who which what when where why how this that these those there here then so thus hence
    therefore because since actually wait sorry sure fails failed lies contradicts errs mistakes errors
    impossible excluded rejected unless"""
)
BEFORE = words_of(
    """the answer is equals equal to value final result solution total solutions are values answers it we get has
    have area volume length width height perimeter probability sum product mean median mode angle distance
    speed time cost price number of so therefore thus hence a an its gives exactly"""
)
"""Words that may stand before an answer and say nothing about it. None of DOUBT's is there unless it is harmless."""

_SAME = {
    "empty set": "no solution",
    "null set": "no solution",
    "none": "no solution",
    "no solutions": "no solution",
    "no real solution": "no solution",
    "no real solutions": "no solution",
    "there is no solution": "no solution",
    "there are no solutions": "no solution",
    "dne": "does not exist",
    "all reals": "all real numbers",
    "all real": "all real numbers",
    "the real numbers": "all real numbers",
    "real numbers": "all real numbers",
    "all real x": "all real numbers",
    "indeterminate": "undefined",
    "not defined": "undefined",
    "infinity": "infinite",
    "infinitely many solutions": "infinitely many",
    "infinite solutions": "infinitely many",
}
_MONTHS = "january|february|march|april|may|june|july|august|september|october|november|december"
_ORDINALS = dict(
    zip(
        ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"],
        ["1st", "2nd", "3rd", "4th", "5th", "6th", "7th", "8th", "9th", "10th"],
        strict=True,
    )
)
NO_SOLUTION, ALL_REALS = "no solution", "all real numbers"


def one_spelling(text: str) -> str:
    """Words in the one spelling in which they are compared: small letters, single spaces, no stops or articles."""
    text = re.sub(r"\b([ap])\.? ?m\b\.?", r"\1m", text.lower())
    text = re.sub(r"\b([0-9]+) (st|nd|rd|th)\b", r"\1\2", text)
    text = re.sub(rf"\b([0-9]+)(?:st|nd|rd|th)?(?: of)? ({_MONTHS})\b", r"\2 \1", text)
    text = re.sub(rf"\b({_MONTHS}) ([0-9]+)(?:st|nd|rd|th)\b", r"\1 \2", text)
    words = [word.strip(".,;:!\"'()") for word in text.lower().replace("-", " ").split()]
    joined = " ".join(_ORDINALS.get(word, word) for word in words if word and word not in ("the", "a", "an"))
    return _SAME.get(joined, joined)


def singular(word: str) -> str:
    """A noun without its plural ending, as far as two spellings of one noun need it."""
    word = word.lower()
    irregular = {
        "feet": "foot",
        "inches": "inch",
        "people": "person",
        "children": "child",
        "men": "man",
        "women": "woman",
    }
    if word in irregular:
        return irregular[word]
    for ending, single in (("ies", "y"), ("ches", "ch"), ("shes", "sh"), ("sses", "ss"), ("xes", "x")):
        if word.endswith(ending):
            return word[: -len(ending)] + single
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 2 else word


PLURALS = frozenset(("people", "children", "men", "women", "mice", "feet", "geese", "sheep", "fish", "teeth", "dice"))
_SINGULARS = words_of("""person child apple marble book student coin ball card page point vote unit square sq item""")


def is_noun(word: str) -> bool:
    """Whether `word` may be the thing that a number counts. Only plain plurals are: "2 falsch" counts nothing."""
    low = word.lower()
    if low in DOUBT or not low.isalpha():
        return False
    return (
        low in PLURALS or low in _SINGULARS or (low.endswith("s") and not low.endswith(("ss", "ous")) and len(low) > 3)
    )
