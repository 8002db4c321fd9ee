"""Models of Hugging Face, through its own library, from a server that plays the hub."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import hub_server
from ngc_server import noise

from taorunner.errors import MachineError, UserFilesError
from taorunner.pretrained import huggingface
from taorunner.pretrained.huggingface import pull_hub_model
from taorunner.pretrained.names import HubModel
from taorunner.pretrained.ngc import RemoteFile
from taorunner.pretrained.pull import MANIFEST, Pulled
from taorunner.pretrained.verify import verify_local

FILES = {"model.safetensors": noise(300_000, 5), "config.json": b"{}"}
MODEL = HubModel("nvidia/C-RADIOv2-B")


class Silent:
    def begins(self, model: str, files: object) -> None:
        pass

    def advanced(self, path: str, have: int) -> None:
        pass

    def tells(self, text: str) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dict[str, str]]:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    with hub_server(MODEL.repo_id, FILES) as environ:
        yield environ


def test_a_repository_arrives_whole_in_its_folder(hub: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "repositories" / "C-RADIOv2-B" / "C-RADIOv2-B_vmain"
    files = tuple(
        RemoteFile(name, len(FILES[name]), hashlib.sha256(FILES[name]).hexdigest()) for name in sorted(FILES)
    )
    assert pull_hub_model(MODEL, folder, Silent(), hub) == Pulled(str(MODEL), folder, files, 300_002)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name != MANIFEST} == FILES
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    (folder / "config.json").write_bytes(b"[]")
    with pytest.raises(UserFilesError, match=r'"config\.json" has a different checksum'):
        verify_local(str(MODEL), folder)


def test_an_unknown_repository_is_reported(hub: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(UserFilesError, match='Hugging Face has no "hf://nvidia/none@main"'):
        pull_hub_model(HubModel("nvidia/none"), tmp_path / "r" / "none_vmain", Silent(), hub)


def test_without_the_library_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(huggingface.importlib, "import_module", missing)
    with pytest.raises(MachineError) as caught:
        pull_hub_model(MODEL, tmp_path / "r" / "x_vmain", Silent(), {})
    assert caught.value.hint == 'pip install "taorunner[huggingface]"'


def test_terms_that_are_not_accepted_are_pointed_to(
    hub: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gated = HubModel("nvidia/gated")
    with pytest.raises(MachineError) as caught:
        pull_hub_model(gated, tmp_path / "r" / "gated_vmain", Silent(), hub)
    assert caught.value.message == 'the terms of "hf://nvidia/gated@main" are not accepted yet'
    assert caught.value.hint == "accept them at https://huggingface.co/nvidia/gated, then set HF_TOKEN"


def test_another_error_of_the_library_is_named(tmp_path: Path, hub: dict[str, str]) -> None:
    with pytest.raises(MachineError, match='"hf://nvidia/ill@main" could not be downloaded: '):
        pull_hub_model(HubModel("nvidia/ill"), tmp_path / "r" / "ill_vmain", Silent(), hub)


def test_what_was_pulled_before_is_replaced(hub: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "r" / "C_vmain"
    folder.mkdir(parents=True)
    (folder / "old").write_text("")
    pull_hub_model(MODEL, folder, Silent(), hub)
    assert {path.name for path in folder.iterdir()} == {*FILES, MANIFEST}


def test_what_is_there_whole_is_not_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    folder, seen = tmp_path / "r" / "C-RADIOv2-B_vmain", []
    with hub_server(MODEL.repo_id, FILES, seen) as environ:
        first = pull_hub_model(MODEL, folder, Silent(), environ)
        seen.clear()
        again = pull_hub_model(MODEL, folder, Silent(), environ)
        assert (again.files, again.fetched, seen) == (first.files, 0, [])
        (folder / "config.json").write_bytes(b"[]")
        assert pull_hub_model(MODEL, folder, Silent(), environ).fetched == first.fetched
    assert (folder / "config.json").read_bytes() == FILES["config.json"]


def test_a_folder_of_another_owner_is_not_taken_for_it(hub: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "r" / "C-RADIOv2-B_vmain"
    pull_hub_model(MODEL, folder, Silent(), hub)
    with pytest.raises(UserFilesError, match="Hugging Face has no"):
        pull_hub_model(HubModel("somebody/C-RADIOv2-B"), folder, Silent(), hub)


def page(first: int, count: int) -> bytes:
    return json.dumps([{"type": "file", "path": f"f{first + n}", "size": 1} for n in range(count)]).encode()


TREE = f"/api/models/{MODEL.repo_id}/tree/main?recursive=true"


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({TREE: (b" " * (5 << 20), {})}, "sends an answer of more than 4.0 MiB"),
        ({TREE: (b"[" * 3000 + b"]" * 3000, {})}, "Hugging Face sends nested deeper than 60 levels"),
        ({f"/api/models/{MODEL.repo_id}/revision/main": (b" " * (5 << 20), {})}, "sends an answer of more than 4.0 MiB"),
        ({TREE: (page(0, 20_000), {"Link": f'<{TREE}>; rel="next"'})}, "has more files than are read: 60,000 so far"),
        ({TREE: (json.dumps([{"type": "file", "path": "a", "size": 2**60}]).encode(), {})}, "free"),
    ],
)  # fmt: skip
def test_a_repository_beyond_a_limit_is_refused_before_its_library_reads_it(
    answers: dict[str, tuple[bytes, dict[str, str]]],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    with hub_server(MODEL.repo_id, FILES, answers=answers) as environ, pytest.raises(MachineError) as caught:
        pull_hub_model(MODEL, tmp_path / "r" / "c_vmain", Silent(), environ)
    assert message in caught.value.message
