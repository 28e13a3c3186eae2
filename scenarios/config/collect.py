"""What a stage may say of its experience: how much an update sees, of which tasks, and what of it is learned from."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, model_validator

from ...envs.errors import WrongWithin
from ...envs.quantities import Positive, Share, read_number, shown, whole
from .voices import Part

MANY = whole(1, 1_000_000)
Many = Annotated[int, MANY]  # of what is held at once


class CurriculumSpec(Part):
    """Which tasks come next: those that are solved now and then, see `algorithms.curriculum`.

    A share `uniform` of the draws is of all tasks alike. What was seen of a task counts half as much after `half_life`
    updates.
    """

    uniform: Share = 0.1
    half_life: Positive = 50.0


def _is_gate(given: object) -> object:
    """[LOW, HIGH], as numbers. ValueError for anything else, and for one that takes whatever comes."""
    for one in given if isinstance(given, list | tuple) else []:
        text = one.strip() if isinstance(one, str) else ""
        if text.endswith("%") and (percent := read_number(text[:-1])) is not None:
            raise ValueError(f"{shown(given)} is no gate; in place of {one!r} write {percent / 100:g}")
    bounds = [read_number(one) for one in given] if isinstance(given, list | tuple) else []
    shares = [float(bound) for bound in bounds if bound is not None and 0 <= bound <= 1]
    if len(bounds) != 2 or len(shares) != 2 or shares[0] > shares[1]:
        raise ValueError(
            f"{shown(given)} is no gate; allowed are two shares of successes, [LOW, HIGH] with 0 <= LOW <= HIGH <= 1, "
            "such as [0.1, 0.9]"
        )
    if shares == [0, 1]:
        raise ValueError("[0, 1] takes every group; give closer bounds, such as [0.1, 0.9], or leave it out")
    return shares


Gate = Annotated[list[float], BeforeValidator(_is_gate)]  # the least and the largest share of successes in a group


class Collect(Part):
    """How much experience one update sees.

    Methods with a critic on control worlds read segments: `groups` rows of `horizon` steps. All others read
    `groups` × `group_size` whole episodes. `tile` groups are played together: runs with equal tiles are equal bit for
    bit, however many processes share the tiles. By default it is all groups, or as many as give each worker its own.
    With a `staleness` of s, a batch is collected while the s before it are learned from, by weights that are s versions
    old; 0: one after the other. With a `curriculum` the groups of a batch are of tasks that are solved now and then.
    With a `gate` only groups whose share of successes lies in [LOW, HIGH] are learned from. With a `refill` of n, what
    is not taken, and groups in which all earned the same where the method leaves these out, is replaced by new groups,
    up to n times for an update (the dynamic sampling of DAPO).
    """

    groups: Many
    group_size: Many = 1
    horizon: Many | None = None
    tile: Many | None = None
    staleness: Annotated[int, whole(0, 64)] = 0
    curriculum: CurriculumSpec | None = None
    gate: Gate | None = None
    refill: Annotated[int, whole(0, 64)] = 0

    @model_validator(mode="after")
    def _has_a_tile(self) -> Collect:
        if self.tile is not None and self.tile > self.groups:
            raise WrongWithin(["tile"], f"collect.tile is {self.tile}, and there are only {self.groups} groups to play")
        if self.tile is not None and self.groups % self.tile:
            fitting = ", ".join(str(tile) for tile in range(1, self.groups + 1) if self.groups % tile == 0)
            raise WrongWithin(
                ["tile"],
                f"collect.tile is {self.tile}, which does not divide the {self.groups} groups; {fitting} would",
            )
        return self

    @model_validator(mode="after")
    def _has_a_gate_that_opens(self) -> Collect:
        size = self.group_size
        if self.gate is not None and not any(self.gate[0] <= n / size <= self.gate[1] for n in range(size + 1)):
            raise WrongWithin(
                ["gate"],
                f"collect.gate is {shown(self.gate)}, and no group of {size} has such a share of successes; give wider "
                "bounds, or a larger group_size",
            )
        return self
