"""The keys and values that a spec may contain, by network, action and release. Read from the files in ``schemas``.

``tools/schemas/spec_schemas.py`` writes these files from TAO's own packages; each is read on first use. Nothing is
guessed: a network or release without a file has no schema, and its specs are not checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taorunner.specs.memory import Answers, SpecMemory
from taorunner.values.bounded_reading import read_json
from taorunner.values.value import MutableValue, Value, field

SCHEMAS = Path(__file__).parents[1] / "schemas"
MISSING = "???"
"""TAO's marker of a required value. Source: OmegaConf; tao/pytorch.md section 5."""

NO_DEFAULT = object()


class Key(Value):
    """The type of one key. ``kind``: int, float, bool, str, enum, list, map, section, any, any_of.

    ``of`` is what a list or map holds, ``names`` the type of a map's names, ``section`` the number of a section.
    ``is_repeated``: protobuf's repeated.
    ``options`` are compared as words; TAO's own parser refuses others only where ``kind`` is enum. ``is_enforced``: the
    network refuses what is beyond the limits and the options, as the embedded one does.
    """

    kind: str
    is_optional: bool = False
    is_repeated: bool = False
    default: object = NO_DEFAULT
    least: float | None = None
    most: float | None = None
    options: tuple[str, ...] = ()
    is_enforced: bool = False
    section: int = -1
    names: str = "any"
    of: Key | None = None
    any_of: tuple[Key, ...] = ()


class _SchemaFile(MutableValue):
    """All releases of one schema."""

    __eq__, __hash__ = object.__eq__, object.__hash__

    format: str
    releases: dict[str, int]
    raw: list[dict[str, dict[str, Any]]]
    sections: dict[int, dict[str, Key]] = field(default_factory=dict)

    def keys(self, number: int) -> Mapping[str, Key]:
        if number not in self.sections:
            self.sections[number] = {name: _key(facts) for name, facts in self.raw[number].items()}
        return self.sections[number]


class Schema(Value):
    """One release of one schema, or that of one image. Compared by identity: one memory gives one schema."""

    __eq__, __hash__ = object.__eq__, object.__hash__

    name: str
    release: str
    root: int
    file: _SchemaFile
    source: SchemaSet

    @property
    def format(self) -> str:
        return self.file.format

    @property
    def has_own_sections(self) -> bool:
        """False for the spec of one action alone (``dino.convert``), whose keys are not below the action's name."""
        return "." not in self.name

    def keys(self, section: int | None = None) -> Mapping[str, Key]:
        """The keys of a section by name; without a number those at the top."""
        return self.file.keys(self.root if section is None else section)

    def find(self, path: tuple[str, ...]) -> Key | None:
        """The key at ``path``; indices of lists are left out of it."""
        return _find(self.file, self.root, path)

    def find_in(self, release: str, path: tuple[str, ...]) -> Key | None:
        """The key at ``path`` in another one of ``releases``."""
        return _find(self.file, self._roots()[release], path)

    @property
    def releases(self) -> tuple[str, ...]:
        """All versions of which this schema is known, oldest first; of an image's only that image."""
        return tuple(self._roots())

    def releases_with(self, path: tuple[str, ...]) -> tuple[str, ...]:
        """Those of ``releases`` that have this path."""
        return tuple(name for name, root in self._roots().items() if _find(self.file, root, path) is not None)

    def _roots(self) -> Mapping[str, int]:
        return self.file.releases if self.source.label is None else {self.release: self.root}

    def elsewhere(self, path: tuple[str, ...]) -> str | None:
        """``since 6.25.7``, ``until 6.26.3``: which other releases have this path. None when none has it."""
        names = self.releases
        having = self.releases_with(path)
        if not having:
            return None
        here = names.index(self.release)
        later = [name for name in having if names.index(name) > here]
        return f"since {later[0]}" if later else f"until {having[-1]}"


class SchemaSet(Value):
    """The schemas of one folder. ``label`` is shown instead of a version for those of one image.

    Each file is read once for each ``memory``.
    """

    folder: Path
    label: str | None = None
    memory: SpecMemory = field(default_factory=SpecMemory, compare=False, repr=False)

    def find(self, network: str, action: str, version: str, group: str = "") -> Schema | None:
        """The schema of the spec that ``action`` reads, in the code of that version (``6.26.3``). None if unknown.

        ``group`` is the kind of the image, where its actions may read a spec of another shape (``deploy``).
        """
        own = f"{network}.{group}"
        if own in self._index().names and (schema := self._schema(own, version)) is not None:
            return schema
        name = self._name(network, action)
        return None if name is None else self._schema(name, version)

    def of_network(self, network: str, version: str) -> tuple[Schema, ...]:
        """Those of all its actions: the one of its own name, and those of actions with a spec of another shape."""
        index = self._index()
        names = [network, *(n for n in (*index.names, *index.same_as) if n.startswith(f"{network}."))]
        found = (index.same_as.get(name, name) for name in names)
        schemas = (self._schema(str(name), version) for name in dict.fromkeys(found) if name in index.names)
        return tuple(schema for schema in schemas if schema is not None)

    def versions(self, network: str, action: str) -> tuple[str, ...]:
        """The versions of which ``find`` has a schema, oldest first."""
        name = self._name(network, action)
        return () if name is None else tuple(self._file(name).releases)

    def _name(self, network: str, action: str) -> str | None:
        """The file that contains it. None if the spec differs from the network's and its schema is unknown."""
        index = self._index()
        for name in (f"{network}.{action}", network):
            found = index.same_as.get(name, name)
            if found is None or found in index.names:
                return found
        return None

    def _index(self) -> _Index:
        return self.memory.table(_Indexes).get(self.folder, lambda: _read_index(self.folder))

    def _file(self, name: str) -> _SchemaFile:
        return self.memory.table(_Files).get((self.folder, name), lambda: _read_file(self.folder, name))

    def _schema(self, name: str, version: str) -> Schema | None:
        return self.memory.table(_Schemas).get((self, name, version), lambda: self._new_schema(name, version))

    def _new_schema(self, name: str, version: str) -> Schema | None:
        file = self._file(name)
        if self.label is not None:
            root = next(iter(file.releases.values()))
            return Schema(name, self.label, root, file, self)
        found: str | None = version if version in file.releases else None
        if found is None and file.format == "prototxt":  # TF1's messages no longer change
            older = [known for known in file.releases if _numbers(known) <= _numbers(version)]
            found = older[-1] if older else None
        return None if found is None else Schema(name, found, file.releases[found], file, self)


class _Index(Value):
    """``names`` have files of their own; ``same_as`` maps to the name of the file, None if the schema is unknown."""

    names: Mapping[str, Any]
    same_as: Mapping[str, str | None]


class _Indexes(Answers[Path, _Index]):
    """By folder."""


class _Files(Answers[tuple[Path, str], _SchemaFile]):
    """By folder and name."""


class _Schemas(Answers[tuple[SchemaSet, str, str], "Schema | None"]):
    """By set, name and version."""


_MAX_BYTES = 64 * 1024**2


def shipped_schemas(memory: SpecMemory | None = None) -> SchemaSet:
    """The schemas that come with taorunner."""
    return SchemaSet(SCHEMAS, memory=memory or SpecMemory())


def find_schema(
    network: str, action: str, version: str, memory: SpecMemory | None = None, group: str = ""
) -> Schema | None:
    """``SchemaSet.find`` in the schemas that come with taorunner."""
    return shipped_schemas(memory).find(network, action, version, group)


def _read_index(folder: Path) -> _Index:
    body = read_json(folder / "index.json", most_bytes=_MAX_BYTES)
    return _Index(body["schemas"], body["same_as"])


def _read_file(folder: Path, name: str) -> _SchemaFile:
    body = read_json(folder / f"{name}.json", most_bytes=_MAX_BYTES)
    return _SchemaFile(body["format"], body["releases"], body["sections"])


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _key(facts: Mapping[str, Any]) -> Key:
    kind = "section" if "section" in facts else "any_of" if "any_of" in facts else facts["type"]
    of = facts.get("of")
    return Key(
        kind=kind,
        is_optional=facts.get("optional", False),
        is_repeated=facts.get("many", False),
        default=facts.get("default", NO_DEFAULT),
        least=facts.get("min"),
        most=facts.get("max"),
        options=tuple(facts.get("options", ())),
        is_enforced=facts.get("enforced", False),
        section=facts.get("section", -1),
        names=facts.get("names", "any"),
        of=None if of is None else _key(of),
        any_of=tuple(_key(one) for one in facts.get("any_of", ())),
    )


def _find(file: _SchemaFile, root: int, path: tuple[str, ...]) -> Key | None:
    section, key = root, None
    for depth, name in enumerate(path):
        key = file.keys(section).get(name)
        while key is not None and key.kind in ("list", "map") and depth + 1 < len(path):
            if key.kind == "map" or key.of is None or key.of.kind != "section":
                return key  # what is below has no keys of its own
            key = key.of
        if key is None:
            return None
        if depth + 1 < len(path):
            if key.kind != "section":
                return key if key.kind in ("any", "any_of") else None
            section = key.section
    return key
