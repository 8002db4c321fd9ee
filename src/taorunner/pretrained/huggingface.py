"""Pulls models of Hugging Face through its own library (the extra ``huggingface``).

That library resumes, verifies and handles gated models, and reads HF_TOKEN and HF_ENDPOINT. This module places the
result atomically.
"""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from taorunner.errors import MachineError, UserFilesError
from taorunner.pretrained.download import sha256_of
from taorunner.pretrained.names import HubModel
from taorunner.pretrained.ngc import RemoteFile
from taorunner.pretrained.pull import Pulled, Watcher, origin_of, staged, write_manifest
from taorunner.pretrained.verify import verify_local


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
