"""Which folder a dataset command means, where its result goes, and the project around it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taorunner.cli.which_project import project_with_dataset
from taorunner.console.base.typed_commands import below_data, place_of, project_option
from taorunner.errors import Finding, UsageError
from taorunner.project.workspace import UnnamedProjectError

if TYPE_CHECKING:
    from taorunner.cli.options import Invocation

_ANNOTATIONS = (".json", ".jsonl", ".ndjson", ".xml", ".csv", ".txt", ".yaml", ".yml")


def output_folder(output: Path | None, source: Path, data: Path | None, word: str) -> Path:
    """``output``, or a new folder in the project's ``data/``. Raises UsageError when neither is known."""
    if output is not None:
        return output.absolute()
    if data is None:
        raise UsageError("--output is missing: the dataset is in no project", hint="add --output DIR")
    if source.is_file():
        from taorunner.datasets.files.archives.members import stem_of

        source = source.with_name(stem_of(source))
    name = source.relative_to(data).as_posix() if source.is_relative_to(data) else source.name
    return data / f"{name}_{word}"


def project_view(data: Path | None, source: Path) -> tuple[list[Finding], list[Any]]:
    """What the specs of the project around ``data`` say against the dataset, and the different ways in which they read
    it; nothing without a project."""
    place = place_of(data)
    if place is None or place.project is None or source.is_file():
        return [], []
    from taorunner.planning.validate import dataset_findings
    from taorunner.project.workspace import Workspace

    return dataset_findings(Workspace(place.root), place.project, source, os.environ)


def answer_keeper(
    data: Path | None, source: Path, readings: Sequence[Any]
) -> Callable[[Sequence[Finding], int], None] | None:
    """Keeps the answer for the check before a start, if ``source`` is the dataset of an experiment."""
    own = [reading for reading in readings if reading.folder == source]
    place = place_of(data)
    if place is None or place.project is None or not own:
        return None
    from taorunner.planning.checks.dataset_preflight import DatasetPreflight
    from taorunner.project.workspace import Workspace

    preflight, project = DatasetPreflight(Workspace(place.root)), place.project
    preflight.look(source)
    return lambda findings, images: preflight.keep(project, own, findings, images)


def dataset_folder(
    invocation: Any, dataset: str, project: str | None, workspace: Path | None
) -> tuple[Path, Path | None]:
    """The dataset's folder or its archive, and the ``data`` folder of its project, if there is one.

    Without -p, an existing folder or archive is taken as it is; every other text is a name below ``data/``.
    """
    given = Path(os.path.abspath(Path(dataset).expanduser()))  # noqa: PTH100 (resolve() would follow links)
    if not (project or invocation.project):
        if _is_there(given):
            return given, next((above for above in given.parents if below_data(above) == ()), None)
        _refuse_file(given)
        if dataset.startswith(("/", "~", "./", "../")):  # a path, of no project
            from taorunner.text import printable

            raise UsageError(f'there is no dataset "{printable(dataset)}"', hint=_beside(given))
    root = invocation.open_workspace(workspace)
    try:
        paths = root.project(invocation.project_name(root, project))
    except UnnamedProjectError as error:
        raise project_with_dataset(root, dataset, error) from None
    named = paths.dataset_dir(dataset)
    if _is_there(named):
        return named, paths.data_dir
    if given.is_dir() or _is_archive(given):
        return given, paths.data_dir
    _refuse_file(given, paths.data_dir / dataset)
    from taorunner.text import did_you_mean, printable

    names = sorted(entry.name for entry in paths.data_dir.iterdir()) if paths.data_dir.is_dir() else []
    raise UsageError(
        f'there is no dataset "{printable(dataset)}" in "{printable(str(paths.data_dir))}"',
        hint=did_you_mean(dataset, names) or "move its folder there, or give a path",
    )


def say_next(invocation: Invocation, data: Path | None, output: Path, form: str) -> None:
    """Says on stderr how the experiments of the project get to read the new dataset, which is in ``form``. Nothing
    outside of a project, where no experiment reads that form, and where one reads the dataset already."""
    place = place_of(data)
    if place is None or place.project is None or data is None or not output.is_relative_to(data):
        return
    from taorunner.planning.inputs.workspace_networks import Networks
    from taorunner.planning.project_from_dataset import dataset_name
    from taorunner.project.load import load_project
    from taorunner.project.workspace import Workspace

    workspace = Workspace(place.root)
    networks, name = Networks(workspace.networks_dir), output.relative_to(data).as_posix()
    wanted: dict[str, str] = {}
    for experiment in load_project(workspace, place.project).experiments.values():
        layout = networks.layout(experiment.head) if experiment.head in networks.names else None
        if layout is not None and layout.form == form:
            wanted[experiment.name] = dataset_name(layout, name)
            if experiment.dataset == wanted[experiment.name]:
                return
    if not wanted:
        return
    where = project_option(place.root, place.project)
    if not (output / "train").is_dir() and not (output / "images/train").is_dir():
        invocation.note(f"next: taorunner {where}dataset split {shlex.quote(name)}")
        return
    experiment_name, made = next(iter(wanted.items()))
    invocation.note(f'next: write "dataset: {made}" for {experiment_name} in experiments.yml')
    invocation.note(f"then: taorunner {where}specs refresh {experiment_name}")


def _beside(missing: Path) -> str:
    """The nearest folder beside the missing one, or above it the first that exists."""
    from taorunner.text import nearest, printable

    above = next(folder for folder in missing.parents if folder.is_dir())
    wanted = missing.relative_to(above).parts[0]
    try:
        close = nearest(wanted, sorted(entry.name for entry in above.iterdir() if entry.is_dir()))
    except OSError:
        close = None
    if close is not None:
        return f'did you mean "{printable(str(above / close))}"?'
    return f'"{printable(str(above))}" has no "{printable(wanted)}"; give a folder or an archive'


def _refuse_file(*paths: Path) -> None:
    """Raises UsageError for an annotation file or another file in place of a folder."""
    from taorunner.text import printable

    for path in paths:
        if path.is_file():
            is_text = path.suffix.lower() in _ANNOTATIONS
            what = "an annotation file" if is_text else "a file"
            raise UsageError(
                f'"{printable(str(path))}" is {what}; a dataset is a folder or an archive',
                hint="name the folder that has both the annotations and the images"
                + (f", such as {printable(str(path.parent))}" if is_text else ""),
            )


def refuse_archive(source: Path, message: str) -> None:
    """Raises UsageError with the command that unpacks it."""
    if source.is_file():
        from taorunner.datasets.files.archives.members import by_hand

        raise UsageError(message, hint=by_hand(source))


def _is_there(folder: Path) -> bool:
    """Whether it is a folder or an archive. First undoes a rename that was interrupted by a kill."""
    if _is_archive(folder):
        return True
    if not folder.is_dir():
        from taorunner.datasets.files.atomic_swap import recover

        recover(folder)
    return folder.is_dir()


def _is_archive(path: Path) -> bool:
    from taorunner.datasets.files.archives.unpack import archive_kind

    return path.is_file() and archive_kind(path) is not None


def check_format(from_: str | None) -> None:
    """Raises UsageError for a format that nothing here reads."""
    from taorunner.datasets.formats.recognise import NAMED

    if from_ is not None:
        known_word("--from", from_, NAMED)


def known_word(option: str, value: str, known: tuple[str, ...]) -> None:
    """Raises UsageError with the nearest word."""
    if value not in known:
        from taorunner.text import did_you_mean, printable

        hint = did_you_mean(value, known) or f"known: {', '.join(known)}"
        raise UsageError(f'{option} cannot be "{printable(value)}"', hint=hint)
