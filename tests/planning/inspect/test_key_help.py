"""One key of a spec explained: what TAO knows of it, and what an experiment sets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from taorunner.catalog.load import load_network
from taorunner.errors import UsageError, UserFilesError
from taorunner.planning.inspect.key_help import ExplainedKey, explain_for_experiment, explain_for_network
from taorunner.planning.model.request import ActionRequest
from taorunner.project.workspace import Workspace

SPEC = "train:\n  num_epochs: 3\n  gpu_ids: [0, 1]\n  optim: {lr: 1e-3}\ndataset:\n  train_data_sources:\n  - {image_dir: /a}\n  - {image_dir: /b}\n"


@pytest.fixture
def explain(workspace_factory: Callable[..., Path]) -> Callable[..., ExplainedKey]:
    root = workspace_factory(
        "experiments: {e1: {head: dino, dataset: d}}\n", specs={"e1/train.yaml": SPEC}, data={"d/": ""}
    )

    def make(key: str, text: str = SPEC) -> ExplainedKey:
        (Workspace(root).project("example_01").spec_dir("e1") / "train.yaml").write_text(text)
        request = ActionRequest("train", ("e1",))
        return explain_for_experiment(Workspace(root), "example_01", "e1", key, request, {"HOME": str(root)})

    return make


@pytest.mark.parametrize(
    ("key", "keys"),
    [
        ("train.num_epochs", ["train.num_epochs"]),
        ("train.optim", ["train.optim.lr"]),
        ("train.opt", None),
        ("train.num_gpus", []),
        ("dataset.train_data_sources.1.image_dir", ["dataset.train_data_sources.1.image_dir"]),
        ("dataset.train_data_sources.image_dir", ["dataset.train_data_sources.0.image_dir", "dataset.train_data_sources.1.image_dir"]),
        ("dataset.train_data_sources.1", ["dataset.train_data_sources.1.image_dir"]),
    ],
)  # fmt: skip
def test_values_at_and_below_the_key(
    explain: Callable[..., ExplainedKey], key: str, keys: list[str] | None
) -> None:
    if keys is None:
        with pytest.raises(UsageError, match=f'the spec of "dino" has no key "{key}"'):
            explain(key)
        return
    found = explain(key)
    given = [value.key for value in found.values or () if value.by == "spec"]
    assert (given, found.problem, found.experiment) == (keys, None, "e1")


def test_a_key_is_explained_although_the_spec_cannot_be_rendered(
    explain: Callable[..., ExplainedKey],
) -> None:
    found = explain("train.num_epochs", SPEC + "more: $nothing\n")
    assert found.values == ()
    assert found.problem is not None and found.problem.endswith(
        "(2 errors; taorunner specs show e1 lists them)"  # the variable and the key
    )


def test_a_key_of_a_network_alone() -> None:
    found = explain_for_network(load_network("dino"), "train.num_epochs", "train", None, None)
    assert (found.network, found.action, found.experiment, found.values) == ("dino", "train", None, None)
    with pytest.raises(UsageError) as caught:
        explain_for_network(load_network("dino"), "train.num_epoch", "train", None, None)
    assert "did you mean" in (caught.value.hint or "") and "train.num_epochs" in (caught.value.hint or "")


def test_a_release_without_known_keys_names_those_with_some() -> None:
    with pytest.raises(UserFilesError) as caught:
        explain_for_network(load_network("classification_tf2"), "train", "train", "5.5.0", None)
    assert "no schema is known" in caught.value.message
    assert "choose one with --release" in (caught.value.hint or "")
    with pytest.raises(UserFilesError) as caught:
        explain_for_network(load_network("bpnet"), "train", "train", None, None)
    assert caught.value.hint is None
