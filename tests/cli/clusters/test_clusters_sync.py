"""``clusters sync`` to a real sshd on loopback: what goes over, what stays, and what comes back."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_line import Cli, wait_for
from private_daemon import write_program
from ssh_host import is_installed, ssh_host

Far = tuple[Path, dict[str, str]]
pytestmark = pytest.mark.skipif(
    not is_installed() or shutil.which("rsync") is None, reason="openssh-server or rsync is not installed"
)


@pytest.fixture
def workspace(workspace_factory: Callable[..., Path], tmp_path: Path) -> Path:
    text = "experiments:\n  e: {head: dssd, dataset: d, repository: weights}\n"
    root = workspace_factory(text, specs={"e/train.txt": "a: 1\n"}, data={"d/one.txt": "1"})
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "two.txt").write_text("22")
    (root / "projects/example_01/data/linked").symlink_to(elsewhere)
    for name, text in (("weights/w.hdf5", "w"), ("others/o.hdf5", "o")):
        file = root / "repositories" / name
        file.parent.mkdir(parents=True)
        file.write_text(text)
    results = root / "projects/example_01/models/e"
    results.mkdir(parents=True)
    (results / "own.pth").write_text("own")
    return root


@pytest.fixture
def far(workspace: Path, tmp_path: Path) -> Iterator[Far]:
    """The far workspace, which has a blank in its name, and the environment that reaches it."""
    folder = tmp_path / "far side" / "ws"
    (workspace / "clusters.yml").write_text(
        f"clusters:\n  dgx: {{backend: slurm, host: login1, workspace: '{folder}'}}\n  here: {{backend: local}}\n"
    )
    with ssh_host(tmp_path, "login1") as environ:
        yield folder, environ


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_projects_and_their_weights_go_over_once(cli: Cli, workspace: Path, far: Far) -> None:
    folder, environ = far
    shown = f"projects/example_01, repositories/weights: 5 files, 64 B to login1:{folder}\n"
    shown = shown.replace("64 B", cli_size(workspace))
    done = cli("clusters", "sync", "dgx", "example_01", "--dry-run", cwd=workspace, env=environ)
    assert (done.code, done.out, done.err) == (0, shown, "")
    done = cli("clusters", "sync", "dgx", cwd=workspace, env=environ)
    assert (done.code, done.err) == (0, "not copied; add --yes\n")
    assert not folder.exists()
    done = cli("clusters", "sync", "dgx", "--yes", cwd=workspace, env=environ)
    assert (done.code, done.err) == (0, "")
    assert files_in(folder) == [
        "projects/example_01/data/d/one.txt",
        "projects/example_01/data/linked/two.txt",
        "projects/example_01/experiments.yml",
        "projects/example_01/specs/e/train.txt",
        "repositories/weights/w.hdf5",
    ]
    again = cli("clusters", "sync", "dgx", "--yes", cwd=workspace, env=environ)
    assert again.out == f"nothing to copy to login1:{folder}: all of it is there\n"


def cli_size(workspace: Path) -> str:
    texts = (workspace / "projects/example_01/experiments.yml").stat().st_size
    return f"{texts + len('a: 1') + 1 + len('1') + len('22') + len('w')} B"


def test_results_come_back_and_nothing_here_is_lost(cli: Cli, workspace: Path, far: Far) -> None:
    folder, environ = far
    results = folder / "projects/example_01/models/e"
    results.mkdir(parents=True)
    (results / "far.pth").write_text("far")
    (results / "out").symlink_to("/etc/passwd")
    done = cli("clusters", "sync", "dgx", "--results", "--yes", cwd=workspace, env=environ)
    assert (done.code, done.err) == (0, "")
    assert done.out.endswith("copied 1 file, 3 B\n")
    here = workspace / "projects/example_01/models/e"
    assert sorted(path.name for path in here.iterdir()) == ["far.pth", "own.pth"]


HOSTILE = ("a b", "it's", 'say "$(touch x)"', "back\\slash", "new\nline", "-rf", "é", "*", "[a]", "~", "c:d")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a server for another user")
def test_hostile_names_go_there_and_back_as_another_user(cli: Cli, workspace: Path, tmp_path: Path) -> None:
    data, uid = workspace / "projects/example_01/data/d", 12345
    for name in HOSTILE:
        (data / name).mkdir()
        (data / name / name).write_text(name)
    top = tmp_path / "far"
    top.mkdir(mode=0o755)
    folder = top / "it's here"
    (workspace / "clusters.yml").write_text(
        json.dumps({"clusters": {"dgx": {"backend": "slurm", "host": "login1", "workspace": str(folder)}}})
    )
    with ssh_host(tmp_path, "login1", stranger=uid) as environ:
        done = cli("clusters", "sync", "dgx", "--yes", cwd=workspace, env=environ)
        said = f'error: the folder "{folder}" cannot be made on "login1": mkdir: cannot create directory'
        assert (done.code, said in done.err) == (4, True), done.err
        os.chown(top, uid, uid)
        done = cli("clusters", "sync", "dgx", "--yes", cwd=workspace, env=environ)
        assert (done.code, done.err) == (0, "")
        there = folder / "projects/example_01"
        assert sorted(path.name for path in (there / "data/d").iterdir()) == sorted([*HOSTILE, "one.txt"])
        assert {(there / "data/d" / name / name).read_text() for name in HOSTILE} == set(HOSTILE)
        assert {path.lstat().st_uid for path in folder.rglob("*")} == {uid}
        results = there / "models/e"
        results.mkdir(parents=True)
        for name in HOSTILE:
            (results / name).write_text(name)
        (results / "kept-from-us").write_text("1")
        (results / "kept-from-us").chmod(0)
        for path in (results.parent, results, *results.iterdir()):
            os.chown(path, uid, uid)
        done = cli("clusters", "sync", "dgx", "--results", "--yes", cwd=workspace, env=environ)
    here = workspace / "projects/example_01/models/e"
    assert {(here / name).read_text() for name in HOSTILE} == set(HOSTILE)
    assert {path.stat().st_uid for path in here.iterdir()} == {0}
    assert (done.code, f'{results}/kept-from-us": Permission denied' in done.err) == (4, True), done.err


def test_a_copy_that_was_cut_goes_on_where_it_stopped(
    cli: Cli, workspace: Path, far: Far, tmp_path: Path
) -> None:
    folder, environ = far
    large = workspace / "projects/example_01/data/d/large"
    large.write_bytes(os.urandom(16 << 20))
    slow = tmp_path / "slow"
    slow.mkdir()
    program = shutil.which("rsync")
    write_program(slow / "rsync", f'#!/bin/sh\nexec {program} --bwlimit=1M "$@"\n')
    environ = {**environ, "PATH": f"{slow}:{environ['PATH']}"}
    started = cli.start("clusters", "sync", "dgx", "--yes", cwd=workspace, env=environ)
    half = folder / "projects/example_01/data/d/.rsync-partial/large"
    wait_for(lambda: any(folder.rglob(".large.*")))
    wait_for(lambda: next(folder.rglob(".large.*")).stat().st_size > 1 << 20)
    started.send_signal(signal.SIGINT)
    started.communicate(timeout=120)
    assert started.returncode != 0
    wait_for(half.exists)
    kept = half.stat().st_size
    done = cli("clusters", "sync", "dgx", "--yes", cwd=workspace, env=far[1])
    assert (done.code, kept > 1 << 20) == (0, True), done.err
    assert (folder / "projects/example_01/data/d/large").read_bytes() == large.read_bytes()
    assert not half.exists()


def test_a_host_is_asked_for_only_where_a_cluster_can_have_one(cli: Cli, workspace: Path) -> None:
    (workspace / "clusters.yml").write_text(
        "clusters:\n  site: {backend: slurm}\n  lab: {backend: kubernetes, workspace: {claim: c}}\n"
    )
    hints = {
        name: cli("clusters", "sync", name, cwd=workspace).err.count("hint: host:")
        for name in ("site", "lab")
    }
    assert hints == {"site": 1, "lab": 0}


def test_what_cannot_be_reached_is_refused(cli: Cli, workspace: Path, far: Far) -> None:
    done = cli("clusters", "sync", "here", "--yes", cwd=workspace, env=far[1])
    assert (done.code, 'the cluster "here" has no host' in done.err) == (3, True)
    done = cli("clusters", "sync", "dgx", "exmple_01", cwd=workspace, env=far[1])
    assert (done.code, 'did you mean "example_01"?' in done.err) == (2, True)
    (workspace / "clusters.yml").write_text("clusters:\n  dgx: {backend: slurm, host: nowhere.invalid}\n")
    done = cli("clusters", "sync", "dgx", "--yes", cwd=workspace, env=far[1])
    assert done.code == 4
    assert 'error: "nowhere.invalid" cannot be reached: ' in done.err


def test_a_claim_is_not_said_to_be_seen_from_here(cli: Cli, workspace_factory: Callable[..., Path]) -> None:
    root = workspace_factory("experiments:\n  e: {head: dino, dataset: d}\n", data={"d/": ""})
    (root / "clusters.yml").write_text("clusters:\n  lab: {backend: kubernetes, workspace: {claim: data}}\n")
    done = cli("clusters", "sync", "lab", cwd=root)
    assert done.code == 3
    assert "reached by kubectl" in done.err and "mount the claim" in done.err
