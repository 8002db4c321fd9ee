"""The promises that every backend keeps, as one suite. A backend's test module subclasses ``BackendContract``.

It gives a ``harness`` fixture and nothing else:

    class TestDocker(BackendContract):
        @pytest.fixture
        def harness(self, ...) -> Harness: ...

A harness has three commands, because not every backend can run a shell: one that prints and ends well, one that ends
with an error, and one that runs until it is stopped.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from taorunner.backends.contract import (
    Backend,
    EngineRequest,
    EngineState,
    EngineStatus,
    Handle,
    Launch,
    LogPosition,
)
from taorunner.backends.secrets import write_secrets
from taorunner.errors import Finding, Severity
from taorunner.planning.model.plan import GpuRequest, Resources, RunPlan, SecretSource
from taorunner.targets import target_of

SECRET = "hunter2-is-my-secret"
PATIENCE_S = 60


@dataclass(frozen=True)
class Harness:
    """``make`` gives a new instance, as another process would have it. The three plans are of the same backend.

    ``launch`` gives a launch with a run id and a folder of its own.
    """

    make: Callable[[], Backend]
    launch: Callable[[], Launch]
    prints: RunPlan
    fails: RunPlan
    stays: RunPlan

    def request(self, backend: Backend, plan: RunPlan) -> EngineRequest:
        """The request of a new run, whose input folder is written."""
        launch = self.launch()
        write_secrets(plan, launch.run_dir, os.environ)
        return backend.request(plan, launch)

    def start(self, backend: Backend, plan: RunPlan) -> Handle:
        return backend.submit(self.request(backend, plan)).handle

    def never_started(self, backend: Backend) -> Handle:
        launch = self.launch()
        return Handle(backend.name, launch.run_id, "0" * 64, launch.run_dir)


def output(backend: Backend, handle: Handle, position: LogPosition | None = None) -> dict[str, bytes]:
    """All of both streams behind the position. Returns at the end of the streams."""
    parts: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
    for chunk in backend.logs(handle, position or LogPosition()):
        parts[chunk.stream].append(chunk.data)
    return {name: b"".join(found) for name, found in parts.items()}


def ended(backend: Backend, handle: Handle) -> EngineStatus:
    """The status once the run is over."""
    return becomes(backend, handle, EngineState.EXITED)


def becomes(backend: Backend, handle: Handle, state: EngineState) -> EngineStatus:
    """The status once the run is in this state."""
    deadline = time.monotonic() + PATIENCE_S
    while (status := backend.inspect([handle])[handle.run_id]).state is not state:
        assert time.monotonic() < deadline, f"it is still {status.state.value}"
        time.sleep(0.02)
    return status


def says_why(backend: Backend, handle: Handle, reason: str) -> None:
    """Waits until the engine says why the run waits: it may know that later than that it does."""
    deadline = time.monotonic() + PATIENCE_S
    while (said := backend.inspect([handle])[handle.run_id].waiting) != reason:
        assert time.monotonic() < deadline, f"it still says {said}"
        time.sleep(0.02)


class BackendContract:
    """Numbered as in ``taorunner.backends.contract``."""

    @pytest.fixture
    def backend(self, harness: Harness) -> Backend:
        return harness.make()

    def test_0_it_is_what_its_target_says(self, harness: Harness, backend: Backend) -> None:
        target = target_of(backend.name)
        request = harness.request(backend, harness.prints)
        assert (target.name, harness.prints.backend) == (backend.name, backend.name)
        assert (request.image is not None) == target.needs_image
        assert not (target.sees_host_paths and request.mounts)

    def test_1_check_answers_with_findings(self, backend: Backend) -> None:
        found = backend.check()
        assert found and all(isinstance(one, Finding) for one in found)
        assert not [one for one in found if one.severity is Severity.ERROR]

    def test_2_prepare_can_be_repeated(self, harness: Harness, backend: Backend) -> None:
        reports: list[object] = []
        first = backend.prepare(harness.prints, reports.append)
        assert backend.prepare(harness.prints, reports.append) == first

    def test_3_a_request_is_pure_and_complete(self, harness: Harness, backend: Backend) -> None:
        launch = harness.launch()
        before = sorted(launch.run_dir.rglob("*"))
        request = backend.request(harness.prints, launch)
        assert (
            request
            == backend.request(harness.prints, launch)
            == harness.make().request(harness.prints, launch)
        )
        assert sorted(launch.run_dir.rglob("*")) == before
        assert (request.run_id, request.backend, request.run_dir) == (
            launch.run_id,
            backend.name,
            launch.run_dir,
        )
        assert (request.argv, request.gpus) == (harness.prints.argv, launch.gpu_ids)

    def test_3_a_request_has_the_resources_of_its_plan(self, harness: Harness, backend: Backend) -> None:
        wanted = Resources(nodes=1, gpus=GpuRequest(2), cpus=3, memory_bytes=1 << 30, time_s=90)
        plan = replace(harness.prints, resources=wanted)
        assert backend.request(plan, harness.launch()).resources == wanted

    def test_4_submit_starts_a_run_once(self, harness: Harness, backend: Backend) -> None:
        request = harness.request(backend, harness.stays)
        first = backend.submit(request).handle
        try:
            assert (first.backend, first.run_id, first.run_dir) == (
                backend.name,
                request.run_id,
                request.run_dir,
            )
            assert backend.submit(request).handle == first
            assert harness.make().submit(request).handle == first
        finally:
            backend.remove(first)

    def test_4_after_its_end_submit_finds_it_still(self, harness: Harness, backend: Backend) -> None:
        request = harness.request(backend, harness.prints)
        first = backend.submit(request).handle
        status = ended(backend, first)
        assert harness.make().submit(request).handle == first
        assert backend.inspect([first])[first.run_id] == status
        backend.remove(first)

    def test_5_inspect_answers_for_many_at_once(self, harness: Harness, backend: Backend) -> None:
        done, failed, running = (
            harness.start(backend, plan) for plan in (harness.prints, harness.fails, harness.stays)
        )
        never = harness.never_started(backend)
        try:
            for handle in (done, failed):
                ended(backend, handle)
            for instance in (backend, harness.make()):
                found = instance.inspect([done, failed, running, never])
                assert {name: status.state for name, status in found.items()} == {
                    done.run_id: EngineState.EXITED,
                    failed.run_id: EngineState.EXITED,
                    running.run_id: EngineState.RUNNING,
                    never.run_id: EngineState.MISSING,
                }
                assert found[done.run_id].exit_code == 0
                assert found[failed.run_id].exit_code not in (0, None)
                assert (found[running.run_id].exit_code, found[never.run_id].exit_code) == (None, None)
                started, finished = found[done.run_id].started_at, found[done.run_id].finished_at
                assert started is not None and finished is not None and started <= finished
            assert backend.inspect([]) == {}
            assert backend.inspect([never]) == {never.run_id: EngineStatus(EngineState.MISSING)}
        finally:
            for handle in (done, failed, running):
                backend.remove(handle)

    def test_6_logs_go_on_behind_a_position(self, harness: Harness, backend: Backend) -> None:
        handle = harness.start(backend, harness.prints)
        whole = output(backend, handle)
        ended(backend, handle)
        assert whole["stdout"]
        for instance in (backend, harness.make()):
            assert output(instance, handle) == whole
            for cut in (1, len(whole["stdout"])):
                rest = output(instance, handle, LogPosition(cut, len(whole["stderr"])))
                assert rest == {"stdout": whole["stdout"][cut:], "stderr": b""}
        backend.remove(handle)
        assert output(backend, handle) == {"stdout": b"", "stderr": b""}

    def test_6_close_ends_the_reading_in_another_thread(self, harness: Harness, backend: Backend) -> None:
        handle = harness.start(backend, harness.stays)
        try:
            for instance in (backend, harness.make()):
                stream = instance.logs(handle, LogPosition())
                reader = threading.Thread(target=lambda stream=stream: list(stream))  # type: ignore[misc]
                reader.start()
                time.sleep(0.1)
                assert reader.is_alive()
                stream.close()
                stream.close()
                reader.join(PATIENCE_S)
                assert not reader.is_alive()
            assert backend.inspect([handle])[handle.run_id].state is EngineState.RUNNING
        finally:
            backend.remove(handle)

    def test_7_stop_and_remove_can_be_repeated(self, harness: Harness, backend: Backend) -> None:
        handle = harness.start(backend, harness.stays)
        other = harness.make()
        other.stop(handle, 10)
        status = backend.inspect([handle])[handle.run_id]
        assert (status.state, status.exit_code == 0) == (EngineState.EXITED, False)
        backend.stop(handle, 10)
        assert backend.inspect([handle])[handle.run_id] == status
        for instance in (backend, other):
            instance.remove(handle)
            instance.remove(handle)
            instance.stop(handle, 1)
        assert backend.inspect([handle])[handle.run_id].state is EngineState.MISSING

    def test_7_remove_ends_a_run_that_still_runs(self, harness: Harness, backend: Backend) -> None:
        handle = harness.start(backend, harness.stays)
        backend.remove(handle)
        assert backend.inspect([handle])[handle.run_id].state is EngineState.MISSING
        assert harness.make().find(handle.run_id, handle.run_dir) is None

    def test_7_a_run_that_never_was_is_no_error(self, harness: Harness, backend: Backend) -> None:
        never = harness.never_started(backend)
        backend.stop(never, 1)
        backend.remove(never)

    def test_8_a_run_is_found_by_its_id_alone(self, harness: Harness, backend: Backend) -> None:
        handle = harness.start(backend, harness.stays)
        try:
            assert harness.make().find(handle.run_id, handle.run_dir) == handle
            never = harness.never_started(backend)
            assert backend.find(never.run_id, never.run_dir) is None
        finally:
            backend.remove(handle)

    @pytest.mark.parametrize("variable", ["NGC_KEY", None])
    def test_9_no_secret_is_in_a_request_or_its_line(
        self, harness: Harness, backend: Backend, variable: str | None
    ) -> None:
        argv = harness.prints.argv if variable else (*harness.prints.argv, "@TAORUNNER_SECRET_key@")
        plan = replace(
            harness.prints, argv=argv, secrets=(SecretSource("key", f"literal:{SECRET}", variable=variable),)
        )
        launch = harness.launch()
        write_secrets(plan, launch.run_dir, os.environ)
        request = backend.request(plan, launch)
        assert SECRET not in repr(request)
        assert SECRET not in backend.command_line(request)
        assert variable or request.argv[-1] == "***"
        open_files = [
            path for path in launch.run_dir.rglob("*") if path.is_file() and SECRET in path.read_text()
        ]
        assert open_files and all(path.stat().st_mode & 0o077 == 0 for path in open_files)


@dataclass(frozen=True)
class Preemption:
    """``take`` takes the machine from a run of its harness, or before its start, for the reason; ``give`` ends that."""

    take: Callable[[Path, str], None]
    give: Callable[[Path], None]


class RequeueContract(BackendContract):
    """For a backend whose engine may requeue a run. A subclass also gives a ``preemption`` fixture.

    ``harness.stays`` must print a line at each start.
    """

    def test_10_a_run_that_waits_is_started_later(
        self, harness: Harness, backend: Backend, preemption: Preemption
    ) -> None:
        request = harness.request(backend, harness.stays)
        preemption.take(request.run_dir, "Priority")
        started = backend.submit(request)
        handle = started.handle
        try:
            assert started.waiting == "Priority"
            assert becomes(backend, handle, EngineState.WAITING) == EngineStatus(
                EngineState.WAITING, waiting="Priority"
            )
            assert output(backend, handle) == {"stdout": b"", "stderr": b""}
            preemption.give(handle.run_dir)
            assert becomes(harness.make(), handle, EngineState.RUNNING).waiting is None
        finally:
            backend.remove(handle)

    def test_10_a_requeued_run_keeps_its_handle_and_its_log_goes_on(
        self, harness: Harness, backend: Backend, preemption: Preemption
    ) -> None:
        handle = harness.start(backend, harness.stays)
        try:
            first = next(iter(backend.logs(handle, LogPosition()))).data
            stream = backend.logs(handle, LogPosition(stdout=len(first)))
            preemption.take(handle.run_dir, "Preempted")
            assert list(stream) == []  # it ends by itself
            for instance in (backend, harness.make()):
                becomes(instance, handle, EngineState.WAITING)
                says_why(instance, handle, "Preempted")
                assert output(instance, handle) == {"stdout": first, "stderr": b""}
                assert instance.find(handle.run_id, handle.run_dir) == handle
            preemption.give(handle.run_dir)
            becomes(backend, handle, EngineState.RUNNING)
            again = next(iter(backend.logs(handle, LogPosition(stdout=len(first)))))
            assert (again.stream, again.data) == ("stdout", first)
        finally:
            backend.remove(handle)
        assert backend.inspect([handle])[handle.run_id].state is EngineState.MISSING

    def test_10_a_requeued_run_that_is_stopped_has_no_exit_code(
        self, harness: Harness, backend: Backend, preemption: Preemption
    ) -> None:
        handle = harness.start(backend, harness.stays)
        try:
            next(iter(backend.logs(handle, LogPosition())))
            preemption.take(handle.run_dir, "Preempted")
            becomes(backend, handle, EngineState.WAITING)
            harness.make().stop(handle, 10)
            status = backend.inspect([handle])[handle.run_id]
            assert status.state in (EngineState.EXITED, EngineState.MISSING)
            assert status.exit_code is None
        finally:
            backend.remove(handle)


def shell_harness(
    make: Callable[[], Backend],
    make_plan: Callable[..., RunPlan],
    launch: Callable[[], Launch],
    **fields: object,
) -> Harness:
    """For a backend that can run any command."""

    def plan(script: str) -> RunPlan:
        return make_plan("sh", "-c", script, **fields)

    return Harness(
        make,
        launch,
        prints=plan("echo one; echo two >&2; printf 'three\\r\\377'"),
        fails=plan("echo no >&2; exit 3"),
        stays=plan("exec sleep 600"),
    )


def installed(project: Path, folder: Path) -> Path:
    """What ``pip install --target folder project`` leaves there, for a project with ``src/`` and entry points only."""
    import re
    import shutil

    text = (project / "pyproject.toml").read_text()
    name = re.search(r'^name = "(.+)"$', text, re.MULTILINE)
    assert name is not None
    for package in (project / "src").iterdir():
        shutil.copytree(package, folder / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    info = folder / f"{name[1].replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name[1]}\nVersion: 1.0\n")
    points = re.findall(r'^\[project\.entry-points\."(.+)"\]\n((?:.+\n)+)', text, re.MULTILINE)
    assert points
    groups = [f"[{group}]\n" + lines.replace('"', "") for group, lines in points]
    (info / "entry_points.txt").write_text("\n".join(groups))
    return folder
