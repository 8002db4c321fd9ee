"""Compares the catalog with sources of TAO, and lists what is new in them and what they no longer have.

    pip download --no-deps -d sources nvidia-tao-pytorch==7.3.0 nvidia-tao-ds==7.3.0 nvidia-tao-deploy==7.3.0
    git -C tao-skill-bank archive --format=zip -o skill-bank.zip HEAD
    python tools/compare_catalog.py sources skill-bank.zip

A SOURCE is a package (``.whl``, an archive or a checkout with ``setup.py``), which has commands and their actions; the
TAO launcher's package, which has the image of each task; NVIDIA-TAO/tao-skill-bank, which pins public images and has
actions of networks; or a folder with any of these. The version is that of the package; for an archive, of its file name
(``nvidia_tao_pytorch-5.5.0.zip``).

Prints a line for each difference: ``+`` the source has it and the catalog does not, ``-`` the other way round. A
version that is no release of the catalog is compared with the newest release before it. The exit code is 1 if anything
differs.
``--facts FILE`` writes what the packages have, for ``tests/catalog``.
"""

from __future__ import annotations

import argparse
import configparser
import json
import re
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from taorunner.catalog.layers import parse_version
from taorunner.catalog.load import Catalog, network_names
from taorunner.catalog.network import Release
from taorunner.yaml_reader import read_yaml

KINDS = {
    "nvidia_tao_pytorch": "pyt", "nvidia_tao_ds": "data-services", "nvidia_tao_deploy": "deploy",
    "nvidia_tao_tf1": "tf1", "nvidia_tao_tf2": "tf2",
}  # fmt: skip
"""The kind of image that each package is in. Source: tao/pytorch.md sections 1 and 6."""
EVERYWHERE = "default_specs"
"""An action that entry points add to those of the scripts. Source: tao/pytorch.md section 1."""
_COMMAND = re.compile(r"""["']([\w-]+)\s*=\s*([\w.]+):main["']""")
_PINNED = re.compile(r"^ +(\w+): +(\S+)/([\w-]+):(\S+)$", re.MULTILINE)
_PUBLIC = "nvcr.io/nvidia/tao/tao-toolkit"


@dataclass(frozen=True, slots=True)
class Files:
    """The texts of an archive or a folder, by their paths below its only top folder, if it has one."""

    root: Path
    names: Mapping[str, str]

    @classmethod
    def of(cls, root: Path) -> Files:
        if root.is_dir():
            found = (path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
        else:
            with zipfile.ZipFile(root) as opened:
                found = iter([name for name in opened.namelist() if not name.endswith("/")])
        names = list(found)
        tops = {PurePosixPath(name).parts[0] for name in names}
        top = f"{tops.pop()}/" if len(tops) == 1 and not root.is_dir() else ""
        is_package = top.rstrip("/") in KINDS
        return cls(root, {name if is_package else name.removeprefix(top): name for name in names})

    def read(self, name: str) -> str:
        if self.root.is_dir():
            return (self.root / self.names[name]).read_text(encoding="utf-8", errors="replace")
        with zipfile.ZipFile(self.root) as opened:
            return opened.read(self.names[name]).decode("utf-8", errors="replace")

    def matching(self, pattern: str) -> Iterator[tuple[str, re.Match[str]]]:
        for name in sorted(self.names):
            match = re.fullmatch(pattern, name)
            if match is not None:
                yield name, match


@dataclass(slots=True)
class Package:
    """``tasks`` are commands with their actions; ``modules`` are networks with actions and without a command."""

    kind: str
    version: str
    tasks: dict[str, list[str]] = field(default_factory=dict)
    modules: dict[str, list[str]] = field(default_factory=dict)


def read_package(files: Files) -> Package | None:
    """The commands of the package's entry points, and the actions of the folder ``scripts`` beside each of them."""
    name = next((name for name in KINDS if any(path.startswith(f"{name}/") for path in files.names)), None)
    commands = dict(_commands(files))
    if name is None:  # packages of 4.0 have other modules
        name = next((name for name in KINDS if files.root.name.startswith(f"{name}-")), None)
    if name is None or not commands:
        return None
    package = Package(KINDS[name], _version(files, name))
    for task, module in sorted(commands.items()):
        package.tasks[task] = _actions(files, PurePosixPath(*module.split(".")[:-2]))
    folders = {str(PurePosixPath(*module.split(".")[:-2])) for module in commands.values()}
    for path, match in files.matching(r"(.+)/entrypoint/(\w+)\.py"):
        actions = _actions(files, PurePosixPath(match[1]))
        if match[1] not in folders and actions and PurePosixPath(path).stem != "__init__":
            package.modules[PurePosixPath(match[1]).name] = actions
    return package


def _commands(files: Files) -> Iterator[tuple[str, str]]:
    for name, _ in files.matching(r"[^/]+\.dist-info/entry_points\.txt"):
        parser = configparser.ConfigParser(delimiters=("=",))
        parser.read_string(files.read(name))
        if parser.has_section("console_scripts"):
            for command, target in parser.items("console_scripts"):
                yield command, target.partition(":")[0]
    if "setup.py" in files.names:
        for match in _COMMAND.finditer(files.read("setup.py")):
            yield match[1], match[2]


def _actions(files: Files, folder: PurePosixPath) -> list[str]:
    scripts = files.matching(rf"{re.escape(str(folder))}/scripts/(\w+)\.py")
    return [match[1] for _, match in scripts if not match[1].startswith("__")]


def _version(files: Files, name: str) -> str:
    for path, match in files.matching(rf"{name}-([\d.]+)[^/]*\.dist-info/METADATA"):
        del path
        return _three_numbers(match[1])
    named = re.search(r"-(\d+(?:\.\d+)+)", files.root.name)
    if named is not None:
        return _three_numbers(named[1])
    for path, _ in files.matching(r"(?:.*/)?version\.py"):
        numbers = re.search(r"""version\w*\s*=\s*["'](\d+(?:\.\d+)+)""", files.read(path), re.IGNORECASE)
        if numbers is not None:
            return _three_numbers(numbers[1])
    raise SystemExit(f"{files.root}: its version is unknown: name it NAME-VERSION.zip")


def _three_numbers(text: str) -> str:
    return ".".join(str(number) for number in parse_version(text.rstrip("."))[:3])


class Comparison:
    """Collects the differences, each once."""

    def __init__(self) -> None:
        self._catalog = Catalog()
        self._networks = {name: self._catalog.network(name) for name in network_names()}
        self.releases = self._networks["dino"].all_releases
        self.lines: dict[str, None] = {}

    def package(self, package: Package) -> None:
        release = self._release(package.version)
        where = f"{package.version} {package.kind}"
        if release is None or release.name != package.version:
            compared = "nothing" if release is None else release.name
            self._tell(
                f"+ {package.version} {package.kind}: not a release of the catalog; compared with {compared}"
            )
        ours = {} if release is None else self._of_version(release, package.kind, package.version)
        passed = set() if release is None else self._elsewhere(release, package.kind, package.version)
        for task in sorted({*ours, *package.tasks} - passed):
            known = set(package.tasks.get(task) or package.modules.get(task) or ())
            if task not in ours and known:
                self._tell(f"+ {where} {task}: a network with {' '.join(sorted(known))}")
            elif task in ours and not known and ours[task]:
                self._tell(f"- {where} {task}: not in the source")
            elif task in ours:
                self._actions(f"{where} {task}", known, ours[task])

    def images(self, version: str, tags: Mapping[str, Mapping[str, str]]) -> None:
        """``tags`` is kind of image → task → tag; the task ``*`` stands for the tag of the release.

        A version of four numbers is that of three where it has no images of its own.
        """
        named = {one.name: one for one in self.releases}
        release = named.get(version) or named.get(version.rpartition(".")[0])
        if release is None:
            self._tell(f"+ {version}: not a release of the catalog")
            return
        for kind, tasks in sorted(tags.items()):
            differing: dict[str, list[str]] = {}
            for task, tag in sorted(tasks.items()):
                if task == "*" or task in self._networks:
                    is_there = task == "*" or self._ours(release, kind, task)
                    known = (
                        self._tag(release, kind, task) if is_there else "a network that is not in the release"
                    )
                    if known != tag:
                        differing.setdefault(f"image {tag}, not {known}", []).append(task)
            for what, names in differing.items():
                self._tell(f"+ {version} {kind} {' '.join(names)}: {what}")
        if not release.public:
            self._tell(f"+ {version}: its images are public")

    def actions_of(self, version: str, network: str, actions: set[str]) -> None:
        """Actions that are named beside an image, not all that there are."""
        release = self._release(version)
        known = self._networks.get(network)
        if known is None or release is None or release.name not in known.releases:
            self._tell(f"+ {version} {network}: a network with {' '.join(sorted(actions))}")
        else:
            here = {action.rpartition(".")[2] for action in known.actions(release.name)}
            for action in sorted(actions - here):
                self._tell(f"+ {version} {network} {action}: an action")

    def _actions(self, where: str, theirs: set[str], ours: set[str]) -> None:
        for action in sorted(theirs - ours):
            self._tell(f"+ {where} {action}: an action")
        for action in sorted(ours - theirs):
            self._tell(f"- {where} {action}: an action that is not in the source")

    def _release(self, version: str) -> Release | None:
        wanted = parse_version(version)
        upto = [one for one in self.releases if parse_version(one.name) <= wanted]
        return upto[-1] if upto else None

    def _ours(self, release: Release, kind: str, name: str) -> set[str]:
        """The actions of the network in that kind of image of the release; none where it is not in it."""
        network = self._networks[name]
        groups = {group.name for group in network.groups if group.image == kind}
        if release.name not in network.releases or not groups:
            return set()
        return {
            action.rpartition(".")[2]
            for action, group in network.actions(release.name).items()
            if group in groups
        }

    def _of_version(self, release: Release, kind: str, version: str) -> dict[str, set[str]]:
        """The networks of that release in that kind of image, but for those whose image is of another version."""
        found: dict[str, set[str]] = {}
        for name in self._networks:
            tag = self._tag(release, kind, name)
            actions = self._ours(release, kind, name) - {EVERYWHERE}
            is_other = tag is not None and not tag.startswith(f"{version}-")
            if (
                actions and not is_other and name != "model_agnostic"
            ):  # its actions are those of another network
                found[name] = actions
        return found

    def _elsewhere(self, release: Release, kind: str, version: str) -> set[str]:
        """Networks that this release runs in an image of another version, or whose training it does not have, such as
        those of TensorFlow in 7.x: the packages keep their code."""
        return {
            name
            for name, network in self._networks.items()
            if network.groups[0].image not in release.tags
            or ((tag := self._tag(release, kind, name)) is not None and not tag.startswith(f"{version}-"))
        }

    def _tag(self, release: Release, kind: str, task: str) -> str | None:
        own = [
            release.exceptions.get(task, {}).get(group.name)
            for group in (self._networks[task].groups if task in self._networks else ())
            if group.image == kind
        ]
        return next((tag for tag in own if tag is not None), release.tags.get(kind))

    def _tell(self, line: str) -> None:
        self.lines.setdefault(line)


def launcher_images(files: Files) -> Iterator[tuple[str, dict[str, dict[str, str]]]]:
    """The release and its images out of the launcher's ``config.json``. Source: nvidia-tao 4.0.1, 6.26.3."""
    is_one_file = any(name.startswith("nvidia_tao_cli/") for name in files.names)
    for name, _ in files.matching(r"(?:nvidia_tao_cli|tlt)/config/config\w*\.json"):
        body = json.loads(files.read(name))
        if name.endswith("config_deploy.json") and is_one_file:
            continue  # left over from 4.0
        groups = body.get("task_group", {"model": body}).values()
        found: dict[str, dict[str, str]] = {}
        for image, tags in (pair for group in groups for pair in group["dockers"].items()):
            beside = image.rpartition("/")[2].removeprefix("tao-toolkit")
            for tag, facts in tags.items():
                full = f"tao-toolkit{beside}:{tag}" if beside else tag
                kind = next((kind for kind in KINDS.values() if f"-{kind}" in full), "")
                found.setdefault(kind, {}).update(dict.fromkeys(facts["tasks"], full))
        found.pop("", None)
        yield body["toolkit_version"], found


def pinned_images(files: Files) -> tuple[str, dict[str, dict[str, str]]] | None:
    """The newest release whose public images ``versions.yaml`` of tao-skill-bank pins."""
    if "versions.yaml" not in files.names:
        return None
    kinds = {kind.replace("-", "_"): kind for kind in KINDS.values()}
    pinned = [
        (kinds[match[1]], match[4])
        for match in _PINNED.finditer(files.read("versions.yaml"))
        if match[1] in kinds and f"{match[2]}/{match[3]}" == _PUBLIC
    ]
    versions = [tag.partition("-")[0] for _, tag in pinned]
    if not versions:
        return None
    version = max(versions, key=parse_version)
    return version, {kind: {"*": tag} for kind, tag in pinned if tag.startswith(f"{version}-")}


def skill_actions(files: Files) -> Iterator[tuple[str, set[str]]]:
    """Networks of tao-skill-bank with the actions that it starts: ``dinov3 train -e {config_path}``."""
    for name, _ in files.matching(r"skills/models/[^/]+/references/skill_info\.yaml"):
        body = read_yaml(files.read(name)).value or {}
        commands = [str(facts.get("command", "")) for facts in (body.get("actions") or {}).values()]
        words = [re.match(r"(\w+) (\w+) -e \{", command) for command in commands]
        for task in {match[1] for match in words if match is not None}:
            yield task, {match[2] for match in words if match is not None and match[1] == task}


def sources_in(path: Path) -> Iterator[Path]:
    """The path itself, or the packages and archives of a folder that is no source itself."""
    is_checkout = path.is_dir() and any((path / name).exists() for name in ("setup.py", "versions.yaml"))
    if path.is_dir() and not is_checkout:
        yield from sorted(one for one in path.iterdir() if one.suffix in (".whl", ".zip"))
    else:
        yield path


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="compare the catalog with sources of TAO")
    parser.add_argument("sources", nargs="+", type=Path, metavar="SOURCE")
    parser.add_argument(
        "--facts", type=Path, help="write the commands and actions of the packages to this file"
    )
    options = parser.parse_args(arguments)
    comparison, packages = Comparison(), []
    images: dict[str, dict[str, dict[str, str]]] = {}
    for files in (Files.of(source) for given in options.sources for source in sources_in(given)):
        package, pinned = read_package(files), pinned_images(files)
        of_launcher = dict(launcher_images(files))
        if package is not None:
            packages.append(package)
            comparison.package(package)
        for version, tags in of_launcher.items():
            images[version] = tags
            comparison.images(version, tags)
        if pinned is not None:
            comparison.images(*pinned)
            for network, actions in skill_actions(files):
                comparison.actions_of(pinned[0], network, actions)
        if package is None and pinned is None and not of_launcher:
            print(f"{files.root}: nothing of TAO in it", file=sys.stderr)
    print("\n".join(comparison.lines) or "the catalog has what the sources have")
    if options.facts is not None:
        options.facts.write_text(facts_text(packages, images), encoding="utf-8")
    return 1 if comparison.lines else 0


def facts_text(packages: list[Package], images: Mapping[str, Mapping[str, Mapping[str, str]]]) -> str:
    """JSON with a line for each package (kind, version, task → actions) and each release (kind → tag → tasks)."""
    rows = [
        json.dumps(
            {"kind": one.kind, "version": one.version, "tasks": {**one.tasks, **_started_as_modules(one)}}
        )
        for one in sorted(packages, key=lambda one: (one.kind, parse_version(one.version)))
    ]
    tags = [
        f"{json.dumps(version)}: {json.dumps({kind: _by_tag(tasks) for kind, tasks in images[version].items()})}"
        for version in sorted(images, key=parse_version)
    ]
    return '{"packages": [\n' + ",\n".join(rows) + '\n], "images": {\n' + ",\n".join(tags) + "\n}}\n"


def _by_tag(tasks: Mapping[str, str]) -> dict[str, list[str]]:
    return {tag: sorted(task for task in tasks if tasks[task] == tag) for tag in sorted(set(tasks.values()))}


def _started_as_modules(package: Package) -> dict[str, list[str]]:
    return {name: actions for name, actions in package.modules.items() if name in network_names()}


if __name__ == "__main__":
    sys.exit(main())
