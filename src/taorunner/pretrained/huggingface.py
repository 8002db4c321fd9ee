"""Pulls models of Hugging Face through its own library (the extra ``huggingface``).

That library resumes, verifies and handles gated models, and reads HF_TOKEN and HF_ENDPOINT. This module places the
result atomically.
"""

from __future__ import annotations

import importlib
import re
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from taorunner.errors import MachineError, UserFilesError
from taorunner.pretrained.download import sha256_of
from taorunner.pretrained.http import ConnectionLostError, HttpRefusalError, Patience, Wire, redirect_target
from taorunner.pretrained.names import HubModel
from taorunner.pretrained.ngc import RemoteFile
from taorunner.pretrained.pull import Pulled, Watcher, check_space, origin_of, staged, write_manifest
from taorunner.pretrained.verify import verify_local
from taorunner.text import printable
from taorunner.values.bounded_reading import TooMuchError

_ENDPOINT = "https://huggingface.co"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_MAX_FILES = 50_000
_MAX_LIST_S = 600.0
_MAX_REDIRECTS = 4
_NEXT = re.compile(r'<([^>]{1,4000})>\s*;\s*rel="?next"?')


def pull_hub_model(model: HubModel, folder: Path, watcher: Watcher, environ: Mapping[str, str]) -> Pulled:
    """Files that are there as an earlier pull of this model left them are kept.

    Raises MachineError or UserFilesError with the library's message, without its traceback.
    """
    if origin_of(folder) == str(model):
        with suppress(UserFilesError):
            return verify_local(str(model), folder)
    hub = _library()
    endpoint = environ.get("HF_ENDPOINT") or None
    with staged(folder, watcher) as staging:
        check_space(staging, _listed(model, endpoint or _ENDPOINT, hub.get_token()))
        try:
            hub.snapshot_download(
                model.repo_id, revision=model.revision, local_dir=staging, endpoint=endpoint, max_workers=4
            )
        except KeyboardInterrupt:
            raise
        except (
            Exception
        ) as error:  # its errors have several base classes: requests, httpx, OSError, ValueError
            raise _translated(model, error) from None
        shutil.rmtree(staging / ".cache", ignore_errors=True)
        files = tuple(
            RemoteFile(path.relative_to(staging).as_posix(), path.stat().st_size, None)
            for path in sorted(staging.rglob("*"))
            if path.is_file()
        )
        files = tuple(RemoteFile(f.path, f.size, sha256_of(staging / f.path)) for f in files)
        write_manifest(staging, str(model), files)
        if folder.exists():
            shutil.rmtree(folder)
        staging.rename(folder)
        staging.mkdir()
    return Pulled(str(model), folder, files, sum(file.size for file in files))


def _listed(model: HubModel, endpoint: str, token: str | None) -> list[RemoteFile]:
    """The files of the repository, read before its own library reads them without limits.

    What the server refuses is left to the library, which says why: the list is empty then.

    Raises:
        MachineError: more files, or a longer answer, than is read.
    """
    is_private = urlsplit(endpoint).scheme == "https" or urlsplit(endpoint).hostname in _LOOPBACK
    headers = {"Authorization": f"Bearer {token}"} if token and is_private else {}
    place = f"{endpoint.rstrip('/')}/api/models/{quote(model.repo_id)}"
    revision = quote(model.revision, safe="")
    files: list[RemoteFile] = []
    wire = Wire(Patience(tries=1))
    ends = time.monotonic() + _MAX_LIST_S
    try:
        _reply(wire, f"{place}/revision/{revision}", headers)
        url: str | None = f"{place}/tree/{revision}?recursive=true"
        while url is not None:
            reply, url = _reply(wire, url, headers)
            files += [_file(row) for row in reply if isinstance(row, dict) and row.get("type") == "file"]
            if len(files) > _MAX_FILES or time.monotonic() > ends:
                raise MachineError(
                    f'"{model}" has more files than are read: {len(files):,} so far',
                    hint="name another repository, or a smaller one",
                )
    except (HttpRefusalError, ConnectionLostError):
        return []
    finally:
        wire.close()
    return files


def _reply(wire: Wire, url: str, headers: Mapping[str, str]) -> tuple[list[Any], str | None]:
    """The rows of a list, empty for an answer that is none, and the address of the next page of the same server."""
    for _ in range(_MAX_REDIRECTS):
        reply = wire.get(url, headers)
        target = redirect_target(url, reply.headers.get("Location", "")) if reply.status_code >= 300 else None
        if target is None:
            break
        if urlsplit(target)[:2] != urlsplit(url)[:2]:
            return [], None
        url = target
    try:
        body = reply.json()
    except TooMuchError as error:
        raise MachineError(f"Hugging Face sends {error}", hint="check HF_ENDPOINT and the proxy") from None
    except ValueError:
        return [], None
    following = _NEXT.search(reply.headers.get("Link", ""))
    after = None if following is None else redirect_target(url, following[1])
    is_same = after is not None and urlsplit(after)[:2] == urlsplit(url)[:2]
    return (body if isinstance(body, list) else []), (after if is_same else None)


def _file(row: Mapping[str, Any]) -> RemoteFile:
    size = row.get("size")
    return RemoteFile(
        printable(str(row.get("path", "")))[:200], size if isinstance(size, int) and size > 0 else 0, None
    )


def _library() -> Any:
    try:
        return importlib.import_module("huggingface_hub")
    except ImportError:
        raise MachineError(
            "models of Hugging Face need the package huggingface_hub, which is not installed",
            hint='pip install "taorunner[huggingface]"',
        ) from None


def _translated(model: HubModel, error: Exception) -> MachineError | UserFilesError:
    kind = type(error).__name__
    if kind in ("RepositoryNotFoundError", "RevisionNotFoundError"):
        return UserFilesError(
            f'Hugging Face has no "{model}", or it needs a login',
            hint="correct the name, or set HF_TOKEN",
        )
    if kind == "GatedRepoError":
        return MachineError(
            f'the terms of "{model}" are not accepted yet',
            hint=f"accept them at https://huggingface.co/{model.repo_id}, then set HF_TOKEN",
        )
    return MachineError(
        f'"{model}" could not be downloaded: {kind}', hint="check network, proxy, HF_ENDPOINT"
    )
