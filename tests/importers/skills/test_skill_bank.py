"""A skill of NVIDIA's skill bank becomes a project: its templates are specs with the paths of a project."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli
from workspace_contents import snapshot

from taorunner.project.scaffold import spec_files

INFO = """\
name: train-boxes
network_arch: dino
container_image: nvcr.io/nvidia/tao/tao-toolkit:7.0.1-pyt
tuned_by: people
actions:
  train:
    command: dino train -e {config_path}
    inputs:
      dataset.train_data_sources[0].image_dir: {type: file}
      dataset.secret_list: {type: file}
      model.mystery: {type: file}
      train.pretrained_model_path: {type: file, optional: true}
  evaluate:
    command: dino evaluate -e {config_path}
  distil:
    command: python other.py {config_path}
"""
DEPLOY = """\
network_arch: dino
container_image: tao_toolkit.deploy
actions:
  gen_trt_engine:
    command: dino gen_trt_engine -e {config_path}
spec_templates:
  gen_trt_engine: spec_template_deploy_gen_trt_engine.yaml
"""
TRAIN = """\
results_dir: ''
model: {backbone: resnet_50}
dataset:
  train_data_sources:
  - image_dir: ''
    json_file: ''
  num_classes: 80
train:
  num_epochs: 3
  resume_training_checkpoint_path:
"""
EVALUATE = "results_dir: ''\nevaluate:\n  checkpoint: ???\n"
ENGINE = "results_dir: /results\ngen_trt_engine:\n  gpu_id: 0\n"


def put_skill(folder: Path, **files: str) -> Path:
    references = folder / "references"
    references.mkdir(parents=True)
    texts = {
        "skill_info.yaml": INFO, "boxes-deploy.skill_info.yaml": DEPLOY, "spec_template_train.yaml": TRAIN,
        "spec_template_evaluate.yaml": EVALUATE, "spec_template_deploy_gen_trt_engine.yaml": ENGINE,
        "spec_template_export.yaml": "export: {gpu_id: 0}\n",
    }  # fmt: skip
    for name, text in {**texts, **files}.items():
        (references / name).write_text(text)
    return folder


def lines_of(document: dict[str, Any]) -> list[tuple[str, int | None, str, str]]:
    return [(Path(one["file"]).name, one["line"], one["what"], one["outcome"]) for one in document["lines"]]


def test_templates_become_specs_and_everything_of_the_skill_is_reported(cli: Cli, tmp_path: Path) -> None:
    skill = put_skill(tmp_path / "skill")
    before = snapshot(skill)
    made = cli(
        "init-project",
        "boxes",
        "--from-skill-bank",
        skill,
        "--workspace",
        tmp_path / "ws",
        "--json",
        cwd=tmp_path,
    )
    assert made.code == 3  # the number of classes, and what "mystery" is, only the user knows
    assert snapshot(skill) == before
    project = tmp_path / "ws" / "projects" / "boxes"
    specs = project / "specs" / "dino_01"
    assert sorted(path.name for path in specs.iterdir()) == [
        "evaluate.yaml",
        "gen_trt_engine.yaml",
        "train.yaml",
    ]
    assert (specs / "train.yaml").read_text() == (
        "results_dir: $results_dir\n"
        "model: {backbone: resnet_50, mystery: $FILL_IN}\n"
        "dataset:\n"
        "  train_data_sources: [{image_dir: $dataset_raw/train/images, json_file: $dataset_raw/train/annotations.json}]\n"
        "  num_classes: $num_classes\n"
        "train:\n"
        "  num_epochs: 3\n"
        '  resume_training_checkpoint_path: ""\n'
    )
    assert (specs / "evaluate.yaml").read_text() == 'results_dir: $results_dir\nevaluate:\n  checkpoint: ""\n'
    assert "results_dir: $results_dir\n" in (specs / "gen_trt_engine.yaml").read_text()
    entry = (project / "experiments.yml").read_text()
    assert "  dino_01:\n    head: dino" in entry and "      num_classes: $FILL_IN" in entry
    assert "release:" not in entry  # the image is that of the default release
    document = json.loads(made.out)
    assert document["projects"] == ["boxes"] and str(project) in document["made"]
    found = lines_of(document)
    for expected in (
        ("skill_info.yaml", 4, "tuned_by", "left out"),
        ("skill_info.yaml", 6, "action train", "taken"),
        ("skill_info.yaml", 13, "action evaluate", "taken"),
        ("skill_info.yaml", 15, "action distil", "left out"),
        ("boxes-deploy.skill_info.yaml", 4, "action gen_trt_engine", "taken"),
        ("spec_template_train.yaml", None, "dataset.secret_list", "left out"),
        ("spec_template_train.yaml", None, "model.mystery", "left out"),
        ("spec_template_train.yaml", None, "dataset.train_data_sources", "taken"),
        ("spec_template_export.yaml", None, "spec_template_export.yaml", "left out"),
    ):
        assert expected in found
    assert {one["code"] for one in document["findings"] if one["severity"] == "error"} <= {
        "fill-in", "unknown-key", "empty-dataset",
    }  # fmt: skip


def test_of_a_whole_bank_the_head_picks_the_skill(cli: Cli, tmp_path: Path) -> None:
    bank = tmp_path / "bank"
    put_skill(bank / "skills" / "boxes")
    other = INFO.replace("dino", "rtdetr").replace("train-boxes", "train-fast")
    put_skill(bank / "skills" / "fast", **{"skill_info.yaml": other})
    words = ("init-project", "boxes", "--from-skill-bank", bank, "--workspace", tmp_path / "ws")
    refused = cli(*words, cwd=tmp_path)
    assert refused.code == 3
    assert refused.err.splitlines() == [
        'error: "bank" has 2 skills',
        "hint: name one with --head, or its folder: dino (skills/boxes), rtdetr (skills/fast)",
    ]
    assert not (tmp_path / "ws").exists()
    wrong = cli(*words, "--head", "segformer", cwd=tmp_path)
    assert wrong.err.splitlines() == [
        'error: "bank" has no skill for "segformer"', "hint: it has those for dino, rtdetr",
    ]  # fmt: skip
    cli(*words, "--head", "rtdetr", cwd=tmp_path)
    assert "head: rtdetr" in (tmp_path / "ws" / "projects" / "boxes" / "experiments.yml").read_text()


def test_a_second_way_to_train_extends_the_first(cli: Cli, tmp_path: Path) -> None:
    info = INFO + "  half_train:\n    command: dino train -e {config_path}\n"
    skill = put_skill(tmp_path / "skill", **{"skill_info.yaml": info, "spec_template_half_train.yaml": TRAIN})
    file = skill / "references" / "skill_info.yaml"
    cli("init-project", "boxes", "--from-skill-bank", file, "--workspace", tmp_path / "ws", cwd=tmp_path)
    project = tmp_path / "ws" / "projects" / "boxes"
    assert "  dino_half:\n    extends: dino_01\n" in (project / "experiments.yml").read_text()
    assert [path.name for path in (project / "specs" / "dino_half").iterdir()] == ["train.yaml"]


def test_links_that_lead_out_of_the_folder_are_not_followed(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "private.yaml").write_text("results_dir: mine\n")
    skill = put_skill(tmp_path / "skill")
    template = skill / "references" / "spec_template_evaluate.yaml"
    template.unlink()
    template.symlink_to(tmp_path / "private.yaml")
    info = (skill / "references" / "skill_info.yaml").read_text()
    (skill / "references" / "skill_info.yaml").write_text(
        info + "spec_templates: {train: ../../private.yaml}\n"
    )
    (skill / "loop").symlink_to(tmp_path)
    refused = cli(
        "init-project",
        "boxes",
        "--from-skill-bank",
        skill,
        "--workspace",
        tmp_path / "ws",
        "--json",
        cwd=tmp_path,
    )
    document = json.loads(refused.out)
    assert ("skill_info.yaml", 13, "action evaluate", "left out") in lines_of(document)
    for path in (tmp_path / "ws").rglob("*.yaml"):
        assert "mine" not in path.read_text()


@pytest.mark.parametrize(
    ("info", "message"),
    [
        ("actions: [", 'skill_info.yaml:1:11": not valid YAML'),
        ("- a\n", "is not a mapping"),
        ("a: &a [1]\nb: &b [*a, *a]\nactions: {train: 3, 4: {command: 5}}\n", "no skill for a network"),
        ("actions: {train: {command: 'dino train \"'}}\n", "no skill for a network"),
        ("actions: {train: {command: nope train -e x}}\n", "no skill for a network"),
        (INFO.replace("dino", "analytics"), "has no spec template for analytics"),
    ],
)
def test_what_is_no_skill_is_refused_and_leaves_nothing(
    cli: Cli, tmp_path: Path, info: str, message: str
) -> None:
    references = tmp_path / "skill" / "references"
    references.mkdir(parents=True)
    (references / "skill_info.yaml").write_text(info)
    done = cli(
        "init-project",
        "x",
        "--from-skill-bank",
        tmp_path / "skill",
        "--workspace",
        tmp_path / "ws",
        cwd=tmp_path,
    )
    assert (done.code, done.out) == (3, "")
    assert message in done.err
    assert not (tmp_path / "ws").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["x", "--from-skill-bank", "nowhere"], 'there is no "'),
        (["--from-skill-bank", "."], "the name of the project is missing"),
        (["x", "--from-skill-bank", ".", "--from-launcher", "."], "cannot be combined with"),
        (["x", "--from-skill-bank", ".", "--release", "7.0.1"], "--release cannot be combined with"),
        (["x", "--json"], "--json needs --from-launcher"),
    ],
)
def test_wrong_words_are_refused(cli: Cli, tmp_path: Path, words: list[str], message: str) -> None:
    done = cli("init-project", *words, "--workspace", tmp_path / "ws", cwd=tmp_path)
    assert done.code == 2
    assert message in done.err


def test_an_action_without_a_template_has_the_spec_of_a_new_project(cli: Cli, tmp_path: Path) -> None:
    skill = put_skill(tmp_path / "skill")
    (skill / "references" / "spec_template_train.yaml").unlink()
    made = cli(
        "init-project",
        "boxes",
        "--from-skill-bank",
        skill,
        "--workspace",
        tmp_path / "ws",
        "--json",
        cwd=tmp_path,
    )
    specs = tmp_path / "ws" / "projects" / "boxes" / "specs" / "dino_01"
    assert (specs / "train.yaml").read_text() == spec_files("dino")["train.yaml"]
    said = [one for one in json.loads(made.out)["lines"] if one["what"] == "action train"]
    assert [(one["outcome"], one["note"]) for one in said] == [
        ("taken", "there is no spec_template_train.yaml: specs/dino_01/train.yaml is that of a new project")
    ]
