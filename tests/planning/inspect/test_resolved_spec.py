"""The spec that TAO will read: each value with who set it, and no secret."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from taorunner.errors import UsageError, UserFilesError
from taorunner.planning.inspect.resolved_spec import ShownSpec, shown_spec
from taorunner.planning.model.request import ActionRequest
from taorunner.project.workspace import Workspace

SPEC = """\
results_dir: $results_dir
encryption_key: abc
train:
  num_gpus: 1
  num_epochs: 3
  gpu_ids: [0]
  optim:
    lr: 2e-4
wandb:
  tags: [secret-word-9, plain]
  name: short
"""
EXPERIMENTS = """\
experiments:
  e1:
    head: dino
    dataset: d
    model_key: secret-word-9
    overrides:
      train.num_epochs: 7
  wrong: {head: dyno, dataset: d}
  broken: {head: dino}
"""


@pytest.fixture
def root(workspace_factory: Callable[..., Path]) -> Path:
    return workspace_factory(EXPERIMENTS, specs={"e1/train.yaml": SPEC}, data={"d/": ""})


def show(root: Path, name: str = "e1", action: str = "train", **fields: object) -> ShownSpec:
    request = ActionRequest(action, (name,), **fields)  # type: ignore[arg-type]
    return shown_spec(Workspace(root), "example_01", name, request, {"HOME": str(root)})


def test_each_value_has_its_origin(root: Path) -> None:
    found = show(root, overrides={"train.optim.lr": "1e-3"})
    origins = {value.key: (value.by, value.line, value.value) for value in found.values}
    assert origins["train.num_epochs"][0] == "override"
    assert origins["train.num_epochs"][2] == 7
    assert origins["results_dir"][:2] == ("spec", 1)
    assert origins["train.optim.lr"] == ("spec", 8, 2e-4)
    assert [one for one in found.arguments if "optim" in one] == ["train.optim.lr=1e-3"]  # which beats it
    files = {value.by: value.file and value.file.name for value in found.values}
    assert (files["spec"], files["override"]) == ("train.yaml", "experiments.yml")
    assert (found.network, found.action, found.format, found.path.name) == (
        "dino",
        "train",
        "yaml",
        "train.yaml",
    )
    assert "num_epochs: 7" in found.text


def test_secrets_are_masked_by_their_name_and_by_their_value(root: Path) -> None:
    found = show(root)
    values = {value.key: value.value for value in found.values}
    assert values["encryption_key"] == "***"
    assert values["wandb.tags"] == ["***", "plain"]
    assert values["wandb.name"] == "short"
    for secret in ("abc", "secret-word-9"):
        assert secret not in found.text and secret not in repr(found.values)
    assert 'tags: ["***", plain]' in found.text


@pytest.mark.parametrize("value", ["null", "''", "'???'", "${oc.env:KEY}"])
def test_what_is_no_value_yet_is_no_secret(root: Path, value: str) -> None:
    spec = Workspace(root).project("example_01").spec_dir("e1") / "train.yaml"
    spec.write_text(SPEC.replace("encryption_key: abc", f"encryption_key: {value}"))
    assert f"encryption_key: {value}\n" in show(root).text


def test_no_action_is_the_training(root: Path) -> None:
    assert show(root, action="").action == "train"


@pytest.mark.parametrize(
    ("name", "message"),
    [("none", 'there is no experiment "none"'), ("wrong", 'experiment "wrong" has problems'), ("broken", 'experiment "broken" has problems')],
)  # fmt: skip
def test_an_experiment_that_cannot_be_used_is_reported(root: Path, name: str, message: str) -> None:
    with pytest.raises(UserFilesError) as caught:
        show(root, name)
    assert caught.value.message.startswith(message)
    if name == "wrong":
        assert [(one.code, one.hint) for one in caught.value.findings] == [
            ("unknown-head", 'did you mean "dino"?'),
        ]  # fmt: skip


def test_a_spec_that_cannot_be_rendered_is_reported_with_the_reason(root: Path) -> None:
    spec = Workspace(root).project("example_01").spec_dir("e1") / "train.yaml"
    spec.write_text(SPEC + "more: $nothing\n")
    with pytest.raises(UserFilesError) as caught:
        show(root)
    assert caught.value.message == 'the spec of "e1" for train cannot be rendered'
    assert [(one.code, one.line) for one in caught.value.findings if one.is_error] == [
        ("unknown-variable", 12), ("unknown-key", 12),
    ]  # fmt: skip


def test_an_action_that_reads_no_spec_is_refused(workspace_factory: Callable[..., Path]) -> None:
    root = workspace_factory("experiments: {e1: {head: yolo_v4, dataset: d}}\n", data={"d/": ""})
    with pytest.raises(UsageError) as caught:
        show(root, action="kmeans")
    assert caught.value.message == '"yolo_v4" kmeans reads no spec'
    assert (caught.value.hint or "").startswith("these do: ")
