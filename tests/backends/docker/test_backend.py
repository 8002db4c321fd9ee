"""Runs as real containers."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from taorunner.backends.contract import EngineState, EngineStatus, Handle, Launch, LogPosition
from taorunner.backends.docker.backend import DockerBackend
from taorunner.backends.docker.log_resume import Tail
from taorunner.backends.secrets import remove_secrets, write_secrets
from taorunner.container_options import ContainerOptions, Mount
from taorunner.errors import EngineRefusedError, Severity, TaorunnerError
from taorunner.planning.model.plan import Resources, RunPlan, SecretSource

pytestmark = pytest.mark.engine

MakePlan = Callable[..., RunPlan]
RunToEnd = Callable[..., tuple[Handle, EngineStatus, bytes, bytes]]
Read = Callable[..., tuple[bytes, bytes]]
NASTY = "a b'c\"$HOME `id` \\n * ? ~ %s\n\tend\n\n"


def test_output_and_exit_code_of_a_run(
    docker: DockerBackend, make_plan: MakePlan, noop_image: str, run_to_end: RunToEnd
) -> None:
    plan = make_plan("sh", "-c", "echo out; echo err >&2; exit 3", image=noop_image)
    handle, status, out, err = run_to_end(docker, plan)
    assert (out, err) == (b"out\n", b"err\n")
    assert (status.state, status.exit_code, status.oom_killed, status.error) == (
        EngineState.EXITED,
        3,
        False,
        None,
    )
    assert status.started_at is not None and status.finished_at is not None
    assert status.started_at <= status.finished_at
    docker.remove(handle)
    docker.remove(handle)
    docker.stop(handle, 1)
    assert docker.inspect([handle]) == {handle.run_id: EngineStatus(EngineState.MISSING)}
    assert list(docker.logs(handle, LogPosition())) == []


def test_a_container_removed_between_its_end_and_the_last_look_at_its_log(
    docker: DockerBackend, make_plan: MakePlan, noop_image: str, run_to_end: RunToEnd, engine: Any
) -> None:
    """Its state is not asked for again before the log is read; a second try finds that there is none."""
    handle, status, out, _ = run_to_end(docker, make_plan("emit", "3", image=noop_image))
    assert status.state is EngineState.EXITED
    assert engine.docker("rm", handle.id).returncode == 0
    with pytest.raises(TaorunnerError, match="the container is gone"):
        docker.logs(handle, LogPosition(stdout=len(out)))
    assert list(docker.logs(handle, LogPosition(stdout=len(out)))) == []


def test_the_container_is_what_the_request_says(
    docker: DockerBackend, make_plan: MakePlan, make_launch: Callable[..., Launch], noop_image: str, engine: Any,
    tmp_path: Path,
) -> None:  # fmt: skip
    (tmp_path / "data").mkdir()
    plan = make_plan(
        "sleep", "60",
        image=noop_image,
        resources=Resources(cpus=1, memory_bytes=1 << 29),
        env={"HOME": "/taorunner/home", "EMPTY": "", "WITH": "a=b c"},
        mounts=(Mount(tmp_path / "data", "/data", True), Mount(tmp_path, "/all")),
        options=ContainerOptions(user="1000:1001", groups=(4, 27), shm_bytes=1 << 28, ulimits={"stack": 67108864}),
    )  # fmt: skip
    launch = make_launch("0", "2")
    write_secrets(plan, launch.run_dir, {})
    handle = docker.submit(docker.request(plan, launch)).handle
    body = json.loads(engine.docker("inspect", handle.id).stdout)[0]
    docker.remove(handle)
    host, config = body["HostConfig"], body["Config"]
    assert body["Name"] == f"/taorunner-{launch.run_id}"
    assert config["Cmd"] == ["sleep", "60"]
    assert {"HOME=/taorunner/home", "EMPTY=", "WITH=a=b c"} <= set(config["Env"])
    assert (config["User"], host["GroupAdd"], config["Tty"]) == ("1000:1001", ["4", "27"], False)
    assert host["DeviceRequests"] == [
        {"Driver": "", "Count": 0, "DeviceIDs": ["0", "2"], "Capabilities": [["gpu"]], "Options": {}}
    ]
    assert host["ShmSize"] == 1 << 28
    assert (host["NanoCpus"], host["Memory"]) == (10**9, 1 << 29)
    assert host["Ulimits"] == [{"Name": "stack", "Hard": 67108864, "Soft": 67108864}]
    assert host["LogConfig"] == {"Type": "json-file", "Config": {}}
    assert (host["Init"], host["AutoRemove"], host["Privileged"]) == (True, False, False)
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert [(m["Type"], m["Source"], m["Target"], m.get("ReadOnly", False)) for m in host["Mounts"]] == [
        ("bind", str(tmp_path / "data"), "/data", True),
        ("bind", str(tmp_path), "/all", False),
        ("bind", str(launch.run_dir / "input"), "/taorunner/run", True),
    ]
    assert config["Labels"]["com.taorunner.run"] == launch.run_id


def test_gpus_are_given_by_id(
    docker: DockerBackend, make_plan: MakePlan, noop_image: str, run_to_end: RunToEnd
) -> None:
    _, _, out, _ = run_to_end(
        docker, make_plan("sh", "-c", "echo $NVIDIA_VISIBLE_DEVICES", image=noop_image), "1", "0"
    )
    assert out == b"1,0\n"


def test_a_run_without_gpus_asks_for_none(
    docker: DockerBackend, make_plan: MakePlan, noop_image: str, run_to_end: RunToEnd
) -> None:
    _, _, out, _ = run_to_end(
        docker, make_plan("sh", "-c", "echo ${NVIDIA_VISIBLE_DEVICES-none}", image=noop_image)
    )
    assert out == b"none\n"


def test_files_belong_to_the_caller(
    docker: DockerBackend, make_plan: MakePlan, noop_image: str, run_to_end: RunToEnd, tmp_path: Path
) -> None:
    results = tmp_path / "results"
    results.mkdir()
    os.chown(results, 1234, 1235)
    plan = make_plan(
        "sh", "-c", "echo x >/results/model; id -G", image=noop_image, mounts=(Mount(results, "/results"),),
        options=ContainerOptions(user="1234:1235", groups=(4321,)),
    )  # fmt: skip
    _, status, out, err = run_to_end(docker, plan)
    assert (status.exit_code, out, err) == (0, b"1235 4321\n", b"")
    found = (results / "model").stat()
    assert (found.st_uid, found.st_gid) == (1234, 1235)


def test_no_process_inside_can_gain_rights(
    docker: DockerBackend, make_plan: MakePlan, noop_image: str, run_to_end: RunToEnd
) -> None:
    look = ("sh", "-c", "grep NoNewPrivs /proc/self/status")
    assert run_to_end(docker, make_plan(*look, image=noop_image))[2] == b"NoNewPrivs:\t1\n"
    privileged = make_plan(*look, image=noop_image, options=ContainerOptions(privileged=True))
    assert run_to_end(docker, privileged)[2] == b"NoNewPrivs:\t0\n"


def test_data_is_read_only_within_a_writable_project(
    docker: DockerBackend, make_plan: MakePlan, noop_image: str, run_to_end: RunToEnd, tmp_path: Path
) -> None:
    data = tmp_path / "projects" / "p" / "data"
    data.mkdir(parents=True)
    plan = make_plan(
        "sh", "-c", "echo x >/w/p/other && echo x >/w/p/data/file", image=noop_image,
        mounts=(Mount(data, "/w/p/data", True), Mount(tmp_path / "projects", "/w")),
    )  # fmt: skip
    _, status, _, err = run_to_end(docker, plan)
    assert status.exit_code != 0 and b"Read-only file system" in err
    assert (tmp_path / "projects/p/other").read_text() == "x\n" and list(data.iterdir()) == []


def test_a_second_submit_finds_what_the_first_one_started(
    docker: DockerBackend,
    make_plan: MakePlan,
    make_launch: Callable[..., Launch],
    noop_image: str,
    read: Read,
) -> None:
    launch = make_launch()
    plan = make_plan("sh", "-c", "echo once; sleep 0.2; echo twice", image=noop_image)
    write_secrets(plan, launch.run_dir, {})
    request = docker.request(plan, launch)
    first = docker.submit(request)
    other = DockerBackend()
    assert other.submit(request) == first
    assert other.find(launch.run_id, launch.run_dir) == first.handle
    assert read(other, first.handle) == (b"once\ntwice\n", b"")
    assert read(docker, first.handle) == (b"once\ntwice\n", b"")
    assert DockerBackend().submit(request) == first


def test_a_container_that_was_created_and_not_started_is_started(
    docker: DockerBackend, make_plan: MakePlan, make_launch: Callable[..., Launch], noop_image: str, engine: Any,
    read: Read,
) -> None:  # fmt: skip
    launch = make_launch()
    name = f"taorunner-{launch.run_id}"
    label = f"com.taorunner.run={launch.run_id}"
    engine.docker("create", "--name", name, "--label", label, noop_image, "echo", "hello")
    plan = make_plan("echo", "hello", image=noop_image)
    write_secrets(plan, launch.run_dir, {})
    handle = docker.submit(docker.request(plan, launch)).handle
    assert read(docker, handle) == (b"hello\n", b"")
    docker.remove(handle)


def test_a_foreign_container_of_that_name_is_left_alone(
    docker: DockerBackend,
    make_plan: MakePlan,
    make_launch: Callable[..., Launch],
    noop_image: str,
    engine: Any,
) -> None:
    launch = make_launch()
    name = f"taorunner-{launch.run_id}"
    engine.docker("create", "--name", name, noop_image, "true")
    plan = make_plan("true", image=noop_image)
    write_secrets(plan, launch.run_dir, {})
    with pytest.raises(EngineRefusedError) as caught:
        docker.submit(docker.request(plan, launch))
    assert caught.value.message == f'there is another container named "{name}"'
    assert caught.value.hint == f"docker rm -f {name}"
    assert engine.docker("rm", name).returncode == 0


def test_a_start_that_fails_leaves_nothing_behind(
    docker: DockerBackend,
    make_plan: MakePlan,
    make_launch: Callable[..., Launch],
    noop_image: str,
    engine: Any,
) -> None:
    launch = make_launch()
    plan = make_plan("true", image=noop_image, options=ContainerOptions(user="nobody-of-that-name"))
    write_secrets(plan, launch.run_dir, {})
    with pytest.raises(EngineRefusedError) as caught:
        docker.submit(docker.request(plan, launch))
    assert caught.value.message == 'the image has no user "nobody-of-that-name"'
    assert docker.find(launch.run_id, launch.run_dir) is None
    assert engine.docker("ps", "-aq", "--filter", f"name={launch.run_id}").stdout == ""


def test_a_missing_mount_source_is_an_error_and_is_not_made(
    docker: DockerBackend,
    make_plan: MakePlan,
    make_launch: Callable[..., Launch],
    noop_image: str,
    tmp_path: Path,
) -> None:
    launch = make_launch()
    plan = make_plan("true", image=noop_image, mounts=(Mount(tmp_path / "not there", "/x"),))
    write_secrets(plan, launch.run_dir, {})
    with pytest.raises(EngineRefusedError) as caught:
        docker.submit(docker.request(plan, launch))
    assert f'"{tmp_path / "not there"}"' in caught.value.message
    assert not (tmp_path / "not there").exists()


def test_one_question_for_many_runs(
    docker: DockerBackend, make_plan: MakePlan, make_launch: Callable[..., Launch], noop_image: str
) -> None:
    handles = []
    for argv in (("sleep", "60"), ("sh", "-c", "exit 4")):
        launch = make_launch()
        plan = make_plan(*argv, image=noop_image)
        write_secrets(plan, launch.run_dir, {})
        handles.append(docker.submit(docker.request(plan, launch)).handle)
    list(docker.logs(handles[1], LogPosition()))
    gone = Handle("docker", "gone", "0" * 64, handles[0].run_dir)
    for _ in range(2):  # the second time the list alone knows about the running one
        found = docker.inspect([*handles, gone])
        states = {run: (status.state, status.exit_code) for run, status in found.items()}
        assert states == {
            handles[0].run_id: (EngineState.RUNNING, None),
            handles[1].run_id: (EngineState.EXITED, 4),
            "gone": (EngineState.MISSING, None),
        }
        assert found[handles[0].run_id].started_at is not None
    assert docker.inspect([]) == {}
    for handle in handles:
        docker.remove(handle)


def test_stop_reaches_the_process_at_once(
    docker: DockerBackend, make_plan: MakePlan, make_launch: Callable[..., Launch], noop_image: str
) -> None:
    launch = make_launch()
    plan = make_plan("sleep", "600", image=noop_image)
    write_secrets(plan, launch.run_dir, {})
    handle = docker.submit(docker.request(plan, launch)).handle
    begun = time.monotonic()
    docker.stop(handle, 250)
    assert time.monotonic() - begun < 100
    assert docker.inspect([handle])[handle.run_id].exit_code == 143
    docker.stop(handle, 30)


def test_a_process_that_ignores_sigterm_is_killed_after_the_grace(
    docker: DockerBackend, make_plan: MakePlan, make_launch: Callable[..., Launch], noop_image: str
) -> None:
    launch = make_launch()
    plan = make_plan("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done", image=noop_image)
    write_secrets(plan, launch.run_dir, {})
    handle = docker.submit(docker.request(plan, launch)).handle
    stream = docker.logs(handle, LogPosition())
    next(iter(stream))
    docker.stop(handle, 1)
    assert docker.inspect([handle])[handle.run_id].exit_code == 137
    stream.close()


@pytest.mark.parametrize("after", ["start", "end"])
def test_reading_goes_on_exactly_behind_a_position(
    docker: DockerBackend, make_plan: MakePlan, noop_image: str, run_to_end: RunToEnd, read: Read, after: str
) -> None:
    script = r"""i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo "line $i"; echo "error $i" >&2; done
    printf 'bad \377\376 byte \303\251 \360\237\230\200 cut \360\237\n'; head -c 40000 /dev/zero | tr '\0' x; printf '50%%\r100%%'"""
    handle, _, out, err = run_to_end(docker, make_plan("sh", "-c", script, image=noop_image))
    assert (
        b"bad \xef\xbf\xbd\xef\xbf\xbd byte \xc3\xa9 \xf0\x9f\x98\x80 cut \xef\xbf\xbd\xef\xbf\xbd\n" in out
    )
    assert out.endswith(b"50%\r100%") and out.count(b"\nline ") == 299 and err.count(b"error") == 300
    cuts = [(0, 0), (1, 5), (5000, 17)] if after == "start" else [(len(out) - 3, len(err)), (len(out), 0)]
    for cut_out, cut_err in cuts:
        assert read(docker, handle, LogPosition(cut_out, cut_err)) == (out[cut_out:], err[cut_err:])


def test_another_process_follows_a_run_that_is_under_way(
    docker: DockerBackend, make_plan: MakePlan, make_launch: Callable[..., Launch], noop_image: str
) -> None:
    launch = make_launch()
    plan = make_plan("sh", "-c", "echo 1; sleep 0.3; echo 2; sleep 60", image=noop_image)
    write_secrets(plan, launch.run_dir, {})
    handle = docker.submit(docker.request(plan, launch)).handle
    stream = DockerBackend().logs(handle, LogPosition(stdout=2))
    assert next(iter(stream)).data == b"2\n"
    stream.close()
    docker.remove(handle)


@pytest.mark.parametrize("live", [True, False])
def test_a_blocked_reader_is_woken_by_close(
    docker: DockerBackend,
    make_plan: MakePlan,
    make_launch: Callable[..., Launch],
    noop_image: str,
    live: bool,
) -> None:
    launch = make_launch()
    plan = make_plan("sleep", "600", image=noop_image)
    write_secrets(plan, launch.run_dir, {})
    handle = docker.submit(docker.request(plan, launch)).handle
    stream = docker.logs(handle, LogPosition()) if live else DockerBackend().logs(handle, LogPosition())
    reader = threading.Thread(target=lambda: list(stream))
    reader.start()
    reader.join(0.2)
    assert reader.is_alive()
    stream.close()
    stream.close()
    reader.join(100)
    assert not reader.is_alive()
    assert list(stream) == []
    assert docker.inspect([handle])[handle.run_id].state is EngineState.RUNNING
    docker.remove(handle)


def test_carriage_returns_come_at_once(
    docker: DockerBackend, make_plan: MakePlan, make_launch: Callable[..., Launch], noop_image: str
) -> None:
    launch = make_launch()
    plan = make_plan("sh", "-c", r"printf '1/10\r'; sleep 600", image=noop_image)
    write_secrets(plan, launch.run_dir, {})
    handle = docker.submit(docker.request(plan, launch)).handle
    stream = docker.logs(handle, LogPosition())
    assert next(iter(stream)).data == b"1/10\r"
    stream.close()
    docker.remove(handle)


def test_a_terminal_is_read_as_stdout(
    docker: DockerBackend, make_plan: MakePlan, noop_image: str, run_to_end: RunToEnd, read: Read
) -> None:
    plan = make_plan(
        "sh", "-c", "test -t 1 && echo terminal", image=noop_image, options=ContainerOptions(tty=True)
    )
    handle, _, out, err = run_to_end(docker, plan)
    assert (out, err) == (b"terminal\r\n", b"")
    assert read(docker, handle, LogPosition(stdout=4)) == (b"inal\r\n", b"")


def test_secrets_arrive_and_are_seen_nowhere(
    docker: DockerBackend, make_plan: MakePlan, make_launch: Callable[..., Launch], noop_image: str, engine: Any,
    read: Read,
) -> None:  # fmt: skip
    show = 'for a in "$@"; do printf "<%s>" "$a"; done; printf "{%s}" "$NGC_KEY"'
    plan = make_plan(
        "sh", "-c", show, "sh", "-k", "@TAORUNNER_SECRET_model_key@", "encryption_key=@TAORUNNER_SECRET_model_key@", "it's $HOME",
        image=noop_image,
        options=ContainerOptions(user="1000:1000"),
        secrets=(SecretSource("model_key", "env:MODEL_KEY"), SecretSource("env_NGC_KEY", "literal:ngc 'x'", "NGC_KEY")),
    )  # fmt: skip
    launch = make_launch()
    values = write_secrets(plan, launch.run_dir, {"MODEL_KEY": NASTY})
    assert values == (NASTY, "ngc 'x'")
    request = docker.request(plan, launch)
    handle = docker.submit(request).handle
    out, err = read(docker, handle)
    assert err == b""
    assert out.decode() == f"<-k><{NASTY}><encryption_key={NASTY}><it's $HOME>" + "{ngc 'x'}"
    seen = engine.docker("inspect", handle.id).stdout + repr(request) + docker.command_line(request)
    assert "ngc 'x'" not in seen and "a b'c" not in seen and "`id`" not in seen
    remove_secrets(launch.run_dir)
    assert not (launch.run_dir / "input" / "secrets").exists()


def test_the_printed_docker_line_does_the_same(
    docker: DockerBackend, make_plan: MakePlan, make_launch: Callable[..., Launch], noop_image: str, engine: Any,
    tmp_path: Path,
) -> None:  # fmt: skip
    folder = tmp_path / "da ta, 'x'"
    folder.mkdir()
    (folder / "file").write_text("content\n")
    plan = make_plan(
        "sh", "-c", 'cat /data/file; id -u; echo "$A|$1|$NVIDIA_VISIBLE_DEVICES"', "sh", "@TAORUNNER_SECRET_k@",
        image=noop_image, env={"A": "it's $5\nnew"}, mounts=(Mount(folder, "/data", True),),
        options=ContainerOptions(user="1000:1000", groups=(7,), shm_bytes=1 << 26),
        secrets=(SecretSource("k", "literal:the key"),),
    )  # fmt: skip
    launch = make_launch("0", "1")
    write_secrets(plan, launch.run_dir, {})
    line = docker.command_line(docker.request(plan, launch))
    assert "the key" not in line and shlex.split(line)[:2] == ["docker", "run"]
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("content\n1000\nit's $5\nnew|the key|0,1\n", "")
    handle = docker.find(launch.run_id, launch.run_dir)
    assert handle is not None
    docker.remove(handle)


def test_running_out_of_memory_is_reported(
    docker: DockerBackend,
    make_plan: MakePlan,
    make_launch: Callable[..., Launch],
    noop_image: str,
    engine: Any,
) -> None:
    launch = make_launch()
    label = f"com.taorunner.run={launch.run_id}"
    eat = "a=x; while :; do a=$a$a; done"
    engine.docker(
        "run", "--name", f"taorunner-{launch.run_id}", "--label", label, "--memory", "32m", "--memory-swap", "32m",
        noop_image, "sh", "-c", f"sh -c '{eat}'; exit 3",
    )  # fmt: skip
    handle = docker.find(launch.run_id, launch.run_dir)
    assert handle is not None
    status = docker.inspect([handle])[launch.run_id]
    assert (status.state, status.exit_code, status.oom_killed) == (EngineState.EXITED, 3, True)
    docker.remove(handle)


def test_a_daemon_restart_loses_and_doubles_nothing(
    own_engine: Any, make_plan: MakePlan, make_launch: Callable[..., Launch], monkeypatch: pytest.MonkeyPatch
) -> None:
    import images

    import rig

    image = images.noop_image(own_engine)
    for name, value in own_engine.environment().items():
        monkeypatch.setenv(name, value)
    backend = DockerBackend()
    launch = make_launch()
    count = "i=0; while [ $i -lt 40 ]; do i=$((i+1)); echo line $i; sleep 0.1; done"
    plan = make_plan("sh", "-c", count, image=image, options=ContainerOptions(network="none"))
    write_secrets(plan, launch.run_dir, {})
    handle = backend.submit(backend.request(plan, launch)).handle
    out = b""
    for chunk in backend.logs(handle, LogPosition()):
        out += chunk.data
        if out.endswith(b"line 5\n"):
            rig.restart(own_engine.home)
    assert backend.inspect([handle])[handle.run_id].state is EngineState.RUNNING
    assert 5 <= out.count(b"\n") < 40
    for chunk in backend.logs(handle, LogPosition(stdout=len(out))):
        out += chunk.data
    assert out.decode().splitlines() == [f"line {number}" for number in range(1, 41)]
    assert backend.inspect([handle])[handle.run_id].exit_code == 0


def test_check_names_the_engine(docker: DockerBackend, engine: Any) -> None:
    findings = docker.check()
    assert (findings[0].severity, findings[0].code) == (Severity.OK, "docker-engine")
    assert findings[0].message.endswith(f'answers at "{engine.url}"')


def test_check_without_an_engine_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    (finding,) = DockerBackend().check()
    assert (finding.severity, finding.code) == (Severity.ERROR, "docker-engine")
    assert finding.message == f'no docker engine answers at "unix://{tmp_path}/none.sock"'


def test_a_million_lines_are_followed_faster_than_they_can_be_written(
    docker: DockerBackend, make_plan: MakePlan, make_launch: Callable[..., Launch], noop_image: str
) -> None:
    launch = make_launch()
    plan = make_plan("emit", "300000", image=noop_image)
    write_secrets(plan, launch.run_dir, {})
    handle = docker.submit(docker.request(plan, launch)).handle
    lines = 0
    used = time.thread_time()
    for chunk in docker.logs(handle, LogPosition()):
        lines += chunk.data.count(b"\n")
    used = time.thread_time() - used
    assert lines == 300_000
    assert lines / used > 250_000
    docker.remove(handle)


def test_requests_differ_only_in_what_was_asked(
    make_plan: MakePlan, make_launch: Callable[..., Launch]
) -> None:
    launch = make_launch()
    one = DockerBackend().request(make_plan("a", image="x"), launch)
    assert DockerBackend().request(make_plan("b", image="x"), launch) == replace(
        one, argv=("b",), command=("b",)
    )


@pytest.mark.parametrize("lost", [0, 1, 50, 88, 89, 9000, 1_000_000])
def test_a_long_log_goes_on_where_it_was_left(
    docker: DockerBackend, make_plan: MakePlan, noop_image: str, run_to_end: RunToEnd, lost: int
) -> None:
    handle, status, out, _ = run_to_end(docker, make_plan("emit", "100000", image=noop_image))
    assert (status.state, len(out)) == (EngineState.EXITED, 8_800_000)
    seen = out[: len(out) - lost]
    tail = Tail(begins=True)
    for at in range(0, len(seen), 65536):
        tail.add(seen[at : at + 65536])
    position = LogPosition(len(seen), 0, {"stdout": tail.data})
    chunks = list(docker.logs(handle, position))
    assert b"".join(chunk.data for chunk in chunks) == out[len(seen) :]
    assert not any(chunk.unkept for chunk in chunks)
