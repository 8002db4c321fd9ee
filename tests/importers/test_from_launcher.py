"""People of the TAO launcher come with a folder of specs and a mounts file, and go on with a project that validates."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli, Done
from dataset_layouts import put_data
from filled_in import filled
from PIL import Image
from workspace_contents import codes, snapshot

from taorunner.embedded.tfrecord import write_records
from taorunner.project.scaffold import scaffold_heads

INSIDE = {
    "$dataset_raw": "/workspace/tao-experiments/data",
    "$dataset_tfrecord": "/workspace/tao-experiments/data/tfrecords",
    "$results_dir": "/workspace/tao-experiments/results",
    "$pretrained_model": "/workspace/tao-experiments/pretrained/pretrained_x_vresnet18/resnet_18.hdf5",
    "$num_gpus": "1",
    "$gpu_ids": "[0]",
    "$experiment": "first",
}
SCAFFOLDS = Path(__file__).parents[2] / "src" / "taorunner" / "project" / "scaffolds"

TRAIN = """\
# how it was trained in spring; the price was 5$
dataset_config {
  data_sources {
    tfrecords_path: "/workspace/tao-experiments/data/tfrecords/kitti_trainval/*"
    image_directory_path: "/workspace/tao-experiments/data/training"
  }
  image_extension: "png"
  target_class_mapping { key: "car$" value: "car" }
}
model_config {
  pretrained_model_file: "/workspace/tao-experiments/pretrained/pretrained_detectnet_v2_vresnet18/resnet18.hdf5"
  num_layers: 18
  arch: "resnet"
}
training_config { num_epochs: 80 }
"""
CONVERT = """\
kitti_config {
  root_directory_path: "/workspace/tao-experiments/data/training"
  image_dir_name: "image_2"
  label_dir_name: "label_2"
}
image_directory_path: "/workspace/tao-experiments/data/training"
"""


def write_specs(folder: Path, texts: Mapping[str, str]) -> Path:
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def put_records(file: Path) -> None:
    """Two whole records, as a conversion that ran before writes them."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_records(file, (os.urandom(50), os.urandom(60)))


def write_mounts(cli: Cli, file: Path, **more: Any) -> Path:
    """The launcher's file with ``~/tao`` at the place that NVIDIA's notebooks use; the folder has data, records of it
    and weights."""
    for folder in ("data/training", "pretrained/pretrained_detectnet_v2_vresnet18"):
        (cli.home / "tao" / folder).mkdir(parents=True, exist_ok=True)
    picture = io.BytesIO()
    Image.effect_noise((64, 64), 50).convert("RGB").save(picture, "PNG")
    label = b"car 0.0 0 0.0 1 1 20 20 0 0 0 0 0 0 0\n"
    for file_name, content in (("image_2/000.png", picture.getvalue()), ("label_2/000.txt", label)):
        (cli.home / "tao/data/training" / file_name).parent.mkdir(exist_ok=True)
        (cli.home / "tao/data/training" / file_name).write_bytes(content)
    put_records(cli.home / "tao/data/tfrecords/kitti_trainval/-fold-000-of-002-shard-00000-of-00010")
    (cli.home / "tao" / "pretrained/pretrained_detectnet_v2_vresnet18" / "resnet18.hdf5").write_bytes(
        b"weights"
    )
    mount = {"source": "~/tao", "destination": "/workspace/tao-experiments"}
    file.write_text(json.dumps({"Mounts": [mount], **more}))
    return file


def test_specs_of_detectnet_become_a_project_that_validates_and_names_the_same_files(
    cli: Cli, tmp_path: Path
) -> None:
    specs = write_specs(
        tmp_path / "specs",
        {"detectnet_v2_train_resnet18_kitti.txt": TRAIN, "detectnet_v2_tfrecords_kitti.txt": CONVERT},
    )
    write_mounts(
        cli,
        cli.home / ".tao_mounts.json",
        Envs=[{"variable": "CITY", "value": "Bonn"}],
        DockerOptions={"shm_size": "16G", "ulimits": {"memlock": -1}, "user": "1000:1000"},
    )
    before = snapshot(specs), snapshot(cli.home)
    workspace = tmp_path / "ws"
    made = cli("init-project", "moved", "--from-launcher", specs, "--workspace", workspace, cwd=tmp_path)
    assert (made.code, made.err) == (0, "")
    assert made.out.endswith(
        "\nnext: read experiments.yml and the specs, then: taorunner --workspace ws validate moved\n"
    )
    assert (snapshot(specs), snapshot(cli.home)) == before
    project = workspace / "projects" / "moved"
    name = "detectnet_v2_resnet18_kitti"
    assert sorted(snapshot(project)) == sorted([
        "data", "data/data", "experiments.yml", "models", "specs", f"specs/{name}",
        f"specs/{name}/convert.txt", f"specs/{name}/train.txt",
    ])  # fmt: skip
    assert (project / "data" / "data").readlink() == cli.home / "tao" / "data"
    assert (project / "specs" / name / "train.txt").read_text() == (
        TRAIN.replace("/workspace/tao-experiments/data", "$dataset_raw")
        .replace("/workspace/tao-experiments/pretrained/pretrained_detectnet_v2_vresnet18/resnet18.hdf5", "$pretrained_model")
        .replace("car$", "car$$")
    )  # fmt: skip
    assert (project / "specs" / name / "convert.txt").read_text() == CONVERT.replace(
        "/workspace/tao-experiments/data", "$dataset_raw"
    )
    assert (project / "experiments.yml").read_text().partition("experiments:\n")[2] == (
        f"  {name}:\n    head: detectnet_v2\n    dataset: data\n"
        "    repository: pretrained_detectnet_v2\n    backbone: resnet18\n"
        "    # model_key: env:TAO_MODEL_KEY  # what the launcher was given with -k, if anything\n"
    )
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
            {"source": str(cli.home / "tao"), "destination": "/workspace/tao-experiments"},
        ],
        "Envs": [{"variable": "CITY", "value": "Bonn"}],
        "DockerOptions": {"shm_size": 16 * 1024**3, "ulimits": {"memlock": -1}, "user": "1000:1000"},
    }
    assert (workspace / ".tao_mounts.json").stat().st_mode & 0o777 == 0o600
    done = cli("validate", "--strict", "moved", cwd=workspace)
    assert (done.code, done.out.splitlines()[-1]) == (0, "no problems")

    planned = cli("-p", "moved", "train", name, "--dry-run", "--json", cwd=workspace).json[0]
    assert Path(planned["spec"]).read_text() == TRAIN  # every path is seen where it was


@pytest.mark.parametrize("head", [head for head in scaffold_heads() if head != "tinydet"])
def test_specs_of_every_head_are_known_again_and_validate(
    cli: Cli, cli_inside: Callable[..., Done], tmp_path: Path, head: str
) -> None:
    texts = {}
    of_scaffold = [path for path in sorted((SCAFFOLDS / head).iterdir()) if path.name != "vars.yml"]
    data = f"{INSIDE['$dataset_raw']}/training"
    for path in of_scaffold:
        text = filled(path, head).replace("$num_classes", "3")
        for variable, value in sorted(
            {**INSIDE, "$dataset_raw": data}.items(), key=lambda item: -len(item[0])
        ):
            text = text.replace(variable, value)
        texts[f"my_{path.name}"] = text
    specs = write_specs(tmp_path / head / "specs", texts)
    write_mounts(cli, cli.home / ".tao_mounts.json")
    shutil.rmtree(cli.home / "tao/data/training")
    put_data(head, cli.home / "tao/data/training")
    written = re.findall(
        r"""/workspace/tao-experiments/(data/tfrecords[^\s"',\]]*|results/dataset_convert/[^\s"',\]]*\*)""",
        next(text for name, text in texts.items() if "train" in name),
    )
    for records in written:
        put_records(
            cli.home / "tao" / (records.replace("*", "000") if "*" in records else f"{records}/000.tfrecord")
        )
    for text in texts.values():  # weights, and what conversions wrote
        for made_before in re.findall(
            r"/workspace/tao-experiments/((?:results|pretrained)/[\w/.]+\.\w+)", text
        ):
            (cli.home / "tao" / made_before).parent.mkdir(parents=True, exist_ok=True)
            (cli.home / "tao" / made_before).write_bytes(b"some")
    made = cli_inside(
        "init-project", "moved", "--from-launcher", specs, "--workspace", tmp_path / "ws", cwd=tmp_path
    )
    assert made.code == 0, made.err
    assert f"    head: {head}\n" in (tmp_path / "ws" / "projects" / "moved" / "experiments.yml").read_text()
    done = cli_inside("validate", "moved", cwd=tmp_path / "ws")
    assert done.code == 0, done.out
    folder = next((tmp_path / "ws" / "projects" / "moved" / "specs").iterdir())
    assert {path.stem for path in folder.iterdir()} == {path.stem for path in of_scaffold}


def test_what_several_networks_could_have_is_asked_for(cli: Cli, tmp_path: Path) -> None:
    text = "results_dir: /results\nexport:\n  checkpoint: /results/a.pth\n  onnx_file: /results/a.onnx\n  gpu_id: 0\n"
    specs = write_specs(tmp_path / "mine", {"export.yaml": text, "train.yaml": "train:\n  num_epochs: 3\n"})
    words = ("init-project", "moved", "--from-launcher", specs, "--workspace", tmp_path / "ws")
    refused = cli(*words, cwd=tmp_path)
    assert refused.code == 3
    assert codes(refused.err) == ["ambiguous-network", "ambiguous-network"]
    assert f'error: no spec in "{specs.relative_to(tmp_path)}" could be recognised\n' in refused.err
    assert "with --head action_recognition or " in refused.err
    assert not (tmp_path / "ws").exists()
    assert cli(*words, "--head", "dino", cwd=tmp_path).code == 0
    project = tmp_path / "ws" / "projects" / "moved"
    assert sorted(path.name for path in (project / "specs" / "dino_01").iterdir()) == [
        "export.yaml",
        "train.yaml",
    ]
    assert "head: dino\n" in (project / "experiments.yml").read_text()
    assert (project / "specs" / "dino_01" / "export.yaml").read_text() == text.replace(
        "/results", "$results_dir"
    )


def test_several_trainings_extend_the_first_and_keep_unread_keys(cli: Cli, tmp_path: Path) -> None:
    write_mounts(cli, cli.home / ".tao_mounts.json")
    retrain = TRAIN.replace("num_epochs: 80", "num_epochs: 120")
    specs = write_specs(
        tmp_path / "specs",
        {
            "train.txt": TRAIN,
            "retrain_qat.txt": retrain,
            "convert_train.txt": CONVERT,
            "convert_val.txt": CONVERT,
            "classes.txt": "car\nperson\n",
            "download.sh": "exit 1\n",
        },
    )
    made = cli(
        "init-project", "moved", "--from-launcher", specs, "--workspace", tmp_path / "ws", cwd=tmp_path
    )
    assert made.code == 0
    assert sorted(codes(made.err)) == ["no-spec", "second-spec"]
    assert "left out  specs/download.sh:1  exit: no command of TAO that works on a network\n" in made.out
    project = tmp_path / "ws" / "projects" / "moved"
    assert sorted(snapshot(project / "specs")) == [
        "detectnet_v2_01", "detectnet_v2_01/classes.txt", "detectnet_v2_01/convert.txt", "detectnet_v2_01/convert_val.txt",
        "detectnet_v2_01/train.txt", "detectnet_v2_retrain_qat", "detectnet_v2_retrain_qat/train.txt",
    ]  # fmt: skip
    assert (
        "  detectnet_v2_retrain_qat:\n    extends: detectnet_v2_01\n"
        in (project / "experiments.yml").read_text()
    )
    assert cli("validate", "--strict", "moved", cwd=tmp_path / "ws").code == 0


def test_dollars_of_omegaconf_stay_and_comments_are_not_touched(cli: Cli, tmp_path: Path) -> None:
    text = (
        "results_dir: /results  # /results and $5\n"
        "dataset:\n  num_classes: 91\n"
        "train:\n  num_epochs: 12\n  pretrained_model_path: ''\n"
        "evaluate:\n  checkpoint: ${results_dir}/train/a.pth\n"
        "export:\n  checkpoint: ${dataset.x}/$b/a.pth\n"
    )
    specs = write_specs(tmp_path / "specs", {"train.yaml": text})
    (cli.home / ".tao_mounts.json").write_text('{"Mounts": []}')
    made = cli(
        "init-project",
        "moved",
        "--from-launcher",
        specs,
        "--head",
        "dino",
        "--workspace",
        tmp_path / "ws",
        cwd=tmp_path,
    )
    assert made.code == 0, made.err
    assert codes(made.err) == ["no-dataset"]
    spec = tmp_path / "ws" / "projects" / "moved" / "specs" / "dino_01" / "train.yaml"
    assert spec.read_text() == text.replace("dir: /results ", "dir: $results_dir ").replace("/$b/", "/$$b/")


def test_what_the_mounts_do_not_say_is_reported_and_left_as_it_is(cli: Cli, tmp_path: Path) -> None:
    (cli.home / "tao" / "other").mkdir(parents=True)
    file = tmp_path / "mounts.json"
    file.write_text(
        json.dumps(
            {
                "Mounts": [
                    {"source": "~/tao/other", "destination": "/elsewhere"},
                    {"source": "~/gone", "destination": "/workspace/tao-experiments"},
                ],
                "Colour": "blue",
            }
        )
    )
    specs = write_specs(tmp_path / "specs", {"train.txt": TRAIN})
    words = ("init-project", "moved", "--from-launcher", specs, "--workspace", tmp_path / "ws")
    made = cli(*words, "--mounts-file", file, cwd=tmp_path)
    assert made.code == 0
    assert sorted(codes(made.err)) == ["missing-source", *["not-mounted"] * 4, "unknown-key"]
    assert "error:" not in made.err  # of each path, and where it is in the spec
    assert f'mounts.json:1:{file.read_text().index("Colour")}: warning: unknown key "Colour"' in made.err
    project = tmp_path / "ws" / "projects" / "moved"
    assert (project / "specs" / "detectnet_v2_01" / "train.txt").read_text() == TRAIN.replace("car$", "car$$")
    done = cli("validate", "moved", cwd=tmp_path / "ws")
    assert (done.code, re.findall(r"train.txt:(\d+):.* error: .*not-mounted", done.out)) == (3, ["5", "11"])


def test_records_that_are_not_there_are_reported_at_their_line(cli: Cli, tmp_path: Path) -> None:
    write_mounts(cli, cli.home / ".tao_mounts.json")
    shutil.rmtree(cli.home / "tao/data/tfrecords")
    specs = write_specs(tmp_path / "specs", {"train.txt": TRAIN, "convert.txt": CONVERT})
    made = cli(
        "init-project", "moved", "--from-launcher", specs, "--workspace", tmp_path / "ws", cwd=tmp_path
    )
    assert (made.code, codes(made.err)) == (0, ["missing-input"])
    said = "no file fits data/data/tfrecords/kitti_trainval/* [missing-input]"
    assert f"train.txt:4:21: warning: {said}" in made.err
    done = cli("validate", "moved", cwd=tmp_path / "ws")
    assert done.code == 3 and f"train.txt:4:21: error: {said}" in done.out


def test_without_any_mounts_the_workspace_gets_none(cli: Cli, tmp_path: Path) -> None:
    specs = write_specs(tmp_path / "specs", {"train.txt": TRAIN})
    made = cli(
        "init-project", "moved", "--from-launcher", specs, "--workspace", tmp_path / "ws", cwd=tmp_path
    )
    assert made.code == 0
    assert 'there is no mounts file ("home/.tao_mounts.json")' in made.err
    assert not (tmp_path / "ws" / ".tao_mounts.json").exists()


def test_mounts_of_a_workspace_that_has_some_stay(cli: Cli, tmp_path: Path) -> None:
    assert cli("init-project", "old", "--workspace", tmp_path / "ws", cwd=tmp_path).code == 0
    mounts = write_mounts(cli, tmp_path / "ws" / ".tao_mounts.json").read_bytes()
    specs = write_specs(tmp_path / "specs", {"train.txt": TRAIN})
    other = tmp_path / "other.json"
    other.write_text('{"Mounts": []}')
    made = cli("init-project", "moved", "--from-launcher", specs, "--mounts-file", other, cwd=tmp_path / "ws")
    assert made.code == 3  # the kept mounts do not cover the project, which is reported
    assert codes(made.err) == ["mounts-kept", "not-mounted"]
    assert (tmp_path / "ws" / ".tao_mounts.json").read_bytes() == mounts
    assert (tmp_path / "ws" / "projects" / "moved" / "data" / "data").readlink() == cli.home / "tao" / "data"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--from-launcher", "nowhere"], 2, 'nowhere" is not a folder of specs'),
        (["--from-launcher", "specs/train.txt"], 3, 'train.txt" is not a folder of specs'),
        (["--from-launcher", "empty"], 3, 'no spec in "'),
        (["--from-launcher", "specs", "--mounts-file", "gone.json"], 2, 'there is no mounts file "'),
        (["--from-launcher", "specs", "--head", "detectnet"], 2, "today it is detectnet_v2"),
        (
            ["--from-launcher", "specs", "--dataset", "x"],
            2,
            "--dataset cannot be combined with --from-launcher",
        ),
        (
            ["--from-launcher", "specs", "--from-dataset", "empty"],
            2,
            "--from-dataset cannot be combined with --from-launcher",
        ),
        (["--from-launcher", "specs", "--copy"], 2, "--copy cannot be combined with --from-launcher"),
        (["--mounts-file", "x.json"], 2, "--mounts-file needs --from-launcher"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing(
    cli: Cli, tmp_path: Path, words: list[str], code: int, message: str
) -> None:
    write_specs(tmp_path / "specs", {"train.txt": TRAIN})
    (tmp_path / "empty").mkdir()
    done = cli("init-project", "moved", *words, "--workspace", tmp_path / "ws", cwd=tmp_path)
    assert (done.code, done.out) == (code, "")
    assert message in done.err
    assert not (tmp_path / "ws").exists()


def test_a_project_that_exists_is_refused(cli: Cli, tmp_path: Path) -> None:
    assert cli("init-project", "moved", "--workspace", tmp_path / "ws", cwd=tmp_path).code == 0
    before = snapshot(tmp_path / "ws")
    specs = write_specs(tmp_path / "specs", {"train.txt": TRAIN})
    done = cli("init-project", "moved", "--from-launcher", specs, cwd=tmp_path / "ws")
    assert (done.code, done.err.partition(" (")[0]) == (3, 'error: there is already a project "moved"')
    assert snapshot(tmp_path / "ws") == before


@pytest.mark.skipif(os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root may write everywhere")
def test_a_disk_that_refuses_leaves_nothing(cli: Cli, tmp_path: Path) -> None:
    specs = write_specs(tmp_path / "specs", {"train.txt": TRAIN})
    write_mounts(cli, cli.home / ".tao_mounts.json")
    workspace = tmp_path / "ws"
    (workspace / "projects").mkdir(parents=True)
    # repositories/ is a file, so the link to the weights cannot be made
    (workspace / "repositories").write_text("mine")
    done = cli("init-project", "moved", "--from-launcher", specs, cwd=workspace)
    assert (done.code, done.out) == (4, "")
    assert sorted(path.name for path in (workspace / "projects").iterdir()) == []
    assert not (workspace / ".tao_mounts.json").exists()
    assert (workspace / "repositories").read_text() == "mine"


def test_specs_of_several_networks_are_distinguished_and_the_larger_group_comes_first(
    cli: Cli, tmp_path: Path
) -> None:
    """With a network file of the workspace's own that is wrong, which this import does not use."""
    write_mounts(cli, cli.home / ".tao_mounts.json")
    annotations = "data: {input_format: COCO, output_format: KITTI}\ncoco: {ann_file: /workspace/tao-experiments/data/a.json}\n"
    specs = write_specs(
        tmp_path / "specs", {"train.txt": TRAIN, "convert_kitti.txt": CONVERT, "convert.yaml": annotations}
    )
    workspace = tmp_path / "ws"
    (workspace / "networks").mkdir(parents=True)
    (workspace / "networks" / "mine.yml").write_text("title: [")
    made = cli("init-project", "moved", "--from-launcher", specs, "--workspace", workspace, cwd=tmp_path)
    assert made.code == 3
    assert codes(made.err) == ["yaml-syntax"]
    text = (workspace / "projects" / "moved" / "experiments.yml").read_text().partition("experiments:\n")[2]
    assert [line.strip() for line in text.splitlines() if line.startswith("    head:")] == [
        "head: detectnet_v2", "head: annotations",
    ]  # fmt: skip
    (workspace / "networks" / "mine.yml").unlink()
    assert cli("validate", "--strict", "moved", cwd=workspace).code == 0


def test_keys_of_no_known_release_choose_the_newest_release_without_known_keys(
    cli: Cli, tmp_path: Path
) -> None:
    text = "train:\n  num_epochs: 3\n  learning: 1\n  speed: 2\n"
    specs = write_specs(tmp_path / "specs", {"train.yaml": text})
    words = ("init-project", "moved", "--from-launcher", specs, "--head", "classification_tf2")
    made = cli(*words, "--workspace", tmp_path / "ws", cwd=tmp_path)
    assert made.code == 0, made.err
    assert "2 keys of the specs of classification_tf2 are in no release with known keys; 5.5.0 is taken" in (
        made.err
    )
    text = (tmp_path / "ws" / "projects" / "moved" / "experiments.yml").read_text()
    assert "    release: 5.5.0\n" in text.replace('"', "")
