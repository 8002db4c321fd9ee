"""``dataset``: turns the export of an annotation tool into a format that TAO reads. Runs on the host, without a
container."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from taorunner.cli.commands.results import dataset_evaluate
from taorunner.cli.dataset_folders import (
    answer_keeper,
    check_format,
    dataset_folder,
    known_word,
    output_folder,
    project_view,
    refuse_archive,
    say_next,
)
from taorunner.cli.dataset_for_network import Target, Wanted, convert_for_network
from taorunner.cli.help_pages import add_command, make_group
from taorunner.cli.long_work import cleaning_up, named
from taorunner.cli.option_sets import with_options
from taorunner.cli.options import (
    FromOption,
    JsonOption,
    ProjectOption,
    VerboseOption,
    WorkspaceOption,
    option,
)
from taorunner.errors import Finding, Severity, UsageError

if TYPE_CHECKING:
    from taorunner.console.pages.datasets.result_view import Progress
    from taorunner.datasets.checks.report import CheckReport
    from taorunner.datasets.repair.run import Repair
    from taorunner.datasets.transform.archive_source import Source


def register(app: typer.Typer) -> None:
    group = make_group("Check, convert, split, resize and count datasets")
    add_command(
        group,
        "convert",
        with_options(_convert),
        "Write another format, or what a network reads",
        "taorunner dataset convert ~/export --to coco",
        "taorunner dataset convert parts --for detectnet_v2",
    )
    add_command(
        group,
        "check",
        _check,
        "Find what TAO cannot read or learn from",
        "taorunner dataset check parts --deep",
    )
    add_command(
        group,
        "split",
        with_options(_split),
        "Split a dataset into train, val and test",
        "taorunner dataset split parts --val 0.1",
    )
    add_command(
        group,
        "stats",
        _stats,
        "Count classes, boxes and sizes; draw samples",
        "taorunner dataset stats parts",
    )
    add_command(
        group,
        "resize",
        _resize,
        "Resize all images and their labels",
        "taorunner dataset resize parts --size 960x544",
    )
    dataset_evaluate.register(group)
    app.add_typer(group, name="dataset")


DatasetArgument = Annotated[
    str,
    typer.Argument(
        help="Folder, archive, or name below the project's data/", metavar="DATASET", show_default=False
    ),
]
OverwriteOption = Annotated[bool, option("--overwrite", "Replace the new folder")]


def _convert(
    context: typer.Context,
    dataset: DatasetArgument,
    options: Target,
    from_: FromOption = None,
    output: Annotated[
        Optional[Path],
        option("--output", "-o", "Write here [default: data/DATASET_FORMAT]", word="DIR"),
    ] = None,
    overwrite: OverwriteOption = False,
    skip_bad: Annotated[bool, option("--skip-bad", "Leave out what cannot be read")] = False,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    from taorunner.console.pages.datasets.result_view import print_conversion
    from taorunner.datasets.transform.convert import convert
    from taorunner.datasets.transform.folder_datasets import TARGETS as FOLDER_TARGETS
    from taorunner.datasets.transform.folder_datasets import lay_out
    from taorunner.datasets.transform.texts import lay_out_texts
    from taorunner.datasets.writers.tao_formats import TARGETS
    from taorunner.datasets.writers.texts import TEXT_TARGETS

    context.obj.refuse_extra()
    if options.is_for_network():
        check_format(from_)
        wanted = Wanted(dataset, options, output, from_, overwrite, skip_bad, project, workspace)
        return convert_for_network(context.obj, wanted.of_experiment(context.obj), json=json)
    to = options.to or "kitti"
    known_word("--to", to, (*TARGETS, *FOLDER_TARGETS, *TEXT_TARGETS))
    check_format(from_)
    if to in FOLDER_TARGETS and from_ is not None:
        raise UsageError(f"--to {to} takes no --from", hint=f"it arranges folders of images: --to {to} alone")
    source, data = dataset_folder(context.obj, dataset, project, workspace)
    output = output_folder(output, source, data, to)
    with _reading(context, dataset, source, output, overwrite=overwrite) as (read, progress):
        if to in FOLDER_TARGETS:
            done = lay_out(read.folder, output, to=to, overwrite=overwrite, skip_bad=skip_bad)
        else:
            write = lay_out_texts if to in TEXT_TARGETS else convert
            done = write(
                read.folder, output, to=to, from_=from_, overwrite=overwrite, skip_bad=skip_bad,
                progress=progress,
            )  # fmt: skip
        done = _named(read.result(done), dataset)
    print_conversion(done, json=json)
    if json:
        return 0
    if done.format == done.target:
        other = "" if options.to else "; --to FORMAT names another format"
        context.obj.note(f'"{dataset}" was {done.format} already: this is a copy of it{other}')
    say_next(context.obj, data, output, to)
    return 0


def _checked(
    source: Path, from_: str | None, readings: Sequence[Any], progress: Any, *, deep: bool
) -> CheckReport:
    """The report of the files. Where only a network of the project reads the layout, it has no findings of its own."""
    from taorunner.datasets.checks.report import CheckReport
    from taorunner.datasets.checks.run import check_dataset
    from taorunner.errors import UserFilesError

    try:
        return check_dataset(
            source, from_=from_, deep=deep, needs=[reading.needs for reading in readings],
            progress=lambda done, total: progress("checked", done, total),
        )  # fmt: skip
    except UserFilesError:
        if from_ is not None or not any(reading.is_own_layout for reading in readings):
            raise
        return CheckReport(readings[0].network)


def _check(
    context: typer.Context,
    dataset: DatasetArgument,
    from_: FromOption = None,
    deep: Annotated[bool, option("--deep", "Decode every image")] = False,
    fix: Annotated[bool, option("--fix", "Repair what is safe; keep a copy of the dataset")] = False,
    output: Annotated[
        Optional[Path],
        option("--output", "-o", "Write the result of --fix here", word="DIR"),
    ] = None,
    overwrite: OverwriteOption = False,
    full: Annotated[bool, option("--full", "Show every finding, not the first of each kind")] = False,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
    verbose: VerboseOption = False,
    json: JsonOption = False,
) -> int:
    from taorunner.console.pages.datasets.check_view import print_check, repair_finding
    from taorunner.console.pages.datasets.result_view import Progress
    from taorunner.datasets.transform.archive_source import source_folder
    from taorunner.errors import ExitCode, has_errors

    context.obj.refuse_extra()
    check_format(from_)
    if not fix and (output is not None or overwrite):
        raise UsageError("--output and --overwrite need --fix", hint="add --fix")
    source, data = dataset_folder(context.obj, dataset, project, workspace)
    if fix:
        refuse_archive(source, "--fix repairs a folder, not an archive")
    of_specs, readings = project_view(data, source)
    repair = None
    with cleaning_up(dataset=dataset, code="dataset-unreadable"):
        if fix:
            repair = _repaired(context, source, output, from_=from_, overwrite=overwrite)
            source = repair.output
        keep = answer_keeper(data, source, readings) if from_ is None else None
        with (
            Progress(is_quiet=context.obj.is_quiet) as progress,
            source_folder(source, progress=progress) as read,
        ):
            report = _checked(read.folder, from_, readings, progress, deep=deep)
            report.findings = list(read.named(report.findings))
    if keep is not None:
        keep(report.findings, report.images)
    report.findings = [*named(report.findings, dataset), *of_specs]
    if not deep:
        report.findings.append(_not_decoded(dataset, project))
    if repair is not None:
        report.findings.append(repair_finding(repair))
    is_verbose = verbose or context.obj.is_verbose
    print_check(report, json=json, full=full or is_verbose, with_infos=is_verbose)
    return ExitCode.USER_FILES if has_errors(report.findings) else ExitCode.DONE


def _repaired(
    context: typer.Context, source: Path, output: Path | None, *, from_: str | None, overwrite: bool
) -> Repair:
    """Repairs and prints what was repaired: the check, which follows, may fail."""
    from taorunner.console.pages.datasets.check_view import print_repair
    from taorunner.console.pages.datasets.result_view import Progress
    from taorunner.datasets.repair.run import fix_dataset
    from taorunner.datasets.transform.convert import refuse_overlap

    if output is not None:
        refuse_overlap(source, output.absolute())
    with Progress(is_quiet=context.obj.is_quiet) as progress:
        repair = fix_dataset(
            source, output.absolute() if output else None, from_=from_, overwrite=overwrite,
            progress=lambda done, total: progress("repairing", done, total),
        )  # fmt: skip
    print_repair(repair)
    return repair


@dataclass(frozen=True, slots=True)
class _SplitOptions:
    val: Annotated[float, option("--val", "Put this share of the images into val", word="SHARE")] = 0.2
    test: Annotated[float, option("--test", "Put this share of the images into test", word="SHARE")] = 0.0
    seed: Annotated[int, option("--seed", "Set the seed of the split", word="N")] = 42
    group: Annotated[
        Optional[str],
        option("--group", "Keep paths with the same match together", word="PATTERN"),
    ] = None
    merge: Annotated[bool, option("--merge", "Split existing val and test again, too")] = False


def _split(
    context: typer.Context,
    dataset: DatasetArgument,
    options: _SplitOptions,
    from_: FromOption = None,
    output: Annotated[
        Optional[Path],
        option("--output", "-o", "Write here [default: data/DATASET_split]", word="DIR"),
    ] = None,
    overwrite: OverwriteOption = False,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    from taorunner.console.pages.datasets.split_view import print_split
    from taorunner.datasets.transform.split import split_dataset

    context.obj.refuse_extra()
    check_format(from_)
    source, data = dataset_folder(context.obj, dataset, project, workspace)
    target = output_folder(output, source, data, "split")
    val, test = options.val, options.test
    shares = {"train": round(1 - val - test, 9), "val": val, **({"test": test} if test else {})}
    with _reading(context, dataset, source, target, overwrite=overwrite) as (read, progress):
        split = split_dataset(
            read.folder, target, shares=shares, seed=options.seed, from_=from_, group=options.group,
            merge=options.merge, overwrite=overwrite, progress=progress,
        )  # fmt: skip
        split = _named(read.result(split), dataset)
    print_split(split, json=json)
    if not json:
        say_next(context.obj, data, target, split.target)
    return 0


def _stats(
    context: typer.Context,
    dataset: DatasetArgument,
    from_: FromOption = None,
    html: Annotated[
        Optional[Path],
        option("--html", "Write a page with histograms and sample images", word="FILE"),
    ] = None,
    samples: Annotated[
        int, option("--samples", "Show this number of images on the page", word="N", min=0, max=200)
    ] = 24,
    overwrite: Annotated[bool, option("--overwrite", "Replace the page")] = False,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    from taorunner.console.pages.datasets.stats_view import print_stats
    from taorunner.datasets.report.html_page import write_page
    from taorunner.datasets.report.stats import choose_samples, read_stats

    context.obj.refuse_extra()
    check_format(from_)
    source, _ = dataset_folder(context.obj, dataset, project, workspace)
    with _reading(context, dataset, source) as (read, progress):
        stats, counted = read_stats(read.folder, progress, from_=from_)
        stats = _named(read.result(stats), dataset)
        if html is not None:
            chosen = choose_samples(counted.images, samples)
            write_page(html.absolute(), stats, chosen, overwrite=overwrite, progress=progress)
    print_stats(stats, json=json)
    if html is not None:
        from taorunner.console.base.formatting import shown_path

        context.obj.note(f"made {shown_path(html.absolute(), Path.cwd())}")
    return 0


def _resize(
    context: typer.Context,
    dataset: DatasetArgument,
    size: Annotated[str, option("--size", "Resize to this size, such as 960x544", word="WIDTHxHEIGHT")],
    from_: FromOption = None,
    letterbox: Annotated[bool, option("--letterbox", "Keep proportions and add a border")] = False,
    output: Annotated[
        Optional[Path],
        option("--output", "-o", "Write here [default: data/DATASET_WIDTHxHEIGHT]", word="DIR"),
    ] = None,
    overwrite: OverwriteOption = False,
    processes: Annotated[
        Optional[int],
        option("--processes", "Use this number of processes [default: all cores]", word="N", min=1),
    ] = None,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> int:
    from taorunner.console.pages.datasets.result_view import print_resize
    from taorunner.datasets.transform.resize import parse_size, resize_dataset

    context.obj.refuse_extra()
    check_format(from_)
    wanted = parse_size(size)
    source, data = dataset_folder(context.obj, dataset, project, workspace)
    target = output_folder(output, source, data, f"{wanted[0]}x{wanted[1]}")
    with _reading(context, dataset, source, target, overwrite=overwrite) as (read, progress):
        done = resize_dataset(
            read.folder, target, size=wanted, from_=from_, letterbox=letterbox, processes=processes,
            overwrite=overwrite, progress=progress,
        )  # fmt: skip
        done = _named(read.result(done), dataset)
    print_resize(done, json=json)
    if not json:
        say_next(context.obj, data, target, done.target)
    return 0


@contextmanager
def _reading(
    context: typer.Context, dataset: str, source: Path, result: Path | None = None, *, overwrite: bool = False
) -> Iterator[tuple[Source, Progress]]:
    """The dataset, unpacked when it is an archive, and the line that shows the progress."""
    from taorunner.console.pages.datasets.result_view import Progress
    from taorunner.datasets.transform.archive_source import source_folder

    with (
        cleaning_up(dataset=dataset),
        Progress(is_quiet=context.obj.is_quiet) as progress,
        source_folder(source, result, overwrite=overwrite, progress=progress) as read,
    ):
        yield read, progress


def _named(done: Any, dataset: str) -> Any:
    """What a command gives back, with hints that name the dataset as it was typed."""
    return replace(done, findings=named(done.findings, dataset)) if hasattr(done, "findings") else done


def _not_decoded(dataset: str, project: str | None) -> Finding:
    message = "not checked: whether every image can be decoded, and near duplicates of images"
    command = f"taorunner dataset check {dataset} --deep" + (f" -p {project}" if project else "")
    return Finding(Severity.INFO, "not-checked", message, f"{command} checks it")
