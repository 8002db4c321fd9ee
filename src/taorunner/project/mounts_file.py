"""Reads ``.tao_mounts.json`` strictly: valid JSON, known keys only, problems with line and column.

What the TAO launcher passes over is a warning: unknown keys of a mount or a variable, and a mount that is repeated.
docs/mounts.md lists what else differs from it. Returns plain values, which ``mounts`` turns into ``Mounts``.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeAlias

from pydantic import Field, TypeAdapter, ValidationError, with_config
from pydantic.config import ConfigDict
from typing_extensions import NotRequired, TypedDict

from taorunner.errors import Finding, Severity
from taorunner.project.diagnostics import FindingList, Vocabulary, described, report, shown
from taorunner.project.limits import size_bytes
from taorunner.project.models import ShmSize
from taorunner.project.text_files import read_text_file
from taorunner.yaml_reader import read_yaml

MAX_BYTES = 1024 * 1024
ULIMITS = (
    "as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss",
    "rtprio", "rttime", "sigpending", "stack",
)  # fmt: skip
"""Source: docker/go-units ulimit.go."""

_VARIABLE = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})")
_STRICT: ConfigDict = ConfigDict(extra="forbid", strict=True)
_Port: TypeAlias = Annotated[int, Field(ge=1, le=65535)] | Annotated[str, Field(pattern=r"^[0-9]{1,5}$")]


@dataclass(frozen=True, slots=True)
class FileMount:
    """One mount of the file; both paths are absolute. ``place`` is the line and column of its source."""

    source: Path
    destination: str
    read_only: bool
    place: tuple[int, int]


@dataclass(frozen=True, slots=True)
class MountsFile:
    """The content of the file and its problems."""

    mounts: tuple[FileMount, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    user: str | None = None
    ports: Mapping[int, int] = field(default_factory=dict)
    shm_bytes: int | None = None
    ulimits: Mapping[str, int] = field(default_factory=dict)
    privileged: bool = False
    network: str | None = None
    tty: bool = False
    findings: tuple[Finding, ...] = ()


@with_config(_STRICT)
class _Mount(TypedDict):
    source: Annotated[str, Field(pattern=r"^[^\x00-\x1f]+$", max_length=4096)]
    destination: Annotated[str, Field(pattern=r"^[^\x00-\x1f]+$", max_length=4096)]
    read_only: NotRequired[bool]


@with_config(_STRICT)
class _Env(TypedDict):
    variable: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    value: str | int | float


@with_config(_STRICT)
class _Options(TypedDict):
    user: NotRequired[Annotated[str, Field(pattern=r"^[A-Za-z0-9_][^\s]*$")] | Annotated[int, Field(ge=0)]]
    ports: NotRequired[dict[Annotated[str, Field(pattern=r"^[0-9]{1,5}(/tcp)?$")], _Port]]
    shm_size: NotRequired[ShmSize]
    ulimits: NotRequired[dict[str, Annotated[int, Field(ge=-1)]]]
    privileged: NotRequired[bool]
    network: NotRequired[Annotated[str, Field(pattern=r"^[^\s]+$")]]
    tty: NotRequired[bool]


_MOUNT: TypeAdapter[_Mount] = TypeAdapter(_Mount)
_ENV: TypeAdapter[_Env] = TypeAdapter(_Env)
_OPTIONS: TypeAdapter[_Options] = TypeAdapter(_Options)

_TOP = ("Mounts", "Envs", "DockerOptions")
_MOUNT_WORDS = Vocabulary(
    {
        "source": "a path on this host",
        "destination": "a path in the container",
        "read_only": "true or false",
    }
)
_ENV_WORDS = Vocabulary(
    {"variable": "the name of an environment variable", "value": "a text or a number"},
    secret_keys=frozenset({"value"}),
)
_OPTION_WORDS = Vocabulary(
    {
        "user": 'a text such as "1000:1000"',
        "ports": 'a mapping of container ports to host ports, such as {"8888": 8888}',
        "shm_size": "a size of at least 1 MiB, such as 16G",
        "ulimits": 'a mapping of names to whole numbers, such as {"memlock": -1}',
        "privileged": "true or false",
        "network": "the name of a network, such as host",
        "tty": "true or false",
    }
)


def read_mounts_file(file: Path, environ: Mapping[str, str], home: Path) -> MountsFile:
    """Reads the file. Wrong parts are left out and reported in ``findings``; never raises for bad content."""
    read = read_text_file(file, max_bytes=MAX_BYTES)
    if read.text is None:
        return MountsFile(findings=read.findings)
    return read_mounts_text(read.text, file, environ, home)


def read_mounts_text(text: str, file: Path, environ: Mapping[str, str], home: Path) -> MountsFile:
    """The same for the text of such a file; relative sources begin at the folder of ``file``."""
    data, problem = _parsed(file, text)
    if problem is not None:
        return MountsFile(findings=(problem,))
    # JSON is YAML, so the YAML reader gives the places; text that it cannot read has none.
    document = read_yaml(text)
    to = FindingList(file, document.place)
    to.take(problem for problem in document.problems if problem.code == "duplicate-key")
    if not isinstance(data, dict):
        to.error(
            "wrong-type", f"the file must be an object, not {described(data)}", hint='write {"Mounts": […]}'
        )
        return MountsFile(findings=to.sorted())
    for key in data:
        if key not in _TOP:
            hint = to.suggestion(key, _TOP)
            to.error("unknown-key", f'unknown key "{shown(key)}"', (key,), hint=hint, of_key=True)
    mounts = _mounts(data, file.parent, environ, home, to)
    env = _env(data.get("Envs", []), to)
    options = _options(data.get("DockerOptions", {}), to)
    return _content(mounts, env, options, to)


def _parsed(file: Path, text: str) -> tuple[Any, Finding | None]:
    try:
        return json.loads(text, parse_constant=_refuse_constant), None
    except json.JSONDecodeError as error:
        message = f"not valid JSON: {error.msg[:1].lower()}{error.msg[1:]}"
        return None, Finding(
            Severity.ERROR, "json-syntax", message, _syntax_hint(text, error), file, error.lineno, error.colno
        )
    except _ConstantError as error:
        message = str(error)
    except ValueError:  # Python converts no whole number of more than 4300 digits
        message = "a number has thousands of digits"
    except RecursionError:
        message = "nested too deep"
    return None, Finding(Severity.ERROR, "json-syntax", f"not valid JSON: {message}", None, file, 1, 1)


class _ConstantError(ValueError):
    """NaN or Infinity, which Python reads and JSON does not have."""


def _refuse_constant(name: str) -> NoReturn:
    raise _ConstantError(f'"{name}" is not JSON')


def _syntax_hint(text: str, error: json.JSONDecodeError) -> str | None:
    rest = text[error.pos : error.pos + 2]
    before = text[: error.pos].rstrip()[-1:]
    if not text.strip():
        return 'the file is empty: write {"Mounts": []}'
    if rest[:1] in ("}", "]", ",") and (before == "," or rest[:1] == ","):
        return "remove the comma before it" if before == "," else None
    if rest[:1] == "#" or rest == "//" or rest == "/*":
        return "remove the comment: JSON has none"
    if rest[:1] == "'":
        return 'use double quotes: "'
    return None


def _mounts(
    data: Mapping[str, Any], folder: Path, environ: Mapping[str, str], home: Path, to: FindingList
) -> tuple[FileMount, ...]:
    if "Mounts" not in data:
        hint = 'write "Mounts": [{"source": …, "destination": …}]'
        to.error("missing-key", '"Mounts" is missing', hint=hint)
        return ()
    found: dict[str, FileMount] = {}
    for position, entry in enumerate(_listed(data["Mounts"], "Mounts", to)):
        path = ("Mounts", position)
        entry = _with_known_keys(entry, path, _MOUNT_WORDS, to)
        if not _checks(_MOUNT, entry, path, _MOUNT_WORDS, to):
            continue
        source = _source(entry["source"], folder, environ, home, (*path, "source"), to)
        destination = _destination(entry["destination"], environ, home, (*path, "destination"), to)
        if source is None or destination is None:
            continue
        if destination in found:
            first = found[destination]
            _report_repeated(source, first.source, destination, (*path, "destination"), to)
            is_read_only = first.read_only or entry.get("read_only", False)
            found[destination] = FileMount(first.source, destination, is_read_only, first.place)
            continue
        place = to.place_of((*path, "source"))
        found[destination] = FileMount(source, destination, entry.get("read_only", False), place)
    return tuple(found.values())


def _report_repeated(
    source: Path, first: Path, destination: str, path: tuple[str | int, ...], to: FindingList
) -> None:
    """The launcher mounts the same folder at the same place once; Docker refuses two folders at one place.

    Source: nvidia_tao_cli 6.26.3 docker_handler.py, ``formatted_mounts``.
    """
    if os.path.realpath(source) == os.path.realpath(first):
        message = f'the mount of "{shown(destination)}" is repeated'
        to.add(Severity.WARNING, "mount-twice", message, path, hint="remove one of them")
    else:
        message = f'two mounts go to "{shown(destination)}"'
        to.error("destination-twice", message, path, hint="give each its own destination")


def _of_windows(text: str) -> str | None:
    """Where WSL has a path of Windows."""
    match = re.match(r"(?P<drive>[A-Za-z]):[\\/](?P<rest>.*)\Z", text, re.DOTALL)
    if match is None:
        return None
    rest = match["rest"].replace("\\", "/")
    return f"this is a path of Windows; WSL has it at /mnt/{match['drive'].lower()}/{shown(rest)}"


def _source(
    text: str,
    folder: Path,
    environ: Mapping[str, str],
    home: Path,
    path: tuple[str | int, ...],
    to: FindingList,
) -> Path | None:
    expanded = _expanded(text, environ, home, path, to)
    if expanded is None:
        return None
    source = Path(os.path.abspath(folder / expanded))  # noqa: PTH100 (Path.absolute keeps "..")
    if os.path.exists(source):  # noqa: PTH110 (Path.exists raises where a folder may not be read)
        return source
    meant = f'"{shown(text)}"' if str(source) == text else f'"{shown(text)}" ("{source}")'
    if os.path.lexists(source):
        to.error("missing-source", f"the link {meant} leads nowhere", path, hint="correct or remove the link")
    else:
        hint = _of_windows(text) or f'make it with: mkdir -p "{source}"'
        to.error("missing-source", f"the source {meant} does not exist", path, hint=hint)
    return None


def _destination(
    text: str, environ: Mapping[str, str], home: Path, path: tuple[str | int, ...], to: FindingList
) -> str | None:
    expanded = _expanded(text, environ, home, path, to)
    if expanded is None:
        return None
    if not expanded.startswith("/"):
        hint = f'did you mean "/{shown(expanded)}"?'
        to.error("wrong-value", f'the destination "{shown(text)}" is not an absolute path', path, hint=hint)
        return None
    normal = "/" + posixpath.normpath(expanded).lstrip("/")
    if normal == "/":
        message = 'the destination "/" would hide the whole container'
        to.error("wrong-value", message, path, hint="name a folder below it")
        return None
    return normal


def _expanded(
    text: str, environ: Mapping[str, str], home: Path, path: tuple[str | int, ...], to: FindingList
) -> str | None:
    """``text`` with ``~`` and variables expanded; None after a finding."""
    if text.startswith("~"):
        user, _, rest = text.partition("/")
        folder = str(home) if user == "~" else os.path.expanduser(user)  # noqa: PTH111 (a text)
        if folder.startswith("~"):
            to.error("unknown-user", f'"{shown(user)}": no such user', path)
            return None
        text = f"{folder}/{rest}" if rest else folder
    unknown = [name for match in _VARIABLE.finditer(text) if (name := match[1] or match[2]) not in environ]
    for name in dict.fromkeys(unknown):
        hint = f"export {name}, or write the path out"
        to.error("unknown-variable", f'the variable "${shown(name)}" is not set', path, hint=hint)
    return None if unknown else _VARIABLE.sub(lambda match: environ[match[1] or match[2]], text)


def _env(value: Any, to: FindingList) -> dict[str, str]:
    env: dict[str, str] = {}
    for position, entry in enumerate(_listed(value, "Envs", to)):
        path = ("Envs", position)
        entry = _with_known_keys(entry, path, _ENV_WORDS, to)
        if not _checks(_ENV, entry, path, _ENV_WORDS, to):
            continue
        name = entry["variable"]
        if name in env:
            message = f'the variable "{shown(name)}" is given twice'
            hint = "remove one of them: the last one counts"
            to.add(Severity.WARNING, "variable-twice", message, (*path, "variable"), hint=hint)
        env[name] = str(entry["value"])
    return env


def _options(value: Any, to: FindingList) -> dict[str, Any]:
    path = ("DockerOptions",)
    if not isinstance(value, dict):
        to.error("wrong-type", f'"DockerOptions" must be an object, not {described(value)}', path)
        return {}
    if not _checks(_OPTIONS, value, path, _OPTION_WORDS, to):
        return {}
    for name in value.get("ulimits", {}):
        if name not in ULIMITS:
            at = (*path, "ulimits", name)
            hint = to.suggestion(name, ULIMITS)
            to.error("unknown-key", f'unknown ulimit "{shown(name)}"', at, hint=hint, of_key=True)
    for inside, outside in value.get("ports", {}).items():
        for port in (inside.partition("/")[0], outside):
            if not 1 <= int(port) <= 65535:
                message = f'"{shown(port)}" is not a port: 1 to 65535'
                to.error("wrong-value", message, (*path, "ports", inside))
    if value.get("privileged"):
        message = "a privileged container has all rights of root on this machine"
        place = (*path, "privileged")
        to.add(Severity.WARNING, "privileged", message, place, hint="remove it: training does not need it")
    return value


def _content(
    mounts: tuple[FileMount, ...],
    env: dict[str, str],
    options: dict[str, Any],
    to: FindingList,
) -> MountsFile:
    shm = options.get("shm_size")
    user = options.get("user")
    return MountsFile(
        mounts=mounts,
        env=env,
        user=None if user is None else str(user),
        ports={int(port.partition("/")[0]): int(host) for port, host in options.get("ports", {}).items()},
        shm_bytes=None if shm is None else size_bytes(shm),
        ulimits=options.get("ulimits", {}),
        privileged=options.get("privileged", False),
        network=options.get("network"),
        tty=options.get("tty", False),
        findings=to.sorted(),
    )


def _listed(value: Any, key: str, to: FindingList) -> list[Any]:
    if isinstance(value, list):
        return value
    to.error("wrong-type", f'"{key}" must be a list, not {described(value)}', (key,), hint="put it in [ ]")
    return []


def _with_known_keys(value: Any, path: tuple[str | int, ...], words: Vocabulary, to: FindingList) -> Any:
    """``value`` without the keys that the launcher passes over, each with a warning.

    Source: nvidia_tao_cli 6.26.3 docker_handler.py, ``_get_mount_env_data``.
    """
    if not isinstance(value, dict):
        return value
    for key in value:
        if key not in words.expected:
            hint = to.suggestion(key, words.expected)
            message = f'the unknown key "{shown(key)}" has no effect'
            to.add(Severity.WARNING, "unknown-key", message, (*path, key), hint=hint, of_key=True)
    return {key: content for key, content in value.items() if key in words.expected}


def _checks(
    adapter: TypeAdapter[Any], value: Any, path: tuple[str | int, ...], words: Vocabulary, to: FindingList
) -> bool:
    if not isinstance(value, dict):
        keys = " and ".join(f'"{key}"' for key in list(words.expected)[:2])
        to.error("wrong-type", f"an entry must be an object with {keys}, not {described(value)}", path)
        return False
    try:
        adapter.validator.validate_python(value)
    except ValidationError as error:
        report(error, value, path, words, to)
        return False
    return True
