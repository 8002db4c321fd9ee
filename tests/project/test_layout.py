from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from taorunner.project.layout import check_layout, check_projects_folder
from taorunner.project.load import Project, load_project
from taorunner.project.workspace import Workspace

Load = Callable[[str | bytes], Project]
Row = tuple[str, str, str, str, str | None]
TWO = (
    "experiments:\n  dssd_01:\n    head: dssd\n    dataset: kitti/train\n"
    "  dssd_02:\n    extends: dssd_01\n    gpus: 2\n"
)


@pytest.fixture
def root(workspace: Workspace) -> Path:
    """A project in which everything is in its place."""
    root = workspace.project("p").root
    for folder in (
        "data/kitti/train",
        "specs/dssd_01",
        "models/dssd_01",
        "data/tfrecords_dssd_01",
        "data/vott_json",
    ):
        (root / folder).mkdir(parents=True)
    (root / "specs/dssd_01/train.txt").touch()
    (root / "experiments.yml").write_text(TWO)
    return root


@pytest.fixture
def findings_of(workspace: Workspace, root: Path) -> Callable[[], list[Row]]:
    """What is found: severity, code, path below the project, message, hint."""

    def check() -> list[Row]:
        found = check_layout(load_project(workspace, "p"))
        return [
            (
                one.severity.value,
                one.code,
                (one.file or root).relative_to(root).as_posix(),
                one.message,
                one.hint,
            )
            for one in found
        ]

    return check


def make(path: Path) -> None:
    """A folder when the name ends with a slash in the test's table, else a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def test_tidy_project_has_no_findings(findings_of: Callable[[], list[Row]]) -> None:
    assert findings_of() == []


@pytest.mark.parametrize(
    "name",
    [
        ".gitignore", ".DS_Store", ".ipynb_checkpoints/x", "README.md", "README", "notes.md", "LICENSE",
        "experiments.yml~",
        "experiments.yml.bak", "data/.DS_Store", "data/README.md", "data/kitti/anything.zip", "models/.gitkeep",
        "models/dssd_01/weights/model.hdf5", "models/dssd_01.20240131-120000/x", "models/gone.20240131-120000/x",
        "data/tfrecords_dssd_02/x", "data/tfrecords_dssd_01.20240131-120000/x", "specs/dssd_01/labels.txt",
        "specs/dssd_01/anchors.txt", "specs/dssd_01/README.md", "specs/dssd_02/export.yaml",
        "specs/dssd_01/classes.csv", "models/report.html",
    ],
)  # fmt: skip
def test_what_may_lie_there(findings_of: Callable[[], list[Row]], root: Path, name: str) -> None:
    make(root / name)
    assert findings_of() == []


@pytest.mark.parametrize(
    ("name", "severity", "code", "message", "hint"),
    [
        (
            "train.txt", "error", "misplaced-file", 'the file "train.txt" has no place in a project',
            'move it to "specs/<experiment>/train.txt"',
        ),
        (
            "experiment.yml", "error", "misplaced-file", 'the file "experiment.yml" has no place in a project',
            'experiments are read from "experiments.yml" only: rename it, or move it away',
        ),
        (
            "kitti.zip", "error", "misplaced-file", 'the file "kitti.zip" has no place in a project',
            "unpack a dataset into a folder of data/",
        ),
        (
            "model.hdf5", "error", "misplaced-file", 'the file "model.hdf5" has no place in a project',
            "results belong in models/<experiment>, pretrained weights in repositories/",
        ),
        (
            "run.sh", "error", "misplaced-file", 'the file "run.sh" has no place in a project',
            'spec files belong in "specs/<experiment>", datasets in "data/", notes are *.md',
        ),
        (
            "kitti/", "error", "misplaced-folder", 'the folder "kitti" has no place in a project',
            'move a dataset to "data/kitti", spec files to "specs/<experiment>"',
        ),
        (
            "modles/", "error", "misplaced-folder", 'the folder "modles" has no place in a project',
            'did you mean "models"? it exists too: move the content there',
        ),
        (
            "dssd_01/", "error", "misplaced-folder", 'the folder "dssd_01" has no place in a project',
            'specs belong in "specs/dssd_01", results in "models/dssd_01"',
        ),
        (
            "results/", "error", "misplaced-folder", 'the folder "results" has no place in a project',
            "results belong in models/<experiment>, pretrained weights in repositories/",
        ),
        (
            "specs/train.txt", "error", "misplaced-file",
            'the file "train.txt" has no place in specs/: each experiment has its own folder',
            'move it to "specs/<experiment>/train.txt"',
        ),
        (
            "specs/dssd_1/", "warning", "unknown-experiment",
            '"specs/dssd_1" belongs to no experiment of experiments.yml', 'did you mean "dssd_01"?',
        ),
        (
            "models/dsd_01/", "warning", "unknown-experiment",
            '"models/dsd_01" belongs to no experiment of experiments.yml', 'did you mean "dssd_01"?',
        ),
        (
            "data/tfrecords_dssd01/", "warning", "unknown-experiment",
            '"data/tfrecords_dssd01" belongs to no experiment of experiments.yml', 'did you mean "dssd_01"?',
        ),
        (
            "data/kitti.zip", "warning", "misplaced-file",
            'the file "kitti.zip" has no place in data/: each dataset has its own folder', "put it into a folder",
        ),
        (
            "data/train.txt", "warning", "misplaced-file",
            'the file "train.txt" has no place in data/: each dataset has its own folder',
            'move it to "specs/<experiment>/train.txt"',
        ),
        (
            "models/model.pth", "warning", "misplaced-file",
            'the file "model.pth" has no place in models/: each experiment has its own folder',
            "results belong in models/<experiment>, pretrained weights in repositories/",
        ),
        (
            "specs/dssd_01/trian.txt", "warning", "unknown-spec", 'no action reads the spec "trian.txt"',
            'did you mean "train.txt"?',
        ),
        (
            "data/my kitti/", "warning", "wrong-name",
            '"my kitti" cannot be the name of a dataset: TAO\'s shell would split or change it',
            "use letters, digits, dots, dashes and underscores, the first a letter or digit",
        ),
    ],
)  # fmt: skip
def test_what_has_no_place(
    findings_of: Callable[[], list[Row]],
    root: Path,
    name: str,
    severity: str,
    code: str,
    message: str,
    hint: str,
) -> None:
    if name.endswith("/"):
        (root / name).mkdir()
    else:
        make(root / name)
    assert findings_of() == [(severity, code, name.rstrip("/"), message, hint)]


def test_hint_names_the_experiment_when_there_is_only_one(
    findings_of: Callable[[], list[Row]], root: Path
) -> None:
    (root / "experiments.yml").write_text("experiments: {dssd_01: {head: dssd, dataset: kitti}}")
    make(root / "train.txt")
    assert [one[4] for one in findings_of()] == ['move it to "specs/dssd_01/train.txt"']


def test_spec_files_of_a_network_are_its_own_word(workspace: Workspace, root: Path) -> None:
    project = load_project(workspace, "p")
    make(root / "specs/dssd_01/gen_engine.yaml")
    known = {"dssd_01": {"train", "gen_trt_engine"}}
    assert [one.hint for one in check_layout(project, known)] == ['did you mean "gen_trt_engine.yaml"?']
    assert check_layout(project, {"dssd_01": {"train", "gen_engine"}}) == []


def test_folder_with_a_wrong_name_is_recognised(findings_of: Callable[[], list[Row]], root: Path) -> None:
    (root / "specs").rename(root / "spec")
    assert findings_of() == [
        (
            "error", "misplaced-folder", "spec", 'the folder "spec" has no place in a project',
            'did you mean "specs"? rename it',
        ),
        ("error", "missing-folder", "specs", 'the folder "specs" is missing', f'make it with: mkdir "{root}/specs"'),
        (
            "error", "missing-specs", "experiments.yml",
            'the folder "specs/dssd_01" is missing: experiment "dssd_01" has no specs', f"taorunner -p {root.name} add dssd_01",
        ),
        (
            "error", "missing-specs", "experiments.yml",
            'the folder "specs/dssd_02" is missing: experiment "dssd_02" has no specs', f"taorunner -p {root.name} add dssd_02",
        ),
    ]  # fmt: skip


def test_missing_models_folder_is_no_problem(findings_of: Callable[[], list[Row]], root: Path) -> None:
    (root / "models/dssd_01").rmdir()
    (root / "models").rmdir()
    assert findings_of() == []


def test_missing_dataset_names_the_line_where_it_is_written(workspace: Workspace, root: Path) -> None:
    (root / "data/kitti/train").rename(root / "data/kitti/training")
    found = check_layout(load_project(workspace, "p"))
    assert [(one.line, one.column, one.code, one.message, one.hint) for one in found] == [
        (
            4,
            14,
            "missing-dataset",
            'the dataset "kitti/train" does not exist in data/',
            'did you mean "kitti/training"?',
        )
    ]


def test_missing_dataset_without_anything_near_says_where_to_put_it(
    findings_of: Callable[[], list[Row]], root: Path
) -> None:
    (root / "data/kitti").rename(root / "data/coco")
    assert [one[4] for one in findings_of()] == [
        f'move it there, or make it: mkdir -p "{root}/data/kitti/train"'
    ]


def test_a_dataset_with_data_before_its_name(workspace: Workspace, root: Path) -> None:
    """``data/`` is where names are looked for."""
    file = root / "experiments.yml"
    file.write_text(file.read_text().replace("kitti/train", "data/kitti/train"))
    found = [one for one in check_layout(load_project(workspace, "p")) if one.code == "missing-dataset"]
    assert {one.hint for one in found} == {'did you mean "kitti/train"?'}


def test_file_in_place_of_a_dataset(findings_of: Callable[[], list[Row]], root: Path) -> None:
    (root / "data/kitti/train").rmdir()
    make(root / "data/kitti/train")
    assert [one[3] for one in findings_of()] == ['the dataset "kitti/train" is not a folder']


def test_missing_specs_name_the_line_of_the_experiment(workspace: Workspace, root: Path) -> None:
    (root / "specs/dssd_01").rename(root / "specs/dssd_01x")
    found = check_layout(load_project(workspace, "p"))
    assert [(one.line, one.column, one.severity.value, one.code, one.hint) for one in found] == [
        (None, None, "warning", "unknown-experiment", 'did you mean "dssd_01"?'),
        (2, 3, "error", "missing-specs", 'rename "specs/dssd_01x"?'),
        (5, 3, "error", "missing-specs", 'rename "specs/dssd_01x"?'),
    ]


def test_specs_of_the_parent_are_enough(findings_of: Callable[[], list[Row]], root: Path) -> None:
    assert not (root / "specs/dssd_02").exists()
    assert findings_of() == []


def test_links_are_followed_and_broken_ones_are_reported(
    findings_of: Callable[[], list[Row]], root: Path, tmp_path: Path
) -> None:
    (tmp_path / "big" / "train").mkdir(parents=True)
    (root / "data/linked").symlink_to(tmp_path / "big")
    assert findings_of() == []
    (root / "data/broken").symlink_to(tmp_path / "gone")
    (root / "data/circle").symlink_to("circle")
    (root / "circle").symlink_to("circle")
    assert [(one[2], one[3]) for one in findings_of()] == [
        ("circle", 'the broken link "circle" has no place in a project'),
        ("data/broken", 'the broken link "broken" has no place in data/: each dataset has its own folder'),
        ("data/circle", 'the broken link "circle" has no place in data/: each dataset has its own folder'),
    ]


def test_dataset_behind_a_circle_of_links_is_missing(
    findings_of: Callable[[], list[Row]], root: Path
) -> None:
    (root / "data/kitti/train").rmdir()
    (root / "data/kitti/train").symlink_to("train")
    assert [(one[1], one[3]) for one in findings_of()] == [
        ("missing-dataset", 'the dataset "kitti/train" is not a folder')
    ]


def test_broken_experiments_file_does_not_make_every_folder_unknown(
    findings_of: Callable[[], list[Row]], root: Path
) -> None:
    (root / "experiments.yml").write_text("experiments: [")
    (root / "models/other").mkdir()
    assert findings_of() == []


def test_project_that_is_no_folder(workspace: Workspace) -> None:
    (workspace.projects_dir / "q").touch()
    found = check_layout(load_project(workspace, "q"))
    assert [(one.code, one.message) for one in found] == [
        ("unreadable", 'the folder "q" cannot be read: not a directory')
    ]


def test_many_findings_end_with_a_count(findings_of: Callable[[], list[Row]], root: Path) -> None:
    for number in range(300):
        make(root / f"x{number}.sh")
    found = findings_of()
    assert (len(found), found[-1][3]) == (201, "100 more problems of the layout, not shown")


def test_thousands_of_folders_for_no_experiment_take_no_time(
    findings_of: Callable[[], list[Row]], root: Path
) -> None:
    text = "".join(f"  experiment_{i}: {{head: dssd, dataset: kitti}}\n" for i in range(1000))
    (root / "experiments.yml").write_text("experiments:\n" + text)
    for number in range(1000):
        (root / f"models/experimant_{number}").mkdir()
    start = time.process_time()
    assert len(findings_of()) == 201
    assert time.process_time() - start < 10


def test_projects_folder_holds_projects_only(workspace: Workspace) -> None:
    (workspace.projects_dir / "train.txt").touch()
    (workspace.projects_dir / "README.md").touch()
    (workspace.projects_dir / ".hidden").mkdir()
    (workspace.projects_dir / "my project").mkdir()
    found = check_projects_folder(workspace)
    assert [(one.severity.value, one.code, one.message) for one in found] == [
        (
            "error",
            "wrong-name",
            '"my project" cannot be the name of a project: TAO\'s shell would split or change it',
        ),
        (
            "warning",
            "misplaced-file",
            'the file "train.txt" does not belong in projects/',
        ),
    ]


def test_projects_folder_that_is_missing(tmp_path: Path) -> None:
    assert [one.message for one in check_projects_folder(Workspace(tmp_path))] == [
        'the folder "projects" cannot be read: no such file or directory'
    ]
