"""Leases that a keeper holds, beside those of a taorunner on the same host: neither gives away what the other has."""

from __future__ import annotations

from pathlib import Path

import pytest

from taorunner.backends.docker.remote.far import leases as far
from taorunner.backends.docker.remote.far.choice import docker_words
from taorunner.backends.docker.remote.far.common import RefusedError
from taorunner.backends.docker.remote.far.engine import GPUS_LABEL
from taorunner.backends.docker.remote.far.gpus import Gpu
from taorunner.gpu import leases as here

KEY = "GPU-00000000-1111-2222-3333-444444444444"
HOLDER = {"run": "r1", "user": "ann", "backend": "docker"}


def test_each_sees_what_the_other_holds(tmp_path: Path) -> None:
    keeper, machine = far.Leases(str(tmp_path / "leases")), here.Leases(tmp_path / "leases")
    assert keeper.holder(KEY) is None
    assert keeper.take(KEY, HOLDER)
    assert not keeper.take(KEY, HOLDER)
    assert str(machine.holder(KEY)) == "run r1 of ann"
    assert machine.take([KEY]) is None
    keeper.release()
    lease = machine.take([KEY])
    assert lease is not None and lease.left_behind == ()
    lease.sign(here.Holder("r2", "bob", "docker"))
    assert keeper.holder(KEY) == "run r2 of bob"
    assert not keeper.take(KEY, HOLDER)
    lease.release()
    assert keeper.take(KEY, HOLDER)
    keeper.release()


@pytest.mark.parametrize("text", ["[" * 2048, '{"run": ' * 250, "\x1b[2J", "{}", '{"run": "\x1b[2J"}'])
def test_what_another_user_writes_into_a_lease_is_text_at_most(tmp_path: Path, text: str) -> None:
    keeper, other = far.Leases(str(tmp_path)), far.Leases(str(tmp_path))
    assert keeper.take(KEY, HOLDER)
    (tmp_path / f"{KEY}.lock").write_text(text)
    said = other.holder(KEY)
    assert said is not None and said.isprintable()
    keeper.release()


def test_who_has_to_wait_for_a_turn_is_asked_to_say_so(tmp_path: Path) -> None:
    first, second = far.Leases(str(tmp_path)), far.Leases(str(tmp_path))
    said: list[str] = []
    first.wait_turn(lambda: said.append("first"))
    second.wait_turn(lambda: said.append("second") or first.end_turn())
    second.end_turn()
    assert said == ["second"]


def test_a_removed_file_frees_no_gpu(tmp_path: Path) -> None:
    keeper, machine = far.Leases(str(tmp_path)), here.Leases(tmp_path)
    assert keeper.take(KEY, HOLDER)
    (tmp_path / f"{KEY}.lock").unlink()
    assert machine.take([KEY]) is None
    assert not far.Leases(str(tmp_path)).take(KEY, HOLDER)
    keeper.release()


def test_the_folder_and_its_files_are_those_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "leases"
    for environ in ({"TAORUNNER_LEASES": str(place)}, {}):
        monkeypatch.delenv("TAORUNNER_LEASES", raising=False)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        assert far.default_folder() == here.default_directory(environ)
    keeper = far.Leases(str(place))
    keeper.check()
    assert keeper.take(KEY, HOLDER)
    assert place.stat().st_mode & 0o7777 == 0o1777
    assert (place / f"{KEY}.lock").stat().st_mode & 0o777 == 0o666
    assert here.Leases(place).holder("GPU-1") is None
    keeper.release()


def test_what_cannot_be_locked_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RefusedError, match="cannot be leased there"):
        far.Leases(str(tmp_path / "file")).check()
    (tmp_path / f"{KEY}.lock").mkdir()
    with pytest.raises(RefusedError, match="cannot be leased there"):
        far.Leases(str(tmp_path)).take(KEY, HOLDER)


@pytest.mark.parametrize(("uuids", "device"), [("a", "device=a"), ("a,b", '"device=a,b"')])
def test_several_gpus_are_one_quoted_word_for_docker(uuids: str, device: str) -> None:
    chosen = [Gpu(str(number), uuid, "H100") for number, uuid in enumerate(uuids.split(","))]
    words = ["--gpus", device, "--label", f"{GPUS_LABEL}={uuids}", "--rm"]
    assert docker_words(["--rm"], chosen) == words
