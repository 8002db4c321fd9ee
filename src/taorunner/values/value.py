"""Value: the base of classes that behave like frozen dataclasses and cost nothing to define.

``@dataclass`` compiles up to six methods for each class when a module is imported, half a millisecond for a class: a
fifth of the time until ``validate`` or ``train`` begins its work. Importing ``dataclasses`` itself takes as long as
Python needs to start, half of the time of ``taorunner ps``. The methods of a ``Value`` are written once, here, but for
its constructor, which is compiled when the first object is made: most classes of a command are never used by it.
What is made for every box of a dataset stays a dataclass with slots, which takes less memory.
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


def field(
    *, default: Any = ..., default_factory: Callable[[], Any] | None = None, repr: bool = True, compare: bool = True,  # noqa: A002 (as dataclasses.field has it)
) -> Any:  # fmt: skip
    """A default, or one that is made for each object, and whether the text and the equality of objects take the field
    into account, as ``dataclasses.field`` has them. Without a default the field is required."""
    return _Field(default, default_factory, repr, compare)


class _Field:
    def __init__(
        self, default: Any, make: Callable[[], Any] | None, is_shown: bool, is_compared: bool
    ) -> None:
        self.default, self.make, self.is_shown, self.is_compared = default, make, is_shown, is_compared


class _DataclassFields:
    """``__dataclass_fields__``, by which the functions of ``dataclasses`` know a dataclass; made when one asks."""

    def __get__(self, value: object, cls: Any) -> dict[str, Any]:
        import dataclasses

        rows: list[Any] = []
        for name, kind in cls._kinds.items():
            make = cls._factories.get(name)
            default = cls._defaults.get(name, dataclasses.MISSING)
            given: Any = {"default": default} if make is None else {"default_factory": make}
            given |= {"repr": name not in cls._hidden, "compare": name in cls._compared}
            rows.append((name, kind, dataclasses.field(**given)))
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
        _compared: ClassVar[tuple[str, ...]]
        __dataclass_fields__: ClassVar[Any]
    _kinds, _names, _defaults, _factories, _hidden, _compared = {}, (), {}, {}, frozenset(), ()

    def __init_subclass__(cls) -> None:
        own = {
            name: kind for name, kind in cls.__annotations__.items() if not str(kind).startswith("ClassVar")
        }
        given = {name: vars(cls)[name] for name in own if name in vars(cls)}
        fields = {name: value for name, value in given.items() if isinstance(value, _Field)}
        given.update((name, value.default) for name, value in fields.items())
        cls._kinds = {**cls._kinds, **own}
        cls._names = tuple(cls._kinds)
        made = {name: value.make for name, value in fields.items() if value.make is not None}
        cls._factories = {**cls._factories, **made}
        cls._defaults = {**cls._defaults, **{name: one for name, one in given.items() if one is not ...}}
        cls._hidden = cls._hidden | {name for name, value in fields.items() if not value.is_shown}
        left_out = {name for name, value in fields.items() if not value.is_compared}
        cls._compared = (*cls._compared, *(name for name in own if name not in left_out))
        cls.__dataclass_fields__ = _DataclassFields()
        if "__init__" not in vars(cls):
            type.__setattr__(cls, "__init__", _Fields.__init__)  # that of a base has fewer fields

    def __init__(self, *args: Any, **given: Any) -> None:
        """Of the first object of a class; each later one is made by the compiled constructor."""
        make = _constructor(type(self))
        type.__setattr__(type(self), "__init__", make)
        make(self, *args, **given)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(vars(self)[name] == vars(other)[name] for name in self._compared)

    def __hash__(self) -> int:
        return hash((type(self), *map(vars(self).get, self._compared)))

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


def _constructor(cls: type[_Fields]) -> Any:
    """``__init__`` with a parameter for each field. Its own names are in capitals, as no field's name is."""
    parameters, lines, names = ["self"], ["VALUES = self.__dict__"], {"MADE": object()}
    for name in cls._names:
        if name in cls._factories:
            names[f"MAKE_{name}"] = cls._factories[name]
            parameters.append(f"{name}=MADE")
            lines.append(f"VALUES[{name!r}] = MAKE_{name}() if {name} is MADE else {name}")
        else:
            parameters.append(f"{name}=DEFAULT_{name}" if name in cls._defaults else name)
            lines.append(f"VALUES[{name!r}] = {name}")
    names |= {f"DEFAULT_{name}": value for name, value in cls._defaults.items()}
    exec(f"def __init__({', '.join(parameters)}):\n " + "\n ".join(lines), names)
    made: Any = names["__init__"]
    made.__qualname__ = f"{cls.__name__}.__init__"  # for the text of a TypeError
    return made


def names_of(value: _Fields | type[_Fields]) -> tuple[str, ...]:
    """The names of the fields, in their order."""
    return value._names


def replace(value: _Value, /, **changes: object) -> _Value:
    """A copy with other values for some fields: ``dataclasses.replace`` without importing that module."""
    held = vars(value)
    return type(value)(**{**{name: held[name] for name in value._names}, **changes})
