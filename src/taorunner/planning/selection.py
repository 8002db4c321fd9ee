"""Which experiments a command line means: names, patterns, ``PROJECT/EXPERIMENT``, ``--all``. Reads files only.

A pattern has the wildcards of a shell (``*``, ``?``, ``[..]``) and is matched against whole names. A plain name is not
looked up here: the planner says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from taorunner.errors import UsageError, UserFilesError
from taorunner.planning.inputs.precedence import choose_contract
from taorunner.planning.inputs.workspace_networks import Networks
from taorunner.planning.model.request import ActionRequest
from taorunner.planning.spec.spec_files import find_spec, spec_name
from taorunner.project.experiments import Experiment
from taorunner.project.load import Project, load_project
from taorunner.project.workspace import Workspace, known_project
from taorunner.text import is_pattern, is_plain_name, nearest, printable
from taorunner.values.value import Value

_SHOWN = 5


class Selection(Value):
    """``chosen`` are pairs of project and experiment, each once, in the order of the command line.

    ``left_out`` are the experiments that ``--all`` does not take, each with the reason.
    """

    chosen: tuple[tuple[str, str], ...]
    left_out: tuple[tuple[str, str], ...] = ()

    def without(self, reasons: Mapping[str, str], action: str) -> Selection:
        """Leaves out experiments of its one project, each with the reason. ``action`` is named in the error.

        Raises UsageError when none is left.
        """
        chosen = tuple(one for one in self.chosen if one[1] not in reasons)
        left_out = (*self.left_out, *reasons.items())
        if not chosen:
            raise _none_taken(self.chosen[0][0] if self.chosen else "", action, left_out)
        return Selection(chosen, left_out)

    def by_project(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """A project and its experiments, in order; a project comes again where another one is in between."""
        names: list[str] = []
        for number, (project, experiment) in enumerate(self.chosen):
            names.append(experiment)
            if number + 1 == len(self.chosen) or self.chosen[number + 1][0] != project:
                yield project, tuple(names)
                names = []


def matching(pattern: str, names: Sequence[str], kind: str, typed: str | None = None) -> tuple[str, ...]:
    """The names that fit, in their order. ``kind`` is what is named: ``experiment``, ``project``; ``typed`` is the word
    of the command line, where the pattern is a part of it.

    Raises UsageError with the nearest names when none fits.
    """
    found = tuple(name for name in names if fnmatchcase(name, pattern))
    if not found:
        message = f'no {kind} matches "{printable(pattern if typed is None else typed)}"'
        raise UsageError(message, hint=_near(pattern, names, kind))
    return found


def select(
    workspace: Workspace, words: Sequence[str], *, current: Callable[[], str], named: str | None
) -> Selection:
    """The experiments of a command line.

    ``current`` gives the project of a word without one; ``named`` is that of ``-p``, None without ``-p``.

    Raises:
        UsageError: a pattern fits nothing, a project does not exist, or a word names another project than ``-p``.
        UserFilesError: a pattern is about an experiments.yml that cannot be read.
    """
    chosen: dict[tuple[str, str], None] = {}
    loaded: dict[str, Project] = {}
    for word in words:
        where, experiment = _parts(word)
        projects = _projects(workspace, word, where, current, named)
        if not is_pattern(word):
            chosen[projects[0], experiment] = None
            continue
        names = [(project, name) for project in projects for name in _names(workspace, project, loaded)]
        fitting = matching(experiment, tuple(dict.fromkeys(name for _, name in names)), "experiment", word)
        chosen.update(dict.fromkeys(one for one in names if one[1] in fitting))
    return Selection(tuple(chosen))


def one_experiment(
    workspace: Workspace, word: str, *, current: Callable[[], str], named: str | None
) -> tuple[str, str]:
    """Project and experiment of a word that names one: ``rtdetr_01`` or ``parts/rtdetr_01``. The arguments are those of
    ``select``. The name of the experiment is not looked up.

    Raises UsageError for a project that does not exist or is another one than that of ``-p``.
    """
    where, experiment = _parts(word)
    if where is None:
        return current(), experiment
    if named is not None and where != named:
        _projects(workspace, word, where, current, named)
    return known_project(workspace, where, f'"{printable(word)}"'), experiment


def select_all(workspace: Workspace, project_name: str, request: ActionRequest) -> Selection:
    """Every experiment of the project that has the spec of this action, in the order of experiments.yml.

    Experiments with an error in experiments.yml are chosen, so that the planner reports it.

    Raises:
        UsageError: no experiment has it.
        UserFilesError: experiments.yml cannot be read.
    """
    project, networks = load_project(workspace, project_name), Networks(workspace.networks_dir)
    chosen: list[tuple[str, str]] = []
    left_out: list[tuple[str, str]] = []
    for name in _names(workspace, project_name, {project_name: project}):
        experiment = project.experiments.get(name)
        reason = None if experiment is None else _lack(networks, experiment, request)
        if reason is None:
            chosen.append((project_name, name))
        else:
            left_out.append((name, reason))
    if not chosen:
        raise _none_taken(project_name, request.action, left_out)
    return Selection(tuple(chosen), tuple(left_out))


def _none_taken(project: str, action: str, left_out: Sequence[tuple[str, str]]) -> UsageError:
    """The error with the first reasons, or with how to make an experiment where there is none."""
    reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out[:_SHOWN])
    hint = reasons or f"taorunner -p {project} add EXPERIMENT --head HEAD makes one"
    return UsageError(f'no experiment of "{project}" can be taken for {action}', hint=hint)


def _lack(networks: Networks, experiment: Experiment, request: ActionRequest) -> str | None:
    """Why ``--all`` leaves the experiment out; None when it takes it, also when something is wrong with it."""
    try:
        network = networks.load(experiment.head)
        network.actions(request.release or experiment.release)
    except UserFilesError:
        return None
    try:
        contract = choose_contract(network, experiment, request)
    except UserFilesError:
        return f"{experiment.head} has no {request.action}"
    spec = contract.spec
    if spec is None or not spec.required or find_spec(experiment.spec_dirs, spec) is not None:
        return None
    return f"no spec {spec_name(spec)}"


def _parts(word: str) -> tuple[str | None, str]:
    """The project, None without one, and the experiment."""
    project, slash, experiment = word.rpartition("/")
    if not slash:
        return None, word
    if not experiment or "/" in project or project in ("", ".", ".."):
        parts = [part for part in word.split("/") if part]
        if "specs" in parts[:-1]:  # the path of a spec, or of the folder of specs
            at = parts.index("specs")
            parts = [*parts[max(0, at - 1) : at], parts[at + 1]] if parts[: at - 1] else [parts[at + 1]]
        parts = [part for part in parts if part not in (".", "..")]
        meant = "/".join(parts[-2:])
        hint = (
            f'did you mean "{meant}"?'
            if parts and (len(parts) > 1 or word.startswith(".") or parts != [experiment])
            else "for example parts/rtdetr_01"
        )
        raise UsageError(f'"{printable(word)}" is not PROJECT/EXPERIMENT', hint=hint)
    return project, experiment


def _projects(
    workspace: Workspace, word: str, where: str | None, current: Callable[[], str], named: str | None
) -> tuple[str, ...]:
    if where is None:
        return (current(),)
    if named is not None and where != named:
        raise UsageError(
            f'"{printable(word)}" and -p "{printable(named)}" name different projects',
            hint="leave out -p, or the part before the slash",
        )
    if is_pattern(where):
        return matching(where, workspace.project_names(), "project")
    return (known_project(workspace, where, f'"{printable(word)}"'),)


def _names(workspace: Workspace, project: str, loaded: dict[str, Project]) -> tuple[str, ...]:
    """The experiments in the file. Raises UserFilesError when it cannot be read."""
    if project not in loaded:
        loaded[project] = load_project(workspace, project)
    found = loaded[project]
    if not found.names and found.has_errors:
        raise UserFilesError(
            f'the experiments of "{project}" cannot be read: nothing was started', findings=found.findings
        )
    return found.names


def _near(pattern: str, names: Sequence[str], kind: str) -> str:
    """The names that look like the pattern without its wildcards, else some of those there are."""
    if not names:
        return f"there is no {kind}"
    text = "".join(sign for sign in pattern if is_plain_name(f"a{sign}"))
    starts = {name[: len(text)]: name for name in reversed(names)} if text else {}
    close = nearest(text, names) or starts.get(nearest(text, starts) or "")
    if close is not None:
        alike = [name for name in names if name[: len(text)] == close[: len(text)]]
        shown = ", ".join(f'"{name}"' for name in alike[:_SHOWN])
        return f"did you mean {shown}{', …' if len(alike) > _SHOWN else '?'}"
    shown = ", ".join(names[:_SHOWN])
    return f"there are: {shown}{', …' if len(names) > _SHOWN else ''}"
