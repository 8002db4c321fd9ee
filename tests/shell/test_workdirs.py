"""The folders of open shells, and which of them were left behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from scripted_engine import Container, ScriptedEngine

from taorunner.events import now
from taorunner.planning.model.request import Site
from taorunner.project.workspace import Workspace
from taorunner.shell.workdirs import (
    _left_behind,
    clear_leftovers,
    home_workspace,
    occupied,
    shell_site,
    vacate,
)
from taorunner.state_files import is_locked


def test_a_folder_without_a_lock_does_not_hide_the_others(tmp_path: Path) -> None:
    shells = tmp_path / "shells"
    (shells / "a-created").mkdir(parents=True)
    for name in ("b-left", "c-left", "d-open"):
        descriptor = occupied(Site(name, shells / name))
        an_hour_ago = now().timestamp() - 3600
        os.utime(shells / name / "lock", (an_hour_ago, an_hour_ago))
        if name != "d-open":
            os.close(descriptor)
    (shells / "d-open-file").write_text("")
    assert [place.name for place in _left_behind(shells)] == ["b-left", "c-left"]
    os.close(descriptor)
    assert _left_behind(tmp_path / "none") == []


@pytest.mark.parametrize(("name", "middle"), [("dino_01", "-shell-dino_01"), (None, "-shell-container")])
def test_a_site_is_named_after_what_it_is_for(tmp_path: Path, name: str | None, middle: str) -> None:
    site = shell_site(Workspace(tmp_path), name)
    assert middle.removeprefix("-shell-") in site.run_id and "shell" in site.run_id
    assert site.run_dir == Workspace(tmp_path).state_dir / "shells" / site.run_id


@pytest.mark.parametrize(
    ("environ", "root"),
    [
        ({"HOME": "/home/ada"}, Path("/home/ada/.local/state/taorunner")),
        ({"HOME": "/home/ada", "XDG_STATE_HOME": "/state"}, Path("/state/taorunner")),
        ({"HOME": "/home/ada", "XDG_STATE_HOME": ""}, Path("/home/ada/.local/state/taorunner")),
        ({}, Path.home() / ".local/state/taorunner"),
    ],
)
def test_shells_of_no_workspace_have_a_folder_of_the_user(environ: dict[str, str], root: Path) -> None:
    assert home_workspace(environ).root == root


def test_a_folder_is_the_users_and_locked_until_it_is_vacated(tmp_path: Path) -> None:
    site, other = (Site(name, tmp_path / "shells" / name) for name in ("a", "b"))
    descriptor = occupied(site)
    assert site.run_dir.stat().st_mode & 0o777 == 0o700
    assert is_locked(site.run_dir / "lock")
    with pytest.raises(FileExistsError):
        occupied(site)
    os.close(occupied(other))
    vacate(other)
    assert [path.name for path in (tmp_path / "shells").iterdir()] == ["a"]
    vacate(site)
    vacate(site)
    assert not (tmp_path / "shells").exists()
    os.close(descriptor)


def leave(shells: Path, name: str, *, age_s: float = 3600, host: str | None = None) -> Path:
    """The folder of a shell that was killed with its guard."""
    folder = shells / name
    os.close(occupied(Site(name, folder)))
    if host is not None:
        (folder / "lock").write_text(host)
    at = now().timestamp() - age_s
    os.utime(folder / "lock", (at, at))
    return folder


def test_a_young_folder_and_one_of_another_machine_are_not_left_behind(tmp_path: Path) -> None:
    leave(tmp_path, "a-young", age_s=30)
    leave(tmp_path, "b-elsewhere", host="another-machine")
    old = leave(tmp_path, "c-old", age_s=90)
    assert _left_behind(tmp_path) == [old]


def test_what_was_left_behind_is_cleared(scripted: ScriptedEngine, tmp_path: Path) -> None:
    shells = tmp_path / "shells"
    leave(shells, "r1")
    leave(shells, "r2")
    young = leave(shells, "r3", age_s=1)
    scripted.containers.update({"taorunner-r1": Container(), "taorunner-r3": Container()})
    clear_leftovers(shells)
    assert list(shells.iterdir()) == [young]
    assert list(scripted.containers) == ["taorunner-r3"]


def test_what_an_engine_that_is_down_may_still_have_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    folder = leave(tmp_path / "shells", "r1")
    clear_leftovers(tmp_path / "shells")
    assert folder.exists()
