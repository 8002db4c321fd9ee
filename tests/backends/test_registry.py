"""Backends by name, those of other packages too."""

from __future__ import annotations

from pathlib import Path

import pytest

from taorunner.backends.docker.backend import DockerBackend
from taorunner.backends.process.backend import LocalBackend
from taorunner.backends.process.embedded import EmbeddedBackend
from taorunner.backends.registry import backend_names, load_backend
from taorunner.errors import MachineError, UsageError


@pytest.fixture
def others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package with two backends, one of them broken."""
    info = tmp_path / "lsf-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lsf\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[taorunner.backends]\nlsf = lsf_backend:make\nbroken = lsf_backend:nothing\n"
    )
    (tmp_path / "lsf_backend.py").write_text("def make():\n    return 'the lsf backend'\n")
    monkeypatch.syspath_prepend(str(tmp_path))


def test_our_own() -> None:
    assert backend_names()[:3] == ("docker", "local", "embedded")
    assert [type(load_backend(name)) for name in backend_names()[:3]] == [
        DockerBackend,
        LocalBackend,
        EmbeddedBackend,
    ]
    assert [load_backend(name).name for name in backend_names()[:3]] == ["docker", "local", "embedded"]


def test_a_name_that_is_misspelt() -> None:
    with pytest.raises(UsageError) as caught:
        load_backend("dokcer")
    assert (caught.value.message, caught.value.hint) == (
        'there is no backend "dokcer"',
        'did you mean "docker"?',
    )


def test_those_of_other_packages(others: None) -> None:
    assert backend_names() == ("docker", "local", "embedded", "broken", "lsf")
    assert load_backend("lsf") == "the lsf backend"  # type: ignore[comparison-overlap]


def test_a_broken_one_names_the_culprit(others: None) -> None:
    with pytest.raises(MachineError) as caught:
        load_backend("broken")
    assert caught.value.message.startswith('the backend "broken" of "lsf_backend:nothing" cannot be loaded: ')
