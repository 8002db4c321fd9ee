"""Tab completion, answered in a few milliseconds and never wrong loudly.

It does not go through Typer's command machinery (that imports a validator for each key press): static words come
from the table below, which a test compares with the app; names come by the cheapest way (folder names, the keys
under ``experiments:``). Any error gives no words. The scripts that shells load are Typer's own
(``taorunner --install-completion``); this answers their requests.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

_ACTION_OPTIONS: dict[str, str] = {
    "--backend": "backend", "--checkpoint": "file", "--detach": "", "-d": "", "--dry-run": "", "--gpu-indices": "any",
    "--join": "run", "--gpus": "any", "--grace": "any", "--help": "", "--image": "any", "--json": "",
    "--overwrite": "", "--parallel": "any", "--plain": "", "--project": "project", "-p": "project", "--release": "any",
    "--on-finish": "any", "--resume": "", "--retries": "any", "--set": "any", "--stop-on-nan": "",
    "--workspace": "folder",
}  # fmt: skip
_RESUME_OPTIONS = {
    flag: kind
    for flag, kind in _ACTION_OPTIONS.items()
    if flag not in ("--checkpoint", "--overwrite", "--resume")
}
_PLACE_OPTIONS: dict[str, str] = {
    "--help": "",
    "--project": "project",
    "-p": "project",
    "--workspace": "folder",
}
_BUILD_OPTIONS: dict[str, str] = {
    "--build-arg": "any", "--file": "file", "-f": "file", "--force": "", "--help": "", "--iidfile": "file",
    "--json": "", "--network": "any",
}  # fmt: skip
_RUN_OPTIONS: dict[str, str] = {"--help": "", "--workspace": "folder"}


class Command(NamedTuple):  # no dataclass: importing dataclasses takes as long as everything else here
    """``help`` as the app says it; ``options`` map a flag to the kind of its value, empty for a switch;
    ``words`` are the kinds of its positional words, the last one repeated."""

    help: str
    options: Mapping[str, str]
    words: tuple[str, ...] = ()


def _action(help_text: str) -> Command:
    return Command(help_text, _ACTION_OPTIONS, ("experiment",))


TABLE: dict[str, Command] = {
    "init-project": Command(
        "Make a project that validates.",
        {"--backbone": "any", "--dataset": "any", "--experiment": "any", "--from-launcher": "folder",
         "--from-tao-runner": "folder", "--head": "head", "--help": "", "--mounts-file": "file",
         "--workspace": "folder"}, ("any", "none"),
    ),
    "validate": Command(
        "Check everything that can be known without a GPU.",
        {"--help": "", "--json": "", "--project": "project", "-p": "project", "--strict": "", "--workspace": "folder"},
        ("project",),
    ),
    "schema": Command("Print the JSON Schema of experiments.yml.", {"--help": ""}, ("none",)),
    "networks show": Command(
        "Show what the catalog knows.", {"--help": "", "--json": "", "--release": "any"}, ("head", "none")
    ),
    "networks sync": Command(
        "Take from images what their specs may hold.", {**_RUN_OPTIONS, "--json": ""}, ("any",)
    ),
    "pretrained list": Command(
        "Show models, the versions of one, or the files of a version.",
        {"--help": "", "--json": "", "--offline": ""}, ("head", "none"),
    ),
    "pretrained pull": Command(
        "Fetch models, by default those that a project's experiments need.",
        {"--from": "folder", "--help": "", "--jobs": "any", "-j": "any", "--json": "", "--offline": "",
         "--plain": "", "--project": "project", "-p": "project", "--workspace": "folder"}, ("any",),
    ),
    "convert": _action("Convert the dataset (dataset_convert)."),
    "train": _action("Train."),
    "evaluate": _action("Evaluate a checkpoint."),
    "prune": _action("Prune a trained model."),
    "export": _action("Export a checkpoint."),
    "inference": _action("Run a checkpoint on pictures."),
    "resume": Command("Train on from the newest checkpoint.", _RESUME_OPTIONS, ("experiment",)),
    "run": Command("Run any other action of the network.", _ACTION_OPTIONS, ("action", "experiment")),
    "ps": Command("Show the runs that are not over.", {**_RUN_OPTIONS, "--json": ""}, ("none",)),
    "runs list": Command(
        "Show all runs, newest first.",
        {**_RUN_OPTIONS, "--json": "", "--limit": "any", "-n": "any", "--project": "project", "-p": "project"},
        ("none",),
    ),
    "runs show": Command("Show one run in full.", {**_RUN_OPTIONS, "--json": ""}, ("run",)),
    "runs mark-lost": Command(
        "End the record of a run that nobody can decide any more.", _RUN_OPTIONS, ("run", "none")
    ),
    "runs rm": Command("Remove records of runs that are over, never results.", _RUN_OPTIONS, ("run",)),
    "runs prune": Command(
        "Remove records of old runs: shows which, then with --yes.",
        {**_RUN_OPTIONS, "--json": "", "--keep": "any", "--older": "any", "--project": "project", "-p": "project",
         "--yes": "", "-y": ""},
        ("none",),
    ),
    "logs": Command(
        "Print the console log of a run.", {**_RUN_OPTIONS, "--follow": "", "-f": "", "--tail": "any", "-n": "any"},
        ("run", "none"),
    ),
    "attach": Command("Watch runs that are not over.", {**_RUN_OPTIONS, "--json": "", "--plain": ""}, ("run",)),
    "stop": Command("Stop runs.", {**_RUN_OPTIONS, "--all": "", "--queued": ""}, ("run",)),
    "dataset convert": Command(
        "Write a dataset as TAO reads it.",
        {**_PLACE_OPTIONS, "--from": "any", "--json": "", "--output": "folder", "-o": "folder", "--overwrite": "",
         "--skip-bad": "", "--to": "any"}, ("folder", "none"),
    ),
    "dataset check": Command(
        "Find what TAO would stumble over.",
        {**_PLACE_OPTIONS, "--deep": "", "--fix": "", "--full": "", "--json": "", "--output": "folder",
         "-o": "folder", "--overwrite": ""}, ("folder", "none"),
    ),
    "dataset split": Command(
        "Part a dataset into train, val and test.",
        {**_PLACE_OPTIONS, "--group": "any", "--json": "", "--output": "folder", "-o": "folder", "--overwrite": "",
         "--seed": "any", "--test": "any", "--val": "any"}, ("folder", "none"),
    ),
    "dataset resize": Command(
        "Bring all pictures to one size; boxes follow.",
        {**_PLACE_OPTIONS, "--json": "", "--letterbox": "", "--output": "folder", "-o": "folder", "--overwrite": "",
         "--processes": "any", "--size": "any"}, ("folder", "none"),
    ),
    "dataset stats": Command(
        "Count classes, boxes and sizes; draw samples.",
        {**_PLACE_OPTIONS, "--html": "file", "--json": "", "--overwrite": "", "--samples": "any"}, ("folder", "none"),
    ),
    "image ls": Command(
        "Show the images that experiments need.", {"--help": "", "--json": "", "--workspace": "folder"}, ("project",)
    ),
    "image pull": Command(
        "Fetch images, by default those that experiments need.",
        {**_PLACE_OPTIONS, "--force": "", "--json": "", "--parallel": "any", "--plain": ""}, ("any",),
    ),
    "image lock": Command(
        "Pin what each tag stands for in taorunner.lock.", {**_PLACE_OPTIONS, "--check": "", "--json": ""}, ("none",)
     ),
    "specs show": Command(
        "Print a spec as TAO will get it.",
        {**_PLACE_OPTIONS, "--json": "", "--release": "any", "--set": "any"}, ("experiment", "action", "none"),
    ),
    "specs diff": Command(
        "Compare the specs of two experiments, key by key.",
        {**_PLACE_OPTIONS, "--action": "action", "--all": "", "--exit-code": "", "--json": ""},
        ("experiment", "experiment", "none"),
    ),
    "specs explain": Command(
        "Tell what a key takes, since when, and what sets it.",
        {**_PLACE_OPTIONS, "--action": "action", "--experiment": "experiment", "-e": "experiment", "--head": "head",
         "--json": "", "--release": "any"}, ("any", "none"),
    ),
    "image build": Command(
        "Build an image from a Dockerfile.",
        {**_BUILD_OPTIONS, "--pull": "", "--tag": "any", "-t": "any", "--target": "any"}, ("folder", "none"),
    ),
    "image test": Command(
        "Run a command in an image (behind --), before it is pinned.",
        {"--gpus": "any", "--help": "", "--network": "any", "--user": "any"}, ("any", "none"),
    ),
    "image push": Command(
        "Put an image into a registry; tell its digest.",
        {"--help": "", "--json": "", "--manifest": "file", "--plain": "", "--repository": "any"}, ("any", "none"),
    ),
    "image release": Command(
        "Build a source tree's wheel and its release image.",
        {**_BUILD_OPTIONS, "--in": "any", "--python": "file", "--repository": "any", "--suffix": "any",
         "--version-file": "file"},
        ("folder", "none"),
    ),
    "quickstart": Command(
        "The whole way on the CPU: no GPU, no Docker.",
        {"--epochs": "any", "--help": "", "--images": "any", "--plain": ""}, ("folder", "none"),
    ),
    "doctor": Command(
        "Say whether this machine is fit, and how to mend it.",
        {**_PLACE_OPTIONS, "--json": "", "--offline": "", "--only": "any"}, ("none",),
     ),
    "shell": Command(
        "Open an interactive TAO container, workspace mounted.",
        {**_PLACE_OPTIONS, "--dry-run": "", "--env": "any", "--experiment": "experiment", "-e": "experiment",
         "--gpus": "any", "--group": "any", "--head": "head", "--image": "any", "--json": "", "--jupyter": "",
         "--mounts-file": "file", "--no-tty": "", "--port": "any", "--release": "any", "--run-as-user": "",
         "--shm-size": "any", "--source": "folder", "--tag": "any", "--ulimit": "any", "--volume": "any"}, ("none",),
    ),
}  # fmt: skip

ROOT_OPTIONS: dict[str, str] = {
    "--help": "", "--install-completion": "", "--project": "project", "-p": "project", "--show-completion": "",
    "--version": "", "--workspace": "folder",
}  # fmt: skip
GROUPS: dict[str, str] = {
    "dataset": "Make datasets ready to train.",
    "image": "Container images, pinned by digest.",
    "networks": "Show what the catalog knows; ask images.",
    "pretrained": "Find and fetch pretrained models.",
    "runs": "Look at what ran.",
    "specs": "Look at specs as TAO reads them.",
}
DEFAULTS: dict[str, str] = {"networks": "networks show"}
"""Groups that are a command too: its words and options may follow the group's name."""


def answer(shell: str, environ: Mapping[str, str]) -> int:
    """Prints the completions that a shell asked for; returns the exit code it expects. Never raises."""
    try:
        args, incomplete = _request(shell, environ)
        found = complete(args, incomplete, environ)
    except Exception:  # a key press must never show an error
        found = []
    if shell == "fish" and environ.get("_TYPER_COMPLETE_FISH_ACTION") == "is-args":
        return 0 if found else 1
    text = _FORMATS.get(shell, _plain)(found)
    if text:
        print(text)
    return 0


def complete(args: list[str], incomplete: str, environ: Mapping[str, str]) -> list[tuple[str, str]]:
    """``(word, help)`` for what may stand where ``incomplete`` stands, after ``args`` (without the program)."""
    if "--" in args:
        return []
    name, command, words, pending = _read(args)
    context = _Context(args, name, words, environ)
    if pending is not None:
        return _starting(context.values(pending), incomplete)
    if "=" in incomplete and incomplete.startswith("--"):
        flag, _, value = incomplete.partition("=")
        kind = _options(name, command).get(flag, "any")
        return [(f"{flag}={word}", text) for word, text in _starting(context.values(kind), value)]
    if incomplete.startswith("-"):
        options = _options(name, command)
        return _starting(((flag, "") for flag in sorted(options)), incomplete)
    if command is None:
        found = _starting(_subcommands(name), incomplete)
        default = TABLE[DEFAULTS[name]] if name in DEFAULTS else None
        return [*found, *_starting(context.values(default.words[0]), incomplete)] if default else found
    if not command.words:
        return []
    kind = command.words[min(len(words), len(command.words) - 1)]
    taken = set(words) if kind in ("experiment", "project", "run") else set()
    return [item for item in _starting(context.values(kind), incomplete) if item[0] not in taken]


def _options(name: str, command: Command | None) -> Mapping[str, str]:
    if command is None and name in DEFAULTS:
        command = TABLE[DEFAULTS[name]]
    return command.options if command else ROOT_OPTIONS


def _subcommands(name: str) -> list[tuple[str, str]]:
    if name:
        return [
            (key.split()[1], command.help) for key, command in TABLE.items() if key.startswith(name + " ")
        ]
    plain = [(key, command.help) for key, command in TABLE.items() if " " not in key]
    return plain + list(GROUPS.items())


def _read(args: list[str]) -> tuple[str, Command | None, list[str], str | None]:
    """The command's name, the command, its positional words, and the kind of value that the last flag waits for."""
    name, command = "", None
    words: list[str] = []
    pending: str | None = None
    for arg in args:
        if pending is not None:
            pending = None
        elif arg.startswith("-") and arg != "-":
            options = _options(name, command)
            pending = None if "=" in arg else (options.get(arg) or None)
        elif command is None:
            group, name = name, f"{name} {arg}".strip()
            command = TABLE.get(name)
            if command is None and group in DEFAULTS:
                name, command = DEFAULTS[group], TABLE[DEFAULTS[group]]
                words.append(arg)
            elif command is None and name not in GROUPS:
                return name, Command("", {}), [], None
        else:
            words.append(arg)
    return name, command, words, pending


class _Context(NamedTuple):
    args: list[str]
    command: str
    words: list[str]
    environ: Mapping[str, str]

    def values(self, kind: str) -> Iterable[tuple[str, str]]:
        if kind == "backend":
            return [("docker", ""), ("local", ""), ("embedded", "")]
        names = _NAMES.get(kind)
        return [(name, "") for name in names(self)] if names is not None else []

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


def _projects(context: _Context) -> list[str]:
    root = context.root()
    return _folders(root / "projects") if root else []


def _experiments(context: _Context) -> list[str]:
    root = context.root()
    project = context.project(root) if root else None
    if project is None:
        return []
    with (project / "experiments.yml").open(encoding="utf-8", errors="replace") as file:
        return _experiment_keys(file.read(4 * 1024 * 1024))


def _experiment_keys(text: str) -> list[str]:
    """The keys right below ``experiments:``, found by their indentation."""
    match = re.search(r"^experiments:[ \t]*(?:#.*)?$", text, re.MULTILINE)
    if match is None:
        return []
    names: list[str] = []
    indent: str | None = None
    for line in text[match.end() :].splitlines():
        key = re.match(r"([ \t]*)([\"']?)([A-Za-z0-9][A-Za-z0-9._-]*)\2[ \t]*:(?:[ \t]|$)", line)
        if line.strip() and not line.lstrip().startswith("#") and not line[0].isspace():
            break
        if key is None:
            continue
        indent = key[1] if indent is None else indent
        if key[1] == indent:
            names.append(key[3])
    return names


def _heads(context: _Context) -> list[str]:
    from taorunner.catalog.names import network_names, own_network_names

    root = context.root()
    own = own_network_names(str(root / "networks")) if root else ()
    return sorted({*network_names(), *own})


def _actions(_context: _Context) -> list[str]:
    """Every action that some network has."""
    found: set[str] = set()
    folder = Path(__file__).parent.parent / "catalog" / "data"
    for file in folder.rglob("*.yml"):
        text = file.read_text(encoding="utf-8")
        for block in re.finditer(
            r"^( *)actions:[ \t]*\n((?:\1 +.*\n|[ \t]*\n|[ \t]*#.*\n)+)", text, re.MULTILINE
        ):
            lines = block[2].splitlines()
            depths = [
                len(line) - len(line.lstrip()) for line in lines if line.strip() and line.lstrip()[0] != "#"
            ]
            if depths:
                pattern = re.compile(rf" {{{min(depths)}}}([a-z][a-z_]*):")
                found.update(match[1] for line in lines if (match := pattern.match(line)))
    return sorted(found)


def _runs(context: _Context) -> list[str]:
    root = context.root()
    return sorted(_folders(root / ".taorunner" / "runs"), reverse=True)[:200] if root else []


def _folders(path: Path) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return sorted(
                entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()
            )
    except OSError:
        return []


_NAMES: dict[str, Callable[[_Context], list[str]]] = {
    "project": _projects, "experiment": _experiments, "head": _heads, "action": _actions, "run": _runs,
}  # fmt: skip


def _starting(items: Iterable[tuple[str, str]], incomplete: str) -> list[tuple[str, str]]:
    return [item for item in items if item[0].startswith(incomplete)]


def _request(shell: str, environ: Mapping[str, str]) -> tuple[list[str], str]:
    """The words before the cursor without the program's name, and the unfinished one."""
    if shell == "bash":
        words = _split(environ.get("COMP_WORDS", ""))
        at = int(environ.get("COMP_CWORD", "0"))
        return words[1:at], words[at] if at < len(words) else ""
    line = environ.get("_TYPER_COMPLETE_ARGS", "")
    words = _split(line)[1:]
    if shell in ("powershell", "pwsh"):
        incomplete = environ.get("_TYPER_COMPLETE_WORD_TO_COMPLETE", "")
        return (words[:-1] if incomplete and words else words), incomplete
    if words and not line.endswith(" "):
        return words[:-1], words[-1]
    return words, ""


def _split(line: str) -> list[str]:
    """Shell words; an unfinished quote ends at the end of the line."""
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    words: list[str] = []
    try:
        words.extend(lexer)
    except ValueError:
        words.append(lexer.token)
    return words


def _plain(found: list[tuple[str, str]]) -> str:
    return "\n".join(word for word, _ in found)


def _zsh(found: list[tuple[str, str]]) -> str:
    if not found:
        return "_files"
    lines = [
        f'"{_zsh_word(word)}":"{_zsh_word(text)}"' if text else f'"{_zsh_word(word)}"' for word, text in found
    ]
    return "_arguments '*: :((" + "\n".join(lines) + "))'"


def _zsh_word(text: str) -> str:
    for old, new in (('"', '""'), ("'", "''"), ("$", "\\$"), ("`", "\\`"), (":", "\\\\:")):
        text = text.replace(old, new)
    return text


def _fish(found: list[tuple[str, str]]) -> str:
    return "\n".join(f"{word}\t{text}" if text else word for word, text in found)


def _powershell(found: list[tuple[str, str]]) -> str:
    return "\n".join(f"{word}:::{text or ' '}" for word, text in found)


_FORMATS: dict[str, Callable[[list[tuple[str, str]]], str]] = {
    "bash": _plain, "zsh": _zsh, "fish": _fish, "powershell": _powershell, "pwsh": _powershell,
}  # fmt: skip
