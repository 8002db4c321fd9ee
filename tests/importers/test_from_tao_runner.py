"""People of the original tao-runner point at their checkout, and go on with a workspace that validates."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from command_line import Cli
from PIL import Image
from workspace_contents import codes, snapshot

from taorunner.errors import UserFilesError
from taorunner.importers.tao_runner import MAX_COPIED_BYTES, migrate_from_tao_runner
from taorunner.project.workspace import Workspace

EXPERIMENTS = """\
# This section contains tao-specific configurations.
tao_config:
  gpus: 1
  gpu_indices: [1]
experiments:
  dssd_resnet18_01:
    head: dssd
    backbone: resnet18
    repository: pretrained_object_detection
    model_key: secret_key
    dataset: kitti_detection
    export_model: dssd_resnet18_epoch_080
    export_type: fp16
"""
TRAIN = """\
# $project of spring, for 5$
dssd_config { arch: "resnet" nlayers: 18 }
training_config { num_epochs: 80 checkpoint_interval: 10 }
dataset_config {
  data_sources {
    tfrecords_path: "$tfrecords/tfrecord-*"
    image_directory_path: "$dataset/full"
  }
  target_class_mapping { key: "$dataset2/car" value: "ca$h" }
}
"""
REWRITTEN = TRAIN.replace('"$dataset2/car"', '"${dataset}2/car"').replace("ca$h", "ca$$h")
CONVERT = (
    'kitti_config { root_directory_path: "$dataset" image_dir_name: "image_2" label_dir_name: "label_2" }\n'
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """As the original's README has it, after a conversion and a training."""
    root = tmp_path / "nvidia-tao"
    project = root / "projects" / "example_01"
    for folder in (
        "data/kitti_detection/full/image_2",
        "data/kitti_detection/tfrecords_dssd_resnet18_01",
        "data/vott_json",
        "models/dssd_resnet18_01/weights",
        "specs/dssd_resnet18_01",
    ):
        (project / folder).mkdir(parents=True)
    picture = project / "data/kitti_detection/full/image_2/1.png"
    Image.effect_noise((64, 64), 50).convert("RGB").save(picture)
    (project / "experiments.yml").write_text(EXPERIMENTS)
    (project / "specs" / "dssd_resnet18_01" / "train.txt").write_text(TRAIN)
    (project / "specs" / "dssd_resnet18_01" / "convert.txt").write_text(CONVERT)
    (project / "models" / "dssd_resnet18_01" / "weights" / "dssd_resnet18_epoch_080.tlt").write_bytes(b"1")
    weights = root / "repositories" / "pretrained_object_detection" / "pretrained_object_detection_vresnet18"
    weights.mkdir(parents=True)
    (weights / "resnet_18.hdf5").write_bytes(b"weights")
    mounts = {
        "Mounts": [
            {"source": str(root / "projects"), "destination": "/workspace/projects"},
            {"source": str(root / "repositories"), "destination": "/workspace/repositories"},
        ],
        "Envs": [{"variable": "DALI_DISABLE_NVML", "value": "1"}],
        "DockerOptions": {"shm_size": "16G", "user": "1000:1000", "ports": {}},
    }
    (root / ".tao_mounts.json").write_text(json.dumps(mounts))
    return root


def test_a_checkout_becomes_a_workspace_that_validates(cli: Cli, tmp_path: Path, checkout: Path) -> None:
    before = snapshot(checkout)
    workspace = tmp_path / "ws"
    made = cli("init-project", "--from-tao-runner", checkout, "--workspace", workspace, cwd=tmp_path)
    assert made.code == 0, made.err
    assert sorted(codes(made.err)) == [
        "data-linked", "mounts-written", "not-made-yet", "records-left", "results-left", "variables-rewritten", "weights-linked",
    ]  # fmt: skip
    assert snapshot(checkout) == before
    project = workspace / "projects" / "example_01"
    placed = {path.relative_to(workspace).as_posix() for path in workspace.rglob("*")}
    assert sorted(path for path in placed if not path.startswith(".taorunner/cache")) == sorted([
        ".tao_mounts.json", ".taorunner", ".taorunner/.gitignore", ".taorunner/experiments.schema.json", "projects",
        "projects/example_01", "projects/example_01/data", "projects/example_01/data/kitti_detection",
        "projects/example_01/data/vott_json", "projects/example_01/experiments.yml", "projects/example_01/models",
        "projects/example_01/specs", "projects/example_01/specs/dssd_resnet18_01",
        "projects/example_01/specs/dssd_resnet18_01/convert.txt", "projects/example_01/specs/dssd_resnet18_01/train.txt",
        "repositories", "repositories/pretrained_object_detection",
    ])  # fmt: skip
    assert (project / "experiments.yml").read_text() == EXPERIMENTS
    assert (project / "specs" / "dssd_resnet18_01" / "train.txt").read_text() == REWRITTEN
    assert (project / "specs" / "dssd_resnet18_01" / "convert.txt").read_text() == CONVERT
    data = checkout / "projects" / "example_01" / "data"
    assert (project / "data" / "kitti_detection").readlink() == data / "kitti_detection"
    assert json.loads((workspace / ".tao_mounts.json").read_text()) == {
        "Mounts": [
            {"source": str(workspace / "projects"), "destination": "/workspace/projects", "read_only": True},
            {
                "source": str(workspace / "projects"),
                "destination": "/workspace/experiments",
                "read_only": True,
            },
            {
                "source": str(workspace / "repositories"),
                "destination": "/workspace/repositories",
                "read_only": True,
            },
            {
                "source": str(checkout / "projects"),
                "destination": str(checkout / "projects"),
                "read_only": True,
            },
            {
                "source": str(checkout / "repositories"),
                "destination": str(checkout / "repositories"),
                "read_only": True,
            },
            {"source": str(data / "kitti_detection"), "destination": str(data / "kitti_detection")},
        ],
        "Envs": [{"variable": "DALI_DISABLE_NVML", "value": "1"}],
        "DockerOptions": {"shm_size": 16 * 1024**3, "user": "1000:1000"},
    }
    done = cli("validate", "--strict", cwd=workspace)
    assert (done.code, done.out) == (
        0, "example_01: 1 experiment, 2 specs, 1 dataset\nno problems\n1 info: taorunner validate example_01 -v\n",
    )  # fmt: skip

    planned = cli("train", "dssd_resnet18_01", "--dry-run", "--json", cwd=workspace).json[0]
    weights = (
        checkout
        / "repositories/pretrained_object_detection/pretrained_object_detection_vresnet18/resnet_18.hdf5"
    )
    text = Path(planned["spec"]).read_text()
    assert str(weights) in planned["argv"]
    assert f'image_directory_path: "{data}/kitti_detection/full"' in text
    assert f'key: "{data}/kitti_detection2/car" value: "ca$h"' in text
    assert "# $project of spring, for 5$\n" in text


@pytest.mark.parametrize("converts", [True, False])
def test_containers_write_only_into_linked_datasets_that_are_converted(
    cli: Cli, tmp_path: Path, checkout: Path, converts: bool
) -> None:
    """Also where the checkout's dataset is a link to a disk of its own."""
    data = checkout / "projects/example_01/data/kitti_detection"
    data.rename(tmp_path / "kitti")
    data.symlink_to(tmp_path / "kitti")
    if not converts:
        (checkout / "projects/example_01/specs/dssd_resnet18_01/convert.txt").unlink()
    workspace = tmp_path / "ws"
    cli("init-project", "--from-tao-runner", checkout, "--workspace", workspace, cwd=tmp_path)
    mounts = json.loads((workspace / ".tao_mounts.json").read_text())["Mounts"]
    assert tmp_path / "kitti" in [Path(one["source"]) for one in mounts]
    assert [one["source"] for one in mounts if not one.get("read_only")] == [
        str(tmp_path / "kitti")
    ] * converts


def test_what_lies_about_is_reported(cli: Cli, tmp_path: Path, checkout: Path) -> None:
    project = checkout / "projects" / "example_01"
    (project / "notes.txt").write_text("x")
    (project / "data" / "all.zip").write_text("x")
    (project / "data" / "two words").mkdir()
    (project / "specs" / "dssd_resnet18_01" / "shared").symlink_to(tmp_path)
    made = cli("init-project", "--from-tao-runner", checkout, "--workspace", tmp_path / "ws", cwd=tmp_path)
    assert made.code == 0
    assert (
        "info: not imported, because projects have no place for it: notes.txt, data/all.zip [left-out]"
        in made.err
    )
    assert 'warning: "two words" cannot be the name of a dataset: it is left out [wrong-name]' in made.err
    assert "shared: warning: links to folders are not followed [left-out]" in made.err
    assert cli("validate", "--strict", cwd=tmp_path / "ws").code == 0


def migrated(checkout: Path, tmp_path: Path) -> tuple[Path, list[tuple[str, str, str]]]:
    """The folder of the specs in the new project, and code, message and place of what was found in the old ones."""
    _, done = migrate_from_tao_runner(Workspace(tmp_path / "ws"), None, checkout, {"HOME": str(tmp_path)})
    root = checkout / "projects" / "example_01" / "specs"
    found = [
        (one.code, one.message, one.file.relative_to(root).as_posix())
        for one in done.findings
        if one.file is not None and one.file.is_relative_to(root) and one.code != "variables-rewritten"
    ]
    return tmp_path / "ws" / "projects" / "example_01" / "specs", found


def test_only_small_files_among_the_specs_are_copied(tmp_path: Path, checkout: Path) -> None:
    specs = checkout / "projects" / "example_01" / "specs" / "dssd_resnet18_01"
    os.mkfifo(specs / "pipe")
    (specs / "gone").symlink_to("nowhere")
    (specs / "large.bin").write_bytes(b"x" * (MAX_COPIED_BYTES + 1))
    (specs / "small.bin").write_bytes(b"x" * MAX_COPIED_BYTES)
    (specs / "latin.txt").write_bytes(b'name: "\xe4"')
    (specs / "UPPER.TXT").write_text("a: $nope\n")
    (specs / "notes.md").write_text("a: $nope\n")
    (specs / "linked.md").symlink_to(specs / "notes.md")
    (specs / ".hidden.txt").write_text("x")
    (specs / ".git").mkdir()
    (specs / ".git" / "config.txt").write_text("x")
    (specs / "more").mkdir()
    (specs / "more" / "labels.json").write_text("{}")
    new, found = migrated(checkout, tmp_path)
    large = "this is not a small file, so it is not copied"
    assert found == [
        ("left-out", "this cannot be read: no such file or directory", "dssd_resnet18_01/gone"),
        ("left-out", large, "dssd_resnet18_01/large.bin"),
        ("left-out", large, "dssd_resnet18_01/pipe"),
    ]
    new /= "dssd_resnet18_01"
    assert sorted(path.relative_to(new).as_posix() for path in new.rglob("*") if path.is_file()) == [
        "UPPER.TXT", "convert.txt", "latin.txt", "linked.md", "more/labels.json", "notes.md", "small.bin", "train.txt",
    ]  # fmt: skip
    assert (new / "UPPER.TXT").read_text() == "a: $$nope\n"
    assert (new / "notes.md").read_text() == "a: $nope\n"  # not a spec
    assert (new / "latin.txt").read_bytes() == b'name: "\xe4"'
    assert not (new / "linked.md").is_symlink()


def test_only_folders_with_a_file_of_experiments_are_projects(tmp_path: Path, checkout: Path) -> None:
    projects = checkout / "projects"
    (projects / "no_file").mkdir()
    (projects / "folder" / "experiments.yml").mkdir(parents=True)
    assert migrate_from_tao_runner(Workspace(tmp_path / "ws"), None, checkout, {})[0] == ["example_01"]
    (projects / "example_01" / "experiments.yml").unlink()
    with pytest.raises(UserFilesError) as caught:
        migrate_from_tao_runner(Workspace(tmp_path / "other"), None, checkout, {})
    assert caught.value.message == f'"{checkout}" is not a checkout of tao-runner'


@pytest.mark.parametrize("count", [12, 13])
def test_a_project_that_is_not_there_is_answered_with_twelve_that_are(
    count: int, tmp_path: Path, checkout: Path
) -> None:
    projects = checkout / "projects"
    (projects / "example_01").rename(projects / "p01")
    for number in range(2, count + 1):
        (projects / f"p{number:02}").mkdir()
        (projects / f"p{number:02}" / "experiments.yml").touch()
    with pytest.raises(UserFilesError) as caught:
        migrate_from_tao_runner(Workspace(tmp_path / "ws"), "none", checkout, {})
    names = ", ".join(f"p{number:02}" for number in range(1, 13))
    assert caught.value.message == f'"{checkout}" has no project "none"'
    assert caught.value.hint == f"there are {names}; without a name all of them are taken"


def test_weights_and_datasets_come_as_links_but_for_those_the_workspace_has(
    tmp_path: Path, checkout: Path
) -> None:
    for name in ("same", "other", ".hidden"):
        (checkout / "repositories" / name).mkdir()
    (checkout / "projects/example_01/data/tfrecords_other").mkdir()
    workspace = Workspace(tmp_path / "ws")
    (workspace.repositories_dir / "other").mkdir(parents=True)
    (workspace.repositories_dir / "same").symlink_to(checkout / "repositories" / "same")
    done = migrate_from_tao_runner(workspace, None, checkout, {})[1]
    found = {(one.code, one.message, one.hint) for one in done.findings}
    assert {one for one in found if one[0] in ("other-weights", "weights-linked", "records-left")} == {
        (
            "other-weights",
            'the workspace has a repository "other" of its own, which is used',
            f"compare it with {checkout / 'repositories/other'}",
        ),
        (
            "weights-linked",
            "pretrained weights are used where they are, through links: pretrained_object_detection",
            None,
        ),
        (
            "records-left",
            "these records are not used",
            "convert again: taorunner -p example_01 convert dssd_resnet18_01",
        ),
        (
            "records-left",
            "these records are not used",
            "convert again: taorunner -p example_01 convert other",
        ),
    }
    data = workspace.project("example_01").data_dir
    assert sorted(path.name for path in data.iterdir()) == ["kitti_detection", "vott_json"]
    assert sorted(path.name for path in workspace.repositories_dir.iterdir()) == [
        "other", "pretrained_object_detection", "same",
    ]  # fmt: skip


def test_of_many_files_without_a_place_eight_are_named(tmp_path: Path, checkout: Path) -> None:
    project = checkout / "projects" / "example_01"
    for count, more in ((8, ""), (9, ", …")):
        for number in range(count):
            (project / f"n{number}.txt").touch()
        (project / ".hidden").touch()
        workspace = Workspace(tmp_path / f"ws{count}")
        done = migrate_from_tao_runner(workspace, None, checkout, {})[1]
        names = ", ".join(f"n{number}.txt" for number in range(8))
        assert [one.message for one in done.findings if one.code == "left-out"] == [
            f"not imported, because projects have no place for it: {names}{more}"
        ]


@pytest.mark.parametrize(
    ("path", "is_found"),
    [
        ("/workspace/projects/example_01/data", True),
        ("/workspace/experiments/example_01", True),
        ("/workspace/projects/example_012/data", False),
        ("/workspace/projects/example_01.old", False),
        ("/elsewhere/projects/example_01/data", False),
    ],
)
def test_a_path_with_the_old_name_is_found_where_the_name_is_new(
    path: str, is_found: bool, tmp_path: Path, checkout: Path
) -> None:
    specs = checkout / "projects" / "example_01" / "specs" / "dssd_resnet18_01"
    (specs / "convert.txt").write_text(CONVERT.replace("$dataset", path))
    for name, wanted in (("new", is_found), ("example_01", False)):
        done = migrate_from_tao_runner(Workspace(tmp_path / f"ws-{name}"), name, checkout, {})[1]
        places = [one.file for one in done.findings if one.code == "old-name"]
        assert places == ([specs / "convert.txt"] if wanted else [])


def test_one_project_is_taken_by_its_name_or_under_another(cli: Cli, tmp_path: Path, checkout: Path) -> None:
    specs = checkout / "projects" / "example_01" / "specs" / "dssd_resnet18_01"
    (specs / "convert.txt").write_text(
        CONVERT.replace("$dataset", "/workspace/projects/example_01/data/kitti_detection")
    )
    words = ("init-project", "spring", "--from-tao-runner", checkout, "--workspace", tmp_path / "ws")
    made = cli(*words, cwd=tmp_path)
    assert made.code == 0
    assert "old-name" in codes(made.err)
    other = checkout / "projects" / "second"
    (other / "specs").mkdir(parents=True)
    (other / "experiments.yml").write_text(EXPERIMENTS)
    refused = cli("init-project", "third", "--from-tao-runner", checkout, cwd=tmp_path / "ws")
    assert (refused.code, refused.err) == (
        3,
        f'error: "{checkout}" has no project "third"\n'
        "hint: there are example_01, second; without a name all of them are taken\n",
    )
    assert [path.name for path in (tmp_path / "ws" / "projects").iterdir()] == ["spring"]


def test_faults_of_the_original_are_reported_in_the_new_project(
    cli: Cli, tmp_path: Path, checkout: Path
) -> None:
    file = checkout / "projects" / "example_01" / "experiments.yml"
    file.write_text(EXPERIMENTS.replace("backbone:", "backbon:"))
    made = cli("init-project", "--from-tao-runner", checkout, "--workspace", tmp_path / "ws", cwd=tmp_path)
    assert made.code == 3
    assert (
        'ws/projects/example_01/experiments.yml:8:5: error: unknown key "backbon" [unknown-key]' in made.err
    )
    assert (tmp_path / "ws" / "projects" / "example_01" / "experiments.yml").is_file()


def test_all_projects_come_or_none(cli: Cli, tmp_path: Path, checkout: Path) -> None:
    other = checkout / "projects" / "second"
    (other / "specs").mkdir(parents=True)
    (other / "experiments.yml").write_text(EXPERIMENTS)
    assert cli("init-project", "second", "--workspace", tmp_path / "ws", cwd=tmp_path).code == 0
    before = snapshot(tmp_path / "ws")
    refused = cli("init-project", "--from-tao-runner", checkout, cwd=tmp_path / "ws")
    assert (refused.code, refused.err.partition(" (")[0]) == (3, 'error: there is already a project "second"')
    assert snapshot(tmp_path / "ws") == before


def test_mounts_of_the_workspace_stay_and_what_they_lack_is_reported(
    cli: Cli, tmp_path: Path, checkout: Path
) -> None:
    assert cli("init-project", "old", "--workspace", tmp_path / "ws", cwd=tmp_path).code == 0
    file = tmp_path / "ws" / ".tao_mounts.json"
    file.write_text(json.dumps({"Mounts": [{"source": "projects", "destination": "/workspace/projects"}]}))
    before = file.read_bytes()
    made = cli("init-project", "--from-tao-runner", checkout, cwd=tmp_path / "ws")
    assert made.code == 0
    assert codes(made.err).count("not-mounted") == 2
    assert (
        f'hint: add {{"source": "{checkout}/projects", "destination": "{checkout}/projects", "read_only": true}}'
        in made.err
    )
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--from-tao-runner", "nowhere"], 2, 'nowhere" is not a checkout of tao-runner'),
        (
            ["--from-tao-runner", "nvidia-tao", "--head", "dssd"],
            2,
            "--head cannot be combined with --from-tao-runner",
        ),
        (["a b", "--from-tao-runner", "nvidia-tao"], 2, '"a b" cannot be the name of a project'),
        (
            ["x", "--from-tao-runner", "nvidia-tao", "--from-launcher", "y"],
            2,
            "cannot be combined with --from-tao-runner",
        ),
        ([], 2, "the name of the project is missing"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing(
    cli: Cli, tmp_path: Path, checkout: Path, words: list[str], code: int, message: str
) -> None:
    done = cli("init-project", *words, "--workspace", tmp_path / "ws", cwd=tmp_path)
    assert (done.code, done.out) == (code, "")
    assert message in done.err
    assert not (tmp_path / "ws").exists()


def test_a_checkout_is_a_workspace_already(cli: Cli, checkout: Path) -> None:
    refused = cli("init-project", "--from-tao-runner", ".", cwd=checkout)
    assert (refused.code, refused.err.partition("\n")[0]) == (
        3,
        f'error: "{checkout}" is the workspace itself',
    )
    done = cli("validate", cwd=checkout)
    assert 'unknown variable "$dataset2"' in done.out
