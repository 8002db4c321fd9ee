"""Reads a command of TAO, as it is typed for the launchers since TLT 2 or inside of a container."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

GROUPS = ("model", "deploy", "dataset", "data_services", "tao_deploy")
ROLES = {
    **dict.fromkeys(
        ("-e", "--experiment_spec_file", "--experiment_spec", "--dataset_export_spec", "--config_path"), "spec"
    ),
    **dict.fromkeys(("-r", "--results_dir"), "results"),
    **dict.fromkeys(("-k", "--key", "--encryption_key"), "key"),
    **dict.fromkeys(("-n", "--model_name"), "name"),
    **dict.fromkeys(("-m", "--model", "--model_path", "--pretrained_model_path", "--pretrained_model"), "model"),
    **dict.fromkeys(("-o", "--output_file", "--output_filename", "--output_dir", "--output_path"), "output"),
    **dict.fromkeys(("-i", "--image_dir", "--input_image", "--image_folders"), "images"),
    **dict.fromkeys(("-l", "--label_dir", "--label_folders"), "labels"),
    **dict.fromkeys(("--gpus", "--num_gpus", "-g"), "gpus"),
    **dict.fromkeys(("--gpu_index", "--gpu_indices", "--gpu_ids"), "gpu_ids"),
    "--num_nodes": "nodes", "--log_file": "log",
}  # fmt: skip
"""Options of TAO, and what they say. Source: tao/tensorflow.md section 2.4, tao/pytorch.md section 2."""

_PROGRAMS = re.compile(r"(?:tlt|tao)-(?P<action>[a-z-]+)\Z")
_ACTIONS_OF_TLT = {"infer": "inference", "int8-tensorfile": "calibration_tensorfile", "pull": ""}
_ACTION = re.compile(r"[a-z][a-z0-9_]*\Z")
_OVERRIDE = re.compile(r"(?P<key>[+~]{0,2}[A-Za-z_][A-Za-z0-9_.\[\]/@-]*)=(?P<value>.*)\Z", re.DOTALL)
_MODULE = re.compile(r"nvidia_tao_\w+\..*?(?P<network>\w+)\.(?:entrypoint|scripts)\.(?P<last>\w+)\Z")
_SCRIPT = re.compile(r"(?:^|/)(?P<network>\w+)/scripts/(?P<action>\w+)\.py\Z")
_VALUE_OPTION = re.compile(r"--?[A-Za-z][A-Za-z0-9_-]*\Z")


@dataclass(frozen=True, slots=True)
class TaoCommand:
    """``network`` and ``action`` as typed; ``network`` is empty where the command does not say. ``options`` have the
    words of each option."""

    file: Path
    line: int
    network: str
    action: str
    options: tuple[tuple[str, tuple[str, ...]], ...] = ()
    overrides: tuple[tuple[str, str], ...] = ()
    is_deploy: bool = False
    image: str | None = None
    folder: str = ""
    gpu_ids: tuple[str, ...] = ()

    def of(self, role: str) -> tuple[str, ...]:
        """The words of the option that says ``role``; the last one, as argparse takes it."""
        found = [values for name, values in self.options if self.role_of(name) == role]
        return found[-1] if found else ()

    def first(self, role: str) -> str | None:
        values = self.of(role)
        return values[0] if values else None

    def role_of(self, name: str) -> str | None:
        if name == "-d" and self.action in ("dataset_convert", "convert"):
            return "spec"
        return ROLES.get(name)

    @property
    def spec(self) -> str | None:
        """The path of the spec, as typed; Hydra takes a folder and a name."""
        named = {name: values for name, values in self.options if name in ("--config-path", "--config-name")}
        if "--config-name" in named:
            folder = (*named.get("--config-path", ()), "")[0]
            name = (*named["--config-name"], "")[0]
            return f"{folder.rstrip('/')}/{name}{'' if name.endswith(('.yaml', '.yml')) else '.yaml'}"
        return self.first("spec")

    @property
    def title(self) -> str:
        return " ".join(
            word for word in ("deploy" if self.is_deploy else "", self.network, self.action) if word
        )


def read_tao_command(
    words: Sequence[str],
    file: Path,
    line: int,
    is_network: Callable[[str], bool],
    *,
    in_container: bool = False,
) -> TaoCommand | None:
    """None where the words are no command of TAO that does something with a network.

    ``is_network`` knows names of networks; a command without ``tao`` in front needs one.
    """
    if not words:
        return None
    program = words[0].rpartition("/")[2]
    rest = list(words[1:])
    if program in ("tao", "tlt"):
        is_deploy = False
        while rest and rest[0] in GROUPS:
            is_deploy = is_deploy or "deploy" in rest.pop(0)
        if len(rest) < 2 or not _ACTION.match(rest[0]) or not _ACTION.match(rest[1]):
            return None
        return _command(file, line, rest[0], rest[1], rest[2:], is_deploy=is_deploy)
    tlt = _PROGRAMS.match(program)
    if tlt is not None and tlt["action"] not in ("converter", "deploy"):
        action = _ACTIONS_OF_TLT.get(tlt["action"], tlt["action"].replace("-", "_"))
        network = rest.pop(0) if rest and _ACTION.match(rest[0]) else ""
        return _command(file, line, network, action, rest) if action else None
    if program in ("python", "python3", "torchrun", "mpirun"):
        return _of_python(rest, file, line, is_network)
    if is_network(program) and rest and _ACTION.match(rest[0]) and (len(rest) > 1 or in_container):
        return _command(file, line, program, rest[0], rest[1:])
    return None


def _of_python(
    words: Sequence[str], file: Path, line: int, is_network: Callable[[str], bool]
) -> TaoCommand | None:
    """A script of TAO's own that is started without its entry point."""
    for at, word in enumerate(words):
        module, script = _MODULE.match(word), _SCRIPT.search(word)
        if module is not None and is_network(module["last"]) and len(words) > at + 1:
            return _command(file, line, module["last"], words[at + 1], words[at + 2 :])
        if module is not None and is_network(module["network"]):
            return _command(file, line, module["network"], module["last"], words[at + 1 :])
        if script is not None and is_network(script["network"]):
            return _command(file, line, script["network"], script["action"], words[at + 1 :])
    return None


def _command(
    file: Path, line: int, network: str, action: str, words: Sequence[str], *, is_deploy: bool = False
) -> TaoCommand:  # fmt: skip
    options: list[tuple[str, list[str]]] = []
    overrides: list[tuple[str, str]] = []
    for word in _split(words):
        override = _OVERRIDE.match(word)
        if override is not None and not word.startswith("-"):
            overrides.append((override["key"].lstrip("+"), override["value"]))
        elif _VALUE_OPTION.match(word):
            options.append((word, []))
        elif options:
            options[-1][1].append(word)
        else:
            options.append(("", [word]))
    return TaoCommand(
        file, line, network, action, tuple((name, tuple(values)) for name, values in options), tuple(overrides),
        is_deploy=is_deploy,
    )  # fmt: skip


def _split(words: Sequence[str]) -> Iterator[str]:
    """``--gpus=2`` is two words."""
    for word in words:
        name, equals, value = word.partition("=")
        yield from (name, value) if equals and word.startswith("-") else (word,)
