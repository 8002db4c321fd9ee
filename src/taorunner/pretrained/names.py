"""Parses model names: NGC names, catalog URLs and Hugging Face names."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import PurePosixPath

from taorunner.errors import UsageError, UserFilesError
from taorunner.text import is_plain_name, printable
from taorunner.values.value import Value

_CATALOG = re.compile(
    r"https://catalog\.ngc\.nvidia\.com/orgs/(?P<org>[^/?#]+)(?:/teams/(?P<team>[^/?#]+))?/models/(?P<name>[^/?#:]+)"
    r"(?:[^#]*[?&]version=(?P<version>[^&#]+))?"
)
_HUGGING_FACE = ("hf_model://", "hf://")
PART, NOTE = ".part", ".part.json"
"""Suffixes of a file while it is downloaded."""
MANIFEST = ".taorunner.json"
"""File with the verified checksums and their origin; ``--from`` compares copies with it."""
_FORMS = "write nvidia/tao/NAME:VERSION, ngc://ORG/TEAM/NAME:VERSION, or hf://ORG/REPOSITORY"


class NgcModel(Value):
    """``org/team/name:version``; ``version`` is None when not given. Source: tao/pretrained.md section B5."""

    org: str
    team: str | None
    name: str
    version: str | None = None

    def __str__(self) -> str:
        path = "/".join(part for part in (self.org, self.team, self.name) if part)
        return f"{path}:{self.version}" if self.version else path

    @property
    def catalog_url(self) -> str:
        """The page with the model's description and licence."""
        team = f"/teams/{self.team}" if self.team else ""
        return f"https://catalog.ngc.nvidia.com/orgs/{self.org}{team}/models/{self.name}"


class HubModel(Value):
    """``hf://org/repository@revision``."""

    repo_id: str
    revision: str = "main"

    def __str__(self) -> str:
        return f"hf://{self.repo_id}@{self.revision}"

    @property
    def name(self) -> str:
        return self.repo_id.rpartition("/")[2]

    @property
    def version(self) -> str:
        return self.revision


def parse_model(text: str, org: str = "nvidia", team: str | None = "tao") -> NgcModel | HubModel:
    """The model named ``text``; ``org`` and ``team`` are the defaults. Raises UsageError."""
    for scheme in _HUGGING_FACE:
        if text.startswith(scheme):
            return _parse_hub(text, text.removeprefix(scheme))
    match = _CATALOG.match(text)
    if match is not None:
        parts = [part for part in (match["org"], match["team"], match["name"]) if part]
        version = match["version"]
    else:
        path, _, version = text.removeprefix("ngc://").partition(":")
        parts = path.split("/")
    if not all(map(is_plain_name, parts)) or (version and not is_plain_name(version)) or len(parts) > 3:
        raise UsageError(f'"{printable(text[:200])}" is not the name of a model', hint=_FORMS)
    if len(parts) == 1:
        return NgcModel(org, team, parts[0], version or None)
    return NgcModel(parts[0], parts[1] if len(parts) == 3 else None, parts[-1], version or None)


def _parse_hub(text: str, rest: str) -> HubModel:
    repo_id, _, revision = rest.partition("@")
    parts = repo_id.split("/")
    if len(parts) != 2 or not all(map(is_plain_name, parts)) or (revision and not is_plain_name(revision)):
        raise UsageError(f'"{printable(text[:200])}" is not the name of a model', hint=_FORMS)
    return HubModel(repo_id, revision or "main")


def inner_path(path: str) -> str:
    """A server's ``path`` if it names a file inside the folder that it is joined to. Raises UserFilesError."""
    pure = PurePosixPath(path)
    bad = not path or pure.is_absolute() or ".." in pure.parts or "\\" in path or not path.isprintable()
    if bad or str(pure) != path or not pure.parts:
        raise UserFilesError(
            f'the server lists a file "{printable(path[:200])}" outside the model\'s folder',
            hint="do not use this model, and inform its publisher",
        )
    if path == MANIFEST:
        raise UserFilesError(
            f'the server lists a file "{MANIFEST}", a name that taorunner uses itself',
            hint="do not use this model, and inform its publisher",
        )
    return path


def name_conflict(paths: Collection[str]) -> str | None:
    """A path that cannot be stored beside the others: listed twice, or a folder or partial file of another one."""
    known = set(paths)
    if len(known) != len(paths):
        return next(path for path in paths if list(paths).count(path) > 1)
    for path in paths:
        if any(str(parent) in known for parent in PurePosixPath(path).parents):
            return path
        if any(path.endswith(end) and path.removesuffix(end) in known for end in (PART, NOTE)):
            return path
    return None
