"""Spaces as vectors: against Gymnasium's own flattening, there and back, and what is not of the space."""

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, Graph, MultiBinary, MultiDiscrete, OneOf, Sequence, Space, Text, Tuple

from peripatos.envs.control.flat_spaces import Actions, Observations
from peripatos.envs.control.pictures import picture_of
from peripatos.envs.control.seen_as import seen_as
from peripatos.envs.control.world_batch import action_layout, checked_action
from peripatos.envs.errors import UnsupportedWorld
from peripatos.envs.reported import BadReport

F, BYTE = np.float32, np.uint8
PHOTO = Box(0, 255, (6, 5, 3), BYTE)
FLAT = {
    "Discrete": Discrete(5),
    "Discrete from −2": Discrete(3, start=-2),
    "MultiDiscrete": MultiDiscrete([2, 3], start=[1, -1]),
    "MultiDiscrete in rows": MultiDiscrete([[2, 3], [4, 2]]),
    "MultiBinary": MultiBinary([2, 3]),
    "Blackjack": Tuple((Discrete(32), Discrete(11), Discrete(2))),
    "float64": Box(-np.inf, np.inf, (2, 2), np.float64),
    "a number": Box(-1, 1, (), F),
    "nested": Dict({"b": Tuple((Discrete(3), Box(-1, 1, (2,), F))), "a": Dict({"x": MultiBinary(2)})}),
    "bytes in a row": Box(0, 255, (128,), BYTE),
    "one of": OneOf((Discrete(3), Box(-1, 1, (2,), F))),
    "beside a one of": Dict({"z": OneOf((Discrete(3), Discrete(2))), "a": Discrete(2)}),
}


def named(cases: dict):
    return pytest.mark.parametrize("space", cases.values(), ids=cases)


@named(FLAT)
def test_what_has_no_picture_is_what_gymnasium_flattens_it_to(space: Space) -> None:
    space.seed(3)
    seen = Observations(space)
    assert (seen.numbers, seen.pixels, seen.left_out) == (gymnasium.spaces.flatdim(space), 0, {})
    for _ in range(5):
        value = space.sample()
        expected = np.asarray(gymnasium.spaces.flatten(space, value), F)
        assert np.array_equal(seen.flat(value), expected)
        assert seen.flat(value).dtype == F


@named({"one": PHOTO, "beside": Dict({"cam": PHOTO, "v": Box(-1, 1, (2,), F)}), **FLAT})
def test_a_vector_is_turned_back_into_what_was_seen(space: Space) -> None:
    space.seed(0)
    seen, value = Observations(space), space.sample()
    back = seen.own(seen.flat(value))
    if isinstance(space, Box) and not seen.pictures:  # a plain vector is what scripts have always been given
        assert np.array_equal(back, np.ravel(value).astype(F))
    else:
        assert space.contains(back)
        assert np.array_equal(seen.flat(back), seen.flat(value))


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((7, 7, 3), (3, 7, 7)),
        ((96, 96, 3), (3, 96, 96)),
        ((4, 84, 84), (4, 84, 84)),
        ((84, 84), (1, 84, 84)),
        ((4, 96, 90, 3), (12, 96, 90)),
        ((4, 3, 96, 90), (12, 96, 90)),
        ((5, 84, 84, 1), (5, 84, 84)),
        ((7, 7, 20), (20, 7, 7)),
        ((5, 5, 21), (21, 5, 5)),
        ((21, 5, 5), (21, 5, 5)),
        ((2, 5, 5, 21), (42, 5, 5)),
        ((7, 9, 20), (7, 9, 20)),
        ((9, 20, 9), (9, 9, 20)),
    ],
)
def test_a_picture_is_seen_channels_first_whatever_axes_its_frames_and_colours_are(shape, size) -> None:
    space = Box(0, 255, shape, BYTE)
    space.seed(1)
    picture, value = picture_of(space), space.sample()
    assert picture is not None
    assert picture.size == size
    pixels = Observations(space).flat(value).reshape(size)
    place = tuple(min(1, side - 1) for side in shape)
    channels = [place[axis] for axis in picture.channels]
    sizes = [shape[axis] for axis in picture.channels]
    channel = int(np.ravel_multi_index(channels, sizes)) if sizes else 0
    assert pixels[channel, 1, 1] == value[place]


@named(
    {
        "floats": Box(0, 1, (8, 8, 3), F),
        "a row": Box(0, 255, (99,), BYTE),
        "thin": Box(0, 255, (8, 3, 3), BYTE),
        "rows": Box(0, 255, (4, 128), BYTE),
    }
)
def test_what_is_of_floats_or_has_no_two_sides_is_no_picture(space: Space) -> None:
    assert picture_of(space) is None
    assert Observations(space).numbers == np.prod(space.shape)


def test_pictures_stand_behind_all_numbers_and_texts_sequences_and_graphs_are_left_out() -> None:
    words = {"t": Text(3), "s": Sequence(Discrete(2)), "n": Dict({"g": Graph(Box(0, 1, (2,)), None)})}
    space = Dict({"a": PHOTO, "d": Discrete(3, start=1), "z": Box(-1, 1, (2,), F), **words})
    seen = Observations(space)
    assert (seen.numbers, seen.pixels, seen.pictures) == (5, 90, [(3, 6, 5)])
    assert set(seen.left_out) == {"t", "s", "n/g"}
    space.seed(0)
    value = {**space.sample(), "d": 2, "z": np.array([0.25, -0.5], F)}
    flat = seen.flat(value)
    assert flat[:5].tolist() == [0.0, 1.0, 0.0, 0.25, -0.5]
    assert np.array_equal(flat[5:].reshape(3, 6, 5), value["a"].transpose(2, 0, 1))
    assert set(seen.own(flat)) == {"a", "d", "z"}


@pytest.mark.parametrize(
    ("space", "value", "says"),
    [
        (Discrete(3), 3, r"observed 3, which is not in Discrete\(3\)"),
        (Discrete(3), -1, "observed -1"),
        (Discrete(3), None, "observed None"),
        (Discrete(3), np.array([1, 2]), "not in Discrete"),
        (MultiBinary(2), np.array([0, 2]), "not in MultiBinary"),
        (Dict({"a": Discrete(2)}), {"b": 1}, "nothing at 'a'"),
        (Dict({"a": Discrete(2)}), 7, "nothing at 'a'"),
        (Dict({"a": Tuple((Discrete(2), Discrete(2)))}), {"a": (1,)}, "nothing at 'a/1'"),
        (Dict({"a": Box(0, 1, (2,), F)}), {"a": np.zeros(3)}, r"at 'a', observed shape \(3,\)"),
        (Dict({"a": Box(0, 1, (2,), F)}), {"a": np.array([0, np.nan])}, "not finite"),
        (PHOTO, np.full((6, 5, 3), 0.5), "whole numbers 0 to 255"),
        (PHOTO, np.full((6, 5, 3), 256), "whole numbers 0 to 255"),
        (Dict({"cam": PHOTO}), {"cam": np.zeros((5, 6, 3), BYTE)}, r"at 'cam', observed shape \(5, 6, 3\)"),
    ],
)
def test_what_is_not_of_the_space_is_a_bad_report_that_names_the_place(space, value, says) -> None:
    with pytest.raises(BadReport, match=says):
        Observations(space).flat(value)


ACTIONS = {
    "Discrete from −5": (Discrete(3, start=-5), (), np.int64),
    "MultiDiscrete in rows": (MultiDiscrete([[2, 3], [4, 2]]), (4,), np.int64),
    "MultiDiscrete from": (MultiDiscrete([3, 3], start=[5, -1]), (2,), np.int64),
    "MultiBinary": (MultiBinary([2, 2]), (4,), np.int64),
    "whole numbers": (Box(-2, 3, (2,), np.int64), (2,), np.int64),
    "bytes": (Box(0, 255, (2,), BYTE), (2,), np.int64),
    "many whole numbers": (Box(-(10**6), 10**6, (2,), np.int64), (2,), F),
    "without bounds": (Box(-np.inf, np.inf, (2, 2), np.float64), (4,), F),
    "two boxes": (Tuple((Box(-1, 1, (1,), F), Box(0, 2, (2, 1), np.float64))), (3,), F),
    "choices by name": (Dict({"a": Discrete(2), "b": MultiBinary(2)}), (3,), np.int64),
    "both": (Dict({"b": Box(-1, 1, (2, 2)), "c": Discrete(3, start=-1), "t": Tuple((MultiBinary(2),))}), (7,), F),
}


@pytest.mark.parametrize(("space", "shape", "kind"), ACTIONS.values(), ids=ACTIONS)
def test_an_action_is_stored_and_given_back_in_the_worlds_own_form(space: Space, shape, kind) -> None:
    acts = Actions(space)
    assert action_layout(acts.stored) == (shape, np.dtype(kind))
    assert acts.size == np.prod(shape)
    space.seed(0)
    for _ in range(5):
        own = space.sample()
        stored = acts.store(own)
        assert (stored.shape, stored.dtype) == (shape, np.dtype(kind))
        back = acts.own(checked_action(stored[None], 1, acts.stored)[0])
        assert space.contains(back)
        assert np.array_equal(acts.store(back), stored)


def test_whole_numbers_are_rounded_and_not_cut_and_stay_within_bounds() -> None:
    acts = Actions(Box(-(10**6), 10**6, (3,), np.int32))
    drawn = checked_action(np.array([[0.6, -1.4, 3e9]], F), 1, acts.stored)
    assert acts.own(drawn[0]).tolist() == [1, -1, 10**6]
    far = Actions(Box(0, np.iinfo(np.uint64).max, (1,), np.uint64))
    assert far.own(np.array([-3.0]))[0] == 0
    assert 0 < int(far.own(np.array([1e30]))[0]) <= np.iinfo(np.uint64).max


def test_a_choice_that_is_none_is_refused_where_actions_are_stored() -> None:
    space = Actions(Dict({"a": Discrete(2), "b": Box(-1, 1, (1,))})).stored
    assert checked_action(np.array([[5.0, 1.0]]), 1, space).tolist() == [[1.0, 1.0]]  # the Box is clipped
    for bad in ([[0.0, 2.0]], [[0.0, -1.0]], [[np.nan, 0.0]], [[0.0]]):
        with pytest.raises(ValueError, match="action"):
            checked_action(np.array(bad), 1, space)
    several = Actions(MultiDiscrete([2, 3])).stored
    for bad in ([[0, 3]], [[-1, 0]], [[0.0, 1.0]], [[0, 1, 1]]):
        with pytest.raises(ValueError, match="actions"):
            checked_action(np.array(bad), 1, several)


def test_a_space_in_which_nobody_can_act_is_named() -> None:
    for space in (Text(3), Dict({"say": Text(3), "a": Discrete(2)}), OneOf((Discrete(2), Discrete(3)))):
        with pytest.raises(UnsupportedWorld, match="supported are Box, Discrete"):
            Actions(space)


def test_what_is_seen_is_said_once_and_a_plain_vector_is_nothing_to_speak_of() -> None:
    assert seen_as("W", Box(-1, 1, (17,), F)) == ()
    assert seen_as("W", Discrete(16)) == ("'W': an agent sees Discrete(16) as 16 numbers",)
    nested = seen_as("W", Dict({"image": Box(0, 255, (7, 7, 3), BYTE), "mission": Text(9), "d": Discrete(4)}))
    assert nested == (
        "'W': an agent sees d, Discrete(4) as 4 numbers; image, a picture of 7 × 7 pixels in 3 channels",
        "'W': mission (Text) cannot be flattened to numbers, and is left out",
    )
    several = seen_as("W", Dict({"a": Text(9), "b": Text(9), "d": Discrete(4)}))
    assert several[1] == "'W': a (Text), b (Text) cannot be flattened to numbers, and are left out"


@named(
    {
        "bytes in a row": Box(0, 255, (96 * 96 * 3,), BYTE),
        "floats to one": Box(0, 1, (84, 84, 3), F),
        "floats to 255": Box(0, 255, (84, 84), np.float64),
        "frames of floats": Dict({"a": Discrete(2), "cam": Box(0, 1, (4, 84, 84), F)}),
    }
)
def test_pixels_that_would_be_seen_one_by_one_are_warned_of(space: Space) -> None:
    assert "one by one" in seen_as("W", space)[-1]


@named({"a matrix": Box(-1, 1, (20, 20), F), "few bytes": Box(0, 255, (128,), BYTE), "thin": Box(0, 1, (20, 3), F)})
def test_numbers_that_are_no_pixels_are_not_warned_of(space: Space) -> None:
    assert seen_as("W", space) == ()
