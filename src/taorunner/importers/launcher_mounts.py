"""The mounts of a launcher setup: those of the launcher's file, else of files in the folder, of notebooks, and of
``docker run``, with what else they say of the container."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from taorunner.errors import Finding, Severity
from taorunner.importers.scripts.reading import ContainerStart, ScriptContent, WrittenMounts
from taorunner.importers.source_report import Outcome, SourceLine
from taorunner.project.mounts import MountEntry, Mounts
from taorunner.project.mounts_file import MountsFile, read_mounts_file, read_mounts_text
from taorunner.text import printable


@dataclass(frozen=True, slots=True)
class FoundMounts:
    content: MountsFile
    findings: tuple[Finding, ...]
    lines: tuple[SourceLine, ...]

    @property
    def mounts(self) -> Mounts:
        return Mounts(
            tuple(MountEntry(one.source, one.destination, one.read_only) for one in self.content.mounts)
        )


def found_mounts(
    base: MountsFile | None,
    files: Sequence[Path],
    scripts: ScriptContent,
    environ: Mapping[str, str],
    home: Path,
) -> FoundMounts:
    """What the folder says, after ``base``, the content of the launcher's file. The first mount to a place counts."""
    content = base or MountsFile()
    findings: list[Finding] = []
    lines: list[SourceLine] = []
    for file in files:
        if base is not None:
            lines.append(
                _left(file, None, f"mounts file {file.name}", "the launcher's own mounts file is taken")
            )
            continue
        read = read_mounts_file(file, environ, home)
        findings += [_softened(finding, file, finding.line) for finding in read.findings]
        lines.append(
            SourceLine(file, None, f"mounts file {file.name}", Outcome.TAKEN, "mounts of the workspace")
        )
        content = _merged(content, read)
    for file, line, body, is_start in _sources(scripts):
        if base is not None and not is_start:
            lines.append(_left(file, line, "mounts file", "the launcher's own mounts file is taken"))
            continue
        read = read_mounts_text(json.dumps(body), file, environ, home)
        lines += _mount_lines(file, line, body, read, content)
        lines += _option_lines(file, line, body, read)
        findings += [_softened(one, file, line) for one in read.findings]
        content = _merged(content, read)
    for one in scripts.containers:
        lines += _of_container(one)
    return FoundMounts(content, tuple(dict.fromkeys(findings)), tuple(lines))


def refused_mounts(files: Sequence[Path], scripts: ScriptContent) -> list[SourceLine]:
    """The same lines where the workspace has mounts of its own."""
    note = "the workspace has a mounts file, which is kept"
    lines = [_left(file, None, f"mounts file {file.name}", note) for file in files]
    for file, line, body, _ in _sources(scripts):
        lines += [_left(file, line, f"mount {printable(str(place))}", note) for place in _destinations(body)]
    return lines


def _sources(scripts: ScriptContent) -> Iterator[tuple[Path, int, dict[str, Any], bool]]:
    """File, line, content as of a mounts file, and whether it is that of a container's start."""
    for written in scripts.mounts:
        yield written.file, written.line, _written(written), False
    for start in scripts.containers:
        yield start.file, start.line, _started(start), True


def _written(written: WrittenMounts) -> dict[str, Any]:
    body = {
        key: value for key, value in written.content.items() if key in ("Mounts", "Envs", "DockerOptions")
    }
    entries = body.get("Mounts")
    if isinstance(entries, list):
        body["Mounts"] = [
            one for one in entries if isinstance(one, dict) and {"source", "destination"} <= set(one)
        ]
    return body


def _started(start: ContainerStart) -> dict[str, Any]:
    run = start.run
    options: dict[str, Any] = {
        "user": run.user if run.user and "$" not in run.user else None, "shm_size": run.shm_size,
        "ulimits": run.ulimits or None, "privileged": run.is_privileged or None, "network": run.network,
        "ports": run.ports or None,
    }  # fmt: skip
    body: dict[str, Any] = {
        "Mounts": [
            {"source": source, "destination": inside} | ({"read_only": True} if is_read_only else {})
            for source, inside, is_read_only in run.volumes
        ],
        "DockerOptions": {name: value for name, value in options.items() if value is not None},
    }
    pairs = [word.partition("=") for word in run.env]
    body["Envs"] = [
        {"variable": name, "value": value} for name, equals, value in pairs if equals and "$" not in value
    ]
    return body


def _destinations(body: Mapping[str, Any]) -> list[object]:
    entries = body.get("Mounts", [])
    return (
        [one.get("destination") for one in entries if isinstance(one, dict)]
        if isinstance(entries, list)
        else []
    )


def _mount_lines(
    file: Path, line: int, body: Mapping[str, Any], read: MountsFile, earlier: MountsFile
) -> Iterator[SourceLine]:
    taken = {one.destination for one in read.mounts}
    before = {one.destination: one.source for one in earlier.mounts}
    for place in _destinations(body):
        what = f"mount {printable(str(place))}"
        inside = str(place).rstrip("/") or "/"
        source = next((one.source for one in read.mounts if one.destination == inside), None)
        if inside in before and before[inside] != source and source is not None:
            yield _left(file, line, what, f'"{before[inside]}" is mounted there')
        elif inside in taken:
            yield SourceLine(file, line, what, Outcome.TAKEN, "mounts of the workspace")
        else:
            yield _left(file, line, what, "its source is not on this host")


def _option_lines(file: Path, line: int, body: Mapping[str, Any], read: MountsFile) -> Iterator[SourceLine]:
    wrong = {finding.message for finding in read.findings}
    for key, kind in (("DockerOptions", "container option"), ("Envs", "variable of the container")):
        entries = body.get(key) or ()
        names = (
            [one.get("variable") for one in entries if isinstance(one, dict)]
            if key == "Envs"
            else list(entries)
        )
        for name in names:
            what = f"{kind} {printable(str(name))}"
            if any(str(name) in message for message in wrong):
                yield _left(file, line, what, "its value cannot be used")
            else:
                yield SourceLine(file, line, what, Outcome.TAKEN, "mounts file of the workspace")


def _of_container(start: ContainerStart) -> Iterator[SourceLine]:
    """What a ``docker run`` says that no mounts file can."""
    run = start.run
    for word in run.env:
        name, equals, value = word.partition("=")
        if not equals or "$" in value:
            note = f"its value comes from the caller: write env: {{{printable(name)}: env:{printable(name)}}}"
            yield _left(start.file, start.line, f"variable of the container {printable(name)}", note)
    if run.user and "$" in run.user:
        yield _left(start.file, start.line, "container option user", "taorunner starts containers as you")
    for name in run.left_out:
        yield _left(start.file, start.line, f"docker run {printable(name)}", "taorunner has no such setting")


def _merged(first: MountsFile, second: MountsFile) -> MountsFile:
    """What ``first`` has wins."""
    places = {one.destination for one in first.mounts}
    more = tuple(one for one in second.mounts if one.destination not in places)
    return MountsFile(
        mounts=(*first.mounts, *more),
        env={**second.env, **first.env},
        user=first.user or second.user,
        ports={**second.ports, **first.ports},
        shm_bytes=first.shm_bytes or second.shm_bytes,
        ulimits={**second.ulimits, **first.ulimits},
        privileged=first.privileged or second.privileged,
        network=first.network or second.network,
        tty=first.tty or second.tty,
    )


def _softened(finding: Finding, file: Path, line: int | None) -> Finding:
    severity = Severity.WARNING if finding.is_error else finding.severity
    column = finding.column if line == finding.line else None
    return replace(finding, severity=severity, file=file, line=line, column=column)


def _left(file: Path, line: int | None, what: str, note: str) -> SourceLine:
    return SourceLine(file, line, what, Outcome.LEFT_OUT, note)
