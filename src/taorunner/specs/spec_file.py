"""The specs package's entry points: load, check, render, override, read. They return findings and never raise.

``check_loaded`` serves ``validate``: with a ``SpecMemory`` each distinct text is checked once, because a thousand
experiments share few specs. ``prepare_spec`` makes the text that a container reads. The user's file is never changed.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from bisect import bisect_right
from codecs import BOM_UTF8
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from taorunner.errors import Finding, Severity, has_errors
from taorunner.specs.editing.spec_edits import Edit, set_in
from taorunner.specs.memory import Answers, SpecMemory
from taorunner.specs.schema.template_check import check_rendered, check_schema, library_refusal, shape_of
from taorunner.specs.schema.walk import Against
from taorunner.specs.syntax.omegaconf_yaml import read_spec_yaml
from taorunner.specs.syntax.prototxt_parser import parse_prototxt
from taorunner.specs.syntax.text_position import Lines, SpecProblemError
from taorunner.specs.templates.template import (
    Context,
    Rendered,
    SpecTemplate,
    SpecValue,
    hides,
    parse_template,
    render,
    unfilled,
)
from taorunner.specs.templates.variables import FILL_IN_CODE, UNKNOWN_VARIABLE, is_mark
from taorunner.text import printable
from taorunner.values.value import Value, field, replace

MAX_SPEC_BYTES = 4 * 1024 * 1024
_READ_BYTES = 64 * 1024
_LARGE = 256 * 1024  # texts above this many characters are not kept

_PLACEHOLDERS = (
    "YOUR_PRETRAINED_MODEL", "EXPERIMENT_DIR", "EXPERIMENTDIR", "RESULTS_DIR", "RESULTSDIR",
    "DATA_DIR", "DATADIR", "EVALMODEL", "EXPORTDIR", "EXPORT_DIR", "SPECS_DIR",
    "USER_EXPERIMENT_DIR", "DATA_DOWNLOAD_DIR",
)  # fmt: skip
_PLACEHOLDER = re.compile(
    rf"(?<![A-Za-z0-9_$])(?<!\$\{{)(?:{'|'.join(_PLACEHOLDERS)})(?![A-Za-z0-9_])|/path/to/|/PATH_TO_"
)
_SHOWN_PLACEHOLDERS = 5


class SpecFile(Value):
    path: Path
    text: str


class PreparedSpec(Value):
    """``text`` is what the process will read; None when a finding is an error.

    ``draft`` is that text with words in place of values that are still to be written (``$FILL_IN``); None after any
    other error. ``rendered`` is the text before anything was set in it, which knows the places in the template.
    """

    path: Path
    format: str
    text: str | None
    findings: tuple[Finding, ...]
    draft: str | None = field(default=None, compare=False, repr=False)
    rendered: Rendered | None = field(default=None, compare=False, repr=False)


def load_spec(path: Path) -> SpecFile | tuple[Finding, ...]:
    """The text of a spec file, or the finding about the file. Follows links; reads regular files only."""
    try:
        data = _read_bytes(path)
    except ValueError:
        return (_file_problem(path, "unreadable-spec", "the path of the spec is not valid", None),)
    except OSError as error:
        return (_file_problem(path, _os_code(error), _os_message(error), _os_hint(error)),)
    if isinstance(data, str):
        return (_file_problem(path, "not-a-file", data, "put a text file there"),)
    if len(data) > MAX_SPEC_BYTES:
        return (
            _file_problem(path, "too-large", f"the spec is larger than {MAX_SPEC_BYTES >> 20} MiB", None),
        )
    text = _decoded(data)
    if isinstance(text, Finding):
        return (replace(text, file=path),)
    return SpecFile(path, text)


def check_loaded(
    loaded: SpecFile,
    spec_format: str,
    known_names: Collection[str],
    against: Against | None = None,
    values: Mapping[str, SpecValue] | None = None,
    memory: SpecMemory | None = None,
    own: Mapping[str, SpecValue] | None = None,
) -> tuple[Finding, ...]:
    """Checks a spec file before a run: its syntax, its variables, and whether it matches the schema
    once ``values``, known or stand-ins, are put in. ``own`` are those of them that may still have to be filled in, all
    by default.

    Costs one look-up when the same text has been seen with the same names, and hardly more when it differs from one
    only in numbers.
    """
    names = known_names if isinstance(known_names, frozenset) else frozenset(known_names)
    memory = memory or SpecMemory()
    values = values or {}
    findings = _checked(loaded.text, spec_format, names, memory)
    marked = {name for name, value in (values if own is None else own).items() if is_mark(value)}
    if marked:
        template = parse_template(loaded.text, spec_format, memory)
        uses = [
            use for use in template.variables if use.name in marked and use.context is not Context.COMMENT
        ]
        findings = (*findings, *(template.fill_in(use) for use in uses))
    if against is not None and not (findings and hides(_but_variables(findings))):
        held = values
        if findings and hides(findings):
            held = {**values} | parse_template(loaded.text, spec_format, memory).placeholders(names)
        findings = (*findings, *check_schema(loaded.text, against, held, memory))
    return tuple([replace(finding, file=loaded.path) for finding in findings])


def prepare_spec(
    path: Path,
    spec_format: str,
    values: Mapping[str, SpecValue],
    overrides: Mapping[str, object] | None = None,
    keys: Mapping[str, object] | None = None,
    against: Against | None = None,
    memory: SpecMemory | None = None,
) -> PreparedSpec:
    """The spec with its variables replaced, then ``overrides`` (the user's) and ``keys`` (ours) set.

    ``overrides`` may be nested or dotted. All findings point into the template at ``path``. ``against`` is the schema
    that the rendered text has to agree with; what is overridden should be among what it knows as given.
    """
    loaded = load_spec(path)
    if not isinstance(loaded, SpecFile):
        return PreparedSpec(path, spec_format, None, loaded)
    memory = memory or SpecMemory()
    template = parse_template(loaded.text, spec_format, memory)
    rendered = render(template, values)
    findings = [*rendered.findings, *_placeholders(template)]
    text = rendered.text
    if not hides(_but_variables(findings)):
        if hides(findings):
            rendered = render(template, {**values, **template.placeholders(values)})
            text = rendered.text
        problem = _syntax_problem(text, spec_format)
        if problem is not None:
            line, column = rendered.locate(problem.offset or 0)
            findings.append(replace(problem.to_finding(), line=line, column=column))
        elif against is not None:
            findings += check_rendered(rendered, against, memory)
    if not hides(findings):
        given = [*flattened(overrides or {}), *flattened(keys or {})]
        edits = [Edit(tuple(dotted.split(".")), value) for dotted, value in given]
        text, problems = set_in(text, spec_format, edits)
        findings += [refused.to_finding() for refused in problems if refused is not None]
    if against is not None and text != rendered.text and not hides(findings):
        problem = library_refusal(text, against, memory)
        if problem is not None:
            hint = "one of the values that are set in it does not fit"
            findings.append(replace(problem.to_finding(), hint=hint))
    findings = [*(one for one in findings if one.code != FILL_IN_CODE), *unfilled(rendered, text)]
    placed = tuple(replace(finding, file=path) for finding in findings)
    draft = None if hides(placed) else text
    return PreparedSpec(
        path, spec_format, None if has_errors(placed) else text, placed, draft=draft, rendered=rendered
    )


def _but_variables(findings: Iterable[Finding]) -> list[Finding]:
    """Without those about unknown variables, which do not hide what else is wrong."""
    return [one for one in findings if one.code != UNKNOWN_VARIABLE]


def read_value(prepared: PreparedSpec, dotted: str) -> Any:
    """The value at ``dotted``; None when it is absent or the spec has errors."""
    if prepared.text is None:
        return None
    try:
        return _module(prepared.format).read_value(prepared.text, dotted)
    except SpecProblemError:
        return None


def read_number(prepared: PreparedSpec, dotted: str) -> int | float | None:
    """The number at ``dotted``. ``"7"`` in quotes is seven, as OmegaConf reads it; anything else is None."""
    value = read_value(prepared, dotted)
    if isinstance(value, str):
        try:
            value = float(value) if not re.fullmatch(r"\s*[-+]?[0-9]{1,18}\s*", value) else int(value)
        except ValueError:
            return None
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def is_unfilled(prepared: PreparedSpec, dotted: str) -> bool:
    """True where the value at ``dotted`` in the draft is still to be written."""
    if prepared.draft is None or prepared.rendered is None or not prepared.rendered.stands:
        return False
    try:
        value = _module(prepared.format).read_value(prepared.draft, dotted)
    except SpecProblemError:
        return False
    return isinstance(value, str) and any(stand in value for stand, _ in prepared.rendered.stands)


def flattened(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Dotted keys of a mapping that may be nested; an empty section is a value of its own."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from flattened(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _read_bytes(path: Path) -> bytes | str:
    """The file's bytes, at most one more than the limit; a str is the reason why it cannot be read."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return "the spec is a folder" if stat.S_ISDIR(found.st_mode) else "the spec is not a regular file"
        data = os.read(descriptor, _READ_BYTES)
        if len(data) == found.st_size:
            return data
        while len(data) <= MAX_SPEC_BYTES and (piece := os.read(descriptor, _READ_BYTES)):
            data += piece
        return data
    finally:
        os.close(descriptor)


def _decoded(data: bytes) -> str | Finding:
    data = data.removeprefix(BOM_UTF8)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        hint = "save the file as UTF-8 text"
        message = f"the byte 0x{data[error.start]:02x} is not UTF-8"
        return Finding(Severity.ERROR, "not-text", message, hint, None, line, column)
    if "\0" in text:
        line, column = Lines(text).place(text.index("\0"))
        return Finding(Severity.ERROR, "not-text", "this is not a text file", None, None, line, column)
    if not text or text.isspace():
        return Finding(
            Severity.ERROR,
            "empty-spec",
            "the spec is empty",
            "remove it; taorunner add EXPERIMENT writes it again",
        )
    return text


def _syntax_problem(text: str, spec_format: str) -> SpecProblemError | None:
    if spec_format == "prototxt":
        try:
            parse_prototxt(text)
        except SpecProblemError as problem:
            return problem
        return None
    problems = read_spec_yaml(text).problems
    if not problems:
        return None
    first = problems[0]
    offset = Lines(text).offset(first.line, first.column)
    return SpecProblemError(first.code, first.message, offset=offset, hint=first.hint)


def _module(spec_format: str) -> Any:
    if spec_format == "prototxt":
        from taorunner.specs.editing import prototxt_edit

        return prototxt_edit
    from taorunner.specs.editing import yaml_edit

    return yaml_edit


class _Findings(Answers[tuple[str, str, frozenset[str]], tuple[Finding, ...]]):
    """By text, format and known variables."""


class _FineShapes(Answers[tuple[str, str, frozenset[str]], bool]):
    """Whether the first text of a shape had no finding, by shape, format and known variables."""


def _checked(text: str, spec_format: str, names: frozenset[str], memory: SpecMemory) -> tuple[Finding, ...]:
    """Syntax, variables and placeholders. Each text is checked once.

    The specs of a sweep are one text with other numbers and comments. No finding is about these, so the texts of a
    shape whose first text has no finding are not read; else each is read, for the places in it.
    """
    if len(text) > _LARGE:
        return _findings(text, spec_format, names, memory)

    def find() -> tuple[Finding, ...]:
        return _findings(text, spec_format, names, memory)

    key = (shape_of(text, spec_format, memory), spec_format, names)
    if memory.table(_FineShapes).get(key, lambda: not find()):
        return ()
    return memory.table(_Findings).get((text, spec_format, names), find)


def _findings(text: str, spec_format: str, names: frozenset[str], memory: SpecMemory) -> tuple[Finding, ...]:
    template = parse_template(text, spec_format, memory)
    return (*template.problems, *template.unknown_names(names), *_placeholders(template))


def _placeholders(template: SpecTemplate) -> Iterator[Finding]:
    """Leftover placeholder words of an example: legal, but they will hardly work."""
    lines = Lines(template.text)
    shown = 0
    for match in _PLACEHOLDER.finditer(template.text):
        if shown == _SHOWN_PLACEHOLDERS:
            return
        if not _in_comment(template.comments, match.start()):
            shown += 1
            line, column = lines.place(match.start())
            message = f'"{printable(match.group())}" is a placeholder of an example'
            hint = "replace it, for example by $results_dir, $dataset_raw or $pretrained_model"
            yield Finding(Severity.WARNING, "placeholder", message, hint, None, line, column)


def _in_comment(comments: Sequence[tuple[int, int]], offset: int) -> bool:
    index = bisect_right(comments, (offset, sys.maxsize)) - 1
    return index >= 0 and offset < comments[index][1]


def _file_problem(path: Path, code: str, message: str, hint: str | None) -> Finding:
    return Finding(Severity.ERROR, code, message, hint, path)


def _os_code(error: OSError) -> str:
    return "missing-spec" if isinstance(error, FileNotFoundError) else "unreadable-spec"


def _os_message(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such spec file"
    return f"the spec cannot be read: {(error.strerror or 'unknown error').lower()}"


def _os_hint(error: OSError) -> str | None:
    return "give yourself read permission (chmod u+r)" if isinstance(error, PermissionError) else None
