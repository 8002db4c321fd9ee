"""The docker backend on an engine that answers as a test says: names, states, logs, GPUs, and what it says of itself."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from served import Served, serving

from taorunner.backends.contract import EngineState, EngineStatus, Handle, Launch, LogPosition, PullProgress
from taorunner.backends.docker.backend import DockerBackend, create
from taorunner.backends.docker.request import GPUS_LABEL, RUN_LABEL
from taorunner.errors import EngineRefusedError, Severity, TaorunnerError
from taorunner.planning.model.plan import RunPlan

DIGEST = "sha256:" + "ab" * 32
T0 = datetime(2024, 1, 31, 10, tzinfo=timezone.utc)


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    (tmp_path / "docker").mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    with tempfile.TemporaryDirectory(prefix="taor-") as folder, serving(Path(folder, "docker.sock")) as found:
        found.answers["GET /images/tao:5/json"] = (200, {"Id": "sha256:1", "RepoDigests": [f"tao@{DIGEST}"]})
        yield found


@pytest.fixture
def backend(served: Served) -> DockerBackend:
    return create({"DOCKER_HOST": served.url})


def handle(tmp_path: Path, name: str = "c1", run_id: str = "run-1") -> Handle:
    return Handle("docker", run_id, name, tmp_path)


def state(status: str, name: str = "c1", **more: Any) -> dict[str, Any]:
    inner = {
        "Status": status,
        "ExitCode": 3,
        "StartedAt": "2024-01-31T10:00:00Z",
        "FinishedAt": "2024-01-31T10:00:00Z",
    }
    return {"Id": name, "State": {**inner, **more}, "Config": {"Labels": {RUN_LABEL: "run-1"}, "Tty": False}}


@pytest.mark.parametrize(
    ("info", "product", "codes"),
    [
        ({"Runtimes": {"nvidia": {}}}, "Docker/24", ["docker-engine"]),
        ({}, "Docker/24", ["docker-engine", "docker-nvidia"]),
        ({}, "Libpod/4", ["docker-engine"]),
    ],
)
def test_what_it_says_of_its_engine(
    info: dict[str, Any], product: str, codes: list[str], served: Served, backend: DockerBackend
) -> None:
    served.answers["GET /info"], served.product = (200, {"ServerVersion": "24", **info}), product
    found = backend.check()
    assert [one.code for one in found] == codes
    assert [one.severity for one in found] == [Severity.OK, Severity.WARNING][: len(codes)]
    assert found[0].message.endswith(f' answers at "{served.url}"')


def test_no_engine_is_a_finding() -> None:
    (found,) = create({"DOCKER_HOST": "unix:///not/there.sock"}).check()
    assert (found.severity, found.code) == (Severity.ERROR, "docker-engine")


def test_the_engine_is_connected_to_once(served: Served, backend: DockerBackend, tmp_path: Path) -> None:
    for _ in range(3):
        backend.inspect([handle(tmp_path)])
    assert len([one for one in served.asked if one.path == "/_ping"]) == 1


def test_an_image_that_is_there_is_not_pulled(
    served: Served, backend: DockerBackend, make_plan: Callable[..., RunPlan]
) -> None:
    assert backend.prepare(make_plan("true", image="tao:5"), lambda progress: None) == DIGEST
    served.answers["POST /images/create"] = (200, b'{"status": "Pull complete", "id": "a"}\r\n')
    del served.answers["GET /images/tao:5/json"]
    seen: list[PullProgress] = []
    with pytest.raises(TaorunnerError):
        backend.prepare(make_plan("true", image="tao:5"), seen.append)
    assert (seen[-1].image, seen[-1].layers_done, seen[-1].layers) == ("tao:5", 1, 1)


def test_a_run_that_was_created_before_is_taken_over(
    served: Served,
    backend: DockerBackend,
    make_plan: Callable[..., RunPlan],
    make_launch: Callable[..., Launch],
) -> None:
    """An earlier submit of this run got no answer; or another program has the name."""
    request = backend.request(make_plan("true", image="tao:5"), make_launch(run_id="run-1"))
    text = f'Conflict. The container name "/{request.name}" is already in use by container "c0".'
    served.answers["POST /containers/create"] = (409, {"message": text})
    served.answers[f"GET /containers/{request.name}/json"] = (200, state("running"))
    started = backend.submit(request)
    assert (started.handle.id, started.image_digest) == ("c1", DIGEST)
    assert not any(one.path.endswith("/start") for one in served.asked)
    other = state("running")
    other["Config"]["Labels"] = {RUN_LABEL: "another"}
    served.answers[f"GET /containers/{request.name}/json"] = (200, other)
    with pytest.raises(EngineRefusedError) as caught:
        backend.submit(request)
    assert caught.value.hint == f"docker rm -f {request.name}"


def test_a_container_that_does_not_start_is_removed(
    served: Served,
    backend: DockerBackend,
    make_plan: Callable[..., RunPlan],
    make_launch: Callable[..., Launch],
) -> None:
    request = backend.request(make_plan("true", image="tao:5"), make_launch(run_id="run-1"))
    served.answers |= {
        "POST /containers/create": (201, {"Id": "c1", "Warnings": []}),
        "POST /containers/c1/start": (500, {"message": "cannot start"}),
        "POST /containers/c1/attach": (200, b""),
        "DELETE /containers/c1": (204, b""),
    }
    with pytest.raises(TaorunnerError):
        backend.submit(request)
    assert served.of("DELETE", "/containers/c1")
    assert backend._kept == {}


@pytest.mark.parametrize(("status", "is_removed"), [("created", True), ("exited", False)])
def test_of_an_earlier_submit_only_what_never_ran_is_removed(
    status: str, is_removed: bool, served: Served, backend: DockerBackend, make_plan: Callable[..., RunPlan],
    make_launch: Callable[..., Launch],
) -> None:  # fmt: skip
    request = backend.request(make_plan("true", image="tao:5"), make_launch(run_id="run-1"))
    text = f'Conflict. The container name "/{request.name}" is already in use by container "c0".'
    served.answers |= {
        "POST /containers/create": (409, {"message": text}),
        f"GET /containers/{request.name}/json": (200, state("created")),
        "GET /containers/c1/json": (200, state(status)),
        "POST /containers/c1/start": (500, {"message": "cannot start"}),
        "POST /containers/c1/attach": (200, b""),
        "DELETE /containers/c1": (204, b""),
    }
    with pytest.raises(TaorunnerError):
        backend.submit(request)
    assert any(one.method == "DELETE" for one in served.asked) == is_removed


def test_states_of_a_run(served: Served, backend: DockerBackend, tmp_path: Path) -> None:
    for status, expected, code in (
        ("created", EngineState.CREATED, None),
        ("running", EngineState.RUNNING, None),
        ("paused", EngineState.RUNNING, None),
        ("exited", EngineState.EXITED, 3),
        ("dead", EngineState.EXITED, 3),
    ):
        served.answers["GET /containers/c1/json"] = (200, state(status))
        found = backend.inspect([handle(tmp_path)])["run-1"]
        assert found == EngineStatus(expected, code, False, None, T0, T0)
    del served.answers["GET /containers/c1/json"]
    assert backend.inspect([handle(tmp_path)]) == {"run-1": EngineStatus(EngineState.MISSING)}
    assert backend.inspect([]) == {}


def test_several_runs_are_looked_up_with_one_list(
    served: Served, backend: DockerBackend, tmp_path: Path
) -> None:
    """Each running one once: the list has no times."""
    listed = [
        {"Id": name, "State": status, "Labels": {}} for name, status in (("c1", "running"), ("c2", "exited"))
    ]
    served.answers |= {
        "GET /containers/json": (200, listed),
        "GET /containers/c1/json": (200, state("running")),
        "GET /containers/c2/json": (200, state("exited", "c2")),
    }
    handles = [handle(tmp_path, name, f"run-{name}") for name in ("c1", "c2", "c3")]
    for _ in range(2):
        found = backend.inspect(handles)
        assert [found[one.run_id].state for one in handles] == [
            EngineState.RUNNING, EngineState.EXITED, EngineState.MISSING,
        ]  # fmt: skip
    paths = [one.path for one in served.asked]
    assert (paths.count("/containers/c1/json"), paths.count("/containers/c2/json")) == (1, 2)
    assert served.of("GET", "/containers/json").query["filters"] == f'{{"label": ["{RUN_LABEL}"]}}'


def test_a_run_is_found_by_its_label(served: Served, backend: DockerBackend, tmp_path: Path) -> None:
    served.answers["GET /containers/json"] = (200, [])
    assert backend.find("run-1", tmp_path) is None
    served.answers["GET /containers/json"] = (200, [{"Id": "c1", "State": "exited", "Labels": {}}])
    assert backend.find("run-1", tmp_path) == handle(tmp_path)
    assert served.of("GET", "/containers/json").query["filters"] == f'{{"label": ["{RUN_LABEL}=run-1"]}}'


def test_gpus_of_containers_that_use_them(served: Served, backend: DockerBackend) -> None:
    def one(status: str, gpus: str, **labels: str) -> dict[str, Any]:
        return {"Id": gpus, "State": status, "Labels": {GPUS_LABEL: gpus, **labels}}

    listed = [
        one("running", "0,1", **{RUN_LABEL: "run-1"}), one("paused", "2"), one("restarting", "3"), one("exited", "4"),
        one("created", "5"),
    ]  # fmt: skip
    served.answers["GET /containers/json"] = (200, listed)
    assert backend.gpus_in_use() == {"0": "run-1", "1": "run-1", "2": "?", "3": "?"}


def frame(stream: int, text: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(text).to_bytes(4, "big") + text


def test_a_stored_log_from_a_position_on(served: Served, backend: DockerBackend, tmp_path: Path) -> None:
    served.answers["GET /containers/c1/json"] = (200, state("exited"))
    served.answers["GET /containers/c1/logs"] = (200, frame(1, b"one\ntwo\n") + frame(2, b"err\n"))

    def read(position: LogPosition) -> list[tuple[str, bytes]]:
        log = backend.logs(handle(tmp_path), position)
        chunks = [(chunk.stream, chunk.data) for chunk in log]
        log.close()
        return chunks

    assert read(LogPosition()) == [("stdout", b"one\ntwo\n"), ("stderr", b"err\n")]
    tails = {"stdout": b"one\n", "stderr": b""}
    assert read(LogPosition(stdout=4, tails=tails)) == [("stdout", b"two\n"), ("stderr", b"err\n")]
    del served.answers["GET /containers/c1/json"]
    assert read(LogPosition()) == []


def test_a_long_log_that_was_read_is_not_read_again(
    served: Served, backend: DockerBackend, tmp_path: Path
) -> None:
    served.answers["GET /containers/c1/logs"] = (200, frame(1, b"last line\n"))
    whole = 5 * 1024 * 1024
    for status, stdout, asked in (("exited", whole, "100"), ("running", whole, "all"), ("exited", 10, "all")):
        served.answers["GET /containers/c1/json"] = (200, state(status))
        tails = {"stdout": b"last line\n"}
        log = backend.logs(handle(tmp_path), LogPosition(stdout=stdout, tails=tails))
        assert served.of("GET", "/containers/c1/logs").query["tail"] == asked
        if asked == "100":
            assert list(log) == []
        log.close()


def test_stop_and_remove(served: Served, backend: DockerBackend, tmp_path: Path) -> None:
    served.answers |= {"POST /containers/c1/stop": (204, b""), "DELETE /containers/c1": (204, b"")}
    backend.stop(handle(tmp_path), 7)
    assert served.of("POST", "/containers/c1/stop").query == {"t": "7"}
    backend.remove(handle(tmp_path))
    assert served.of("DELETE", "/containers/c1")
