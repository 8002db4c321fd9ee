"""Makes a bundle: a folder, or a .zip, with a model, its labels, its configuration, what it was made from, and digests.

The same inputs give the same bytes. The folder appears at once when everything in it was written and checked.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from taorunner.catalog.handover import handover_facts
from taorunner.contained_files import open_file
from taorunner.datasets.files.output_folders import refuse_taken
from taorunner.errors import UsageError, UserFilesError
from taorunner.handover.archive import holds_bundle, is_archive, new_bundle
from taorunner.handover.card import model_card
from taorunner.handover.check import Checked, check_model, not_checked
from taorunner.handover.deepstream import FILE as NVINFER
from taorunner.handover.deepstream import check_deepstream, deepstream_config
from taorunner.handover.model import CALIBRATION, LABELS, MODEL, Contents, Use
from taorunner.handover.onnx_header import read_header
from taorunner.handover.places import scores_without_places, without_places
from taorunner.handover.sources import (
    Sources,
    evaluation_of,
    find_sources,
    labels_of,
    preprocessing_of,
    thresholds_of,
)
from taorunner.handover.triton import FILE as TRITON
from taorunner.handover.triton import triton_config
from taorunner.handover.truth import Truth, truth_for
from taorunner.runs.inputs.run_lock import read_lock
from taorunner.runs.outputs.recorded import Output
from taorunner.text import printable
from taorunner.values.bounded_reading import read_json
from taorunner.values.value import Value, replace

if TYPE_CHECKING:
    from taorunner.project.workspace import Workspace
    from taorunner.runs.state.store import RunStore

MARK = "bundle.json"
_SUMS = "SHA256SUMS"
_BLOCK = 1024**2
_VERSION = 1


class File(Value):
    """``path`` is below the bundle."""

    path: str
    bytes: int
    sha256: str


class Bundle(Value):
    """``command`` is what to type so that it can be checked, without ``taorunner -p PROJECT`` where it is one of
    taorunner's; empty where it was checked, and where nothing helps."""

    place: Path
    use: Use
    files: tuple[File, ...]
    checked: Checked
    command: str

    def to_json(self) -> dict[str, Any]:
        return {
            "bundle": str(self.place), "for": self.use.value, "check": self.checked.to_json(), "command": self.command,
            "files": [{"path": one.path, "bytes": one.bytes, "sha256": one.sha256} for one in self.files],
        }  # fmt: skip


def make_bundle(
    store: RunStore, workspace: Workspace, project: str, experiment: str, use: Use, place: Path, *,
    overwrite: bool, checks: bool,
) -> Bundle:  # fmt: skip
    """Raises:
    UsageError: something else than a bundle is at ``place``, or a bundle without ``overwrite``.
    RunStateError: there is no exported model.
    UserFilesError: no such bundle can be made of it, or it does not give the boxes that TAO wrote.
    """
    _check_place(place, overwrite=overwrite)
    sources = find_sources(store, project, experiment)
    with _opened(sources, sources.model) as file:
        contents = _contents(store, sources, file, use)
    truth = (
        truth_for(store, workspace.root, sources, contents)
        if checks
        else Truth({}, missing="--no-check was given")
    )
    with new_bundle(place, store.state_dir, overwrite=overwrite) as folder:
        writer = _Writer(folder, f"{contents.name}/" if use is Use.TRITON else "")
        model = writer.copy("1/model.onnx" if use is Use.TRITON else MODEL, sources, sources.model)
        scaling = contents.preprocessing
        if scaling is not None and truth.boxes:
            used = scaling.as_deepstream_has_it if use is Use.DEEPSTREAM else scaling
            checked = check_model(model, contents, used, truth.boxes, truth.lowest)
        else:
            checked = not_checked(truth.missing)
        _write_texts(store, sources, contents, use, writer, checked)
        files = writer.finish()
    return Bundle(place, use, files, checked, "" if checked.state == "passed" else truth.command)


def _contents(store: RunStore, sources: Sources, file: BinaryIO, use: Use) -> Contents:
    header, facts = read_header(file, sources.model.path.name), handover_facts(sources.network)
    names = [one.name for one in header.outputs]
    fits = facts is not None and all(any(name.startswith(one) for name in names) for one in facts.outputs)
    contents = Contents(
        sources.export.experiment, sources.network, header, facts if fits else None,
        preprocessing_of(store, sources, facts) if facts is not None and fits else None,
        labels_of(store, sources, facts, header), thresholds_of(store, sources), sources.precision,
        sources.calibration is not None and use is Use.DEEPSTREAM,
    )  # fmt: skip
    if use is Use.DEEPSTREAM:
        if facts is not None and not fits:
            raise UserFilesError(
                f"the model's outputs are {printable(', '.join(names))}; what DeepStream knows of {sources.network} "
                f"needs {', '.join(facts.outputs)}",
                hint="taorunner bundle EXPERIMENT --for onnx, or --for triton",
            )
        check_deepstream(contents)
        if not contents.labels:
            count = contents.header.outputs[-1].shape[-1:] or (None,)
            names = [f"id_{number}" for number in range(min(count[0] or 0, 10_000))]
            contents = replace(contents, labels=tuple(names))
    return contents


def _write_texts(
    store: RunStore, sources: Sources, contents: Contents, use: Use, writer: _Writer, checked: Checked
) -> None:
    if contents.labels:
        writer.text(LABELS, "".join(f"{name}\n" for name in contents.labels))
    if use is Use.DEEPSTREAM:
        writer.text(NVINFER, deepstream_config(contents))
        if sources.calibration is not None:
            writer.copy(CALIBRATION, sources, sources.calibration)
    elif use is Use.TRITON:
        writer.text(TRITON, triton_config(contents))
    evaluation = evaluation_of(store, sources)
    training = read_lock(store, sources.training.id) if sources.training is not None else None
    writer.prefix, root = "", store.state_dir.parent
    lock, training = (None if one is None else without_places(one, root) for one in (sources.lock, training))
    writer.text("model_card.md", model_card(contents, use, lock, training, evaluation, checked))
    if lock is not None:
        writer.text("run.lock", _json(lock.to_json()))
    if evaluation is not None:
        writer.text("evaluation.json", scores_without_places(evaluation, root))
    scaling = contents.preprocessing
    writer.text(MARK, _json({
        "version": _VERSION, "for": use.value, "experiment": contents.name, "network": contents.network,
        "export": sources.export.id, "classes": list(contents.labels), "check": checked.to_json(),
        "preprocessing": None if scaling is None else {
            "mean": list(scaling.mean), "std": list(scaling.std), "order": "rgb" if scaling.is_rgb else "bgr",
            "from": scaling.where, "size": list(contents.size) if contents.size is not None else None,
        },
    }))  # fmt: skip


class _Writer:
    """Writes files below ``folder`` and ``prefix``, and knows their digests."""

    def __init__(self, folder: Path, prefix: str) -> None:
        self._folder, self.prefix = folder, prefix
        self._files: dict[str, File] = {}

    def text(self, name: str, text: str) -> None:
        data = text.encode("utf-8", "replace")
        self._write(name, lambda file: file.write(data))

    def copy(self, name: str, sources: Sources, output: Output) -> Path:
        """A file that a container wrote, as it was when its run ended. Raises UserFilesError where it is another."""
        with _opened(sources, output) as read:

            def write(file: BinaryIO) -> None:
                left = output.bytes
                while left > 0 and (block := read.read(min(_BLOCK, left))):
                    file.write(block)
                    left -= len(block)

            path = self._write(name, write)
        made = self._files[self.prefix + name]
        if made.bytes != output.bytes or (output.sha256 is not None and made.sha256 != output.sha256):
            raise _changed(output)
        return path

    def finish(self) -> tuple[File, ...]:
        files = [self._files[name] for name in sorted(self._files)]
        self.text(_SUMS, "".join(f"{one.sha256}  {one.path}\n" for one in files))
        return tuple(self._files[name] for name in sorted(self._files))

    def _write(self, name: str, write: Callable[[BinaryIO], object]) -> Path:
        path = self._folder / (self.prefix + name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x+b") as file:
            write(file)
            size = file.tell()
            file.seek(0)
            digest = _digest(file)
        self._files[self.prefix + name] = File(self.prefix + name, size, digest)
        return path


def _digest(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while block := file.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()


def _opened(sources: Sources, output: Output) -> BinaryIO:
    """Never through a link below the results. Raises UserFilesError."""
    root = Path(sources.export.results_dir) if sources.export.results_dir is not None else output.path.parent
    descriptor = open_file(root, output.path) if output.path.is_relative_to(root) else None
    if descriptor is None:
        raise _changed(output)
    return os.fdopen(descriptor, "rb")


def _changed(output: Output) -> UserFilesError:
    return UserFilesError(
        f'"{printable(output.path.name)}" is not the file that its run wrote',
        hint="export it again: taorunner export EXPERIMENT --overwrite",
    )


def _check_place(place: Path, *, overwrite: bool) -> None:
    if overwrite and os.path.lexists(place) and not _is_bundle(place):
        raise UsageError(
            f'"{printable(str(place))}" exists and is no bundle of taorunner',
            hint="choose another place with --output",
        )
    refuse_taken(place, overwrite=overwrite)


def _is_bundle(place: Path) -> bool:
    if is_archive(place):
        return holds_bundle(place, MARK)
    if place.is_symlink() or not place.is_dir():
        return False
    if not any(place.iterdir()):
        return True
    try:
        body = read_json(place / MARK, most_bytes=_BLOCK)
    except (OSError, ValueError):
        return False
    return isinstance(body, Mapping) and body.get("version") == _VERSION and "export" in body


def _json(value: object) -> str:
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
