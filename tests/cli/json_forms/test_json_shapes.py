"""What commands really print with ``--json``, against the schemas that ``taorunner schema`` prints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli, Done
from jsonschema import Draft202012Validator

from taorunner.api.example_workspace import make_example_workspace
from taorunner.console.shapes.shapes import COMMANDS, shape_names, shape_schema
from taorunner.events import RunState
from taorunner.runs.state.store import RunStore

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
    check("bundle", "bundle", "tiny")
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
    check("runs", "stop", "--all")
    lines = cli("logs", "tiny", "-n", "3", "--json", cwd=workspace).events
    for line in lines:
        Draft202012Validator(schemas["log-lines"]).validate(line)
    assert [line["experiment"] for line in lines] == ["tiny"] * 3
    assert lines[-1]["text"] == cli("logs", "tiny", cwd=workspace).out.splitlines()[-1]
    seen.update({"logs", "log-lines"})
    added = check("added", "add", "shapes/third", "--like", "shapes/tiny").json
    assert (added["experiment"], added["fill_in"]) == ("third", [])
    old = workspace / "old"
    old.mkdir()
    (old / "train.yaml").write_text("train: {num_epochs: 3}\ndataset: {num_classes: 4}\n")
    (old / "train.sh").write_text("tao model dino train -e train.yaml -n x\n")
    beside = str(workspace.parent / "beside")
    moved = check(
        "imported", "init-project", "moved", "--from-launcher", str(old), "--workspace", beside
    ).json
    assert {line["outcome"] for line in moved["lines"]} == {"taken", "left out"}
    lost = a_run_without_an_end(workspace, started["run"])
    (marked,) = check("runs", "runs", "mark-lost", lost).json
    assert (marked["state"], marked["attempt"], marked["nodes"], marked["cluster"]) == ("LOST", 1, 1, None)
    (removed,) = check("pruned-records", "runs", "rm", lost).json
    assert (removed["id"], removed["removed"]) == (lost, True)
    check("comparison", "runs", "diff", "tiny@2", "tiny")
    check("comparison", "runs", "compare")
    check("best-run", "runs", "best", "tiny")
    check("lineage", "runs", "lineage", "tiny")
    assert check("rerun-check", "rerun", "tiny", "--check").json["same"] is True
    file = next(workspace.glob("projects/*/experiments.yml"))
    sweep = (
        "\nsweeps:\n  one: {base: tiny, sampler: grid, epochs: 1, space: {train.batch_size: {choice: [8]}}}\n"
    )
    file.write_text(file.read_text(encoding="utf-8") + sweep, encoding="utf-8")
    check("sweep-plan", "sweep", "run", "one", "--dry-run")
    check("sweep", "sweep", "run", "one")
    check("sweep", "sweep", "show", "one")
    check("sweeps", "sweep", "show")
    check("sweep", "sweep", "best", "one")
    check("sweep", "sweep", "resume", "one")
    check("tracked-runs", "track", "status")
    check("earlier-results", "runs", "restore", "tiny", "1")
    check("pruned-records", "runs", "prune", "--keep", "3")
    check("pruned-results", "runs", "prune", "--results")
    check("pruned-results", "runs", "prune", "--keep-checkpoints", "last:1")
    check("findings", "validate")
    check("findings", "doctor", "--offline")
    check("projects", "projects")
    check("networks", "networks")
    check("network", "networks", "rtdetr")
    check("pages", "docs")
    check("pages", "docs", "reference/exit-codes")
    check("explanations", "explain")
    check("explanations", "explain", "unknown-key")
    check("network", "networks", "dssd", "--release", "3.21.08")
    check("pretrained-models", "pretrained", "list", "--offline")
    check("pretrained-models", "pretrained", "list", "dino", "--offline")
    check("spec", "specs", "show", "tiny")
    check("spec-differences", "specs", "diff", "tiny", "small")
    check("explained-key", "specs", "explain", "train.num_epochs", "--head", "dino")
    check("spec-changes", "specs", "refresh", "tiny")
    check("findings", "dataset", "check", "shapes/train")
    check("stats", "dataset", "stats", "shapes/train")
    predictions = workspace / "predictions"
    predictions.mkdir()
    for label in next(workspace.glob("projects/*/data/shapes/train")).glob("label*/*.txt"):
        (predictions / label.name).write_text(label.read_text().replace("\n", " 0.9\n"))
    check("evaluation", "dataset", "evaluate", "predictions", "--truth", "shapes/train")
    check("conversion", "dataset", "convert", "shapes/train", "--to", "coco")
    check("split", "dataset", "split", "shapes/train", "--val", "0.2")
    check("resize", "dataset", "resize", "shapes/train", "--size", "64x64")
    filled = check("added", "add", "fourth", "--head", "ssd").json
    assert {Path(one["file"]).name for one in filled["fill_in"]} == {"convert.txt", "train.txt"}
    check("dry-run", "shell", "--image", "busybox", "--dry-run")
    (workspace / "clusters.yml").write_text("clusters: {here: {backend: local}}\n")
    check("clusters", "clusters", "show")
    check("findings", "clusters", "check", "here")
    of_an_engine = {
        "image ls",
        "image pull",
        "image lock",
        "image build",
        "image push",
        "image release",
        "networks sync",
    }
    of_a_server = {"pretrained pull", "track sync"}
    assert seen & set(COMMANDS) == set(COMMANDS) - of_an_engine - of_a_server


def a_run_without_an_end(workspace: Path, like: str) -> str:
    """The id of a run on record that runs, with the facts of the run ``like``; nothing supervises it."""
    store = RunStore(workspace / ".taorunner")
    known = store.load(like)
    record = replace(known, id=f"{like[:-6]}abcdef", state=RunState.RUNNING, finished_at=None)
    store.paths(record.id).directory.mkdir(parents=True)
    store.append_events(record.id, [record.queued_event()])
    store.save(record)
    return record.id


@pytest.mark.slow
def test_a_run_says_which_attempt_it_is_and_which_runs_it_goes_on_from(cli: Cli, workspace: Path) -> None:
    done = cli("convert", "tiny", "--then", "train", *SHORT, "--json", cwd=workspace, timeout_s=120)
    assert done.code == 0, done
    train, convert = cli("runs", "list", "--json", cwd=workspace).json
    assert (convert["attempt"], convert["nodes"], convert["cluster"], convert["made_from"]) == (
        1,
        1,
        None,
        [],
    )
    assert train["made_from"] == [{"run": convert["id"], "path": None, "sha256": None}]
    resumed = cli("resume", "tiny", "--epochs", "3", "--json", cwd=workspace, timeout_s=120)
    assert resumed.code == 0, resumed
    last = max(cli("runs", "list", "--json", cwd=workspace).json, key=lambda run: run["queued_at"])
    assert (last["attempt"], [one["run"] for one in last["made_from"]]) == (2, [train["id"]])


@pytest.mark.parametrize("words", [("--for", "detectnet_v2"), ("-e", "tiny"), ("-e", "shapes/tiny")])
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
