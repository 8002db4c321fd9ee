"""``pretrained list`` and ``pull``: pretrained models from NGC and Hugging Face."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from taorunner.cli.help_pages import add_command, make_group
from taorunner.cli.options import JsonOption, PlainOption, ProjectOption, WorkspaceOption, option
from taorunner.errors import ExitCode, MachineError, TaorunnerError, UsageError, UserFilesError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taorunner.console.base.download_progress import PullView
    from taorunner.pretrained.api_key import ApiKey
    from taorunner.pretrained.bundled_list import KnownModel
    from taorunner.pretrained.names import HubModel, NgcModel
    from taorunner.pretrained.ngc import Ngc
    from taorunner.project.workspace import Workspace


def register(app: typer.Typer) -> None:
    group = make_group("List and download pretrained weights")
    summary = "List models, the versions of one, or its files"
    add_command(
        group, "list", _list, summary, "taorunner pretrained list", "taorunner pretrained list rtdetr"
    )
    summary = "Download weights [default: what a project needs]"
    add_command(group, "pull", _pull, summary, "taorunner -p parts pretrained pull")
    app.add_typer(group, name="pretrained")


def _list(
    context: typer.Context,
    name: Annotated[
        Optional[str],
        typer.Argument(help="A network, or a model on NGC", metavar="HEAD|MODEL", show_default=False),
    ] = None,
    offline: Annotated[bool, option("--offline", "Show only the list that comes with taorunner")] = False,
    json: JsonOption = False,
) -> int:
    from taorunner.catalog.load import Catalog
    from taorunner.console.pages.pretrained_view import print_files, print_known, print_versions
    from taorunner.pretrained.bundled_list import known_models, known_networks, models_for

    context.obj.refuse_extra()
    if name is None or name in known_networks():
        listed = models_for(name) if name else known_models()
        print_known(listed, _keys(name, listed) if name else None, json=json)
        return ExitCode.DONE
    if (layout := Catalog().layout(name)) is not None:
        without = layout.facts.get("without_weights", "not known")
        message = f'no weights that "{name}" starts from are known'
        raise UserFilesError(message, hint=f"without weights: {without}")
    from taorunner.pretrained.names import HubModel, parse_model
    from taorunner.text import did_you_mean

    model = parse_model(name)
    if offline or isinstance(model, HubModel):
        named = name if isinstance(model, HubModel) else str(model)
        found = [
            known for known in known_models() if known.name == named or known.name.startswith(f"{named}:")
        ]
        if not found:
            names = [*known_networks(), *(known.name for known in known_models())]
            raise UsageError(
                f'the list that comes with taorunner has no "{name}"', hint=did_you_mean(name, names)
            )
        print_known(found, json=json)
        return ExitCode.DONE
    with _connected(_watcher(plain=True, quiet=True), jobs=1) as ngc:
        if model.version:
            print_files(ngc.files(model), json=json)
        else:
            print_versions(ngc.versions(model), json=json)
    return ExitCode.DONE


def _keys(head: str, models: Sequence[KnownModel]) -> dict[str, str]:
    """By model, the key that its layout gives, else that of its role in the training spec."""
    from taorunner.catalog.load import Catalog

    catalog = Catalog()
    layout = catalog.layout(head)
    if layout is None:
        return {}
    spec = catalog.network(head).contract("train").spec
    roles = spec.keys if spec is not None else {}
    keys = {
        one.name: roles.get("pretrained_backbone" if one.role == "backbone" else "pretrained")
        for one in models
    }
    own = {one.model: one.key for one in layout.weights}
    return {name: key for name, key in (keys | own).items() if key is not None}


def _pull(
    context: typer.Context,
    models: Annotated[
        Optional[list[str]],
        typer.Argument(
            help="nvidia/tao/NAME:VERSION, or hf://ORG/REPOSITORY", metavar="MODEL", show_default=False
        ),
    ] = None,
    project: ProjectOption = None,
    workspace: WorkspaceOption = None,
    source: Annotated[
        Optional[Path],
        option("--from", "Copy from this folder, without a network", word="DIR"),
    ] = None,
    offline: Annotated[bool, option("--offline", "Download nothing; report what is missing")] = False,
    jobs: Annotated[
        int, option("--jobs", "-j", "Download at most N files at once", word="N", min=1, max=32)
    ] = 4,
    json: JsonOption = False,
    plain: PlainOption = False,
) -> int:
    import sys

    from taorunner.console.base.json_output import write_json

    context.obj.refuse_extra()
    root = context.obj.open_workspace(workspace)
    if models:
        wanted = [_named(root, text) for text in dict.fromkeys(models)]
    else:
        wanted = _needed(root, context.obj.project_name(root, project), quiet=json or context.obj.is_quiet)
    with _watcher(plain=plain, quiet=json or context.obj.is_quiet) as watcher:
        try:
            if source is not None:
                done = _copied(wanted, source, watcher)
            else:
                done = _standing(wanted, watcher) if offline else _fetched(wanted, jobs, watcher)
        except KeyboardInterrupt:
            typer.echo("interrupted: the same command continues from here", err=True)
            return ExitCode.INTERRUPTED
        for pulled in done if source is not None or not offline else ():
            watcher.tells(f"{pulled.model} is in {pulled.folder}")
    if json:
        write_json([pulled.to_json() for pulled in done], sys.stdout.buffer)
    return ExitCode.DONE


def _named(root: Workspace, text: str) -> tuple[NgcModel | HubModel, Path]:
    from taorunner.planning.checkpoints.checkpoint_files import pretrained_dir
    from taorunner.pretrained.bundled_list import known_networks, models_for
    from taorunner.pretrained.names import parse_model

    if text in known_networks():
        names = ", ".join(known.name for known in models_for(text)[:4])
        hint = f"choose one, such as {names}; taorunner pretrained list {text} shows them"
        raise UsageError(f'"{text}" is a network, not a model', hint=hint)
    model = parse_model(text)
    if model.version is None:
        raise UsageError(
            f'the version of "{model}" is missing',
            hint=f"taorunner pretrained list {model} shows the versions",
        )
    return model, pretrained_dir(root.repositories_dir, model.name, model.version)


def _needed(root: Workspace, project: str, *, quiet: bool) -> list[tuple[NgcModel | HubModel, Path]]:
    """All needed weights, also those present: a pull checks that they are complete."""
    from taorunner.planning.weights.needed import needed_weights
    from taorunner.pretrained.bundled_list import model_of
    from taorunner.pretrained.names import parse_model
    from taorunner.pretrained.pull import origin_of

    needed = needed_weights(root, project)
    if not (needed or quiet):
        typer.echo(f'no experiment of "{project}" starts from pretrained weights', err=True)
    wanted: list[tuple[NgcModel | HubModel, Path]] = []
    for each in needed:
        origin = origin_of(each.folder) or ""
        is_hub = origin.startswith("hf://")
        model = parse_model(origin) if is_hub else model_of(each.repository, each.backbone)
        wanted.append((model, each.folder))
    return wanted


def _copied(wanted: list[tuple[NgcModel | HubModel, Path]], source: Path, watcher: PullView) -> list[Any]:
    from taorunner.pretrained.pull import copy_from

    return [
        copy_from(str(model), source.expanduser().absolute(), folder, watcher) for model, folder in wanted
    ]


def _fetched(wanted: list[tuple[NgcModel | HubModel, Path]], jobs: int, watcher: PullView) -> list[Any]:
    """Gets all file lists first, so that all wrong names are reported at once; then downloads the files.

    Weights that are present but cannot be compared with NGC are checked against the record of their pull.
    """
    import os

    from taorunner.pretrained.huggingface import pull_hub_model
    from taorunner.pretrained.names import HubModel
    from taorunner.pretrained.pull import pull_files
    from taorunner.pretrained.verify import may_be_pulled

    if not wanted:
        return []
    done: list[Any] = []
    errors: list[TaorunnerError] = []
    lists, apart = {}, {}
    with _connected(watcher, jobs, is_needed=not all(folder.is_dir() for _, folder in wanted)) as ngc:
        for model, folder in wanted:
            try:
                if not isinstance(model, HubModel):
                    lists[model] = ngc.files(model)
            except (UserFilesError, MachineError) as error:
                if folder.is_dir():
                    apart[model] = error.message
                elif isinstance(error, UserFilesError):
                    errors.append(error)
                else:
                    raise
        _raise_all(errors, "models cannot be pulled")
        for model, folder in wanted:
            if isinstance(model, HubModel):
                done.append(pull_hub_model(model, folder, watcher, os.environ))
            elif model in lists and may_be_pulled(folder, lists[model], watcher):
                done.append(
                    pull_files(
                        str(model), lists[model], folder, ngc.addresses(model), ngc.wire, watcher, jobs
                    )
                )
    return done + _standing([(model, folder) for model, folder in wanted if model in apart], watcher, apart)


def _standing(
    wanted: list[tuple[NgcModel | HubModel, Path]], watcher: PullView, reasons: dict[Any, str] | None = None
) -> list[Any]:
    """Checks weights without a network. Raises UserFilesError with all that are missing or changed since their pull."""
    from taorunner.pretrained.verify import verify_local

    done: list[Any] = []
    errors: list[TaorunnerError] = []
    for model, folder in wanted:
        try:
            done.append(verify_local(str(model), folder))
        except UserFilesError as error:
            errors.append(error)
            continue
        how = "as pulled" if done[-1].files else "without a record of its files"
        reason = f"; not compared with NGC: {reasons[model]}" if reasons else ""
        watcher.tells(f"{folder} already present, {how}{reason}")
    _raise_all(errors, "models are missing or damaged")
    return done


def _raise_all(errors: list[TaorunnerError], what: str) -> None:
    from taorunner.errors import Finding, Severity

    if len(errors) == 1:
        raise errors[0]
    if errors:
        findings = [Finding(Severity.ERROR, "no-such-model", e.message, e.hint) for e in errors]
        raise UserFilesError(f"{len(errors)} {what}", findings=findings)


def _connected(watcher: PullView, jobs: int, *, is_needed: bool = True) -> Ngc:
    """``is_needed`` is False when all weights are present: then no key is asked for, and timeouts are short."""
    import os

    from taorunner.pretrained.http import Patience, Wire
    from taorunner.pretrained.ngc import Ngc

    patience = Patience(5 if is_needed else 2, tell=watcher.tells)
    return Ngc(Wire(patience, connections=jobs), os.environ, lambda: _key(watcher, asks=is_needed))


def _watcher(*, plain: bool, quiet: bool) -> PullView:
    import os
    import sys

    from taorunner.console.base.download_progress import PullView

    return PullView(sys.stderr, os.environ, plain=plain, quiet=quiet)


def _key(watcher: PullView, *, asks: bool) -> ApiKey | None:
    """The key from the environment or NGC's own file, or typed at the terminal. It is not stored."""
    import getpass
    import os
    import sys

    from taorunner.pretrained.api_key import ApiKey, find_key

    found = find_key(os.environ, Path.home())
    if found is not None or not asks:
        return found
    with watcher.paused():  # Rich puts a stream of its own in place of stderr while it draws
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            return None
        try:
            key = ApiKey(getpass.getpass("NGC API key (not shown, not stored): ", stream=sys.stderr))
        except EOFError:
            return None
    return key if key.is_usable else None
