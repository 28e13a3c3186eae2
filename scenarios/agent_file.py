"""What a file of ONNX says of the agent in it: where it lives, what it sees there, and how it was measured."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from gymnasium import Space
from gymnasium.spaces.utils import flatdim
from pydantic import Field, ValidationError

from ..envs.control.flat_spaces import Observations
from ..envs.errors import UserError
from .config.schema import WorldSpec
from .config.voices import Part

FORMAT = 1


class Spaces(Part):
    """What is seen and done in a world, as Gymnasium writes it."""

    observation: str
    action: str

    @classmethod
    def of(cls, observation: Space[Any], action: Space[Any]) -> Spaces:
        """Those of a world as it has them, not flattened."""
        return cls(observation=str(observation), action=str(action))


class Home(Part):
    """A world in which the agent has lived."""

    world: WorldSpec
    spaces: Spaces


class Seen(Part):
    """A part of the observation, in the order in which they stand in the row that the graph reads: `size` numbers, as
    `gymnasium.spaces.flatten` makes them, or the pixels of a picture, channels first."""

    part: str  # its keys in dictionaries and tuples, as a/b; "" where there is nothing else
    size: int
    picture: tuple[int, int, int] | None = None  # channels, height, width


class About(Part):
    """All of it, as JSON in the file's metadata."""

    format: Literal[1]
    peripatos: str  # the version that wrote it
    checkpoint: str
    seed: Annotated[int, Field(ge=0)]  # of the run, from which its held-out episodes follow
    episodes: Annotated[int, Field(ge=1)]  # of its evaluations, in each world
    homes: Annotated[dict[str, Home], Field(min_length=1)]  # by the world's name; of the only one, under no name
    row: list[Seen]

    @classmethod
    def read(cls, text: str, path: object) -> About:
        """UserError where a file, which is at `path`, says something else."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as problem:
            first = problem.errors()[0]
            where = ".".join(map(str, first["loc"])) or "all of it"
            raise UserError(
                f"{path} says of its agent what this version does not read ({where}: {first['msg']}); it reads format "
                f"{FORMAT}: export the run again"
            ) from problem


def row_of(space: Space[Any]) -> list[Seen]:
    """What stands where in the row that an agent sees of a world with such observations."""
    seen = Observations(space)
    numbers = [Seen(part=name, size=flatdim(one)) for name, one in seen.named_numbers().items()]
    pictures = seen.named_pictures().items()
    return numbers + [Seen(part=name, size=c * h * w, picture=(c, h, w)) for name, (c, h, w) in pictures]
