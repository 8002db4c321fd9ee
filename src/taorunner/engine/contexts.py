"""Docker contexts: named engines of the docker command, read from its files.

docker-py searches them only beside ``config.json``, or in the working directory if that file is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from taorunner.errors import MachineError
from taorunner.text import did_you_mean
from taorunner.values.bounded_reading import read_json
from taorunner.values.value import Value

DEFAULT = "default"


class Context(Value):
    """``host`` is empty for the local socket. ``certificates`` is a folder with ca.pem, cert.pem and key.pem."""

    name: str
    host: str
    certificates: Path | None = None
    skip_verify: bool = False


def config_dir(environ: Mapping[str, str]) -> Path:
    """Where the docker command keeps its configuration."""
    given = environ.get("DOCKER_CONFIG")
    return Path(given) if given else Path("~/.docker").expanduser()


def current_context(environ: Mapping[str, str]) -> tuple[str, str]:
    """The name in force and what says so: ``DOCKER_CONTEXT``, else ``docker context use``."""
    name = environ.get("DOCKER_CONTEXT")
    if name:
        return name, "DOCKER_CONTEXT"
    path = config_dir(environ) / "config.json"
    try:
        body = read_json(path)
    except FileNotFoundError:
        return DEFAULT, "the docker command"
    except (OSError, ValueError) as error:
        raise MachineError(
            f'"{path}" cannot be read: {error}', hint="correct or remove it: docker cannot read it either"
        ) from error
    name = body.get("currentContext") if isinstance(body, dict) else None
    return (name, "docker context use") if isinstance(name, str) and name else (DEFAULT, "the docker command")


def read_context(name: str, said_by: str, environ: Mapping[str, str]) -> Context:
    """Raises MachineError when there is no such context, or its file makes no sense."""
    if name == DEFAULT:
        return Context(DEFAULT, "")
    key = sha256(name.encode()).hexdigest()
    root = config_dir(environ) / "contexts"
    path = root / "meta" / key / "meta.json"
    try:
        body = read_json(path)
        endpoint = body["Endpoints"]["docker"]
        host, skip_verify = str(endpoint.get("Host") or ""), bool(endpoint.get("SkipTLSVerify"))
    except FileNotFoundError as error:
        raise MachineError(
            f'there is no docker context "{name}" (named by {said_by})',
            hint=did_you_mean(name, _names(root / "meta")),
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise MachineError(
            f'the docker context "{name}" cannot be read: "{path}"', hint="docker context ls"
        ) from error
    certificates = root / "tls" / key / "docker"
    return Context(name, host, certificates if (certificates / "cert.pem").exists() else None, skip_verify)


def _names(folder: Path) -> list[str]:
    names = [DEFAULT]
    for path in sorted(folder.glob("*/meta.json")):
        try:
            body: Any = read_json(path)
        except (OSError, ValueError):
            continue
        if isinstance(body, dict) and isinstance(body.get("Name"), str):
            names.append(body["Name"])
    return names
