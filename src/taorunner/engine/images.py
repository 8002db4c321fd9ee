"""Images on the engine: presence, digest, and pulls and pushes with their progress."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Generator, Mapping
from datetime import datetime
from typing import Any

from taorunner.engine.client import ENGINE_ERRORS, Engine, json_lines, translated
from taorunner.engine.facts import parse_time
from taorunner.engine.refusals import Asked, is_missing, is_missing_image, is_passing, translate
from taorunner.errors import TaorunnerError
from taorunner.image_names import split_reference
from taorunner.values.value import Value

_ETA_AFTER_S = 3.0
_REPORT_EVERY_S = 0.1
_STEPS = {
    "Downloading": "downloading", "Verifying Checksum": "downloading", "Download complete": "waiting",
    "Extracting": "extracting", "Pull complete": "done", "Already exists": "there",
    "Pushing": "pushing", "Pushed": "done", "Layer already exists": "there",
}  # fmt: skip


_NO_LOGIN = "e30="
"""``{}``: the engine rejects a push without this header as malformed."""
_COMPLETE = ("Pull complete", "Already exists", "Pushed", "Layer already exists")


class Image(Value):
    """``digest`` is ``sha256:…`` of the registry's manifest; None for an image that was built on the engine.

    ``layers`` are the digests of the unpacked layers, lowest first.
    """

    id: str
    digest: str | None
    size_bytes: int = 0
    created_at: datetime | None = None
    architecture: str | None = None
    layers: tuple[str, ...] = ()


class PullState(Value):
    """Progress of a pull or push. Counts bytes of the transfer, without layers that were already present."""

    layers_done: int = 0
    layers: int = 0
    bytes_done: int = 0
    bytes_total: int | None = None
    eta_s: float | None = None


def find_image(engine: Engine, reference: str) -> Image | None:
    """The image if it is on the engine; contacts no registry."""
    with translated(engine.asked(reference)):
        try:
            body = engine.api.inspect_image(reference)
        except ENGINE_ERRORS as error:
            if is_missing(error) or is_missing_image(error):
                return None
            raise
    return Image(
        id=str(body["Id"]),
        digest=digest_of(reference, body.get("RepoDigests") or ()),
        size_bytes=int(body.get("Size") or 0),
        created_at=parse_time(body.get("Created")),
        architecture=body.get("Architecture"),
        layers=tuple((body.get("RootFS") or {}).get("Layers") or ()),
    )


def digest_of(reference: str, repo_digests: list[str] | tuple[str, ...]) -> str | None:
    """The digest of the reference's own repository, else any other, else None.

    >>> digest_of("nvcr.io/nvidia/tao:5.5", ["mirror/tao@sha256:aa", "nvcr.io/nvidia/tao@sha256:bb"])
    'sha256:bb'
    """
    repository = split_reference(reference)[0]
    pairs = [entry.partition("@") for entry in repo_digests]
    for name, _, digest in pairs:
        if name == repository:
            return digest
    return pairs[0][2] if pairs else None


def pull(engine: Engine, reference: str, report: Callable[[PullState], None]) -> Image:
    """Pulls the image. Blocks, and calls ``report`` often.

    Raises:
        MachineError: no login, no space, no engine. EngineRefusedError: no such image, registry not reachable.
    """
    progress = PullProgressFold(time.monotonic())
    last = 0.0
    try:
        for body in pull_events(engine, reference):
            progress.take(body)
            now = time.monotonic()
            if now - last >= _REPORT_EVERY_S:
                last = now
                report(progress.state(now))
    except DroppedError as dropped:
        raise dropped.error from dropped.__cause__
    report(progress.state(time.monotonic()))
    image = find_image(engine, reference)
    if image is None:
        raise translate(f"No such image: {reference}", engine.asked(reference))
    return image


def pull_events(engine: Engine, reference: str) -> Generator[Mapping[str, Any], None, None]:
    """The engine's events of a pull, to its end. Closing the iterator ends the pull.

    Raises:
        DroppedError: the connection was lost; the engine keeps complete layers.
        MachineError, EngineRefusedError: as ``pull``.
    """
    repository, tag = split_reference(reference)
    url = engine.url("/images/create")
    return _events(engine, reference, url, {"fromImage": repository, "tag": tag})


def push_events(engine: Engine, reference: str) -> Generator[Mapping[str, Any], None, None]:
    """The engine's events of a push; the last but one holds the digest. Raises as ``pull_events``."""
    repository, tag = split_reference(reference)
    url = engine.url("/images/{0}/push", repository)
    return _events(engine, reference, url, {"tag": tag})


def pushed_digest(event: Mapping[str, Any]) -> str | None:
    """The digest in an event of a push, None for events without one."""
    digest = (event.get("aux") or {}).get("Digest")
    return str(digest) if digest else None


def tag_image(engine: Engine, image: str, reference: str) -> None:
    """Gives the image another name. Raises EngineRefusedError: no such image, or not an image name."""
    repository, tag = split_reference(reference)
    with translated(engine.asked(reference)):
        engine.api.tag(image, repository, tag)


def image_names(engine: Engine) -> list[str]:
    """The tags of all images of the engine."""
    with translated(engine.asked()):
        listed = engine.api.images()
    return sorted({tag for image in listed for tag in image.get("RepoTags") or () if tag != "<none>:<none>"})


def _events(
    engine: Engine, reference: str, url: str, parameters: Mapping[str, str]
) -> Generator[Mapping[str, Any], None, None]:
    asked = engine.asked(reference)
    try:
        with translated(asked):
            api = engine.api
            headers = {"X-Registry-Auth": _NO_LOGIN, **login(api, split_reference(reference)[0])}
            # No read timeout: extracting a layer of 10 GiB on a slow disk sends no events for a long time.
            response = api.post(url, params=parameters, headers=headers, stream=True, timeout=None)
            with response:
                engine.raise_for_status(response)
                for body in json_lines(response):
                    if "error" in body:
                        raise _of_stream(str(body["error"]), asked)
                    yield body
    except TaorunnerError as error:
        cause = error.__cause__
        if cause is not None and is_passing(cause):
            raise DroppedError(error) from cause
        raise


class DroppedError(TaorunnerError):
    """The connection to the registry or the engine was lost; another try can continue from there.

    Raised by ``pull_events`` and ``push_events`` only; ``error`` is the error to report if no try succeeds.
    """

    def __init__(self, error: TaorunnerError) -> None:
        super().__init__(error.message, hint=error.hint)
        self.error = error


def _of_stream(text: str, asked: Asked) -> TaorunnerError:
    error = translate(text, asked)
    return DroppedError(error) if is_passing(text) else error


class LayerState(Value):
    """``step``: waiting, downloading, extracting, pushing, done, or there (already present)."""

    id: str
    step: str
    bytes_done: int = 0
    bytes_total: int | None = None


class PullProgressFold:
    """Folds the engine's events of a pull or push into one ``PullState``. Times are passed in."""

    def __init__(self, started_s: float) -> None:
        self._started_s = started_s
        self._layers: dict[str, bool] = {}  # id -> complete
        self._steps: dict[str, str] = {}
        self._done: dict[str, int] = {}
        self._total: dict[str, int] = {}
        self._unpacked: dict[str, int] = {}

    def take(self, event: Mapping[str, Any]) -> None:
        layer, status = event.get("id"), str(event.get("status", ""))
        if not layer or status.startswith("Pulling from"):
            return
        layer = str(layer)
        self._layers.setdefault(layer, False)
        self._steps[layer] = _STEPS.get(status, self._steps.get(layer, "waiting"))
        detail = event.get("progressDetail") or {}
        if status in ("Downloading", "Pushing"):
            current, total = detail.get("current"), detail.get("total")
            if isinstance(current, int):
                self._done[layer] = max(current, self._done.get(layer, 0))
            if isinstance(total, int) and total > 0:
                self._total[layer] = total
        elif status in ("Download complete", "Verifying Checksum", "Extracting", "Pull complete", "Pushed"):
            self._done[layer] = self._total.get(layer, self._done.get(layer, 0))
            current = detail.get("current")
            if status == "Extracting" and isinstance(current, int):
                self._unpacked[layer] = min(current, self._total.get(layer, current))
        if status in _COMPLETE or status.startswith("Mounted from"):
            self._layers[layer] = True

    def layers(self) -> tuple[LayerState, ...]:
        """In the order in which the engine named them. For a layer being extracted, the bytes extracted so far."""
        return tuple(
            LayerState(
                layer,
                step := self._steps[layer],
                (self._unpacked if step == "extracting" else self._done).get(layer, 0),
                self._total.get(layer),
            )
            for layer in self._layers
        )

    def state(self, now_s: float) -> PullState:
        done, total = sum(self._done.values()), sum(self._total.values())
        elapsed = now_s - self._started_s
        eta: float | None = None
        if done and total >= done and elapsed >= _ETA_AFTER_S:
            eta = (total - done) * elapsed / done
        return PullState(
            layers_done=sum(self._layers.values()),
            layers=len(self._layers),
            bytes_done=done,
            bytes_total=total or None,
            eta_s=eta,
        )


def login(api: Any, repository: str) -> dict[str, str]:
    """The header with the stored login of the registry, as in docker-py's own pull."""
    from docker import auth

    registry, _ = auth.resolve_repository_name(repository)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a helper that is missing is an error right after the warning
        header = auth.get_config_header(api, registry)
    return {"X-Registry-Auth": header} if header else {}
