"""The pages of ``--help``: summary, usage, one or two examples, options in groups.

Typer parses; this module only writes the text. The first line of a command's help is its summary, its epilog holds the
examples (one per line), and ``rich_help_panel`` of an option names its group. Values are shown as words (``metavar``),
never as types.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

WIDTH = 80
_COLUMN = 25
"""Column where the text of an option starts."""
_COMMAND_COLUMN = 23
OPTION_GROUPS = (
    "Training",
    "Where it runs",
    "How it runs",
    "Options",
    "From a dataset",
    "From another tool",
    "General",
)
"""Groups in the order of the page. An option without a group belongs to "Options"."""

COMMAND_GROUPS: tuple[tuple[str, tuple[tuple[tuple[str, ...], str | None], ...]], ...] = (
    ("Start", ((("quickstart",), None), (("init-project",), None), (("add",), None), (("doctor",), None))),
    ("Prepare", (
        (("validate",), None), (("dataset",), None), (("specs",), None), (("pretrained",), None),
        (("networks",), None), (("projects",), None), (("schema",), None),
    )),
    ("Run", (
        (("convert", "train", "evaluate", "prune", "export", "inference"),
         "Run this action for one or more experiments"),
        (("run",), None), (("resume",), None), (("rerun",), None), (("sweep",), None),
    )),
    ("Watch", ((("ps", "attach", "logs", "stop"), "List, watch, read and stop runs that have not ended"),)),
    ("Results", (
        (("runs",), None), (("report",), None), (("bundle",), None), (("track",), None), (("tensorboard",), None),
    )),
    ("Machine", ((("image",), None), (("clusters",), None), (("shell",), None))),
    ("Manual", ((("docs",), None), (("explain",), None))),
)  # fmt: skip
"""The rows of ``taorunner --help``: the commands of a row, and its text. None: the summary of its first command."""

_OWN_TEXTS = {
    "--help": "Show this page",
    "--install-completion": "Install completion for this shell",
    "--show-completion": "Print the completion script of this shell",
}
"""Replacements for Typer's texts."""

EXIT_CODES = """\
Exit codes: 0 done or detached, 1 a run failed or was stopped, 2 usage or
  unknown name, 3 errors in your files, 4 this machine, 5 refused by the
  engine or scheduler, 6 no such run or wrong state, 70 internal, 130 Ctrl-C"""


def add_command(
    group: typer.Typer, name: str, function: Any, summary: str, *examples: str,
    passes_on: bool = False, spelling: Callable[[str], str] | None = None,
) -> None:  # fmt: skip
    """Adds a command with its page.

    ``passes_on``: words after ``--`` go to TAO. ``spelling`` maps other spellings of an option to the one used here.
    """
    page = _PassingPage if passes_on else CommandPage
    settings = {"token_normalize_func": spelling} if spelling is not None else None
    group.command(name, cls=page, help=summary, epilog="\n".join(examples), context_settings=settings)(
        function
    )


def make_group(summary: str, **settings: Any) -> typer.Typer:
    """A group of commands, ``taorunner NAME COMMAND``."""
    cls = settings.pop("cls", GroupPage)
    return typer.Typer(cls=cls, help=summary, rich_markup_mode=None, no_args_is_help=True, **settings)


class CommandPage(TyperCommand):
    """The page of one command."""

    usage_tail = ""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        summary, _, more = (self.help or "").partition("\n")
        usage = [_argument_word(one) for one in _arguments(self)]
        lines = [
            summary,
            "",
            " ".join(["Usage:", ctx.command_path, "[OPTIONS]", *usage]) + self.usage_tail,
            "",
        ]
        lines += _examples(self.epilog)
        lines += more.strip("\n").splitlines()
        explained = [(_argument_word(one).strip("[]"), one.help) for one in _arguments(self) if one.help]
        if explained:
            lines += ["Arguments", *_rows(explained, _COLUMN)]
        for group, options in _grouped(self.get_params(ctx)):
            lines += [group, *_rows([(_flags(one), _text(one)) for one in options], _COLUMN)]
        formatter.write("\n".join(lines) + "\n")


class _PassingPage(CommandPage):
    usage_tail = " [-- TAO ARGS]"


class GroupPage(TyperGroup):
    """The page of a group of commands."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        rows = [(name, _summary(command)) for name, command in self.commands.items() if not command.hidden]
        options = [(_flags(one), _text(one)) for one in self.get_params(ctx) if _is_option(one)]
        lines = [_summary(self), "", f"Usage: {ctx.command_path} COMMAND [ARGS]...", "", "Commands"]
        lines += [*_rows(rows, _COLUMN), "Options", *_rows(options, _COLUMN)]
        formatter.write("\n".join(lines) + "\n")


class ShowByDefault(GroupPage):
    """``networks dino`` means ``networks show dino``; ``networks`` alone and ``networks list`` show all."""

    default_command = "show"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or args[0] not in (*self.commands, "--help", "-h"):
            args = [self.default_command, *(args[1:] if args[:1] == ["list"] else args)]
        return list(super().parse_args(ctx, args))


class RootPage(TyperGroup):
    """The page of ``taorunner`` itself."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        lines = [_summary(self), "", "Usage: taorunner [OPTIONS] COMMAND [ARGS]...", ""]
        lines += _examples(self.epilog)
        for group, rows in COMMAND_GROUPS:
            lines += _command_rows(group, rows, self.commands)
        options = [(_flags(one), _text(one)) for one in self.get_params(ctx) if _is_option(one)]
        lines += ["Options", *_rows(options, _COLUMN), *EXIT_CODES.splitlines()]
        formatter.write("\n".join(lines) + "\n")


def _command_rows(
    group: str, rows: Sequence[tuple[tuple[str, ...], str | None]], commands: Any
) -> Iterable[str]:
    head = group
    for names, text in rows:
        known = [name for name in names if name in commands]
        if not known:
            continue
        shown, summary = ", ".join(known), text or _summary(commands[known[0]])
        start = f"{head:<9}"
        head = ""
        if len(start + shown) < _COMMAND_COLUMN:
            yield f"{start + shown:<{_COMMAND_COLUMN}}{summary}"
        else:
            yield start + shown
            yield " " * _COMMAND_COLUMN + summary


def _examples(epilog: str | None) -> list[str]:
    examples = (epilog or "").splitlines()
    if not examples:
        return []
    if len(examples) == 1:
        return [f"Example: {examples[0]}", ""]
    return ["Examples:", *(f"  {line}" for line in examples), ""]


def _arguments(command: Any) -> list[Any]:
    return [one for one in command.params if one.param_type_name == "argument" and not one.hidden]


def _is_option(parameter: Any) -> bool:
    return parameter.param_type_name == "option" and not parameter.hidden


def _argument_word(argument: Any) -> str:
    """``EXPERIMENT...``, ``[NAME]``: brackets around an optional one."""
    word = (argument.metavar or argument.name.upper()).strip("[]") + ("..." if argument.nargs == -1 else "")
    return word if argument.required else f"[{word}]"


def _grouped(parameters: Iterable[Any]) -> Iterable[tuple[str, list[Any]]]:
    groups: dict[str, list[Any]] = {name: [] for name in OPTION_GROUPS}
    for parameter in parameters:
        if _is_option(parameter):
            groups[getattr(parameter, "rich_help_panel", None) or _group_of(parameter)].append(parameter)
    return ((name, options) for name, options in groups.items() if options)


def _group_of(option: Any) -> str:
    return "General" if "--help" in option.opts else "Options"


def _flags(option: Any) -> str:
    """``-d, --detach``, ``--epochs N``."""
    flags = sorted(option.opts, key=len)
    word = "" if option.is_flag or not option.metavar else f" {option.metavar}"
    return ", ".join(flags) + word


def _text(option: Any) -> str:
    """Help text and default."""
    text = next((_OWN_TEXTS[flag] for flag in option.opts if flag in _OWN_TEXTS), option.help or "")
    shown = option.show_default
    default = shown if isinstance(shown, str) else option.default if shown else None
    if default in (None, False, 0, "", (), []) or callable(default):
        return text
    number = f"{default:g}" if isinstance(default, float) else str(default)
    return f"{text} [default: {number}]"


def _summary(command: Any) -> str:
    return (command.help or "").partition("\n")[0]


def _rows(rows: Iterable[tuple[str, str]], column: int) -> list[str]:
    return [f"  {name:<{column - 4}}  {text}".rstrip() for name, text in rows]
