"""Backends by name, those of other packages too."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from taorunner.backends.docker.backend import DockerBackend
from taorunner.backends.process.backend import LocalBackend
from taorunner.backends.process.embedded import EmbeddedBackend
from taorunner.backends.registry import load_backend
from taorunner.errors import MachineError, UsageError

NAMES = ("lsf", "broken", "wrong", "half", "alone")


@pytest.fixture
def others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed package with five backends; only the first is in order."""
    info = tmp_path / "lsf-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lsf\nVersion: 1.0\n")
    targets = "".join(f"{name} = lsf_backend:{name}\n" for name in NAMES)
    (info / "entry_points.txt").write_text(
        f"[taorunner.targets]\n{targets}\n[taorunner.backends]\nlsf = lsf_backend:make\n"
        "broken = lsf_backend:nothing\nwrong = lsf_backend:make\nhalf = lsf_backend:make_half\n"
    )
    (tmp_path / "lsf_backend.py").write_text(
        "from taorunner.backends.process.backend import LocalBackend\n"
        "from taorunner.targets import Target\n"
        f"lsf, broken, wrong, half, alone = (Target(n, '', sees_host_paths=True, needs_image=False) for n in {NAMES})\n"
        "class Lsf(LocalBackend):\n    name = 'lsf'\n"
        "class Half:\n    name = 'half'\n    check = prepare = request = print\n"
        "def make(environ):\n    return Lsf(environ)\n"
        "def make_half(environ):\n    return Half()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("lsf_backend", None)


@pytest.mark.parametrize(
    ("name", "kind"), [("docker", DockerBackend), ("local", LocalBackend), ("embedded", EmbeddedBackend)]
)
def test_our_own(name: str, kind: type) -> None:
    backend = load_backend(name)
    assert (type(backend), backend.name) == (kind, name)


def test_a_name_that_is_misspelt() -> None:
    with pytest.raises(UsageError) as caught:
        load_backend("dokcer")
    assert (caught.value.message, caught.value.hint) == (
        'there is no backend "dokcer"',
        'did you mean "docker"?',
    )


def test_those_of_other_packages(others: None) -> None:
    backend = load_backend("lsf", {"A": "b"})
    assert (type(backend).__name__, backend.name) == ("Lsf", "lsf")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("broken", 'the backend "broken" of "lsf_backend:nothing" cannot be loaded: '),
        ("wrong", 'the backend "wrong" of "lsf_backend:make" cannot be used: its name is not "wrong"'),
        ("half", 'the backend "half" of "lsf_backend:make_half" cannot be used: it has no submit()'),
        ("alone", 'the backend "alone" has a target but no code'),
    ],
)
def test_a_broken_one_names_its_package(others: None, name: str, message: str) -> None:
    with pytest.raises(MachineError) as caught:
        load_backend(name)
    assert caught.value.message.startswith(message)
