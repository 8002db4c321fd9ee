"""Which project a command line means, and which one it could mean where none is named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from taorunner.errors import UsageError
from taorunner.project.workspace import UnnamedProjectError, Workspace, find_project

_SHOWN = 4


def named_project(
    workspace: Workspace,
    start: Path,
    given: str | None,
    environ: Mapping[str, str],
    experiments: Sequence[str] = (),
) -> str:
    """As ``find_project``. Where none is named and there are several, the hint names those that have ``experiments``.

    Raises UsageError and UserFilesError.
    """
    try:
        return find_project(workspace, start, given, environ)
    except UnnamedProjectError as error:
        plain = [name for name in experiments if "/" not in name]
        owners = owners_of(workspace, plain) if plain else []
        if not owners:
            raise
        raise UsageError(error.message, hint=_add(owners, plain[0])) from None


def owners_of(workspace: Workspace, experiments: Iterable[str]) -> list[str]:
    """The projects that have all of these experiments."""
    from taorunner.project.load import load_project

    wanted = {*experiments}
    return [name for name in workspace.project_names() if wanted <= {*load_project(workspace, name).names}]


def project_with_dataset(workspace: Workspace, dataset: str, error: UnnamedProjectError) -> UsageError:
    """The error for a dataset that is not where the command was typed, and no project is named."""
    from taorunner.text import printable

    names = workspace.project_names()
    owners = [name for name in names if workspace.project(name).dataset_dir(dataset).exists()]
    if owners:
        return UsageError(error.message, hint=_add(owners, dataset))
    shown = printable(dataset)
    return UsageError(
        f'there is no dataset "{shown}" here, nor below data/ of a project',
        hint="give the path of a folder or an archive, or the name of a dataset with -p PROJECT",
    )


def _add(owners: Sequence[str], name: str) -> str:
    from taorunner.text import printable

    shown = " or ".join(f"-p {owner}" for owner in owners[:_SHOWN])
    return f'add {shown}, which {"has" if len(owners) == 1 else "have"} "{printable(name)}"'
