"""Containers that try to get out: through their spec, through the workspace's state, through experiments.yml."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import CALLER, Cli, wait_for

SPEC = "results_dir: $results_dir\ntrain: {num_gpus: $num_gpus, gpu_ids: $gpu_ids, num_epochs: 1}\n"
HEAD = """#!/bin/sh
# a stand-in of the command "dino": try NAME COMMAND… tells what a hostile container can do
for word; do case $word in results_dir=*) results=${word#*=} ;; esac; done
try() { name=$1; shift; if sh -c "$*" 2>/dev/null; then echo "could: $name"; else echo "could not: $name"; fi; }
attempt=$(($(cat "$results/attempts" 2>/dev/null || echo 0) + 1))
echo $attempt > "$results/attempts"
"""


@pytest.fixture
def hostile(engine: Any, noop_image: str, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """``hostile("try link ln -s …")`` gives the tag of an image in which that is what ``dino`` does."""
    made: list[str] = []

    def make(script: str) -> str:
        program = tmp_path / "dino"
        program.write_text(HEAD + script)
        program.chmod(0o755)
        container = engine.docker("create", noop_image).stdout.strip()
        tag = f"taorunner-test/hostile:{secrets.token_hex(6)}"
        for words in (
            ("cp", str(program), f"{container}:/usr/bin/dino"),
            ("commit", container, tag),
            ("rm", container),
        ):
            done = engine.docker(*words)
            assert done.returncode == 0, done.stderr
        made.append(tag)
        return tag

    yield make
    for tag in made:
        engine.docker("rmi", "-f", tag)


@pytest.fixture
def workspace(workspace_factory: Callable[..., Path], docker_cli: Cli) -> Callable[..., Path]:
    """``workspace(image)``: experiments e1, which is hostile, and e2; the caller owns it all."""

    def make(image: str, mounts: list[dict[str, str]] | None = None) -> Path:
        entry = {"head": "dino", "dataset": "coco", "release": "7.0.1", "gpus": 0, "image": image}
        root = workspace_factory(
            {"experiments": {"e1": entry, "e2": entry}},
            specs={f"{name}/train.yaml": SPEC for name in ("e1", "e2")},
            data={"coco/annotations.json": "{}"},
            models={"e2/weights.pth": "precious"},
            files={} if mounts is None else {".tao_mounts.json": json.dumps({"Mounts": mounts})},
        )
        workspace_factory({"experiments": {}}, project="another")
        if docker_cli.prefix:
            for path in [root, *root.rglob("*")]:
                os.chown(path, CALLER, CALLER)
        return root

    return make


def printed(root: Path) -> list[str]:
    """What the hostile command could do, and what not."""
    (directory,) = (root / ".taorunner" / "runs").iterdir()
    return [line for line in (directory / "console.log").read_text().splitlines() if line.startswith("could")]


def texts(root: Path) -> dict[str, str]:
    """What every file below ``root`` holds, but for the results of e1 and the program's own folders."""
    return {
        path.relative_to(root).as_posix(): path.read_text()
        for path in root.rglob("*")
        if path.is_file()
        and not any(own in path.as_posix() for own in ("models/e1/", ".taorunner/", ".tao_inside/"))
    }


def test_a_retry_does_not_write_through_a_link_in_the_place_of_the_spec(
    docker_cli: Cli, workspace: Callable[..., Path], hostile: Callable[[str], str], tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("old")
    os.chown(precious, *((CALLER, CALLER) if docker_cli.prefix else (-1, -1)))
    image = hostile(
        f"""
        try link "rm -f /taorunner/run/train.yaml; ln -sf {precious} /taorunner/run/train.yaml"
        try folder "mv /taorunner/run /taorunner/aside"
        try file "echo x > /taorunner/run/other"
        kill -9 $$
        """
    )
    root = workspace(image)
    done = docker_cli("-p", "example_01", "train", "e1", "--retries", "1", "--plain", cwd=root)
    assert done.code == 1, done.err
    assert "attempt 1: killed" in done.out + done.err
    assert printed(root) == ["could not: link", "could not: folder", "could not: file"] * 2
    assert precious.read_text() == "old"
    (directory,) = (root / ".taorunner" / "runs").iterdir()
    assert [path.name for path in (directory / "input").iterdir() if path.is_symlink()] == []


def test_a_run_cannot_rewrite_what_the_next_command_reads(
    docker_cli: Cli, workspace: Callable[..., Path], hostile: Callable[[str], str]
) -> None:
    evil = json.dumps(
        {
            "experiments": {
                "e2": {"head": "dino", "backend": "local", "env": {"PATH": "/w"}, "dataset": "coco"}
            }
        }
    )
    lines = []
    for top in ("/workspace/projects", "/workspace/experiments"):
        home = f"{top}/example_01"
        lines += [
            f"try experiments \"echo '{evil}' > {home}/experiments.yml\"",
            f'try replaced "mv {home}/experiments.yml {home}/e.yml"',
            f'try specs "echo x > {home}/specs/e1/train.yaml"',
            f'try other-results "echo x > {home}/models/e2/weights.pth"',
            f'try new-results "mkdir {home}/models/e3"',
            f'try swapped "mv {home}/models {home}/models.aside"',
            f'try data "touch {home}/data/coco/x"',
            f'try another-project "touch {top}/another/x"',
            f'try new-project "mkdir {top}/x"',
            f'try read "test -s {home}/models/e2/weights.pth"',
            f'try own-results "echo x > {home}/models/e1/x"',
        ]
    root = workspace(hostile("\n".join(lines) + "\n"))
    before = texts(root)
    done = docker_cli("-p", "example_01", "train", "e1", "--plain", cwd=root)
    names = ("experiments", "replaced", "specs", "other-results", "new-results", "swapped", "data", "another-project", "new-project")  # fmt: skip
    expected = [*(f"could not: {name}" for name in names), "could: read", "could: own-results"]
    assert printed(root) == expected * 2, done.err
    assert texts(root) == before
    results = root / "projects/example_01/models/e1"
    assert results.stat().st_uid == (CALLER if docker_cli.prefix else os.getuid())
    shown = docker_cli("-p", "example_01", "train", "e2", "--dry-run", "--json", cwd=root)
    assert shown.json[0]["backend"] == "docker"


def test_what_a_container_leaves_in_its_home_is_not_seen_by_those_of_other_images(
    docker_cli: Cli, workspace: Callable[..., Path], hostile: Callable[[str], str], engine: Any
) -> None:
    site = "$HOME/.local/lib/python3.12/site-packages"
    image = hostile(
        f'try see "test -e {site}/usercustomize.py"\nmkdir -p {site}; touch {site}/usercustomize.py\n'
    )
    other = image.replace("hostile", "other")
    assert engine.docker("tag", image, other).returncode == 0
    root = workspace(image)
    for name in (image, other, image, other):
        docker_cli("-p", "example_01", "train", "e1", "--plain", "--overwrite", "--image", name, cwd=root)
    engine.docker("rmi", other)
    runs = [
        (json.loads((run / "record.json").read_text())["image"], (run / "console.log").read_text())
        for run in (root / ".taorunner/runs").iterdir()
    ]
    assert sorted(runs) == sorted(
        (name, f"could{seen}: see\n") for name in (image, other) for seen in ("", " not")
    )


PLANT = """
mkdir -p {w}/evil
echo 'open("{host}/evil/ran", "w")' > {w}/evil/sitecustomize.py
try state "mkdir -p {w}/.taorunner/open {w}/.taorunner/batches/x && touch {w}/.taorunner/open/x"
try batch "echo '{batch}' > {w}/.taorunner/batches/x/batch.json"
try moved "mv {w}/.taorunner {w}/aside"
try removed "rm -rf {w}/.taorunner"
try seen "ls -A {w}/.taorunner | grep ."
"""
BLIND = ["could not: state", "could not: batch", "could not: moved", "could not: removed", "could not: seen"]


def plant(root: Path) -> str:
    batch = {"id": "x", "runs": ["r"], "environ": {"PYTHONPATH": f"{root}/evil"}}
    return PLANT.format(w="/w", host=root, batch=json.dumps(batch))


def test_a_workspace_that_is_mounted_whole_does_not_show_its_state(
    docker_cli: Cli, workspace: Callable[..., Path], hostile: Callable[[str], str], tmp_path: Path
) -> None:
    image = hostile(plant(tmp_path / "workspace"))
    root = workspace(image, mounts=[{"source": ".", "destination": "/w"}])
    done = docker_cli("-p", "example_01", "train", "e1", "--plain", cwd=root)
    assert printed(root) == BLIND, done.err
    assert (root / "evil/sitecustomize.py").exists()  # the rest is as the mounts file wants it
    assert docker_cli("ps", cwd=root).code == 0
    assert not (root / "evil/ran").exists()
    assert not (root / ".taorunner/batches/x").exists()


def test_nor_does_a_shell_with_a_volume(
    docker_cli: Cli, workspace: Callable[..., Path], hostile: Callable[[str], str], tmp_path: Path
) -> None:
    image = hostile(plant(tmp_path / "workspace"))
    root = workspace(image)
    words = ("--image", image, "--gpus", "none", "--no-tty", "--volume", f"{root}:/w")
    done = docker_cli("shell", *words, "--", "sh", "-c", "results=/tmp; . /usr/bin/dino", cwd=root)
    assert [line for line in done.out.splitlines() if line.startswith("could")] == BLIND, done.err
    assert docker_cli("ps", cwd=root).code == 0
    assert not (root / "evil/ran").exists()
    changed = docker_cli(
        "shell", *words, "--", "sh", "-c", "echo '# ours' >> /w/projects/example_01/experiments.yml", cwd=root
    )
    assert changed.code == 0, changed.err  # what was asked for
    assert (root / "projects/example_01/experiments.yml").read_text().endswith("# ours\n")
    wait_for(lambda: not (root / ".taorunner" / "shells").exists())


TRY_EVERYTHING = """
find /workspace /taorunner -depth 2>/dev/null | while read -r path; do
    name=${path##*/}
    if [ -f "$path" ]; then
        try "write $path" "echo evil >> '$path'"
        try "replace $path" "ln -s /taorunner/aim '${path%/*}/.$name' && mv '${path%/*}/.$name' '$path'"
    fi
    if [ -d "$path" ]; then
        try "plant in $path" "touch '$path/planted'"
        try "link in $path" "ln -s /etc '$path/linked'"
    fi
    try "open $path" "chmod 777 '$path'"
    try "move $path" "mv '$path' '$path.moved'"
done
"""
STATE = {
    "run.lock", "record.json", "plan.json", "events.jsonl", "outputs.json", "console.log", "request.txt", "input",
    "evaluation.json", "slurm", "docker", "kubernetes",
}  # fmt: skip
"""What the folder of an ended run has, the last ones only after an evaluation on the host and on clusters."""
OWN = "projects/example_01/models/e1"
"""Where a training writes."""
SHOWN_AT = {
    "/workspace/projects": "projects",
    "/workspace/experiments": "projects",
    "/workspace/repositories": "repositories",
}


def facts(root: Path) -> dict[str, object]:
    """Kind, mode and content of everything below ``root`` that was there before, but for logs and caches of the run."""
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        about = path.lstat()
        content = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[path.relative_to(root).as_posix()] = (oct(about.st_mode), content)
    return found


@pytest.mark.parametrize(
    ("action", "writes"), [("train", (OWN,)), ("convert", (OWN, "projects/example_01/data"))]
)
def test_what_a_container_can_change_is_its_own_results_and_data_that_its_action_writes(
    docker_cli: Cli,
    workspace: Callable[..., Path],
    hostile: Callable[[str], str],
    action: str,
    writes: tuple[str, ...],
) -> None:
    """Every file and folder that it sees is written, replaced, moved, opened to others and planted in."""
    root = workspace(hostile(TRY_EVERYTHING))
    texts = {
        "repositories/taorunner/src/taorunner/__init__.py": "", "repositories/taorunner/.git/hooks/pre-commit": "#!/bin/sh",
        "repositories/weights/weights_vresnet18/w.pth": "", "networks/own.yml": "", "taorunner.lock": "version: 1\nimages: {}\n",
        "projects/example_01/data/coco/train/1.jpg": "", "projects/example_01/specs/e1/convert.yaml": "results_dir: $results_dir\n",
        "projects/example_01/models/e1/export/m.onnx": "", "projects/example_01/models/e1.20261120-100000/w.pth": "",
        "projects/example_01/models/e1.rerun-1/train/w.pth": "", ".taorunner/far/h/models/e1/train/status.json": "{}",
        f".taorunner/file-lists/{'a' * 64}.gz": "", "clusters.yml": "clusters: {}\n",
    }  # fmt: skip
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / ".git/hooks").mkdir(parents=True)
    for path in [root, *root.rglob("*")] if docker_cli.prefix else ():
        os.chown(path, CALLER, CALLER)
    first = docker_cli("-p", "example_01", "train", "e2", "--plain", cwd=root)
    (earlier,) = (root / ".taorunner/runs").iterdir()
    for name in (
        "evaluation.json",
        "slurm/exit",
        "docker/events.jsonl",
        "docker/job.json",
        "kubernetes/pod/exit",
    ):
        (earlier / name).parent.mkdir(parents=True, exist_ok=True)
        (earlier / name).write_text("{}")
    for path in earlier.rglob("*") if docker_cli.prefix else ():
        os.chown(path, CALLER, CALLER)
    assert {*STATE} <= {path.name for path in earlier.iterdir()}, first.err
    (root / OWN / "export").mkdir(exist_ok=True)
    before = facts(root)
    done = docker_cli("-p", "example_01", action, "e1", "--plain", "--overwrite", cwd=root)
    (run,) = (path for path in (root / ".taorunner/runs").iterdir() if "-e1-" in path.name)
    lines = [line for line in (run / "console.log").read_text().splitlines() if line.startswith("could")]
    could = {line.removeprefix("could: ") for line in lines if line.startswith("could: ")}
    assert len(lines) > 200, done.out + done.err
    places = []
    for line in could:
        path = line[line.index("/") :]
        for shown, here in SHOWN_AT.items():
            path = path.replace(shown, here, 1) if path.startswith(f"{shown}/") or path == shown else path
        places.append(path)
    own = (*writes, "/taorunner/home")
    assert (
        sorted(
            path
            for path in places
            if not path.startswith(tuple(f"{one}/" for one in own)) and path not in own
        )
        == []
    )
    assert [path for path in places if path.startswith(OWN)] != []  # it did try
    after = facts(root)
    changed = {path for path in {*before, *after} if before.get(path) != after.get(path)}
    state = ("batches", "cache", "open", "ended-runs.tsv", f"runs/{run.name}")
    expected = (*writes, ".tao_inside/homes", *(f".taorunner/{name}" for name in state))
    assert sorted(path for path in changed if not path.startswith(expected)) == []
    assert [path for path in run.rglob("*") if path.is_symlink()] == []
