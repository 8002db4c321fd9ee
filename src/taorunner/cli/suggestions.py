"""What a person means who types a command of another program, or of TAO's own launcher, and how it is said here."""

from __future__ import annotations

import os
import shlex
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from taorunner.cli.original_tool import original_command, original_option, project_first
from taorunner.console.base.typed_commands import project_option
from taorunner.errors import TaorunnerError
from taorunner.planning.model.request import COMMANDS, command_of

OTHER_WORDS = {
    "top": "ps", "status": "ps", "stats": "ps", "container": "ps", "jobs": "ps",
    "list": "runs list", "ls": "runs list", "history": "runs list", "results": "runs list",
    "inspect": "runs show",
    "compare": "runs compare", "best": "runs best", "repeat": "rerun", "reproduce": "rerun", "lineage": "runs lineage",
    "show": "runs show", "rm": "runs rm", "delete": "runs rm", "log": "logs", "tail": "logs", "kill": "stop",
    "cancel": "stop", "abort": "stop", "watch": "attach", "start": "train", "fit": "train", "retrain": "train",
    "restart": "resume", "init": "init-project", "new": "init-project", "create": "init-project",
    "check": "validate", "lint": "validate", "exec": "shell", "bash": "shell", "sh": "shell", "images": "image ls",
    "pull": "image pull", "push": "image push", "build": "image build", "models": "pretrained list",
    "weights": "pretrained list", "download": "pretrained pull", "diff": "specs diff", "spec": "specs show",
    "dataset_convert": "convert", "dataset-convert": "convert", "infer": "inference", "predict": "inference",
    "split": "dataset split", "resize": "dataset resize",
    "eval": "evaluate", "test": "evaluate", "val": "evaluate", "info": "networks", "tasks": "networks",
    "heads": "networks", "setup": "doctor", "install": "doctor", "demo": "quickstart", "tutorial": "quickstart",
    "tao_pt": "shell", "converter": "run gen_trt_engine", "tlt_train": "train", "tlt_evaluate": "evaluate",
    "tlt_infer": "inference", "tlt_export": "export", "tlt_prune": "prune", "tlt_dataset_convert": "convert",
    "tao_converter": "run gen_trt_engine", "get": "runs list", "pods": "ps", "describe": "runs show", "apply": "train",
    "submit": "train", "launch": "train", "sbatch": "train", "squeue": "ps", "scancel": "stop",
}  # fmt: skip
"""Command names of other programs, and the command here. Those of TAO's own tools are those of TLT 3 and TAO 3."""

OTHER_COMMANDS = {
    "login": "docker login nvcr.io for images; taorunner doctor shows which keys are missing and where to put them",
    "logout": "docker logout nvcr.io", "version": "taorunner --version",
    "experiments": "taorunner projects PROJECT lists them",
    "completion": "taorunner --install-completion", "update": "pip install --upgrade taorunner",
    "upgrade": "pip install --upgrade taorunner",
    "setup_venv": "taorunner doctor checks this machine; the environment is made by pip install taorunner",
    "envsetup": "taorunner doctor checks this machine",
    "download_pretrained_models": "taorunner pretrained pull",
    "resize_dataset": "taorunner dataset resize DATASET --size 960x544",
    "plot_metrics": "taorunner runs show EXPERIMENT",
    "start_jupyter": "taorunner shell --jupyter",
}  # fmt: skip
"""Other words, and a whole line. Scripts of the original tool are named without their ending."""

_LAUNCHER_WORDS = ("tao", "tlt", "model", "deploy", "dataset", "data_services", "tao_deploy")
_DROPPED = frozenset({
    "-e", "--experiment_spec_file", "--experiment_spec", "-r", "--results_dir", "-k", "--key", "--encryption_key", "-d",
    "--dataset_export_spec", "-o", "--output_file", "--output_filename", "-n", "--model_name", "--log_file",
})  # fmt: skip
"""Options of TAO with a value that belongs to the experiment here: spec, results folder, key, names of outputs."""
_GPU_IDS = "--gpu-indices"
_RENAMED = {
    "--gpu_index": _GPU_IDS, "--gpu_indices": _GPU_IDS, "--gpu_ids": _GPU_IDS,
    "--num_gpus": "--gpus", "--gpus": "--gpus", "-g": "--gpus", "-m": "--checkpoint", "--model": "--checkpoint",
    "--model_path": "--checkpoint", "--num_nodes": "--nodes",
}  # fmt: skip
_TAO_OPTIONS = frozenset({*_DROPPED, *_RENAMED, "--use_amp"}) - {"-d", "-n", "-m", "--gpus"}
_COMES_WITH_IT = "; spec, results and key come from the experiment"


def suggested_command(words: Sequence[str], commands: Collection[str]) -> str | None:
    """The hint for a command line that begins with a word that is no command here. None where nothing is known.

    ``commands`` are the names of the commands here.
    """
    word, rest = words[0], list(words[1:])
    if word == "help":
        named = [one for one in rest if not one.startswith("-")]
        if not named or named[0] in commands:
            return " ".join(["taorunner", *_command_in(named), "--help"])
        return suggested_command(named[:1], commands) or "taorunner --help"
    plain = _plain(word)
    if (original := original_command(word, rest)) is not None:
        return original
    if plain in OTHER_COMMANDS:
        return OTHER_COMMANDS[plain]
    group = plain if plain in _LAUNCHER_WORDS else None
    after = list(rest)
    while group is not None and after and _plain(after[0]) in _LAUNCHER_WORDS:
        group = _plain(after.pop(0))
    network = _network(after[0] if group is not None and after else word)
    if network is not None:
        return _of_network(
            network, after[1:] if group is not None else rest, is_deploy=group in ("deploy", "tao_deploy")
        )
    if group is not None and after:
        return suggested_command(after, commands) or _same_command(after, commands)
    for name in (word, plain):
        if name in OTHER_WORDS:
            other = OTHER_WORDS[name]
            if other in COMMANDS and rest and (found := _experiment(None, rest[:1])) is not None:
                return f"taorunner {found[0]}{other} {' '.join(map(shlex.quote, rest))}"
            return f'did you mean "{other}"?'
    return _of_action(word, rest) or _of_experiment(word)


def suggested_option(command: str, words: Sequence[str], option: str) -> str | None:
    """The hint for an option of TAO or of docker that ``command`` does not have; ``words`` follow the command."""
    flag = option.partition("=")[0]
    if (original := original_option(command, words, flag)) is not None:
        return original
    if command == "shell":
        found = {"-v": "--volume", "--gpu": "--gpus", "-p": "--port"}.get(flag)
        if flag in ("-i", "-t", "--rm"):
            return "leave it out: the shell has a terminal and is removed at its end"
        return f'did you mean "{found}"?' if found is not None else None
    if command == "runs" and words[:1] == ["prune"] and flag in ("--dry-run", "-n"):
        return "leave it out: without --yes it only shows what it would remove"
    action, rest = command, list(words)
    if command == "run":
        places = [at for at, word in enumerate(rest) if not word.startswith("-")]
        if not places:
            return None
        action = rest.pop(places[0])
    if (command == "run" or command in COMMANDS) and flag in (*_TAO_OPTIONS, "-m", "-d", "-n"):
        return translated(action, rest, None)
    return None


def translated(action: str, rest: Sequence[str], network: str | None) -> str:
    """The command line here for an action and what follows it in TAO's own: options of TAO become those here or are
    left out, settings become ``--set``, and what is not known goes to TAO after ``--``. The experiment is the first one
    of ``network`` in the workspace; without a network, the one that is named, else the first one."""
    named, options, passed, is_shorter = _parts(rest)
    named = [] if network is not None else named
    project, named = project_first(named)
    found = _experiment(network, named, action) if project is None else (f"-p {project} ", " ".join(named))
    where, experiment = found if found is not None else ("", " ".join(named) or "EXPERIMENT")
    words = [
        f"taorunner {where}{command_of(action)} {experiment}",
        *options,
        *(["--", *passed] if passed else []),
    ]
    return " ".join(words) + (_COMES_WITH_IT if is_shorter else "")


def _parts(rest: Sequence[str]) -> tuple[list[str], list[str], list[str], bool]:
    """Names, options of taorunner, words for TAO, and whether something was left out."""
    named: list[str] = []
    options: list[str] = []
    passed: list[str] = []
    is_shorter = False
    words = iter(_with_one_value(_split(rest)))
    for word in words:
        if word in _DROPPED:
            next(words, None)
            is_shorter = True
        elif word in _RENAMED:
            options += [_RENAMED[word], shlex.quote(next(words, "1"))]
        elif "=" in word and not word.startswith("-"):
            options += ["--set", shlex.quote(word)]
        elif word.startswith("-") or (passed and _is_value(passed[-1], word)):
            passed.append(shlex.quote(word))
        else:
            named.append(shlex.quote(word))
    if _GPU_IDS in options and "--gpus" in options:  # their number, which the ids say
        at = options.index("--gpus")
        del options[at : at + 2]
    return named, options, passed, is_shorter


def _with_one_value(words: Iterable[str]) -> Iterator[str]:
    """``--gpu_index 0 1`` has one value here: ``0,1``."""
    ids: list[str] = []
    option = ""
    for word in words:
        if _RENAMED.get(option) == _GPU_IDS and word.isdecimal():
            ids.append(word)
            continue
        if ids:
            yield ",".join(ids)
            ids = []
        option = word
        yield word
    if ids:
        yield ",".join(ids)


def _split(words: Sequence[str]) -> Iterator[str]:
    """``--gpus=2`` is two words."""
    for word in words:
        name, equals, value = word.partition("=")
        yield from (name, value) if equals and name in (*_DROPPED, *_RENAMED) else (word,)


def _is_value(option: str, word: str) -> bool:
    """Whether ``word`` can be the value of an option that is not known: a number or a path."""
    return option.startswith("-") and ("/" in word or word.replace(".", "", 1).isdigit())


def _of_network(network: str, rest: Sequence[str], *, is_deploy: bool) -> str:
    """``detectnet_v2 train -e spec``: TAO's launcher names the network first."""
    actions = [at for at, word in enumerate(rest) if not word.startswith("-")]
    if not actions or actions[0] != 0:
        return f"taorunner networks {network}"
    action, after = rest[0], rest[1:]
    known = _actions(network)
    if is_deploy and f"deploy.{action}" in known:
        action = f"deploy.{action}"
    if action not in (*known, "convert", "dataset_convert"):
        from taorunner.text import nearest

        close = nearest(action, known)
        if close is None:
            return f"taorunner networks {network} lists its actions"
        action = close
    if _experiment(network, []) is None:
        spec = next((Path(value) for flag, value in pairwise(after) if flag == "-e"), None)
        if spec is not None and spec.is_file():
            return f"taorunner init-project my_project --from-launcher {shlex.quote(str(spec.parent))}"
        return f"taorunner init-project my_project --head {network}"
    return translated(action, after, network)


def _of_action(word: str, rest: Sequence[str]) -> str | None:
    from taorunner.cli.fast.names import action_names

    if word not in action_names() and not (word.startswith("deploy.") and word[7:] in action_names()):
        return None
    if rest and not any(one in _TAO_OPTIONS for one in rest):
        found = _experiment(None, rest[:1])
        return f"taorunner {found[0] if found else ''}run {word} {' '.join(map(shlex.quote, rest))}"
    return translated(word, rest, None)


def _of_experiment(word: str) -> str | None:
    """The training of the experiment that was typed without a command."""
    found = _experiment(None, [word]) if is_experiment(word) else None
    return f"taorunner {found[0]}train {shlex.quote(word)}" if found is not None else None


def is_experiment(word: str) -> bool:
    from taorunner.cli.which_project import owners_of
    from taorunner.project.workspace import find_workspace

    try:
        return bool(owners_of(find_workspace(Path.cwd(), None, os.environ), [word]))
    except TaorunnerError:
        return False


def swapped(words: Sequence[str]) -> str | None:
    """The hint for ``run EXPERIMENT ACTION``, or for that without an action; None where the first word is an action or
    no experiment."""
    from taorunner.cli.fast.names import action_names

    known = action_names()
    if words[0] in known or not {*words[1:2]} <= {*known} or not is_experiment(words[0]):
        return None
    found = _experiment(None, [words[0]])
    where = found[0] if found is not None else ""
    if len(words) == 1:
        return f"taorunner {where}run ACTION {shlex.quote(words[0])}"
    return f"taorunner {where}run {' '.join(map(shlex.quote, [words[1], words[0], *words[2:]]))}"


def _command_in(words: Sequence[str]) -> list[str]:
    """The first words as far as they are a command: ``runs show``, or the ``runs`` of ``runs nothing``."""
    from taorunner.cli.fast.words import TABLE

    return list(words[: 2 if " ".join(words[:2]) in TABLE else 1])


def _same_command(words: Sequence[str], commands: Collection[str]) -> str | None:
    return f"taorunner {' '.join(map(shlex.quote, words))}" if words[0] in commands else None


def _plain(word: str) -> str:
    """``scripts/setup_venv.sh`` → ``setup_venv``, ``tlt-train`` → ``tlt_train``."""
    name = word.rpartition("/")[2]
    for ending in (".sh", ".py"):
        name = name.removesuffix(ending)
    return (
        name.replace("-", "_")
        if name.startswith(("tlt-", "tao-", "setup-", "download-", "convert-"))
        else name
    )


def _network(word: str) -> str | None:
    from taorunner.catalog.names import network_names
    from taorunner.catalog.older_specs import OLD_NETWORKS

    return word if word in network_names() else (*OLD_NETWORKS.get(word, ()), None)[0]


def _actions(network: str) -> list[str]:
    from taorunner.catalog.load import load_network

    return sorted(load_network(network).actions())


def _has(network: str, action: str) -> bool:
    """A network that is not in the catalog may have any action."""
    if _network(network) is None:
        return True
    return bool(
        {action, *(("convert", "dataset_convert") if "convert" in action else ())} & {*_actions(network)}
    )


def _experiment(network: str | None, named: Sequence[str], action: str = "train") -> tuple[str, str] | None:
    """What names the project, and the experiments: those that are named, else the first of the network that has the
    action. None where there is none."""
    from taorunner.project.load import load_project
    from taorunner.project.workspace import find_project, find_workspace

    try:
        workspace = find_workspace(Path.cwd(), None, os.environ)
    except TaorunnerError:
        return None
    try:
        own = [find_project(workspace, Path.cwd(), None, os.environ)]
    except TaorunnerError:
        own = []
    for name in dict.fromkeys([*own, *workspace.project_names()]):
        project = load_project(workspace, name)
        for experiment in named or project.names:
            head = project.head_of(experiment) if experiment in project.names else None
            if head is not None and network in (None, head) and (named or _has(head, action)):
                return project_option(workspace.root, name), " ".join(named) or experiment
    return None
