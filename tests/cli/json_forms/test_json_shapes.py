"""What commands really print with ``--json``, against the schemas that ``taorunner schema`` prints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from command_line import Cli, Done
from jsonschema import Draft202012Validator

from taorunner.api.example_workspace import make_example_workspace
from taorunner.console.shapes.shapes import COMMANDS, shape_names, shape_schema

SHORT = ("--set", "train.num_epochs=2", "--set", "train.checkpoint_interval=1")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return make_example_workspace(tmp_path / "w", images=24, held_out=4).root


@pytest.fixture
def schemas() -> dict[str, Any]:
    """By name; closed, so that no key is printed that is not described."""
    return {name: closed(shape_schema(name)) for name in shape_names()}


def closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: closed(value) for key, value in schema.items()}
    if schema.get("type") == "object" and isinstance(schema.get("properties"), dict):
        found["additionalProperties"] = False
    return found


@pytest.mark.slow
def test_every_command_prints_what_its_schema_says(
    cli: Cli, workspace: Path, schemas: dict[str, Any]
) -> None:
    seen: set[str] = set()

    def check(shape: str, *words: str, code: int = 0) -> Done:
        done = cli(*words, "--json", cwd=workspace, timeout_s=120)
        assert done.code == code, (words, done)
        command = next(name for name in sorted(COMMANDS, key=len, reverse=True) if command_is(name, words))
        assert shape in COMMANDS[command], words
        for value in done.events if shape == "events" else [done.json]:
            Draft202012Validator(schemas[shape]).validate(value)
        seen.update({command, shape})
        return done

    check("events", "convert", "tiny")
    check("dry-run", "train", "tiny", "--dry-run")
    check("events", "train", "tiny", *SHORT)
    (started,) = check("started", "evaluate", "tiny", "-d").json
    check("events", "attach", started["run"])
    check("events", "train", "tiny", "--overwrite", *SHORT, "--keep-checkpoints", "last:1")
    check("events", "export", "tiny")
    check("events", "inference", "tiny")
    for words in (
        ("prune", "tiny"),
        ("run", "no_such", "tiny"),
        ("resume", "small"),
        ("train", "tiny", "--gpus", "99"),
    ):
        refused = cli(*words, "--json", cwd=workspace)
        assert refused.code in (2, 3), (words, refused)
        Draft202012Validator(schemas["findings"]).validate(refused.json)
        seen.update({words[0]})
    check("runs", "ps")
    check("runs", "runs", "list")
    check("runs", "runs", "show", "tiny")
    check("earlier-results", "runs", "restore", "tiny", "1")
    check("pruned-records", "runs", "prune", "--keep", "3")
    check("pruned-results", "runs", "prune", "--results")
    check("pruned-results", "runs", "prune", "--keep-checkpoints", "last:1")
    check("findings", "validate")
    check("findings", "doctor", "--offline")
    check("networks", "networks")
    check("network", "networks", "rtdetr")
    check("network", "networks", "dssd", "--release", "3.21.08")
    check("pretrained-models", "pretrained", "list", "--offline")
    check("pretrained-models", "pretrained", "list", "dino", "--offline")
    check("spec", "specs", "show", "tiny")
    check("spec-differences", "specs", "diff", "tiny", "small")
    check("explained-key", "specs", "explain", "train.num_epochs", "--head", "dino")
    check("spec-changes", "specs", "refresh", "tiny")
    check("findings", "dataset", "check", "shapes/train")
    check("stats", "dataset", "stats", "shapes/train")
    check("conversion", "dataset", "convert", "shapes/train", "--to", "coco")
    check("split", "dataset", "split", "shapes/train", "--val", "0.2")
    check("resize", "dataset", "resize", "shapes/train", "--size", "64x64")
    check("dry-run", "shell", "--image", "busybox", "--dry-run")
    of_an_engine = {
        "image ls",
        "image pull",
        "image lock",
        "image build",
        "image push",
        "image release",
        "networks sync",
    }
    of_a_server = {"pretrained pull"}
    assert seen & set(COMMANDS) == set(COMMANDS) - of_an_engine - of_a_server


@pytest.mark.parametrize("words", [("--for", "detectnet_v2"), ("-e", "tiny")])
def test_a_dataset_that_is_laid_out_for_a_network(
    words: tuple[str, ...], cli: Cli, workspace: Path, schemas: dict[str, Any]
) -> None:
    done = cli("dataset", "convert", "shapes/train", *words, "--json", cwd=workspace)
    assert done.code == 0, done
    assert "laid-out" in COMMANDS["dataset convert"]
    Draft202012Validator(schemas["laid-out"]).validate(done.json)


def command_is(name: str, words: tuple[str, ...]) -> bool:
    if name == "networks show":
        return words[0] == "networks" and words[1:2] != ("sync",)
    return words[: len(name.split())] == tuple(name.split())


@pytest.mark.engine
def test_images_of_a_real_engine(docker_cli: Cli, workspace: Path, schemas: dict[str, Any]) -> None:
    file = workspace / "projects/shapes/experiments.yml"
    file.write_text(
        file.read_text() + '\n  a: {head: codetr, dataset: shapes, image: "busybox:none", release: "7.0.1"}\n'
    )
    listed = docker_cli("image", "ls", "--json", cwd=workspace)
    Draft202012Validator(schemas["images"]).validate(listed.json)
    assert [one["image"] for one in listed.json] == ["busybox:none"]
    refused = docker_cli("image", "pull", "127.0.0.1:1/no/such:image", "--json", cwd=workspace)
    Draft202012Validator(schemas["findings"]).validate(refused.json)
    assert refused.code in (4, 5)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--of", "rnus"), 'did you mean "runs"?'),
        (("--of", ""), "there is no shape"),
        (("--events", "--of", "runs"), "cannot be combined"),
    ],
)
def test_wrong_words(cli: Cli, words: tuple[str, ...], message: str) -> None:
    done = cli("schema", *words)
    assert (done.code, message in done.err, done.out) == (2, True, "")


def test_a_command_names_its_shapes(cli: Cli) -> None:
    assert [line.split()[0] for line in cli("schema", "--list").out.splitlines()] == shape_names()
    assert cli("schema", "--of", "runs").json == shape_schema("runs")
    assert cli("schema", "--of", "image ls").json == cli("schema", "--of", "images").json
    assert cli("schema", "--events").json == cli("schema", "--of", "events").json
    both = cli("schema", "--of", "taorunner runs prune").json
    assert [one["$id"] for one in both] == [
        "urn:taorunner:json:pruned-records:1",
        "urn:taorunner:json:pruned-results:1",
    ]
