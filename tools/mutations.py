"""Changes one line of the package at a time, and runs the tests of that room: they must fail.

    python tools/mutations.py                       # all of the list below, two at a time
    python tools/mutations.py scheduling specs      # those whose room begins so
    python tools/mutations.py --round 7             # one change of each room, drawn by this seed
    python tools/mutations.py --round 7 --whole     # what no test noticed is tried with the engine and slow tests, too

A change is made in a copy of ``src``; the checkout stays as it is. Each test run has an environment of its own, whose
programs import the copy: a command that a test starts has the change, too. The exit code is the number of changes
that no test noticed. Tests marked ``engine`` or ``slow`` are left out. ``random_mutations`` says what can be drawn.
"""

from __future__ import annotations

import argparse
import random
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

from random_mutations import changes

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "taorunner"
AT_ONCE = 2
QUICK, OTHERS = "not engine and not slow", "engine or slow"
NO_TESTS = 5
"""The exit code of pytest where no test was chosen."""


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
    Mutation("ground", "atomic_files.py", "    if durable:\n        flush(path.parent)\n", ""),
    Mutation("backends/docker", "backends/docker/log_resume.py", "unkept = len(self._tail) - end",
             "unkept = len(self._tail) - self._matched"),
    Mutation("backends/process", "backends/process/reaper.py",
             "in (*_IGNORED, signal.SIGPIPE, signal.SIGXFSZ):", "in _IGNORED:"),
    Mutation("catalog", "catalog/load.py", "fitting[-1].tags", "fitting[0].tags"),
    Mutation("cli", "cli/commands/results/runs_prune.py", "project=project or context.obj.project", "project=project"),
    Mutation("cli", "cli/fast/lists.py", "name is None or name in given or", "name is None or"),
    Mutation("console", "console/base/formatting.py", "if size <= 1 else", "if size < 1 else"),
    Mutation("datasets/transform", "datasets/transform/split_parts.py", "0 < open_groups[name] <= len(without)",
             "0 < open_groups[name] < len(without)"),
    Mutation("doctor", "doctor/capacity_checks.py", "free < IMAGE_BYTES * len(missing)", "free < IMAGE_BYTES"),
    Mutation("embedded", "embedded/metrics.py", "bool(row[best] >= threshold)", "bool(row[best] > threshold)"),
    Mutation("engine", "engine/frames.py", "back < length else 0", "back <= length else 0"),
    Mutation("gpu", "gpu/leases.py", "st_mode & 0o666 == 0o666", "st_mode & 0o666"),
    Mutation("images", "images/space.py", "if not ours or ours != theirs:\n                break",
             "if not ours or ours != theirs:\n                continue"),
    Mutation("importers", "importers/launcher_runs.py", "before = before or release", "before = release"),
    Mutation("planning/inputs planning/test_planner.py", "planning/inputs/precedence.py",
             "ids is not None and len(ids) == count else None", "ids is not None else None"),
    Mutation("pretrained", "pretrained/download.py", 'None if self.etag.startswith("W/") else self.etag', "self.etag"),
    Mutation("progress", "progress/epoch_position.py", "if epoch <= self.done:", "if epoch < self.done:"),
    Mutation("project", "project/mounts.py", "rank > best[0])", "rank >= best[0])"),
    Mutation("runs/control", "runs/control/recovery.py", "if record.started_at is None:\n            reason",
             "if record.started_at is not None:\n            reason"),
    Mutation("runs/state", "runs/state/store.py", 'return "stop"  # a damaged request is still a request',
             "return None"),
    Mutation("runs/supervisor", "runs/supervisor/replay_filter.py",
             "self._keys.clear()\n                self.waiting = event.reason",
             "pass\n                self.waiting = event.reason"),
    Mutation("scheduling", "scheduling/policy.py", "for gpu in usable) >= run.gpu_count",
             "for gpu in usable) > run.gpu_count"),
    Mutation("shell", "shell/option_parsing.py", "(soft > hard or soft == -1)", "soft > hard"),
    Mutation("specs/schema", "specs/schema/omegaconf_values.py", "value.lower() in _TRUE_OR_FALSE",
             "value in _TRUE_OR_FALSE"),
    # a second kind in the rooms where a mistake costs most
    Mutation("runs/state", "runs/state/pruning.py", "(record.finished_at or record.queued_at)", "record.queued_at"),
    Mutation("ground runs/state", "state_files.py", 'end = tail.rfind(b"\\n") + 1', 'end = max(0, tail.rfind(b"\\n"))'),
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
    Mutation("planning", "planning/spec/link_containment.py", "(*mounts.entries, *mounts.absent)",
             "mounts.entries"),
    Mutation("planning/inputs", "planning/inputs/resume.py", "== epoch - 1)", "== epoch)"),
    Mutation("planning/inputs", "planning/inputs/earlier_results.py", "{escape(tag)}-*-of-*", "{tag}-*-of-*"),
    Mutation("specs/editing", "specs/editing/yaml_edit.py", "return type(one) is type(other) and bool(one == other)",
             "return bool(one == other)"),
)  # fmt: skip


class Drawn(NamedTuple):
    """A change of a file that was drawn: ``text`` is the whole file after it."""

    room: str
    file: str
    text: str
    label: str


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        description="Changes single lines and says which changes no test notices."
    )
    parser.add_argument("rooms", nargs="*", help="only these rooms")
    parser.add_argument("--round", type=int, metavar="SEED", help="draw one change of each room")
    parser.add_argument(
        "--whole", action="store_true", help="try survivors of a round with all tests of the room"
    )
    given = parser.parse_args(argv)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        if given.round is None:
            chosen = [one for one in MUTATIONS if not given.rooms or one.tests.startswith(tuple(given.rooms))]
            noticed = list(pool.map(is_noticed, chosen))
        else:
            drawn = draw(given.round, given.rooms)
            noticed = list(pool.map(lambda one: is_drawn_noticed(one, is_whole=given.whole), drawn))
    print(f"{sum(noticed)} of {len(noticed)} were noticed")
    return min(len(noticed) - sum(noticed), 125)


def draw(seed: int, rooms: list[str]) -> list[Drawn]:
    """One change of each room; all changes of a room are equally likely."""
    chance = random.Random(seed)
    drawn: list[Drawn] = []
    for room, files in files_of_rooms().items():
        known = [(file, text, one) for file, text in files for one in changes(text)]
        file, text, one = chance.choice(known)
        if rooms and not room.startswith(tuple(rooms)):
            continue
        data = text.encode()
        new = (data[: one.start] + one.new.encode() + data[one.end :]).decode()
        old = " ".join(data[one.start : one.end].decode().split())
        drawn.append(Drawn(room, file, new, f"{file}:{one.line} [{one.kind}] {old!r} -> {one.new!r}"))
    return drawn


def files_of_rooms() -> dict[str, list[tuple[str, str]]]:
    """The modules of each room with their texts; those of no package, and of one that has no folder of tests, are the
    room "ground"."""
    rooms: dict[str, list[tuple[str, str]]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        file = path.relative_to(PACKAGE)
        is_room = len(file.parts) > 1 and (ROOT / "tests" / file.parts[0]).is_dir()
        room = file.parts[0] if is_room else "ground"
        rooms.setdefault(room, []).append((file.as_posix(), path.read_text(encoding="utf-8")))
    return rooms


def is_drawn_noticed(drawn: Drawn, *, is_whole: bool) -> bool:
    """Whether a test of the room fails with the change; prints which. The tests named like the module come first."""
    stem = Path(drawn.file).stem
    own = [
        path.relative_to(ROOT).as_posix()
        for path in sorted((ROOT / "tests" / drawn.room).rglob(f"test_{stem}.py"))
    ]
    steps = [(own, QUICK)] if own else []
    steps.append(([f"tests/{drawn.room}"], QUICK))
    if is_whole:
        steps.append(([f"tests/{drawn.room}"], OTHERS))
    test = next(filter(None, (failing_test(drawn.file, drawn.text, *step) for step in steps)), None)
    print(f"{test or 'SURVIVED'}: {drawn.label}", flush=True)
    return test is not None


def is_noticed(mutation: Mutation) -> bool:
    """Whether a test fails with the change; prints which."""
    test = noticed_by(mutation)
    print(f"{test or 'SURVIVED'}: {mutation.file}: {mutation.old.strip()!r}", flush=True)
    return test is not None


def noticed_by(mutation: Mutation) -> str | None:
    """The first test that fails with the change; None when all pass. Raises SystemExit when it cannot be tried."""
    text = (PACKAGE / mutation.file).read_text(encoding="utf-8")
    if text.count(mutation.old) != 1:
        raise SystemExit(f"{mutation.file} has {mutation.old!r} {text.count(mutation.old)} times, not once")
    places = [f"tests/{place}" for place in mutation.tests.split()]
    return failing_test(mutation.file, text.replace(mutation.old, mutation.new), places, QUICK)


def failing_test(file: str, text: str, places: list[str], marked: str) -> str | None:
    """The first test in ``places`` that fails when ``file`` has this text.

    Raises SystemExit when it cannot be tried.
    """
    with tempfile.TemporaryDirectory(prefix="taorunner-mutation-") as folder:
        source = Path(folder, "src")
        shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
        (source / "taorunner" / file).write_text(text, encoding="utf-8")
        options = ["-q", "-x", "-n", "0", "-m", marked, "-p", "no:cacheprovider"]
        python = environment(Path(folder, "environment"), source)
        command = [str(python), "-m", "pytest", *options, "--basetemp", f"{folder}/tests", *places]
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if run.returncode in (0, NO_TESTS):
            return None
        failed = re.search(r"^(?:FAILED|ERROR) (\S+)", run.stdout, re.MULTILINE)
        if failed is not None:
            return failed[1]
        if "Timeout" in run.stdout + run.stderr:
            return "a test that did not end"
        if "taorunner" in run.stderr and "Error" in run.stderr:
            return "the start of pytest"
        raise SystemExit(f"pytest ended with {run.returncode}:\n{run.stdout[-2000:]}{run.stderr[-2000:]}")


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
