"""Builds an image from a Dockerfile and a folder, and passes on the log line by line.

Uses the engine's classic builder, which every engine's API offers; BuildKit needs the docker program.
"""

from __future__ import annotations

import json
import os
import re
import tarfile
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from docker.credentials.errors import StoreError
from docker.utils.build import exclude_paths

from taorunner.engine.build_refusals import STEP, build_error, instruction_lines
from taorunner.engine.client import ENGINE_ERRORS, Engine, json_lines, translated
from taorunner.engine.refusals import text_of
from taorunner.errors import Finding, Severity, TaorunnerError, UserFilesError
from taorunner.image_names import checked_name
from taorunner.text import redact, size

_DOCKERFILE = ".taorunner.Dockerfile"
_PULL_LINES = re.compile(r"Pull complete|Already exists|Digest: |Status: |Pulling from ")
"""Lines shown of the pull of a base image, without progress bars."""


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """``extra``: paths in the context and the files elsewhere that are added there; ``left_out``: excluded folders.

    ``build_args`` are visible to everyone who has the image, so they must not hold secrets.
    """

    context: Path
    dockerfile: Path
    tags: tuple[str, ...]
    no_cache: bool = False
    pull: bool = False
    build_args: Mapping[str, str] = field(default_factory=dict)
    network: str | None = None
    target: str | None = None
    extra: Mapping[str, Path] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()


def build(engine: Engine, settings: BuildSettings, tell: Callable[[str], None]) -> str:
    """The new image's id. Blocks; ``tell`` gets each line of the log.

    Raises:
        UsageError: a tag that is not an image name.
        UserFilesError: context or Dockerfile cannot be used, or a step failed; with the line in the Dockerfile.
        MachineError, EngineRefusedError: no engine, no space, no login for the base image.
    """
    for tag in settings.tags:
        checked_name(tag)
    text = _read_dockerfile(settings.dockerfile)
    lines = instruction_lines(text)
    with tempfile.TemporaryFile(prefix="taorunner-context-") as context:
        _pack(settings, text, context)
        tell(f"sending the context: {size(context.tell())}")
        context.seek(0)
        try:
            return _build(engine, settings, context, lines, tell)
        except TaorunnerError as error:  # the engine may quote its input
            secrets = [value for value in settings.build_args.values() if len(value) > 5]
            error.message = redact(error.message, secrets)
            error.findings = tuple(
                replace(one, message=redact(one.message, secrets)) for one in error.findings
            )
            raise


def _build(
    engine: Engine,
    settings: BuildSettings,
    context: IO[bytes],
    lines: Sequence[int],
    tell: Callable[[str], None],
) -> str:
    api = engine.api
    headers = {"Content-Type": "application/tar"}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a helper that is missing is an error right after the warning
            engine.add_logins(headers)  # of every registry: any of them may have the base image
    except (StoreError, *ENGINE_ERRORS) as error:
        tell(f"warning: the docker login cannot be read: {text_of(error)}; building without it")
    with translated(engine.asked()):
        response = api.post(
            engine.url("/build"),
            data=context,
            params=_parameters(settings),
            headers=headers,
            stream=True,
            timeout=None,
        )
    step: re.Match[str] | None = None
    built = ""
    with response:
        try:
            engine.raise_for_status(response)
        except ENGINE_ERRORS as error:
            tag = next(iter(settings.tags), None)
            raise build_error(text_of(error), settings.dockerfile, None, lines, tag) from error
        for body in _events(engine, response):
            if "error" in body:
                raise build_error(str(body["error"]), settings.dockerfile, step, lines)
            built = str((body.get("aux") or {}).get("ID") or built)
            for line in _log_lines(body):
                step = STEP.match(line) or step
                tell(line)
    if not built:
        raise build_error("the build ended without an image", settings.dockerfile, None, lines)
    return built


def _parameters(settings: BuildSettings) -> dict[str, Any]:
    return {
        "t": list(settings.tags),
        "dockerfile": _DOCKERFILE,
        "nocache": settings.no_cache,
        "pull": settings.pull,
        "rm": True,
        "forcerm": True,  # containers left over would keep their layers
        **({"buildargs": json.dumps(dict(settings.build_args))} if settings.build_args else {}),
        **({"networkmode": settings.network} if settings.network else {}),
        **({"target": settings.target} if settings.target else {}),
    }


def _events(engine: Engine, response: Any) -> Iterator[Mapping[str, Any]]:
    events = json_lines(response)
    while True:
        with translated(engine.asked()):
            event = next(events, None)
        if event is None:
            return
        yield event


def _log_lines(body: Mapping[str, Any]) -> list[str]:
    if "stream" in body:
        return [line for line in str(body["stream"]).splitlines() if line.strip()]
    status = str(body.get("status") or "")
    return [f"{body.get('id', '')} {status}".strip()] if _PULL_LINES.match(status) else []


# ---- the context -----------------------------------------------------------------------------------------------


def _read_dockerfile(file: Path) -> str:
    try:
        if file.exists() and not file.is_file():
            raise UserFilesError(f'"{file}" is not a file', hint="give the Dockerfile with -f")
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror or "?").lower() if isinstance(error, OSError) else "it is not UTF-8 text"
        finding = Finding(
            Severity.ERROR, "dockerfile-unreadable", f'"{file.name}" cannot be read: {reason}',
            "give another one with -f", file,
        )  # fmt: skip
        raise UserFilesError("the image was not built", findings=(finding,)) from error


def _pack(settings: BuildSettings, dockerfile: str, into: IO[bytes]) -> None:
    """Writes the context as a tar: files that .dockerignore keeps, extra files, the Dockerfile under a private name."""
    root = settings.context
    if not root.is_dir():
        raise UserFilesError(
            f'the context "{root}" is not a folder', hint="taorunner image build FOLDER -f DOCKERFILE"
        )
    patterns = [*_ignored(root / ".dockerignore"), *settings.left_out]
    with tarfile.open(mode="w", fileobj=into) as tar:
        for name in _names(root, patterns):
            if name not in settings.extra:
                _add(tar, root / name, name)
        for name, path in settings.extra.items():
            _add(tar, path, name)
        entry = tarfile.TarInfo(_DOCKERFILE)
        data = dockerfile.encode("utf-8")
        entry.size = len(data)
        with tempfile.TemporaryFile() as file:
            file.write(data)
            file.seek(0)
            tar.addfile(entry, file)


def _names(root: Path, patterns: list[str]) -> list[str]:
    try:
        return sorted(exclude_paths(str(root), patterns, dockerfile=_DOCKERFILE))
    except OSError as error:
        raise _unreadable(error.filename or root, error) from error


def _unreadable(path: object, error: OSError) -> UserFilesError:
    reason = (error.strerror or "it changed while it was read").lower()
    hint = "add it to .dockerignore, or make it readable"
    return UserFilesError(f'"{path}" of the context cannot be read: {reason}', hint=hint)


def _add(tar: tarfile.TarFile, path: Path, name: str) -> None:
    try:
        entry = tar.gettarinfo(path, arcname=name)
        if entry is None:  # a socket
            return
        entry.mtime = int(entry.mtime)
        # As in the docker program: the files' owner must not change the cache key.
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        if not entry.isreg():
            tar.addfile(entry)
            return
        with path.open("rb") as file:
            entry.size = os.fstat(file.fileno()).st_size
            tar.addfile(entry, file)
    except OSError as error:
        raise _unreadable(path, error) from error


def _ignored(file: Path) -> list[str]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise UserFilesError(f'"{file}" cannot be read', hint="save it as UTF-8 text") from error
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]
