"""Options that several commands share, and the state of one invocation."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Optional

import typer

from taorunner.errors import UsageError, UserFilesError

if TYPE_CHECKING:
    from taorunner.planning.inputs.workspace_networks import Networks
    from taorunner.project.workspace import Workspace
    from taorunner.runs.control.spawn import Supervisor
    from taorunner.runs.state.record import RunRecord
    from taorunner.runs.state.store import RunStore
    from taorunner.specs.schema.image_schemas import KeptSchemas


class AskedRuns(NamedTuple):
    """Where a command looks for runs. ``project`` is that of ``-p``, ``near`` the one whose experiments come first."""

    workspace: Workspace
    store: RunStore
    project: str | None
    near: str | None


@dataclass
class Invocation:
    """``project`` and ``workspace`` as given before the command; ``extra`` are the words after ``--``.

    ``supervisor`` is the process started in advance for a batch, if there is one. ``root`` and ``project_found`` are
    the workspace and the project that the command has found to be meant.
    """

    extra: tuple[str, ...] = ()
    has_extra: bool = False
    project: str | None = None
    workspace: Path | None = None
    supervisor: Supervisor | None = None
    is_quiet: bool = False
    is_verbose: bool = False
    root: Path | None = None
    project_found: str | None = None

    def note(self, text: str) -> None:
        """Prints a note on stderr, with commands that work as typed from here. ``-q`` drops it."""
        if not self.is_quiet:
            self._print(self._as_typed(text), on_stderr=True)

    def next_steps(self, steps: Iterable[str], *, in_turn: bool = False, json: bool = False) -> None:
        """Prints ``next: …``, one step a line, on stdout; on stderr where that is for JSON. ``-q`` drops them.

        ``in_turn``: each after the one before, else any of them.
        """
        more = "then: " if in_turn else "      "
        for number, step in enumerate(steps if not self.is_quiet else ()):
            self._print(f"{more if number else 'next: '}{self._as_typed(step)}", on_stderr=json)

    def _as_typed(self, text: str) -> str:
        if "taorunner " not in text or self.root is None:
            return text
        from taorunner.console.base.typed_commands import Place, as_typed

        return as_typed(text, Place(self.root, self.project_found))

    def _print(self, text: str, *, on_stderr: bool) -> None:
        """Folds a long line between words on a terminal."""
        stream = sys.stderr if on_stderr else sys.stdout
        if not stream.isatty():
            typer.echo(text, err=on_stderr)
            return
        from taorunner.console.base.findings_text import print_text

        print_text(stream, text)

    def open_workspace(self, given: Path | None = None) -> Workspace:
        import os

        from taorunner.project.workspace import find_workspace

        found = find_workspace(Path.cwd(), given or self.workspace, os.environ)
        self.root = found.root
        return found

    def networks(self) -> Networks:
        """The catalog, with the workspace's own networks inside a workspace."""
        from taorunner.planning.inputs.workspace_networks import Networks

        try:
            return Networks(self.open_workspace().networks_dir)
        except UserFilesError:
            return Networks()

    def kept_schemas(self) -> KeptSchemas | None:
        """The spec schemas that were read from images; None outside of a workspace."""
        from taorunner.specs.schema.image_schemas import KeptSchemas

        try:
            return KeptSchemas(self.open_workspace().spec_schemas_dir)
        except UserFilesError:
            return None

    def project_name(self, workspace: Workspace, given: str | None, experiments: Sequence[str] = ()) -> str:
        """The project that is meant. ``experiments`` are those of the command line, for the hint where none is named.

        Raises UsageError and UserFilesError.
        """
        import os

        from taorunner.cli.which_project import named_project

        self.root = workspace.root
        named = given or self.project
        self.project_found = named_project(workspace, Path.cwd(), named, os.environ, experiments)
        return self.project_found

    def experiment_named(self, workspace: Workspace, word: str, given: str | None) -> tuple[str, str]:
        """Project and experiment of ``word``: a name, or ``PROJECT/EXPERIMENT``. Raises UsageError as ``select``."""
        from taorunner.planning.selection import one_experiment

        self.root = workspace.root
        self.project_found, name = one_experiment(
            workspace,
            word,
            current=lambda: self.project_name(workspace, given, (word,)),
            named=given or self.project,
        )
        return self.project_found, name

    def project_asked(self, workspace: Workspace, given: str | None) -> str | None:
        """``-p``, before or after the command, checked; None without it. Raises UsageError for an unknown one."""
        from taorunner.project.workspace import find_project

        named = given or self.project
        return find_project(workspace, workspace.root, named, {}) if named is not None else None

    def asked_runs(self, workspace: Path | None, project: str | None) -> AskedRuns:
        """The runs of the workspace that is meant; the options are those behind the command. Raises UsageError."""
        import os

        from taorunner.project.workspace import nearest_project
        from taorunner.runs.state.store import RunStore

        place = self.open_workspace(workspace)
        asked = self.project_asked(place, project)
        near = nearest_project(place, Path.cwd(), os.environ)
        return AskedRuns(place, RunStore(place.state_dir), asked, near)

    def runs_named(
        self,
        store: RunStore,
        workspace: Workspace,
        names: Sequence[str],
        given: str | None,
        *,
        live: bool = False,
    ) -> list[RunRecord]:
        """The runs that words of the command line name, each once; ``given`` is ``-p`` behind the command.

        Without ``-p``, experiments of the current folder's project or TAORUNNER_PROJECT come first. With ``live``, a
        pattern means the runs that have not ended, and a run brings the rest of its chain.

        Raises:
            TaorunnerError: there is no such run or project, or a name fits several runs.
        """
        import os

        from taorunner.project.workspace import nearest_project
        from taorunner.runs.control.named_runs import live_runs, newest_runs

        asked = self.project_asked(workspace, given)
        near = nearest_project(workspace, Path.cwd(), os.environ)
        return live_runs(store, names, asked, near) if live else newest_runs(store, names, asked, near)

    def refuse_extra(self) -> None:
        if self.has_extra:
            raise UsageError(
                f'this command takes no words after "--": "{" ".join(self.extra)}"',
                hint="remove them; only actions such as train pass arguments on to TAO",
            )


def option(
    *flags: str, word: str | None = None, group: str | None = None, default: str | None = None, **checks: Any
) -> Any:
    """An option of a command: its flags, then its help text (imperative, one line).

    ``word`` is the metavariable, ``group`` the heading on the help page, ``default`` the text shown when the signature
    has no default. ``checks`` are passed to Typer (``min``, ``max``, ``callback`` …).
    """
    *names, text = flags
    shown = default if default is not None else True
    return typer.Option(*names, help=text, metavar=word, rich_help_panel=group, show_default=shown, **checks)


# Typer reads these at run time; on Python 3.10 `X | None` inside Annotated needs a newer Typer.
ProjectOption = Annotated[
    Optional[str],
    option("--project", "-p", "Project [default: from the current folder]", word="PROJECT", group="General"),
]
OfProjectOption = Annotated[
    Optional[str],
    option("--project", "-p", "Only runs of this project", word="PROJECT", group="General"),
]
WorkspaceOption = Annotated[
    Optional[Path],
    option("--workspace", "Folder that holds projects/", word="DIR", group="General"),
]
JsonOption = Annotated[bool, option("--json", "Print JSON on stdout and nothing else there", group="General")]
VerboseOption = Annotated[
    bool, option("--verbose", "-v", "Add infos, and every place of a finding", group="General")
]
PlainOption = Annotated[
    bool, option("--plain", "Print one line per event, also on a terminal", group="General")
]
ComparedRunArgument = Annotated[
    str,
    typer.Argument(help="Id, EXPERIMENT (newest success) or EXPERIMENT@2", metavar="RUN", show_default=False),
]
READ_FORMAT = "Read this format instead of the recognised one"
FromOption = Annotated[Optional[str], option("--from", READ_FORMAT, word="FORMAT")]
ExperimentsArgument = Annotated[
    Optional[list[str]],
    typer.Argument(
        help="Names, patterns ('dino_*'), or PROJECT/EXPERIMENT",
        metavar="EXPERIMENT",
        show_default=False,
    ),
]


def split_pairs(pairs: Sequence[str]) -> dict[str, str]:
    """``["a.b=1"]`` to ``{"a.b": "1"}``. Raises UsageError for anything without ``=``."""
    result: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise UsageError(
                f'--set takes KEY=VALUE, not "{pair}"', hint="for example --set train.num_epochs=5"
            )
        result[key.strip()] = value
    return result
