"""The example backend, as a package beside taorunner: the promises of a backend, and a training on the command line."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_line import Cli, end_what_runs
from contract import BackendContract, Harness, ended, installed, shell_harness

from taorunner.backends.contract import Launch, LogPosition
from taorunner.backends.registry import load_backend
from taorunner.planning.model.plan import Resources, RunPlan
from taorunner.target_names import target_names

NICE = Path(__file__).resolve().parents[2] / "examples" / "backends" / "nice"
SPEC = "train:\n  num_epochs: 2\n"
EXPERIMENTS = """\
tao_config:
  backend: nice
  backend_options: {{niceness: {niceness}}}
experiments:
  first: {{head: dino, dataset: d, gpus: 0, env: {{FAKE_EPOCH_S: '0.1', FAKE_STEPS: '2'}}}}
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of packages in which the backend is installed."""
    folder = tmp_path / "site"
    folder.mkdir()
    return installed(NICE, folder)


@pytest.fixture
def cli(tmp_path: Path, site: Path, tao_commands: Callable[..., dict[str, str]]) -> Iterator[Cli]:
    home = tmp_path / "home"
    home.mkdir()
    yield Cli(home, {**tao_commands("pyt7"), "PYTHONPATH": str(site)})
    end_what_runs(tmp_path)


class TestNice(BackendContract):
    @pytest.fixture
    def harness(
        self,
        site: Path,
        monkeypatch: pytest.MonkeyPatch,
        make_plan: Callable[..., RunPlan],
        make_launch: Callable[[], Launch],
    ) -> Iterator[Harness]:
        monkeypatch.syspath_prepend(str(site))
        options = {"niceness": 3}
        yield shell_harness(
            lambda: load_backend("nice"), make_plan, make_launch, backend="nice", backend_options=options
        )
        for name in [name for name in sys.modules if name.startswith("taorunner_nice")]:
            del sys.modules[name]

    def test_the_setting_reaches_the_process(
        self, harness: Harness, make_plan: Callable[..., RunPlan]
    ) -> None:
        backend = harness.make()
        for options, niceness in (({"niceness": 3}, 3), ({}, 10)):
            plan = make_plan("nice", backend="nice", backend_options=options)  # prints its own niceness
            handle = harness.start(backend, plan)
            (chunk,) = backend.logs(handle, LogPosition())
            assert int(chunk.data) == min(19, os.nice(0) + niceness)
            backend.remove(handle)

    def test_a_time_limit_ends_the_process(self, harness: Harness, make_plan: Callable[..., RunPlan]) -> None:
        backend = harness.make()
        plan = make_plan("sleep", "600", backend="nice", resources=Resources(time_s=1))
        handle = harness.start(backend, plan)
        assert ended(backend, handle).exit_code == 124  # of the command timeout
        backend.remove(handle)


def write(workspace_factory: Callable[..., Path], niceness: object) -> Path:
    return workspace_factory(
        EXPERIMENTS.format(niceness=niceness), specs={"first/train.yaml": SPEC}, data={"d/": ""}
    )


def test_it_trains(cli: Cli, workspace_factory: Callable[..., Path]) -> None:
    workspace = write(workspace_factory, 7)
    checked = cli("validate", cwd=workspace)
    assert checked.code == 0, checked.out + checked.err
    done = cli("train", "first", "--json", cwd=workspace)
    assert done.code == 0, done.out + done.err
    (file,) = workspace.glob(".taorunner/runs/*/record.json")
    record = json.loads(file.read_text())
    assert (record["state"], record["backend"]) == ("SUCCEEDED", "nice")
    plan = json.loads((file.parent / "plan.json").read_text())
    assert plan["backend_options"] == {"niceness": 7}
    assert RunPlan.from_json(plan).backend_options == {"niceness": 7}


def test_a_dry_run_shows_its_request(cli: Cli, workspace_factory: Callable[..., Path]) -> None:
    workspace = write(workspace_factory, 7)
    done = cli("train", "first", "--dry-run", "--json", cwd=workspace)
    assert done.code == 0, done.err
    (shown,) = done.json
    assert (shown["backend"], shown["image"], shown["docker_run"]) == ("nice", None, None)
    assert [shown[key] for key in ("nodes", "cpus", "memory_bytes", "time_s")] == [1, None, None, None]
    line = cli("train", "first", "--dry-run", cwd=workspace).out.splitlines()[-1]
    assert " nice -n 7 dino train " in line


def test_its_time_limit_reaches_the_command(cli: Cli, workspace_factory: Callable[..., Path]) -> None:
    workspace = write(workspace_factory, 7)
    done = cli("train", "first", "--dry-run", "--time", "12:00:00", cwd=workspace)
    assert (done.code, done.err) == (0, "nothing was started\n")
    assert "time       12h 00m" in done.out.splitlines()
    assert " timeout --signal=TERM --kill-after=30 43200 nice -n 7 dino train " in done.out.splitlines()[-1]
    refused = cli("train", "first", "--dry-run", "--time", "12:00", cwd=workspace)
    assert (refused.code, "time must be a text such as 12:00:00" in refused.err) == (2, True)
    ignored = cli(
        "train", "first", "--dry-run", "--cpus", "2", "--memory", "8G", "--nodes", "1", cwd=workspace
    )
    assert ignored.code == 0
    assert 'the backend "nice" does not limit the CPUs: "cpus" is ignored' in ignored.err
    several = cli("train", "first", "--dry-run", "--nodes", "2", cwd=workspace)
    assert (several.code, 'the backend "nice" runs on one node, not on 2' in several.err) == (2, True)


@pytest.mark.parametrize(
    ("niceness", "said"),
    [
        (20, '"backend_options.niceness" must be a whole number from 0 to 19, not the number 20'),
        ("high", '"backend_options.niceness" must be a whole number from 0 to 19, not "high"'),
        ("7, nicenes: 1", 'the backend "nice" has no setting "nicenes"'),
    ],
)
def test_a_wrong_setting_is_found_at_its_line(
    cli: Cli, workspace_factory: Callable[..., Path], niceness: object, said: str
) -> None:
    workspace = write(workspace_factory, niceness)
    for command in (("validate", "--json"), ("train", "first")):
        done = cli(*command, cwd=workspace)
        assert done.code == 3
        assert said in (done.out + done.err).replace('\\"', '"').replace("\n", " ")
    (finding,) = cli("validate", "--json", cwd=workspace).json
    assert finding["line"] == 3 and finding["column"] > 3


def test_it_can_be_named_on_the_command_line_and_completed(
    cli: Cli, workspace_factory: Callable[..., Path]
) -> None:
    workspace = write(workspace_factory, 7)
    env = {
        "_TAORUNNER_COMPLETE": "complete_bash",
        "COMP_WORDS": "taorunner train --backend n",
        "COMP_CWORD": "3",
    }
    assert cli(cwd=workspace, env=env).out.split() == ["nice"]
    schema = cli("schema", cwd=workspace).json
    for part in ("ExperimentEntry", "TaoConfig"):
        assert schema["$defs"][part]["properties"]["backend"]["enum"] == [
            "docker",
            "local",
            "embedded",
            "slurm",
            "kubernetes",
            "docker-ssh",
            "nice",
        ]
    typed = cli("train", "first", "--backend", "nic", cwd=workspace)
    assert (typed.code, 'did you mean "nice"?' in typed.err) == (2, True)


def test_without_its_package_the_name_is_wrong(
    workspace_factory: Callable[..., Path], tmp_path: Path
) -> None:
    assert "nice" not in target_names()
    (tmp_path / "home").mkdir()
    done = Cli(tmp_path / "home")("validate", cwd=write(workspace_factory, 7))
    assert done.code == 3
    assert (
        '"backend" must be docker, local, embedded, slurm, kubernetes or docker-ssh, not "nice"' in done.out
    )
