"""``init-project`` and ``add``: new projects and experiments, empty, from a dataset, or from another tool's files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from taorunner.cli.help_pages import add_command
from taorunner.cli.option_sets import with_options
from taorunner.cli.options import READ_FORMAT, Invocation, JsonOption, ProjectOption, WorkspaceOption, option
from taorunner.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from taorunner.importers.import_project import Migration
    from taorunner.planning.add_experiment import Added
    from taorunner.planning.new_project import NewProject


def register(app: typer.Typer) -> None:
    add_command(
        app, "init-project", with_options(_init_project), "Create a project, empty or from a dataset",
        "taorunner init-project parts --head rtdetr --from-dataset ~/exports/parts",
        "taorunner init-project old --from-launcher ~/tao/specs",
    )  # fmt: skip
    add_command(
        app, "add", _add, "Add an experiment to a project",
        "taorunner add rtdetr_02 --like rtdetr_01", "taorunner add yolo_01 --head yolo_v4",
    )  # fmt: skip


_DATASET, _IMPORT = "From a dataset", "From another tool"


@dataclass(frozen=True, slots=True)
class _Options:
    head: Annotated[
        Optional[str], option("--head", "Network of the first experiment", word="HEAD", default="tinydet")
    ] = None
    backbone: Annotated[
        Optional[str], option("--backbone", "Backbone of the first experiment", word="BACKBONE")
    ] = None
    no_weights: Annotated[
        bool, option("--no-weights", "Start from random values, without pretrained weights")
    ] = False
    experiment: Annotated[
        Optional[str], option("--experiment", "Name of the first experiment", word="NAME")
    ] = None
    dataset: Annotated[
        Optional[str],
        option("--dataset", "Folder below data/ to train on", word="NAME", default="train"),
    ] = None
    release: Annotated[
        Optional[str], option("--release", "TAO release of the first experiment", word="RELEASE")
    ] = None
    from_dataset: Annotated[
        Optional[Path],
        option("--from-dataset", "Fill the project from this dataset", word="PATH", group=_DATASET),
    ] = None
    val: Annotated[
        Optional[float],
        option("--val", "Let this share of the images validate", word="SHARE", group=_DATASET, default="0.2"),
    ] = None
    from_: Annotated[
        Optional[str],
        option("--from", READ_FORMAT, word="FORMAT", group=_DATASET),
    ] = None
    copy: Annotated[bool, option("--copy", "Copy the images instead of linking them", group=_DATASET)] = False
    in_place: Annotated[
        bool, option("--in-place", "Leave the images where they are; mount them read-only", group=_DATASET)
    ] = False
    skip_bad: Annotated[bool, option("--skip-bad", "Leave out what cannot be read", group=_DATASET)] = False
    from_launcher: Annotated[
        Optional[Path],
        option(
            "--from-launcher",
            "Import specs, scripts and notebooks of the TAO launcher",
            word="DIR",
            group=_IMPORT,
        ),
    ] = None
    mounts_file: Annotated[
        Optional[Path],
        option(
            "--mounts-file", "The launcher's mounts [default: ~/.tao_mounts.json]", word="FILE", group=_IMPORT
        ),
    ] = None
    from_tao_runner: Annotated[
        Optional[Path],
        option(
            "--from-tao-runner",
            "Import a tao-runner checkout; all of it without NAME",
            word="DIR",
            group=_IMPORT,
        ),
    ] = None

    from_skill_bank: Annotated[
        Optional[Path],
        option(
            "--from-skill-bank",
            "Import a skill of NVIDIA's skill bank; --head picks one",
            word="DIR",
            group=_IMPORT,
        ),
    ] = None

    @property
    def is_import(self) -> bool:
        return (self.from_launcher or self.from_tao_runner or self.from_skill_bank) is not None

    def refuse(self, name: str | None) -> None:
        """Raises UsageError for options that exclude each other, and for a missing name."""
        sources = {
            "--from-dataset": self.from_dataset, "--from-launcher": self.from_launcher,
            "--from-tao-runner": self.from_tao_runner, "--from-skill-bank": self.from_skill_bank,
        }  # fmt: skip
        given = [flag for flag, value in sources.items() if value is not None]
        if len(given) > 1:
            raise UsageError(f"{given[0]} cannot be combined with {given[1]}", hint="make two projects")
        if self.mounts_file is not None and self.from_launcher is None:
            raise UsageError("--mounts-file needs --from-launcher", hint="add --from-launcher DIR")
        if name is None and self.from_tao_runner is None:
            raise UsageError("the name of the project is missing", hint="taorunner init-project NAME")
        if self.is_import:
            self._refuse_new_only(given[0])
        if self.from_dataset is None:
            for flag, value in self._of_datasets().items():
                if value not in (None, False):
                    raise UsageError(f"{flag} needs --from-dataset", hint="add --from-dataset PATH")

    def _of_datasets(self) -> dict[str, Any]:
        return {
            "--val": self.val, "--from": self.from_, "--copy": self.copy, "--in-place": self.in_place,
            "--skip-bad": self.skip_bad,
        }  # fmt: skip

    def _refuse_new_only(self, source: str) -> None:
        new_only: dict[str, Any] = {
            "--backbone": self.backbone, "--experiment": self.experiment, "--dataset": self.dataset,
            "--release": self.release, "--no-weights": self.no_weights, **self._of_datasets(),
        }  # fmt: skip
        if self.from_tao_runner is not None:
            new_only["--head"] = self.head
        for flag, value in new_only.items():
            if value not in (None, False):
                raise UsageError(
                    f"{flag} cannot be combined with {source}", hint="change experiments.yml afterwards"
                )


def _init_project(
    context: typer.Context,
    options: _Options,
    name: Annotated[
        Optional[str], typer.Argument(help="Name of the project", metavar="NAME", show_default=False)
    ] = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    from taorunner.planning.new_project import new_project

    context.obj.refuse_extra()
    root = workspace or context.obj.workspace
    options.refuse(name)
    if options.is_import:
        return _import(context.obj, root, name, options, json=json)
    if json:
        raise UsageError("--json needs --from-launcher", hint="leave it out, or add --from-launcher DIR")
    if options.from_dataset is not None:
        return _from_dataset(context.obj, root, name or "", options, options.from_dataset)
    made = new_project(
        Path.cwd(), root, name or "", head=options.head or "tinydet", backbone=options.backbone,
        experiment=options.experiment, dataset=options.dataset or "train",
        use_weights=not options.no_weights, release=options.release,
    )  # fmt: skip
    context.obj.root, context.obj.project_found = made.workspace, name
    _show_made(context.obj, made)
    _say_needs(context.obj, options.head or "tinydet")
    return 0


def _show_made(invocation: Invocation, made: NewProject) -> None:
    import sys

    from taorunner.console.base.findings_text import print_text
    from taorunner.console.base.formatting import fill_in_text, made_lines, shown_paths

    for line in made_lines(made.files, Path.cwd()):
        typer.echo(line)
    invocation.note(f"weights   {made.start.says}")
    if made.start.hint is not None:
        invocation.note(f"          ({made.start.hint})")
    if made.fill_ins:
        print_text(sys.stdout, fill_in_text(made.fill_ins))
    invocation.next_steps([shown_paths(made.next_step, Path.cwd())])


def _say_needs(invocation: Invocation, head: str) -> None:
    """Warns of packages that a network of this package needs and that are not installed. TAO's networks, which run in
    containers, need none."""
    import os
    import sys
    from dataclasses import replace

    from taorunner.backends.registry import load_backend
    from taorunner.console.base.findings_text import print_findings
    from taorunner.console.base.theme import make_console
    from taorunner.errors import Severity
    from taorunner.targets import NetworkKind, default_target

    target = default_target(invocation.networks().load(head).framework)
    if target.networks is not NetworkKind.EMBEDDED:
        return
    missing = [one for one in load_backend(target.name).check() if one.is_error]
    warnings = [replace(one, severity=Severity.WARNING) for one in missing]
    if warnings:
        print_findings(make_console(sys.stderr, os.environ), warnings, counts=False)


def _from_dataset(
    invocation: Invocation, root: Path | None, name: str, options: _Options, given: Path
) -> int:
    import os
    import sys

    from taorunner.cli.dataset_folders import check_format
    from taorunner.cli.long_work import cleaning_up
    from taorunner.console.base.download_progress import PullView
    from taorunner.console.pages.datasets.result_view import Progress
    from taorunner.console.pages.new_project_view import print_ready_project
    from taorunner.datasets.files.output_folders import Way
    from taorunner.planning.project_from_dataset import FromDataset, project_from_dataset

    source = Path(os.path.abspath(given.expanduser()))  # noqa: PTH100 (resolve() follows links)
    head = _checked(options, source)
    check_format(options.from_)
    wanted = FromDataset(
        name, source, head, options.backbone, options.experiment, options.dataset, options.val or 0.2,
        options.from_, Way.COPY if options.copy else Way.REFER if options.in_place else Way.LINK,
        with_weights=not options.no_weights, skip_bad=options.skip_bad, release=options.release,
    )  # fmt: skip
    with cleaning_up(dataset=str(given)), Progress(is_quiet=invocation.is_quiet) as progress:
        watcher = PullView(sys.stderr, os.environ, plain=False, quiet=invocation.is_quiet)
        made = project_from_dataset(Path.cwd(), root, wanted, os.environ, progress, watcher)
    invocation.root, invocation.project_found = made.paths.root.parent.parent, name
    print_ready_project(made, wanted, Path.cwd(), is_quiet=invocation.is_quiet)
    _say_needs(invocation, head)
    invocation.next_steps(made.next_steps, in_turn=True)
    return ExitCode.DONE


def _checked(options: _Options, source: Path) -> str:
    """The network. Raises UsageError for options that do not fit the dataset."""
    if options.head is None:
        raise UsageError("--from-dataset needs --head", hint='"taorunner networks" lists the networks')
    if options.copy and options.in_place:
        raise UsageError("--copy cannot be combined with --in-place", hint="choose one of them")
    if options.val is not None and not 0 < options.val < 1:
        raise UsageError(f"--val cannot be {options.val:g}", hint="a share above 0 and below 1, such as 0.2")
    if not source.exists():
        raise UsageError(f'there is no dataset "{source}"', hint="give a folder or an archive")
    if options.in_place and source.is_file():
        raise UsageError(
            "--in-place needs a folder, not an archive", hint="leave --in-place out, or unpack it"
        )
    return options.head


def _add(
    context: typer.Context,
    experiment: Annotated[
        str, typer.Argument(help="Name of the experiment", metavar="EXPERIMENT", show_default=False)
    ],
    head: Annotated[Optional[str], option("--head", "Network of the experiment", word="HEAD")] = None,
    backbone: Annotated[
        Optional[str], option("--backbone", "Backbone of the experiment", word="BACKBONE")
    ] = None,
    like: Annotated[
        Optional[str], option("--like", "Copy the entry and the specs of this one", word="EXPERIMENT")
    ] = None,
    dataset: Annotated[
        Optional[str],
        option("--dataset", "Folder below data/ [default: that of the others]", word="NAME"),
    ] = None,
    release: Annotated[
        Optional[str], option("--release", "TAO release that it is for", word="RELEASE")
    ] = None,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    import sys

    from taorunner.console.base.findings_text import print_text
    from taorunner.console.base.formatting import fill_in_text, made_lines, shown_path
    from taorunner.planning.add_experiment import NewExperiment, add_experiment
    from taorunner.planning.first_steps import first_steps, has_data

    context.obj.refuse_extra()
    root = context.obj.open_workspace(workspace)
    name, experiment = context.obj.experiment_named(root, experiment, project)
    if like is not None and like.startswith(f"{name}/"):
        like = like.removeprefix(f"{name}/")
    added = add_experiment(root, name, NewExperiment(experiment, head, backbone, like, dataset, release))
    if json:
        return _print_added(name, experiment, added)
    if added.line is not None:
        file = shown_path(added.experiments_file, Path.cwd())
        typer.echo(f"changed {file} ({experiment}, line {added.line})")
    for line in made_lines(added.made, Path.cwd()):
        typer.echo(line.replace("made ", "made    ", 1) + (f" (copy of {like})" if like else ""))
    if added.fill_ins:
        print_text(sys.stdout, fill_in_text(added.fill_ins))
    if head is not None:
        _say_needs(context.obj, head)
    steps = (f"validate {name}",) if added.fill_ins else first_steps(root, name, experiment)
    if added.fill_ins and added.to_convert is None and has_data(root, name, experiment):
        steps = (f"specs refresh {experiment}", *steps)
    if added.to_convert is not None:
        steps = (f"dataset convert {added.to_convert} -e {experiment}", *steps)
    context.obj.next_steps([f"taorunner {step}" for step in steps], in_turn=True)
    return 0


def _print_added(project: str, experiment: str, added: Added) -> int:
    import sys

    from taorunner.console.base.json_output import write_json

    write_json({"project": project, "experiment": experiment, **added.to_json()}, sys.stdout.buffer)
    return 0


def _imported(root: Path | None, name: str | None, options: _Options) -> Migration:
    import os

    from taorunner.importers.import_project import from_launcher, from_skill_bank, from_tao_runner

    if options.from_tao_runner is not None:
        return from_tao_runner(Path.cwd(), root, name, options.from_tao_runner, environ=os.environ)
    assert name is not None
    if options.from_skill_bank is not None:
        given = options.from_skill_bank
        return from_skill_bank(Path.cwd(), root, name, given, head=options.head, environ=os.environ)
    assert options.from_launcher is not None
    return from_launcher(
        Path.cwd(), root, name, options.from_launcher, mounts_file=options.mounts_file, head=options.head,
        environ=os.environ,
    )  # fmt: skip


def _import(
    invocation: Invocation, root: Path | None, name: str | None, options: _Options, *, json: bool
) -> int:
    import os
    import sys

    from taorunner.console.base.findings_text import print_findings
    from taorunner.console.base.formatting import shown_path
    from taorunner.console.base.json_output import write_json
    from taorunner.console.base.theme import make_console
    from taorunner.console.base.typed_commands import place_of
    from taorunner.console.pages.import_view import print_source_lines
    from taorunner.errors import has_errors

    imported = _imported(root, name, options)
    code = ExitCode.USER_FILES if has_errors(imported.findings) else ExitCode.DONE
    for path in imported.made:
        place = place_of(path / "experiments.yml")
        if place is not None:
            invocation.root, invocation.project_found = place.root, place.project
    if json:
        write_json(imported.to_json(), sys.stdout.buffer)
        return code
    for path in imported.made:
        typer.echo(f"made {shown_path(path, Path.cwd())}")
    print_source_lines(sys.stdout, imported.lines, Path.cwd())
    if imported.findings:
        print_findings(make_console(sys.stderr, os.environ), imported.findings)
    invocation.next_steps([imported.next_step])
    return code
