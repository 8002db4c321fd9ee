"""Options that several commands share, and what one invocation carries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from taorunner.errors import UsageError, UserFilesError

if TYPE_CHECKING:
    from taorunner.planning.networks import Networks
    from taorunner.project.workspace import Workspace
    from taorunner.runs.handover import Supervisor
    from taorunner.specs.kept_schemas import KeptSchemas


@dataclass
class Invocation:
    """``project`` and ``workspace`` as given before the command; ``extra`` is what stood behind ``--``.

    ``supervisor`` waits for a batch already, when one was started ahead.
    """

    extra: tuple[str, ...] = ()
    has_extra: bool = False
    project: str | None = None
    workspace: Path | None = None
    supervisor: Supervisor | None = None

    def open_workspace(self, given: Path | None = None) -> Workspace:
        import os

        from taorunner.project.workspace import find_workspace

        return find_workspace(Path.cwd(), given or self.workspace, os.environ)

    def networks(self) -> Networks:
        """The catalog, with the workspace's own files where there is a workspace."""
        from taorunner.planning.networks import Networks

        try:
            return Networks(self.open_workspace().networks_dir)
        except UserFilesError:
            return Networks()

    def kept_schemas(self) -> KeptSchemas | None:
        """What images said of their specs, where there is a workspace."""
        from taorunner.specs.kept_schemas import KeptSchemas

        try:
            return KeptSchemas(self.open_workspace().spec_schemas_dir)
        except UserFilesError:
            return None

    def project_name(self, workspace: Workspace, given: str | None) -> str:
        import os

        from taorunner.project.workspace import find_project

        return find_project(workspace, Path.cwd(), given or self.project, os.environ)

    def refuse_extra(self) -> None:
        if self.has_extra:
            raise UsageError(
                f'this command takes nothing behind "--" ("{" ".join(self.extra)}")',
                hint='only actions such as train pass arguments on to TAO',
            )  # fmt: skip


# Typer reads these at run time; `X | None` inside Annotated needs a newer Typer on Python 3.10.
ProjectOption = Annotated[
    Optional[str], typer.Option("--project", "-p", help="Name of the project.", show_default=False)
]
WorkspaceOption = Annotated[
    Optional[Path],
    typer.Option("--workspace", help="Folder of the workspace.", show_default=False, envvar=None),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else.")]
PlainOption = Annotated[bool, typer.Option("--plain", help="One line per event, also on a terminal.")]
ExperimentsArgument = Annotated[
    list[str], typer.Argument(help="Names from experiments.yml.", metavar="EXPERIMENT", show_default=False)
]


def split_pairs(pairs: Sequence[str]) -> dict[str, str]:
    """``["a.b=1"]`` to ``{"a.b": "1"}``. Raises UsageError for anything without ``=``."""
    result: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise UsageError(
                f'--set takes key=value, not "{pair}"', hint="for example --set train.num_epochs=5"
            )
        result[key.strip()] = value
    return result
