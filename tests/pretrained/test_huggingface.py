"""Models of Hugging Face, through its own library, from a server that plays the hub."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from ngc_server import noise

from taorunner.errors import MachineError, UserFilesError
from taorunner.pretrained import huggingface
from taorunner.pretrained.huggingface import pull_hub_model
from taorunner.pretrained.names import HubModel
from taorunner.pretrained.ngc import RemoteFile
from taorunner.pretrained.pull import MANIFEST, Pulled
from taorunner.pretrained.verify import verify_local

FILES = {"model.safetensors": noise(300_000, 5), "config.json": b"{}"}
COMMIT = "a" * 40
MODEL = HubModel("nvidia/C-RADIOv2-B")


class Silent:
    def begins(self, model: str, files: object) -> None:
        pass

    def advanced(self, path: str, have: int) -> None:
        pass

    def tells(self, text: str) -> None:
        pass


class Hub(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.startswith(f"/{MODEL.repo_id}/resolve/"):
            name = path.rpartition("/")[2]
            return self.answer(200, FILES[name], {"ETag": f'"{hashlib.sha1(FILES[name]).hexdigest()}"'})
        if path.startswith(f"/api/models/{MODEL.repo_id}/tree/"):
            tree = [
                {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for name, content in FILES.items()
            ]
            return self.answer(200, json.dumps(tree).encode(), {"Content-Type": "application/json"})
        if path.startswith(f"/api/models/{MODEL.repo_id}"):
            rows = [{"rfilename": name} for name in FILES]
            body = {"id": MODEL.repo_id, "sha": COMMIT, "siblings": rows}
            return self.answer(200, json.dumps(body).encode(), {"Content-Type": "application/json"})
        if path.startswith("/api/models/nvidia/gated"):
            return self.answer(403, b"{}", {"X-Error-Code": "GatedRepo"})
        if path.startswith("/api/models/nvidia/ill"):
            return self.answer(418, b"{}", {})
        return self.answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    def answer(self, code: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(code)
        for name, value in {**headers, "X-Repo-Commit": COMMIT, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dict[str, str]]:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_address[1]}"}
    server.shutdown()
    server.server_close()


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
