"""Damages each state file of a workspace in every way, one at a time, and reads the workspace with every command.

    python tools/damaged_state.py                    all of about 21,000 damages: a quarter of an hour on one core
    python tools/damaged_state.py --every 250        a fixed part of them
    python tools/damaged_state.py --every 10 --seed 7    a random tenth
    python tools/damaged_state.py --only record.json

The workspace is the sample of an earlier version with what this version adds; its open batches have a supervisor.
Ends with 1 when a command ended as an internal error, was busy for more than five seconds, or hung.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import random
import resource
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from taorunner.__main__ import quick_answer
from taorunner.cli.app import run

SAMPLE = Path(__file__).parents[1] / "tests/assets/workspace_0_1_0"
MADE_AT = "/srv/taorunner-sample"
DONE, RUNNING, QUEUED = "-928b4e", "-b4a46f", "-a0b87e"
"""The runs whose files are damaged."""
BUSY_S, HANGS_S = 5.0, 60.0
MOST_BYTES = 2 << 30
"""Of addresses of this process; a file of 5 GiB is one of the damages."""
WORDS = (
    ["ps", "-a", "--json"], ["runs", "list", "--json"], ["runs", "show", "RUN", "--json"], ["logs", "RUN"],
)  # fmt: skip
"""After every damage; between them they read each file."""
OTHERS = (
    ["ps"], ["runs", "list"], ["runs", "show", "RUN"], ["logs", "RUN", "--since", "1h"],
    ["runs", "list", "-p", "parts", "--state", "failed"], ["runs", "prune", "--keep", "0"],
    ["runs", "prune", "--results", "--keep", "0"], ["runs", "restore", "EXPERIMENT"], ["validate"],
    ["resume", "EXPERIMENT", "--dry-run"], ["train", "EXPERIMENT", "--dry-run", "--overwrite"],
    ["evaluate", "EXPERIMENT", "--dry-run"], ["projects"], ["runs", "compare", "--json"],
    ["runs", "lineage", "RUN", "--json"], ["rerun", "RUN", "--check", "--json"], ["report"],
    ["track", "status", "--json"], ["runs", "diff", "RUN", "b4a46f", "--json"],
)  # fmt: skip
"""After damage of a whole file, and after every fifteenth."""
OF_SWEEPS = (
    ["sweep", "show"], ["sweep", "show", "lr"], ["sweep", "show", "lr", "--json"], ["sweep", "best", "lr"],
    ["sweep", "rm", "lr", "--losers"], ["sweep", "rm", "lr"], ["sweep", "stop", "lr"],
)  # fmt: skip
"""After each damage of a sweep's file."""
OF_SERVERS = (["track", "status", "--json"],)
OF_EVALUATIONS = (["report", "-o", "report.html"], ["runs", "compare", "--json"])
SWEEP = """
sweeps:
  lr: {base: shapes, sampler: random, trials: 4, space: {train.learning_rate: {log: [0.0005, 0.03]}}}
"""
DEEP = b"[" * 100_000
WHOLE = (
    b"", b"\n", b"null", b"[]", b"{}", b"5", b'"x"', b"true", b"NaN", b"9" * 5000, DEEP, b'{"a":' * 50_000,
    b"\0\0", b"\0" * 5000, b"\xff\xfe", b"\xef\xbb\xbf{}", b'{"id": "\\ud800"}', b'{"a": 1, "a": 2}',
    b"{" * 3, b"[null]", b"[[]]", b"[1e999]", b"\r\n\r\n", b"\xed\xa0\x80", b"- a\n- b\n",
    b"a\tb\tc\td\te\n" * 3, b"x" * 300_000,
)  # fmt: skip
VALUES: tuple[object, ...] = (
    None, 5, -1, 0.5, 10**400, 2**63, 1e308, float("nan"), "x", "", "\0", "\ud800", "../../x",
    "/etc/passwd", "a" * 70_000, "\x1b[2J", "2026-01-01T00:00:00", "9999-12-31T23:59:59+00:00",
    "0001-01-01T00:00:00+14:00", [], {}, ["x", None], [[[]]], {"a": {"b": []}}, True,
)  # fmt: skip
CLASSES: tuple[tuple[str, bytes], ...] = (
    ("digit", b"0123456789"), ("letter", b"abcdefghijklmnopqrstuvwxyz"), ("quote", b'"'), ("open", b"{["),
    ("close", b"}]"), ("colon", b":"), ("comma", b","), ("blank", b" \t"), ("line end", b"\n"),
    ("mark", b"-./_+\\"),
)  # fmt: skip
REPLACED = (b"", b"\0", b"\xff", b'"', b"{", b"]", b"9" * 40, b"\n", b"\\", b"\xe2\x80\xae", b"\x1b")

LOG_BYTES = 1 << 30
"""``logs`` prints all of a log, at the speed of the disk."""

Damage = Callable[[Path], None]


class Hang(BaseException):
    """A command that took too long."""


def damages(file: Path, data: bytes) -> Iterator[tuple[str, Damage]]:
    """(what, how) for one file with this content; those of the whole file begin with ``file:``."""
    yield from _of_the_file(data)
    for number, whole in enumerate(WHOLE):
        yield f"file: is {number} {whole[:20]!r}", _written(whole)
    yield "file: twice", _written(data * 2)
    for at in sorted({len(data) * part // 24 for part in range(24)} | {len(data) - 1, len(data) - 2}):
        yield f"cut at {at}", _written(data[: max(0, at)])
    for name, members in CLASSES:
        places = [at for at, byte in enumerate(data) if byte in members]
        for at in sorted({*places[:1], *places[len(places) // 2 :][:1], *places[-1:]}):
            for new in REPLACED:
                yield f"{name} at {at} is {new[:4]!r}", _written(data[:at] + new + data[at + 1 :])
    yield from _of_values(data)


def _written(data: bytes) -> Damage:
    return lambda file: void(file.write_bytes(data))


def void(_: object) -> None:
    """Drops a value."""


def _of_the_file(data: bytes) -> Iterator[tuple[str, Damage]]:
    def in_place(make: Callable[[Path], object]) -> Damage:
        def replaced(file: Path) -> None:
            file.unlink(missing_ok=True)
            make(file)

        return replaced

    def full_folder(file: Path) -> None:
        file.mkdir()
        (file / "x").touch()

    def listening(file: Path) -> None:
        with socket.socket(socket.AF_UNIX) as made:  # its path may be too long for a socket
            os.chdir(file.parent)
            made.bind(file.name)

    def linked(file: Path) -> None:
        file.with_name("elsewhere").write_bytes(data)
        file.symlink_to("elsewhere")

    def huge(file: Path) -> None:
        file.write_bytes(data)
        os.truncate(file, LOG_BYTES if file.name == "console.log" else 5 << 30)

    yield "file: is gone", in_place(lambda file: None)
    yield "file: is a folder", in_place(full_folder)
    yield "file: is a link", in_place(linked)
    yield "file: is a link to itself", in_place(lambda file: file.symlink_to(file.name))
    yield "file: is a pipe", in_place(os.mkfifo)
    yield "file: is a socket", in_place(listening)
    yield "file: has two names", lambda file: file.with_name("other").hardlink_to(file)
    yield "file: GiB of nothing", huge
    for mode in (0o000, 0o666, 0o664, 0o4755):
        yield f"file: mode {mode:o}", partial(Path.chmod, mode=mode)
    if os.geteuid() == 0:
        yield "file: another owner", lambda file: os.chown(file, 1234, 1234)
    for code in ("utf-16", "utf-8-sig", "utf-32"):
        yield f"file: in {code}", _written(data.decode("utf-8", "replace").encode(code))


def _of_values(data: bytes) -> Iterator[tuple[str, Damage]]:
    """Each value of the JSON, or of each of the first and last lines of JSON, exchanged, removed, doubled, renamed."""
    lines = data.split(b"\n")
    try:
        tries: list[tuple[int | None, Any]] = [(None, json.loads(data))]
    except ValueError:
        chosen = sorted({*range(3), len(lines) // 2, len(lines) - 2} & set(range(len(lines))))
        tries = []
        for number in chosen:
            with contextlib.suppress(ValueError):
                tries.append((number, json.loads(lines[number])))
    for number, body in tries:
        for path in _paths(body):
            for what, changed in _changes(body, path):
                text = changed.encode("utf-8", "surrogatepass")
                whole = text if number is None else b"\n".join([*lines[:number], text, *lines[number + 1 :]])
                line = "" if number is None else f"line {number + 1}, "
                yield f"{line}{'.'.join(map(str, path))} {what}", _written(whole)


def _paths(body: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Three levels; of a list its first item."""
    if len(above) >= 3:
        return
    keys = list(body) if isinstance(body, dict) else [0] if isinstance(body, list) and body else []
    for key in keys[:40]:
        yield (*above, key)
        yield from _paths(body[key], (*above, key))


def _changes(body: Any, path: tuple[Any, ...]) -> Iterator[tuple[str, str]]:
    def changed(change: Callable[[Any, Any], object]) -> str:
        copy = json.loads(json.dumps(body))
        holder = copy
        for key in path[:-1]:
            holder = holder[key]
        change(holder, path[-1])
        return json.dumps(copy)

    values: tuple[object, ...] = VALUES if len(path) == 1 else VALUES[::3]
    for value in values:
        yield f"is {str(value)[:20]!r}", changed(partial(_set, value=value))
    yield "is gone", changed(lambda holder, key: holder.pop(key))
    if isinstance(path[-1], str):
        yield "has another name", changed(lambda holder, key: holder.update({"x": holder.pop(key)}))
        if len(path) == 1:
            text = json.dumps(body)
            yield "is there twice", text[:-1] + f", {json.dumps(path[0])}: [1]}}"


def _set(holder: Any, key: Any, *, value: object) -> None:
    holder[key] = value


_LOCKS = ("lock", "keeper.log", "supervisor.lock")


def make_workspace(root: Path) -> list[Path]:
    """The sample at ``root``, whole; gives the files to damage."""
    shutil.copytree(SAMPLE, root)
    (root / "expected.json").unlink()
    for path in root.rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes().replace(MADE_AT.encode(), str(root).encode()))
    state = root / ".taorunner"
    (folder,) = (state / "runs").glob(f"*{DONE}")
    results = root / "projects/parts/models/shapes/train"
    written = {"sha256": "a" * 64, "epoch": 1, "files": None, "modified_ns": 5}
    outputs = [
        {"path": str(results / "status.json"), "kind": "status", "bytes": 3, **written},
        {"path": str(results / "x.npz"), "kind": "checkpoint", "bytes": 9, **written, "modified_ns": None},
    ]
    lock = {
        "taorunner": "0.2.0",
        "network": "tinydet",
        "action": "train",
        "release": "embedded",
        "host": "h",
        "argv": ["x"],
        "gpus": [],
        "spec": {"train.seed": 7, "a": [1]},
        "resolved": {"train.seed": 7},
        "seed": "7",
        "data": [{"name": "d", "paths": ["."], "files": 3, "images": 2, "bytes": 9, "fingerprint": "a" * 64}],
        "weights": [{"path": "repositories/w.pth", "bytes": 3, "modified_ns": 5, "sha256": "a" * 64}],
    }
    scores = "".join(f'[{epoch}, 3, "AAAAAAAA8D8AAAAAAADwPw==", 120]\n' for epoch in (1, 2))
    ended = [f"{path.name}\tparts\tshapes\ttrain\tSUCCEEDED\n" for path in (state / "runs").iterdir()]
    at = "2026-11-29T01:22:17+00:00"
    added = {
        folder / "history.jsonl": '{"names": ["loss", "mAP"]}\n' + scores,
        folder / "outputs.json": json.dumps({"results": str(results), "outputs": outputs}),
        folder / "run.lock": json.dumps(lock),
        folder / "set_aside.json": json.dumps(
            {"moves": [{"path": str(results), "aside": f"{results}.2026"}]}
        ),
        folder / "console.times": "1796000000 0\n1796000010 50\n",
        folder / "stop.json": json.dumps({"at": at, "only_queued": True, "kill": False}),
        folder / "engine-mark.json": json.dumps({"mark": at, "engine": "x"}),
        state / "ended-runs.tsv": "".join(ended),
        **_of_later_versions(state, folder),
    }
    for path, text in added.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    experiments = root / "projects/parts/experiments.yml"
    experiments.write_text(experiments.read_text() + SWEEP)
    runs = [path for suffix in (DONE, RUNNING, QUEUED) for path in (state / "runs").glob(f"*{suffix}")]
    batches = {json.loads((path / "record.json").read_text())["batch"] for path in runs}
    found = [file for path in runs for file in path.rglob("*") if file.is_file() and file.name not in _LOCKS]
    found += [state / "batches" / batch / "batch.json" for batch in batches] + list(
        (state / "open").iterdir()
    )
    found += (state / "sweeps").rglob("*.json*")
    found += [state / "ended-runs.tsv", *(state / "cache").rglob("*.json"), root / "taorunner.lock"]
    return sorted(found)


def _of_later_versions(state: Path, run: Path) -> dict[Path, str]:
    """Sweeps, tracking and evaluations."""
    sweep = state / "sweeps/parts/lr"
    begun = "2026-11-29T01:22:17+00:00"
    space = [{"key": "train.learning_rate", "kind": "log", "low": 0.0005, "high": 0.03}]
    trials: list[dict[str, object]] = [
        {"trial": 0, "values": {"train.learning_rate": 0.001}, "base": True},
        {"trial": 0, "run": run.name},
        {"trial": 0, "ended": "pruned", "value": 0.4, "epoch": 2, "curve": [[1, 0.2]], "reason": "x"},
        {"trial": 1, "values": {"train.learning_rate": 0.002}, "base": False},
    ]
    body = {"base": "shapes", "sampler": "random", "trials": 4, "space": space}
    stored = {"version": 1, "definition": body, "metric": "mAP", "maximize": True, "started_at": begun}
    sent = {
        "server": "http://h",
        "experiment": "parts",
        "target": "mlflow",
        "remote": "r",
        "offset": 5,
        "skip": 1,
    }
    sent |= {
        "points": 3,
        "epoch": 2,
        "names": {"a": "b"},
        "is_described": True,
        "end": None,
        "problem": "p",
        "at": begun,
    }
    box = {"kind": "wrong", "name": "car", "score": 0.5, "box": [1, 2, 3, 4]}
    scored = {
        "version": 1, "task": "boxes", "overall": {"AP": 0.5}, "errors": {"missed": 1.5},
        "pr": {"car": [[0.1, 0.9, 0.5]]},
        "metrics": [{"name": "host/AP", "value": 0.5, "direction": "up", "scale": "fraction", "ranks": True}],
        "protocol": {"name": "coco", "text": "x", "library": "l", "version": "1", "settings": {}, "min_score": 0.1},
        "data": {"name": "d", "folder": "/d", "split": "val", "images": 3, "fingerprint": "ab"},
        "per_class": [{"name": "car", "truths": 3, "AP": 0.5, "at_score": 0.3}],
        "confusion": {"classes": ["car"], "unit": "boxes", "score": 0.3, "matrix": [[1, 2], [3, 0]]},
        "worst": [{"image": "a.jpg", "width": 10, "height": 9, "tp": 1, "fp": 2, "fn": 0, "boxes": [box]}],
    }  # fmt: skip
    return {
        sweep / "sweep.json": json.dumps(stored),
        sweep / "trials.jsonl": "".join(f"{json.dumps(line)}\n" for line in trials),
        sweep / "end.json": json.dumps({"reason": "stopped"}),
        run / "tracking.json": json.dumps(sent),
        run / "tracking.wandb.json": json.dumps({**sent, "target": "wandb", "server": str(run / "wandb")}),
        run / "evaluation.json": json.dumps(scored),
    }


@contextlib.contextmanager
def supervised(root: Path) -> Iterator[None]:
    """Holds the locks of the open batches, as their supervisors did."""
    with contextlib.ExitStack() as held:
        for batch in (root / ".taorunner/open").iterdir():
            lock = root / ".taorunner/batches" / batch.name / "supervisor.lock"
            fcntl.flock(held.enter_context(lock.open("ab")), fcntl.LOCK_EX)
        yield


def restore(root: Path, whole: Path) -> None:
    """Makes the state as it was, in place: locks are held."""
    damaged = [*root.joinpath(".taorunner").rglob("*"), *root.glob("taorunner.lock")]
    for path in sorted(damaged, reverse=True):
        kept = whole / path.relative_to(root)
        is_folder = path.is_dir() and not path.is_symlink()
        if (
            path.is_symlink()
            or not (is_folder or path.is_file())
            or is_folder != kept.is_dir()
            or not kept.exists()
        ):
            shutil.rmtree(path) if is_folder else path.unlink()
    for kept in [*whole.joinpath(".taorunner").rglob("*"), whole / "taorunner.lock"]:
        path = root / kept.relative_to(whole)
        if kept.is_dir():
            path.mkdir(exist_ok=True)
        elif path.name not in _LOCKS and not _is_same(path, kept):
            path.unlink(missing_ok=True)
            shutil.copy(kept, path)


def _is_same(path: Path, kept: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    facts, known = path.stat(), kept.stat()
    has_same_facts = all(
        getattr(facts, name) == getattr(known, name) for name in ("st_mode", "st_size", "st_uid", "st_nlink")
    )
    return has_same_facts and path.read_bytes() == kept.read_bytes()


def said(words: list[str], into: int) -> tuple[int, str]:
    """Exit code and output of one command of this process."""
    os.ftruncate(into, 0)
    os.lseek(into, 0, os.SEEK_SET)
    begin = time.process_time()
    signal.setitimer(signal.ITIMER_REAL, HANGS_S)
    try:
        answered = quick_answer(words)
        code = run(words) if answered is None else answered
        sys.stdout.flush()
        sys.stderr.flush()
    except Hang:
        return -1, "hung"
    except BaseException as error:  # whatever leaves it is a fault
        return -2, f"{type(error).__name__}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    took = time.process_time() - begin
    if took > BUSY_S:
        return -3, f"busy for {took:.1f} s"
    return code, os.pread(into, 1 << 20, 0).decode("utf-8", "replace")


def commands(file: Path, what: str, number: int) -> Iterator[list[str]]:
    run_id = next((part for part in file.parts if part.endswith((DONE, RUNNING, QUEUED))), f"x{DONE}")
    names = {
        "RUN": run_id[-6:],
        "EXPERIMENT": {RUNNING: "running", QUEUED: "queued"}.get(run_id[-7:], "shapes"),
    }
    chosen = [*WORDS, *(OTHERS if what.startswith("file:") or number % 15 == 0 else ())]
    special = {"sweeps": OF_SWEEPS, "evaluation.json": OF_EVALUATIONS}
    special |= dict.fromkeys(("tracking.json", "tracking.wandb.json"), OF_SERVERS)
    chosen += [words for part, own in special.items() if part in file.parts for words in own]
    if run_id.endswith(DONE):  # the others go on
        chosen.append(["attach", "RUN", "--json"])
    return ([names.get(word, word) for word in words] for words in chosen)


def try_all(place: Path, given: argparse.Namespace) -> int:
    """Prints each fault once, and how many damages and commands there were."""
    root, whole = place / "w", place / "whole"
    files = [file for file in make_workspace(root) if given.only in str(file)]
    shutil.copytree(root, whole)
    os.environ |= {
        "HOME": str(place),
        "DOCKER_HOST": f"unix://{place}/none",
        "TAORUNNER_WORKSPACE": str(root),
    }
    os.environ |= {"TAORUNNER_PROJECT": "parts", "TAORUNNER_LEASES": str(place / "leases"), "COLUMNS": "100"}
    known = [(file, *damage) for file in files for damage in damages(file, file.read_bytes())]
    chosen = [one for one in known if given.what in one[1]]
    if given.seed is None:
        chosen = chosen[given.first :: given.every]
    else:
        chosen = random.Random(given.seed).sample(chosen, -(-len(chosen) // given.every))
    faults: Counter[str] = Counter()
    asked, slowest = 0, (0.0, "")
    report, into = os.dup(1), os.open(place / "out", os.O_RDWR | os.O_CREAT)
    os.dup2(into, 1)
    os.dup2(into, 2)
    signal.signal(signal.SIGALRM, hang)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    try:
        with supervised(root):
            for number, (file, what, damage) in enumerate(chosen):
                damage(file)
                for words in commands(file, what, number):
                    os.chdir(root)
                    begin = time.process_time()
                    code, out = said(words, into)
                    asked += 1
                    line = f"{file.relative_to(root)}: {what}: {' '.join(words)}"
                    slowest = max(slowest, (time.process_time() - begin, line))
                    if code not in range(8) or "internal error" in out or "Traceback" in out:
                        kind = f"{' '.join(words[:2])}: {code} {out.strip()[:200]}"
                        faults[kind] += 1
                        if faults[kind] == 1:
                            crashes = [crash.read_text()[-1500:] for crash in root.glob(".taorunner/crash-*")]
                            os.write(
                                report, "\n".join([f"{line}: {code}", out[:2000], *crashes, ""]).encode()
                            )
                restore(root, whole)
    finally:  # an error of this program itself is seen
        os.dup2(report, 1)
        os.dup2(report, 2)
    counted = f"{len(files)} files, {len(chosen)} of {len(known)} damages, {asked} commands"
    summary = f"{counted}, {len(faults)} kinds of faults; slowest {slowest[0]:.1f} s ({slowest[1]})"
    os.write(
        report, "\n".join([*(f"{count}x {kind}" for kind, count in faults.items()), summary, ""]).encode()
    )
    return 1 if faults else 0


def hang(*_: object) -> None:
    raise Hang


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--every", type=int, default=1, help="try one of this many damages")
    parser.add_argument("--seed", type=int, help="choose them at random")
    parser.add_argument("--what", default="", help="damages with this text in their description")
    parser.add_argument("--first", type=int, default=0, help="number of the first")
    parser.add_argument("--only", default="", help="files with this text in their path")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        return try_all(Path(place), given)


if __name__ == "__main__":
    sys.exit(main())
