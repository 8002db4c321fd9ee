"""Builds by a real engine: what goes into the context, the log as it comes, and what is wrong with its place."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from taorunner.engine import client
from taorunner.engine.build import BuildSettings, build
from taorunner.engine.build_refusals import instruction_lines
from taorunner.engine.images import find_image
from taorunner.errors import EngineRefusedError, TaorunnerError, UserFilesError

Build = Callable[..., tuple[str, list[str]]]


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    folder.mkdir()
    return folder


@pytest.fixture
def built(connected: client.Engine, context: Path, noop_image: str, engine: Any) -> Iterator[Build]:
    """``built("RUN true", …)`` builds below the test image and gives the id and the log."""
    made: list[str] = []

    def make(instructions: str, *, first: str | None = None, **settings: Any) -> tuple[str, list[str]]:
        file = context / "Dockerfile"
        file.write_text((f"FROM {noop_image}" if first is None else first) + f"\n{instructions}\n")
        log: list[str] = []
        whole = {"context": context, "dockerfile": file, "tags": (), **settings}
        made.append(build(connected, BuildSettings(**whole), log.append))
        return made[-1], log

    yield make
    engine.docker("rmi", "-f", *made)


def inside(engine: Any, image: str, *command: str) -> str:
    done = engine.docker("run", "--rm", image, *command)
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def test_an_image_with_its_tags_and_its_log(built: Build, engine: Any, connected: client.Engine) -> None:
    image, log = built(
        "ARG WORD=none\nRUN echo said $WORD; echo loud >&2",
        tags=("taorunner-test/built:1", "taorunner-test/built:2"), build_args={"WORD": "hello"},
    )  # fmt: skip
    assert [line for line in log if line.startswith("Step ")] == [
        log[1], "Step 2/3 : ARG WORD=none", "Step 3/3 : RUN echo said $WORD; echo loud >&2",
    ]  # fmt: skip
    assert "said hello" in log and any("loud" in line for line in log)
    for tag in ("taorunner-test/built:1", "taorunner-test/built:2"):
        found = find_image(connected, tag)
        assert found is not None and found.id == image


def test_the_cache_is_used_unless_forced(built: Build) -> None:
    once, _ = built("RUN date +%s%N >/when; sleep 0.01; date +%N >>/when")
    again, log = built("RUN date +%s%N >/when; sleep 0.01; date +%N >>/when")
    forced, _ = built("RUN date +%s%N >/when; sleep 0.01; date +%N >>/when", no_cache=True)
    assert once == again != forced
    assert any("Using cache" in line for line in log)


def test_what_the_context_holds(built: Build, context: Path, engine: Any, tmp_path: Path) -> None:
    (context / "dist").mkdir()
    (context / "dist" / "old.whl").write_text("old")
    (context / "kept").mkdir()
    (context / "kept" / "a.txt").write_text("a")
    (context / "kept" / "secret.env").write_text("s")
    (context / "link").symlink_to("kept/a.txt")
    (context / ".dockerignore").write_text("# nothing secret\n**/*.env\nDockerfile\n")
    new = tmp_path / "new.whl"
    new.write_text("new")
    os.mkfifo(context / "pipe")
    (context / "pipe").unlink()
    image, _ = built("COPY . /ctx", extra={"dist/new.whl": new}, left_out=("dist",))
    shown = inside(
        engine, image, "sh", "-c", "cd /ctx; find . ! -type d | sort; cat link dist/new.whl; stat -c %u link"
    )
    assert shown.splitlines() == [
        "./.dockerignore", "./.taorunner.Dockerfile", "./dist/new.whl", "./kept/a.txt", "./link", "anew0",
    ]  # fmt: skip


def test_a_dockerfile_outside_of_the_context(
    connected: client.Engine, context: Path, noop_image: str, tmp_path: Path, engine: Any
) -> None:
    elsewhere = tmp_path / "Other.Dockerfile"
    elsewhere.write_text(f"FROM {noop_image}\nCOPY only.txt /\n")
    (context / "only.txt").write_text("x")
    image = build(connected, BuildSettings(context, elsewhere, ()), lambda line: None)
    assert inside(engine, image, "cat", "/only.txt") == "x"
    engine.docker("rmi", "-f", image)


@pytest.mark.parametrize(
    ("instructions", "line", "code", "message"),
    [
        ("\nRUN true\nFRM x", 4, "dockerfile-syntax", "unknown instruction: FRM"),
        ("USER", 2, "dockerfile-syntax", "USER requires exactly one argument"),
        ("# a comment\nRUN true && \\\n  true\n\nRUN exit 3", 6, "step-failed", "the command of step 3 ended with code 3"),
        ("COPY dist/*.whl /w/", 2, "copy-failed", "COPY found nothing to copy: no source files were specified"),
        ("RUN --mount=type=cache,target=/x true", 2, "needs-buildkit",
         "the --mount option requires BuildKit, which the engine's API does not offer"),
    ],
)  # fmt: skip
def test_a_broken_dockerfile_is_reported_with_its_line(
    built: Build, context: Path, instructions: str, line: int, code: str, message: str
) -> None:
    with pytest.raises(UserFilesError) as caught:
        built(instructions)
    (finding,) = caught.value.findings
    assert (finding.file, finding.line, finding.code, finding.message) == (
        context / "Dockerfile", line, code, message,
    )  # fmt: skip


def test_an_empty_dockerfile(built: Build) -> None:
    with pytest.raises(UserFilesError) as caught:
        built("", first="")
    assert [(one.code, one.line) for one in caught.value.findings] == [("dockerfile-empty", 1)]


def test_a_base_image_that_cannot_be_had(built: Build, registry: Any) -> None:
    with pytest.raises(EngineRefusedError) as gone:
        built("", first="FROM 127.0.0.1:9/base:1")
    assert gone.value.message.startswith('the registry of "127.0.0.1:9/base:1" cannot be reached')
    with pytest.raises(TaorunnerError) as shut:
        built("", first=f"FROM {registry.address}/base:1 AS first")
    assert shut.value.message == f'the registry of "{registry.address}/base:1" requires a login'
    assert shut.value.hint == f"docker login {registry.address}"


def test_a_base_image_behind_a_login(
    context: Path, connected: client.Engine, registry: Any, images: Any, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, engine: Any,
) -> None:  # fmt: skip
    base = registry.push(images.build("taorunner-test/base-of-build:1"), "built/base:1")
    (context / "Dockerfile").write_text(f"FROM {base}\nRUN true\n")
    monkeypatch.setenv("DOCKER_CONFIG", str(registry.credentials(tmp_path / "config")))
    log: list[str] = []
    image = build(client.connect(), BuildSettings(context, context / "Dockerfile", ()), log.append)
    assert not any(registry.password in line for line in log)
    engine.docker("rmi", "-f", image, base)


def test_a_login_that_cannot_be_read_is_no_end(
    context: Path, connected: client.Engine, noop_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.json").write_text('{"credsStore": "not-there"}')
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (context / "Dockerfile").write_text(f"FROM {noop_image}\n")
    log: list[str] = []
    assert build(client.connect(), BuildSettings(context, context / "Dockerfile", ()), log.append)
    assert log[1].startswith("warning: the docker login cannot be read: docker-credential-not-there ")


def test_what_cannot_be_read(connected: client.Engine, context: Path, tmp_path: Path) -> None:
    def refused(**settings: Any) -> str:
        whole = {"context": context, "dockerfile": context / "Dockerfile", "tags": (), **settings}
        with pytest.raises(UserFilesError) as caught:
            build(connected, BuildSettings(**whole), lambda line: None)
        return caught.value.findings[0].message if caught.value.findings else caught.value.message

    assert refused() == '"Dockerfile" cannot be read: no such file or directory'
    (context / "Dockerfile").write_bytes(b"FROM \xff\n")
    assert refused() == '"Dockerfile" cannot be read: it is not UTF-8 text'
    (context / "Dockerfile").write_text("FROM scratch\n")
    assert refused(context=tmp_path / "nowhere") == f'the context "{tmp_path}/nowhere" is not a folder'
    assert refused(extra={"x": tmp_path / "gone"}).startswith(
        f'"{tmp_path}/gone" of the context cannot be read'
    )


def test_a_value_of_a_build_argument_is_in_no_error(built: Build, connected: client.Engine) -> None:
    secret = "nvapi-very-secret-17"
    with pytest.raises(TaorunnerError) as caught:
        built("ARG KEY\nCOPY $KEY /x", build_args={"KEY": secret})
    messages = [caught.value.message, *(one.message + str(one.hint) for one in caught.value.findings)]
    assert not any(secret in text for text in messages) and any("***" in text for text in messages)


def test_where_instructions_begin() -> None:
    text = "# c\nARG A\nFROM x\n\nRUN a \\\n  # inside\n  b \\\n\n  c\nCMD y\n"
    assert instruction_lines(text) == [2, 3, 5, 10]
    assert instruction_lines("# escape=`\nFROM x\nRUN a `\n b\nRUN c\\\nCMD d\n") == [2, 3, 5, 6]
    assert instruction_lines("") == []
