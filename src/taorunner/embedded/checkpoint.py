"""Checkpoints: the full training state in one npz file, so that a resumed training gives the same result.

Source: tao/pytorch.md section 3: ``model_epoch_EEE_step_SSSSS`` with the epoch counted from 0 and a relative
symbolic link to the latest one. Files are written atomically (temporary file, then rename).
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .arrays import Floats
from .failures import RunFailedError
from .network import Architecture, Network

LATEST = "tinydet_model_latest.npz"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Position:
    """Progress of training: ``epochs_done`` complete epochs, ``epoch_steps`` steps of the next, ``steps`` in total.

    ``epoch_loss`` is the sum of the losses of the unfinished epoch's steps.
    """

    epochs_done: int = 0
    epoch_steps: int = 0
    steps: int = 0
    epoch_loss: float = 0.0


@dataclass(frozen=True, slots=True)
class Checkpoint:
    architecture: Architecture
    position: Position
    network: dict[str, Floats]
    optimiser: dict[str, Floats]


def save(folder: Path, checkpoint: Checkpoint) -> Path:
    """Writes the checkpoint and updates ``latest``; returns the file. Raises: OSError."""
    position = checkpoint.position
    epoch = position.epochs_done if position.epoch_steps else position.epochs_done - 1
    path = folder / f"model_epoch_{epoch:03d}_step_{position.steps:05d}.npz"
    about = {
        "format": _FORMAT,
        "architecture": dataclasses.asdict(checkpoint.architecture),
        "position": dataclasses.asdict(position),
    }
    arrays: dict[str, Any] = {"about": np.array(json.dumps(about))}
    arrays |= {f"network/{name}": value for name, value in checkpoint.network.items()}
    arrays |= {f"optimiser/{name}": value for name, value in checkpoint.optimiser.items()}
    beside = folder / f".{path.name}.{os.getpid()}.part"
    # in memory first: numpy 1 leaves an archive open when its file cannot be written, and Python reports that
    packed = io.BytesIO()
    np.savez(packed, **arrays)
    try:
        with beside.open("wb") as file:
            file.write(packed.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    link = folder / f".{LATEST}.{os.getpid()}.part"
    link.unlink(missing_ok=True)
    link.symlink_to(path.name)
    link.replace(folder / LATEST)
    return path


def load(path: Path) -> Checkpoint:
    """Raises: RunFailedError when the file is missing or not a checkpoint of this network."""
    try:
        with np.load(path, allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            arrays = {name: file[name] for name in file.files if name != "about"}
        if about["format"] != _FORMAT:
            raise ValueError(f"format {about['format']}, this version reads {_FORMAT}")
        fields = about["architecture"] | {"class_names": tuple(about["architecture"]["class_names"])}
        return Checkpoint(
            Architecture(**fields),
            Position(**about["position"]),
            _below(arrays, "network/"),
            _below(arrays, "optimiser/"),
        )
    except FileNotFoundError as error:
        raise RunFailedError("File system error", f'there is no checkpoint "{path}"') from error
    except IsADirectoryError as error:
        raise RunFailedError("File system error", f'checkpoint "{path}" is a folder') from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise RunFailedError(
            "Parameter validation error", f'"{path}" is not a tinydet checkpoint ({error})'
        ) from error


def load_network(path: Path) -> Network:
    """The trained network in a checkpoint. Raises: RunFailedError."""
    checkpoint = load(path)
    network = Network(checkpoint.architecture, seed=0)
    restore(network, checkpoint, path)
    return network


def restore(network: Network, checkpoint: Checkpoint, path: Path) -> None:
    """Raises: RunFailedError when the weights do not fit."""
    try:
        network.load_state(checkpoint.network)
    except (KeyError, ValueError) as error:
        raise RunFailedError(
            "Parameter validation error", f'checkpoint "{path}" does not fit the network: {error}'
        ) from error


def _below(arrays: dict[str, Floats], prefix: str) -> dict[str, Floats]:
    return {name[len(prefix) :]: value for name, value in arrays.items() if name.startswith(prefix)}
