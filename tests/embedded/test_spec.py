"""Specs of the embedded network: values, overrides, interpolations, and what is wrong in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from taorunner.embedded.spec import SpecError, load_spec, write_resolved


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "spec.yaml"


def problem(file: Path, text: str | bytes, *overrides: str) -> str:
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SpecError) as caught:
        load_spec(file, overrides)
    return str(caught.value).replace(str(file), "FILE")


def test_values_and_defaults(file: Path) -> None:
    file.write_text(
        "results_dir: /r\ntrain: {num_epochs: '7', learning_rate: 1e-2, pretrained_model_path: ~}\nmodel: ~\n"
        "dataset: {class_names: [a, 2]}\n"
    )
    spec = load_spec(file, [])
    assert (spec.results_dir, spec.train.num_epochs, spec.train.learning_rate) == ("/r", 7, 0.01)
    assert spec.dataset.class_names == ("a", "2")
    empty = file.with_name("empty.yaml")
    empty.write_text("")
    assert load_spec(empty, []).model == spec.model


def test_overrides(file: Path) -> None:
    file.write_text("train: {num_epochs: 1}\ndataset: {class_names: [a, b]}\n")
    spec = load_spec(
        file, ["train.num_epochs=5", "dataset.class_names.1=c", "model.input_width=64", "results_dir="]
    )
    assert (spec.train.num_epochs, spec.dataset.class_names, spec.model.input_width) == (5, ("a", "c"), 64)
    assert load_spec(file, ["dataset.class_names=[x, y]"]).dataset.class_names == ("x", "y")


@pytest.mark.parametrize(
    ("override", "text"),
    [
        (
            "train.num_epochs",
            '"train.num_epochs" is not an override (write key=value, for example train.num_epochs=5)',
        ),
        ("train..x=1", '"train..x=1" is not an override (write key=value, for example train.num_epochs=5)'),
        ("train.num_epochs.x=1", '"num_epochs" in override "train.num_epochs.x=1" has no keys below it'),
        ("dataset.class_names.2=c", '"2" in "dataset.class_names.2" is not an index of a list of 2'),
        ("dataset.class_names.x=c", '"x" in "dataset.class_names.x" is not an index of a list of 2'),
        ("train.num_epochs=[", 'override "train.num_epochs=["'),
        ("train.num_epochs=1.5", '"train.num_epochs" in'),
    ],
)
def test_wrong_overrides(override: str, text: str, file: Path) -> None:
    said = problem(file, "train: {num_epochs: 1}\ndataset: {class_names: [a, b]}\n", override)
    assert said.startswith(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1]", 'spec file "FILE" must be a mapping of keys, found a list'),
        ("a: [", 'spec file "FILE", line 1, column 5: '),
        (b"\xff\xfe\xff", 'spec file "FILE" is not UTF-8 text'),
        ("trian: {}", 'unknown key "trian" in FILE (did you mean "train"?)'),
        ("train: {num_epoch: 1}", 'unknown key "train.num_epoch" in FILE (did you mean "train.num_epochs"?)'),
        ("zzzzzz: 1", 'unknown key "zzzzzz" in FILE (known: '),
        ("train: 5", '"train" in FILE must be a mapping of keys, found 5'),
        ("train: {num_epochs: 1.5}", '"train.num_epochs" in FILE must be a whole number, found 1.5'),
        ("train: {num_epochs: true}", '"train.num_epochs" in FILE must be a whole number, found True'),
        ("train: {num_epochs: .inf}", '"train.num_epochs" in FILE must be a whole number, found inf'),
        ("train: {learning_rate: .inf}", '"train.learning_rate" in FILE must be a number, found inf'),
        ("train: {learning_rate: x}", "\"train.learning_rate\" in FILE must be a number, found 'x'"),
        ("results_dir: true", '"results_dir" in FILE must be text, found True'),
        ("results_dir: [a]", "\"results_dir\" in FILE must be text, found ['a']"),
        ("dataset: {class_names: a}", "\"dataset.class_names\" in FILE must be a list, found 'a'"),
        ("results_dir: ${nowhere.x}", 'interpolation "${nowhere.x}" names a key that the spec does not have'),
        ("results_dir: ${results_dir}", "interpolations in the spec are circular"),
        ("results_dir: ${oc.env:NOT_SET_HERE}", 'environment variable "NOT_SET_HERE" in "${oc.env:NOT_SET_HERE}" is not set'),
    ],
)  # fmt: skip
def test_wrong_specs(text: str | bytes, said: str, file: Path) -> None:
    assert problem(file, text).startswith(said)


def test_files_that_cannot_be_read(file: Path) -> None:
    with pytest.raises(SpecError, match="cannot read spec file"):
        load_spec(file, [])
    assert "is larger than" in problem(file, "# " + "x" * (2 << 20))
    assert "the spec holds more than" in problem(file, "train: [" + "1," * 10_000 + "]")


def test_interpolations(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SET_HERE", "there")
    file.write_text(
        "results_dir: /r/${train.num_epochs}/${oc.env:SET_HERE}/${oc.env:NOT_SET_HERE,other}\n"
        "train: {num_epochs: 3, checkpoint_interval: '${train.num_epochs}'}\n"
        "dataset: {class_names: ['${results_dir}', b]}\n"
    )
    spec = load_spec(file, [])
    assert (spec.results_dir, spec.train.checkpoint_interval) == ("/r/3/there/other", 3)
    assert spec.dataset.class_names == ("/r/3/there/other", "b")


def test_a_written_spec_is_read_back(file: Path, tmp_path: Path) -> None:
    file.write_text("results_dir: /r\ntrain: {num_epochs: 7}\ndataset: {class_names: [a, b]}\n")
    spec = load_spec(file, [])
    write_resolved(spec, tmp_path / "resolved.yaml")
    assert load_spec(tmp_path / "resolved.yaml", []) == spec
