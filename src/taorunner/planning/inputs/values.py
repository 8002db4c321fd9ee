"""Template variables and command-line values of one run, as the process sees them.

Host paths become container paths; GPU ids become ``0..n-1``. Reads the file system, changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taorunner.catalog.network import Network
from taorunner.contained_files import files_below
from taorunner.contracts import Contract, Framework
from taorunner.datasets.files.layout import LABEL_PAIRS
from taorunner.errors import Finding, Severity, UserFilesError
from taorunner.planning.checkpoints.checkpoint_choice import chosen_checkpoint, is_choice
from taorunner.planning.checkpoints.checkpoint_files import (
    checkpoints_of,
    find_pretrained,
    pretrained_dir,
)
from taorunner.planning.inputs.argv import VALUES
from taorunner.planning.inputs.awaited import awaited, missing_links
from taorunner.planning.inputs.environment import model_key_mark
from taorunner.planning.inputs.named_checkpoint import (
    NamedWeights,
    destination,
    find_built,
    find_named,
    not_read,
)
from taorunner.planning.inputs.variables import STAND_INS, own_values
from taorunner.planning.model.arguments import ArgumentValue
from taorunner.planning.model.epoch_scores import Scores, no_scores
from taorunner.planning.model.makers import MAKERS
from taorunner.planning.model.plan import Awaited, GpuRequest
from taorunner.progress.file_wholeness import is_torn
from taorunner.project.clusters.far_place import FarPlace
from taorunner.project.experiments import Experiment
from taorunner.project.mounts import Mounts
from taorunner.project.workspace import ProjectPaths, Workspace
from taorunner.specs.templates.variables import FILL_IN, FILL_IN_CODE
from taorunner.text import did_you_mean

_RECORD_PREFIX = "tfrecord"
_NOT_TRAINED = "CHECKPOINT-OF-THE-TRAINING"
"""In a dry run, the name of a checkpoint that the training makes first."""
_ONNX_SUFFIXES = (".onnx", ".etlt", ".uff")
_ENGINE_SUFFIXES = (".engine", ".trt", ".plan")
_BUILT = {"onnx_file": _ONNX_SUFFIXES, "engine_file": _ENGINE_SUFFIXES}
"""Models made from a checkpoint by other actions, and their suffixes. They lie in the folder of that action."""


@dataclass(slots=True)
class RunValues:
    """``variables`` for the template, ``arguments`` for argv, ``weights`` what ``--checkpoint`` sets in the spec.

    ``chosen`` is the file that ``--checkpoint`` led to, and why: ``model_011.pth: best val_mAP50 0.41, epoch 12``.
    """

    variables: dict[str, Any] = field(default_factory=dict)
    arguments: dict[str, ArgumentValue] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    weights: NamedWeights | None = None
    awaits: tuple[Awaited, ...] = ()
    chosen: str | None = None
    chosen_file: Path | None = None


class ValueFinder:
    """Finds the values of one experiment. ``mounts`` is the identity where the process runs on this host, ``scores``
    gives what ``--checkpoint best`` chooses by, ``place`` where the results are that this machine does not see.
    """

    def __init__(
        self,
        workspace: Workspace,
        paths: ProjectPaths,
        experiment: Experiment,
        network: Network,
        mounts: Mounts,
        scores: Scores = no_scores,
        place: FarPlace | None = None,
    ) -> None:
        self._scores, self._place = scores, place
        self._workspace, self._paths, self._experiment = workspace, paths, experiment
        self._network, self._mounts = network, mounts

    def find(
        self, contract: Contract, gpus: GpuRequest, checkpoint: str | None, *, dry_run: bool = False,
        earlier: Sequence[str] = (),
    ) -> RunValues:  # fmt: skip
        """With ``dry_run``, the checkpoint of a training that has not been run yet is a note, and gets a name.

        ``earlier`` are the actions of a chain that run before: a stand-in names what they make, and ``checkpoint`` does
        not count for an action that reads it.
        """
        values = RunValues()
        experiment = self._experiment
        results = self._paths.results_dir(experiment.results)
        dataset = self._inside(self._paths.dataset_dir(experiment.dataset), values)
        records = self._inside(self._paths.tfrecords_dir(experiment.name), values)
        results_inside = self._inside(results, values)
        dense = tuple(str(index) for index in range(gpus.count))
        values.variables = {
            "experiment": experiment.name, "project": self._paths.name, "dataset_raw": dataset, "dataset": dataset,
            "dataset_tfrecord": records, "tfrecords": records, "results_dir": results_inside,
            "num_gpus": gpus.count, "gpu_ids": [int(index) for index in dense],
        }  # fmt: skip
        values.arguments = {
            "results_dir": results_inside, "dataset_raw": dataset, "tfrecords_prefix": f"{records}/{_RECORD_PREFIX}",
            "num_gpus": str(gpus.count), "gpu_ids": dense,
        }  # fmt: skip
        if gpus.count == 0:
            del values.arguments["num_gpus"], values.arguments["gpu_ids"]
        if experiment.export_type is not None:
            values.arguments["export_type"] = experiment.export_type
        if experiment.model_key is not None:
            values.arguments["key"] = model_key_mark()
        self._pretrained(values)
        if earlier:
            self._await(contract, earlier, values)
        if values.awaits:
            checkpoint = None  # which an earlier action has read
        seen = results if self._place is None else self._place.seen(results)
        self._weights(contract, seen, checkpoint, values, dry_run=dry_run)
        self._from_vars(contract, values)
        return values

    def _await(self, contract: Contract, earlier: Sequence[str], values: RunValues) -> None:
        values.awaits = awaited(
            contract, wanted_values(contract), earlier, str(values.arguments["results_dir"])
        )
        values.findings += missing_links(self._network.name_of(contract), values.awaits, earlier)
        for one in values.awaits:
            if one.argument is not None:
                values.arguments[one.argument] = one.stand_in
            else:
                values.weights = NamedWeights("", one.stand_in, "checkpoint")

    def _inside(self, path: Path, values: RunValues) -> str:
        path = path if self._place is None else self._place.own(path)
        try:
            return self._mounts.to_inside(path)
        except UserFilesError as error:
            values.findings.append(Finding(Severity.ERROR, "not-mounted", error.message, error.hint))
            return str(path)

    def _pretrained(self, values: RunValues) -> None:
        """``planning.weights.use`` reports missing ones. The variable always exists, so a template stays valid."""
        experiment = self._experiment
        if experiment.repository is None or experiment.backbone is None:
            values.variables["pretrained_model"] = STAND_INS["pretrained_model"]
            return
        folder = pretrained_dir(self._workspace.repositories_dir, experiment.repository, experiment.backbone)
        path, _problem = find_pretrained(folder, self._network.framework)
        inside = self._inside(path or folder, values)
        values.variables["pretrained_model"] = inside
        values.arguments["pretrained"] = inside

    def _weights(
        self, contract: Contract, results: Path, named: str | None, values: RunValues, *, dry_run: bool
    ) -> None:
        wanted = wanted_values(contract)
        training = self._train_contract(contract)
        if named is not None and not self._named(contract, training, results, named, values):
            return
        if "onnx_file" in wanted and "onnx_file" not in values.arguments:
            self._file(results / MAKERS["onnx_file"][0], _ONNX_SUFFIXES, "onnx_file", values)
        is_read = contract.action != "gen_trt_engine" and "engine_file" not in values.arguments
        if "engine_file" in wanted and is_read:
            self._file(results / MAKERS["engine_file"][0], _ENGINE_SUFFIXES, "engine_file", values)
        is_named_by_file = "onnx_file" in values.arguments or "engine_file" in values.arguments
        if "checkpoint" in values.arguments:
            return
        if "checkpoint" in wanted or ("model" in wanted and not is_named_by_file):
            known = checkpoints_of(results, training.checkpoints)
            path, problem = known.choose(self._experiment.export_model)
            if path is not None:
                values.arguments["checkpoint"] = self._inside(path, values)
                if named is None and self._experiment.export_model is None:
                    values.findings += known.torn_findings(path)
            else:
                names = known.names
                hint = (
                    f"there are: {', '.join(names[-5:])}"
                    if names
                    else f"taorunner train {self._experiment.name}"
                )
                is_note = dry_run and not names and self._experiment.export_model is None
                severity = Severity.INFO if is_note else Severity.ERROR
                values.findings.append(
                    Finding(severity, "checkpoint-missing", problem or "no checkpoint", hint)
                )
                if is_note:
                    values.arguments["checkpoint"] = f"{self._inside(results, values)}/{_NOT_TRAINED}"

    def _named(
        self, contract: Contract, training: Contract, results: Path, named: str, values: RunValues
    ) -> bool:
        """Passes the weights of ``--checkpoint`` to the argument or key of this action. False after a finding."""
        goes_to = destination(contract)
        if goes_to is None:
            values.findings.append(not_read(contract, named))
            return False
        path, reason, finding, asked = None, "", None, named
        if is_choice(named):
            choice = chosen_checkpoint(training, results, named, self._experiment.name, self._scores)
            values.findings += choice.findings
            if choice.path is None:
                return False
            path, reason, asked = choice.path, f": {choice.reason}", choice.path.name
        if goes_to.argument in _BUILT:
            path, finding = find_built(
                results / MAKERS[goes_to.argument][0],
                _BUILT[goes_to.argument],
                asked,
                is_typed=not is_choice(named),
            )
        elif path is None:
            path, finding = find_named(contract, training, results, named, self._experiment.name)
        if path is None or finding is not None:
            values.findings += [finding] if finding is not None else []
            return False
        values.chosen, values.chosen_file = f"{path.name}{reason}", path
        inside = self._inside(path, values)
        if goes_to.argument is not None:
            values.arguments[goes_to.argument] = inside
        elif goes_to.role is not None:
            values.weights = NamedWeights(named, inside, goes_to.role)
        return True

    def _file(self, folder: Path, suffixes: tuple[str, ...], name: str, values: RunValues) -> None:
        """The newest whole file of that kind; export_model chooses by its name."""
        found = sorted(
            (
                path
                for path in files_below(folder.parent, folder)
                if path.name.endswith(suffixes) and not is_torn(path)
            ),
            key=lambda path: path.stat().st_mtime,
        )
        model = self._experiment.export_model
        named = [path for path in found if model is not None and path.name.startswith(model)]
        if named or found:
            values.arguments[name] = self._inside((named or found)[-1], values)

    def _train_contract(self, contract: Contract) -> Contract:
        """The folder where this network's training writes checkpoints, for every action that reads them."""
        if contract.framework in (Framework.DEPLOY, Framework.DATA_SERVICES) or contract.action != "train":
            try:
                return self._network.contract(
                    "train", contract.release if contract.group != "deploy" else None
                )
            except UserFilesError:
                return contract
        return contract

    def _from_vars(self, contract: Contract, values: RunValues) -> None:
        known = own_values(self._experiment.vars, values.variables)
        values.variables.update(known)
        results = f"{values.arguments['results_dir']}/"
        for name, meaning in VALUES.items():
            if contract.action == "train" and str(known.get(name, "")).startswith(results):
                continue  # this training writes it, for the actions behind it: classmap.json
            if meaning.from_vars and name in known:
                values.arguments[name] = str(known[name])
                if any(name in _names_in(argument.tokens) for argument in contract.arguments):
                    values.findings += _left_over(name, str(known[name]), values)
        if "image_dir" not in values.arguments:
            self._default_images(values)

    def _default_images(self, values: RunValues) -> None:
        """Images for inference: the folder of a KITTI dataset, or the dataset's own."""
        dataset = self._paths.dataset_dir(self._experiment.dataset)
        for image_dir, label_dir in LABEL_PAIRS:
            for name, folder in (("image_dir", image_dir), ("label_dir", label_dir)):
                path = dataset / folder
                if path.is_dir():
                    values.arguments.setdefault(name, self._inside(path, values))


def _left_over(name: str, text: str, values: RunValues) -> list[Finding]:
    """Reports variables left in a command-line value, where nothing replaces them later."""
    match = re.search(r"(?<!\$)\$\{?([A-Za-z_][A-Za-z0-9_]*)", text)
    if match is None:
        return []
    values.arguments[name] = text.replace("$", "")  # already reported; not again as an unsafe character
    if match[1] == FILL_IN:
        hint = f"write it in place of ${FILL_IN}"
        return [Finding(Severity.ERROR, FILL_IN_CODE, f'fill in "{name}" in vars', hint)]
    known = sorted(values.variables)
    hint = did_you_mean(match[1], known) or f"known: {', '.join(known)}"
    message = f'"{name}" in vars has "${match[1]}", which is not a variable of this experiment'
    return [Finding(Severity.ERROR, "unknown-variable", message, hint)]


def wanted_values(contract: Contract) -> set[str]:
    """The names of all values that the action reads."""
    forms = {name for form in contract.value_forms.values() for name in _names_in((form,))}
    return forms | {name for argument in contract.arguments for name in _names_in(argument.tokens)}


def _names_in(tokens: tuple[str, ...]) -> set[str]:
    return {name for token in tokens for name in re.findall(r"\{([a-z_]+)\*?\??\}", token)}
