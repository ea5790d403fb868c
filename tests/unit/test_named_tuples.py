"""Tuples with names as `typing` has them."""

from __future__ import annotations

import copy
import pickle
import typing

import pytest

from wallet_cli.domain.model import Policy
from wallet_cli.named_tuples import NamedTuple


class Light(NamedTuple):
    """A tuple."""

    first: int
    second: dict[str, int] | None = None
    """What stands behind a field is no text of the class."""
    third: str = "c"

    @property
    def doubled(self) -> int:
        return self.first * 2

    @classmethod
    def of(cls, first: int) -> Light:
        return cls(first)


class Usual(typing.NamedTuple):
    """A tuple."""

    first: int
    second: dict[str, int] | None = None
    third: str = "c"

    @property
    def doubled(self) -> int:
        return self.first * 2

    @classmethod
    def of(cls, first: int) -> Usual:
        return cls(first)


class Below(Light):
    """A class below one is a usual class."""

    fourth = 4


def test_it_is_as_typing_makes_it() -> None:
    for name in ("_fields", "_field_defaults", "__doc__", "__bases__", "__match_args__", "__module__"):
        assert getattr(Light, name) == getattr(Usual, name), name
    assert (Light.__name__, Light.__qualname__) == ("Light", "Light")
    assert typing.get_type_hints(Light) == typing.get_type_hints(Usual)
    assert [*Light.__annotations__] == [*Usual.__annotations__]


def test_its_values_are_tuples() -> None:
    light = Light(1, third="d")
    assert light == (1, None, "d") == Usual(1, third="d")
    assert repr(light) == "Light(first=1, second=None, third='d')"
    assert light._replace(first=5).doubled == 10
    assert light._asdict() == {"first": 1, "second": None, "third": "d"}
    assert Light.of(3) == (3, None, "c")
    assert pickle.loads(pickle.dumps(light)) == copy.deepcopy(light) == light
    assert Below(1).doubled + Below(1).fourth == 6


@pytest.mark.parametrize("arguments", [(), (1, 2, 3, 4)])
def test_a_wrong_number_of_values_is_refused(arguments: tuple[int, ...]) -> None:
    for each in (Light, Usual):
        with pytest.raises(TypeError):
            each(*arguments)


def test_a_wrong_name_or_number_is_refused_in_a_copy() -> None:
    for each in (Light, Usual):
        with pytest.raises(TypeError):
            each._make((1, 2))
        with pytest.raises((TypeError, ValueError)):
            each(1)._replace(fifth=5)
        assert each._make((1, None, "c")) == each(1)


@pytest.mark.parametrize("count", [0, 1, 40])
def test_a_class_may_have_any_number_of_fields(count: int) -> None:
    names = [f"name_{number}" for number in range(count)]
    Many = type(NamedTuple)("Many", (NamedTuple,), {"__annotations__": dict.fromkeys(names, "int")})  # noqa: N806
    many = Many(*range(count))
    assert [getattr(many, name) for name in names] == list(range(count)) == list(Many(**many._asdict()))
    assert isinstance(many, tuple)


def test_what_is_made_at_start_up_is_of_these() -> None:
    """An annotation is still text: nobody has compiled it."""
    assert {type(each) for each in Policy.__annotations__.values()} == {str}
