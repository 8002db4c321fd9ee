"""Value: the base of classes that behave like frozen dataclasses and cost nothing to define.

``@dataclass`` compiles up to six methods for each class when a module is imported, half a millisecond for a class: a
fifth of the time until ``validate`` or ``train`` begins its work. Importing ``dataclasses`` itself takes as long as
Python needs to start, half of the time of ``taorunner ps``. The methods of a ``Value`` are written once, here. To make
an object takes three times as long: what is made for every box or spec file stays a dataclass with slots.
``dataclasses.replace``, ``fields`` and ``asdict`` take a ``Value`` too.
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing takes a tenth of the time of `taorunner ps`
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ClassVar, TypeVar

    from typing_extensions import dataclass_transform

    _Value = TypeVar("_Value", bound="_Fields")
else:

    def dataclass_transform(**_):
        return lambda cls: cls


def field(*, default_factory: Callable[[], Any] | None = None, repr: bool = True) -> Any:  # noqa: A002 (as dataclasses.field has it)
    """A default that is made for each object, and whether the text of an object shows the field, as
    ``dataclasses.field`` has them. Without a default the field is required."""
    return _Field(default_factory, repr)


class _Field:
    def __init__(self, make: Callable[[], Any] | None, is_shown: bool) -> None:
        self.make, self.is_shown = make, is_shown


class _DataclassFields:
    """``__dataclass_fields__``, by which the functions of ``dataclasses`` know a dataclass; made when one asks."""

    def __get__(self, value: object, cls: Any) -> dict[str, Any]:
        import dataclasses

        rows: list[Any] = []
        for name, kind in cls._kinds.items():
            make = cls._factories.get(name)
            default = cls._defaults.get(name, dataclasses.MISSING)
            given: Any = {"default": default} if make is None else {"default_factory": make}
            rows.append((name, kind, dataclasses.field(**given, repr=name not in cls._hidden)))
        made: Any = dataclasses.make_dataclass(cls.__name__, rows, kw_only=True)
        cls.__dataclass_fields__ = made.__dataclass_fields__
        return dict(cls.__dataclass_fields__)


class _Fields:
    """The annotated names of a class are its fields, those of its bases first."""

    if TYPE_CHECKING:  # get_type_hints shall see the fields alone
        _kinds: ClassVar[dict[str, Any]]
        _names: ClassVar[tuple[str, ...]]
        _defaults: ClassVar[dict[str, Any]]
        _factories: ClassVar[dict[str, Callable[[], Any]]]
        _hidden: ClassVar[frozenset[str]]
        __dataclass_fields__: ClassVar[Any]
    _kinds, _names, _defaults, _factories, _hidden = {}, (), {}, {}, frozenset()

    def __init_subclass__(cls) -> None:
        own = {
            name: kind for name, kind in cls.__annotations__.items() if not str(kind).startswith("ClassVar")
        }
        given = {name: vars(cls)[name] for name in own if name in vars(cls)}
        fields = {name: value for name, value in given.items() if isinstance(value, _Field)}
        made = {name: value.make for name, value in fields.items() if value.make is not None}
        required = fields.keys() - made.keys()
        cls._kinds = {**cls._kinds, **own}
        cls._names = tuple(cls._kinds)
        cls._factories = {**cls._factories, **made}
        cls._defaults = {**cls._defaults, **{name: given[name] for name in given.keys() - required}}
        cls._hidden = cls._hidden | {name for name, value in fields.items() if not value.is_shown}
        cls.__dataclass_fields__ = _DataclassFields()

    def __init__(self, *args: Any, **given: Any) -> None:
        if args:
            count = len(args) + len(given)
            given.update(zip(self._names, args, strict=False))
            if len(given) != count:
                raise TypeError(f"{type(self).__name__}: too many values, or one of them twice")
        values = vars(self)
        values.update(self._defaults)
        values.update(given)
        if values.keys() != self._kinds.keys():
            wrong = ", ".join(sorted(values.keys() ^ self._kinds.keys()))
            raise TypeError(f"{type(self).__name__}: missing or unknown: {wrong}")
        for name, make in self._factories.items():
            if name not in given:
                values[name] = make()

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other) if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash((type(self), *map(vars(self).get, self._names)))

    def __repr__(self) -> str:
        shown = [name for name in self._names if name not in self._hidden]
        named = ", ".join(f"{name}={vars(self)[name]!r}" for name in shown)
        return f"{type(self).__name__}({named})"


@dataclass_transform(field_specifiers=(field,))
class MutableValue(_Fields):
    """A ``Value`` whose fields can be set."""


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Value(_Fields):
    """Its fields are set once, when it is made; equality, hash and text are those of its fields."""

    def __setattr__(self, name: str, value: object) -> None:
        from dataclasses import FrozenInstanceError

        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        from dataclasses import FrozenInstanceError

        raise FrozenInstanceError(f"cannot delete field {name!r}")


def names_of(value: _Fields | type[_Fields]) -> tuple[str, ...]:
    """The names of the fields, in their order."""
    return value._names


def replace(value: _Value, /, **changes: object) -> _Value:
    """A copy with other values for some fields: ``dataclasses.replace`` without importing that module."""
    return type(value)(**{**vars(value), **changes})
