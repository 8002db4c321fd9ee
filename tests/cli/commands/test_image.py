"""``image ls``, ``pull`` and ``lock`` as a person types them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import CALLER, Cli

from taorunner.project.image_lock import lock_text

Make = Callable[..., Path]
TAO = "nvcr.io/nvidia/tao/tao-toolkit"


@pytest.fixture
def workspace(workspace_factory: Make) -> Make:
    def make(**images_of: str | None) -> Path:
        filled = {
            name: {
                "head": "codetr",
                "dataset": "coco",
                "release": "7.0.1",
                **({"image": image} if image else {}),
            }
            for name, image in images_of.items()
        }
        specs = {f"{name}/train.yaml": "results_dir: $results_dir\n" for name in images_of}
        root = workspace_factory({"experiments": filled}, specs=specs, data={"coco/": ""})
        if os.geteuid() == 0:
            for path in [root, *root.rglob("*")]:
                os.chown(path, CALLER, CALLER)
        return root

    return make


def test_without_an_engine(cli: Cli, workspace: Make) -> None:
    root = workspace(e1=None)
    for words in (["pull"], ["pull", "busybox"], ["lock"], ["lock", "--check"]):
        done = cli("image", *words, cwd=root)
        assert done.code == 4, words
        assert done.out == ""
        assert (
            done.err.splitlines()[0]
            == f'error: no docker engine answers at "unix://{cli.home}/no-engine.sock" [engine]'
        )


def test_what_is_needed_is_listed_without_an_engine(cli: Cli, workspace: Make) -> None:
    root = workspace(e1=None, e2="mine/tao:1")
    done = cli("image", "ls", cwd=root)
    rows = [line.split() for line in done.out.splitlines()]
    assert rows == [
        ["image", "here", "lock", "used", "by"],
        [f"{TAO}:7.0.1-pyt", "unknown", "no", "example_01/e1"],
        ["mine/tao:1", "unknown", "no", "example_01/e2"],
    ]
    silent = f'error: no docker engine answers at "unix://{cli.home}/no-engine.sock" [engine]'
    assert (done.code, done.err.splitlines()[0]) == (4, silent)
    as_json = cli("image", "ls", "--json", cwd=root)
    assert (as_json.code, [(one["image"], one["present"]) for one in as_json.json]) == (
        4,
        [(f"{TAO}:7.0.1-pyt", None), ("mine/tao:1", None)],
    )


def test_what_cannot_be_asked(cli: Cli, workspace: Make, tmp_path: Path) -> None:
    root = workspace(e1=None)
    nowhere = cli("image", "ls", cwd=tmp_path)
    assert (nowhere.code, nowhere.err.splitlines()[0][:30]) == (3, "error: no workspace here or ab")
    unknown = cli("image", "ls", "exampel_01", cwd=root)
    assert (unknown.code, unknown.err.splitlines()[1]) == (2, 'hint: did you mean "example_01"?')
    behind = cli("image", "lock", "--", "x", cwd=root)
    assert (behind.code, behind.err.splitlines()[0]) == (
        2,
        'error: this command takes no words after "--": "x"',
    )
    both = cli("image", "pull", "busybox", "-p", "example_01", cwd=root)
    assert (both.code, both.err.splitlines()[0]) == (2, "error: image names cannot be combined with -p")
    none = cli("image", "pull", "--parallel", "0", cwd=root)
    assert none.code == 2


def test_a_damaged_lock_is_reported_with_its_place(cli: Cli, workspace: Make) -> None:
    root = workspace(e1=None)
    (root / "taorunner.lock").write_text(f'version: 1\nimages:\n  "{TAO}:7.0.1-pyt": sha256:12\n')
    place = f"taorunner.lock:3:{len(TAO) + 17}"
    message = '"sha256:12" is not a digest: "sha256:" and 64 digits from 0 to f'
    for words in (["image", "lock", "--check"], ["validate"], ["train", "e1", "--dry-run"]):
        done = cli(*words, cwd=root)
        assert done.code == 3, done.err
        assert f"{place}: error: {message} [wrong-digest]" in done.out + done.err
    checked = cli("image", "lock", "--check", "--json", cwd=root)
    assert [(one["code"], one["line"]) for one in checked.json] == [("wrong-digest", 3)]


def test_ls_shows_what_is_here_and_which_experiments_need_it(
    docker_cli: Cli, workspace: Make, images: Any
) -> None:
    here, digest = images.push("cli/here:1", keep=True)
    gone, other = images.push("cli/gone:1")
    root = workspace(e1=here, e2=gone, e3=here)
    (root / "taorunner.lock").write_text(lock_text({gone: other}))
    done = docker_cli("image", "ls", "--json", cwd=root)
    assert done.code == 0, done.err
    first, second = done.json
    assert first.pop("id").startswith("sha256:") and first.pop("size_bytes") > 60_000
    assert first.pop("created_at").endswith("+00:00")
    assert first == {
        "image": here, "runs_as": here, "locked": False, "present": True, "digest": digest,
        "experiments": ["example_01/e1", "example_01/e3"],
        "actions": ["train", "evaluate", "inference", "default_specs"],
    }  # fmt: skip
    assert second == {
        "image": gone, "runs_as": f"{gone.rpartition(':')[0]}@{other}", "locked": True, "present": False, "id": None,
        "digest": None, "size_bytes": None, "created_at": None, "experiments": ["example_01/e2"],
        "actions": ["train", "evaluate", "inference", "default_specs"],
    }  # fmt: skip
    table = docker_cli("image", "ls", "example_01", cwd=root, env={"COLUMNS": "160"})
    rows = [line.split() for line in table.out.splitlines()]
    assert rows[0] == ["image", "here", "lock", "size", "age", "digest", "used", "by"]
    assert rows[1][:3] == [here, "yes", "no"] and rows[1][-3:] == [
        digest[:19],
        "example_01/e1",
        "example_01/e3",
    ]
    assert rows[2] == [gone, "no", "yes", "example_01/e2"]


def test_pull_fetches_what_is_not_here(docker_cli: Cli, workspace: Make, images: Any) -> None:
    here, _ = images.push("cli/there:1", keep=True)
    gone, digest = images.push("cli/fetched:1", layers=3, kilobytes=2048)
    root = workspace(e1=here, e2=gone)
    done = docker_cli("image", "pull", cwd=root)
    assert (done.code, done.out) == (0, ""), done.err
    lines = done.err.splitlines()
    assert lines[:2] == [f"{here} already present", f"{gone}: pulling 6.0 MiB"]
    assert lines[-1] == f"{gone} pulled: {digest}"
    assert re.fullmatch(rf"{gone}  100%  4 of 4 layers  6\.0 MiB of 6\.0 MiB(  \S+ [KM]iB/s)?", lines[-2])
    again = docker_cli("image", "pull", gone, "--json", cwd=root)
    (row,) = again.json
    assert (again.code, again.err, row["image"], row["digest"], row["new"]) == (0, "", gone, digest, False)


def test_lock_then_check_then_a_moved_tag(docker_cli: Cli, workspace: Make, images: Any) -> None:
    reference, first = images.push("cli/tag:1")
    root = workspace(e1=reference)
    unlocked = docker_cli("image", "lock", "--check", cwd=root)
    assert unlocked.code == 3
    assert "image-not-locked" in unlocked.out and "projects/example_01/experiments.yml:7:" in unlocked.out
    locked = docker_cli("-p", "example_01", "image", "lock", cwd=root)
    assert (locked.code, locked.out.splitlines()) == (
        0, [f"added   {reference}  {first}", f"{root}/taorunner.lock: 1 image locked, 1 added"],
    )  # fmt: skip
    fine = docker_cli("image", "lock", "--check", cwd=root)
    assert (fine.code, fine.out.splitlines()[-1]) == (0, "no problems")
    _, second = images.push("cli/tag:1")
    moved = docker_cli("image", "lock", "--check", "--json", cwd=root)
    assert moved.code == 3
    assert moved.json == [
        {
            "severity": "error", "code": "tag-moved", "message": f'"{reference}" moved from {first} to {second}',
            "hint": "runs use the first; to lock the second: taorunner image lock",
            "file": str(root / "taorunner.lock"), "line": 4, "column": len(reference) + 7,
        }
    ]  # fmt: skip
    taken = docker_cli("image", "lock", "--json", cwd=root)
    assert taken.json == [
        {"image": reference, "digest": second, "previous": first, "change": "moved", "note": None}
    ]


def test_a_damaged_lock_is_written_again_only_as_a_whole(
    docker_cli: Cli, workspace: Make, images: Any
) -> None:
    reference, digest = images.push("cli/again:1")
    root = workspace(e1=reference)
    (root / "taorunner.lock").write_text("<<<<<<< ours\n")
    part = docker_cli("image", "lock", "-p", "example_01", cwd=root)
    assert part.code == 3 and "taorunner.lock:1:1: error: " in part.err
    assert (root / "taorunner.lock").read_text() == "<<<<<<< ours\n"
    whole = docker_cli("image", "lock", cwd=root)
    assert (whole.code, (root / "taorunner.lock").read_text()) == (0, lock_text({reference: digest}))


def test_wrong_images(docker_cli: Cli, workspace: Make, images: Any, registry: Any, noop_image: str) -> None:
    root = workspace(e1=None)
    unknown = docker_cli("image", "pull", f"{images.registry}/cli/nope:1", cwd=root)
    assert (unknown.code, unknown.err.splitlines()[-2]) == (
        5, f'error: the image "{images.registry}/cli/nope:1" does not exist',
    )  # fmt: skip
    private = registry.push(noop_image, "cli/private:1")
    shut = docker_cli("image", "pull", private, cwd=root)
    assert (shut.code, shut.err.splitlines()[-2:]) == (
        4, [f'error: the registry of "{private}" requires a login', f"hint: docker login {registry.address}"],
    )  # fmt: skip
    ngc = docker_cli("image", "lock", cwd=root)
    assert ngc.code in (4, 5) and f'the registry of "{TAO}:7.0.1-pyt"' in ngc.err
    assert not (root / "taorunner.lock").exists()


def test_a_run_uses_the_locked_digest(
    docker_cli: Cli, workspace: Make, images: Any, tao_image: Callable[..., str]
) -> None:
    reference, digest = images.push("cli/run:1", below=tao_image("pyt_7"))
    root = workspace(e1=reference)
    assert docker_cli("image", "lock", cwd=root).code == 0
    pinned = f"{reference.rpartition(':')[0]}@{digest}"
    images.push("cli/run:1", below=tao_image("pyt_7"))
    shown = docker_cli("train", "e1", "--gpus", "0", "--dry-run", "--json", cwd=root)
    assert [row["image"] for row in shown.json] == [pinned]
    typed = docker_cli("train", "e1", "--gpus", "0", "--dry-run", "--json", "--image", reference, cwd=root)
    assert [row["image"] for row in typed.json] == [reference]
    docker_cli("train", "e1", "--gpus", "0", cwd=root)
    (run,) = (root / ".taorunner" / "runs").iterdir()
    record = json.loads((run / "record.json").read_text())
    assert (record["image"], record["image_digest"]) == (pinned, digest)
    images.forget(pinned)
