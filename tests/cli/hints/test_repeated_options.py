"""A hint that says to type the command again keeps the options that were typed."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Cli

from taorunner.cli.hints.repeated_options import with_typed_options
from taorunner.errors import Finding, Severity, UsageError, UserFilesError

AFRESH = "{} --overwrite sets the earlier ones aside (nothing is deleted)"


def kept(typed: str, hint: str, message: str = "it exists", extra: tuple[str, ...] = ()) -> str | None:
    error = with_typed_options(UsageError(message, hint=hint), shlex.split(typed), extra)
    return error.hint


@pytest.mark.parametrize(
    ("typed", "hint", "whole"),
    [
        ("export a --checkpoint best", "taorunner export a", "taorunner export a --checkpoint best"),
        ("export --checkpoint=best a b", "taorunner export a", "taorunner export a --checkpoint best"),
        ("-p x export a -p x --set a.b='c d'", "taorunner export -p x a", "taorunner export -p x a --set 'a.b=c d'"),
        ("export x a b --plain", "taorunner export -p x a b", "taorunner export -p x a b --plain"),
        ("run trt a --gpus 1", "taorunner run trt a, or not", "taorunner run trt a --gpus 1, or not"),
        ("run a trt --gpus 1", "taorunner run trt a", "taorunner run trt a --gpus 1"),
        ("export a --dry-run --plain", "taorunner export a", "taorunner export a --plain"),
        ("rerun a -d", "taorunner rerun a --allow data starts it", "taorunner rerun a -d --allow data starts it"),
        ("evaluate a --on-host --truth d --plain", "taorunner inference a", "taorunner inference a --plain"),
        ("export a --env API_TOKEN=abc", "taorunner export a", "taorunner export a --env API_TOKEN=VALUE"),
        ("export a --env API_TOKEN=env:T", "taorunner export a", "taorunner export a --env API_TOKEN=env:T"),
    ],
)  # fmt: skip
def test_the_options_are_kept(typed: str, hint: str, whole: str) -> None:
    assert kept(typed, hint) == whole


@pytest.mark.parametrize(
    ("typed", "hint", "message"),
    [
        ("export a --checkpoint best", "taorunner train a", "it exists"),
        ("export a --overwrite", "taorunner export a --overwrite", "it exists"),
        ("train a --epochs 3 --then export", "taorunner train a", "--epochs and --then are wrong"),
        ("export --all --plain", "taorunner export --all", "it exists"),
        ("nothing a --plain", "taorunner nothing a", "it exists"),
        ("export a", "taorunner export a", "it exists"),
        ("export a --checkpoint best", 'did you mean "b"?', "it exists"),
    ],
)
def test_another_hint_does_not_change(typed: str, hint: str, message: str) -> None:
    assert kept(typed, hint, message) == hint


def test_words_for_tao_come_last() -> None:
    done = kept("export a --plain", "taorunner export a --overwrite", extra=("--k", "a b"))
    assert done == "taorunner export a --plain --overwrite -- --k 'a b'"


def test_findings_have_them_too() -> None:
    finding = Finding(Severity.ERROR, "output-exists", "it exists", AFRESH.format("taorunner export a"))
    error = UserFilesError("nothing was started", findings=[finding])
    (found,) = with_typed_options(error, ["export", "a", "--checkpoint", "best"], ()).findings
    assert found.hint == AFRESH.format("taorunner export a --checkpoint best")


def test_a_training_over_an_earlier_one(cli: Cli, workspace_factory: Callable[..., Path]) -> None:
    root = workspace_factory(
        "experiments:\n  small: {head: tinydet, dataset: d}\n",
        specs={"small/train.yaml": "results_dir: $results_dir\n"}, data={"d/": ""},
    )  # fmt: skip
    results = root / "projects" / "example_01" / "models" / "small" / "train"
    results.mkdir(parents=True)
    (results / "model_epoch_000_step_00010.npz").write_bytes(b"weights")
    done = cli("train", "small", "--epochs", "3", "--dry-run", cwd=root)
    assert AFRESH.format("taorunner train small --epochs 3") in done.err


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("run list -p example_01", "taorunner runs list -p example_01"),
        ("-p example_01 run show small", "taorunner -p example_01 runs show small"),
        ("run small export --checkpoint best", "taorunner run export small --checkpoint best"),
        ("evaluate small --on-host --checkpoint best --detach",
         "taorunner inference small --checkpoint best --min-score 0.001, then taorunner dataset evaluate small"),
    ],
)  # fmt: skip
def test_the_command_line_is_whole(
    typed: str, hint: str, cli: Cli, workspace_factory: Callable[..., Path]
) -> None:
    root = workspace_factory("experiments:\n  small: {head: tinydet, dataset: d}\n", data={"d/": ""})
    said = cli(*typed.split(), cwd=root).err.splitlines()
    assert f"hint: {hint}" in [line.strip() for line in said]
