"""Do TAO's own parsers accept what a new project runs: each argument list, and each spec of YAML?

    python tools/check_public_parsers.py SOURCE…

A SOURCE is a wheel (nvidia-tao-deploy, nvidia-tao-core) or a checkout of the public code (tao_tensorflow1_backend,
tao_tensorflow2_backend, tao-pytorch). Their entry points are imported as they are; what they import that is not there,
such as TensorFlow, is replaced by a stand-in that does nothing. With ``hydra-core`` installed, overrides go through its
grammar, and specs are merged into the dataclass that the action's script names. Prints what was refused, and counts.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import io
import re
import shlex
import sys
import tempfile
import types
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "rig"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "planning"))

from test_new_project import plans_of

from taorunner.planning.model.plan import RunPlan
from taorunner.project.scaffold import scaffold_heads

OURS = ("nvidia_tao_tf1", "nvidia_tao_tf2", "nvidia_tao_pytorch", "nvidia_tao_deploy", "nvidia_tao_core")
PACKAGES = {
    "tf1": "nvidia_tao_tf1",
    "tf2": "nvidia_tao_tf2",
    "pyt": "nvidia_tao_pytorch",
    "deploy": "nvidia_tao_deploy",
}
_ENTRY = re.compile(r"^\s*['\"]?(\w+)\s*=\s*(nvidia_tao_\w+(?:\.\w+)*)\.entrypoint\.\w+:main", re.MULTILINE)
_SCHEMA = re.compile(r"\bschema=(\w+)")


class _AnythingClass(type):
    """A class that has every attribute, may be called, subclassed, subscripted and used as a decorator."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return _Anything

    def __call__(cls, *given: Any, **named: Any) -> Any:
        if cls is not _Anything:
            return super().__call__()
        is_decorated = len(given) == 1 and not named and callable(given[0])
        return given[0] if is_decorated else _Anything

    def __getitem__(cls, key: Any) -> Any:
        return _Anything

    def __iter__(cls) -> Iterator[Any]:
        return iter(())

    def __or__(cls, other: Any) -> Any:
        return _Anything

    __ror__ = __add__ = __radd__ = __sub__ = __mul__ = __truediv__ = __or__

    def __lt__(cls, other: Any) -> bool:
        return False

    __gt__ = __le__ = __ge__ = __lt__


class _Anything(metaclass=_AnythingClass):
    pass


class _StandIn(types.ModuleType):
    __path__: list[str] = []  # noqa: RUF012 (a module's attribute)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Anything


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Last in line: a stand-in for what no other finder finds."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing: it is empty."""


class _Patient(importlib.abc.MetaPathFinder):
    """A module of TAO's own that stops half way keeps what it had defined until then."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name.partition(".")[0] not in OURS:
            return None
        found = importlib.machinery.PathFinder.find_spec(name, path, target)
        if found is not None and isinstance(found.loader, importlib.machinery.SourceFileLoader):
            run = found.loader.exec_module

            def exec_module(module: types.ModuleType) -> None:
                try:
                    run(module)
                except (Exception, SystemExit):  # whatever a stand-in leads to
                    module.__getattr__ = lambda name: _Anything

            found.loader.exec_module = exec_module
        return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description="give the argument lists of new projects to TAO's own parsers"
    )
    parser.add_argument("sources", type=Path, nargs="+")
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        scripts = _scripts(options.sources, Path(folder))
        sys.meta_path.insert(0, _Patient())
        sys.meta_path.append(_Finder())
        for head in scaffold_heads():
            for action, plan in plans_of(Path(folder) / head, head).items():
                _check(head, action, plan, scripts, counts)
    for name in sorted(counts):
        print(f"{name}: {counts[name]}")
    return 1 if any(name.endswith("refused") for name in counts) else 0


def _scripts(sources: list[Path], folder: Path) -> dict[tuple[str, str], str]:
    """(package, command) → the package of its scripts, as the entry points name it."""
    found: dict[tuple[str, str], str] = {}
    for number, source in enumerate(sources):
        root = source.resolve()
        if source.suffix == ".whl":
            root = folder / f"wheel_{number}"
            zipfile.ZipFile(source).extractall(root)
        sys.path.append(str(root))
        texts = [path.read_text(encoding="utf-8") for path in root.glob("*.dist-info/entry_points.txt")]
        texts += [path.read_text(encoding="utf-8") for path in root.glob("setup.py")]
        for command, package in (pair for text in texts for pair in _ENTRY.findall(text)):
            found[package.partition(".")[0], command] = f"{package}.scripts"
    return found


def _check(
    head: str, action: str, plan: RunPlan, scripts: dict[tuple[str, str], str], counts: Counter[str]
) -> None:
    family = plan.contract.framework.value
    tokens = list(plan.argv)
    if tokens[:2] == ["python", "-m"]:
        package = tokens[2].partition(".entrypoint.")[0] + ".scripts"
        command, tokens = head, tokens[3:]
    else:
        command, tokens = tokens[0], tokens[1:]
        package = scripts.get((PACKAGES.get(family, ""), command), "")
    if not package or importlib.util.find_spec(package.rpartition(".")[0]) is None:
        counts[f"{family} lists without a source"] += 1
        return
    problem = _refusal(package, command, tokens)
    counts[f"{family} lists {'refused' if problem else 'accepted'}"] += 1
    if problem:
        print(f"{head} {action}: {problem}\n    {' '.join(plan.argv)}")
    if plan.spec is not None and plan.contract.spec is not None and plan.contract.spec.format == "yaml":
        overrides = [token for token in tokens if "=" in token]
        outcome, message = _merged(f"{package}.{tokens[0]}", plan.spec.text, overrides)
        counts[f"{family} specs {outcome}"] += 1
        if message:
            print(f"{head} {action}: {plan.spec.file_name}: {outcome}: {message}")


def _refusal(package: str, command: str, tokens: list[str]) -> str | None:
    """What the command's own parser says against the tokens."""
    said = io.StringIO()
    sys.argv = [command, *tokens]  # some scripts look at it while they are imported
    scripts = importlib.import_module(package)
    root = package.partition(".")[0]
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            entry = _entrypoint(root, package)
            if hasattr(entry, "get_subtasks"):
                subtasks = entry.get_subtasks(scripts)
                _, unknown = entry.command_line_parser(argparse.ArgumentParser(command), subtasks)
                return _grammar(shlex.split(" ".join(unknown)))
            modules = entry.get_modules(scripts)
            entry.build_command_line_parser(command, modules).parse_args(tokens)
    except SystemExit:
        return said.getvalue().strip().splitlines()[-1]
    return None


def _entrypoint(root: str, package: str) -> Any:
    if root == "nvidia_tao_pytorch":
        return importlib.import_module("nvidia_tao_pytorch.core.entrypoint")
    if root == "nvidia_tao_deploy":
        source = Path(importlib.import_module(package.replace(".scripts", ".entrypoint")).__path__[0])
        is_proto = any("entrypoint_proto" in path.read_text(encoding="utf-8") for path in source.glob("*.py"))
        name = "entrypoint_proto" if is_proto else "entrypoint_hydra"
        return importlib.import_module(f"nvidia_tao_deploy.cv.common.entrypoint.{name}")
    base = "nvidia_tao_tf1.cv.common" if root == "nvidia_tao_tf1" else "nvidia_tao_tf2.common"
    return importlib.import_module(f"{base}.entrypoint.entrypoint")


def _is_there(name: str) -> bool:
    """Whether it is the package itself, not a stand-in."""
    spec = importlib.util.find_spec(name)
    return spec is not None and spec.origin is not None


def _grammar(overrides: list[str]) -> str | None:
    if not _is_there("hydra"):
        return next((f'"{one}" is no override' for one in overrides if "=" not in one), None)
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        OverridesParser.create().parse_overrides(overrides)
    except HydraException as error:
        return str(error).splitlines()[0]
    return None


def _merged(script: str, spec: str, overrides: list[str]) -> tuple[str, str]:
    """How it goes when OmegaConf merges spec and overrides into the script's dataclass, and what it says."""
    module = importlib.import_module(script)
    origin = getattr(module, "__file__", None)
    named = _SCHEMA.search(Path(origin).read_text(encoding="utf-8")) if origin else None
    schema = vars(module).get(named[1]) if named else None
    if schema is None or not _is_there("omegaconf"):
        return "without a dataclass", ""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        base = OmegaConf.structured(schema)
    except OmegaConfBaseException as error:
        return "for a dataclass that OmegaConf itself refuses", str(error).splitlines()[0]
    try:
        OmegaConf.merge(base, OmegaConf.create(spec), OmegaConf.from_dotlist(overrides))
    except OmegaConfBaseException as error:
        return "refused", str(error).splitlines()[0]
    return "accepted", ""


if __name__ == "__main__":
    sys.exit(main())
