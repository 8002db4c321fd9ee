"""An engine that preempts runs: the promises of its backend, and trainings that it requeues, on the command line."""

from __future__ import annotations

import json
import os
import queue
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli, end_what_runs, wait_for
from contract import Harness, Preemption, RequeueContract, installed, shell_harness
from killing import kill_supervisors

from taorunner.backends.contract import EngineState, Launch
from taorunner.backends.registry import load_backend
from taorunner.planning.model.plan import RunPlan
from taorunner.runs.supervisor.poller import Poller
from taorunner.runs.supervisor.worker import Ended, Launched, Message, Printed, Waits, Worker

SPOT = Path(__file__).with_name("spot")
SPEC = "train:\n  num_epochs: 3\n"
EXPERIMENTS = """\
tao_config:
  backend: spot
experiments:
  first: {head: dino, dataset: d, gpus: 0, env: {FAKE_EPOCH_S: '0.3', FAKE_STEPS: '2', FAKE_GATE: '1'}}
"""


def take(run_dir: Path, reason: str) -> None:
    folder = run_dir / "queue"
    folder.mkdir(exist_ok=True)
    (folder / "taken.new").write_text(reason)
    (folder / "taken.new").replace(folder / "taken")


def give(run_dir: Path) -> None:
    (run_dir / "queue" / "taken").unlink()


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of packages in which the backend is installed."""
    folder = tmp_path / "site"
    folder.mkdir()
    return installed(SPOT, folder)


@pytest.fixture
def spot(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(site))
    yield
    for name in [name for name in sys.modules if name.startswith("taorunner_spot")]:
        del sys.modules[name]


class TestSpot(RequeueContract):
    @pytest.fixture
    def harness(
        self, spot: None, make_plan: Callable[..., RunPlan], make_launch: Callable[[], Launch]
    ) -> Harness:
        made = shell_harness(lambda: load_backend("spot"), make_plan, make_launch, backend="spot")
        return replace(made, stays=make_plan("sh", "-c", "echo up; exec sleep 600", backend="spot"))

    @pytest.fixture
    def preemption(self) -> Preemption:
        return Preemption(take, give)


def test_a_worker_follows_every_launch_and_reads_each_byte_once(
    spot: None, make_plan: Callable[..., RunPlan], make_launch: Callable[[], Launch]
) -> None:
    """Three launches; each prints much and leaves its last line open. The last one ends by itself."""
    count = 'n=$(cat n 2>/dev/null || echo 0); n=$((n+1)); echo $n > n; seq -f "launch $n line %g" 20000; '
    script = count + 'printf "open $n"; touch printed.$n; [ $n = 3 ] || exec sleep 600'
    plan = make_plan("sh", "-c", script, backend="spot")
    backend, launch = load_backend("spot"), make_launch()
    inbox: queue.Queue[Message] = queue.Queue()
    worker = Worker(
        backend, plan, launch, inbox, lambda: (launch.run_dir / "input").mkdir(), statuses=Poller(backend)
    )
    worker.start()
    messages: list[Message] = []

    def receives(kind: type[Message], number: int) -> None:
        while sum(isinstance(message, kind) for message in messages) < number:
            messages.append(inbox.get(timeout=60))

    for number in (1, 2):
        receives(Launched, number)
        wait_for(lambda number=number: (plan.workspace / f"printed.{number}").exists())  # type: ignore[misc]
        take(launch.run_dir, f"Preempted {number}")
        receives(Waits, number)
        give(launch.run_dir)
    receives(Ended, 1)
    worker.join(100)
    expected = "".join(
        "".join(f"launch {number} line {line}\n" for line in range(1, 20001)) + f"open {number}"
        for number in (1, 2, 3)
    )
    printed = b"".join(message.data for message in messages if isinstance(message, Printed))
    assert printed.decode() == expected
    kinds = [type(message) for message in messages if not isinstance(message, Printed)]
    assert kinds[-6:] == [Launched, Waits, Launched, Waits, Launched, Ended]
    assert [message.reason for message in messages if isinstance(message, Waits)] == [
        "Preempted 1",
        "Preempted 2",
    ]
    last = messages[-1]
    assert isinstance(last, Ended) and last.status is not None
    assert (last.status.state, last.status.exit_code) == (EngineState.EXITED, 0)
    backend.remove(next(message for message in messages if isinstance(message, Launched)).started.handle)


@dataclass
class Training:
    """One detached run on the backend."""

    cli: Cli
    workspace: Path

    @property
    def run_dir(self) -> Path:
        (folder,) = self.workspace.glob(".taorunner/runs/*")
        return folder

    @property
    def record(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.run_dir / "record.json").read_text())
        return found

    def events(self, kind: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in (self.run_dir / "events.jsonl").read_text().splitlines()]
        return [event for event in lines if event["event"] == kind]

    def start(self, *options: str) -> None:
        done = self.cli("train", "first", "--detach", *options, cwd=self.workspace)
        assert done.code == 0, done.out + done.err

    def preempt(self, reason: str) -> None:
        """After the first epoch."""
        wait_for(lambda: any(event["completed"] for event in self.events("EpochProgress")))
        take(self.run_dir, reason)
        wait_for(lambda: self.record["state"] == "WAITING")
        (
            self.workspace / "projects/example_01/models/first/go"
        ).touch()  # from its second start on it goes on

    def kill_supervisor(self) -> None:
        assert kill_supervisors(self.workspace) == 1


@pytest.fixture
def training(
    tmp_path: Path,
    site: Path,
    tao_commands: Callable[..., dict[str, str]],
    workspace_factory: Callable[..., Path],
) -> Iterator[Training]:
    home = tmp_path / "home"
    home.mkdir()
    cli = Cli(home, {**tao_commands("pyt7"), "PYTHONPATH": str(site)})
    yield Training(cli, workspace_factory(EXPERIMENTS, specs={"first/train.yaml": SPEC}, data={"d/": ""}))
    end_what_runs(tmp_path)


def test_a_training_is_requeued_and_its_supervisor_killed_while_it_waits(training: Training) -> None:
    training.start()
    training.preempt("Preempted by job 7")
    outputs = {}
    for stream in ("stdout", "stderr"):
        outputs[stream] = training.workspace / f"kept.{stream}"
        os.link(training.run_dir / "process" / stream, outputs[stream])  # the folder goes with the run
    first_start = training.record["started_at"]
    (shown,) = training.cli("ps", "--json", cwd=training.workspace).json
    assert (shown["state"], shown["waiting"]) == ("WAITING", "Preempted by job 7")
    assert shown["started_at"] == first_start and shown["epoch"] is not None
    wide = training.cli("ps", cwd=training.workspace, env={"COLUMNS": "160"})
    assert "spot: Preempted by job 7" in wide.out

    training.kill_supervisor()
    (again,) = training.cli("ps", "--json", cwd=training.workspace).json  # starts another supervisor
    assert (again["state"], again["waiting"]) == ("WAITING", "Preempted by job 7")
    assert len(training.events("RunWaiting")) == 1
    give(training.run_dir)
    attached = training.cli("attach", "--json", cwd=training.workspace)
    assert attached.code == 0, attached.out + attached.err
    record = training.record
    assert (record["state"], record["started_at"], record["requeues"]) == ("SUCCEEDED", first_start, 1)
    starts = training.events("RunStarted")
    assert len(starts) == 2 and starts[0]["handle"] == starts[1]["handle"]
    printed = b"".join(file.read_bytes() for file in outputs.values())
    console = (training.run_dir / "console.log").read_bytes()
    ends = {ord("\n"), ord("\r")}  # a line that the preemption cut off is ended
    assert Counter(x for x in console if x not in ends) == Counter(x for x in printed if x not in ends)


def test_a_requeued_training_is_stopped(training: Training) -> None:
    training.start()
    training.preempt("Preempted by job 7")
    models = training.workspace / "projects/example_01/models/first"
    kept = sorted(path for path in models.rglob("*") if path.is_file())
    assert kept
    stopped = training.cli("stop", training.record["id"], cwd=training.workspace)
    assert stopped.code == 0, stopped.out + stopped.err
    wait_for(lambda: training.record["state"] == "STOPPED")
    record = training.record
    assert record["reason"] == "stopped while it waited to be started again"
    assert record["started_at"] is not None
    assert sorted(path for path in models.rglob("*") if path.is_file()) == kept
    wait_for(lambda: not (training.run_dir / "process").exists())
