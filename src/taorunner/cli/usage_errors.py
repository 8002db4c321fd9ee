"""Rewords the usage errors of Typer's parser, with a hint that can be typed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Any

from taorunner.cli.fast.parsing import number_asked
from taorunner.errors import UsageError
from taorunner.text import nearest

_SUGGESTION = re.compile(r"[.]?\s+\(?((?:Did you mean|Possible options:).*?)\)?\Z", re.DOTALL)

_OF_THE_PROGRAM = ("-q", "--quiet", "-v", "--verbose")
"""Options that stand before the command."""
_SAME = {
    "learning-rate": "lr", "max-epochs": "epochs", "num-epochs": "epochs", "bs": "batch-size", "ckpt": "checkpoint",
    "weights": "checkpoint", "model": "checkpoint", "resume-from": "checkpoint", "format": "to", "network": "head",
    "arch": "backbone", "status": "state",
}  # fmt: skip
"""Names that other programs have for an option."""
_GPU = ("gpu", "device", "devices", "cuda")
_IN_GROUPS = {
    "delete": ("rm",), "remove": ("rm",), "clean": ("prune",), "gc": ("prune",), "inspect": ("show",),
    "view": ("show",), "cat": ("show",), "get": ("list", "show"), "ls": ("list",), "list": ("ls",), "ps": ("list",),
    "download": ("pull",), "fetch": ("pull",),
}  # fmt: skip
"""Commands of a group by what other programs call them."""


def usage_error(error: Any, words: Sequence[str]) -> UsageError:
    """``error`` is one of Typer's usage errors, ``words`` the command line without the program."""
    text = str(error.format_message()).strip()
    unknown = re.match(r"No such command '(.*?)'", text)
    if unknown is not None and (hint := _other_command(error, unknown[1], words)) is not None:
        return UsageError(f'no such command "{unknown[1]}"', hint=hint)
    unknown = re.match(r"No such option: (-[^\s.]+)", text)
    if unknown is not None:
        word = _whole(unknown[1], words)
        return UsageError(f"no such option: {word}", hint=_other_option(error, word, words))
    suggestion = _SUGGESTION.search(text)
    if suggestion is not None:
        text = text[: suggestion.start()]
    extra = re.match(r"Got unexpected extra argument(?:s|\(s\))? \((.*)\)", text, re.DOTALL)
    if extra is not None:
        text = f'unexpected argument "{extra[1]}"'
    value = re.match(r"Invalid value for (.*?): (.*)\Z", text, re.DOTALL)
    if value is not None:
        option, given = _option(error, value[1]), _given(error, words)
        rule = _number_rule(error)
        if rule is not None:
            text = f"{option} must be {rule}" + (f', not "{given}"' if given is not None else "")
        else:
            is_what = "is wrong: " if given is None else f'cannot be "{given}": '
            text = f"{option} {is_what}{_reason(value[2])}"
    text = text.strip().rstrip(".").replace("'", '"')
    from taorunner.cli.suggestions import is_experiment

    context = getattr(error, "ctx", None)
    help_line = f"{_path(context) if context is not None else _named(words)} --help"
    if text.startswith(('Missing argument "RUN', 'missing argument "RUN')):
        help_line = "taorunner ps lists the runs that have not ended, taorunner runs list all"
    is_list = help_line in ("taorunner runs list --help", "taorunner ps --help")
    if extra is not None and is_list and is_experiment(extra[1]):
        help_line = f"taorunner runs list --experiment {shlex.quote(extra[1])}"
    hint = _nearest_of(suggestion[1], words) if suggestion is not None else help_line
    return UsageError(
        text if text[1:2].isupper() else text[:1].lower() + text[1:], hint=hint[:1].lower() + hint[1:]
    )


def _nearest_of(suggestion: str, words: Sequence[str]) -> str:
    """Typer's suggestion, with the nearest of several commands alone."""
    from taorunner.text import nearest

    names = re.findall(r"'([^']+)'", suggestion)
    if suggestion.startswith("Did you mean") and len(names) > 1:
        found = next((name for word in words if (name := nearest(word, names)) is not None), names[0])
        return f'Did you mean "{found}"?'
    return suggestion.replace("'", '"')


def _other_command(error: Any, word: str, words: Sequence[str]) -> str | None:
    """The hint for a name of other programs, for an action that needs ``run``, and for what TAO's launcher takes."""
    from taorunner.cli.suggestions import suggested_command

    context = getattr(error, "ctx", None)
    commands = getattr(getattr(context, "command", None), "commands", {})
    at = words.index(word)
    if getattr(context, "parent", None) is not None:
        group = str(getattr(context, "info_name", ""))
        launcher = suggested_command([group, *words[at:]], ()) if group == "dataset" else None
        if launcher is not None and launcher.startswith(
            "did you mean"
        ):  # no network of TAO's "dataset" follows
            return f"taorunner {group} --help"
        is_near = nearest(word, commands) is not None
        alike = _IN_GROUPS.get(word) or (
            () if is_near else _IN_GROUPS.get(nearest(word, _IN_GROUPS) or "", ())
        )
        own = next((name for name in alike if name in commands), None)
        if own is not None:
            return f'did you mean "{own}"?'
        shown = [name for name, command in commands.items() if not command.hidden]
        return launcher if launcher is not None or is_near else f"known: {', '.join(shown)}"
    hint = suggested_command(words[at:], commands)
    if hint is not None and at and hint.startswith("taorunner ") and " -p " not in hint:
        return hint.replace("taorunner", f"taorunner {' '.join(words[:at])}", 1)
    return hint


def _other_option(error: Any, word: str, words: Sequence[str]) -> str:
    """The hint for an option that the command does not have: what TAO's or docker's option is here, one that looks like
    it, ``--set``, or the help."""
    from taorunner.cli.suggestions import suggested_option

    context = getattr(error, "ctx", None)
    path = _path(context).split()[1:]
    parameters = getattr(getattr(context, "command", None), "params", ())
    shown = [parameter for parameter in parameters if not getattr(parameter, "hidden", False)]
    flags = [flag for parameter in shown for flag in parameter.opts if flag.startswith("--")] + ["--help"]
    typed = word.lstrip("-").replace("_", "-")
    meant = _SAME.get(typed)
    if not path and (later := _behind_the_command(word, words)) is not None:
        return later
    close = meant if f"--{meant}" in flags else nearest(typed, [flag.lstrip("-") for flag in flags])
    if close is not None and re.fullmatch(r"-[a-z][\w-]{2,}", word):  # one dash, as other programs take it
        return f'did you mean "--{close}"?'
    if path and path[0] in words:
        meant = suggested_option(path[0], words[words.index(path[0]) + 1 :], word)
        if meant is not None:
            return meant
    if path and (word in _OF_THE_PROGRAM or re.fullmatch("-[qv]+", word)):
        asked = next((one for one in words if one == word or re.fullmatch(f"{word}{word[-1]}+", one)), word)
        rest = [shlex.quote(one) for one in words if one != asked]
        return f"taorunner {' '.join([asked, *rest])}"
    if "--gpu-indices" in flags and typed in _GPU:
        return "--gpu-indices IDS names GPUs, --gpus N takes N that are free"
    if "--set" in flags and typed in ("experiment", "experiments", "name"):
        return " ".join(
            ["taorunner", *(shlex.quote(one.partition("=")[2] or one) for one in words if one != word)]
        )
    if path[:1] == ["ps"] and typed in ("f", "filter", "state", "status"):
        return "taorunner runs list --state running"
    if path == ["runs", "list"] and typed in ("f", "filter"):
        return "--state, --experiment, --action and --since choose runs"
    if close is not None:
        return f'did you mean "--{close}"?'
    if path == ["sweep", "run"]:
        from taorunner.project.sweeps.sweep_models import SweepEntry

        if (key := typed.replace("-", "_")) in SweepEntry.__annotations__:
            return f'write "{key}:" into the entry of the sweep in experiments.yml'
    if "--set" in flags:
        return f"--set KEY=VALUE changes a key of the spec; all options: {_path(context)} --help"
    return f"{_path(context)} --help"


def _behind_the_command(word: str, words: Sequence[str]) -> str | None:
    """The line with an option that stood before the command, and is one of that command. None for any other."""
    from taorunner.cli.fast.words import TABLE

    at = next((place for place, one in enumerate(words) if one.partition("=")[0] == word), None)
    plain = [one for one in words if not one.startswith("-")]
    starts = [name for i, one in enumerate(plain) for name in (" ".join(plain[i : i + 2]), one)]
    command = next((name for name in starts if name in TABLE), None)
    if at is None or command is None or word not in TABLE[command].options:
        return None
    if TABLE[command].options[word] and "=" not in words[at]:  # which of the words is its value is not known
        return f"write {word} behind the command: taorunner {command} {word} VALUE"
    rest = [shlex.quote(one) for place, one in enumerate(words) if place != at]
    return f"taorunner {' '.join([*rest, shlex.quote(words[at])])}"


def _whole(word: str, words: Sequence[str]) -> str:
    """The option as it was typed: ``-version`` is read as letters, and ``word`` is one of them."""
    if word in words or word.startswith("--"):
        return word
    typed = (one.partition("=")[0] for one in words)
    return next((one for one in typed if re.fullmatch(r"-[a-z][\w-]{2,}", one) and word[1] in one), word)


def _path(context: Any) -> str:
    return getattr(context, "command_path", None) or "taorunner"


def _named(words: Sequence[str]) -> str:
    """The command of a line that Typer gave up before it knew the command."""
    from taorunner.cli.fast.words import TABLE

    plain = [word for word in words if not word.startswith("-")]
    found = next((name for name in (" ".join(plain[:2]), " ".join(plain[:1])) if name in TABLE), "")
    return f"taorunner {found}".strip()


def _option(error: Any, quoted: str) -> str:
    """The option's long name."""
    flags = tuple(getattr(getattr(error, "param", None), "opts", ()))
    return next((flag for flag in flags if flag.startswith("--")), quoted.split("/")[-1].strip(" '\""))


def _given(error: Any, words: Sequence[str]) -> str | None:
    """The value as it was typed, when the command line still shows it."""
    flags = tuple(getattr(getattr(error, "param", None), "opts", ()))
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word in flags:
            return following
        flag, equals, value = word.partition("=")
        if equals and flag in flags:
            return value
    return None


def _number_rule(error: Any) -> str | None:
    """``a whole number of at least 1``, ``a number from 0 to 1``; None where the option takes no number."""
    asked = number_asked(getattr(error, "param", None))
    if asked is None:
        return None
    is_whole, least, most = asked
    kind = "a whole number" if is_whole else "a number"
    if least is not None and most is not None:
        return f"{kind} from {least:g} to {most:g}"
    if least is not None:
        return f"{kind} of at least {least:g}"
    return kind if most is None else f"{kind} of at most {most:g}"


def _reason(text: str) -> str:
    first = text.split(", unable to parse")[0]
    return first[:1].lower() + first[1:]
