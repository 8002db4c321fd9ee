"""Checks that the secrets of an experiment are readable by their owner only.

``model_key`` and the values of ``env`` may be ``env:NAME``, ``file:PATH`` or the secret itself. A secret that is
written out is visible to everyone who receives the project. A file that other users may read is little better.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

from taorunner.errors import Finding, Severity
from taorunner.planning.inputs.environment import secret_file
from taorunner.project.experiments import Experiment
from taorunner.project.load import Project
from taorunner.text import is_secret_name, printable

PUBLIC_KEYS = frozenset({"tlt_encode", "nvidia_tlt", "nvidia_tao", "secret_key"})
"""Publicly known keys: those NVIDIA publishes with its models, and the one in the documentation of tao-runner."""

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def secret_findings(project: Project, experiment: Experiment, workspace: Path) -> Iterator[Finding]:
    """Warnings about keys written in experiments.yml, and about their files. The launch reports errors.

    Never reads a secret. ``workspace`` is the folder that a relative ``file:`` path starts at.
    """
    given: list[tuple[tuple[str, ...], str]] = []
    given += [(("model_key",), experiment.model_key)] if experiment.model_key is not None else []
    given += [(("env", name), value) for name, value in experiment.env.items()]
    for keys, value in given:
        place = ("experiments", experiment.name, *keys)
        if value.startswith("file:"):
            problem = _file(secret_file(value, workspace))
        elif value.startswith("env:"):
            problem = None
        else:
            problem = _plain(keys[-1], value) if keys == ("model_key",) or is_secret_name(keys[-1]) else None
        if problem is not None:
            code, message, hint = problem
            yield project.finding(Severity.WARNING, code, message, place, hint=hint)


def _plain(key: str, value: str) -> tuple[str, str, str] | None:
    if not value or value in PUBLIC_KEYS:
        return None
    variable = "TAO_MODEL_KEY" if key == "model_key" else key
    message = f'"{key}" is written here, readable by everyone with this file'
    return "plain-secret", message, f'write "{key}: env:{variable}" and export {variable}, or file:PATH'


def _file(path: Path) -> tuple[str, str, str] | None:
    repair = shlex.join(["chmod", "600", str(path)])
    try:
        state = path.stat()
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        message = f'the secret should come from "{printable(str(path))}": {why}'
        return "secret-file-missing", message, f"write it there, then: {repair}"
    if not stat.S_ISREG(state.st_mode):
        message = f'the secret should come from "{printable(str(path))}", which is not a file'
        return "secret-file-missing", message, "name the file that holds it"
    if state.st_mode & _OTHERS:
        return "secret-file-open", f'others may read the secret in "{printable(str(path))}"', repair
    if not os.access(path, os.R_OK):
        return "secret-file-missing", f'the secret in "{printable(str(path))}" may not be read by you', repair
    return None
