"""Command lines of the original tao-runner, and scripts of it and of TAO's source tree, and how each is said here.

Source: jhoogstraat/tao-runner b28ea41: README, parsers/argument_parser.py, scripts/; NVIDIA/tao_pytorch_backend README.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from taorunner.errors import TaorunnerError

_FORMATS = {"kitti_detection": "kitti", "coco_instances": "coco"}
_SIZE = "1000x1000"
"""To which its script resized every image."""


def original_command(word: str, rest: Sequence[str]) -> str | None:
    """The hint for a command or a script, whose name ends with ``.sh``; None for any other word, and where the words
    behind it are not as the original takes them."""
    if word == "split" and "--subset" in rest:
        return _split(rest)
    folder, _, script = word.rpartition("/")
    if script == "build.sh":
        force = " --force" if "--force" in rest else ""
        push = ", then taorunner image push IMAGE" if "--push" in rest else ""
        return f"taorunner image build {shlex.quote(folder or '.')} -t IMAGE{force}{push}"
    if script == "deploy.sh":
        tree = os.path.normpath(os.path.join(folder, "../.."))  # noqa: PTH118 (as it was typed)
        return f"taorunner image release {shlex.quote(tree)}"
    word = script.partition(".")[0]
    words = [shlex.quote(one) for one in rest if not one.startswith("-")]
    if word == "convert_dataset":
        if len(words) != 3:
            return "taorunner dataset convert --help"
        project, source, target = words
        form = _FORMATS.get(target, "kitti")
        return f"taorunner -p {project} dataset convert {source} --to {form} --output projects/{project}/data/{target}"
    if word == "resize_dataset" and len(words) == 4:
        return f"taorunner -p {words[0]} dataset resize {words[1]} --size {_SIZE}"
    return None


def original_option(command: str, words: Sequence[str], flag: str) -> str | None:
    """The hint for ``train -s``, which stopped the training."""
    if command != "train" or flag not in ("-s", "--stop"):
        return None
    _, named = project_first([one for one in words if not one.startswith("-")])
    return f"taorunner stop {' '.join(map(shlex.quote, named)) or '--all'}"


def project_first(named: Sequence[str]) -> tuple[str | None, list[str]]:
    """The project, where the first of several names is one of this workspace, and the other names."""
    from taorunner.project.workspace import find_workspace

    projects: Sequence[str] = ()
    with suppress(TaorunnerError):
        projects = find_workspace(Path.cwd(), None, os.environ).project_names()
    if len(named) > 1 and named[0] in projects:
        return named[0], list(named[1:])
    return None, list(named)


def _split(rest: Sequence[str]) -> str:
    """``--subset full --val 0.1 PROJECT EXPERIMENT...``"""
    values: dict[str, str] = {}
    named: list[str] = []
    words = iter(rest)
    for word in words:
        if word in ("--subset", "--val"):
            values[word] = next(words, "")
        elif not word.startswith("-"):
            named.append(word)
    project, experiments = project_first(named)
    where = f"-p {shlex.quote(project or named[0])} " if named else ""
    dataset = shlex.quote(f"{_dataset(project, experiments)}/{values.get('--subset', '')}".rstrip("/"))
    share = f" --val {shlex.quote(values['--val'])}" if values.get("--val") else ""
    return f"taorunner {where}dataset split {dataset}{share}"


def _dataset(project: str | None, experiments: Sequence[str]) -> str:
    """That of the first of the experiments, without its subset; of any experiment where none of them is known."""
    from taorunner.project.load import load_project
    from taorunner.project.workspace import find_workspace

    if project is None:
        return "DATASET"
    known = load_project(find_workspace(Path.cwd(), None, os.environ), project).experiments
    for name in (*experiments, *known):
        if name in known and known[name].dataset is not None:
            return str(known[name].dataset).partition("/")[0]
    return "DATASET"
