"""Pulls several images in parallel, after a check of the disk space, and retries lost connections.

The engine keeps every complete layer, so a pull that was interrupted continues from there.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from taorunner.engine import images
from taorunner.engine.client import Engine
from taorunner.engine.images import DroppedError, Image
from taorunner.errors import EngineRefusedError, Finding, MachineError, Severity, TaorunnerError
from taorunner.images.space import look_for_room
from taorunner.images.transfer import Patience, Watcher, follow, with_patience
from taorunner.text import size

DEFAULT_PARALLEL = 2
"""Images pulled at a time. The engine pulls three layers of each at a time."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """``is_new`` is False when the engine already had the registry's image."""

    reference: str
    image: Image
    is_new: bool

    def to_json(self) -> dict[str, Any]:
        return {
            "image": self.reference,
            "id": self.image.id,
            "digest": self.image.digest,
            "size_bytes": self.image.size_bytes,
            "new": self.is_new,
        }


def pull_images(
    engine: Engine,
    references: Sequence[str],
    watcher: Watcher,
    *,
    parallel: int = DEFAULT_PARALLEL,
    force: bool = False,
    patience: Patience | None = None,
) -> list[Pulled]:
    """Returns the results in the order of the request. A failure does not stop the others; all are raised at the end.

    Raises:
        MachineError: no room (unless ``force``), no login, no engine. EngineRefusedError: no such image.
        KeyboardInterrupt: raised again after the pulls were stopped.
    """
    patience = patience or Patience()
    wanted = list(dict.fromkeys(references))
    sizes = _check_room(engine, wanted, watcher, force=force)
    done: dict[str, Pulled] = {}
    errors: dict[str, TaorunnerError] = {}

    def work(reference: str) -> None:
        try:
            done[reference] = _pull(engine, reference, sizes.get(reference), watcher, patience)
        except TaorunnerError as error:
            errors[reference] = error
        finally:
            watcher.ends(reference)

    _in_threads(wanted, work, parallel, patience.stop)
    if errors:
        raise _of_all([errors[reference] for reference in wanted if reference in errors], len(wanted))
    return [done[reference] for reference in wanted]


def _check_room(
    engine: Engine, references: Sequence[str], watcher: Watcher, *, force: bool
) -> Mapping[str, int]:
    """The size of the download, as far as it is known."""
    if not references:
        return {}
    room = look_for_room(engine, references)
    for reference, reason in room.unknown.items():
        watcher.tells(f"{reference}: unknown size, so its disk space is not checked: {reason}")
    if room.is_too_small:
        if not force:
            raise room.refusal()
        watcher.tells(f"{room.refusal().message}; pulling anyway")
    elif room.free_bytes is None and room.needed_bytes:
        watcher.tells(f"disk space for about {size(room.needed_bytes)} is not checked: {room.no_figure}")
    return room.download_bytes


def _pull(
    engine: Engine, reference: str, total_bytes: int | None, watcher: Watcher, patience: Patience
) -> Pulled:
    before = images.find_image(engine, reference)
    watcher.begins(reference, total_bytes)

    def pull() -> None:
        follow(images.pull_events(engine, reference), reference, watcher, patience.stop)
        if not patience.stop.is_set() and images.find_image(engine, reference) is None:
            text = (
                f'the engine ended the pull of "{reference}" before it was complete'  # as when it is stopped
            )
            raise DroppedError(EngineRefusedError(text, hint="check the engine with docker info"))

    with_patience(reference, pull, watcher, patience)
    image = images.find_image(engine, reference)
    if image is None:
        raise EngineRefusedError(f'the pull of "{reference}" was ended')
    return Pulled(reference, image, before is None or before.id != image.id)


def _in_threads(items: Sequence[str], work: Callable[[str], None], count: int, stop: threading.Event) -> None:
    """Uses daemon threads: Ctrl-C must not wait for the engine, which ends a pull when its connection closes."""
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    for item in items:
        waiting.put(item)
    bugs: list[BaseException] = []

    def take() -> None:
        while not stop.is_set():
            try:
                item = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                work(item)
            except BaseException as error:
                bugs.append(error)
                stop.set()

    threads = [threading.Thread(target=take, daemon=True) for _ in range(max(1, min(count, len(items))))]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(0.2)
    except BaseException:
        stop.set()
        raise
    if bugs:
        raise bugs[0]


def _of_all(errors: Sequence[TaorunnerError], asked: int) -> TaorunnerError:
    """A single error itself, else an error of the first one's type with a finding for each."""
    if len(errors) == 1:
        return errors[0]
    findings = [Finding(Severity.ERROR, "pull-failed", error.message, error.hint) for error in errors]
    whole = MachineError(f"{len(errors)} of {asked} images could not be pulled", findings=findings)
    whole.exit_code = min(error.exit_code for error in errors)
    return whole
