"""``dataset convert --for HEAD`` and ``-e EXPERIMENT``: the dataset as that network reads it, as ``init-project
--from-dataset`` lays it out."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Optional

from taorunner.cli.dataset_folders import dataset_folder, output_folder
from taorunner.cli.long_work import cleaning_up, named
from taorunner.cli.options import Invocation, option
from taorunner.console.base.typed_commands import place_of, project_option
from taorunner.errors import UsageError


@dataclass(frozen=True, slots=True)
class Target:
    """What is written: a format, or what a network reads."""

    to: Annotated[Optional[str], option("--to", "Write this format", word="FORMAT", default="kitti")] = None
    for_: Annotated[
        Optional[str], option("--for", "Write what this network reads, with train and val", word="HEAD")
    ] = None
    experiment: Annotated[
        Optional[str],
        option("--experiment", "-e", "Write what the network of this experiment reads", word="EXPERIMENT"),
    ] = None
    val: Annotated[
        Optional[float],
        option("--val", "Validate on this share, with --for or -e", word="SHARE", default="0.2"),
    ] = None

    def is_for_network(self) -> bool:
        """Whether a network is named. Raises UsageError for options that exclude each other."""
        is_for_network = self.for_ is not None or self.experiment is not None
        if is_for_network and self.to is not None:
            flag = "--for" if self.for_ is not None else "--experiment"
            raise UsageError(
                f"--to cannot be combined with {flag}", hint="the network says which format it is"
            )
        if self.val is not None and not is_for_network:
            raise UsageError("--val needs --for or --experiment", hint="taorunner dataset split makes a val")
        return is_for_network


@dataclass(frozen=True, slots=True)
class Wanted:
    """What ``dataset convert`` was asked for. An experiment of ``PROJECT/EXPERIMENT`` stands without its project."""

    dataset: str
    target: Target
    output: Path | None
    from_: str | None
    overwrite: bool
    skip_bad: bool
    project: str | None
    workspace: Path | None

    def of_experiment(self, invocation: Invocation) -> Wanted:
        """With the project that the experiment names, where it names one."""
        word = self.target.experiment
        if word is None or "/" not in word:
            return self
        root = invocation.open_workspace(self.workspace)
        project, experiment = invocation.experiment_named(root, word, self.project)
        return replace(self, project=project, target=replace(self.target, experiment=experiment))


def convert_for_network(invocation: Invocation, wanted: Wanted, *, json: bool) -> int:
    """Writes the dataset and says what was written. Raises TaorunnerError; then nothing was written."""
    from taorunner.console.pages.datasets.result_view import Progress, print_laid_out
    from taorunner.datasets.transform.archive_source import source_folder
    from taorunner.datasets.transform.for_network import Wish, lay_out_for_network
    from taorunner.planning.project_from_dataset import dataset_name, written_form

    val = 0.2 if wanted.target.val is None else wanted.target.val
    if not 0 < val < 1:
        raise UsageError(f"--val cannot be {val:g}", hint="a share above 0 and below 1, such as 0.2")
    head, dataset = _head(invocation, wanted)
    networks = invocation.networks()
    networks.load(head)
    layout, form = written_form(networks.layout(head), head)
    source, data = dataset_folder(invocation, wanted.dataset, wanted.project, wanted.workspace)
    output = output_folder(wanted.output, source, data, form)
    wish = Wish(form, val, wanted.from_, skip_bad=wanted.skip_bad)
    began = time.monotonic()
    with (
        cleaning_up(dataset=wanted.dataset),
        Progress(is_quiet=invocation.is_quiet) as progress,
        source_folder(source, output, overwrite=wanted.overwrite, progress=progress) as read,
    ):
        if wanted.overwrite:
            from taorunner.datasets.files.output_folders import new_folder
            from taorunner.datasets.transform.convert import refuse_overlap

            refuse_overlap(read.folder, output)
            with new_folder(output, overwrite=True) as partial:
                laid_out = read.result(lay_out_for_network(read.folder, partial, wish, progress))
        else:
            laid_out = read.result(lay_out_for_network(read.folder, output, wish, progress))
    laid_out = replace(laid_out, findings=named(laid_out.findings, wanted.dataset))
    print_laid_out(laid_out, source, output, form, head, seconds=time.monotonic() - began, json=json)
    if dataset is not None and data is not None and output.is_relative_to(data):
        made = dataset_name(layout, output.relative_to(data).as_posix())
        if dataset != made:
            experiment = wanted.target.experiment
            place = place_of(data)
            where = project_option(place.root, place.project) if place is not None else ""
            steps = (
                f'write "dataset: {made}" for {experiment} in experiments.yml',
                f"taorunner {where}specs refresh {experiment}",
            )
            invocation.next_steps(steps, in_turn=True, json=json)
    return 0


def _head(invocation: Invocation, wanted: Wanted) -> tuple[str, str | None]:
    """The network, and the dataset that the experiment names."""
    if wanted.target.for_ is not None and wanted.target.experiment is not None:
        raise UsageError("--for cannot be combined with --experiment", hint="leave out one of them")
    if wanted.target.for_ is not None:
        return wanted.target.for_, None
    from taorunner.project.load import load_project
    from taorunner.text import did_you_mean, printable

    root = invocation.open_workspace(wanted.workspace)
    project = load_project(root, invocation.project_name(root, wanted.project))
    name = wanted.target.experiment or ""
    head = project.head_of(name) if name in project.names else None
    if head is None:
        problem = f'there is no experiment "{printable(name)}" in project "{project.paths.name}"'
        raise UsageError(problem, hint=did_you_mean(name, project.names))
    experiment = project.experiments.get(name)
    return head, experiment.dataset if experiment is not None else None
