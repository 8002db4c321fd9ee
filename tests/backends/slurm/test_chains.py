"""Jobs that follow a job of their chain: the model that they read is chosen when they begin, by its name alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from slurm_rig import Cluster
from slurm_runs import SlurmRuns

from taorunner.backends.contract import ChosenModel, EngineState, Follows, Handle, Launch
from taorunner.backends.slurm.folder import Folder
from taorunner.errors import EngineRefusedError
from taorunner.planning.model.plan import Awaited, RenderedSpec, RunPlan
from taorunner.values.value import replace

STAND_IN = "MODEL-OF-THE-CHAIN"
TEXTS = ((f"e1/{STAND_IN}.", "e1/{stem}."), (f"e1/{STAND_IN}", "e1/{path}"), (STAND_IN, "{stem}"))


@pytest.fixture
def runs(slurm: Cluster, make_plan: Callable[..., RunPlan], make_launch: Callable[..., Launch]) -> SlurmRuns:
    return SlurmRuns(slurm, make_plan, make_launch, {**slurm.here, "PATH": "/usr/bin:/bin"})


class Chain:
    """``first`` is a job that waits to be released; ``then`` starts a run that follows it."""

    def __init__(self, runs: SlurmRuns, results: Path) -> None:
        self._runs, self.results = runs, results / "it's e1" / "e1"
        (self.results / "train").mkdir(parents=True)
        self.first = runs.cluster.sbatch("--hold", "-o", "/dev/null", "-p", "low", "--wrap", "exit 0")
        self.launch: Launch | None = None

    def makes(self, name: str, time_s: int, text: str = "weights") -> None:
        path = self.results / "train" / name
        path.write_text(text)
        os.utime(path, (time_s, time_s))

    def then(self, script: str, *, written: tuple[str, ...] = (), overwrite: bool = False) -> Handle:
        plan = replace(
            self._runs.made(script), results_dir=self.results, awaits=(Awaited("train", STAND_IN),)
        )
        spec = RenderedSpec(self.results / "spec.yaml", "spec.yaml", f"model: e1/{STAND_IN}\n", "spec.yaml")
        plan = replace(plan, spec=spec)
        model = ChosenModel("train", ("train/*.pth",), TEXTS, average="*-EMA.pth")
        follows = Follows(self.first, "train", (model,), written, overwrite)
        self.launch = launch = replace(self._runs.launch(), follows=follows)
        (launch.run_dir / "input").mkdir(exist_ok=True)
        (launch.run_dir / "input" / "spec.yaml").write_text(spec.text)
        backend = self._runs.backend()
        return backend.submit(backend.request(plan, launch)).handle

    def release(self) -> None:
        self._runs.cluster.checked("scontrol", "release", self.first)


@pytest.fixture
def chain(runs: SlurmRuns, tmp_path: Path) -> Chain:
    return Chain(runs, tmp_path)


def test_the_newest_model_is_put_into_command_and_spec(runs: SlurmRuns, chain: Chain) -> None:
    handle = chain.then(f'echo "x/e1/{STAND_IN} out/e1/{STAND_IN}.onnx {STAND_IN}-b"')
    assert runs.status(handle).waiting == "waits for train"
    chain.makes("m_2.pth", 2000)
    chain.makes("m_1.pth", 1000)
    chain.makes("odd name.pth", 9000)
    chain.makes("empty.pth", 9000, "")
    (chain.results / "train" / "latest.pth").symlink_to("m_1.pth")
    chain.release()
    assert runs.becomes(handle).exit_code == 0
    assert runs.console(handle) == "x/e1/train/m_2.pth out/e1/m_2.onnx m_2-b\n"
    assert (handle.run_dir / "input" / "spec.yaml").read_text() == "model: e1/train/m_2.pth\n"
    assert runs.backend().models_read(handle) == ["train/m_2.pth"]


@pytest.mark.parametrize("has_weights", [True, False])
def test_a_moving_average_is_read_only_where_there_are_no_other_weights(
    runs: SlurmRuns, chain: Chain, has_weights: bool
) -> None:
    handle = chain.then(f"echo e1/{STAND_IN}")
    chain.makes("m_1-EMA.pth", 1000)
    if has_weights:
        chain.makes("m_1.pth", 1000)
        chain.makes("m_2.pth", 2000)
    chain.makes("m_2-EMA.pth", 9000)
    chain.release()
    assert runs.becomes(handle).exit_code == 0
    assert runs.console(handle) == f"e1/train/{'m_2.pth' if has_weights else 'm_2-EMA.pth'}\n"


def test_without_a_model_the_run_says_so(runs: SlurmRuns, chain: Chain) -> None:
    handle = chain.then("true")
    chain.release()
    status = runs.becomes(handle)
    assert status.end is not None
    assert (status.exit_code, status.end.reason) == (1, "train left no model that can be read")
    assert runs.console(handle) == ""


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_it_would_write_is_moved_aside_or_left(runs: SlurmRuns, chain: Chain, overwrite: bool) -> None:
    chain.makes("m_2.pth", 2000)
    old = chain.results / "m_2.onnx"
    old.write_text("old")
    handle = chain.then("echo ran", written=(f"{STAND_IN}.onnx",), overwrite=overwrite)
    chain.release()
    status = runs.becomes(handle)
    if overwrite:
        assert (status.exit_code, runs.console(handle)) == (0, "ran\n")
        (moved,) = chain.results.glob("m_2.onnx.*")
        assert (moved.read_text(), old.exists()) == ("old", False)
    else:
        assert status.end is not None
        assert (status.exit_code, status.end.reason) == (1, '"m_2.onnx" is there already')
        assert (old.read_text(), runs.console(handle)) == ("old", "")


def test_what_follows_a_failed_job_never_begins(runs: SlurmRuns, chain: Chain) -> None:
    handle = chain.then("echo ran")
    runs.cluster.checked("scancel", chain.first)
    status = runs.becomes(handle)
    assert (status.exit_code, status.started_at, runs.console(handle)) == (None, None, "")
    assert Folder(handle.run_dir).starts() == (None, None)


def test_a_run_whose_models_nobody_would_choose_is_not_submitted(runs: SlurmRuns, tmp_path: Path) -> None:
    plan = replace(runs.made("true"), awaits=(Awaited("train", STAND_IN),))
    backend, launch = runs.backend(), runs.launch()
    with pytest.raises(EngineRefusedError, match="the models of its chain are not known"):
        backend.submit(backend.request(plan, launch))
    handle = Handle("slurm", launch.run_id, "1", launch.run_dir)
    assert runs.status(handle).state is EngineState.MISSING
