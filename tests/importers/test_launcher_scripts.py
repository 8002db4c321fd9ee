"""What scripts and notebooks of a launcher setup say becomes part of the project, and nothing of them vanishes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from command_line import Cli
from workspace_contents import codes, snapshot

TRAIN = """\
dataset_config {
  data_sources {
    tfrecords_path: "/data/tfrecords/*"
    image_directory_path: "/data/training"
  }
  image_extension: "png"
  target_class_mapping { key: "car" value: "car" }
}
model_config { num_layers: 18 arch: "resnet" }
training_config { num_epochs: 80 }
"""
DINO = "results_dir: /results\ntrain:\n  num_epochs: 12\ndataset:\n  num_classes: 4\n"


def write(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


class Imported:
    """The result of one import, by ``--json``."""

    def __init__(self, cli: Cli, tmp_path: Path, files: Mapping[str, str], *words: str) -> None:
        self.source = write(tmp_path / "src", files)
        before = snapshot(self.source)
        self.done = cli(
            "init-project", "moved", "--from-launcher", self.source, "--workspace", tmp_path / "ws", "--json", *words,
            cwd=tmp_path,
        )  # fmt: skip
        assert self.done.err == "" or self.done.err.startswith("next: ")
        assert snapshot(self.source) == before
        self.document: dict[str, Any] = json.loads(self.done.out)
        self.workspace = tmp_path / "ws"
        self.project = self.workspace / "projects" / "moved"

    @property
    def entries(self) -> str:
        return (self.project / "experiments.yml").read_text().partition("experiments:\n")[2]

    def specs(self) -> list[str]:
        return sorted(path for path in snapshot(self.project / "specs") if "/" in path)

    def said(self, name: str) -> list[tuple[int | None, str, str, str]]:
        return [
            (one["line"], one["what"], one["outcome"], one["note"])
            for one in self.document["lines"]
            if one["file"].endswith(f"/{name}")
        ]

    def codes(self) -> set[str]:
        return {one["code"] for one in self.document["findings"] if one["severity"] == "error"}


def test_a_spec_for_training_and_evaluation_is_that_of_the_training(cli: Cli, tmp_path: Path) -> None:
    files = {"detectnet_v2_train_eval_config.txt": TRAIN, "detectnet_v2_retrain_config.txt": TRAIN}
    moved = Imported(cli, tmp_path, files)
    assert moved.specs() == ["detectnet_v2_01/train.txt", "detectnet_v2_retrain/train.txt"]


def test_commands_decide_what_a_spec_is_and_give_key_gpus_and_overrides(cli: Cli, tmp_path: Path) -> None:
    script = (
        "#!/bin/bash\n"
        "export KEY=sesame-open  # the key\n"
        "SPECS=/workspace/specs\n"
        "\n"
        "tao model dino train -e $SPECS/first.yaml -r /results/night -k $KEY -n my_name --gpus 2 \\\n"
        "  train.num_epochs=3 dataset.augmentation.scales=[480,512] results_dir=/results/night\n"
        "tao model dino evaluate -e $SPECS/second.yaml evaluate.checkpoint=/results/night/a.pth -k $KEY\n"
        "tao model dino export -e $SPECS/gone.yaml --odd 3\n"
        "tao deploy dino gen_trt_engine -e $SPECS/first.yaml gen_trt_engine.onnx_file=$OTHER\n"
        "tao info\n"
        "mkdir -p out && wget -q https://example.com/x\n"
    )
    files = {"run/train.sh": script, "conf/first.yaml": DINO, "conf/second.yaml": "evaluate: {gpu_id: 0}\n"}
    moved = Imported(cli, tmp_path, files)
    assert moved.specs() == ["dino_first/evaluate.yaml", "dino_first/train.yaml"]
    assert moved.entries == (
        "  dino_first:\n    head: dino\n    dataset: train\n    model_key: \"file:moved.model_key\"\n    gpus: 2\n"
        "    overrides:\n      train.num_epochs: 3\n      dataset.augmentation.scales: [480, 512]\n"
    )  # fmt: skip
    key = moved.workspace / "moved.model_key"
    assert (key.read_text(), key.stat().st_mode & 0o777) == ("sesame-open", 0o600)
    assert "sesame-open" not in moved.done.out
    assert "results_dir: $results_dir" in (moved.project / "specs/dino_first/train.yaml").read_text()
    names_it = "results are named by TAO's defaults in models/dino_first"
    assert moved.said("train.sh") == [
        (2, "variable KEY", "taken", "filled in where it is named"),
        (3, "variable SPECS", "taken", "filled in where it is named"),
        (5, "-n my_name", "left out", names_it),
        (5, "-k", "taken", 'model_key of "dino_first" is in moved.model_key, which only you may read'),
        (5, "dataset.augmentation.scales", "taken", 'overrides of "dino_first"'),
        (5, "dino train", "taken", "taorunner train dino_first"),
        (5, "number of GPUs", "taken", 'gpus of "dino_first"'),
        (5, "train.num_epochs", "taken", 'overrides of "dino_first"'),
        (7, "evaluate.checkpoint", "left out", "taorunner names it itself in each run"),
        (7, "-k", "taken", 'model_key of "dino_first" is in moved.model_key, which only you may read'),
        (7, "dino evaluate", "taken", "taorunner evaluate dino_first"),
        (8, "--odd", "left out", "type it: taorunner export dino_first -- --odd 3"),
        (8, "dino export", "taken", "taorunner export dino_first; its spec gone.yaml is not in the folder"),
        (9, "gen_trt_engine.onnx_file", "left out", "taorunner names it itself in each run"),
        (9, "deploy dino gen_trt_engine", "taken", "taorunner run gen_trt_engine dino_first"),
        (10, "tao", "left out", "no command of TAO that works on a network"),
        (11, "mkdir", "left out", "no command of TAO that works on a network"),
        (11, "wget", "left out", "no command of TAO that works on a network"),
    ]  # fmt: skip


def test_the_specs_of_a_notebook_go_to_the_actions_that_its_commands_run(cli: Cli, tmp_path: Path) -> None:
    script = (
        "tao model dino train -e /specs/train.yaml results_dir=/results/x train.num_epochs=3\n"
        "tao model dino train -e /specs/train.yaml results_dir=/results/x train.num_epochs=3 "
        "train.resume_training_checkpoint_path=/results/x/train/model_latest.pth\n"
        "tao model dino evaluate -e /specs/test.yaml evaluate.checkpoint=/results/x/a.pth\n"
        "tao model dino inference -e /specs/test.yaml inference.checkpoint=/results/x/a.pth\n"
        "tao model dino export -e /specs/last.yaml export.checkpoint=/results/x/a.pth\n"
        "tao deploy dino gen_trt_engine -e /specs/last.yaml\n"
        "tao deploy dino evaluate -e /specs/last.yaml\n"
        "tao deploy dino inference -e /specs/last.yaml\n"
    )
    test = "evaluate: {gpu_id: 0, checkpoint: /nowhere/a.pth}\ninference: {checkpoint: /nowhere/a.pth}\n"
    files = {
        "run.sh": script, "specs/train.yaml": DINO, "specs/test.yaml": test,
        "specs/last.yaml": "export: {gpu_id: 0}\n",
    }  # fmt: skip
    moved = Imported(cli, tmp_path, files)
    assert moved.specs() == [f"dino_01/{name}.yaml" for name in ("evaluate", "export", "inference", "train")]
    for name in ("evaluate", "inference"):
        assert (moved.project / f"specs/dino_01/{name}.yaml").read_text() == files["specs/test.yaml"]
    assert moved.entries.count("head:") == 1 and "extends" not in moved.entries
    assert "/nowhere" not in str(moved.document["findings"])
    commands = [note for _, _, _, note in moved.said("run.sh") if note.endswith(" dino_01")]
    assert commands == [
        "taorunner train dino_01", "taorunner resume dino_01", "taorunner evaluate dino_01",
        "taorunner inference dino_01", "taorunner export dino_01", "taorunner run gen_trt_engine dino_01",
        "taorunner run deploy.evaluate dino_01", "taorunner run deploy.inference dino_01",
    ]  # fmt: skip


def test_a_key_that_only_the_shell_knows_is_that_variable(cli: Cli, tmp_path: Path) -> None:
    files = {"a.sh": "dino train -e spec.yaml -k $SECRET\n", "spec.yaml": DINO}
    moved = Imported(cli, tmp_path, files)
    assert "    model_key: env:SECRET\n" in moved.entries.replace('"', "")
    assert not list(moved.workspace.glob("*.model_key"))


def test_one_spec_that_is_trained_with_twice_is_two_experiments(cli: Cli, tmp_path: Path) -> None:
    script = (
        "tao model dino train -e spec.yaml results_dir=/results/day\n"
        "CUDA_VISIBLE_DEVICES=1,3 tao model dino train -e spec.yaml results_dir=/results/night train.seed=7\n"
        "tao model dino train -e spec.yaml results_dir=/results/day\n"
        "tao model dino evaluate -e spec.yaml evaluate.checkpoint=/results/night/train/a.pth evaluate.batch_size=2\n"
    )
    moved = Imported(cli, tmp_path, {"a.sh": script, "spec.yaml": DINO})
    assert moved.entries.replace('"', "") == (
        "  dino_01:\n    head: dino\n    dataset: train\n    overrides:\n      evaluate.batch_size: 2\n"
        "    # model_key: env:TAO_MODEL_KEY  # what the launcher was given with -k, if anything\n\n"
        "  dino_01_night:\n    extends: dino_01\n    gpu_indices: [1, 3]\n    overrides:\n      train.seed: 7\n"
    )


def test_a_second_spec_of_an_action_that_a_command_names_has_an_experiment(cli: Cli, tmp_path: Path) -> None:
    script = (
        "dino train -e train.yaml\ndino evaluate -e evaluate.yaml\ndino evaluate -e evaluate_small.yaml\n"
        "dino export -e export_small.yaml\ndino export -e export.yaml\n"
    )
    files = {
        "a.sh": script, "train.yaml": DINO, "evaluate.yaml": "evaluate: {gpu_id: 0}\n",
        "evaluate_small.yaml": "evaluate: {gpu_id: 0}\n", "export.yaml": "export: {gpu_id: 0}\n",
        "export_small.yaml": "export: {gpu_id: 0}\n",
    }  # fmt: skip
    moved = Imported(cli, tmp_path, files)
    assert moved.specs() == [
        "dino_01/evaluate.yaml", "dino_01/export.yaml", "dino_01/train.yaml", "dino_01_small/evaluate.yaml",
        "dino_01_small/export.yaml",
    ]  # fmt: skip
    assert (3, "dino evaluate", "taken", "taorunner evaluate dino_01_small") in moved.said("a.sh")


def test_docker_run_gives_mounts_options_and_release(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "disk" / "train").mkdir(parents=True)
    script = (
        'HERE=$(cd "$(dirname "$0")/.." && pwd)\n'
        "COMMON=(--rm --gpus all --shm-size=8g -v $HERE/disk:/data:ro\n"
        "  -v $HERE/gone:/gone -e CITY=Bonn -e NGC_KEY --cap-add SYS_ADMIN)\n"
        'docker run "${COMMON[@]}" nvcr.io/nvidia/tao/tao-toolkit:6.0.0-pyt \\\n'
        '  bash -c "cd /tmp && dino train -e /specs/spec.yaml dataset.batch_size=2"\n'
    )
    spec = DINO.replace("/results", "/somewhere") + "  train_data_sources:\n    - {image_dir: /data/train}\n"
    moved = Imported(cli, tmp_path, {"run.sh": script, "specs/spec.yaml": spec})
    mounts = json.loads((moved.workspace / ".tao_mounts.json").read_text())
    assert {"source": str(tmp_path / "disk"), "destination": "/data", "read_only": True} in mounts["Mounts"]
    assert mounts["Envs"] == [{"variable": "CITY", "value": "Bonn"}]
    assert mounts["DockerOptions"] == {"shm_size": 8 * 1024**3}
    assert "    release: 6.0.0\n" in moved.entries.replace('"', "")
    assert "      dataset.batch_size: 2\n" in moved.entries
    said = {(what, outcome) for _, what, outcome, _ in moved.said("run.sh")}
    assert said >= {
        ("mount /data", "taken"), ("mount /gone", "left out"), ("container option shm_size", "taken"),
        ("variable of the container CITY", "taken"), ("variable of the container NGC_KEY", "left out"),
        ("docker run --cap-add", "left out"), ("dino train", "taken"),
        ("image nvcr.io/nvidia/tao/tao-toolkit:6.0.0-pyt", "taken"),
    }  # fmt: skip


def test_an_image_of_another_release_than_the_experiments_is_left_out(cli: Cli, tmp_path: Path) -> None:
    run = "docker run --gpus all nvcr.io/nvidia/tao/tao-toolkit:{}-pyt dino train -e /specs/spec.yaml\n"
    moved = Imported(
        cli, tmp_path, {"a.sh": run.format("6.0.0"), "b.sh": run.format("7.0.1"), "specs/spec.yaml": DINO}
    )
    said = {
        (what.rpartition(":")[2], outcome)
        for file in ("a.sh", "b.sh") for _, what, outcome, _ in moved.said(file) if what.startswith("image ")
    }  # fmt: skip
    assert said == {("6.0.0-pyt", "left out"), ("7.0.1-pyt", "taken")}


def test_a_notebook_gives_commands_mounts_and_what_it_replaces_in_specs(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    cells = [
        f"import os\nos.environ['DISK'] = '{tmp_path}/disk'\n%env SPECS=/workspace/specs\n",
        "tao_configs = {'Mounts': [{'source': os.environ['DISK'], 'destination': '/data'}]}\n",
        '!sed -i "s|DATA_PLACE|/data|g" $SPECS/train.yaml\n!tao model dino train -e $SPECS/train.yaml --gpus 1\n',
        "%%writefile more.yaml\nevaluate:\n  gpu_id: 0\n",
        "!dino evaluate -e more.yaml\n",
        "!ngc registry model download-version nvidia/tao/some:thing --dest x\n",
    ]
    notebook = json.dumps(
        {"cells": [{"cell_type": "code", "source": text.splitlines(keepends=True)} for text in cells]},
        indent=1,
    )
    spec = DINO + "  train_data_sources:\n    - {image_dir: DATA_PLACE/images}\n"
    (tmp_path / "disk" / "images").mkdir()
    moved = Imported(cli, tmp_path, {"run.ipynb": notebook, "specs/train.yaml": spec})
    assert "image_dir: $dataset_raw/images}" in (moved.project / "specs/dino_01/train.yaml").read_text()
    assert (moved.project / "specs/dino_01/evaluate.yaml").read_text() == "evaluate:\n  gpu_id: 0\n"
    lines = notebook.splitlines()
    for line, what, outcome, _ in moved.said("run.ipynb"):
        word = {
            "sed train.yaml": "sed -i",
            "download from NGC": "ngc registry",
            "mount /data": "tao_configs",
            "number of GPUs": "--gpus",
        }.get(what)
        assert line is not None and (word or what.split()[-1]) in lines[line - 1]
        assert outcome == ("left out" if what == "download from NGC" else "taken")
    assert {what for _, what, _, _ in moved.said("run.ipynb")} == {
        "variable DISK", "variable SPECS", "mount /data", "sed train.yaml", "dino train", "number of GPUs",
        "spec more.yaml", "dino evaluate", "download from NGC",
    }  # fmt: skip


def test_yaml_that_is_named_as_a_text_is_a_spec(cli: Cli, tmp_path: Path) -> None:
    moved = Imported(
        cli, tmp_path, {"dino/train.txt": DINO, "dino/notes.txt": "buy: milk\nand: bread\n"}, "--head", "dino"
    )
    assert moved.specs() == ["dino_01/notes.txt", "dino_01/train.yaml"]


def test_older_names_and_fractions_are_written_as_they_are_read_today(cli: Cli, tmp_path: Path) -> None:
    old = (
        "output_dir: /results/a\nmodel_config:\n  model_type: rgb  # model_config: stays\n"
        "dataset_config: {batch_size: 2}\ntrain_config:\n  epochs: 35\n"
    )
    fraction = TRAIN + (
        'postprocessing_config { target_class_config { key: "car" value { clustering_config {\n'
        "  dbscan_min_samples: 0.05  # dbscan_min_samples: 0.05\n} } } }\n"
    )
    files = {"action_recognition/train.yaml": old, "detectnet_v2/train.txt": fraction}
    moved = Imported(cli, tmp_path, files)
    assert (moved.project / "specs/action_recognition_01/train.yaml").read_text() == (
        "results_dir: $results_dir\nmodel:\n  model_type: rgb  # model_config: stays\n"
        "dataset: {batch_size: 2}\ntrain:\n  num_epochs: 35\n"
    )
    assert [(line, what, note) for line, what, _, note in moved.said("action_recognition/train.yaml") if line] == [
        (1, "output_dir", '"results_dir" since TAO 5'), (2, "model_config", '"model" since TAO 5'),
        (4, "dataset_config", '"dataset" since TAO 5'), (5, "train_config", '"train" since TAO 5'),
        (6, "epochs", '"num_epochs" since TAO 5'),
    ]  # fmt: skip
    text = (moved.project / "specs/detectnet_v2_01/train.txt").read_text()
    assert "dbscan_min_samples: 1  # dbscan_min_samples: 0.05\n" in text
    assert (12, "dbscan_min_samples", "taken", "0.05, a fraction before TAO 5.0, is 1") in moved.said(
        "detectnet_v2/train.txt"
    )


def test_weights_are_found_where_the_training_is_given_them(cli: Cli, tmp_path: Path) -> None:
    """In the layout of NGC's downloader with ``_v`` in both names, and beside other files."""
    mounts = tmp_path / "m.json"
    mounts.write_text(json.dumps({"Mounts": [{"source": str(tmp_path / "w"), "destination": "/w"}]}))
    downloaded = tmp_path / "w" / "pretrained_semantic_segmentation_vresnet18"
    own = tmp_path / "w" / "my weights"
    for folder in (downloaded, own):
        folder.mkdir(parents=True)
        (folder / "resnet_18.hdf5").write_bytes(b"weights")
    (own / "other.hdf5").write_bytes(b"weights")
    spec = 'model_config { arch: "resnet" num_layers: 18 }\ntraining_config { batch_size: 2 }\n'
    for path, repository, backbone, link in (
        (downloaded, "pretrained_semantic_segmentation", "resnet18", downloaded),
        (own, "imported", "resnet_18", own / "resnet_18.hdf5"),
    ):
        script = f"tao unet train -e spec.txt -r /r -k a -m '/w/{path.name}/resnet_18.hdf5'\n"
        folder = tmp_path / repository
        folder.mkdir()
        moved = Imported(cli, folder, {"a.sh": script, "spec.txt": spec}, "--mounts-file", str(mounts))
        assert f"    repository: {repository}\n    backbone: {backbone}\n" in moved.entries
        links = [one for one in (moved.workspace / "repositories").rglob("*") if one.is_symlink()]
        assert [one.readlink() for one in links] == [link]
        assert "weights-not-found" not in {one["code"] for one in moved.document["findings"]}


def test_documents_results_and_data_are_named_and_left(cli: Cli, tmp_path: Path) -> None:
    labels = {f"labels/{number:03}.txt": "car 0 0\n" for number in range(60)}
    files = {
        "README.md": "# How\n\n    tao model dino train -e x\n", "train.yaml": DINO,
        "out/train/experiment.yaml": DINO, "out/train/status.json": "{}\n", "tool.py": "x = 1\n", **labels,
        "plot.ipynb": json.dumps({"cells": [{"cell_type": "code", "source": ["print(1)"]}]}),
    }  # fmt: skip
    moved = Imported(cli, tmp_path, files, "--head", "dino")
    reason = "no spec, script, notebook or mounts file"
    assert {
        (Path(one["file"]).name, one["line"], one["what"], one["note"]) for one in moved.document["lines"]
    } == {
        ("README.md", 3, "a command or an image of TAO", "documentation, which is not read"),
        ("train.yaml", None, "train.yaml", "specs/dino_01/train.yaml"),
        ("experiment.yaml", None, "experiment.yaml", "written by a run"),
        ("status.json", None, "status.json", reason),
        ("tool.py", None, "tool.py", reason),
        ("plot.ipynb", None, "plot.ipynb", "no command, variable or mounts in it"),
        ("labels", None, "60 files", reason),
    }


def test_the_report_for_people_names_each_line_once(cli: Cli, tmp_path: Path) -> None:
    source = write(tmp_path / "src", {
        "a.sh": "mkdir x\nls\ntao model dino train -e train.yaml\nls\n", "train.yaml": DINO, "b.bin": "", "c.bin": "",
    })  # fmt: skip
    made = cli(
        "init-project", "moved", "--from-launcher", source, "--workspace", tmp_path / "ws", cwd=tmp_path
    )
    assert made.out.splitlines()[4:] == [
        "taken     src/a.sh:3  dino train: taorunner train dino_01",
        "taken     src/train.yaml  train.yaml: specs/dino_01/train.yaml",
        "left out  src/a.sh:1-2,4  mkdir, ls: no command of TAO that works on a network",
        "left out  src/b.bin, src/c.bin: no spec, script, notebook or mounts file",
        "next: read experiments.yml and the specs, then: taorunner --workspace ws validate moved",
    ]


def test_scripts_without_a_spec_name_the_network_to_begin_with(cli: Cli, tmp_path: Path) -> None:
    source = write(tmp_path / "src", {"a.sh": "tao classification train -e gone.cfg -k x\n"})
    refused = cli(
        "init-project", "moved", "--from-launcher", source, "--workspace", tmp_path / "ws", cwd=tmp_path
    )
    assert refused.code == 3 and codes(refused.err) == []
    assert refused.err.splitlines()[-1] == (
        "hint: its commands run classification_tf1; begin with: "
        "taorunner init-project moved --head classification_tf1"
    )


def test_a_spec_that_a_command_names_and_that_cannot_be_read_is_reported_at_its_line(
    cli: Cli, tmp_path: Path
) -> None:
    files = {
        "a.sh": "tao detectnet_v2 train -e made.txt -r /r\n",
        "made.txt": TRAIN + "/stray/path\n",
        "train.txt": TRAIN,
    }
    moved = Imported(cli, tmp_path, files)
    assert moved.specs() == ["detectnet_v2_01/train.txt", "detectnet_v2_made/train.txt"]
    (error,) = [one for one in moved.document["findings"] if one["severity"] == "error"]
    assert (error["code"], error["line"], Path(error["file"]).parent.name) == (
        "prototxt-syntax", TRAIN.count("\n") + 1, "detectnet_v2_made",
    )  # fmt: skip


def test_files_that_are_not_beside_specs_are_left_where_they_are(cli: Cli, tmp_path: Path) -> None:
    files = {
        "specs/train.yaml": DINO, "specs/classes.txt": "car\nvan\n", "requirements.txt": "numpy==1.0\n",
        "deploy/compose.yml": "services:\n  a: {image: x}\n", "empty/spec.yaml": "",
    }  # fmt: skip
    moved = Imported(cli, tmp_path, files, "--head", "dino")
    assert moved.specs() == ["dino_01/classes.txt", "dino_01/train.yaml"]
    note = "not recognised as a spec of TAO, and no spec is in its folder"
    assert moved.said("requirements.txt") == [(None, "requirements.txt", "left out", note)]
    assert moved.said("empty/spec.yaml")[0][2:] == ("left out", "the spec is empty")


def test_secrets_are_in_no_line_of_the_report(cli: Cli, tmp_path: Path) -> None:
    script = (
        "export NGC_API_KEY=hidden-one\n"
        "tao model dino train -e train.yaml -k hidden-two --api_token hidden-three wandb.api_key=hidden-four\n"
        "tao model dino evaluate -e train.yaml -k hidden-five\n"
        "docker run -e WANDB_API_KEY=hidden-six --gpus all nvcr.io/nvidia/tao/tao-toolkit:7.0.1-pyt dino export -e train.yaml\n"
    )
    moved = Imported(cli, tmp_path, {"a.sh": script, "train.yaml": DINO})
    assert "hidden" not in moved.done.out and "hidden" not in moved.entries
    assert (3, "-k", "left out", 'another command gives "dino_01" file:moved.model_key') in moved.said("a.sh")
    assert (moved.workspace / "moved.model_key").read_text() == "hidden-two"
    assert (moved.workspace / ".tao_mounts.json").stat().st_mode & 0o777 == 0o600
