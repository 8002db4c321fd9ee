"""The rig gives a real engine, and what it promises of it is true."""

from __future__ import annotations

from typing import Any

from rig import Engine


def test_engine_answers_and_is_not_the_machines_own(engine: Engine) -> None:
    shown = engine.docker("info", "--format", "{{.DockerRootDir}}")
    assert (shown.returncode, shown.stdout.strip()) == (0, str(engine.home / "data"))


def test_a_container_runs(engine: Engine, noop_image: str) -> None:
    assert engine.docker("run", "--rm", noop_image, "noop").returncode == 0


def test_emit_prints_numbered_lines_of_88_bytes(engine: Engine, noop_image: str) -> None:
    printed = engine.docker("run", "--rm", noop_image, "emit", "1000").stdout
    lines = printed.splitlines(keepends=True)
    assert {len(line) for line in lines} == {88}
    assert [int(line[:7]) for line in lines] == list(range(1, 1001))


def test_registry_wants_its_password(engine: Engine, registry: Any, noop_image: str) -> None:
    reference = registry.push(noop_image, "a/b:1")
    refused = engine.docker("pull", reference)
    assert (refused.returncode, "no basic auth credentials" in refused.stderr) == (1, True)
    config = registry.credentials(engine.home / "login-test")
    assert engine.docker("--config", str(config), "pull", "--quiet", reference).stdout.strip() == reference
