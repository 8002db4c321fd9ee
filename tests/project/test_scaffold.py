from __future__ import annotations

import json
import os
from pathlib import Path

import jsonschema
import pytest

from taorunner.errors import MachineError, UsageError, UserFilesError
from taorunner.project.layout import check_layout, check_projects_folder
from taorunner.project.load import load_project
from taorunner.project.scaffold import create_project, scaffold_heads
from taorunner.project.workspace import Workspace, find_workspace
from taorunner.yaml_reader import read_yaml


def tree(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix() + ("/" if path.is_dir() else "") for path in folder.rglob("*")
    )


def test_new_project_makes_the_workspace_around_it(tmp_path: Path) -> None:
    made = create_project(tmp_path / "ws", "first", "dssd", "resnet18", heads=["dssd", "ssd"])
    project = tmp_path / "ws" / "projects" / "first"
    specs = tree(project / "specs" / "dssd_resnet18_01")
    assert "train.txt" in specs
    assert tree(tmp_path / "ws") == sorted([
        ".taorunner/", ".taorunner/.gitignore", ".taorunner/experiments.schema.json", "projects/", "projects/first/",
        "projects/first/data/", "projects/first/data/train/", "projects/first/experiments.yml",
        "projects/first/models/", "projects/first/specs/", "projects/first/specs/dssd_resnet18_01/",
        *(f"projects/first/specs/dssd_resnet18_01/{name}" for name in specs), "repositories/",
    ])  # fmt: skip
    assert made == [
        tmp_path / "ws" / "projects", tmp_path / "ws" / "repositories", tmp_path / "ws" / ".taorunner",
        project / "experiments.yml", project / "data" / "train", project / "models",
        *(project / "specs" / "dssd_resnet18_01" / name for name in specs),
    ]  # fmt: skip
    assert (tmp_path / "ws" / ".taorunner" / ".gitignore").read_text() == "*\n"
    assert find_workspace(project / "data", None, {}).root == tmp_path / "ws"


@pytest.mark.parametrize("head", scaffold_heads())
def test_new_project_has_no_findings(tmp_path: Path, head: str) -> None:
    create_project(tmp_path, "new", head, needs=["model_key"], heads=[head])
    workspace = Workspace(tmp_path)
    project = load_project(workspace, "new")
    assert [*project.findings, *check_layout(project), *check_projects_folder(workspace)] == []
    assert [experiment.head for experiment in project.experiments.values()] == [head]


def test_editor_finds_the_schema_and_the_file_fits_it(tmp_path: Path) -> None:
    create_project(tmp_path, "new", "dssd", heads=["dssd"])
    file = Workspace(tmp_path).project("new").experiments_file
    first = file.read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=../../.taorunner/experiments.schema.json"
    schema = json.loads((file.parent / first.partition("=")[2]).resolve().read_text())
    jsonschema.validate(read_yaml(file.read_text()).value, schema, jsonschema.Draft202012Validator)
    assert schema["$defs"]["ExperimentEntry"]["properties"]["head"]["enum"] == ["dssd"]


def test_keys_are_those_that_the_network_needs(tmp_path: Path) -> None:
    create_project(tmp_path, "bare", "dssd", gpus=0)
    create_project(
        tmp_path, "full", "dssd", experiment="mine", dataset="kitti/train",
        needs=["model_key", "export_model", "export_type"], values={"repository": "own", "backbone": "vgg19"},
    )  # fmt: skip
    workspace = Workspace(tmp_path)
    bare = load_project(workspace, "bare").experiments["dssd_01"]
    assert (bare.gpus, bare.backbone, bare.repository, bare.model_key) == (0, None, None, None)
    full = load_project(workspace, "full").experiments["mine"]
    assert (full.gpus, full.backbone, full.repository, full.dataset) == (1, "vgg19", "own", "kitti/train")
    assert (full.model_key, full.export_model, full.export_type) == ("tlt_encode", "model", "fp16")
    assert (workspace.project("full").root / "data" / "kitti" / "train").is_dir()


def test_commented_lines_work_when_the_comment_is_removed(tmp_path: Path) -> None:
    create_project(tmp_path, "new", "codetr")
    workspace = Workspace(tmp_path)
    file = workspace.project("new").experiments_file
    lines = file.read_text().splitlines()
    text = "\n".join(
        line.replace("# ", "", 1) if line.startswith("  ") and "# " in line[:10] else line
        for line in lines
        if "variation" not in line
    )
    file.write_text(text)
    project = load_project(workspace, "new")
    assert project.findings == ()
    assert list(project.experiments) == ["codetr_01", "codetr_02"]
    first = project.experiments["codetr_01"]
    assert (first.vars, first.overrides, first.shm_bytes) == (
        {"batch_size": 8},
        {"some.dotted.key": 12},
        16 * 1024**3,
    )


def test_what_command_lines_need_is_below_vars(tmp_path: Path) -> None:
    create_project(tmp_path, "new", "lprnet")
    file = Workspace(tmp_path).project("new").experiments_file
    assert "      image_dir: $dataset_raw/val/image  # the images of inference\n" in file.read_text()
    (experiment,) = load_project(Workspace(tmp_path), "new").experiments.values()
    assert experiment.vars == {"image_dir": "$dataset_raw/val/image"}
    assert not (experiment.spec_dirs[0] / "vars.yml").exists()


@pytest.mark.parametrize("name", ["01", "1e3", "true", "null", "1.5", "0x10"])
def test_names_that_yaml_would_read_as_something_else_are_quoted(tmp_path: Path, name: str) -> None:
    create_project(tmp_path, name, "dssd", experiment=name, dataset=name, values={"backbone": name})
    project = load_project(Workspace(tmp_path), name)
    assert project.findings == ()
    assert (project.experiments[name].backbone, project.experiments[name].dataset) == (name, name)


def test_second_project_joins_the_workspace(tmp_path: Path) -> None:
    create_project(tmp_path, "one", "dssd")
    (tmp_path / ".taorunner" / ".gitignore").write_text("mine\n")
    made = create_project(tmp_path, "two", "ssd")
    assert made[0] == tmp_path / "projects" / "two" / "experiments.yml"
    assert (tmp_path / ".taorunner" / ".gitignore").read_text() == "mine\n"
    assert Workspace(tmp_path).project_names() == ("one", "two")


@pytest.mark.parametrize("make", ["folder", "file", "broken link"])
def test_nothing_is_ever_written_over(tmp_path: Path, make: str) -> None:
    there = tmp_path / "projects" / "p"
    there.parent.mkdir()
    {"folder": there.mkdir, "file": there.touch, "broken link": lambda: there.symlink_to("gone")}[make]()
    with pytest.raises(UserFilesError) as error:
        create_project(tmp_path, "p", "dssd")
    assert error.value.message == f'there is already a project "p" ({there})'
    assert error.value.hint == 'choose another name, or check it with "taorunner validate p"'
    assert tree(tmp_path) in (["projects/", "projects/p"], ["projects/", "projects/p/"])


@pytest.mark.parametrize("name", ["../p", "a/b", "", "a b", ".hidden"])
def test_bad_name_makes_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a project"):
        create_project(tmp_path, name, "dssd")
    assert tree(tmp_path) == []


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"experiment": "a b"}, '"a b" cannot be the name of an experiment'),
        ({"backbone": "a b"}, '"dssd_a b_01" cannot be the name of an experiment'),
        (
            {"dataset": "../x"},
            '"dataset" must be a folder below data/, such as kitti_detection/train, not "../x"',
        ),
        (
            {"values": {"repository": "a/b"}},
            '"repository" must be the name of a folder below repositories/, not "a/b"',
        ),
        ({"values": {"model_key": "s3cret\n"}}, '"model_key" must be a text, env:NAME or file:PATH'),
    ],
)
def test_bad_words_make_nothing(tmp_path: Path, more: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError) as error:
        create_project(tmp_path, "p", "dssd", **more)
    assert (error.value.message, tree(tmp_path)) == (message, [])


@pytest.mark.parametrize(
    ("head", "hint"), [("dsds", 'did you mean "dssd"?'), ("../scaffolds/dssd", None), ("", None)]
)
def test_head_without_spec_files_makes_nothing(tmp_path: Path, head: str, hint: str | None) -> None:
    with pytest.raises((UserFilesError, UsageError)) as error:
        create_project(tmp_path, "p", head)
    assert hint is None or error.value.hint == hint
    assert tree(tmp_path) == []


def test_disk_that_refuses_leaves_no_half_project(tmp_path: Path) -> None:
    (tmp_path / "projects").touch()
    with pytest.raises(MachineError, match="cannot write") as error:
        create_project(tmp_path, "p", "dssd")
    assert "not a directory" in error.value.message
    assert not [name for name in tree(tmp_path) if "new" in name or name.endswith("/p")]


def test_folders_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        create_project(tmp_path, "p", "dssd")
    finally:
        os.umask(before)
    assert oct((tmp_path / "projects" / "p").stat().st_mode & 0o777) == "0o750"
