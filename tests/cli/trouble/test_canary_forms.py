"""Two secrets of a run in every form in which programs write them: in its output, its results and their names."""

from __future__ import annotations

import json
import os
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from command_line import CALLER, Cli

ODD = "c4nary/key+ with=\"'é"
LINES = "c4nary-first-line-9x\nc4nary-second-line-8y"
SPEC = "results_dir: $results_dir\ntrain: {num_epochs: 1}\n"
DINO = """#!/bin/sh
for word; do case $word in results_dir=*) results=${word#*=} ;; esac; done
cat "$FORMS/out"
cat "$FORMS/out" >&2
cp -r "$FORMS/results/." "$results/"
"""


def forms(secret: str) -> dict[bytes, bytes]:
    """Each form as a program prints it, and what of it must be nowhere: ends of base64 depend on what is beside them."""
    data = secret.encode()
    texts = (
        secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1], quote(secret),
        quote(secret, safe=""), quote_plus(secret), data.hex(), json.dumps(json.dumps(secret))[3:-3],
    )  # fmt: skip
    coded = [b64encode(bytes(shift) + data + b"zz") for shift in range(3)]
    return {text.encode(): text.encode() for text in texts} | {text: text[4:-8] for text in coded}


PARTS = {line.encode(): line.encode() for line in LINES.splitlines()}
ALL = forms(ODD) | forms(LINES) | PARTS


def found_in(data: bytes) -> list[bytes]:
    return [form for form, core in ALL.items() if core in data]


def output() -> bytes:
    """Each form in a line; each secret across the blocks in which lines without an end are read and stored."""
    lines = [b"says " + form + b" here" for form in ALL]
    for block in (8192, 16_384, 32_768, 65_536, 131_072):
        for form in (ODD.encode(), LINES.encode(), b64encode(ODD.encode())):
            lines += [
                b"x" * (block - cut) + form + b"y" * 40_000 for cut in (1, len(form) // 2, len(form) - 1)
            ]
    return b"\n".join(lines) + b"\n" + ODD.encode()


def results(folder: Path) -> None:
    """What a run leaves; one file is clean."""
    for number, form in enumerate(ALL):
        path = folder / "train" / f"file-{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"before " + form + b" behind")
    (folder / "train/large.log").write_bytes(b"x" * ((1 << 20) - 3) + ODD.encode() + b"y" * 100)
    (folder / f"train/{ODD.encode().hex()}.pth").write_bytes(b"weights")
    (folder / "train/clean.txt").write_bytes(b"nothing")
    message = {"date": "1/1/2026", "time": "1:1:1", "status": "RUNNING", "message": f"key {ODD} and {LINES}"}
    named = {"kpi": {f"loss {ODD}": 1, f"mAP-{ODD.encode().hex()}": 2, b64encode(ODD.encode()).decode(): 3}}
    (folder / "train/status.json").write_text(
        json.dumps(message) + "\n" + json.dumps({**message, **named}) + "\n"
    )
    spec = {f"key{number}": form.decode() for number, form in enumerate(ALL)}
    spec |= {form.decode(): "in a key" for form in ALL}
    (folder / "train/experiment.yaml").write_text(json.dumps({**spec, "train": {"clean": "kept"}}))


@pytest.fixture(params=["local", pytest.param("docker", marks=pytest.mark.engine)])
def run(
    request: pytest.FixtureRequest, workspace_factory: Callable[..., Path], tmp_path: Path
) -> tuple[Cli, Path, list[str]]:
    """The person, the workspace, and more words of ``train``; ``dino`` prints and leaves what it finds in a folder."""
    place = tmp_path / "forms"
    results(place / "results")
    (place / "out").write_bytes(output())
    program = tmp_path / "bin/dino"
    program.parent.mkdir()
    program.write_text(DINO)
    program.chmod(0o755)
    is_docker = request.param == "docker"
    env = {"FORMS": "/forms" if is_docker else str(place), "WANDB_API_KEY": "env:TWO_LINES"}
    entry: dict[str, Any] = {
        "head": "dino",
        "dataset": "d",
        "gpus": 0,
        "release": "7.0.1",
        "model_key": "env:ODD_KEY",
        "env": env,
    }
    words: list[str] = []
    if is_docker:
        entry["image"] = request.getfixturevalue("tao_image")("pyt_7")
        words = ["--volume", f"{place}:/forms:ro", "--volume", f"{program}:/usr/local/bin/taofake:ro"]
        cli = request.getfixturevalue("docker_cli")
    else:
        entry["backend"] = "local"
        cli = request.getfixturevalue("cli")
    root = workspace_factory({"experiments": {"e1": entry}}, specs={"e1/train.yaml": SPEC}, data={"d/": ""})
    for path in [root, *root.rglob("*"), place, *place.rglob("*")] if cli.prefix else ():
        os.chown(path, CALLER, CALLER)
    path_of = f"{program.parent}{os.pathsep}{cli.environment()['PATH']}"
    return (
        Cli(cli.home, {**cli.env, "ODD_KEY": ODD, "TWO_LINES": LINES, "PATH": path_of}, cli.prefix),
        root,
        words,
    )


def test_no_form_of_a_secret_leaves_the_results(run: tuple[Cli, Path, list[str]]) -> None:
    cli, root, words = run
    seen = {}
    for command in (
        ["train", "e1", "--plain", *words], ["logs", "e1"], ["runs", "show", "e1"], ["runs", "show", "e1", "--json"],
        ["attach", "e1", "--json"], ["runs", "list", "--json"], ["runs", "diff", "e1@1", "e1", "--all", "--json"],
        ["runs", "compare", "e1", "--json"], ["runs", "best", "e1"], ["runs", "lineage", "e1", "--json"],
        ["rerun", "e1", "--check", "--json"], ["runs", "show", "e1", "--plot", "loss"], ["runs", "show", "e1", "--plot", "mAP"],
        ["train", "e1", "--dry-run", "--overwrite", *words],
    ):  # fmt: skip
        done = cli(*command, cwd=root)
        assert "internal error" not in done.err and (command[0] != "train" or done.code in (0, 1)), done
        seen[" ".join(command)] = found_in((done.out + done.err).encode("utf-8", "surrogateescape"))
    models = root / "projects/example_01/models/e1"
    for path in root.rglob("*"):
        if path.is_file() and models not in path.parents:
            seen[str(path)] = found_in(path.read_bytes())
    assert {place: held for place, held in seen.items() if held} == {}
    (directory,) = (root / ".taorunner/runs").iterdir()
    log = (directory / "console.log").read_bytes()
    assert log.count(b"says ") == log.count(b" here\n") == 2 * len(ALL), "both streams arrived"
    held = [path for path in models.rglob("*") if path.is_file() and found_in(path.read_bytes())]
    assert len(held) >= len(ALL)
    assert [path.name for path in held if path.stat().st_mode & 0o077] == []
    assert (models / "train/clean.txt").stat().st_mode & 0o004
    told = [json.loads(line) for line in (directory / "events.jsonl").read_text().splitlines()]
    texts = [event["text"] for event in told if event.get("code") == "secret-in-results"]
    assert [
        text for text in texts if text.startswith("train/***.pth has a secret of the run in its name")
    ] != [], texts
    assert "***" not in (directory / "outputs.json").read_text()
    assert json.loads((directory / "run.lock").read_text())["resolved"]["train.clean"] == "kept"
