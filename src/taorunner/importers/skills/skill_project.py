"""Makes a project of a skill of NVIDIA's skill bank: its spec templates become the specs of an experiment.

Each way in which the skill trains is an experiment. What is not taken from the skill is reported by line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from taorunner.catalog.network import Network
from taorunner.errors import Finding, Severity, UserFilesError
from taorunner.importers.launcher_commands import known_network
from taorunner.importers.network_detection import same_actions
from taorunner.importers.project_writer import Arrival, place_projects, refuse_existing
from taorunner.importers.skills.skill_files import INFO, SkillFolder
from taorunner.importers.skills.skill_info import SkillAction, SkillInfo, read_skill
from taorunner.importers.skills.skill_specs import RenderedTemplate, keys_of_runs, rendered_template
from taorunner.importers.source_report import Outcome, SourceLine, in_order
from taorunner.importers.tao_launcher import Migrated
from taorunner.planning.inputs.workspace_networks import Networks
from taorunner.project.scaffold import VARS_FILE, entry_lines, entry_of, scaffold_heads, spec_files
from taorunner.project.workspace import Workspace
from taorunner.text import printable

_DATASET = "train"


@dataclass(slots=True)
class _Experiment:
    name: str
    base: str | None = None
    specs: dict[str, RenderedTemplate] = field(default_factory=dict)


def migrate_from_skill_bank(workspace: Workspace, name: str, given: Path, head: str | None) -> Migrated:
    """Creates the project ``name`` from the skill at ``given``, or the one there for the network ``head``.

    Raises UserFilesError where there is no such skill, or several; UnknownNameError for an unknown head; MachineError
    when the disk refuses. Then nothing was made.
    """
    refuse_existing(workspace, [name])
    networks = Networks(workspace.networks_dir)
    if head is not None:
        networks.load(head)
    folder = SkillFolder(given)
    info, network = _chosen(folder, networks, head)
    return _SkillMigration(workspace, name, folder, info, network, networks).place()


def _chosen(folder: SkillFolder, networks: Networks, head: str | None) -> tuple[SkillInfo, Network]:
    """The skill that is meant, and its network."""
    refused: list[str] = []
    usable: list[tuple[SkillInfo, str]] = []
    for path in folder.infos():
        try:
            info = read_skill(folder, path, lambda word: known_network(word, networks) is not None)
        except UserFilesError as error:
            refused.append(str(error))
            continue
        known = [found for one in info.networks if (found := known_network(one, networks)) is not None]
        usable += [(info, known[0])] if known and any(one.command is not None for one in info.actions) else []
    mine = [one for one in usable if head in (None, one[1])]
    if len(mine) == 1:
        return mine[0][0], networks.load(mine[0][1])
    where = f'"{folder.root}"'
    if mine:
        names = ", ".join(f"{network} ({_place(info, folder)})" for info, network in mine[:40])
        raise UserFilesError(
            f"{where} has {len(mine)} skills", hint=f"name one with --head, or its folder: {names}"
        )
    if usable:
        heads = ", ".join(sorted({network for _, network in usable}))
        raise UserFilesError(f'{where} has no skill for "{head}"', hint=f"it has those for {heads}")
    problem = f": {refused[0]}" if refused else ""
    raise UserFilesError(
        f"{where} has no skill for a network that taorunner knows{problem}",
        hint=f"a skill has {INFO} with the commands of a network; taorunner networks lists them",
    )


def _place(info: SkillInfo, folder: SkillFolder) -> str:
    skill = info.path.parent.parent if info.path.parent.name == "references" else info.path.parent
    return printable(
        skill.relative_to(folder.root).as_posix() if skill.is_relative_to(folder.root) else skill.name
    )


class _SkillMigration:
    def __init__(
        self, workspace: Workspace, name: str, folder: SkillFolder, info: SkillInfo, network: Network,
        networks: Networks,
    ) -> None:  # fmt: skip
        self._workspace, self._name, self._folder = workspace, name, folder
        self._info, self._network, self._networks = info, network, networks
        self._findings: list[Finding] = []
        self._lines: list[SourceLine] = []
        self._usual = spec_files(network.name) if network.name in scaffold_heads() else {}
        self._release = self._release_of_image()
        self._own_keys = keys_of_runs(network.contracts(self._release).values())
        self._experiments: list[_Experiment] = []
        self._templates: set[Path] = set()

    def place(self) -> Migrated:
        infos = [self._info, *self._deploy_infos()]
        for info in infos:
            for action in info.actions:
                self._take(info, action)
            note = "nothing of it is needed here"
            self._lines += [
                SourceLine(info.path, line, printable(key)[:60], Outcome.LEFT_OUT, note)
                for key, line in info.rest
            ]
        if not self._templates:
            raise UserFilesError(
                f'the skill "{self._info.title}" has no spec template for {self._network.name}',
                hint=f"templates are named spec_template_<action>.yaml, beside {INFO}",
            )
        self._lines += self._unused_templates()
        files = {PurePosixPath("experiments.yml"): self._experiments_text().encode()}
        for experiment in self._experiments:
            for file, spec in experiment.specs.items():
                files[PurePosixPath("specs", experiment.name, file)] = spec.text.encode()
        made = place_projects(
            self._workspace,
            [Arrival(self._name, files, {}, (PurePosixPath("data", _DATASET),))],
            repositories={},
            mounts=None,
            heads=self._networks.names,
        )
        return Migrated(tuple(made), tuple(self._findings), tuple(in_order(self._lines)))

    def _deploy_infos(self) -> Iterator[SkillInfo]:
        """The skills for TensorRT beside the chosen one."""
        if self._info.path.name != INFO:
            return
        for path in sorted(self._info.path.parent.glob(f"*.{INFO}")):
            try:
                yield read_skill(
                    self._folder, path, lambda word: known_network(word, self._networks) is not None
                )
            except UserFilesError as error:
                self._lines.append(SourceLine(path, None, path.name, Outcome.LEFT_OUT, str(error)))

    def _take(self, info: SkillInfo, action: SkillAction) -> None:
        name = self._action_name(info, action)
        if name is None:
            note = self._why_not(action)
            self._lines.append(
                SourceLine(info.path, action.line, f"action {action.name}", Outcome.LEFT_OUT, note)
            )
            return
        contract = self._network.contracts(self._release)[name]
        path = info.path.parent / action.template
        text = self._folder.text(path)
        stem = contract.spec.stems[0] if contract.spec is not None else name
        file = f"{stem}.yaml"
        if text is None:
            self._take_usual(info, action, file)
            return
        self._templates.add(path)
        experiment = self._of_variant(action.variant)
        if file in experiment.specs and not (info.is_deploy and stem == "gen_trt_engine"):
            note = f"specs/{experiment.name}/{file} is the spec of this action too; it has another template"
            self._lines.append(SourceLine(path, None, path.name, Outcome.LEFT_OUT, note))
            return
        rendered = rendered_template(text, self._usual, self._own_keys, action.inputs)
        if rendered is None:
            self._lines.append(SourceLine(path, None, path.name, Outcome.LEFT_OUT, "not readable as a spec"))
            return
        experiment.specs[file] = rendered
        self._tell(info, action, path, f"specs/{experiment.name}/{file}", rendered)

    def _take_usual(self, info: SkillInfo, action: SkillAction, file: str) -> None:
        """An action without a template has the spec of a new project, where there is one of its own."""
        note, outcome = f"there is no {printable(action.template)}", Outcome.LEFT_OUT
        experiment = self._of_variant(action.variant) if file in self._usual and not action.variant else None
        if experiment is not None and file not in experiment.specs:
            experiment.specs[file] = RenderedTemplate(self._usual[file])
            note, outcome = f"{note}: specs/{experiment.name}/{file} is that of a new project", Outcome.TAKEN
        self._lines.append(SourceLine(info.path, action.line, f"action {action.name}", outcome, note))

    def _action_name(self, info: SkillInfo, action: SkillAction) -> str | None:
        command = action.command
        if command is None or known_network(command.network, self._networks) != self._network.name:
            return None
        contracts = self._network.contracts(self._release)
        names = [
            name for same in same_actions(command.action)
            for name in ((f"deploy.{same}", same) if info.is_deploy else (same,)) if name in contracts
        ]  # fmt: skip
        return names[0] if names else None

    def _why_not(self, action: SkillAction) -> str:
        if action.command is None:
            return "it runs another program than TAO's network"
        if known_network(action.command.network, self._networks) != self._network.name:
            return f"it runs {printable(action.command.network)}, which is a project of its own"
        release = self._network.release_name(self._release)
        return f"{self._network.name} has no action {printable(action.command.action)} in release {release}"

    def _of_variant(self, variant: str) -> _Experiment:
        first = f"{self._network.name}_01"
        name = f"{self._network.name}_{variant}" if variant else first
        found = next((one for one in self._experiments if one.name == name), None)
        if found is None:
            base = self._experiments[0].name if self._experiments else None
            found = _Experiment(name, base)
            self._experiments.append(found)
        return found

    def _tell(
        self, info: SkillInfo, action: SkillAction, path: Path, place: str, rendered: RenderedTemplate
    ) -> None:
        self._lines += [
            SourceLine(info.path, action.line, f"action {action.name}", Outcome.TAKEN, place),
            SourceLine(path, None, path.name, Outcome.TAKEN, place),
        ]
        for keys, outcome, note in (
            (rendered.filled, Outcome.TAKEN, "written with variables, as a new project has it"),
            (rendered.open_keys, Outcome.LEFT_OUT, "only you know it: $FILL_IN in the spec"),
            (rendered.kept, Outcome.TAKEN, "as in the template; it has to fit your data"),
            (rendered.passed, Outcome.LEFT_OUT, "a new project has no use for this input"),
            (rendered.refused, Outcome.LEFT_OUT, "it cannot be set in this template"),
        ):
            self._lines += [SourceLine(path, None, key, outcome, note) for key in keys]

    def _unused_templates(self) -> Iterator[SourceLine]:
        for path in sorted(self._info.path.parent.glob("spec_template*.yaml")):
            if path not in self._templates:
                yield SourceLine(path, None, path.name, Outcome.LEFT_OUT, "no action that is taken reads it")

    def _release_of_image(self) -> str | None:
        """The release with the image of the skill; None where it is the default one, or no release has it."""
        if self._info.image is None:
            return None
        for release in reversed(self._network.releases):
            for group in self._network.groups:
                if self._network.image(group.name, release) == self._info.image:
                    return None if release == self._network.release_name(None) else release
        message = (
            f'no release of {self._network.name} is known to have the image "{printable(self._info.image)}"'
        )
        hint = f"experiments.yml takes it with image: {printable(self._info.image)}"
        self._findings.append(Finding(Severity.WARNING, "other-image", message, hint, self._info.path))
        return None

    def _experiments_text(self) -> str:
        return "\n".join([
            "# yaml-language-server: $schema=../../.taorunner/experiments.schema.json",
            f'# Experiments of the project "{self._name}", made of the skill "{self._info.title}"',
            "tao_config:",
            "  gpus: 1",
            "",
            "experiments:",
            *self._entries(self._experiments),
        ])  # fmt: skip

    def _entries(self, experiments: Sequence[_Experiment]) -> Iterator[str]:
        needs = [key for key in self._network.needs if key not in ("head", "dataset")]
        values = {} if self._release is None else {"release": self._release}
        for one in experiments:
            if one.base is not None:
                yield from (f"  {one.name}:", f"    extends: {one.base}", "")
                continue
            entry = entry_of(self._network.name, _DATASET, needs, values)
            yield from entry_lines(one.name, entry, self._usual.get(VARS_FILE, ""))
            yield ""
