"""The parsers of what NGC, engines, images and runs write."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cluster_readers import of_clusters
from reader import ASSETS, AT, Reader, assets, dumped, from_file, text_of

from taorunner.errors import TaorunnerError


def readers_of_machines(place: Path) -> list[Reader]:
    """``place`` is an empty folder for what a parser reads from files."""
    found: list[Reader] = []
    for make in (_of_ngc, _of_engine, _of_images, _of_runs, _of_shared_folders, of_clusters):
        folder = place / make.__name__
        folder.mkdir()
        found += make(folder)
    return found


class _Wire:
    """Answers every request with the same bytes."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def get(self, url: str, headers: object = None) -> Any:
        import httpx

        from taorunner.pretrained.http import Reply

        return Reply(200, httpx.Headers({}), self._body)


def _of_ngc(place: Path) -> Iterator[Reader]:
    from taorunner.pretrained.http import redirect_target, retry_after
    from taorunner.pretrained.names import NgcModel, inner_path
    from taorunner.pretrained.ngc import Ngc
    from taorunner.pretrained.pull import MANIFEST, origin_of, read_manifest

    model = NgcModel("nvidia", "tao", "net", "v1")

    def ngc(body: bytes) -> Ngc:
        wire: Any = _Wire(body)
        return Ngc(wire, {}, lambda: None)

    files = dumped(
        {"modelVersion": {"status": "UPLOAD_COMPLETE"}, "urls": ["https://x/y"], "paginationInfo": {"totalPages": 1},
         "modelVersions": [{"versionId": "v1", "totalSizeInBytes": 3, "totalFileCount": 1, "createdDate": "2024-01-02T03:04:05.678Z",
                            "status": "UPLOAD_COMPLETE"}],
         "modelFiles": [{"path": "a/b.hdf5", "sizeInBytes": 12, "sha256_base64": "A" * 43 + "="}, {"path": "c", "sizeInBytes": 1}]}
    )  # fmt: skip
    yield Reader("NGC versions", [files], lambda data: ngc(data).versions(model))
    yield Reader("NGC files", [files], lambda data: ngc(data).files(model))
    yield Reader("NGC address", [files], lambda data: ngc(data).signed_url(model, "a"))
    yield Reader(
        "Retry-After", [b"12", b"Wed, 21 Oct 2026 07:28:00 GMT"], lambda data: retry_after(text_of(data))
    )
    yield Reader(
        "redirect",
        [b"https://a.b/c?d#e", b"/x/../y"],
        lambda data: redirect_target("https://x.y/z", text_of(data)),
    )
    yield Reader("path of NGC", [b"a/b c.hdf5"], lambda data: inner_path(text_of(data)))

    manifest = dumped({"model": "nvidia/tao/net:v1", "files": [{"path": "a", "size": 3, "sha256": "ab"}]})

    def record(data: bytes) -> None:
        (place / MANIFEST).write_bytes(data)
        origin_of(place)
        read_manifest(place)

    yield Reader("record of a pull", [manifest], record)


class _Raw:
    """A body that arrives in two pieces."""

    status = 200

    def __init__(self, data: bytes) -> None:
        self._data = data

    def stream(self, amount: int, decode_content: bool = False) -> Iterator[bytes]:
        half = len(self._data) // 2
        yield from (self._data[:half], self._data[half:])

    def close(self) -> None:
        pass

    release_conn = close


def _response(data: bytes, status: int = 200) -> Any:
    import requests

    answer = requests.Response()
    answer.status_code, answer.raw = status, _Raw(data)
    return answer


def _of_engine(place: Path) -> Iterator[Reader]:
    from taorunner.engine import registry
    from taorunner.engine.build_refusals import build_error, instruction_lines
    from taorunner.engine.client import json_lines
    from taorunner.engine.contexts import current_context, read_context
    from taorunner.engine.frames import demultiplex, unchunk
    from taorunner.engine.logins import find_login
    from taorunner.engine.refusals import Asked, is_passing, translate

    class Answering(registry._Registry):
        """One repository whose replies are all the same."""

        body = b""

        def _ask(self, *_: Any, **__: Any) -> Any:
            return _response(self.body)

    layers = {
        "config": {"digest": "sha256:c"},
        "layers": [{"digest": "sha256:a", "size": 10}],
        "rootfs": {"diff_ids": ["x"]},
    }
    index = {
        "manifests": [{"digest": "sha256:a", "platform": {"architecture": "amd64", "os": "linux"}}],
        **layers,
    }

    class Engine:
        api: Any = None

    def with_engine(data: bytes) -> None:
        Answering.body = data
        own, registry._Registry = registry._Registry, Answering  # type: ignore[misc]
        engine: Any = Engine()
        try:
            registry.read_manifest(engine, "a.b/c:1", "x86_64")
        finally:
            registry._Registry = own  # type: ignore[misc]

    yield Reader("registry", [dumped(layers), dumped(index)], with_engine, (registry.UnknownSizeError,))

    events = b'{"status":"Pulling fs layer","progressDetail":{"current":1,"total":2},"id":"a"}\n{"error":"denied"}\n{"aux":{"ID":"x"}}\n'
    yield Reader("events of the engine", [events], lambda data: list(json_lines(_response(data))))

    config = place / "docker"
    meta = config / "contexts" / "meta" / _context_key("far") / "meta.json"
    meta.parent.mkdir(parents=True)
    environ = {"DOCKER_CONFIG": str(config)}
    seeds = [
        dumped({"auths": {"nvcr.io": {"auth": "YTpi"}}, "currentContext": "far", "credHelpers": {"x": "y"}}),
        dumped({"Name": "far", "Endpoints": {"docker": {"Host": "ssh://a@b", "SkipTLSVerify": False}}}),
    ]

    def docker(data: bytes) -> None:
        (config / "config.json").write_bytes(data)
        meta.write_bytes(data)
        find_login("nvcr.io", config / "config.json", {**environ, "PATH": ""}, patience_s=1)
        for read in (lambda: current_context(environ), lambda: read_context("far", "x", environ)):
            with contextlib.suppress(TaorunnerError):
                read()

    yield Reader("docker's files", seeds, docker)

    frames = b"\x01\0\0\0\0\0\0\x05hello\x02\0\0\0\0\0\0\x03no\n"
    yield Reader(
        "frames of a log",
        [frames],
        lambda data: list(demultiplex(iter([data[:7], data[7:]]))),
        (TaorunnerError, ValueError, OSError),
    )
    chunks = b"5\r\nhello\r\n0\r\n\r\n"
    yield Reader(
        "chunks",
        [chunks],
        lambda data: list(unchunk(iter([data[:3], data[3:]]))),
        (TaorunnerError, ValueError, OSError),
    )
    refusals = [
        b'could not select device driver "" with capabilities: [[gpu]]', b"toomanyrequests: You have reached your pull rate limit",
        b'Get "https://nvcr.io/v2/": dial tcp: lookup nvcr.io: no such host', b"no space left on device: write /var/lib/docker/tmp/x",
    ]  # fmt: skip

    def refused(data: bytes) -> None:
        text = text_of(data)
        for asked in (None, Asked(address="unix:///x", image="a/b:1", gpus=("0",))):
            translate(text, asked)
        is_passing(text)
        build_error(text, Path("Dockerfile"), None, instruction_lines(text), "a:1")

    yield Reader("what the engine says", refusals, refused)


def _context_key(name: str) -> str:
    from hashlib import sha256

    return sha256(name.encode()).hexdigest()


def _of_images(place: Path) -> Iterator[Reader]:
    from taorunner.images.manifest_file import read_manifest_file
    from taorunner.images.release import read_version
    from taorunner.images.spec_answer import read_answer
    from taorunner.shell.source_tree import SourceTree

    key = {"type": "int", "min": 1, "max": 2, "options": ["a"]}
    answer = {
        "yaml": {"dino": {"train": {"type": "section", "keys": {"a": key}}}},
        "prototxt": {},
        "failed": {},
        "packages": {"x": "1"},
    }
    yield Reader("schemas of an image", [dumped(answer)], read_answer)
    file = place / "docker" / "manifest.json"
    file.parent.mkdir()
    body = {
        "registry": "nvcr.io",
        "repository": "a/b",
        "digest": "sha256:" + "a" * 64,
        "digests": {"x86": "a"},
        "tag": "1",
    }

    tree = SourceTree(place)
    yield Reader("base image of a source tree", [dumped(body)], from_file(file, tree.base_image))
    yield Reader(
        "manifest of a source tree",
        [dumped(body)],
        from_file(file, lambda: read_manifest_file(file).with_push("a.b/c:1", "sha256:x", "amd64")),
    )
    version = place / "version.py"
    text = b'MAJOR = "1"\nMINOR = "2"\nPATCH = "3"\nPRE_RELEASE = ""\n__package_name__ = "x"\n__version__ = "1.2"\n'
    yield Reader(
        "version of a source tree", [text], from_file(version, lambda: read_version(version, place / "none"))
    )


def _of_runs(place: Path) -> Iterator[Reader]:
    from taorunner.project.workspace import Workspace
    from taorunner.runs.outputs.recorded import recorded_results
    from taorunner.runs.state.history import read_history
    from taorunner.runs.state.log.log_position import RecordedLog
    from taorunner.runs.state.lookup.log_times import offset_since, times_path
    from taorunner.runs.state.store import RunStore
    from taorunner.runs.supervisor.run_files import recorded_moves

    (place / "projects").mkdir()
    store = RunStore(Workspace(place).state_dir)
    sample = next((ASSETS / "workspace_0_1_0").rglob("record.json"), None)
    run = "20260101-000000-p-e-train-abcd"
    if sample is not None:
        run = json.loads(sample.read_bytes())["id"]
    paths = store.paths(run)
    paths.directory.mkdir(parents=True)
    kept = {
        name: assets(name)
        for name in ("record.json", "plan.json", "events.jsonl", "history.jsonl", "batch.json")
    }

    def load(what: Callable[[str], object]) -> Callable[[], object]:
        return lambda: what(run)

    errors = (TaorunnerError, OSError, ValueError, KeyError, TypeError)
    yield Reader("record", kept["record.json"], from_file(paths.record, load(store.load)))
    yield Reader("plan", kept["plan.json"], from_file(paths.plan, load(store.load_plan)), errors)
    yield Reader("events", kept["events.jsonl"], from_file(paths.events, load(store.read_events)))
    seeds = [b'{"names": ["loss", "mAP"]}\n[1, 3, "AAAAAAAA8D8AAAAAAADwPw==", 120]\n']
    yield Reader("history", seeds, from_file(paths.history, lambda: read_history(store, run)))
    stop = dumped({"at": "2026-01-01T00:00:00+00:00", "only_queued": True, "kill": True})
    yield Reader(
        "stop request", [stop], from_file(paths.stop_request, lambda: store.stop_request(run, is_queued=True))
    )
    outputs = dumped(
        {
            "results": "/x",
            "outputs": [
                {"path": "/x/a.pth", "kind": "checkpoint", "bytes": 3, "sha256": "a", "epoch": 1, "files": 1}
            ],
        }
    )
    yield Reader("outputs", [outputs], from_file(paths.outputs, lambda: recorded_results(store, run)))
    moves = dumped({"moves": [{"path": str(place / "a"), "aside": str(place / "b")}]})
    yield Reader(
        "moves",
        [moves],
        from_file(paths.directory / "set_aside.json", lambda: recorded_moves(paths.directory)),
    )
    position = place / "position.json"
    paths.console.write_bytes(b"x" * 100)
    body = {
        "size": 5,
        "stdout": 1,
        "stderr": 2,
        "start": 0,
        "tails": {"stdout": "YQ=="},
        "begun": {"stderr": "Yg=="},
    }
    yield Reader(
        "place in a log",
        [dumped(body)],
        from_file(position, lambda: RecordedLog.load(position, paths.console)),
    )
    times = times_path(paths.console)
    yield Reader(
        "times of a log",
        [b"1700000000 0\n1700000010 50\n"],
        from_file(times, lambda: offset_since(paths.console, AT)),
    )
    ended = store.ended
    file = ended._path
    yield Reader(
        "ended runs",
        [f"{run}\tp\te\ttrain\tDONE\n".encode()],
        from_file(file, lambda: ended.facts(store.trust())),
    )
    batch = store.batch_paths("20260101-000000-abcd")
    batch.batch.parent.mkdir(parents=True)
    written = {
        "id": "20260101-000000-abcd",
        "runs": [run],
        "parallel": 2,
        "grace_s": 30.0,
        "environ": {"PATH": "/bin"},
    }
    yield Reader(
        "batch",
        [dumped(written)],
        from_file(batch.batch, lambda: store.load_batch("20260101-000000-abcd")),
        errors,
    )


def _of_shared_folders(place: Path) -> Iterator[Reader]:
    from taorunner.gpu import leases
    from taorunner.scheduling.queue_tickets import Tickets

    body = dumped({"said_ns": 5, "wishes": [["run", 2, None, 10, True], ["b", 1, ["GPU-1"], 11, False]]})
    tickets = Tickets(place, lambda: 10**9)

    def queue(data: bytes) -> None:
        (place / "1-a.ticket").write_bytes(data)
        os.utime(place / "1-a.ticket", ns=(1, len(data)))
        tickets._read.clear()
        tickets.others()

    yield Reader("queue of GPUs", [body], queue)
    holder = dumped({"run": "r", "user": "u", "since": "x", "project": "p", "pid": 4})

    def lease(data: bytes) -> None:
        (place / "lease").write_bytes(data)
        with (place / "lease").open("rb") as file:
            leases._read(file.fileno())

    yield Reader("lease of a GPU", [holder], lease)
