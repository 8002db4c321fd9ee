"""Builds the wheel of a source tree, on this machine or in a container of the base image, as ``tao_pt`` does.

The build writes into a temporary folder, so the source tree does not change.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from taorunner import host_commands
from taorunner.contained_files import files_below
from taorunner.container_options import Mount
from taorunner.engine.client import Engine
from taorunner.errors import UserFilesError
from taorunner.images.trial import Trial, run_trial

TIMEOUT_S = 3600
PYTHON = "python3"
_TREE_INSIDE, _FOLDER_INSIDE = Path("/taorunner/source"), Path("/taorunner/wheel")
_TOLD_LINES = 20


@dataclass(frozen=True, slots=True)
class WheelBuilder:
    """``python``: a program on PATH, of this machine or of the image. ``inside``: the container to build in, without
    its command; None builds on this machine."""

    python: str = PYTHON
    inside: Trial | None = None


@contextmanager
def built_wheel(
    engine: Engine, tree: Path, builder: WheelBuilder, tell: Callable[[str], None]
) -> Iterator[Path]:
    """The wheel's path, valid inside the block.

    Raises:
        UserFilesError: the build failed; its output was passed on before.
        MachineError, EngineRefusedError: Python or image not found.
    """
    with tempfile.TemporaryDirectory(prefix="taorunner-wheel-") as name:
        folder = Path(name)
        (folder / "eggs").mkdir()
        before = set(_traces(tree))
        try:
            if builder.inside is None:
                last_words = _build_here(tree, folder, builder.python, tell)
            else:
                last_words = _build_inside(engine, tree, folder, builder.python, builder.inside, tell)
        finally:
            for trace in set(_traces(tree)) - before:
                shutil.rmtree(trace, ignore_errors=True)
        made = files_below(folder, folder / "dist")  # a container wrote there: a link would lead out of it
        wheels = sorted(path for path in made if path.suffix == ".whl")
        if last_words is not None or not wheels:
            where = f'in "{builder.inside.image}"' if builder.inside else "here"
            raise UserFilesError(
                f'the wheel of "{tree}" cannot be built {where}: {last_words or "the build made none"}',
                hint=f"install what setup.py needs for {builder.python} (setuptools, wheel, torch …), or choose "
                "another Python with --python, or an image to build in with --in",
            )
        tell(f"built {wheels[0].name}")
        yield wheels[0]


def _build_here(tree: Path, folder: Path, python: str, tell: Callable[[str], None]) -> str | None:
    """The last line of a failed build, None after success."""
    argv = wheel_command(tree.resolve(), folder, python)
    tell(f"building the wheel: {' '.join(argv)}")
    done = host_commands.run(argv, timeout_s=TIMEOUT_S, cwd=tree)
    if done.succeeded:
        return None
    for line in (done.stdout + done.stderr).splitlines()[-_TOLD_LINES:]:
        tell(line)
    return done.last_words


def _build_inside(
    engine: Engine, tree: Path, folder: Path, python: str, inside: Trial, tell: Callable[[str], None]
) -> str | None:
    argv = wheel_command(_TREE_INSIDE, _FOLDER_INSIDE, python, has_setup=(tree / "setup.py").is_file())
    tell(f"building the wheel in {inside.image}: {' '.join(argv)}")
    trial = replace(
        inside,
        command=tuple(argv),
        mounts=(Mount(tree.resolve(), str(_TREE_INSIDE)), Mount(folder, str(_FOLDER_INSIDE))),
        workdir=str(_TREE_INSIDE),
    )
    parts = {"stdout": b"", "stderr": b""}  # a line may arrive in pieces
    said: list[str] = []

    def tell_line(line: bytes) -> None:
        text = line.decode("utf-8", "replace").strip()
        if text:
            said.append(text)
            tell(text)

    def write(stream: str, data: bytes) -> None:
        *whole, parts[stream] = (parts[stream] + data).split(b"\n")
        for line in whole:
            tell_line(line)

    code = run_trial(engine, trial, write, tell)
    for rest in parts.values():
        tell_line(rest)
    return None if code == 0 else said[-1] if said else f"ended with code {code}"


def wheel_command(tree: Path, folder: Path, python: str, has_setup: bool | None = None) -> list[str]:
    """Uses setup.py as TAO's own script does, with all output in ``folder``; without setup.py, ``build``."""
    if not ((tree / "setup.py").is_file() if has_setup is None else has_setup):
        return [python, "-m", "build", "--wheel", "--outdir", str(folder / "dist"), str(tree)]
    return [
        *(python, "setup.py", "egg_info", "--egg-base", str(folder / "eggs")),
        *("build", "--build-base", str(folder / "build")),
        *("bdist_wheel", "--dist-dir", str(folder / "dist")),
    ]


def _traces(tree: Path) -> list[Path]:
    """Files that setuptools may still leave in the tree; those that are new are removed."""
    return [*tree.glob("*.egg-info"), *(path for path in (tree / "build",) if path.is_dir())]
