"""Stored logins of docker: the file, credential helpers, and whether a registry accepts one."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from served import Served

from taorunner.engine.client import Engine
from taorunner.engine.logins import TOKEN_USER, Login, Stored, find_login, try_login
from taorunner.errors import TaorunnerError

SECRET = "canary-password"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.json"


def found(file: Path, body: Any, registry: str = "nvcr.io") -> Login:
    file.write_text(body if isinstance(body, str) else json.dumps(body))
    return find_login(registry, file, {"PATH": f"{file.parent}:/usr/bin:/bin"}, patience_s=5)


def helper(file: Path, name: str, script: str) -> None:
    path = file.parent / f"docker-credential-{name}"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_a_login_in_the_file(file: Path) -> None:
    login = found(file, {"auths": {"nvcr.io": {"auth": encoded(f"anna:{SECRET}:x\0\0")}}})
    assert (login.stored, login.user, login.said_by) == (Stored.LOGIN, "anna", str(file))
    assert login._secret == f"{SECRET}:x"
    assert SECRET not in repr(login)


@pytest.mark.parametrize(
    "body",
    ["{}", {"auths": {}}, {"auths": None}, {"auths": {"other.io": {"auth": encoded("a:b")}}}, {"auths": {"nvcr.io": {}}},
     {"auths": {"nvcr.io": []}}, {"credHelpers": {"other.io": "x"}}],
)  # fmt: skip
def test_no_login(body: Any, file: Path) -> None:
    assert found(file, body).stored is Stored.NONE


def test_no_file(file: Path) -> None:
    assert find_login("nvcr.io", file, {}, patience_s=1) == Login(Stored.NONE, str(file))


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("[]", "it is not a JSON object"),
        ("{", "expecting property name enclosed in double quotes: line 1 column 2"),
        ({"auths": {"nvcr.io": {"auth": "%%%"}}}, 'an "auth" in it is not user:password in base64'),
        ({"auths": {"nvcr.io": {"auth": encoded("anna")}}}, 'an "auth" in it is not user:password in base64'),
    ],
)
def test_a_broken_file(body: Any, problem: str, file: Path) -> None:
    login = found(file, body)
    assert (login.stored, login.problem) == (Stored.BROKEN_FILE, problem)


def test_a_file_that_is_a_folder(file: Path) -> None:
    file.mkdir()
    login = find_login("nvcr.io", file, {}, patience_s=1)
    assert (login.stored, login.problem) == (Stored.BROKEN_FILE, "is a directory")


def test_an_identity_token(file: Path) -> None:
    login = found(file, {"auths": {"nvcr.io": {"identitytoken": "t", "auth": encoded("a:b")}}})
    assert (login.stored, login.user) == (Stored.LOGIN, TOKEN_USER)


def test_helpers_in_dockers_order(file: Path) -> None:
    for name in ("own", "all"):
        script = f"""read registry; echo '{{"Username": "{name}-'$registry'", "Secret": "{SECRET}"}}'"""
        helper(file, name, script)
    body = {
        "credHelpers": {"nvcr.io": "own"},
        "credsStore": "all",
        "auths": {"nvcr.io": {"auth": encoded("a:b")}},
    }
    login = found(file, body)
    assert (login.user, login.said_by, login.key) == ("own-nvcr.io", "docker-credential-own", "credHelpers")
    login = found(file, body, "quay.io")
    assert (login.user, login.said_by, login.key) == ("all-quay.io", "docker-credential-all", "credsStore")
    assert (login._secret, login.stored) == (SECRET, Stored.LOGIN)


@pytest.mark.parametrize(
    ("script", "stored", "problem"),
    [
        ("echo credentials not found in native keychain; exit 1", Stored.NONE, ""),
        (
            "echo the keychain is locked; exit 1",
            Stored.BROKEN_HELPER,
            '"docker-credential-x": the keychain is locked',
        ),
        ("echo Secret canary; exit 1", Stored.BROKEN_HELPER, '"docker-credential-x": it fails'),
        ("echo nonsense", Stored.BROKEN_HELPER, '"docker-credential-x" does not return a login'),
        ("echo '{}'", Stored.BROKEN_HELPER, '"docker-credential-x" does not return a login'),
        ("echo '[]'", Stored.BROKEN_HELPER, '"docker-credential-x" does not return a login'),
    ],
)
def test_a_helper_without_a_login(script: str, stored: Stored, problem: str, file: Path) -> None:
    helper(file, "x", script)
    login = found(file, {"credsStore": "x"})
    assert (login.stored, login.problem, login.key) == (stored, problem, "credsStore")


def test_a_helper_that_is_missing(file: Path) -> None:
    login = found(file, {"credsStore": "gone"})
    assert (login.stored, login.key) == (Stored.BROKEN_HELPER, "credsStore")
    assert 'no command "docker-credential-gone"' in login.problem


LOGIN = Login(Stored.LOGIN, "file", "anna", _secret=SECRET)


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("nvcr.io", "https://nvcr.io"),
        ("localhost:5000", "http://localhost:5000"),
        ("127.0.0.1:5000", "http://127.0.0.1:5000"),
    ],
)
def test_a_login_that_is_accepted(name: str, address: str, connected: Engine, served: Served) -> None:
    served.answers["POST /auth"] = (200, {"Status": "Login Succeeded"})
    assert try_login(connected, name, LOGIN) is None
    assert served.of("POST", "/auth").json == {
        "username": "anna",
        "password": SECRET,
        "serveraddress": address,
    }


@pytest.mark.parametrize("text", ["Get https://x/v2/: UNAUTHORIZED", "status 401"])
def test_a_login_that_is_refused(text: str, connected: Engine, served: Served) -> None:
    served.answers["POST /auth"] = (500, {"message": f"{text} for {SECRET}"})
    refusal = try_login(connected, "nvcr.io", LOGIN)
    assert refusal is not None and text in refusal and SECRET not in refusal and "***" in refusal


def test_a_login_that_cannot_be_tried(connected: Engine, served: Served) -> None:
    served.answers["POST /auth"] = (500, {"message": "no route to host"})
    with pytest.raises(TaorunnerError):
        try_login(connected, "nvcr.io", LOGIN)
