"""Spec files with ``$variables``: finds them, and puts values in their place so that the result parses.

``$name`` and ``${name}`` are variables, ``$$`` is a dollar. Comments are left unchanged. In YAML, ``${a.b}``,
``${oc.env:X}`` and a ``${key}`` of the same file belong to OmegaConf and stay, unless taorunner has a variable of that
name; any other is written ``$${key}``. An unknown name is a finding even inside quotes, where protobuf would read it
literally.

``$FILL_IN`` marks a value that is still to be written: a finding, which hides no other finding of the file. In its
place comes a word that every check passes over.

A value is written according to its position. Inside quotes it is escaped. Bare text is quoted as a whole when necessary
(``$results_dir/weights``). A variable that is the whole value keeps its type, and a list becomes ``[0, 1]``.
``[$gpu_ids]`` with a list gives ``[0, 1]``, not a nested list. Source: tao/tensorflow.md section 4.1 (templating
facts).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping

from taorunner.errors import Finding, Severity
from taorunner.specs.memory import Answers, SpecMemory
from taorunner.specs.syntax.literals import SpecValue, has_surrogates
from taorunner.specs.syntax.text_position import Lines
from taorunner.specs.templates.prototxt_template import read_prototxt_template, written_in_prototxt
from taorunner.specs.templates.variables import (
    FILL_IN,
    FILL_IN_CODE,
    Context,
    SpecTemplate,
    Stand,
    VariableUse,
    is_mark,
)
from taorunner.specs.templates.yaml_template import read_yaml_template, written_in_yaml
from taorunner.values.value import Value

__all__ = [
    "Context", "Rendered", "SpecTemplate", "SpecValue", "VariableUse", "hides", "parse_template", "render", "unfilled",
]  # fmt: skip

_STOOD_FOR = frozenset({FILL_IN_CODE})
"""Codes of errors after which the rest of the text is still checked: a placeholder is in the place of the value."""
_LARGE = 256 * 1024  # templates above this many characters are not kept


class Rendered(Value):
    """``text`` is fit to be used only when no finding is an error. The findings carry no file.

    ``stands`` are the words in ``text`` for values that are still to be written, each with its place in the template.
    """

    text: str
    findings: tuple[Finding, ...]
    template: SpecTemplate
    starts: tuple[int, ...]
    origins: tuple[tuple[int, bool], ...]
    stands: tuple[tuple[Stand, VariableUse], ...] = ()

    def origin(self, offset: int) -> int:
        """The offset in the template of an offset in ``text``; in a value, that of its variable."""
        index = max(0, bisect_right(self.starts, offset) - 1)
        origin, is_copied = self.origins[index]
        return origin + (offset - self.starts[index] if is_copied else 0)

    def locate(self, offset: int) -> tuple[int, int]:
        """Line and column in the template of an offset in ``text``; in a value, those of its variable."""
        return Lines(self.template.text).place(self.origin(offset))


class _Templates(Answers[tuple[str, str], SpecTemplate]):
    """Templates by text and format."""

    MOST = 128


def parse_template(text: str, spec_format: str, memory: SpecMemory | None = None) -> SpecTemplate:
    """The variables of ``text`` and their places. ``spec_format`` is ``yaml`` or ``prototxt``.

    With ``memory``, the same text is parsed once.
    """
    if memory is None or len(text) > _LARGE:
        return _parse(text, spec_format)
    return memory.table(_Templates).get((text, spec_format), lambda: _parse(text, spec_format))


def render(template: SpecTemplate, values: Mapping[str, SpecValue]) -> Rendered:
    """The text with every variable replaced. Unknown names stay unchanged and are findings.

    ``$FILL_IN``, and a variable whose value still has that mark, is a finding too; a ``Stand`` takes its place.
    """
    marked = {name for name, value in values.items() if is_mark(value)}
    if FILL_IN not in values:
        marked.add(FILL_IN)
    stands: list[tuple[Stand, VariableUse]] = []
    write = written_in_yaml if template.format == "yaml" else written_in_prototxt
    out: list[str] = []
    starts, origins, length, position = [0], [(0, True)], 0, 0
    for piece in template.pieces:
        copied = template.text[position : piece.start]
        open_uses = [use for use in piece.uses if use.name in marked]
        if open_uses:
            stand = Stand.for_place(len(stands), template.format)
            stands += [(stand, use) for use in open_uses]
            written = write(template, piece, {**values, **{use.name: stand for use in open_uses}})
        else:
            written = write(template, piece, values)
        out += (copied, written)
        length += len(copied)
        starts.append(length)
        origins.append((piece.uses[0].start, False))
        length += len(written)
        starts.append(length)
        origins.append((piece.end, True))
        position = piece.end
    out.append(template.text[position:])
    own = tuple(template.fill_in(use) for _, use in stands if use.name != FILL_IN)
    findings = (*template.problems, *template.unknown_names(values), *own, *_unwritable(template, values))
    return Rendered("".join(out), findings, template, tuple(starts), tuple(origins), tuple(stands))


def hides(findings: Iterable[Finding]) -> bool:
    """True when an error keeps the text from being checked further: any but a value that is still to be written."""
    return any(finding.is_error and finding.code not in _STOOD_FOR for finding in findings)


def unfilled(rendered: Rendered, text: str) -> tuple[Finding, ...]:
    """The findings about values that are still to be written in ``text``, which was made of the rendered text.

    An override may have replaced some of them.
    """
    return tuple(rendered.template.fill_in(use) for stand, use in rendered.stands if stand in text)


def _unwritable(template: SpecTemplate, values: Mapping[str, SpecValue]) -> list[Finding]:
    bad = {name for name, value in values.items() if _has_surrogates(value)}
    return [
        Finding(
            Severity.ERROR, "not-text", f'the value of "${use.name}" cannot be written as UTF-8',
            "rename the file or folder that it names", None, use.line, use.column,
        )
        for use in template.variables
        if use.name in bad and use.context is not Context.COMMENT
    ]  # fmt: skip


def _has_surrogates(value: SpecValue) -> bool:
    if isinstance(value, str):
        return has_surrogates(value)
    return isinstance(value, (list, tuple)) and any(
        isinstance(item, str) and has_surrogates(item) for item in value
    )


def _parse(text: str, spec_format: str) -> SpecTemplate:
    if spec_format == "yaml":
        return read_yaml_template(text)
    if spec_format == "prototxt":
        return read_prototxt_template(text)
    raise ValueError(f"unknown spec format: {spec_format}")
