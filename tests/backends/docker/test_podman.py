"""Podman keeps the promises of a backend, of root and rootless, and gives GPUs and results to whom they belong."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import images
import pytest
from contract import BackendContract, Harness, ended, output, shell_harness
from podman_rig import CALLER, PodmanEngine

import rig
from taorunner.backends.contract import Handle, Launch, LogPosition
from taorunner.backends.docker.backend import DockerBackend
from taorunner.backends.secrets import write_secrets
from taorunner.container_options import ContainerOptions, ContainerSettings, Mount
from taorunner.engine import containers
from taorunner.engine.client import connect
from taorunner.errors import TaorunnerError
from taorunner.planning.model.plan import Resources, RunPlan


@pytest.fixture
def podman_backend(
    podman: PodmanEngine, given_to: Callable[[int], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[DockerBackend]:
    """The backend; containers that a test leaves behind are removed."""
    given_to(podman.uid)
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    for name, value in podman.environment().items():
        monkeypatch.setenv(name, value)
    yield DockerBackend()
    found = podman.docker("ps", "-aq", "--filter", f"label=com.taorunner.workspace={tmp_path}").stdout.split()
    if found:
        podman.docker("rm", "-f", "--time=0", *found)


class TestPodman(BackendContract):
    @pytest.fixture
    def harness(
        self,
        podman: PodmanEngine,
        podman_backend: DockerBackend,
        make_plan: Callable[..., RunPlan],
        make_launch: Callable[[], Launch],
    ) -> Harness:
        return shell_harness(DockerBackend, make_plan, make_launch, image=images.noop_image(podman))


@pytest.fixture
def plan_of(
    podman: PodmanEngine, make_plan: Callable[..., RunPlan], tmp_path: Path
) -> Callable[..., RunPlan]:
    """A plan for a shell script, with this test's folder at /results."""

    def make(script: str, **fields: object) -> RunPlan:
        mounts = (Mount(tmp_path, "/results"),)
        return make_plan("sh", "-c", script, image=images.noop_image(podman), mounts=mounts, **fields)

    return make


def submitted(backend: DockerBackend, plan: RunPlan, launch: Launch) -> Handle:
    write_secrets(plan, launch.run_dir, os.environ)
    return backend.submit(backend.request(plan, launch)).handle


def says(backend: DockerBackend, plan: RunPlan, launch: Launch) -> tuple[str, int | None]:
    """All that the run prints, and its exit code."""
    handle = submitted(backend, plan, launch)
    printed = output(backend, handle)
    code = ended(backend, handle).exit_code
    backend.remove(handle)
    return (printed["stdout"] + printed["stderr"]).decode(), code


def test_a_run_has_the_gpus_it_was_given_and_no_others(
    podman: PodmanEngine,
    podman_backend: DockerBackend,
    plan_of: Callable[..., RunPlan],
    make_launch: Callable[..., Launch],
) -> None:
    plan = plan_of(f"[ ! -e {podman.home}/dev ] || ls {podman.home}/dev; echo $NVIDIA_VISIBLE_DEVICES")
    assert says(podman_backend, plan, make_launch("1")) == ("nvidia1\n1\n", 0)
    assert says(podman_backend, plan, make_launch()) == ("\n", 0)


def test_gpus_that_are_not_described_are_refused(
    podman_backend: DockerBackend, plan_of: Callable[..., RunPlan], make_launch: Callable[..., Launch]
) -> None:
    launch = make_launch("7")
    with pytest.raises(TaorunnerError, match='there is no GPU "7"') as refused:
        submitted(podman_backend, plan_of("true"), launch)
    assert refused.value.hint is not None and "nvidia-ctk cdi" in refused.value.hint
    assert podman_backend.find(launch.run_id, launch.run_dir) is None


@pytest.mark.parametrize("user", [None, "0:0", f"{CALLER}:{CALLER}", "1000:1001"])
def test_results_belong_to_the_caller(
    user: str | None,
    podman: PodmanEngine,
    podman_backend: DockerBackend,
    plan_of: Callable[..., RunPlan],
    make_launch: Callable[..., Launch],
    tmp_path: Path,
) -> None:
    tmp_path.chmod(0o777)
    options = ContainerOptions(user=user, groups=(44, 70_000))
    plan = plan_of("id -u; echo x >/results/made", options=options)
    inside = int((user or "0").partition(":")[0])
    assert says(podman_backend, plan, make_launch()) == (f"{inside}\n", 0)
    assert (tmp_path / "made").stat().st_uid == (podman.uid or inside)


def test_a_user_by_name_is_refused_where_it_would_be_somebody_else(
    podman: PodmanEngine,
    podman_backend: DockerBackend,
    plan_of: Callable[..., RunPlan],
    make_launch: Callable[..., Launch],
) -> None:
    plan = plan_of("true", options=ContainerOptions(user="ubuntu"))
    expected = 'whose files "ubuntu" would write' if podman.uid else 'has no user "ubuntu"'
    with pytest.raises(TaorunnerError, match=expected):
        submitted(podman_backend, plan, make_launch())


def test_unfinished_lines_and_every_byte_are_in_the_log(
    podman_backend: DockerBackend, plan_of: Callable[..., RunPlan], make_launch: Callable[..., Launch]
) -> None:
    script = r"printf 'epoch 1\repoch 2\r'; sleep 600"
    handle = submitted(podman_backend, plan_of(script), make_launch())
    stream = podman_backend.logs(handle, LogPosition())
    assert next(iter(stream)).data == b"epoch 1\repoch 2\r"
    stream.close()
    podman_backend.remove(handle)
    whole = plan_of(r"head -c 40000 /dev/zero | tr '\0' x; printf '\377\303\ná\000end'")
    handle = submitted(podman_backend, whole, make_launch())
    expected = b"x" * 40_000 + b"\xff\xc3\n" + "á".encode() + b"\0end"
    for backend in (podman_backend, DockerBackend()):
        assert output(backend, handle) == {"stdout": expected, "stderr": b""}
        ended(backend, handle)
        position = LogPosition(30_000, tails={"stdout": b"x" * 30_000})
        assert output(backend, handle, position)["stdout"] == expected[30_000:]
    podman_backend.remove(handle)


def test_limits_hold_or_are_refused(
    podman: PodmanEngine,
    podman_backend: DockerBackend,
    plan_of: Callable[..., RunPlan],
    make_launch: Callable[..., Launch],
) -> None:
    plan = plan_of(
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null",
        resources=Resources(cpus=1, memory_bytes=256 << 20),
    )
    launch = make_launch()
    version_1 = not Path("/sys/fs/cgroup/cgroup.controllers").exists()
    if podman.uid and version_1:
        with pytest.raises(TaorunnerError, match="does not apply limits of CPUs and memory here"):
            submitted(podman_backend, plan, launch)
        assert podman_backend.find(launch.run_id, launch.run_dir) is None
    else:
        assert says(podman_backend, plan, launch)[0] == f"{256 << 20}\n"


def test_what_is_missing_is_named(
    podman_backend: DockerBackend,
    plan_of: Callable[..., RunPlan],
    make_plan: Callable[..., RunPlan],
    make_launch: Callable[..., Launch],
    tmp_path: Path,
) -> None:
    good = plan_of("true")
    refused = {
        'the image "localhost/nope:1" does not exist': make_plan("sh", image="localhost/nope:1"),
        'the folder "/nowhere/data" to mount does not exist': replace(
            good, mounts=(Mount(Path("/nowhere/data"), "/data"),)
        ),
        'two folders have the same destination "/results"': replace(
            good, mounts=(*good.mounts, Mount(tmp_path, "/results"))
        ),
        'there is no limit "nosuch"': replace(good, options=ContainerOptions(ulimits={"nosuch": 1})),
        'the engine has no network "nosuch"': replace(good, options=ContainerOptions(network="nosuch")),
    }
    for text, plan in refused.items():
        launch = make_launch()
        with pytest.raises(TaorunnerError) as found:
            submitted(podman_backend, plan, launch)
        assert text in found.value.message, text
        assert found.value.hint, text
        assert podman_backend.find(launch.run_id, launch.run_dir) is None
    elsewhere = replace(good, argv=("pwd",), options=ContainerOptions(workdir="/new/folder"))
    assert says(podman_backend, elsewhere, make_launch()) == ("/new/folder\n", 0)  # made, as docker does


def test_a_container_of_a_single_command_is_read_to_its_end(podman: PodmanEngine) -> None:
    """As ``image test`` and ``networks sync`` do."""
    engine = connect(podman.environment())
    script = "echo one; echo two >&2; i=0; while [ $i -lt 300 ]; do echo $i; i=$((i+1)); done; printf '\\377'"
    name = f"single-{os.getpid()}"
    settings = ContainerSettings(name, images.noop_image(podman), ("sh", "-c", script))
    container = containers.create(engine, settings)
    assert container is not None
    try:
        live = containers.attach(engine, container)
        containers.start(engine, container)
        said = {"stdout": b"", "stderr": b""}
        for stream, data in containers.output_to_the_end(engine, container, live):
            said[stream] += data
        numbers = b"".join(b"%d\n" % number for number in range(300))
        assert said == {"stdout": b"one\n" + numbers + b"\xff", "stderr": b"two\n"}
    finally:
        containers.remove(engine, container)
        engine.api.close()


def test_the_printed_command_does_the_same(
    podman: PodmanEngine,
    podman_backend: DockerBackend,
    plan_of: Callable[..., RunPlan],
    make_launch: Callable[..., Launch],
    tmp_path: Path,
) -> None:
    tmp_path.chmod(0o777)
    options = ContainerOptions(user="1000:1001", ulimits={"memlock": -1})
    plan = plan_of("id -u; echo $NVIDIA_VISIBLE_DEVICES; echo x >/results/made", options=options)
    launch = make_launch("1")
    write_secrets(plan, launch.run_dir, os.environ)
    podman_backend.prepare(plan, lambda _: None)
    program, *words = shlex.split(podman_backend.command_line(podman_backend.request(plan, launch)))
    done = podman.docker(*words)
    assert (program, done.returncode, done.stdout) == ("podman", 0, "1000\n1\n"), done.stderr
    assert (tmp_path / "made").stat().st_uid == (podman.uid or 1000)


def test_a_dead_service_harms_no_run(
    own_podman: PodmanEngine,
    given_to: Callable[[int], None],
    make_plan: Callable[..., RunPlan],
    make_launch: Callable[..., Launch],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Podman has no daemon: what answers is a service that anybody may end. Containers go on, each with its conmon."""
    given_to(own_podman.uid)
    for name, value in own_podman.environment().items():
        monkeypatch.setenv(name, value)
    backend, image = DockerBackend(), images.noop_image(own_podman)
    count = "i=0; while [ $i -lt 40 ]; do echo line $i; sleep 0.1; i=$((i+1)); done; exit 5"
    long = submitted(backend, make_plan("sh", "-c", count, image=image), make_launch())
    stream = iter(backend.logs(long, LogPosition()))
    seen = next(stream).data
    short = make_plan("sh", "-c", "sleep 0.3; echo done; exit 7", image=image)
    brief = submitted(backend, short, make_launch())
    rig.restart(own_podman.home)
    seen += b"".join(chunk.data for chunk in stream)
    assert len(seen.splitlines()) < 40
    rest = output(backend, long, LogPosition(len(seen), tails={"stdout": seen}))["stdout"]
    assert (seen + rest).decode().splitlines() == [f"line {number}" for number in range(40)]
    assert ended(backend, long).exit_code == 5
    assert (ended(backend, brief).exit_code, output(backend, brief)["stdout"]) == (7, b"done\n")
    for handle in (long, brief):
        backend.remove(handle)
