"""What is sent for a build, its log, and its errors at their line of the Dockerfile."""

from __future__ import annotations

import io
import json
import os
import re
import socket
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from served import Served

from taorunner.engine.build import BuildSettings, build
from taorunner.engine.build_refusals import STEP, build_error, instruction_lines
from taorunner.engine.client import Engine
from taorunner.errors import EngineRefusedError, TaorunnerError, UsageError, UserFilesError

DOCKERFILE = "# a comment\nFROM tao:5\nRUN a \\\n  b\nCOPY x y\n"


@pytest.fixture
def settings(tmp_path: Path) -> BuildSettings:
    root = tmp_path / "context"
    (root / "sub").mkdir(parents=True)
    (root / "a.txt").write_text("a")
    (root / "sub/b.txt").write_text("b")
    (root / "Dockerfile").write_text(DOCKERFILE)
    return BuildSettings(root, root / "Dockerfile", ("mine/tao:1",))


def log(*bodies: dict[str, Any]) -> tuple[int, bytes]:
    return 200, b"\r\n".join(json.dumps(body).encode() for body in (*bodies, {})) + b"\r\n"


MADE = {"aux": {"ID": "sha256:1"}}


def sent(served: Served) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(served.of("POST", "/build").body)) as tar:
        return {entry.name: entry for entry in tar.getmembers()}


def test_a_build(settings: BuildSettings, connected: Engine, served: Served) -> None:
    served.answers["POST /build"] = log(
        {"stream": "Step 1/2 : FROM tao:5\n"},
        {"status": "Pulling from tao", "id": "5"},
        {"status": "Downloading", "id": "a"},
        {"status": "Digest: sha256:0"},
        {"stream": "\n"},
        {"aux": {"ID": "sha256:0"}},
        MADE,
        {"stream": "two\nlines\n"},
    )
    told: list[str] = []
    assert build(connected, settings, told.append) == "sha256:1"
    assert told[0].startswith("sending the context: ")
    assert told[1:] == ["Step 1/2 : FROM tao:5", "5 Pulling from tao", "Digest: sha256:0", "two", "lines"]
    request = served.of("POST", "/build")
    assert request.query == {
        "t": "mine/tao:1", "dockerfile": ".taorunner.Dockerfile", "nocache": "False", "pull": "False",
        "rm": "True", "forcerm": "True",
    }  # fmt: skip
    assert request.headers["content-type"] == "application/tar"
    assert set(sent(served)) == {"a.txt", "sub", "sub/b.txt", "Dockerfile", ".taorunner.Dockerfile"}


def test_all_settings_of_a_build(
    settings: BuildSettings, connected: Engine, served: Served, tmp_path: Path
) -> None:
    served.answers["POST /build"] = log(MADE)
    (settings.context / ".dockerignore").write_text("\ufeff# a comment\n\n*.txt\n!a.txt\n", encoding="utf-8")
    (tmp_path / "extra").write_text("extra")
    more = replace(
        settings, no_cache=True, pull=True, build_args={"A": "1"}, network="host", target="last",
        extra={"in/extra": tmp_path / "extra", "a.txt": tmp_path / "extra"}, left_out=("sub",),
    )  # fmt: skip
    connected.api._auth_configs.add_auth("nvcr.io", {"username": "a", "password": "b"})
    build(connected, more, lambda line: None)
    request = served.of("POST", "/build")
    assert (request.query["nocache"], request.query["pull"]) == ("True", "True")
    assert json.loads(request.query["buildargs"]) == {"A": "1"}
    assert (request.query["networkmode"], request.query["target"]) == ("host", "last")
    assert "x-registry-config" in request.headers
    entries = sent(served)
    assert set(entries) == {".dockerignore", "Dockerfile", ".taorunner.Dockerfile", "in/extra", "a.txt"}
    assert entries["a.txt"].size == len("extra")


def test_owners_and_parts_of_seconds_do_not_change_the_context(
    settings: BuildSettings, connected: Engine, served: Served
) -> None:
    served.answers["POST /build"] = log(MADE)
    os.utime(settings.context / "a.txt", (1.5, 1.5))
    (settings.context / "link").symlink_to("a.txt")
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(settings.context)
        listening.bind("socket")
        os.chdir(here)
        build(connected, settings, lambda line: None)
    entry = sent(served)["a.txt"]
    assert (entry.uid, entry.gid, entry.uname, entry.gname, entry.mtime) == (0, 0, "", "", 1)
    assert sent(served)["link"].issym() and "socket" not in sent(served)


def failure(settings: BuildSettings, engine: Engine) -> TaorunnerError:
    with pytest.raises(TaorunnerError) as caught:
        build(engine, settings, lambda line: None)
    return caught.value


def test_a_step_that_fails_is_found_in_the_dockerfile(
    settings: BuildSettings, connected: Engine, served: Served
) -> None:
    served.answers["POST /build"] = log(
        {"stream": "Step 1/3 : FROM tao:5\n"},
        {"stream": "Step 2/3 : RUN a\n"},
        {"stream": "noise"},
        {"error": "The command '/bin/sh -c a' returned a non-zero code: 7"},
    )
    error = failure(settings, connected)
    assert isinstance(error, UserFilesError) and error.message == "the image was not built"
    (finding,) = error.findings
    assert (finding.code, finding.message, finding.line, finding.column) == (
        "step-failed", "the command of step 2 ended with code 7", 3, 1,
    )  # fmt: skip


def test_an_engine_that_refuses_and_one_without_a_result(
    settings: BuildSettings, connected: Engine, served: Served
) -> None:
    served.answers["POST /build"] = (
        400,
        {"message": "dockerfile parse error on line 2: unknown instruction: FRM"},
    )
    (finding,) = failure(settings, connected).findings
    assert (finding.code, finding.message, finding.line) == (
        "dockerfile-syntax",
        "unknown instruction: FRM",
        2,
    )
    served.answers["POST /build"] = log({"stream": "Step 1/1 : FROM x\n"})
    assert "ended without an image" in failure(settings, connected).message


def test_values_of_arguments_are_not_quoted(
    settings: BuildSettings, connected: Engine, served: Served
) -> None:
    served.answers["POST /build"] = log({"error": "cannot use canary-1 and short"})
    error = failure(replace(settings, build_args={"A": "canary-1", "B": "short"}), connected)
    assert "canary-1" not in error.message and "***" in error.message and "short" in error.message
    served.answers["POST /build"] = log({"stream": "Step 1/3 : FROM x\n"}, {"error": "odd canary-1"})
    error = failure(replace(settings, build_args={"A": "canary-1"}), connected)
    assert error.findings[0].message == "odd ***"


def test_what_cannot_be_sent(settings: BuildSettings, connected: Engine, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        build(connected, replace(settings, tags=("NO NAME",)), lambda line: None)
    error = failure(replace(settings, context=tmp_path / "gone"), connected)
    assert error.message == f'the context "{tmp_path}/gone" is not a folder'
    error = failure(replace(settings, dockerfile=tmp_path), connected)
    assert error.message == f'"{tmp_path}" is not a file'
    error = failure(replace(settings, dockerfile=tmp_path / "gone"), connected)
    assert error.findings[0].message == '"gone" cannot be read: no such file or directory'
    (tmp_path / "latin").write_bytes(b"FROM x # \xe9")
    error = failure(replace(settings, dockerfile=tmp_path / "latin"), connected)
    assert error.findings[0].message == '"latin" cannot be read: it is not UTF-8 text'
    error = failure(replace(settings, extra={"x": tmp_path / "gone"}), connected)
    assert error.message == f'"{tmp_path}/gone" of the context cannot be read: no such file or directory'
    (settings.context / ".dockerignore").write_bytes(b"\xff")
    assert failure(settings, connected).hint == "save it as UTF-8 text"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("FROM a\nRUN b\n", [1, 2]),
        (DOCKERFILE, [2, 3, 5]),
        ("\n\nFROM a\nRUN b \\\n# between\n\n  c\nRUN d", [3, 4, 8]),
        ("# escape=`\nFROM a\nRUN b `\n  c\nRUN d \\\nRUN e", [2, 3, 5, 6]),
        ("", []),
    ],
)
def test_the_line_of_each_instruction(text: str, lines: list[int]) -> None:
    assert instruction_lines(text) == lines


FILE = Path("Dockerfile")
SECOND = STEP.match("Step 2/2 : COPY x y")


def step(text: str) -> re.Match[str] | None:
    return STEP.match(text)


@pytest.mark.parametrize(
    ("text", "code", "message", "line"),
    [
        ("dockerfile parse error line 4: odd\nthing", "dockerfile-syntax", "odd thing", 4),
        ("the Dockerfile (x) cannot be empty", "dockerfile-empty", "the Dockerfile has no FROM", 1),
        ("no build stage in current context", "dockerfile-empty", "the Dockerfile has no FROM", 1),
        ("the --mount option requires BuildKit. Refer to", "needs-buildkit",
         "the --mount option requires BuildKit, which the engine's API does not offer", 5),
        ("sh returned a non-zero code: 9", "step-failed", "the command of step 2 ended with code 9", 5),
        ("ADD failed: no source files", "copy-failed", "ADD found nothing to copy: no source files", 5),
        ('building at STEP "RUN exit 3": while running runtime: exit status 3', "step-failed",
         "the command of step 2 ended with code 3", 5),  # this and the next of podman 4.3.1
        ('building at STEP "COPY x /": checking on sources under "/var/tmp/b/build": copier: stat: "/x": no such file',
         "copy-failed", 'COPY found nothing to copy: stat: "/x": no such file', 5),
        ("something\n\x1b odd", "step-failed", "something \ufffd odd", 5),
    ],
)  # fmt: skip
@pytest.mark.parametrize("second", [SECOND, STEP.match("STEP 2/2: COPY x y")], ids=["docker", "podman"])
def test_errors_of_the_dockerfile(
    text: str, code: str, message: str, line: int, second: re.Match[str] | None
) -> None:
    error = build_error(text, FILE, second, [2, 5])
    assert isinstance(error, UserFilesError)
    (finding,) = error.findings
    assert (finding.code, finding.message, finding.line, finding.file) == (code, message, line, FILE)


def test_errors_of_the_engine_and_of_base_images() -> None:
    odd = build_error("something odd", FILE, None, [1])
    assert isinstance(odd, EngineRefusedError) and odd.message == "the engine could not build: something odd"
    beyond = build_error("something odd", FILE, step("Step 3/3 : RUN x"), [1, 2])
    assert isinstance(beyond, EngineRefusedError)
    missing = "manifest for tao:9 not found: manifest unknown: manifest unknown"
    base = build_error(missing, FILE, step("Step 1/2 : FROM --platform=x tao:9 AS b"), [1])
    assert base.message == 'the image "tao:9" does not exist'
    assert build_error(missing, FILE, None, [], "tagged:1").message == 'the image "tagged:1" does not exist'
