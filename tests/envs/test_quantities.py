"""Numbers as people write them, and what is said of what is none."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import TypeAdapter, ValidationError

from peripatos.envs.quantities import Count, NotNegative, Positive, Share, meant_by, real, whole


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (Count, "150_000", 150_000),
        (Count, 1e6, 1_000_000),
        (Count, "12", 12),
        (Positive, "1e-3", 1e-3),
        (Positive, 3, 3.0),
        (Share, "0", 0.0),
        (Annotated[int, whole(-3, 3)], -3, -3),
    ],
)
def test_a_number_may_stand_in_quotes_and_have_underscores(kind: Any, value: object, expected: float) -> None:
    read = TypeAdapter(kind).validate_python(value)
    assert (read, type(read)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        (Count, True, "is true; allowed is a whole number, 1 or greater; yes, no, on, off"),
        (Count, 4.5, "is 4.5; allowed is a whole number"),
        (Count, "10k", "write 10000"),
        (Count, "0x10", "write 16"),
        (Count, "1,000", "write 1000"),
        (Count, None, "is null; allowed is a whole number, 1 or greater"),
        (Count, 10**20, "allowed is a whole number, 1 or greater, and at most 9,223,372,036,854,775,807"),
        (Count, "8 8", "in a list, a comma stands between two numbers: 8, 8"),
        (Count, float("inf"), "is inf; allowed is a whole number"),
        (Positive, "0,001", "is '0,001'; allowed is a number greater than 0; write 0.001"),
        (Positive, float("nan"), "is nan; allowed is a number greater than 0"),
        (Positive, "1e999k", "allowed is a number greater than 0"),
        (Share, 10**400, "allowed is a number from 0 to 1"),
        (Positive, [1.0], "allowed is a number greater than 0"),
        (Positive, 10**400, "allowed is a number greater than 0"),
        (NotNegative, 1e39, "is 1e+39; allowed is a number, 0 or greater; 3.4e+38 is the largest there is in single"),
        (NotNegative, "1e308", "3.4e+38 is the largest there is in single precision"),
        (Annotated[float, real()], -1e39, "is -1e+39; allowed is a number; 3.4e+38 is the largest there is"),
        (Share, 95, "is 95; allowed is a number from 0 to 1. It is a share and no percentage: 0.95?"),
        (Share, "95%", "write 0.95"),
        (Share, 1.5, "is 1.5; allowed is a number from 0 to 1"),
        (Share, 950, "is 950; allowed is a number from 0 to 1"),
        (Annotated[float, real(above=0, most=1)], 0, "is 0; allowed is a number greater than 0, and at most 1"),
        (Annotated[int, whole(1, 1_000_000)], 10**11, "and at most 1,000,000"),
    ],
)
def test_what_is_no_number_is_told_with_what_is_allowed_and_what_was_meant(kind: Any, value: object, said: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        TypeAdapter(kind).validate_python(value)
    assert said in str(refusal.value.errors()[0]["ctx"]["error"])


@pytest.mark.parametrize("text", ["", "%", "k", "one", "1.2.3", "٣", "1__0", "1/3"])
def test_nothing_is_guessed_where_nothing_is_meant(text: str) -> None:
    assert meant_by(text) is None
