"""The wheel of a source tree, built on this machine or in a container of the base image, as ``tao_pt`` does it.

All that the build writes lies in a folder of its own, which is gone afterwards: the tree stays as it is.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from taorunner import host_commands
from taorunner.engine.client import Engine
from taorunner.engine.containers import Bind
from taorunner.errors import UserFilesError
from taorunner.images.trial import Trial, run_trial

TIMEOUT_S = 3600
PYTHON = "python3"
_TREE_INSIDE, _FOLDER_INSIDE = Path("/taorunner/source"), Path("/taorunner/wheel")
_TOLD_LINES = 20


@dataclass(frozen=True, slots=True)
class WheelBuilder:
    """``python`` is a program on PATH, of this machine or of the image. ``inside`` is the container to build in, its
    command left open; None builds here."""

    python: str = PYTHON
    inside: Trial | None = None


@contextmanager
def built_wheel(
    engine: Engine, tree: Path, builder: WheelBuilder, tell: Callable[[str], None]
) -> Iterator[Path]:
    """The wheel's path, for as long as the block lasts.

    Raises:
        UserFilesError: the build failed; what it said is told before.
        MachineError, EngineRefusedError: no such Python here, no such image.
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
        wheels = sorted((folder / "dist").glob("*.whl"))
        if last_words is not None or not wheels:
            where = f'in "{builder.inside.image}"' if builder.inside else "here"
            raise UserFilesError(
                f'the wheel of "{tree}" cannot be built {where}: {last_words or "the build left none"}',
                hint=f"{builder.python} needs what setup.py needs (setuptools, wheel, torch …); --python names another "
                "one, --in an image to build in",
            )
        tell(f"built {wheels[0].name}")
        yield wheels[0]


def _build_here(tree: Path, folder: Path, python: str, tell: Callable[[str], None]) -> str | None:
    """The last words of a build that failed, None when it did not."""
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
        binds=(Bind(str(tree.resolve()), str(_TREE_INSIDE)), Bind(str(folder), str(_FOLDER_INSIDE))),
        workdir=str(_TREE_INSIDE),
    )
    parts = {"stdout": b"", "stderr": b""}  # a line may come in pieces
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
    """With setup.py as TAO's own script does it, and all that it writes in ``folder``; without one by ``build``."""
    if not ((tree / "setup.py").is_file() if has_setup is None else has_setup):
        return [python, "-m", "build", "--wheel", "--outdir", str(folder / "dist"), str(tree)]
    return [
        *(python, "setup.py", "egg_info", "--egg-base", str(folder / "eggs")),
        *("build", "--build-base", str(folder / "build")),
        *("bdist_wheel", "--dist-dir", str(folder / "dist")),
    ]


def _traces(tree: Path) -> list[Path]:
    """What setuptools may leave in a tree all the same; only what was not there before is taken away again."""
    return [*tree.glob("*.egg-info"), *(path for path in (tree / "build",) if path.is_dir())]
