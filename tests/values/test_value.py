"""A ``Value`` behaves as the dataclass with the same fields, and the functions of ``dataclasses`` take it."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys
from typing import Any, ClassVar, get_type_hints

import pytest

from taorunner.values.value import MutableValue, Value, field, names_of, replace


class Point(Value):
    x: int
    y: int = 2
    tags: dict[str, int] = field(default_factory=dict)
    count: ClassVar[int] = 7


class Named(Point):
    name: str = ""


class Password(Value):
    name: str
    text: str = field(repr=False)
    given: dict[str, str] = field(default_factory=dict, repr=False)


class Position(MutableValue):
    x: int = 0


@dataclasses.dataclass(frozen=True)
class Plain:
    x: int
    y: int = 2
    tags: dict[str, int] = dataclasses.field(default_factory=dict)


@pytest.mark.parametrize(
    ("args", "given"), [((1,), {}), ((1, 3), {}), ((1,), {"y": 4}), ((), {"y": 4, "x": 1}), ((1, 2, {"a": 1}), {})]
)  # fmt: skip
def test_it_is_made_as_a_dataclass_is(args: tuple[Any, ...], given: dict[str, Any]) -> None:
    assert dataclasses.asdict(Point(*args, **given)) == dataclasses.asdict(Plain(*args, **given))
    assert repr(Point(*args, **given)) == repr(Plain(*args, **given)).replace("Plain", "Point")


@pytest.mark.parametrize(
    ("args", "given"), [((), {}), ((1, 2, {}, 4), {}), ((1,), {"x": 2}), ((1,), {"z": 2}), ((), {"z": 1})]
)
def test_wrong_values_are_refused_as_a_dataclass_does(args: tuple[Any, ...], given: dict[str, Any]) -> None:
    for cls in (Point, Plain):
        with pytest.raises(TypeError, match=cls.__name__):
            cls(*args, **given)


def test_fields_of_a_base_come_first() -> None:
    assert names_of(Named) == ("x", "y", "tags", "name")
    assert Named(1, 2, {}, "n") == Named(x=1, name="n")
    assert [one.name for one in dataclasses.fields(Point)] == ["x", "y", "tags"]
    assert [one.name for one in dataclasses.fields(Named)] == ["x", "y", "tags", "name"]
    assert [*get_type_hints(Named)] == ["x", "y", "tags", "count", "name"]


def test_values_are_equal_by_their_fields_within_one_class() -> None:
    assert Point(1) == Point(1, 2) != Point(2)
    assert Point(1) != Named(1)
    assert hash(Turn("a")) == hash(Turn(after="a"))
    assert len({Turn("a"), Turn("a"), Turn("b")}) == 2


class Turn(Value):
    after: str
    behind: str = ""


def test_a_factory_makes_a_default_for_each() -> None:
    assert Point(1).tags is not Point(1).tags


def test_a_field_that_is_not_shown_is_a_field_all_the_same() -> None:
    one = Password("login", "open sesame", {"key": "hunter2"})
    assert repr(one) == "Password(name='login')"
    assert one == Password("login", "open sesame", {"key": "hunter2"}) != Password("login", "other")
    assert [(own.name, own.repr) for own in dataclasses.fields(Password)] == [
        ("name", True), ("text", False), ("given", False),
    ]  # fmt: skip
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'text'"):
        Password("login")  # type: ignore[call-arg]


def test_a_field_that_is_not_compared_counts_neither_for_equality_nor_for_the_hash() -> None:
    one, other = Placed("a", line=1), Placed("a", line=2)
    assert one == other != Placed("b", line=1)
    assert hash(one) == hash(other)
    assert replace(other, name="c").line == 2
    assert [own.compare for own in dataclasses.fields(Placed)] == [True, False]


class Placed(Value):
    name: str
    line: int | None = field(default=None, compare=False)


def test_it_is_frozen_but_for_a_mutable_one() -> None:
    point, position = Point(1), Position()
    with pytest.raises(dataclasses.FrozenInstanceError):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        del point.x
    position.x = 3
    assert position == Position(3)


def test_a_class_with_more_fields_than_its_used_base_takes_them_all() -> None:
    class Base(Value):
        values: int  # a name that the compiled constructor might use itself

    assert Base(1).values == 1

    class Wider(Base):
        made: list[int] = field(default_factory=list)

    assert Wider(2, [3]) == Wider(values=2, made=[3]) != Wider(2)
    assert Base(2) == Base(values=2)


def test_copies() -> None:
    point = Point(1, tags={"a": 1})
    assert replace(point, y=5) == dataclasses.replace(point, y=5) == Point(1, 5, {"a": 1})
    assert dataclasses.is_dataclass(point)
    assert copy.deepcopy(point) == pickle.loads(pickle.dumps(point)) == point


def test_it_imports_no_dataclasses() -> None:
    code = "import sys, taorunner.values.value, taorunner.events; sys.exit('dataclasses' in sys.modules)"
    assert (
        subprocess.run(
            [sys.executable, "-S", "-c", code], env={"PYTHONPATH": ":".join(sys.path)}, check=False
        ).returncode
        == 0
    )
