"""The folder of GPU leases: prepared by an administrator, made by a user, open, or with something planted in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from planted import Place, look

from taorunner.doctor.host import Machine
from taorunner.doctor.workspace_needs import Needs
from taorunner.errors import Finding, Severity
from taorunner.gpu.leases import Leases


@pytest.fixture
def folder(place: Place) -> Path:
    return Path(place.environ["TAORUNNER_LEASES"])


def machine(place: Place, **doors: object) -> Machine:
    return place.machine(uid=1000, **doors)


def said(place: Place) -> tuple[Severity, str, str]:
    (found,) = look("leases", machine(place))
    return found.severity, found.code, found.message


def test_a_folder_that_is_not_there_yet_can_be_prepared(place: Place, folder: Path) -> None:
    text = f'"{folder}" for GPU leases will belong to the first user of a GPU, who can remove the locks of others'
    (found,) = look("leases", machine(place))
    assert (found.severity, found.code, found.message) == (Severity.INFO, "leases-unprepared", text)
    place.recorded("install")
    place.paste(found.hint)
    assert place.record == [f"install -d -o root -g root -m 1777 {folder}"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files of others")
def test_who_owns_the_folder_is_what_counts(place: Place, folder: Path) -> None:
    lease = Leases(folder).take(["GPU-1"])
    assert lease is not None
    assert look("leases", machine(place)) == [
        Finding(Severity.OK, "leases", f'"{folder}" for GPU leases belongs to root')
    ]
    os.chown(folder, 54321, 54321)
    text = f'"{folder}" for GPU leases belongs to user 54321, who can remove the locks of others'
    assert said(place) == (Severity.INFO, "leases-unprepared", text)
    lease.release()


def test_a_folder_without_the_sticky_bit_lets_anybody_remove_locks(place: Place, folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)
    severity, code, text = said(place)
    assert (severity, code) == (Severity.WARNING, "leases-open")
    assert "has no sticky bit" in text


def test_a_file_in_the_place_of_the_folder(place: Place, folder: Path) -> None:
    folder.touch()
    assert said(place) == (Severity.ERROR, "leases-unusable", f'"{folder}" for GPU leases is not a folder')


def test_what_is_planted_in_the_place_of_a_lock_is_named(place: Place, folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o1777)
    (folder / "GPU-1.lock").touch()
    (folder / "GPU-2.lock").symlink_to(folder / "GPU-1.lock")
    os.mkfifo(folder / "GPU-3.lock")
    found = look("leases", machine(place))
    assert [(one.code, one.message) for one in found] == [
        ("leases-unusable", f'"{folder}/GPU-{number}.lock" is not a file: its GPU cannot be leased')
        for number in (2, 3)
    ]
    place.recorded("rm")
    for one in found:
        place.paste(one.hint)
    assert place.record == [f"rm -r {folder}/GPU-{number}.lock" for number in (2, 3)]


def test_nothing_is_said_where_no_gpu_is_wanted(place: Place) -> None:
    assert look("leases", machine(place, needs=Needs(is_known=True, wants_gpus=False))) == []
