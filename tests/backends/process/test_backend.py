"""Runs as processes of this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from taorunner.backends.contract import EngineState, EngineStatus, Handle, Launch, LogPosition
from taorunner.backends.process import reaper
from taorunner.backends.process.backend import LocalBackend, ProcessRequest
from taorunner.backends.secrets import write_secrets
from taorunner.container_options import ContainerOptions
from taorunner.errors import EngineRefusedError, MachineError, Severity
from taorunner.planning.model.plan import RunPlan, SecretSource

MakePlan = Callable[..., RunPlan]
MakeLaunch = Callable[..., Launch]


@pytest.fixture
def start(make_plan: MakePlan, make_launch: MakeLaunch) -> Iterator[Callable[..., Handle]]:
    """Starts a shell line, or an argv; what is left of it at the end of the test is killed."""
    backend = LocalBackend()
    started: list[Handle] = []

    def run(*argv: str) -> Handle:
        launch = make_launch()
        plan = make_plan(*(("sh", "-c", *argv) if len(argv) == 1 else argv), backend="local")
        write_secrets(plan, launch.run_dir, {})
        started.append(backend.submit(backend.request(plan, launch)).handle)
        return started[-1]

    yield run
    for handle in started:
        backend.remove(handle)


def wait_for(claim: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < deadline, "it did not happen"
        threading.Event().wait(0.01)


def status_of(handle: Handle) -> EngineStatus:
    return LocalBackend().inspect([handle])[handle.run_id]


def reaper_pid(handle: Handle) -> int:
    """The process that holds the run's lock."""
    inode = str((handle.run_dir / "process" / "lock").stat().st_ino)
    for line in Path("/proc/locks").read_text().splitlines():
        fields = line.split()
        if fields[1] == "FLOCK" and fields[5].endswith(f":{inode}"):
            return int(fields[4])
    raise AssertionError("no process holds the lock")


def test_the_request_as_one_value(make_plan: MakePlan, tmp_path: Path) -> None:
    plan = make_plan(
        "dino", "train", "-k", "@TAORUNNER_SECRET_model_key@",
        backend="local", env={"A": "b"}, secrets=(SecretSource("model_key", "literal:k"),),
    )  # fmt: skip
    launch = Launch("r1", tmp_path / "r1", ("2", "0"))
    assert LocalBackend().request(plan, launch) == ProcessRequest(
        run_id="r1",
        backend="local",
        argv=("dino", "train", "-k", "***"),
        command=(
            "/bin/sh", f"{tmp_path}/r1/input/with-secrets", "dino", "train", "-k", "@TAORUNNER_SECRET_model_key@",
        ),
        run_dir=tmp_path / "r1",
        env={"PYTHONUNBUFFERED": "1", "A": "b", "CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": "2,0"},
        gpus=("2", "0"),
        workdir=str(tmp_path),
    )  # fmt: skip


def test_output_exit_code_and_times(
    make_plan: MakePlan, run_to_end: Callable[..., tuple[object, ...]]
) -> None:
    backend = LocalBackend()
    plan = make_plan("sh", "-c", "echo out; echo err >&2; exit 3", backend="local")
    handle, status, out, err = run_to_end(backend, plan)
    assert isinstance(handle, Handle) and isinstance(status, EngineStatus)
    assert (out, err) == (b"out\n", b"err\n")
    assert (status.state, status.exit_code, status.oom_killed) == (EngineState.EXITED, 3, False)
    assert status.started_at is not None and status.finished_at is not None
    assert status.started_at <= status.finished_at
    backend.remove(handle)
    backend.remove(handle)
    assert backend.inspect([handle]) == {handle.run_id: EngineStatus(EngineState.MISSING)}
    assert list(backend.logs(handle, LogPosition())) == []


def test_secrets_and_gpus_arrive(
    make_plan: MakePlan, make_launch: MakeLaunch, read: Callable[..., tuple[bytes, bytes]]
) -> None:
    backend = LocalBackend({**os.environ, "FROM_CALLER": "yes"})
    plan = make_plan(
        "sh", "-c", 'echo "$1 $NGC_KEY $CUDA_VISIBLE_DEVICES $CUDA_DEVICE_ORDER $FROM_CALLER $A $PWD"', "sh",
        "@TAORUNNER_SECRET_model_key@",
        backend="local", env={"A": "b c"}, options=ContainerOptions(workdir="/usr"),
        secrets=(SecretSource("model_key", "literal:it's $5"), SecretSource("env_NGC_KEY", "literal:ngc", "NGC_KEY")),
    )  # fmt: skip
    launch = make_launch("3", "1")
    write_secrets(plan, launch.run_dir, {})
    request = backend.request(plan, launch)
    handle = backend.submit(request).handle
    assert read(backend, handle) == (b"it's $5 ngc 3,1 PCI_BUS_ID yes b c /usr\n", b"")
    assert "it's" not in backend.command_line(request)
    files = [
        path for path in (launch.run_dir / "process").rglob("*") if path.name not in ("stdout", "stderr")
    ]
    assert all(b"it's $5" not in path.read_bytes() and b"ngc" not in path.read_bytes() for path in files)


def test_a_missing_command_is_reported_before_the_start(make_plan: MakePlan, make_launch: MakeLaunch) -> None:
    backend = LocalBackend()
    plan = make_plan("detectnet_v3", "train", backend="local")
    with pytest.raises(MachineError) as caught:
        backend.prepare(plan, lambda progress: None)
    assert caught.value.message == 'there is no command "detectnet_v3" on PATH'
    assert caught.value.hint is not None and "--backend docker" in caught.value.hint
    launch = make_launch()
    with pytest.raises(MachineError) as again:
        backend.submit(backend.request(plan, launch))
    assert again.value.message == 'there is no command "detectnet_v3" on PATH'
    assert backend.find(launch.run_id, launch.run_dir) is None


def test_commands_that_cannot_be_started(
    make_plan: MakePlan, make_launch: MakeLaunch, tmp_path: Path
) -> None:
    backend = LocalBackend()
    (tmp_path / "data").write_text("not a program")
    for plan, kind, message in (
        (make_plan(str(tmp_path / "data")), EngineRefusedError, f'"{tmp_path}/data" cannot be started: permission denied'),
        (
            make_plan("true", options=ContainerOptions(workdir="/not/there")),
            MachineError, 'there is no folder "/not/there" to start in',
        ),
    ):  # fmt: skip
        launch = make_launch()
        with pytest.raises(kind) as caught:
            backend.submit(backend.request(plan, launch))
        assert str(caught.value) == message
        assert (
            backend.inspect([Handle("local", "r", "1:1", launch.run_dir)])["r"].state is EngineState.MISSING
        )


def test_a_second_submit_finds_the_first(
    make_plan: MakePlan, make_launch: MakeLaunch, tmp_path: Path
) -> None:
    plan = make_plan("sh", "-c", f"echo x >>{tmp_path}/times; sleep 0.3", backend="local")
    launch = make_launch()
    request = LocalBackend().request(plan, launch)
    found: list[Handle] = []
    threads = [
        threading.Thread(target=lambda: found.append(LocalBackend().submit(request).handle)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and len(set(found)) == 1
    assert list(LocalBackend().logs(found[0], LogPosition())) == []
    assert LocalBackend().submit(request).handle == found[0]
    assert LocalBackend().find(launch.run_id, launch.run_dir) == found[0]
    assert (tmp_path / "times").read_text() == "x\n"


def test_the_run_outlives_the_one_who_started_it(make_plan: MakePlan, make_launch: MakeLaunch) -> None:
    launch = make_launch()
    code = (
        "import os, sys; from pathlib import Path; "
        "from taorunner.backends.process.backend import LocalBackend, ProcessRequest;"
        f"command = ('sh', '-c', 'sleep 0.3; echo alive; exit 5'); run_dir = Path({str(launch.run_dir)!r});"
        f"LocalBackend().submit(ProcessRequest(run_id='{launch.run_id}', backend='local', argv=command, command=command,"
        "run_dir=run_dir, workdir='/'));"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], timeout=30, check=False)
    assert done.returncode == -signal.SIGKILL
    backend = LocalBackend()
    handle = backend.find(launch.run_id, launch.run_dir)
    assert handle is not None
    assert [chunk.data for chunk in backend.logs(handle, LogPosition())] == [b"alive\n"]
    assert status_of(handle).exit_code == 5


def test_state_after_the_reaper_was_killed(start: Callable[..., Handle]) -> None:
    handle = start("sleep", "600")
    assert status_of(handle).state is EngineState.RUNNING
    os.kill(reaper_pid(handle), signal.SIGKILL)
    pid = int(handle.id.partition(":")[0])
    assert reaper.start_time(pid) is not None
    assert status_of(handle).state is EngineState.RUNNING
    LocalBackend().stop(handle, 5)
    assert reaper.start_time(pid) is None
    assert (status_of(handle).state, status_of(handle).exit_code) == (EngineState.MISSING, None)


def test_a_pid_that_is_anothers_now_is_not_touched(tmp_path: Path) -> None:
    bystander = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        started = reaper.start_time(bystander.pid)
        assert started is not None
        for number, body in enumerate(
            (
                {"pid": bystander.pid, "start": started - 1, "boot": reaper.boot_id(), "at": 0},
                {"pid": bystander.pid, "start": started, "boot": "another boot", "at": 0},
            )
        ):
            run_dir = tmp_path / str(number)
            (run_dir / "process").mkdir(parents=True)
            (run_dir / "process" / "started.json").write_text(json.dumps(body))
            handle = Handle("local", "r", f"{body['pid']}:{body['start']}", run_dir)
            backend = LocalBackend()
            assert status_of(handle).state is EngineState.MISSING
            backend.stop(handle, 1)
            backend.remove(handle)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


@pytest.mark.parametrize("name", ["started.json", "exit.json"])
@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"pid": 1}', '{"pid": "x", "start": [], "exit_code": null}', '{"pid": true, "start": 1, "at": {}}',
     '{"exit_code": 1e99}', '{"exit_code": {}}'],
)  # fmt: skip
def test_torn_records_are_missing_runs(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "process").mkdir()
    (tmp_path / "process" / name).write_text(text)
    assert status_of(Handle("local", "r", "1:1", tmp_path)).state is EngineState.MISSING


def test_stop_reaches_the_whole_group(start: Callable[..., Handle], tmp_path: Path) -> None:
    handle = start(f"sleep 600 & echo $! >{tmp_path}/child; wait")
    wait_for(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text().strip())
    child = int((tmp_path / "child").read_text())
    LocalBackend().stop(handle, 30)
    assert (status_of(handle).state, status_of(handle).exit_code) == (EngineState.EXITED, 143)
    wait_for(lambda: reaper.start_time(child) is None)  # whoever adopted it reaps it when it likes
    LocalBackend().stop(handle, 30)


def test_who_ignores_sigterm_is_killed_and_so_are_children_that_left(
    start: Callable[..., Handle], tmp_path: Path
) -> None:
    handle = start(
        f"trap '' TERM; setsid sh -c 'echo $$ >{tmp_path}/away; sleep 600' & echo ready; while :; do sleep 1; done"
    )
    wait_for(lambda: (tmp_path / "away").exists() and (tmp_path / "away").read_text().strip())
    away = int((tmp_path / "away").read_text())
    LocalBackend().stop(handle, 0.2)
    assert status_of(handle).exit_code == 137
    wait_for(lambda: reaper.start_time(away) is None)


def test_a_run_of_another_workspace_with_the_same_id_is_left_alone(
    start: Callable[..., Handle], make_plan: MakePlan, make_launch: MakeLaunch, tmp_path: Path
) -> None:
    theirs = start(f"setsid sleep 600 & echo $! >{tmp_path}/away; wait")
    wait_for(lambda: (tmp_path / "away").exists() and (tmp_path / "away").read_text().strip())
    away = int((tmp_path / "away").read_text())
    ours = Launch(theirs.run_id, tmp_path / "other", ())
    ours.run_dir.mkdir()
    write_secrets(plan := make_plan("true", backend="local"), ours.run_dir, {})
    handle = LocalBackend().submit(LocalBackend().request(plan, ours)).handle
    wait_for(lambda: status_of(handle).state is EngineState.EXITED)
    assert status_of(theirs).state is EngineState.RUNNING
    assert reaper.start_time(away) is not None
    LocalBackend().stop(theirs, 0)
    wait_for(lambda: reaper.start_time(away) is None)


def test_a_stopped_process_can_be_ended(start: Callable[..., Handle]) -> None:
    handle = start("sleep", "600")
    os.kill(int(handle.id.partition(":")[0]), signal.SIGSTOP)
    LocalBackend().stop(handle, 30)
    assert status_of(handle).exit_code == 143


def test_what_a_process_leaves_behind_ends_with_it(start: Callable[..., Handle], tmp_path: Path) -> None:
    handle = start(f"(setsid sleep 600 & echo $! >{tmp_path}/left); exit 4")
    wait_for(lambda: status_of(handle).state is EngineState.EXITED)
    assert status_of(handle).exit_code == 4
    left = int((tmp_path / "left").read_text())
    wait_for(lambda: reaper.start_time(left) is None)  # killed, and gone when the kernel comes to it


def test_signals_are_as_a_shell_would_have_them(start: Callable[..., Handle]) -> None:
    handle = start("python3", "-I", "-S", "-c", "import os; os.kill(os.getpid(), 11)")
    wait_for(lambda: status_of(handle).state is EngineState.EXITED)
    assert status_of(handle).exit_code == 139
    program = (
        "import signal; print(signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT).__name__)"
    )
    handle = start("python3", "-I", "-S", "-c", program)
    (chunk,) = LocalBackend().logs(handle, LogPosition())
    assert chunk.data == b"0 default_int_handler\n"


def test_reading_goes_on_behind_a_position(start: Callable[..., Handle]) -> None:
    handle = start(r"printf 'a\rb\n\377'; printf err >&2; sleep 0.1; echo end")
    whole = b"a\rb\n\xffend\n"
    first = LocalBackend().logs(handle, LogPosition())
    assert b"".join(chunk.data for chunk in first if chunk.stream == "stdout") == whole
    for cut in (0, 1, 4, len(whole)):
        found = list(LocalBackend().logs(handle, LogPosition(cut, 1)))
        assert b"".join(chunk.data for chunk in found if chunk.stream == "stdout") == whole[cut:]
        assert b"".join(chunk.data for chunk in found if chunk.stream == "stderr") == b"rr"


def test_a_reader_is_woken_by_close(start: Callable[..., Handle]) -> None:
    stream = LocalBackend().logs(start("sleep", "600"), LogPosition())
    reader = threading.Thread(target=lambda: list(stream))
    reader.start()
    stream.close()
    reader.join(60)
    assert not reader.is_alive()


def test_the_printed_line_does_the_same(make_plan: MakePlan, make_launch: MakeLaunch, tmp_path: Path) -> None:
    plan = make_plan(
        "sh", "-c", 'echo "$A" "$CUDA_VISIBLE_DEVICES" $PWD', backend="local", env={"A": "it's $5"}
    )
    line = LocalBackend().command_line(LocalBackend().request(plan, make_launch("1")))
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == f"it's $5 1 {tmp_path}\n"


def test_the_start_is_quick(start: Callable[..., Handle]) -> None:
    taken_s = []
    for _ in range(4):  # a busy machine halts one now and then
        begun = time.monotonic()
        handle = start("true")
        list(LocalBackend().logs(handle, LogPosition()))
        assert status_of(handle).exit_code == 0
        taken_s.append(time.monotonic() - begun)
    assert min(taken_s) < 1.5


def test_check_is_an_all_clear() -> None:
    assert [finding.severity for finding in LocalBackend().check()] == [Severity.OK]


def test_the_process_starts_with_every_signal_as_in_a_shell(start: Callable[..., Handle]) -> None:
    handle = start("grep", "SigIgn", "/proc/self/status")
    wait_for(lambda: status_of(handle).state is EngineState.EXITED)
    assert (handle.run_dir / "process" / "stdout").read_text() == "SigIgn:\t0000000000000000\n"
