"""The names that complete a word: projects, experiments, runs, actions, keys of specs, files.

They are found in the cheapest way: names of folders, the keys under ``experiments:``, and ``network_words.txt``,
generated from the catalog. No YAML is parsed and nothing of the catalog is loaded.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from taorunner.contained_files import walk

TYPE_CHECKING = False  # importing typing would take a tenth of the time of an answer
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

_MOST_RUNS = 200
_MOST_FILES = 5000
"""Files of an experiment that are looked at."""
_MOST_TEXT = 4 * 1024 * 1024
"""Characters of experiments.yml that are read."""
_MOST_PROJECTS = 100
_LISTS = ("actions", "check", "state")
"""Kinds of which a word may have several, with commas."""
_OF_COMMAND = {"convert": "dataset_convert"}


class Line:
    """A command line: its words before the incomplete one (``args``), the variables of the shell, the name of the
    command and its positional ``words``. It lives for one answer, and reads each file once."""

    def __init__(
        self, args: list[str], environ: Mapping[str, str], command: str, words: Sequence[str]
    ) -> None:
        self.args = args
        self.environ = environ
        self.command = command
        self.words = words
        self._experiments: dict[str, dict[str, str]] = {}
        self._tables: dict[str, dict[str, list[str]]] | None = None

    def option(self, *flags: str) -> str | None:
        for at, arg in enumerate(self.args):
            if arg in flags and at + 1 < len(self.args):
                return self.args[at + 1]
            for flag in flags:
                if arg.startswith(flag + "="):
                    return arg[len(flag) + 1 :]
        return None

    def root(self) -> Path | None:
        given = self.option("--workspace") or self.environ.get("TAORUNNER_WORKSPACE")
        if given:
            return Path(given).expanduser()
        here = Path.cwd()
        for folder in (here, *here.parents):
            if (folder / "projects").is_dir() or (folder / ".taorunner").is_dir():
                return folder
        return None

    def project(self, root: Path) -> Path | None:
        projects = root / "projects"
        given = self.option("-p", "--project")
        if given is None:
            try:
                given = Path.cwd().relative_to(projects).parts[0]
            except (ValueError, IndexError):
                given = self.environ.get("TAORUNNER_PROJECT")
        if given:
            return projects / given if "/" not in given else None
        names = _folders(projects)
        return projects / names[0] if len(names) == 1 else None

    def experiments(self, project: Path | None) -> dict[str, str]:
        """Name to network of the experiments of a project; the network is empty where it is not known."""
        if project is None:
            return {}
        if project.name not in self._experiments:
            try:
                with (project / "experiments.yml").open(encoding="utf-8", errors="replace") as file:
                    found = experiment_heads(file.read(_MOST_TEXT))
            except OSError:
                found = {}
            self._experiments[project.name] = found
        return self._experiments[project.name]

    def named(self) -> list[tuple[Path, str]]:
        """The experiments that the line names, ``PROJECT/EXPERIMENT`` too, each with its project, in their order."""
        root = self.root()
        own = self.project(root) if root else None
        found: list[tuple[Path, str]] = []
        for word in (self.option("-e", "--experiment") or "", self.option("--like") or "", *self.words):
            where, slash, name = word.rpartition("/")
            project = root / "projects" / where if root and slash and "/" not in where else own
            if project is not None and name in self.experiments(project):
                found.append((project, name))
        return found

    def networks(self) -> list[str]:
        """The networks that the line is about: of ``--head`` or ``--for``, of the named experiments, or of all
        experiments of the project."""
        given = self.option("--head", "--for")
        if given:
            return [given]
        heads = [self.experiments(project)[one] for project, one in self.named()]
        root = self.root()
        heads = heads or list(self.experiments(self.project(root) if root else None).values())
        return list(dict.fromkeys(head for head in heads if head))

    def table(self, kind: str) -> dict[str, list[str]]:
        """The rows of one kind of ``network_words.txt``; those that concern no network have the name ``*``."""
        if self._tables is None:
            self._tables = _network_words()
        return self._tables.get(kind, {})

    def action(self) -> str:
        """The action of the command: ``run ACTION`` names it."""
        if self.command in ("run", "specs show"):
            at = 0 if self.command == "run" else 1
            return self.words[at] if len(self.words) > at else "train"
        return _OF_COMMAND.get(self.command, self.command)


def values(line: Line, kind: str, incomplete: str) -> Iterable[tuple[str, str]]:
    """The words of a kind, with a text where there is one. Those that do not fit ``incomplete`` may be among them."""
    if kind == "backend":
        from taorunner.target_names import target_names

        return [(name, "") for name in target_names()]
    if kind in ("run", "live"):
        return _runs(line, incomplete, only_live=kind == "live")
    if kind == "experiment":
        return _experiments(line, incomplete)
    if kind in _LISTS:
        before, comma, _ = incomplete.rpartition(",")
        given = before.split(",")
        return [(before + comma + name, "") for name in _NAMES[kind](line) if name not in given]
    if kind in ("dataset", "checkpoint") and ("/" in incomplete or incomplete.startswith((".", "~"))):
        return []  # a path: the shell completes it
    names = _NAMES.get(kind)
    return [(name, "") for name in names(line)] if names is not None else []


def _projects(line: Line) -> list[str]:
    root = line.root()
    return _folders(root / "projects") if root else []


def _experiments(line: Line, incomplete: str) -> list[tuple[str, str]]:
    """Of the project of the line, of the one before the slash, or of every project where none is meant yet. For
    ``run ACTION`` only those whose network has the action."""
    root = line.root()
    if root is None:
        return []
    where, slash, _ = incomplete.rpartition("/")
    own = None if slash else line.project(root)
    names = [where] if slash else _folders(root / "projects")[:_MOST_PROJECTS]
    found: list[tuple[str, str]] = []
    for project in [own] if own is not None else [root / "projects" / name for name in names]:
        start = "" if own is not None else f"{project.name}/"
        for name, head in line.experiments(project).items():
            if line.command != "run" or not line.words or line.words[0] in _actions_of(line, [head]):
                found.append((start + name, ""))
    return found


def experiment_heads(text: str) -> dict[str, str]:
    """Name to network of the entries directly below ``experiments:``, found by their indentation. An entry without a
    network has that of the one it extends."""
    match = re.search(r"^experiments:[ \t]*(?:#.*)?$", text, re.MULTILINE)
    if match is None:
        return {}
    heads: dict[str, str] = {}
    bases: dict[str, str] = {}
    name, indent = "", None
    for line in text[match.end() :].splitlines():
        if line.strip() and not line.lstrip().startswith("#") and not line[0].isspace():
            break
        key = re.match(r"([ \t]*)([\"']?)([A-Za-z0-9][A-Za-z0-9._-]*)\2[ \t]*:(?:[ \t]|$)", line)
        if key is not None and (indent is None or key[1] == indent):
            indent, name = key[1], key[3]
            heads[name] = ""
        for word, found in (("head", heads), ("extends", bases)):
            if word in line and (
                value := re.search(rf"\b{word}[\"']?[ \t]*:[ \t]*[\"']?([A-Za-z0-9._-]+)", line)
            ):
                found.setdefault(name, "")
                found[name] = found[name] or value[1]
    for one in heads:
        base = bases.get(one, "")
        for _ in bases:
            if heads[one] or not base:
                break
            heads[one], base = heads.get(base, ""), bases.get(base, "")
    return heads


def _clusters(line: Line) -> list[str]:
    from taorunner.cli.fast.cluster_names import cluster_names

    return cluster_names(line.root(), line.environ)


def _heads(line: Line) -> list[str]:
    from taorunner.catalog.names import network_names, own_network_names

    root = line.root()
    own = own_network_names(str(root / "networks")) if root else ()
    return sorted({*network_names(), *own})


def _backbones(line: Line) -> list[str]:
    """Of the network of ``--head``, or of the experiment of ``--like``."""
    if line.option("--head") is None and line.option("--like") is None:
        return []
    return sorted({word for head in line.networks() for word in line.table("backbones").get(head, ())})


def _releases(line: Line) -> list[str]:
    """Of the networks of the line, newest first; all that there are where it names none."""
    known = line.table("releases")
    found = {word for head in line.networks() for word in known.get(head, ())}
    found = found or {word for words in known.values() for word in words}
    return sorted(
        found, key=lambda name: [int(part) for part in name.split(".") if part.isdigit()], reverse=True
    )


def _actions(line: Line) -> list[str]:
    """Of the networks of the project's experiments; every action where there is none."""
    found = sorted({word for head in line.networks() for word in _actions_of(line, [head])})
    return found or _every_action(line.table("actions"))


def _actions_of(line: Line, heads: Sequence[str]) -> list[str]:
    """All actions for a network that is not known here."""
    known = line.table("actions")
    found: list[str] = []
    for head in heads:
        found += known.get(head) or _own_actions(line, head) or _every_action(known)
    return found


def _own_actions(line: Line, head: str) -> list[str]:
    """Those that a network file of the workspace names."""
    root = line.root()
    try:
        text = (root / "networks" / f"{head}.yml").read_text(encoding="utf-8") if root and head else ""
    except OSError:
        return []
    block = re.search(r"^( *)actions:[ \t]*\n((?:\1 +.*\n|[ \t]*\n|[ \t]*#.*\n)+)", text, re.MULTILINE)
    if block is None:
        return []
    lines = [one for one in block[2].splitlines() if one.strip() and one.lstrip()[0] != "#"]
    depth = min(len(one) - len(one.lstrip()) for one in lines)
    return [match[1] for one in lines if (match := re.match(rf" {{{depth}}}([a-z][a-z_]*):", one))]


def action_names() -> list[str]:
    """Every action of any network."""
    return _every_action(_network_words()["actions"])


def _every_action(actions: Mapping[str, Sequence[str]]) -> list[str]:
    return sorted({word for words in actions.values() for word in words})


def _words(kind: str) -> Callable[[Line], list[str]]:
    return lambda line: line.table(kind)["*"]


def _network_words() -> dict[str, dict[str, list[str]]]:
    """The rows of ``network_words.txt`` by kind and network."""
    tables: dict[str, dict[str, list[str]]] = {}
    with Path(__file__).with_name("network_words.txt").open(encoding="utf-8") as file:
        for row in file:
            if not row.startswith("#"):
                kind, name, *words = row.split()
                tables.setdefault(kind, {})[name] = words
    return tables


def _datasets(line: Line) -> list[str]:
    root = line.root()
    project = line.project(root) if root else None
    return _folders(project / "data") if project is not None else []


def _keys(line: Line) -> list[str]:
    """The keys of the spec that the action reads, for the networks of the line, as its newest release has them."""
    import json

    folder = Path(__file__).parents[2] / "specs" / "schemas"
    found: set[str] = set()
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    for head in line.networks()[:1]:
        names = (f"{head}.{line.action()}", head)
        name = next(
            (
                index["same_as"].get(one, one)
                for one in names
                if one in {*index["same_as"], *index["schemas"]}
            ),
            None,
        )
        if name is None:
            continue
        body = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        found.update(_leaves(body["sections"], list(body["releases"].values())[-1], "", ()))
    return sorted(found)


def _leaves(
    sections: Sequence[Mapping[str, dict[str, int]]], at: int, above: str, inside: tuple[int, ...]
) -> Iterator[str]:
    for name, facts in sections[at].items():
        inner = facts.get("section")
        if inner is None:
            yield above + name
        elif inner not in inside and "many" not in facts:
            yield from _leaves(sections, inner, f"{above}{name}.", (*inside, inner))


def _checkpoints(line: Line) -> list[str]:
    """``best``, ``latest`` and the files of weights below the results of the named experiments."""
    found: list[str] = []
    endings = tuple(line.table("weights")["*"])
    for project, experiment in line.named():
        looked = 0
        for _folder, _inner, files in walk(project / "models" / experiment):
            looked += len(files)
            found += [name for name in files if name.endswith(endings)]
            if looked > _MOST_FILES:
                break
    return ["best", "latest", *sorted(set(found))]


def _runs(line: Line, incomplete: str, *, only_live: bool) -> list[tuple[str, str]]:
    """Ids, newest first. What begins none of them may begin a short id (the last six characters) or the name of an
    experiment."""
    root = line.root()
    if root is None:
        return []
    from taorunner.planning.model.run_ids import newest_first

    ids = newest_first(
        _live_runs(root / ".taorunner") if only_live else _folders(root / ".taorunner" / "runs")
    )
    found = [one for one in ids if one.startswith(incomplete)]
    if not found:
        from taorunner.runs.state.lookup.short_ids import LENGTH

        found = [one[-LENGTH:] for one in ids if one[-LENGTH:].startswith(incomplete)]
    if not found:
        found = [one for one in dict.fromkeys("-".join(one.split("-")[2:-2]) for one in ids) if one]
    return [(one, "") for one in found[:_MOST_RUNS]]


def _live_runs(state: Path) -> Iterator[str]:
    """Runs of the batches under way that have not ended."""
    for batch in os.listdir(state / "open"):
        text = (state / "open" / batch).read_text(encoding="utf-8", errors="replace")
        for run in re.findall(r'"([A-Za-z0-9][A-Za-z0-9._-]*)"', text):
            try:
                with (state / "runs" / run / "record.json").open(encoding="utf-8", errors="replace") as file:
                    record = file.read(64 * 1024)
            except OSError:
                continue
            if re.search(r'"state": ?"(QUEUED|WAITING|STARTING|RUNNING)"', record):
                yield run


def _folders(path: Path) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return sorted(
                entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()
            )
    except OSError:
        return []


_NAMES: dict[str, Callable[[Line], list[str]]] = {
    "project": _projects, "head": _heads, "backbone": _backbones, "action": _actions,
    "release": _releases, "dataset": _datasets, "format": _words("formats"), "target": _words("targets"),
    "model": _words("models"), "group": _words("groups"), "shape": _words("shapes"), "check": _words("checks"),
    "code": _words("codes"), "topic": _words("topics"),
    "state": _words("states"), "cluster": _clusters,
    "actions": _actions, "gpus": lambda _: ["all", "0", "1"], "gpu_ids": lambda _: ["auto"],
    "kept": lambda _: ["last:1", "last:3", "best:1", "best:3"], "host_network": lambda _: ["none", "host", "bridge"],
    "key": _keys, "checkpoint": _checkpoints,
    "head or model": lambda line: [*_heads(line), *line.table("models")["*"]],
}  # fmt: skip
