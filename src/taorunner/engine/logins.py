"""The docker command's stored login for a registry, and whether the registry accepts it.

Read in docker's order: ``credHelpers`` of the registry, then ``credsStore``, then ``auths``. Secrets do not leave
this module.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from taorunner import host_commands
from taorunner.engine.client import ENGINE_ERRORS, Engine, translated
from taorunner.engine.refusals import text_of
from taorunner.errors import MachineError
from taorunner.values.bounded_reading import parse_json, read_json

HELPER = "docker-credential-"
TOKEN_USER = "<token>"
"""User name that marks an identity token, which cannot be tried as a password."""


class Stored(Enum):
    """The kind of entry stored for a registry."""

    LOGIN = "login"
    NONE = "none"
    BROKEN_FILE = "broken file"
    BROKEN_HELPER = "broken helper"


@dataclass(frozen=True, slots=True)
class Login:
    """``said_by``: the file or helper with the login; ``key``: the entry of the file that names the helper."""

    stored: Stored
    said_by: str
    user: str = ""
    problem: str = ""
    key: str = ""
    _secret: str = field(default="", repr=False)


def find_login(registry: str, file: Path, environ: Mapping[str, str], *, patience_s: float) -> Login:
    """The login for ``registry`` in docker's ``config.json``. Calls a credential helper if one is configured."""
    try:
        body = read_json(file)
    except FileNotFoundError:
        return Login(Stored.NONE, str(file))
    except (OSError, ValueError) as error:
        problem = (getattr(error, "strerror", None) or str(error)).lower()
        return Login(Stored.BROKEN_FILE, str(file), problem=problem)
    if not isinstance(body, dict):
        return Login(Stored.BROKEN_FILE, str(file), problem="it is not a JSON object")
    own = _mapping(body.get("credHelpers")).get(registry)
    helper, key = (own, "credHelpers") if own else (body.get("credsStore"), "credsStore")
    if helper:
        return _ask_helper(str(helper), key, registry, environ, patience_s)
    return _written(_mapping(_mapping(body.get("auths")).get(registry)), file)


def try_login(engine: Engine, registry: str, login: Login) -> str | None:
    """Lets the engine try the login: None when the registry accepts it, else the registry's message.

    Raises MachineError or EngineRefusedError when the login could not be tried.
    """
    scheme = "http" if registry.partition(":")[0] in ("localhost", "127.0.0.1") else "https"
    body = {"username": login.user, "password": login._secret, "serveraddress": f"{scheme}://{registry}"}
    api = engine.api
    with translated(engine.asked()):
        try:
            engine.raise_for_status(api.post(engine.url("/auth"), json=body, timeout=api.timeout))
        except ENGINE_ERRORS as error:
            said = text_of(error).replace(login._secret, "***")
            if "401" in said or "unauthorized" in said.lower():
                return said
            raise
    return None


def _ask_helper(name: str, key: str, registry: str, environ: Mapping[str, str], patience_s: float) -> Login:
    program = f"{HELPER}{name}"
    try:
        answer = host_commands.run([program, "get"], timeout_s=patience_s, env=environ, stdin=registry)
    except MachineError as error:
        return Login(Stored.BROKEN_HELPER, program, problem=error.message, key=key)
    if not answer.succeeded:
        # the message of all helpers, on stdout. Source: docker/docker-credential-helpers credentials/error.go
        if "credentials not found" in answer.stdout:
            return Login(Stored.NONE, program, key=key)
        said = answer.last_words
        problem = f'"{program}": {"it fails" if "Secret" in said else said}'
        return Login(Stored.BROKEN_HELPER, program, problem=problem, key=key)
    try:
        body = parse_json(answer.stdout)
        return Login(Stored.LOGIN, program, str(body["Username"]), key=key, _secret=str(body["Secret"]))
    except (ValueError, KeyError, TypeError):
        problem = f'"{program}" does not return a login'
        return Login(Stored.BROKEN_HELPER, program, problem=problem, key=key)


def _written(entry: Mapping[str, Any], file: Path) -> Login:
    if entry.get("identitytoken"):
        return Login(Stored.LOGIN, str(file), TOKEN_USER)
    text = entry.get("auth")
    if not text:
        return Login(Stored.NONE, str(file))
    try:
        user, colon, secret = base64.b64decode(str(text), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError):
        colon = ""
    if not colon:
        return Login(Stored.BROKEN_FILE, str(file), problem='an "auth" in it is not user:password in base64')
    return Login(Stored.LOGIN, str(file), user, _secret=secret.rstrip("\0"))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
