"""``validate`` and ``init-project`` as a new user and an enemy meet them."""

from __future__ import annotations

import itertools
import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import PROGRAM, Cli
from dataset_layouts import put_data
from filled_in import EXAMPLE, fill_in

from taorunner.catalog.load import network_names

SSD = 'dssd_config { arch: "resnet" nlayers: 18 }\ntraining_config { num_epochs: 2 }\n'


@pytest.fixture
def project(workspace_factory: Callable[..., Path]) -> Path:
    """The interface page's project, with the folders it names."""
    return workspace_factory(
        EXAMPLE,
        specs={"dssd_resnet18_01/train.txt": SSD},
        data={"kitti_detection/train/": ""},
        repositories={"pretrained_object_detection/pretrained_object_detection_vresnet18/resnet_18.hdf5": ""},
    )


def experiments_file(root: Path) -> Path:
    return root / "projects" / "example_01" / "experiments.yml"


def test_the_interface_page_validates_unchanged(cli: Cli, project: Path) -> None:
    done = cli("validate", "--strict", cwd=project)
    assert (done.code, done.out, done.err) == (
        0,
        "example_01: 1 experiment, 1 spec, 1 dataset\nno problems\n",
        "",
    )
    assert cli("validate", "--json", cwd=project).json == []


def test_all_findings_at_once_with_their_places(cli: Cli, project: Path) -> None:
    text = EXAMPLE.replace("head: dssd", "head: dsssd").replace("fp16 ", "fp61 ").replace("gpus: 1", "gpu: 1")
    experiments_file(project).write_text(text)
    done = cli("validate", "--json", cwd=project)
    assert done.code == 3
    found = [(item["line"], item["column"], item["code"], item["hint"]) for item in done.json]
    assert [place[:3] for place in found] == [
        (2, 3, "unknown-key"),
        (6, 11, "unknown-head"),
        (12, 18, "wrong-value"),
    ]
    assert [hint for *_, hint in found[:2]] == ['did you mean "gpus"?', 'did you mean "dssd"?']
    for item in done.json:
        assert list(item) == ["severity", "code", "message", "hint", "file", "line", "column"]
        assert item["severity"] == "error"
    plain = cli("validate", cwd=project).out
    assert re.search(r"experiments\.yml:6:11: error: .*dsssd.*\[unknown-head\]", plain)
    assert plain.splitlines()[-1].endswith("; a start would be refused")


def test_what_tao_would_refuse_in_the_container_is_reported_at_its_place(cli: Cli, tmp_path: Path) -> None:
    root = tmp_path / "ws"
    words = ("init-project", "p", "--head", "dino", "--experiment", "e", "--no-weights")
    made = cli(*words, "--workspace", root, cwd=tmp_path)
    assert made.code == 0, made.err
    assert "is empty: data/train [empty-dataset]" in cli("validate", cwd=root).out
    assert "[fill-in]" in cli("validate", cwd=root).out
    fill_in(root / "projects/p")
    put_data("dino", root / "projects/p/data/train")
    assert cli("validate", cwd=root).out.splitlines()[-1] == "no problems"
    spec = root / "projects/p/specs/e/train.yaml"
    spec.write_text(spec.read_text().replace("checkpoint_interval: 1 ", "checkpoint_interval: 13 "))
    done = cli("validate", cwd=root)
    assert done.code == 3
    line = next(
        n for n, text in enumerate(spec.read_text().splitlines(), 1) if "checkpoint_interval: 13" in text
    )
    assert done.out.splitlines()[0] == (
        f'projects/p/specs/e/train.yaml:{line}:24: error: "train.checkpoint_interval" is 13, and there are 12 epochs: '
        "the training stops at its start [interval-beyond-epochs]"
    )
    assert "hint: use 12 or less" in done.out
    refused = cli("train", "e", "--dry-run", cwd=root)
    assert (refused.code, "interval-beyond-epochs" in refused.err) == (3, True)


def test_strict_makes_warnings_errors(cli: Cli, project: Path) -> None:
    (project / "projects/example_01/data/notes.txt").touch()
    done = cli("validate", "--json", cwd=project)
    assert (done.code, [item["severity"] for item in done.json]) == (0, ["warning"])
    strict = cli("validate", "--strict", "--json", cwd=project)
    assert (strict.code, [item["severity"] for item in strict.json]) == (3, ["error"])


def bomb(path: Path) -> None:
    names = "abcdefghij"
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]" for old, new in itertools.pairwise(names)]
    path.write_text("\n".join(lines) + "\nexperiments: *j\n")


def loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


WRONG: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_text(""),
    "only a comment": lambda path: path.write_text("# nothing\n"),
    "a list": lambda path: path.write_text("- a\n- b\n"),
    "a number": lambda path: path.write_text("42\n"),
    "tabs": lambda path: path.write_text("experiments:\n\te1:\n\t\thead: ssd\n"),
    "not closed": lambda path: path.write_text("experiments: {a: [1, 2\n"),
    "50 MB": lambda path: path.write_text("# x\n" * 13_000_000),
    "50 MB in a line": lambda path: path.write_text("a: " + "x" * 50_000_000),
    "alias bomb": bomb,
    "deep": lambda path: path.write_text("[" * 100_000),
    "binary": lambda path: path.write_bytes(bytes(range(256)) * 40),
    "nul": lambda path: path.write_bytes(b"experiments:\n  a\0b: {}\n"),
    "latin-1": lambda path: path.write_bytes(b"experiments:\n  e1: {head: ssd, description: gr\xfc\xdfe}\n"),
    "utf-16": lambda path: path.write_text("experiments: {}\n", encoding="utf-16"),
    "a directory": folder,
    "missing": lambda path: path.unlink(),
    "a symlink to itself": loop,
    "experiments a list": lambda path: path.write_text("experiments: [a, b]\n"),
    "experiments nothing": lambda path: path.write_text("experiments:\n"),
    "an experiment nothing": lambda path: path.write_text("experiments:\n  e1:\n"),
    "a name with dots": lambda path: path.write_text("experiments:\n  ../e1: {head: ssd, dataset: a}\n"),
    "a name with blanks": lambda path: path.write_text('experiments:\n  "e 1": {head: ssd, dataset: a}\n'),
    "a dataset outside": lambda path: path.write_text(
        "experiments:\n  e1: {head: dino, dataset: ../../etc}\n"
    ),
    "extends itself": lambda path: path.write_text("experiments:\n  e1: {extends: e1}\n"),
    "a key twice": lambda path: path.write_text("experiments:\n  e1: {head: dino, head: ssd, dataset: a}\n"),
    "a python object": lambda path: path.write_text("experiments: !!python/object/apply:os.system [id]\n"),
    "two documents": lambda path: path.write_text("experiments: {}\n---\nexperiments: {}\n"),
    "a key that is a map": lambda path: path.write_text("? {a: b}\n: c\n"),
    "a huge number": lambda path: path.write_text(
        "tao_config: {gpus: 1" + "0" * 5000 + "}\nexperiments: {}\n"
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_files_give_findings_with_their_place(name: str, cli: Cli, project: Path) -> None:
    path = experiments_file(project)
    WRONG[name](path)
    began_s = time.monotonic()
    done = cli("validate", "--json", cwd=project)
    assert time.monotonic() - began_s < 20
    assert done.code == 3, done.out
    assert done.err == ""
    found = [item for item in done.json if item["severity"] == "error"]
    assert found
    for item in found:
        assert item["file"].endswith(str(Path(item["file"]).name))
        assert (
            item["message"][0].islower()
            or item["message"][0] in "\"'[0123456789"
            or item["message"].startswith("YAML")
        )
        assert "Traceback" not in item["message"]
        assert len(item["message"]) < 400
        assert item["hint"] or item["line"]
    plain = cli("validate", cwd=project)
    assert (plain.code, "Traceback" in plain.out + plain.err) == (3, False)
    assert len(plain.out) < 8000
    action = cli("-p", "example_01", "train", "dssd_resnet18_01", cwd=project)
    is_only_name = "[unknown-experiment]" in action.err and action.err.count("error: ") == 1
    assert (action.code, "Traceback" in action.out + action.err) == (2 if is_only_name else 3, False)


def test_an_unreadable_file_is_a_finding(cli: Cli, project: Path) -> None:
    experiments_file(project).chmod(0)
    caps = "-dac_override,-dac_read_search"
    as_anybody = ["setpriv", f"--bounding-set={caps}", f"--inh-caps={caps}"] if os.geteuid() == 0 else []
    done = cli("validate", cwd=project, program=[*as_anybody, *PROGRAM])
    assert (done.code, "permission" in done.out.lower() or "may not be read" in done.out) == (3, True), done


def test_misplaced_things_are_found_with_the_place_where_they_belong(cli: Cli, project: Path) -> None:
    home = project / "projects" / "example_01"
    (home / "train.txt").write_text("")
    (home / "notes").mkdir()
    (home / "specs" / "nobody").mkdir()
    done = cli("validate", "--json", cwd=project)
    named = {Path(item["file"]).name for item in done.json}
    assert {"train.txt", "notes", "nobody"} <= named
    assert all(item["hint"] for item in done.json)


def test_stray_things_in_the_folder_of_projects_are_found_when_no_project_is_named(
    cli: Cli, project: Path
) -> None:
    (project / "projects" / "train.txt").write_text("")
    (project / "projects" / "my project").mkdir()
    found = {Path(item["file"]).name: item["code"] for item in cli("validate", "--json", cwd=project).json}
    assert (found["train.txt"], found["my project"]) == ("misplaced-file", "wrong-name")
    named = {Path(item["file"]).name for item in cli("validate", "--json", "example_01", cwd=project).json}
    assert not {"train.txt", "my project"} & named


def test_a_loop_of_links_in_the_tree_ends(cli: Cli, project: Path) -> None:
    data = project / "projects" / "example_01" / "data"
    (data / "loop").symlink_to(data)
    (project / "projects" / "around").symlink_to(project / "projects")
    assert cli("validate", cwd=project).code in (0, 3)


def test_names_that_cannot_be_are_refused(cli: Cli, project: Path) -> None:
    for name in ("../x", "a b", "ä", "a/b", "-x", ".", "..", "", "a\nb", "x" * 300):
        done = (
            cli("init-project", "--", name, cwd=project)
            if name == "-x"
            else cli("init-project", name, cwd=project)
        )
        assert done.code == 2, (name, done)
        assert done.err.startswith("error: ")
        assert "Traceback" not in done.err
        assert cli("validate", "--", name, cwd=project).code == 2 if name == "-x" else True
    assert sorted(path.name for path in (project / "projects").iterdir()) == ["example_01"]


def test_what_cannot_be_trained_cannot_be_started_with(cli: Cli) -> None:
    done = cli("init-project", "new", "--head", "radio")
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith(
        'error: there are no spec files to start "radio" with\nhint: heads with spec files: action_recognition, '
    )


# One of each family; every network: tests/planning/test_new_project.py.
@pytest.mark.parametrize("head", ["dssd", "efficientdet_tf2", "rtdetr", "bpnet", "tinydet"])
def test_a_new_project_validates_and_can_be_planned(head: str, cli: Cli, tmp_path: Path) -> None:
    made = cli("init-project", "new", "--head", head, "--workspace", tmp_path / "ws", cwd=tmp_path)
    assert made.code == 0, made.err
    root = tmp_path / "ws"
    assert made.err.startswith("weights   ") and "\nnext: put " in made.out
    fill_in(root / "projects/new")
    put_data(head, root / "projects/new/data/train")
    checked = cli("validate", "new", "--json", cwd=root)
    assert checked.code == (3 if any(item["severity"] == "error" for item in checked.json) else 0), (
        checked.out
    )
    expected = ("pretrained-missing", "not-made-yet", "image-size")
    assert [item for item in checked.json if item["code"] not in expected] == []
    for item in [item for item in checked.json if item["code"] == "pretrained-missing"]:
        missing = Path(re.findall(r"\((/.*?)\)", item["message"])[0])
        missing.mkdir(parents=True)
        (missing / "weights.hdf5").write_text("")
    assert cli("validate", cwd=root).code == 0
    (experiment,) = (path.name for path in (root / "projects/new/specs").iterdir())
    planned = cli("train", experiment, "--dry-run", "--json", cwd=root)
    assert planned.code == 0, planned.err
    spec = Path(planned.json[0]["spec"]).read_text() if planned.json[0]["spec"] else ""
    assert not re.search(r"(?<!\$)\$(dataset|results|pretrained|num_gpus|gpu_ids)", re.sub(r"#.*", "", spec))


def test_the_schema_knows_every_network(cli: Cli) -> None:
    done = cli("schema")
    assert done.code == 0
    assert set(network_names()) <= set(re.findall(r'"([a-z0-9_]+)"', done.out))
    assert json.loads(done.out)["type"] == "object"


def test_a_workspace_by_option_and_by_variable(cli: Cli, project: Path, tmp_path: Path) -> None:
    for done in (
        cli("validate", "--workspace", project),
        cli("--workspace", project, "validate"),
        cli("validate", env={"TAORUNNER_WORKSPACE": str(project)}),
    ):
        assert (done.code, done.out.splitlines()[-1]) == (0, "no problems")
    gone = cli("validate", "--workspace", tmp_path / "gone")
    assert gone.code in (2, 3)
    assert str(tmp_path / "gone") in gone.err


def test_verbose_is_accepted_before_or_after_the_command(cli: Cli, project: Path) -> None:
    model = project / "projects/example_01/models/dssd_resnet18_01/export"
    model.mkdir(parents=True)
    (model / "dssd_resnet18_epoch_080.etlt").touch()
    (model / "dssd_resnet18_epoch_080.onnx").touch()
    plain = cli("validate", cwd=project)
    behind, before = (cli(*words, cwd=project) for words in (("validate", "-v"), ("-v", "validate")))
    assert behind.out == before.out
    assert (plain.code, behind.code) == (0, 0)
    infos = behind.out.count(": info: ")
    notes = f"{infos} note{'s' * (infos != 1)}: taorunner validate example_01 -v\n" if infos else ""
    assert plain.out == f"example_01: 1 experiment, 1 spec, 1 dataset\nno problems\n{notes}"
    assert cli("-q", "validate", cwd=project).out == "no problems\n"
    assert behind.out.startswith("example_01: 1 experiment, 1 spec, 1 dataset\n")  # what was looked at
    assert infos == 0 or behind.out.splitlines()[-1] == f"{infos} info{'s' * (infos != 1)} in example_01"
