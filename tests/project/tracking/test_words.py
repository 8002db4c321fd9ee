"""``track`` of experiments.yml: what is accepted, and one sentence with a place for each mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from taorunner.project import models
from taorunner.project.load import load_project
from taorunner.project.tracking.words import MlflowTarget, mlflow_target, track_problems
from taorunner.project.workspace import Workspace
from taorunner.text import masked_line

HEAD = "experiments:\n  a: {head: dssd, dataset: d, track: "


def load(root: Path, text: str) -> Any:
    folder = root / "projects/p"
    folder.mkdir(parents=True)
    (folder / "experiments.yml").write_text(text)
    return load_project(Workspace(root), "p")


def test_an_experiment_takes_the_server_of_the_project_or_its_own_or_none(tmp_path: Path) -> None:
    found = load(
        tmp_path,
        "tao_config: {track: {mlflow: {uri: http://h:5000}}}\n"
        "experiments:\n"
        "  a: {head: dssd, dataset: d}\n"
        "  b: {extends: a, track: {mlflow: {uri: env:MINE, experiment: other}}}\n"
        "  c: {extends: b, track: {}}\n",
    )
    assert found.findings == ()
    assert [mlflow_target(one.track) for one in found.experiments.values()] == [
        MlflowTarget("http://h:5000"), MlflowTarget("env:MINE", "other"), None,
    ]  # fmt: skip
    assert MlflowTarget("env:MINE").address({"MINE": "http://x"}) == "http://x"
    assert MlflowTarget().address({}) is None


@pytest.mark.parametrize(
    ("track", "column", "code", "said", "hint"),
    [
        ("3", 1, "wrong-type", '"track" must be a mapping', "mlflow: {}"),
        ("{wandb: []}", 9, "wrong-type", '"track.wandb" must be a mapping', "wandb: {}"),
        (
            "{wandb: {projet: x}}",
            10,
            "unknown-key",
            '"track.wandb" has no "projet"',
            'did you mean "project"?',
        ),
        ("{wandb: {api_key: x}}", 10, "plain-secret", "no credentials are kept here", "WANDB_API_KEY"),
        ("{wandb: {project: 5}}", 19, "wrong-type", '"track.wandb.project" must be a text', "quotes"),
        ("{wandb: {project: a/b}}", 19, "wrong-value", '"track.wandb.project" cannot be "a/b"', "letters"),
        ("{wandb: {mode: online}}", 16, "wrong-value", "must be offline", "wandb sync"),
        ("{mlfow: {}}", 2, "unknown-key", 'unknown tracker "mlfow"', 'did you mean "mlflow"?'),
        ("{mlflow: []}", 10, "wrong-type", '"track.mlflow" must be a mapping', "mlflow: {}"),
        ("{mlflow: {token: c4n4ry}}", 11, "plain-secret", 'no "token"', "MLFLOW_TRACKING_TOKEN"),
        ("{mlflow: {url: x}}", 11, "unknown-key", 'has no "url"', 'did you mean "uri"?'),
        (
            "{mlflow: {uri: 'http://me:c4n4ry@h:5000'}}",
            16,
            "plain-secret",
            "holds credentials",
            "MLFLOW_TRACKING_TOKEN",
        ),
        (
            "{mlflow: {uri: 'http://h/?token=c4n4ry'}}",
            16,
            "plain-secret",
            "holds credentials",
            "MLFLOW_TRACKING_TOKEN",
        ),
        ("{mlflow: {uri: ./mlruns}}", 16, "wrong-value", "must be the address of a server", "mlflow server"),
        ("{mlflow: {uri: localhost}}", 16, "wrong-value", 'not "localhost"', "env:MLFLOW_TRACKING_URI"),
        ("{mlflow: {uri: 5}}", 16, "wrong-type", "must be a text", "quotes"),
    ],
)
def test_each_mistake_is_one_sentence_with_its_place(
    tmp_path: Path, track: str, column: int, code: str, said: str, hint: str
) -> None:
    (finding,) = load(tmp_path, f"{HEAD}{track}}}\n").findings
    assert (finding.code, finding.line, finding.column) == (code, 2, column + len(HEAD.splitlines()[1]))
    assert said in finding.message and hint in str(finding.hint)
    assert "c4n4ry" not in f"{finding.message}{finding.hint}"


def test_other_mistakes_beside_it_are_reported_too(tmp_path: Path) -> None:
    found = load(tmp_path, f"{HEAD}3, gpus: x}}\n")
    assert [one.code for one in found.findings] == ["wrong-type", "wrong-type"]
    assert found.experiments == {}


def test_the_user_of_an_address_is_masked_where_a_line_is_shown() -> None:
    line = "    mlflow: {uri: 'http://me:c4n4ry@h:5000'}"
    assert masked_line(line) == "    mlflow: {uri: 'http://*********@h:5000'}"


TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["http://h:5000", "https://h/ml", "env:A", "http://u:p@h", "http://h?x", "http://h\n", "a\nb", ""]
    ),
)


@given(
    st.dictionaries(st.sampled_from(["uri", "experiment", "x"]), st.one_of(TEXTS, st.integers(), st.none()))
)
def test_the_validator_for_editors_says_the_same(settings: dict[str, Any]) -> None:
    track = {"mlflow": settings}
    try:
        models.check_tao_config({"track": track})
        is_valid = True
    except ValidationError:
        is_valid = False
    assert is_valid == (not any(track_problems(track)))
