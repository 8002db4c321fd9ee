"""Wrong use of every kind, and surroundings that are against us."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_line import PROGRAM, Cli, wait_for

SPEC = """\
results_dir: $results_dir
dataset_convert:
  root_directory_path: $dataset_raw
  val_split: 20
  output_filename: $dataset_tfrecord/tfrecord
model: {backbone: tiny, input_width: 32, input_height: 32}
dataset:
  train_tfrecords: $dataset_tfrecord/tfrecord-fold-001*
  val_tfrecords: $dataset_tfrecord/tfrecord-fold-000*
  class_names: [circle, square, triangle]
train: {num_epochs: 2, batch_size: 8, checkpoint_interval: 1}
"""


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny dataset, made once."""
    folder = tmp_path_factory.mktemp("pictures") / "shapes"
    subprocess.run(
        [sys.executable, "-m", "taorunner.embedded", "sample-dataset", folder, "--images", "20", "--size", "32"],
        check=True, capture_output=True, cwd=tmp_path_factory.getbasetemp(),
    )  # fmt: skip
    return folder


def fill(root: Path, images: Path, name: str = "p") -> Path:
    home = root / "projects" / name
    for folder in ("data", "models", "specs/e1"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    shutil.copytree(images, home / "data" / "shapes")
    dataset = "shapes/train" if (home / "data/shapes/train").is_dir() else "shapes"
    (home / "experiments.yml").write_text(f"experiments:\n  e1: {{head: tinydet, dataset: {dataset}}}\n")
    (home / "specs/e1/train.yaml").write_text(SPEC)
    (home / "specs/e1/convert.yaml").write_text(SPEC)
    return root


@pytest.fixture
def workspace(tmp_path: Path, images: Path) -> Path:
    return fill(tmp_path / "workspace", images)


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def no_traceback(*texts: str) -> None:
    for text in texts:
        assert "Traceback" not in text
        assert "internal error" not in text


WRONG = [
    (["train"], 2, 'error: missing argument "EXPERIMENT"'),
    (["train", "e1", "--all"], 2, '--all cannot be combined with "e1"'),
    (["train", "x*"], 2, 'no experiment matches "x*"'),
    (["train", "x*/e1"], 2, 'no project matches "x*"'),
    (["train", "q/e1"], 2, '"q/e1": no project "q"'),
    (["train", "a/p/e1"], 2, '"a/p/e1" is not PROJECT/EXPERIMENT'),
    (["train", "p/"], 2, '"p/" is not PROJECT/EXPERIMENT'),
    (["train", "e2"], 2, 'there is no experiment "e2" in project "p"'),
    (["train", "../e1"], 2, '"../e1" is not PROJECT/EXPERIMENT'),
    (["train", "e 1"], 2, 'there is no experiment "e 1"'),
    (["train", "ë1"], 2, 'there is no experiment "ë1"'),
    (["train", ""], 2, 'there is no experiment ""'),
    (["train", "e1", "--gpus", "two"], 2, '--gpus cannot be "two"'),
    (["train", "e1", "--gpus", "-1"], 2, '--gpus cannot be "-1"'),
    (["train", "e1", "--gpu-indices", "0,0"], 2, 'distinct ids such as 0,1, or auto, not "0,0"'),
    (["train", "e1", "--gpu-indices", "0,"], 2, 'not "0,"'),
    (["train", "e1", "--set", "x"], 2, '--set takes KEY=VALUE, not "x"'),
    (["train", "e1", "--set", "=x"], 2, "--set takes KEY=VALUE"),
    (["convert", "e1", "--set", "dataset_convert.nonsense=1"], 2, "dataset_convert.nonsense"),
    (["train", "e1", "--set", "train.nonsense=1", "--force"], 2, "train.nonsense"),
    (["train", "e1", "--parallel", "0"], 2, '--parallel must be a whole number of at least 1, not "0"'),
    (["train", "e1", "--grace", "-1"], 2, '--grace must be a number of at least 0, not "-1"'),
    (["train", "e1", "--backend", "moon"], 2, 'there is no backend "moon"'),
    (["train", "e1", "--backend", "docker"], 2, "runs only on the embedded backend"),
    (["train", "e1", "--checkpoint"], 2, '"--checkpoint" requires an argument'),
    (["train", "e1", "--project", "q"], 2, 'no project "q"'),
    (["train", "e1", "--workspace", "/nowhere"], 2, "/nowhere"),
    (["run", "fly", "e1"], 2, '"fly"'),
    (["evaluate", "e1"], 3, "there is no checkpoint in"),
    (["evaluate", "e1", "--checkpoint", "../../etc/passwd"], 2, "../../etc/passwd"),
    (["stop"], 2, "nothing selected: give RUN, --queued or --all"),
    (["stop", "nothing"], 6, 'no run "nothing"'),
    (["logs", "nothing"], 6, 'no run "nothing"'),
    (["logs", "../../etc"], 2, '"../../etc" is not a run id'),
    (["logs", "e1", "--tail", "x"], 2, '--tail must be a whole number of at least 0, not "x"'),
    (["attach", "nothing"], 6, 'no run "nothing"'),
    (["runs", "show", "nothing"], 6, 'no run "nothing"'),
    (["runs", "show", ".."], 2, '".." is not a run id'),
    (["runs", "list", "--limit", "0"], 2, '--limit must be a whole number of at least 1, not "0"'),
    (["runs", "fly"], 2, 'no such command "fly"'),
    (["networks", "dinoo"], 2, '"dinoo" is not a network'),
    (["networks", "dino", "--release", "1.0"], 2, 'release "1.0"'),
    (["networks", "../../releases"], 2, '"../../releases" is not a network'),
    (["validate", "--", "x"], 2, 'no words after "--"'),
    (["init-project", "p"], 3, 'there is already a project "p"'),
    (["init-project", "new", "--head", "dinoo"], 2, '"dinoo" is not a network'),
    (["init-project", "new", "--experiment", "a b"], 2, '"a b"'),
    (["init-project", "new", "--dataset", "../x"], 2, "../x"),
    (["quickstart", "projects"], 3, "is not empty"),
    (["quickstart", "new", "--images", "3"], 2, '--images must be a whole number from 40 to 5000, not "3"'),
    (["frobnicate"], 2, 'no such command "frobnicate"'),
    (["--frobnicate"], 2, "no such option: --frobnicate"),
    (["train", "e1", "--weight-decay", "5"], 2, "--set KEY=VALUE changes a key of the spec"),
    (["train", "e1", "--learning_rate", "5"], 2, 'did you mean "--lr"?'),
    (["train", "e1", "--epochs", "0"], 2, '--epochs must be a whole number of at least 1, not "0"'),
    (["train", "e1", "--lr", "-1"], 2, '--lr must be a number above 0, not "-1"'),
    (["train", "e1", "--gpu-indexes", "0"], 2, 'did you mean "--gpu-indices"?'),
    (["ps", "--frobnicate"], 2, "taorunner ps --help"),
]


@pytest.mark.parametrize(("words", "code", "said"), WRONG, ids=[" ".join(words) for words, *_ in WRONG])
def test_wrong_use_is_answered_with_what_where_and_what_next(
    words: list[str], code: int, said: str, cli: Cli, workspace: Path
) -> None:
    done = cli(*words, cwd=workspace)
    no_traceback(done.out, done.err)
    assert (done.code, said in done.err + done.out) == (code, True), done
    if code != 1:
        assert re.search(r"^(error: ([^A-Z]|TAO )|.*: error: )", done.err), done.err
        assert done.err.count("\n") <= 12
        assert "hint: " in done.err or "such as" in done.err, done.err
        assert not (workspace / ".taorunner/runs").exists()


@pytest.mark.parametrize("name", ["-dash ünïcödé 警", "with blanks, qu'o\"te, $HOME;id, a\\b, %s{x}"])
def test_the_workspace_may_lie_anywhere(name: str, cli: Cli, tmp_path: Path, images: Path) -> None:
    root = fill(tmp_path / name, images)
    assert cli("validate", "--strict", cwd=root).code == 0
    done = cli("convert", "e1", cwd=root)
    assert done.code == 0, done.out + done.err
    trained = cli("train", "e1", "--set", "train.num_epochs=1", "--json", cwd=root)
    assert trained.code == 0, trained.out + trained.err
    assert trained.events[-1].get("state") == "SUCCEEDED", trained.out[-1500:]
    again = cli("attach", trained.events[-1]["run"], "--json", cwd=root)  # all at once, long after its end
    assert [event["event"] for event in again.events][-2:] == ["LogLine", "RunFinished"]
    (run,) = [run for run in cli("runs", "list", "--json", cwd=root).json if run["action"] == "train"]
    assert Path(run["directory"]).parent == root / ".taorunner/runs"
    shown = cli("train", "e1", "--dry-run", "--overwrite", "--json", cwd=root)
    assert shown.code == 0, shown.err


def test_files_named_like_modules_do_not_break_us(cli: Cli, workspace: Path) -> None:
    bad = "raise SystemExit('the wrong module was imported')\n"
    for place in (workspace, workspace / "projects", workspace / "projects/p/models"):
        for name in (
            "types",
            "random",
            "json",
            "numpy",
            "typing",
            "taorunner",
            "logging",
            "queue",
            "docker",
            "site",
        ):
            (place / f"{name}.py").write_text(bad)
    script = [str(Path(sys.executable).parent / "taorunner")]
    for action in ("convert", "train"):
        done = cli("-p", "p", action, "e1", cwd=workspace, program=script)
        assert done.code == 0, done.out + done.err
    assert cli("ps", cwd=workspace, program=script).code == 0


@pytest.mark.parametrize(
    "environment",
    [
        {"HOME": "", "TERM": "", "COLUMNS": "x"},
        {"TERM": "dumb", "COLUMNS": "1"},
        {"NO_COLOR": "1", "COLUMNS": "20"},
        {"COLUMNS": "0", "LINES": "0", "TAORUNNER_PROJECT": "p"},
        {"LANG": "C", "LC_ALL": "C"},
        {"LANG": "nonsense", "LC_ALL": "nonsense"},
        {"PYTHONIOENCODING": "ascii", "TMPDIR": "/nowhere"},
        {"PYTHONWARNINGS": "error", "PYTHONDEVMODE": "1"},
        {"PATH": "/nowhere"},
    ],
    ids=lambda environment: ",".join(f"{key}={value}" for key, value in environment.items()),
)
def test_odd_surroundings(environment: dict[str, str], cli: Cli, workspace: Path) -> None:
    for words in (["convert", "e1"], ["runs", "show", "e1"], ["networks", "dino"]):
        done = cli(*words, cwd=workspace, env=environment)
        assert done.code == 0, done
        no_traceback(done.out, done.err)
        assert "\x1b" not in done.out


def test_without_a_home(cli: Cli, workspace: Path) -> None:
    environment = {
        key: value for key, value in cli.environment().items() if key not in ("HOME", "USER", "LANG")
    }
    done = subprocess.run(
        [*PROGRAM, "convert", "e1"],
        cwd=workspace,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "closed"),
    [
        *itertools.product(
            ["--help", "networks", "validate", "convert e1", "train nothing"],
            [">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full"],
        ),
        *itertools.product(["convert e1"], ["<&-", "</dev/full"]),
    ],
)
def test_closed_streams(words: str, closed: str, cli: Cli, workspace: Path) -> None:
    done = cli(
        "-c",
        f'exec "{sys.executable}" -m taorunner {words} {closed}',
        program=["sh"],
        cwd=workspace,
        timeout_s=30,
    )
    no_traceback(done.out, done.err)
    assert "Exception ignored" not in done.err
    if words == "train nothing":
        assert done.code == 2
    if words == "convert e1":
        wait_for(lambda: "SUCCEEDED" in records(workspace))


def records(workspace: Path) -> str:
    return " ".join(path.read_text() for path in (workspace / ".taorunner/runs").glob("*/record.json"))


@pytest.mark.parametrize(
    "words", ["networks", "schema", "networks --json", "runs list", "--help", "logs -f e1"]
)
def test_a_reader_that_leaves(words: str, cli: Cli, workspace: Path) -> None:
    assert cli("convert", "e1", cwd=workspace).code == 0
    done = cli("-c", f'"{sys.executable}" -m taorunner {words} | head -1', program=["bash"], cwd=workspace)
    assert done.err == ""
    assert len(done.out.splitlines()) <= 1


def test_a_reader_that_leaves_does_not_end_the_run(cli: Cli, workspace: Path) -> None:
    assert cli("convert", "e1", cwd=workspace).code == 0
    done = cli("-c", f'"{sys.executable}" -m taorunner train e1 | head -1', program=["bash"], cwd=workspace)
    no_traceback(done.err)
    wait_for(lambda: records(workspace).count("SUCCEEDED") == 2)


def test_a_full_disk_is_reported(cli: Cli, workspace: Path, tmpfs: Path) -> None:
    (workspace / ".taorunner").symlink_to(tmpfs)
    (tmpfs / "filler").write_bytes(b"x" * 2 * 1024 * 1024)
    done = cli("convert", "e1", cwd=workspace)
    no_traceback(done.out, done.err)
    assert (done.code, "no space left" in done.err.lower()) == (4, True), done
    assert cli("validate", cwd=workspace).code == 0
    assert cli("ps", cwd=workspace).code == 0


def test_a_disk_that_fills_up_under_a_run(cli: Cli, workspace: Path, tmpfs: Path) -> None:
    assert cli("convert", "e1", cwd=workspace).code == 0
    models = workspace / "projects/p/models"
    models.rmdir() if not any(models.iterdir()) else shutil.rmtree(models)
    models.symlink_to(tmpfs)
    (tmpfs / "filler").write_bytes(b"x" * (2 * 1024 * 1024 - 8192))
    done = cli("train", "e1", cwd=workspace)
    assert done.code == 1, done
    assert "the disk is full" in done.out
    assert "No space left" in done.out


def test_a_read_only_workspace(cli: Cli, workspace: Path, tmp_path: Path) -> None:
    place = tmp_path / "read-only"
    place.mkdir()
    mounted = subprocess.run(["mount", "--bind", workspace, place], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", place], check=True, capture_output=True)
        for words in (["validate"], ["ps"], ["runs", "list"]):
            done = cli(*words, cwd=place)
            assert done.code == 0, done
        for words in (["convert", "e1"], ["convert", "e1", "--dry-run"], ["init-project", "new"]):
            done = cli(*words, cwd=place)
            no_traceback(done.out, done.err)
            assert (done.code, "read-only" in done.err.lower()) == (4, True), done
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def test_a_state_folder_that_is_a_file(cli: Cli, workspace: Path) -> None:
    (workspace / ".taorunner").write_text("")
    done = cli("convert", "e1", cwd=workspace)
    no_traceback(done.out, done.err)
    assert done.code in (3, 4), done
    assert ".taorunner" in done.err


def test_spoilt_records(cli: Cli, workspace: Path) -> None:
    assert cli("convert", "e1", cwd=workspace).code == 0
    runs = workspace / ".taorunner/runs"
    (good,) = runs.iterdir()
    for name, text in {"a": "", "b": "{", "c": "[]", "d": '{"id": 1}', "e": "\0\0"}.items():
        (runs / name).mkdir()
        (runs / name / "record.json").write_text(text)
    (runs / "zz").write_text("a file")  # not a part of any run id, which ends in hexadecimal digits
    (good / "events.jsonl").write_bytes(
        b"\xff\xfe\n{}\n[]\n" + (good / "events.jsonl").read_bytes() + b'{"event": "Run'
    )
    listed = cli("runs", "list", "--json", cwd=workspace)
    assert sorted(run["state"] for run in listed.json) == [*["DAMAGED"] * 5, "SUCCEEDED"]
    assert cli("runs", "show", "e1", "--json", cwd=workspace).json[0]["state"] == "SUCCEEDED"
    for name in ("a", "b", "c", "d", "e", "zz"):
        done = cli("runs", "show", name, cwd=workspace)
        no_traceback(done.out, done.err)
        assert done.code in (2, 6) or " damaged: record.json" in done.out, done


def test_json_is_alone_on_stdout(cli: Cli, workspace: Path) -> None:
    done = cli("convert", "e1", "--json", cwd=workspace)
    kinds = [event["event"] for event in done.events]
    assert kinds[0] == "RunQueued"
    assert kinds[-1] == "RunFinished"
    assert all(json.dumps(event) for event in done.events)
    for words in (
        ["ps"],
        ["runs", "list"],
        ["runs", "show", "e1"],
        ["validate"],
        ["networks"],
        ["networks", "dino"],
    ):
        assert isinstance(cli(*words, "--json", cwd=workspace).json, (list, dict))
    refused = cli("convert", "e1", "--json", cwd=workspace)
    assert refused.code == 3 and {one["severity"] for one in refused.json} == {
        "error"
    }  # one line of findings


def test_the_local_backend_says_what_is_not_installed(
    cli: Cli, workspace_factory: Callable[..., Path], tao_commands: Callable[..., dict[str, str]]
) -> None:
    root = workspace_factory(
        "experiments:\n  e1: {head: dino, dataset: d, backend: local, release: 7.0.1, env: {FAKE_EPOCHS: '1'}}\n",
        specs={"e1/train.yaml": "results_dir: $results_dir\ntrain:\n  num_epochs: 1\n"},
        data={"d/": ""},
    )
    missing = cli("train", "e1", cwd=root)
    assert missing.code == 4, missing
    assert '"dino"' in missing.err
    done = cli("train", "e1", cwd=root, env=tao_commands("pyt_7"))
    assert done.code == 0, done
    seen = json.loads((root / "projects/example_01/models/e1/seen.json").read_text())
    assert f"results_dir={root}/projects/example_01/models/e1" in seen["argv"]
    assert os.geteuid() == seen["uid"]
