"""Reads a ``skill_info.yaml``: which network a skill is for, its actions, their spec templates and inputs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taorunner.errors import UserFilesError
from taorunner.importers.network_detection import same_actions
from taorunner.importers.scripts.tao_command import TaoCommand, read_tao_command
from taorunner.importers.skills.skill_files import SkillFolder
from taorunner.text import printable
from taorunner.yaml_reader import PlacedDict, read_yaml

_READ = frozenset(
    {"actions", "network_arch", "container_image", "spec_templates", "name", "type", "description"}
)
_INDEX = re.compile(r"\[(\d+)\]")
MAX_ACTIONS = 60


@dataclass(frozen=True, slots=True)
class SkillAction:
    """``command`` is TAO's command, None for another program. ``inputs`` are keys of the spec: those that have to name
    a file or folder, and with False those that may."""

    name: str
    line: int
    command: TaoCommand | None
    template: str
    inputs: Mapping[str, bool] = field(default_factory=dict)

    @property
    def variant(self) -> str:
        """``segment`` of ``segment_train``: a skill can train in several ways. Empty for the usual one."""
        if self.command is None or self.name in same_actions(self.command.action):
            return ""
        end = f"_{self.command.action}"
        return self.name.removesuffix(end) if self.name.endswith(end) else self.name


@dataclass(frozen=True, slots=True)
class SkillInfo:
    """``rest`` are the keys of the file that nothing is taken from, with their lines; ``networks`` are as typed."""

    path: Path
    title: str
    networks: tuple[str, ...]
    image: str | None
    actions: tuple[SkillAction, ...]
    rest: tuple[tuple[str, int], ...]
    is_deploy: bool


def read_skill(folder: SkillFolder, path: Path, is_network: Callable[[str], bool]) -> SkillInfo:
    """Raises UserFilesError where the file cannot be read as YAML."""
    text = folder.text(path)
    if text is None:
        raise UserFilesError(f'"{path}" cannot be read', hint="it has to be a text file inside of the folder")
    document = read_yaml(text)
    if document.problems:
        one = document.problems[0]
        raise UserFilesError(f'"{path}:{one.line}:{one.column}": {one.message}', hint=one.hint)
    body = document.value
    if not isinstance(body, PlacedDict):
        raise UserFilesError(f'"{path}" is not a mapping', hint="name the skill_info.yaml of a skill")
    is_deploy = path.name != "skill_info.yaml" or "deploy" in str(body.get("container_image"))
    actions = tuple(_actions(body, path, is_network, is_deploy=is_deploy))
    commands = [one.command.network for one in actions if one.command is not None]
    arch = str(body.get("network_arch", "")).replace("-", "_")
    named = sorted(dict.fromkeys(commands), key=lambda one: (one != arch, -commands.count(one))) or [arch]
    image = body.get("container_image")
    return SkillInfo(
        path,
        printable(str(body.get("name") or path.parent.parent.name))[:100],
        tuple(named),
        image if isinstance(image, str) and ":" in image else None,
        actions,
        tuple((str(key), place[0][0]) for key, place in body.places.items() if key not in _READ),
        is_deploy,
    )


def _actions(
    body: Mapping[Any, Any], path: Path, is_network: Callable[[str], bool], *, is_deploy: bool
) -> list[SkillAction]:
    entries, templates = body.get("actions"), body.get("spec_templates")
    found: list[SkillAction] = []
    if not isinstance(entries, PlacedDict):
        return found
    for name, entry in list(entries.items())[:MAX_ACTIONS]:
        if not isinstance(name, str) or not isinstance(entry, dict):
            continue
        line = entries.places[name][0][0]
        template = templates.get(name) if isinstance(templates, dict) else None
        usual = f"spec_template_{'deploy_' if is_deploy else ''}{name}.yaml"
        command = _command(str(entry.get("command", "")), path, line, is_network)
        found.append(
            SkillAction(
                name,
                line,
                command,
                template if isinstance(template, str) else usual,
                _inputs(entry.get("inputs")),
            )
        )
    return found


def _command(text: str, path: Path, line: int, is_network: Callable[[str], bool]) -> TaoCommand | None:
    try:
        words = shlex.split(text[:4000].replace("{config_path}", "/spec.yaml"))
    except ValueError:
        return None
    return read_tao_command(words, path, line, is_network)


def _inputs(value: object) -> dict[str, bool]:
    """``a.b[0].c`` is ``a.b.0.c`` here."""
    if not isinstance(value, dict):
        return {}
    return {
        _INDEX.sub(r".\1", key): not (isinstance(entry, dict) and entry.get("optional") is True)
        for key, entry in value.items()
        if isinstance(key, str)
    }
