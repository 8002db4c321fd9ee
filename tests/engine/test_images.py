"""Images: names, digests, pulls from a registry that wants a password."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from taorunner.backends.contract import PullProgress
from taorunner.backends.docker.backend import DockerBackend
from taorunner.engine import client, images
from taorunner.engine.images import PullProgressFold, PullState, digest_of
from taorunner.errors import EngineRefusedError, MachineError
from taorunner.planning.model.plan import RunPlan

DIGEST = "sha256:" + "ab" * 32


def test_the_digest_is_the_one_of_the_own_repository() -> None:
    known = ["mirror/tao@sha256:aa", "nvcr.io/nvidia/tao@sha256:bb"]
    assert digest_of("nvcr.io/nvidia/tao:5.5", known) == "sha256:bb"
    assert digest_of("other/tao:5.5", known) == "sha256:aa"
    assert digest_of("built-here:1", []) is None


def test_a_pull_counts_layers_bytes_and_time() -> None:
    fold = PullProgressFold(100.0)
    for event in (
        {"status": "Pulling from nvidia/tao/tao-toolkit", "id": "5.5.0"},
        {"status": "Pulling fs layer", "progressDetail": {}, "id": "a"},
        {"status": "Already exists", "progressDetail": {}, "id": "b"},
        {"status": "Downloading", "progressDetail": {"current": 250, "total": 1000}, "id": "a"},
        {"status": "Downloading", "progressDetail": {}, "id": "c"},
        {"status": "Waiting", "id": "d"},
    ):
        fold.take(event)
    assert fold.state(101.0) == PullState(1, 4, 250, 1000, None)  # too early for an honest guess
    assert fold.state(105.0) == PullState(1, 4, 250, 1000, 15.0)
    fold.take({"status": "Download complete", "id": "a"})
    fold.take({"status": "Extracting", "progressDetail": {"current": 5, "total": 7}, "id": "a"})
    assert [(layer.step, layer.bytes_done) for layer in fold.layers() if layer.id == "a"] == [
        ("extracting", 5)
    ]
    assert fold.state(110.0) == PullState(1, 4, 1000, 1000, 0.0)
    for layer in "acd":
        fold.take({"status": "Pull complete", "id": layer})
    fold.take({"status": f"Digest: {DIGEST}"})
    assert fold.state(111.0) == PullState(4, 4, 1000, 1000, 0.0)


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"id": "a"},
        {"id": 3, "status": None},
        {"id": "a", "status": "Downloading", "progressDetail": None},
    ],
)
def test_events_of_another_shape_are_harmless(event: dict[str, Any]) -> None:
    fold = PullProgressFold(0.0)
    fold.take(event)
    assert fold.state(1.0).bytes_done == 0


@pytest.mark.engine
def test_a_pull_with_a_login(
    docker: DockerBackend, registry: Any, noop_image: str, engine: Any, make_plan: Callable[..., RunPlan],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    built = engine.docker("build", "-q", "-t", "taorunner-test/pulled", "-", input_bytes=(
        f"FROM {noop_image}\nRUN head -c 3000000 /dev/urandom >/one\nRUN head -c 3000000 /dev/urandom >/two\n"
    ).encode())  # fmt: skip
    assert built.returncode == 0, built.stderr
    reference = registry.push(
        "taorunner-test/pulled", f"nvidia/tao/{tmp_path.name.replace('_', '-').lower()}:1"
    )
    engine.docker("rmi", "-f", "taorunner-test/pulled")
    plan = make_plan("true", image=reference)

    with pytest.raises(MachineError) as caught:
        docker.prepare(plan, lambda progress: None)
    assert caught.value.message == f'the registry of "{reference}" requires a login'
    assert caught.value.hint == f"docker login {registry.address}"

    monkeypatch.setenv("DOCKER_CONFIG", str(registry.credentials(tmp_path / "config")))
    seen: list[PullProgress] = []
    backend = DockerBackend()
    digest = backend.prepare(plan, seen.append)
    assert digest is not None and digest.startswith("sha256:")
    last = seen[-1]
    assert (last.image, last.layers_done) == (reference, last.layers)
    assert last.bytes_total is not None and last.bytes_done == last.bytes_total > 6_000_000
    assert (
        engine.docker("inspect", "-f", "{{index .RepoDigests 0}}", reference).stdout.strip().endswith(digest)
    )

    again: list[PullProgress] = []
    assert DockerBackend().prepare(plan, again.append) == digest
    assert again == []  # what is there is not asked for again

    with pytest.raises(EngineRefusedError) as missing:
        backend.prepare(make_plan("true", image=f"{reference}-nope"), seen.append)
    assert missing.value.message == f'the image "{reference}-nope" does not exist'

    wrong = tmp_path / "wrong"
    wrong.mkdir()
    (wrong / "config.json").write_text(f'{{"auths": {{"{registry.address}": {{"auth": "eDp5"}}}}}}')
    monkeypatch.setenv("DOCKER_CONFIG", str(wrong))
    with pytest.raises(MachineError) as refused:
        DockerBackend().prepare(make_plan("true", image=f"{reference}-other"), seen.append)
    assert refused.value.message == f'the registry of "{reference}-other" does not accept the stored login'
    engine.docker("rmi", "-f", reference)


@pytest.mark.engine
def test_a_report_that_raises_ends_the_pull(docker_environment: None, registry: Any, noop_image: str, engine: Any,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    built = engine.docker("build", "-q", "-t", "taorunner-test/stopped", "-", input_bytes=(
        f"FROM {noop_image}\nRUN head -c 2000000 /dev/urandom >/one\n"
    ).encode())  # fmt: skip
    assert built.returncode == 0, built.stderr
    reference = registry.push("taorunner-test/stopped", "nvidia/tao/stopped:1")
    engine.docker("rmi", "-f", "taorunner-test/stopped")
    monkeypatch.setenv("DOCKER_CONFIG", str(registry.credentials(tmp_path / "config")))

    class StoppedError(Exception):
        pass

    def report(state: PullState) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        images.pull(client.connect(), reference, report)
    engine.docker("rmi", "-f", reference)
