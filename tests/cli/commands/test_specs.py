"""``specs show``, ``diff`` and ``explain`` as a person uses them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Cli

EXPERIMENTS = """\
experiments:
  first: {head: dino, dataset: d, release: 7.1.0, model_key: a_long_secret_key}
  second:
    extends: first
    gpus: 2
    overrides:
      train.num_epochs: 24
      train: {optim: {lr: 2e-4}}
      dataset.train_data_sources[0].image_dir: $dataset_raw/more
  tf1:
    head: dssd
    backbone: resnet18
    repository: pretrained_object_detection
    model_key: env:KEY
    dataset: d
    overrides: {training_config.num_epochs: 3}
"""
TRAIN_YAML = """\
# ours
results_dir: $results_dir
encryption_key: a_long_secret_key
train:
  num_epochs: 12  # a while
  optim: {lr: 1.0e-04}
dataset:
  train_data_sources:
    - {image_dir: $dataset_raw, json_file: a.json}
wandb: {name: a_long_secret_key_too}
"""
TRAIN_TXT = 'random_seed: 42\ntraining_config { num_epochs: 80 }\ndataset_config { data_sources { tfrecords_path: "$tfrecords/*" } }\n'


@pytest.fixture
def workspace(workspace_factory: Callable[..., Path]) -> Path:
    return workspace_factory(
        EXPERIMENTS,
        specs={"first/train.yaml": TRAIN_YAML, "second/": "", "tf1/train.txt": TRAIN_TXT},
        data={"d/": ""},
    )


def test_show_prints_what_tao_reads_with_secrets_masked(cli: Cli, workspace: Path) -> None:
    done = cli("specs", "show", "second", cwd=workspace)
    assert done.code == 0, done.err
    assert done.out == (
        "# ours\nresults_dir: /workspace/projects/example_01/models/second\n"
        'encryption_key: "***"\ntrain:\n  num_epochs: 24  # a while\n  optim: {lr: 0.0002}\n  num_gpus: 2\n'
        "  gpu_ids: [0, 1]\ndataset:\n  train_data_sources:\n"
        "    - {image_dir: /workspace/projects/example_01/data/d/more, json_file: a.json}\n"
        'wandb: {name: "***"}\n'
    )
    assert (
        "second: train of dino 7.1.0, from projects/example_01/specs/first/train.yaml, 3 values" in done.err
    )
    assert "on the command line: train.num_gpus=2" in done.err
    assert "secret" not in done.out + done.err


def test_show_as_json_says_who_wrote_each_value_and_where(cli: Cli, workspace: Path) -> None:
    shown = cli("specs", "show", "second", "--set", "train.seed=7", "--json", cwd=workspace).json
    project = workspace / "projects" / "example_01"
    origins = {value["key"]: (value["by"], value["file"], value["line"]) for value in shown["values"]}
    yml, spec = str(project / "experiments.yml"), str(project / "specs" / "first" / "train.yaml")
    assert origins == {
        "results_dir": ("spec", spec, 2), "encryption_key": ("spec", spec, 3),
        "train.num_epochs": ("override", yml, 7), "train.optim.lr": ("override", yml, 8),
        "train.num_gpus": ("taorunner", None, None), "train.gpu_ids": ("taorunner", None, None),
        "dataset.train_data_sources.0.image_dir": ("override", yml, 9),
        "dataset.train_data_sources.0.json_file": ("spec", spec, 9),
        "wandb.name": ("spec", spec, 10),
    }  # fmt: skip
    assert shown["arguments"][-1] == "train.seed=7"
    assert "secret" not in str(shown)


def test_set_goes_into_a_protobuf_spec(cli: Cli, workspace: Path) -> None:
    done = cli("specs", "show", "tf1", "--set", "training_config.regularizer.type=L2", cwd=workspace)
    assert done.code == 0, done.err
    assert "training_config { num_epochs: 3 regularizer { type: L2 } }\n" in done.out


def test_diff_says_what_differs_and_where(cli: Cli, workspace: Path) -> None:
    done = cli("specs", "diff", "first", "second", cwd=workspace)
    assert done.code == 0, done.err
    assert done.out.splitlines()[:3] == [
        "~ train.num_epochs",
        "    first   12  projects/example_01/specs/first/train.yaml:5:15",
        "    second  24  projects/example_01/experiments.yml:7:25 overrides",
    ]
    assert (
        done.out.splitlines()[-1] == "5 differences; 1 more only by the experiments' names (--all shows them)"
    )
    assert "models/first" not in done.out
    assert "models/first" in cli("specs", "diff", "first", "second", "--all", cwd=workspace).out


def test_diff_has_an_exit_code_for_scripts(cli: Cli, workspace: Path) -> None:
    codes = [
        cli("specs", "diff", *words, cwd=workspace).code
        for words in (
            ("first", "second"),
            ("first", "second", "--exit-code"),
            ("first", "first", "--exit-code"),
            ("first", "nobody", "--exit-code"),
        )
    ]
    assert codes == [0, 1, 0, 2]


def test_diff_as_json_between_unlike_networks(cli: Cli, workspace: Path) -> None:
    found = cli("specs", "diff", "first", "tf1", "--json", cwd=workspace).json
    kinds = {one["key"]: one["kind"] for one in found["differences"]}
    assert kinds["train.num_epochs"] == "only-first"
    assert kinds["dataset_config.data_sources.0.tfrecords_path"] == "only-second"
    changed = cli("specs", "diff", "first", "second", "--json", cwd=workspace).json["differences"]
    assert [(one["key"], one["kind"]) for one in changed if one["by_name"]] == [("results_dir", "changed")]
    epochs = next(one for one in changed if one["key"] == "train.num_epochs")
    assert (epochs["first"]["value"], epochs["second"]["value"]) == (12, 24)


def test_explain_a_key_of_a_network(cli: Cli, tmp_path: Path) -> None:
    done = cli("specs", "explain", "train.num_epochs", "--head", "dino", "--release", "7.1.0", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        "train.num_epochs  int  dino 7.1.0, train\n  default      10\n  range        at least 1\n"
        "  releases     all that are known, 5.0.0 to 7.3.0\n"
    )
    message = cli(
        "specs", "explain", "quantize", "--head", "dino", "--release", "7.1.0", "--json", cwd=tmp_path
    ).json
    assert (message["type"], message["since"], message["until"], message["experiment"]) == (
        "section",
        "6.26.3",
        None,
        None,
    )
    assert message["children"][0].keys() == {
        "key", "type", "optional", "mandatory", "has_default", "default", "min", "max", "options", "since", "until",
        "releases",
    }  # fmt: skip


def test_explain_a_key_of_an_experiment_says_what_sets_it(cli: Cli, workspace: Path) -> None:
    done = cli("specs", "explain", "train.num_epochs", "-e", "second", cwd=workspace)
    assert "  set          24  projects/example_01/experiments.yml:7:25 overrides\n" in done.out
    assert "not by second" in cli("specs", "explain", "train.seed", "-e", "second", cwd=workspace).out
    message = cli(
        "specs", "explain", "dataset_config.data_sources", "-e", "tf1", "--json", cwd=workspace
    ).json
    assert [value["key"] for value in message["values"]] == ["dataset_config.data_sources.0.tfrecords_path"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("explain", "num_epoch", "--head", "dino"), 2, "hint: did you mean train.num_epochs?"),
        (("explain", "quantize", "--head", "dino", "--release", "6.0.0"), 2, "(since 6.26.3)"),
        (("explain", "train", "--head", "dinoo"), 2, 'hint: did you mean "dino"?'),
        (("explain", "train", "--head", "bpnet"), 3, "no schema is known"),
        (("explain", "train"), 2, "no experiment named, and there are 3: first, second, tf1"),
        (
            ("explain", "train", "--head", "dino", "-e", "first"),
            2,
            "--head cannot be combined with --experiment",
        ),
        (("show", "secnd"), 2, 'hint: did you mean "second"?'),
        (("show", "first", "trian"), 2, "trian"),
        (("show", "first", "--set", "train.num_epochs"), 2, "--set takes KEY=VALUE"),
        (("show", "tf1", "--set", "random_seed=x"), 2, "--set random_seed takes a whole number"),
    ],
)
def test_what_cannot_be_shown_is_reported(
    cli: Cli, workspace: Path, words: tuple[str, ...], code: int, message: str
) -> None:
    done = cli("specs", *words, cwd=workspace)
    assert (done.code, done.out) == (code, "")
    assert message in done.err
    assert "Traceback" not in done.err


def test_secrets_are_masked_wherever_they_stand(cli: Cli, workspace_factory: Callable[..., Path]) -> None:
    root = workspace_factory(
        "experiments:\n  e: {head: bpnet, dataset: d, model_key: '1234', env: {A_TOKEN: in_the_file}}\n",
        specs={
            "e/train.yaml": "a: &k 1234\nb: *k\nc: [1234, 5]\nkey: x\nencryption_key: ???\napi_key: ${oc.env:K}\n"
            "d: 12345\ne: [in_the_file/x] # in_the_file\n"
        },
        data={"d/": ""},
    )
    done = cli("specs", "show", "e", cwd=root)
    assert done.out == (
        'a: &k "***"\nb: *k\nc: ["***", 5]\nkey: "***"\nencryption_key: ???\napi_key: ${oc.env:K}\n'
        'd: 12345\ne: ["***"] # ***\n'
    )
    shown = cli("specs", "show", "e", "--json", cwd=root)
    assert "1234'" not in shown.out.replace("12345", "") and "in_the_file" not in shown.out
    assert {value["key"]: value["value"] for value in shown.json["values"]}["c"] == ["***", 5]
