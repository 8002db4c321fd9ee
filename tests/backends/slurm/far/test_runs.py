"""What goes to a far side before a run, and which of its files count. The far side is a folder of this machine."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from taorunner.backends.far.run import Delivery, FarRun
from taorunner.backends.far.runs import FarRuns
from taorunner.backends.slurm.folder import Cluster, Folder
from taorunner.backends.slurm.scheduler import Scheduler
from taorunner.backends.slurm.states import Asked
from taorunner.errors import EngineRefusedError

SCRIPTS = {"slurm/run.sbatch": "#!/bin/bash\n", "slurm/node.sh": "#!/bin/sh\n"}
AT = "2026-11-30T10:00:00.000Z"
STARTED = f'{{"at":"{AT}","attempt":0,"job":"1","node":"n","event":"started"}}\n'


class Case:
    """``folder`` is the run's folder here, ``far`` that of the far side, both with hostile names above them."""

    def __init__(self, tmp_path: Path) -> None:
        self.here, self.there = tmp_path / "here", tmp_path / 'it\'s $(far) "side"'
        run_dir = self.here / ".taorunner" / "runs" / "r1"
        run_dir.mkdir(parents=True)
        self.folder = Folder(run_dir)
        self.far = FarRun(f"{self.there}/.taorunner/runs/r1")
        self.runs = FarRuns(Scheduler(None))

    @property
    def slurm(self) -> Path:
        return Path(self.far.run_dir) / "slurm"

    def deliver(self, **more: object) -> tuple[tuple[str, str], ...]:
        values = {
            "folders": (f"{self.there}/models/e",),
            "needed": (),
            "sync": "taorunner clusters sync dgx p",
            **more,
        }
        delivery = Delivery(workspace=str(self.there), run_dir=self.far.run_dir, **values)  # type: ignore[arg-type]
        self.folder.write(SCRIPTS, Cluster(None, "r1", 600, Asked(), self.far))
        return self.runs.deliver(self.folder, SCRIPTS, delivery)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def test_inputs_are_carried_with_their_modes_and_links_are_left_here(case: Case, tmp_path: Path) -> None:
    secret = case.folder.run_dir / "input/secrets/env/KEY"
    secret.parent.mkdir(parents=True)
    secret.write_text("hidden")
    secret.chmod(0o600)
    (case.folder.run_dir / "input/spec.yaml").write_text("a: 1\n")
    (tmp_path / "outside").write_text("outside")
    (case.folder.run_dir / "input/link").symlink_to(tmp_path / "outside")
    case.deliver()
    far = Path(case.far.run_dir)
    found = {
        str(path.relative_to(far)): path.stat().st_mode & 0o777 for path in far.rglob("*") if path.is_file()
    }
    assert found == {
        "input/secrets/env/KEY": 0o600, "input/spec.yaml": 0o644, "slurm/node.sh": 0o700, "slurm/run.sbatch": 0o700,
    }  # fmt: skip
    assert (far / "input/secrets/env/KEY").read_text() == "hidden"
    assert (case.there / "models/e").is_dir()
    assert {path.stat().st_mode & 0o077 for path in [far, *far.rglob("*")] if path.is_dir()} == {0}


def test_a_batch_is_carried_in_few_calls(case: Case, tmp_path: Path) -> None:
    calls, shell = tmp_path / "calls", tmp_path / "bin" / "sh"
    shell.parent.mkdir()
    shell.write_text(f'#!/bin/sh\necho call >>{calls}\nexec /bin/sh "$@"\n')
    shell.chmod(0o755)
    environ = {**os.environ, "PATH": f"{shell.parent}{os.pathsep}{os.environ['PATH']}"}
    far_runs = FarRuns(Scheduler(None, environ))
    begin = threading.Barrier(20)

    def carry(number: int) -> None:
        run_dir = tmp_path / "here" / f"run{number}"
        run_dir.mkdir()
        far = f"{case.there}/{number}"
        begin.wait()
        far_runs.deliver(Folder(run_dir), SCRIPTS, Delivery(str(case.there), far, (far,), ()))

    with ThreadPoolExecutor(20) as threads:
        list(threads.map(carry, range(20)))
    assert sorted(path.name for path in case.there.iterdir()) == sorted(map(str, range(20)))
    assert all((case.there / str(number) / "slurm/run.sbatch").exists() for number in range(20))
    assert 1 <= len(calls.read_text().splitlines()) <= 4


def test_what_is_missing_or_in_the_way_is_named_and_nothing_is_changed(case: Case) -> None:
    data = case.here / "data"
    data.mkdir()
    needed = ((data, f"{case.there}/data"), (case.here / "not here either", f"{case.there}/other"))
    with pytest.raises(EngineRefusedError) as caught:
        case.deliver(needed=needed)
    assert (str(caught.value), caught.value.hint) == (
        f'there is no "{case.there}/data" on ""', "taorunner clusters sync dgx p copies it there",
    )  # fmt: skip
    assert not case.there.exists()
    old = case.there / "models/e/model_1.pth"
    old.parent.mkdir(parents=True)
    old.write_text("old")
    (case.there / "data").mkdir()
    patterns = (
        f"'{str(case.there).replace(chr(39), chr(39) + chr(92) + chr(39) + chr(39))}/models/e'/*.pth",
    )
    with pytest.raises(EngineRefusedError, match=r'model_1\.pth" of an earlier training is on ') as caught:
        case.deliver(needed=needed, earlier=patterns)
    assert caught.value.hint is not None and caught.value.hint.startswith(
        "taorunner clusters sync dgx p --results brings"
    )
    assert not Path(case.far.run_dir).exists()


def test_earlier_results_are_moved_aside_and_back(case: Case) -> None:
    old = case.there / "models/e/model_1.pth"
    old.parent.mkdir(parents=True)
    old.write_text("old")
    ((path, aside),) = case.deliver(aside=(f"{case.there}/models/e",), earlier=("/*",))
    assert (path, Path(aside, "model_1.pth").read_text()) == (f"{case.there}/models/e", "old")
    assert list(old.parent.iterdir()) == []
    case.runs.put_back(((path, aside),))
    assert (old.read_text(), Path(aside).exists()) == ("old", False)


def test_what_a_run_writes_is_read_piece_by_piece_and_whole_at_its_end(case: Case) -> None:
    case.deliver()
    (case.slurm / "slurm.jsonl").write_text(STARTED)
    (case.slurm / "console.log").write_text("one\n")
    case.runs.refresh(case.folder, case.far)
    assert case.folder.console.read_text() == "one\n"
    first, last = case.folder.starts()
    assert (first is not None, last is not None and last.ended) == (True, None)
    with (case.slurm / "console.log").open("a") as file:
        file.write("two\n")
    (case.slurm / "console.1.log").write_text("of the other node\n")
    (case.slurm / "slurm.out").write_text("x" * 20_000 + "the end")
    (case.slurm / "exit").write_text(f"3 {AT}\n")
    case.runs.finish(case.folder, case.far)
    found = case.folder.exit()
    assert (case.folder.console.read_text(), found is not None and found[0]) == ("one\ntwo\n", 3)
    assert (case.folder.path / "console.1.log").read_text() == "of the other node\n"
    assert (case.folder.messages or "").endswith("xthe end")
    case.runs.remove(case.folder, case.far)
    assert not Path(case.far.run_dir).exists()
    assert (case.there / "models/e").is_dir()


def in_group(path: Path) -> None:
    path.chmod(0o664)


def of_a_stranger(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    os.chown(path, 12345, 12345)


def with_two_names(path: Path) -> None:
    path.with_name(f"{path.name} again").hardlink_to(path)


def behind_a_link(path: Path) -> None:
    path.rename(path.with_name(f"real {path.name}"))
    path.symlink_to(f"real {path.name}")


@pytest.mark.parametrize("change", [in_group, of_a_stranger, with_two_names, behind_a_link])
def test_an_end_that_others_may_have_written_does_not_count(
    case: Case, change: Callable[[Path], None]
) -> None:
    case.deliver()
    end, events = case.slurm / "exit", case.slurm / "slurm.jsonl"
    for path, text in ((end, f"0 {AT}\n"), (events, STARTED)):
        path.write_text(text)
        change(path)
    case.runs.refresh(case.folder, case.far)
    assert (case.folder.exit(), case.folder.starts()) == (None, (None, None))
    # the same on a disk that this machine shares
    for path in (end, events):
        own = case.folder.path / path.name
        own.write_text(path.read_text())
        change(own)
    assert (case.folder.exit(), case.folder.starts()) == (None, (None, None))
