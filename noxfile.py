"""The checks of this project. ``nox`` alone runs what CI runs."""

from __future__ import annotations

import re
from pathlib import Path

import nox

nox.needs_version = ">=2024.4.15"
nox.options.sessions = ["lint", "docs", "types", "tests", "engine"]
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_missing_interpreters = False

PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14"]
LARGEST_WHEEL = 3_000_000
"""Bytes."""
RUNTIME_EXTRAS = ("embedded", "datasets", "evaluation", "formats", "huggingface")


@nox.session
def lint(session: nox.Session) -> None:
    """Style, and the floors of the house."""
    session.install(".[dev]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation site in ``site/``, strictly; and its spelling."""
    session.install(".[docs]")
    session.run("codespell", "docs", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "src/taorunner/manual")
    session.run("mkdocs", "build", "--strict", env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session
def types(session: nox.Session) -> None:
    """mypy --strict over the package."""
    session.install(".[dev]")
    session.run("mypy", *session.posargs)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Everything that needs no container engine and no cluster, on each Python that is installed."""
    session.install(".[test]")
    session.run("pytest", "-q", "-m", "not engine and not slurm", *session.posargs)


@nox.session
def engine(session: nox.Session) -> None:
    """What needs an engine or a cluster; nothing may be skipped. First ``python tests/rig/rig.py install``, once."""
    session.install(".[test]")
    session.run("pytest", "-q", "-m", "engine or slurm", *session.posargs, env={"CI": "true"})


@nox.session
def lowest(session: nox.Session) -> None:
    """The tests that need no engine and no cluster, with the oldest dependencies that pyproject.toml allows."""
    constraints = Path(session.create_tmp()) / "lowest.txt"
    constraints.write_text(
        "".join(f"{name}=={version}\n" for name, version in _lowest_versions()), encoding="utf-8"
    )
    session.install("-c", str(constraints), ".[test]")
    session.run("pytest", "-q", "-m", "not engine and not slurm", *session.posargs)


@nox.session
def packages(session: nox.Session) -> None:
    """Builds wheel and source distribution; installs both with pip, and the wheel with uv and pipx."""
    session.install("build", "twine", "uv", "pipx")
    session.run("python", "-m", "build", "--outdir", "dist", ".")
    built = sorted(Path("dist").glob("taorunner-*"))
    session.run("twine", "check", "--strict", *map(str, built))
    wheel = next(path for path in built[::-1] if path.suffix == ".whl")
    if wheel.stat().st_size > LARGEST_WHEEL:
        session.error(f"{wheel} has {wheel.stat().st_size} bytes, more than {LARGEST_WHEEL}")
    for package in built:
        session.run("pip", "install", "--force-reinstall", "-q", str(package))
        session.run("taorunner", "--version")
        session.run("taorunner", "networks", "rtdetr", "--json", silent=True)
    tools = Path(session.create_tmp()).resolve()
    homes = {"UV_TOOL_DIR": tools / "uv", "UV_TOOL_BIN_DIR": tools / "bin-uv", "PIPX_HOME": tools / "pipx"}
    homes |= {"PIPX_BIN_DIR": tools / "bin-pipx", "PIPX_MAN_DIR": tools / "man"}
    env = {name: str(folder) for name, folder in homes.items()}
    for words, folder in ((("uv", "tool"), "bin-uv"), (("pipx",), "bin-pipx")):
        session.run(*words, "install", "--force", str(wheel), env=env)
        session.run(str(tools / folder / "taorunner"), "--version", external=True)
        session.run(
            str(tools / folder / "taorunner"), "doctor", "--offline", external=True, success_codes=[0, 4]
        )


def _lowest_versions() -> list[tuple[str, str]]:
    """``(package, version)`` of each ``>=`` among the dependencies of the program, not those of its tests."""
    project = nox.project.load_toml("pyproject.toml")["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(line for extra in RUNTIME_EXTRAS for line in extras[extra])]
    return sorted(
        {(match[1], match[2]) for line in wanted if (match := re.match(r"([\w.-]+)>=([\w.]+)$", line))}
    )
