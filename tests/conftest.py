"""Fixtures every room may use: a real Docker engine, TAO's stand-in, a registry with a password, a fake NVML.

The engine is private and shared by all workers of one test run; it starts when the first test asks and ends with
the run, also when the run is killed. Where none can be had (no root, no dockerd) its tests are skipped with the
reason; with ``CI=true`` such a skip is a failure. The same holds for the Slurm cluster (``tests/rig/slurm_cluster``). ``TAORUNNER_TEST_DOCKER_HOST`` names an engine to use instead.
"""

from __future__ import annotations

import base64
import functools
import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import images
import podman_rig
import private_daemon
import pytest
import slurm_rig
from hypothesis import HealthCheck, settings

import rig
import taorunner.catalog.load
import taorunner.project.schema
from taorunner.project.models import file_schema
from taorunner.yaml_reader import YamlDocument, read_yaml

HERE = Path(__file__).resolve().parent
pytest_plugins = [
    "selection",
    "people",
    "launches",
    "clusters",
    "kube_cluster",
    "podman_engines",
]  # options of a run; fixtures of tests/cli, tests/backends, tests/rig/slurm_cluster, kubernetes and podman

SEED_VARIABLE = "TAORUNNER_FAULT_SEED"
RIG_VARIABLE = "TAORUNNER_TEST_RIG"  # set by the process that was started, read by its xdist workers
ENGINE_FIXTURES = {
    "kubernetes",
    "engine",
    "own_engine",
    "noop_image",
    "tao_image",
    "registry",
    "small_engine",
    "podman",
    "own_podman",
}
MEMORY, MEMORY_NEEDED_BYTES = "/dev/shm", 4 << 30

_KEPT = pytest.StashKey["Kept"]()
_OWN_FOLDER = pytest.StashKey[Path]()
"""The folder of temporary files of one run. pytest's usual one is shared by all runs of a user, and each start closes it
to other users (``TempPathFactory.getbasetemp``), while tests of another run are using it as such a user."""


@pytest.hookimpl(tryfirst=True)  # before pytest reads the option for its temporary folders
def pytest_configure(config: pytest.Config) -> None:
    catch_what_is_ignored()
    # how fast an example is depends on the load; hypothesis itself asks for no speed where CI is set
    settings.register_profile(
        "any load", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("any load")
    config.stash[_KEPT] = Kept()
    if not hasattr(config, "workerinput"):
        os.environ[RIG_VARIABLE] = f"{os.getpid()}:/tmp/taor-{secrets.token_hex(4)}"
        os.environ["TAORUNNER_LEASES"] = (
            f"/tmp/taor-leases-{secrets.token_hex(4)}"  # not those of this machine
        )
    if config.option.basetemp is None and not hasattr(config, "workerinput"):
        config.option.basetemp = tempfile.mkdtemp(prefix="taorunner-tests-", dir=fast_folder())
        config.stash[_OWN_FOLDER] = Path(config.option.basetemp)


def fast_folder() -> str | None:
    """A folder in memory, where that can be had and TMPDIR names no other: tests make half a million small files, each
    of which takes twenty times as long on a disk with a journal. The files of a test are removed when it has passed.
    """
    try:
        about = os.statvfs(MEMORY)
    except OSError:
        return None
    is_fit = (
        "TMPDIR" not in os.environ
        and about.f_bavail * about.f_frsize >= MEMORY_NEEDED_BYTES
        and not about.f_flag & os.ST_NOEXEC
        and os.access(MEMORY, os.W_OK)
    )
    return MEMORY if is_fit else None


def catch_what_is_ignored() -> None:
    """A shell without job control starts what runs in the background with SIGINT and SIGQUIT ignored, nohup does so
    with SIGHUP, and a program that is started inherits that. A signal that is caught is not inherited: programs under
    test start as in a terminal, and this process goes on as if it ignored the signal.

    Source: POSIX, Shell Command Language, 2.12 (asynchronous lists); execve(2).
    """
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


@pytest.fixture(scope="session", autouse=True)
def read_and_made_once(pytestconfig: pytest.Config) -> Iterator[None]:
    """At the end, what was kept for all tests of a worker is compared with new ones: a change to it would have been seen
    by other tests."""
    yield
    kept = pytestconfig.stash[_KEPT]
    assert [text for text in kept.texts if kept.parsed(text).value != kept.read_yaml(text).value] == []
    assert kept.described() == file_schema()


class Kept:
    """What thousands of projects and plans are made of, and what is always the same: each text of the catalog once it is
    parsed, and the types of experiments.yml as a schema. Modules of tests read the catalog when they are collected."""

    def __init__(self) -> None:
        self.read_yaml = read_yaml
        self.parsed, self.described = functools.cache(read_yaml), functools.cache(file_schema)
        self.texts: set[str] = set()
        taorunner.catalog.load.read_yaml = self._parse
        taorunner.project.schema.file_schema = self.described

    def _parse(self, text: str) -> YamlDocument:
        self.texts.add(text)
        return self.parsed(text)


@pytest.fixture
def seed() -> int:
    """The seed of a test with random faults: that in TAORUNNER_FAULT_SEED, else a new one. Printed before the test."""
    given = os.environ.get(SEED_VARIABLE, "")
    chosen = int(given) if given else random.SystemRandom().randrange(1, 1 << 30)
    print(f"to repeat: {SEED_VARIABLE}={chosen}")
    return chosen


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Removes the temporary files of a run without failures."""
    folder = session.config.stash.get(_OWN_FOLDER, None)
    if folder is not None and exitstatus == 0:
        shutil.rmtree(folder, ignore_errors=True)


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and RIG_VARIABLE in os.environ:
        home = rig_place()[1]
        rig.down(slurm_rig.home_beside(home))
        for uid in podman_rig.UIDS:
            rig.down(podman_rig.home_beside(home, uid))
        rig.down(home)
        shutil.rmtree(os.environ["TAORUNNER_LEASES"], ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if ENGINE_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.engine)
        if slurm_rig.FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slurm)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """In CI nothing of the engine or the cluster may be skipped."""
    report: Any = yield
    if (
        report.skipped
        and not hasattr(report, "wasxfail")
        and os.environ.get("CI") == "true"
        and (item.get_closest_marker("engine") or item.get_closest_marker("slurm"))
    ):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"a test of an engine or a cluster may not be skipped in CI: {reason}"
    return report


def unavailable(reason: str) -> NoReturn:
    """Skips the test; in CI fails it."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"may not be skipped in CI: {reason}", pytrace=False)
    pytest.skip(reason)


def rig_place() -> tuple[int, Path]:
    """The process the engine of this test run belongs to, and the engine's home."""
    owner, _, home = os.environ[RIG_VARIABLE].partition(":")
    return int(owner), Path(home)


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> rig.Engine:
    """A Docker engine to do anything with: ``.url``, ``.environment()``, ``.docker(*args)``."""
    given = os.environ.get("TAORUNNER_TEST_DOCKER_HOST")
    if given:
        found = rig.Engine(given, tmp_path_factory.mktemp("engine"), is_private=False)
        answer = found.docker("version", timeout_s=20)
        if answer.returncode:
            unavailable(f"TAORUNNER_TEST_DOCKER_HOST={given}: {answer.stderr.strip()}")
        return found
    owner, home = rig_place()
    try:
        return rig.up(home, owner)
    except private_daemon.RigError as error:
        unavailable(str(error))


@pytest.fixture
def own_engine() -> Iterator[rig.Engine]:
    """An engine of this test alone, whose containers outlive the daemon: to kill and restart it."""
    home = Path(f"/tmp/taor-{secrets.token_hex(4)}")
    try:
        yield rig.up(home, os.getpid(), live_restore=True)
    except private_daemon.RigError as error:
        unavailable(str(error))
    finally:
        rig.down(home)


@pytest.fixture(scope="session")
def noop_image(engine: rig.Engine) -> str:
    """Tag of an image with busybox, ``noop`` (does nothing) and ``emit N`` (N numbered lines of 88 bytes)."""
    return images.noop_image(engine)


@pytest.fixture
def own_tag(engine: rig.Engine) -> Iterator[Callable[[str], str]]:
    """``own_tag(image)`` gives an image a name that this test alone uses, so that its containers can be found by it.

    Tests of other workers have the same engine, and run containers of the same images at the same time.
    """
    made: list[str] = []

    def tag(image: str) -> str:
        made.append(f"taorunner-test/own-{secrets.token_hex(4)}:1")
        engine.docker("tag", image, made[-1])
        return made[-1]

    yield tag
    if made:
        engine.docker("rmi", *made)


@pytest.fixture(scope="session")
def tao_image(engine: rig.Engine) -> Callable[..., str]:
    """``tao_image("pyt7")`` gives the tag of TAO's stand-in of that generation (``images.GENERATIONS``)."""

    def build(kind: str = "pyt7") -> str:
        return images.tao_image(engine, kind)

    return build


@pytest.fixture(scope="session")
def tao_commands(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, str]]:
    """``tao_commands("pyt7", gpus=2)`` gives PATH and more with which TAO's commands are programs of this host."""
    folder = images.host_commands(tmp_path_factory.mktemp("tao") / "bin")

    def environment(kind: str = "pyt7", gpus: int = 1) -> dict[str, str]:
        return {
            "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
            "TAO_FAKE_GENERATION": images.generation_of(kind),
            "FAKE_GPUS": str(gpus),
        }

    return environment


@dataclass(frozen=True)
class Registry:
    """A registry on loopback that wants a password for everything."""

    engine: rig.Engine
    address: str
    user: str
    password: str

    def push(self, tag: str, name: str) -> str:
        """Puts a local image into the registry as ``name`` (``nvidia/tao/tao-toolkit:7.0.1-pyt``) and forgets the
        local tag. Gives the reference to pull."""
        reference = f"{self.address}/{name}"
        config = self.credentials(self.engine.home / f"push-{secrets.token_hex(4)}")
        images.checked(self.engine, "tag", tag, reference)
        images.checked(self.engine, "--config", str(config), "push", "--quiet", reference)
        images.checked(self.engine, "rmi", reference)
        return reference

    def credentials(self, folder: Path) -> Path:
        """A DOCKER_CONFIG folder that is logged in here."""
        folder.mkdir(parents=True, exist_ok=True)
        token = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        (folder / "config.json").write_text(json.dumps({"auths": {self.address: {"auth": token}}}))
        return folder


@pytest.fixture(scope="session")
def docker_compose_file() -> str:
    return str(HERE / "rig" / "registry" / "docker-compose.yml")


@pytest.fixture(scope="session")
def compose_version(engine: rig.Engine) -> int:
    """2 for ``docker compose``, 1 for Debian's older docker-compose."""
    if engine.docker("compose", "version").returncode == 0:
        return 2
    try:
        shown = subprocess.run(
            ["docker-compose", "version", "--short"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        unavailable(f"docker-compose: {error}")
    return int(shown.stdout.strip().lstrip("v").split(".")[0])


@pytest.fixture(scope="session")
def docker_compose_command(engine: rig.Engine) -> str:
    """Compose on the engine of this test run, with the image of the registry."""
    environment = {**engine.environment(), "REGISTRY_IMAGE": images.registry_image(engine)}
    program = "docker compose" if engine.docker("compose", "version").returncode == 0 else "docker-compose"
    return " ".join(["env", *(f"'{key}={value}'" for key, value in environment.items()), program])


@pytest.fixture(scope="session")
def docker_setup(compose_version: int) -> list[str]:
    return ["up --build --wait"] if compose_version > 1 else ["up --build -d"]


@pytest.fixture(scope="session")
def docker_ip() -> str:
    return "127.0.0.1"


@pytest.fixture(scope="session")
def registry(engine: rig.Engine, docker_services: Any) -> Registry:
    """A registry the engine can pull from, with ``.address``, ``.user``, ``.password``, ``.push(tag, name)``."""
    address = f"127.0.0.1:{docker_services.port_for('registry', 5000)}"
    docker_services.wait_until_responsive(lambda: wants_password(address), timeout=100, pause=0.05)
    return Registry(engine, address, images.REGISTRY_USER, images.REGISTRY_PASSWORD)


def wants_password(address: str) -> bool:
    try:
        urllib.request.urlopen(f"http://{address}/v2/", timeout=2).close()
    except urllib.error.HTTPError as error:
        error.close()
        return error.code == 401
    except OSError:
        return False
    return False


@pytest.fixture(scope="session")
def fake_nvml(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, str]]:
    """``fake_nvml(2)`` gives the environment in which a process sees two GPUs through NVML.

    ``fake_nvml(2, used_mib=[70000, 0], load=[98, 0])`` makes the first busy, ``processes={0: {4711: 512}}`` says by
    whom (pid: MiB); ``lacks=["load"]`` is a query that is not supported, ``init_rc=9`` a driver that is not loaded.
    """
    folder = tmp_path_factory.mktemp("nvml")
    command = ["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-Wl,-soname,libnvidia-ml.so.1"]
    try:
        built = subprocess.run(
            [*command, "-o", str(folder / "libnvidia-ml.so.1"), str(HERE / "rig" / "fake_nvml.c")],
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        unavailable("no gcc to build the fake NVML")
    if built.returncode:
        unavailable(f"gcc cannot build the fake NVML: {built.stderr.strip()}")

    def environment(
        count: int = 1,
        *,
        name: str = "NVIDIA H100 80GB HBM3",
        total_mib: int = 81559,
        used_mib: Sequence[int] = (),
        load: Sequence[int] = (),
        processes: Mapping[int, Mapping[int, int]] | None = None,
        lacks: Sequence[str] = (),
        driver: str | None = None,
        init_rc: int | None = None,
    ) -> dict[str, str]:
        used = [*used_mib, *[0] * count]
        loads = [*load, *[0] * count]
        gpus = [f"{name}:{total_mib}:{used[i]}:{loads[i]}" for i in range(count)]
        for index, owners in (processes or {}).items():
            gpus[index] += ":" + ",".join(f"{pid}={mib}" for pid, mib in owners.items())
        result = {"LD_LIBRARY_PATH": str(folder), "FAKE_NVML": ";".join(gpus)}
        if lacks:
            result["FAKE_NVML_LACKS"] = ",".join(lacks)
        if driver is not None:
            result["FAKE_NVML_DRIVER"] = driver
        if init_rc is not None:
            result["FAKE_NVML_INIT_RC"] = str(init_rc)
        return result

    return environment


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """``mount("size=2m")`` gives a file system of its own, in memory, at ``at``. Only root can mount one."""
    mounted: list[Path] = []

    def make(options: str, at: Path | None = None) -> Path:
        folder = at or tmp_path / f"disk-{len(mounted)}"
        folder.mkdir(exist_ok=at is not None)
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no file system can be mounted: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def small_disk(mount: Callable[..., Path]) -> Path:
    """A file system of 2 MB."""
    return mount("size=2m")


@pytest.fixture
def workspace_factory(tmp_path: Path) -> Callable[..., Path]:
    """Writes a workspace with one project and gives its root; a second call adds a project to it.

    ``workspace_factory("experiments: …", specs={"e1/train.txt": "…"}, data={"kitti/labels/0.txt": "…", "empty/": ""},
    models={"e1/weights/m.hdf5": ""}, repositories={"r/r_vresnet18/w.hdf5": ""}, files={".tao_mounts.json": "…"})``.
    ``experiments`` may be a dict, written as JSON, which YAML is. A path that ends with ``/`` is a folder.
    """
    root = tmp_path / "workspace"

    def write(
        experiments: str | Mapping[str, Any],
        *,
        project: str = "example_01",
        specs: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        models: Mapping[str, str] | None = None,
        repositories: Mapping[str, str] | None = None,
        files: Mapping[str, str] | None = None,
    ) -> Path:
        home = root / "projects" / project
        for folder in (home / "data", home / "models", home / "specs", root / "repositories"):
            folder.mkdir(parents=True, exist_ok=True)
        text = experiments if isinstance(experiments, str) else json.dumps(experiments, indent=2)
        (home / "experiments.yml").write_text(text)
        groups = {"data": data, "models": models, "specs": specs}
        for place, group in [
            *((home / name, group) for name, group in groups.items()),
            (root / "repositories", repositories),
        ]:
            write_files(place, group or {})
        write_files(root, files or {})
        return root

    return write


def write_files(folder: Path, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        path = folder / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
