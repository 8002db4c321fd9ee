"""Builds the release image of a TAO source tree: its wheel, its Dockerfile, and the tag from the version file.

Nothing is left in the source tree. The wheel is built outside and sent to the engine as ``dist/*.whl``, where the
release Dockerfile expects it; wheels of earlier builds in that folder are left out.
Source: release/docker/deploy.sh, release/docker/Dockerfile and release/python/version.py of NVIDIA/tao_pytorch_backend.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from taorunner.engine.build import BuildSettings, build
from taorunner.engine.client import Engine
from taorunner.errors import Finding, Severity, UserFilesError
from taorunner.images.wheel import WheelBuilder, built_wheel
from taorunner.project.text_files import read_text_file

DOCKERFILES = ("release/docker/Dockerfile", "release/docker/Dockerfile.release")
VERSION_FILE = "release/python/version.py"
BUILD_INFO = "build.info"
_MAX_BYTES = 1024 * 1024
_NOT_IN_A_TAG = re.compile(r"[^A-Za-z0-9_.-]")


@dataclass(frozen=True, slots=True)
class Release:
    """A release to build. ``version`` and ``package`` come from the version file."""

    tree: Path
    dockerfile: Path
    version: str
    package: str

    def tag(self, repository: str | None = None, suffix: str | None = None) -> str:
        """``REPOSITORY:v6.25.10``, with ``-SUFFIX``; the repository defaults to the package's name."""
        name = f"v{self.version}" + (f"-{suffix}" if suffix else "")
        return f"{repository or self.package}:{_NOT_IN_A_TAG.sub('-', name)[:128]}"


@dataclass(frozen=True, slots=True)
class Released:
    tag: str
    id: str
    wheel: str
    version: str

    def to_json(self) -> dict[str, str]:
        return {"image": self.tag, "id": self.id, "wheel": self.wheel, "version": self.version}


def find_release(tree: Path, dockerfile: Path | None = None, version_file: Path | None = None) -> Release:
    """Raises UserFilesError with everything that the tree lacks."""
    findings: list[Finding] = []
    if not tree.is_dir():
        raise UserFilesError(f'there is no folder "{tree}"')
    if not any((tree / name).is_file() for name in ("setup.py", "pyproject.toml")):
        findings.append(_missing(tree, "no-project", "neither setup.py nor pyproject.toml exists", None))
    files = [dockerfile] if dockerfile is not None else [tree / name for name in DOCKERFILES]
    chosen = next((file for file in files if file.is_file()), None)
    if chosen is None:
        message = f"there is no {' or '.join(str(file) for file in files)}"
        findings.append(_missing(tree, "no-dockerfile", message, "give the release Dockerfile with -f"))
    version, package = "", ""
    try:
        version, package = read_version(version_file or tree / VERSION_FILE, tree / BUILD_INFO)
    except UserFilesError as error:
        findings += error.findings
    if findings or chosen is None:
        raise UserFilesError(f'"{tree}" cannot be released', findings=findings)
    return Release(tree, chosen, version, package)


def read_version(file: Path, build_info: Path) -> tuple[str, str]:
    """Version and package, from the assignments in the file, which is not executed.

    MAJOR, MINOR, PATCH and PRE_RELEASE make the version; the tree's ``build.info`` overrides PATCH. A plain
    ``__version__ = "1.2"`` is accepted, too. Raises UserFilesError.
    """
    read = read_text_file(file, max_bytes=_MAX_BYTES)
    if read.text is None:
        hint = "give the version file with --version-file"
        findings = [replace(one, hint=hint) for one in read.findings]
        raise UserFilesError("no version", findings=findings)
    try:
        module = ast.parse(read.text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None) or 1
        message = f"not valid Python: {str(getattr(error, 'msg', error)).lower()}"
        finding = Finding(
            Severity.ERROR, "version-unreadable", message, None, file, line, getattr(error, "offset", 1)
        )
        raise UserFilesError("no version", findings=(finding,)) from error
    known = _assigned(module)
    package = known.get("__package_name__") or file.resolve().parent.name
    parts = [known.get(name) for name in ("MAJOR", "MINOR", "PATCH")]
    if all(part is not None for part in parts):
        info = read_text_file(build_info, max_bytes=_MAX_BYTES) if build_info.is_file() else None
        if info is not None and info.text is not None and info.text.strip():
            parts[2] = info.text.strip()
        return ".".join(str(part) for part in parts) + (known.get("PRE_RELEASE") or ""), package
    if known.get("__version__"):
        return known["__version__"], package
    message = "the file assigns neither MAJOR, MINOR and PATCH nor __version__ as plain text"
    raise UserFilesError(
        "no version", findings=(Finding(Severity.ERROR, "no-version", message, None, file, 1, 1),)
    )


def build_release(
    engine: Engine,
    release: Release,
    tag: str,
    tell: Callable[[str], None],
    *,
    builder: WheelBuilder | None = None,
    no_cache: bool = False,
    build_args: Mapping[str, str] | None = None,
    network: str | None = None,
) -> Released:
    """Builds the wheel, then the image.

    Raises:
        UserFilesError: wheel or image cannot be built. MachineError: no such Python, no engine, no space.
    """
    with built_wheel(engine, release.tree, builder or WheelBuilder(), tell) as wheel:
        settings = BuildSettings(
            context=release.tree,
            dockerfile=release.dockerfile,
            tags=(tag,),
            no_cache=no_cache,
            build_args=build_args or {},
            network=network,
            extra={f"dist/{wheel.name}": wheel},
            left_out=("dist",),
        )
        return Released(tag, build(engine, settings, tell), wheel.name, release.version)


def _assigned(module: ast.Module) -> dict[str, str]:
    """Module-level names with plain text or numbers as values."""
    known: dict[str, str] = {}
    for node in module.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            value = node.value.value
            if isinstance(value, (str, int)) and not isinstance(value, bool):
                known.update(
                    {target.id: str(value) for target in node.targets if isinstance(target, ast.Name)}
                )
    return known


def _missing(tree: Path, code: str, message: str, hint: str | None) -> Finding:
    return Finding(Severity.ERROR, code, message, hint, tree)
