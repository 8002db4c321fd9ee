"""Reads a ``docker run``: what a container of TAO is started with, its mounts, and the command in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from taorunner.text import whole_number

_TAO_IMAGE = re.compile(r"nvidia/(?:tao|tlt)\b|\btao-toolkit\b|\btlt-streamanalytics\b")
_PROGRAMS = ("docker", "podman", "nvidia-docker")
_NO_VALUE = frozenset({
    "--rm", "--init", "--privileged", "--detach", "--interactive", "--tty", "--read-only", "--no-healthcheck",
    "--oom-kill-disable", "--publish-all", "--disable-content-trust", "--sig-proxy", "--quiet",
})  # fmt: skip
_SHORT_WITHOUT = frozenset("itdPq")
_NAMES = {
    "-v": "--volume", "-e": "--env", "-p": "--publish", "-u": "--user", "-w": "--workdir", "--net": "--network",
    "-m": "--memory", "-c": "--cpu-shares", "-h": "--hostname", "-l": "--label", "-a": "--attach",
}  # fmt: skip
_TEXTS = {"--user": "user", "--shm-size": "shm_size", "--network": "network", "--gpus": "gpus"}
"""Options whose text is kept as it is, with the field that keeps it."""
_OF_NO_USE = frozenset({
    "--rm", "--init", "--detach", "--interactive", "--tty", "--name", "--workdir", "--hostname", "--label", "--attach",
    "--sig-proxy", "--quiet", "--pull", "--runtime", "--gpus", "--ipc", "--entrypoint",
})  # fmt: skip
"""Options that taorunner sets itself, or that only say how the container is called, watched and removed."""


@dataclass(slots=True)
class DockerRun:
    """``words`` is the command in the container; ``volumes`` are (source, destination, read-only)."""

    image: str
    words: tuple[str, ...] = ()
    volumes: list[tuple[str, str, bool]] = field(default_factory=list)
    env: list[str] = field(default_factory=list)
    user: str | None = None
    shm_size: str | None = None
    ulimits: dict[str, int] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    network: str | None = None
    is_privileged: bool = False
    gpus: str | None = None
    shell: str | None = None
    left_out: list[str] = field(default_factory=list)

    @property
    def is_tao(self) -> bool:
        return _TAO_IMAGE.search(self.image) is not None


def read_docker_run(words: Sequence[str]) -> DockerRun | None:
    """None where the words are no ``docker run``, or name no image."""
    program = words[0].rpartition("/")[2] if words else ""
    rest = list(words[1:])
    if program not in _PROGRAMS:
        return None
    if rest[:1] == ["container"]:
        del rest[0]
    if rest[:1] not in (["run"], ["create"]):
        return None
    options: list[tuple[str, str]] = []
    at = 1
    while at < len(rest) and rest[at].startswith("-"):
        taken, used = _option(rest[at], rest[at + 1 : at + 2])
        options += taken
        at += used
    if at >= len(rest):
        return None
    run = DockerRun(rest[at], tuple(rest[at + 1 :]))
    for name, value in options:
        _apply(run, name, value)
    _open_shell(run)
    return run


def _option(word: str, following: Sequence[str]) -> tuple[list[tuple[str, str]], int]:
    """The options in one word, and how many words they take."""
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        name = _NAMES.get(name, name)
        if equals or name in _NO_VALUE:
            return [(name, value)], 1
        return [(name, following[0] if following else "")], 2
    found: list[tuple[str, str]] = []
    for at, letter in enumerate(word[1:], start=1):
        name = _NAMES.get(f"-{letter}", f"-{letter}")
        if letter in _SHORT_WITHOUT:
            found.append(({"i": "--interactive", "t": "--tty", "d": "--detach"}.get(letter, name), ""))
            continue
        value = word[at + 1 :].removeprefix("=")
        if value:
            return [*found, (name, value)], 1
        return [*found, (name, following[0] if following else "")], 2
    return found, 1


def _apply(run: DockerRun, name: str, value: str) -> None:
    if name in ("--volume", "--mount"):
        volume = _volume(value) if name == "--volume" else _mount(value)
        if volume is not None:
            run.volumes.append(volume)
            return
    elif name == "--env":
        run.env.append(value)
        return
    elif name == "--ulimit":
        kind, _, limit = value.partition("=")
        if re.fullmatch(r"-?\d{1,18}(:-?\d{1,18})?", limit):
            run.ulimits[kind] = int(limit.partition(":")[0])
            return
    elif name == "--publish":
        parts = value.split("/")[0].split(":")
        numbers = [whole_number(part) for part in parts[-2:]]
        if len(parts) in (2, 3) and numbers[0] is not None and numbers[1] is not None:
            run.ports[parts[-1]] = numbers[0]
            return
    elif name in _TEXTS:
        setattr(run, _TEXTS[name], value)
        return
    elif name == "--privileged":
        run.is_privileged = True
        return
    if name not in _OF_NO_USE:
        run.left_out.append(name)


def _volume(value: str) -> tuple[str, str, bool] | None:
    source, _, rest = value.partition(":")
    destination, _, mode = rest.partition(":")
    is_path = source.startswith(("/", "~", ".", "$"))
    return (source, destination, "ro" in mode.split(",")) if is_path and destination.startswith("/") else None


def _mount(value: str) -> tuple[str, str, bool] | None:
    parts = dict(part.partition("=")[::2] for part in value.split(","))
    source = parts.get("source") or parts.get("src")
    destination = parts.get("target") or parts.get("destination") or parts.get("dst")
    if parts.get("type", "bind") != "bind" or source is None or destination is None:
        return None
    return source, destination, "readonly" in parts or "ro" in parts


def _open_shell(run: DockerRun) -> None:
    """``bash -c "…"``: the text of the shell in the container."""
    words = list(run.words)
    if words and words[0].rpartition("/")[2] in ("bash", "sh"):
        for at, word in enumerate(words[1:], start=1):
            if re.fullmatch(r"-[a-z]*c", word) and at + 1 < len(words):
                run.shell = words[at + 1]
                return


def device_ids(gpus: str) -> Iterator[str]:
    """The GPUs that ``--gpus device=0,1`` names."""
    match = re.search(r"device=([0-9A-Za-z,-]+)", gpus)
    if match is not None:
        yield from match[1].split(",")
