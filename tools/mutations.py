"""Changes one line of the package at a time, and runs the tests of that room: they must fail.

    python tools/mutations.py                       # all of them, two at a time
    python tools/mutations.py scheduling specs      # those whose room begins so

A change is made in a copy of ``src``; the checkout stays as it is. Each test run has an environment of its own, whose
programs import the copy: a command that a test starts has the change, too. The exit code is the number of changes
that no test noticed. Tests marked ``engine`` or ``slow`` are left out.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
AT_ONCE = 2


class Mutation(NamedTuple):
    """``old`` occurs once in ``src/taorunner/<file>`` and is replaced by ``new``; ``tests`` are below ``tests/``."""

    tests: str
    file: str
    old: str
    new: str


MUTATIONS = (
    Mutation("api", "api/runs.py", "return all(self._store.load(run_id).state is RunState.SUCCEEDED",
             "return any(self._store.load(run_id).state is RunState.SUCCEEDED"),
    Mutation("ground", "state_files.py", "facts.st_nlink > 1", "facts.st_nlink > 2"),
    Mutation("ground", "atomic_files.py", "    if durable:\n        _flush_folder(path.parent)\n", ""),
    Mutation("backends/docker", "backends/docker/log_resume.py", "unkept = len(self._tail) - end",
             "unkept = len(self._tail) - self._matched"),
    Mutation("backends/process", "backends/process/reaper.py",
             "in (*_IGNORED, signal.SIGPIPE, signal.SIGXFSZ):", "in _IGNORED:"),
    Mutation("catalog", "catalog/load.py", "fitting[-1].tags", "fitting[0].tags"),
    Mutation("cli", "cli/commands/runs_prune.py", "project=project or context.obj.project", "project=project"),
    Mutation("cli", "cli/fast/lists.py", "name is None or name in given or", "name is None or"),
    Mutation("console", "console/base/formatting.py", "if abs(value) >= 10 else", "if abs(value) > 10 else"),
    Mutation("datasets/transform", "datasets/transform/split.py", "0 < len(open_groups[name]) <= len(without)",
             "0 < len(open_groups[name]) < len(without)"),
    Mutation("doctor", "doctor/capacity_checks.py", "free < IMAGE_BYTES * len(missing)", "free < IMAGE_BYTES"),
    Mutation("embedded", "embedded/metrics.py", "bool(row[best] >= iou_threshold)", "bool(row[best] > iou_threshold)"),
    Mutation("engine", "engine/frames.py", "back < length else 0", "back <= length else 0"),
    Mutation("gpu", "gpu/leases.py", "st_mode & 0o666 == 0o666", "st_mode & 0o666"),
    Mutation("images", "images/space.py", "if not ours or ours != theirs:\n                break",
             "if not ours or ours != theirs:\n                continue"),
    Mutation("importers", "importers/launcher_runs.py", "before = before or release", "before = release"),
    Mutation("planning/inputs planning/test_planner.py", "planning/inputs/precedence.py",
             "ids is not None and len(ids) == count else None", "ids is not None else None"),
    Mutation("pretrained", "pretrained/download.py", 'etag if etag and not etag.startswith("W/") else None', "etag"),
    Mutation("progress", "progress/epoch_position.py", "if epoch <= self.done or", "if epoch < self.done or"),
    Mutation("project", "project/mounts.py", "rank > best[0])", "rank >= best[0])"),
    Mutation("runs/control", "runs/control/recovery.py", "if record.started_at is None:\n            reason",
             "if record.started_at is not None:\n            reason"),
    Mutation("runs/state", "runs/state/store.py", "return True  # a damaged request is still a request",
             "return False"),
    Mutation("runs/supervisor", "runs/supervisor/replay_filter.py", "                self._keys.clear()\n", ""),
    Mutation("scheduling", "scheduling/policy.py", "for gpu in usable) >= run.gpu_count",
             "for gpu in usable) > run.gpu_count"),
    Mutation("shell", "shell/option_parsing.py", "(soft > hard or soft == -1)", "soft > hard"),
    Mutation("specs/schema", "specs/schema/value_check.py", "value.lower() in _WORDS_OF_BOOL",
             "value in _WORDS_OF_BOOL"),
    # a second kind in the rooms where a mistake costs most
    Mutation("runs/state", "runs/state/pruning.py", "(record.finished_at or record.queued_at)", "record.queued_at"),
    Mutation("runs/state", "runs/state/store.py", 'file.truncate(data.rfind(b"\\n") + 1)',
             'file.truncate(max(0, data.rfind(b"\\n")))'),
    Mutation("runs/state", "runs/state/history.py", 'lines = [""] if self.is_torn else []', "lines: list[str] = []"),
    Mutation("runs/state", "runs/state/snapshot.py", "(s.state.is_final and s.state is not RunState.LOST)",
             "s.state.is_final"),
    Mutation("runs/state", "runs/state/batch_lock.py",
             "        and not store.open_batches.is_being_made(batch_id)\n", ""),
    Mutation("runs/supervisor", "runs/supervisor/retries.py",
             "replace(plan, set_aside=(), overwrite=False) if has_started else plan", "plan"),
    Mutation("runs/supervisor", "runs/supervisor/alarms.py",
             "needed * (_REARM if self._is_disk_reported else 1)", "needed"),
    Mutation("runs/supervisor", "runs/supervisor/run_end.py",
             "        remove_secrets(self._store.paths(run_id).directory)\n", ""),
    Mutation("runs/supervisor", "runs/supervisor/run_files.py", "for move in reversed(recorded_moves(run_dir)):",
             "for move in recorded_moves(run_dir):"),
    Mutation("scheduling", "scheduling/policy.py",
             "            elif fairness.is_due(run) and competes(run, gpus):\n                break\n", ""),
    Mutation("scheduling", "scheduling/queue_tickets.py", 'min(int(body["said_ns"]), self._clock_ns())',
             'int(body["said_ns"])'),
    Mutation("scheduling", "scheduling/gpu_allocator.py", "elif gpu in foreign and runs[start.run_id].gpu_ids is None:",
             "elif gpu in foreign:"),
    Mutation("gpu", "gpu/leases.py", "if self._is_still(name, descriptor):", "if descriptor >= 0:"),
    Mutation("gpu", "gpu/leases.py", "if self._is_signed and descriptor in self._alone:",
             "if descriptor in self._alone:"),
    Mutation("planning/checks", "planning/checks/link_containment.py", "(*mounts.entries, *mounts.absent)",
             "mounts.entries"),
    Mutation("planning/inputs", "planning/inputs/resume.py", "== epoch - 1)", "== epoch)"),
    Mutation("planning/inputs", "planning/inputs/earlier_results.py", "{escape(tag)}-*-of-*", "{tag}-*-of-*"),
    Mutation("specs/editing", "specs/editing/yaml_edit.py", "return type(one) is type(other) and bool(one == other)",
             "return bool(one == other)"),
)  # fmt: skip


def main(rooms: list[str]) -> int:
    chosen = [one for one in MUTATIONS if not rooms or one.tests.startswith(tuple(rooms))]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        survived = sum(not noticed for noticed in pool.map(is_noticed, chosen))
    print(f"{len(chosen) - survived} of {len(chosen)} were noticed")
    return min(survived, 125)


def is_noticed(mutation: Mutation) -> bool:
    """Whether a test fails with the change; prints which."""
    test = noticed_by(mutation)
    print(f"{test or 'SURVIVED'}: {mutation.file}: {mutation.old.strip()!r}", flush=True)
    return test is not None


def noticed_by(mutation: Mutation) -> str | None:
    """The first test that fails with the change; None when all pass. Raises SystemExit when it cannot be tried."""
    with tempfile.TemporaryDirectory(prefix="taorunner-mutation-") as folder:
        source = Path(folder, "src")
        shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
        file = source / "taorunner" / mutation.file
        text = file.read_text(encoding="utf-8")
        if text.count(mutation.old) != 1:
            raise SystemExit(
                f"{mutation.file} has {mutation.old!r} {text.count(mutation.old)} times, not once"
            )
        file.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
        options = ["-q", "-x", "-n", "0", "-m", "not engine and not slow", "-p", "no:cacheprovider"]
        places = [f"tests/{place}" for place in mutation.tests.split()]
        python = environment(Path(folder, "environment"), source)
        command = [str(python), "-m", "pytest", *options, "--basetemp", f"{folder}/tests", *places]
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if run.returncode == 0:
            return None
        failed = re.search(r"^(?:FAILED|ERROR) (\S+::\S+)", run.stdout, re.MULTILINE)
        if run.returncode != 1 or failed is None:
            raise SystemExit(f"pytest ended with {run.returncode}:\n{run.stdout[-2000:]}{run.stderr[-2000:]}")
        return failed[1]


def environment(folder: Path, source: Path) -> Path:
    """The Python of a new environment with the packages and programs of this one, but the package from ``source``."""
    venv.create(folder)
    mine = Path(sysconfig.get_path("purelib"))
    path = folder / mine.relative_to(sys.prefix) / "mutated.pth"
    path.write_text(f"{source}\nimport site; site.addsitedir({str(mine)!r})\n", encoding="utf-8")
    for name in ("taorunner", "tao-runner"):
        program = Path(sysconfig.get_path("scripts"), name).read_text(encoding="utf-8")
        own = folder / "bin" / name
        own.write_text(program.replace(sys.prefix, str(folder)), encoding="utf-8")
        own.chmod(0o755)
    return folder / "bin" / "python"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
