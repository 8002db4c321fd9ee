"""Reads the spec files of a launcher setup, those that scripts write, and what scripts change in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from taorunner.importers.launcher_commands import spec_at
from taorunner.importers.network_detection import SpecRead, format_of, read_spec
from taorunner.importers.newer_text import newer_text
from taorunner.importers.scripts.reading import ScriptContent, SpecEdit, SpecText
from taorunner.importers.scripts.source_files import SourceFiles
from taorunner.importers.source_report import Outcome, SourceLine
from taorunner.specs.memory import SpecMemory
from taorunner.specs.schema.match import Section
from taorunner.specs.spec_file import SpecFile, load_spec
from taorunner.text import printable


@dataclass(slots=True)
class SpecsRead:
    """``others`` are files that do not read as a spec. A command may say that one is, which cannot be read."""

    specs: list[SpecRead] = field(default_factory=list)
    others: list[SpecRead] = field(default_factory=list)
    lines: list[SourceLine] = field(default_factory=list)


def read_specs(folder: Path, files: SourceFiles, scripts: ScriptContent) -> SpecsRead:
    read = SpecsRead()
    memory = SpecMemory()
    texts: dict[Path, str] = {}
    for path in files.specs:
        loaded = load_spec(path)
        if isinstance(loaded, SpecFile):
            texts[path.relative_to(folder)] = loaded.text
        else:
            note = "; ".join(one.message for one in loaded)
            read.lines.append(SourceLine(path, None, path.name, Outcome.LEFT_OUT, note))
    _add_written(read, texts, scripts.specs)
    for name, text in texts.items():
        spec = read_spec(name, text, memory)
        if spec is None:
            read.others.append(SpecRead(name, text, format_of(name), Section(()), memory))
        else:
            read.specs.append(_newer(read, spec, folder / name, memory))
    for edit in scripts.edits:
        _edit(read, edit, folder, memory)
    return read


def _add_written(read: SpecsRead, texts: dict[Path, str], written: Sequence[SpecText]) -> None:
    for one in written:
        name = Path(Path(one.path).name)
        is_new = all(known.name != name.name for known in texts)
        texts |= {name: one.text} if is_new else {}
        note = (
            f"the spec {printable(name.name)}"
            if is_new
            else "the folder has a spec of that name, which is taken"
        )
        outcome = Outcome.TAKEN if is_new else Outcome.LEFT_OUT
        read.lines.append(SourceLine(one.file, one.line, f"spec {printable(name.name)}", outcome, note))


def _newer(read: SpecsRead, spec: SpecRead, path: Path, memory: SpecMemory) -> SpecRead:
    text, changes = newer_text(spec.text, spec.format)
    read.lines += [SourceLine(path, one.line, one.what, Outcome.TAKEN, one.note) for one in changes]
    again = read_spec(spec.name, text, memory) if changes else None
    return again or spec


def _edit(read: SpecsRead, edit: SpecEdit, folder: Path, memory: SpecMemory) -> None:
    spec = spec_at(edit.path, edit.file, read.specs, folder)
    text = None if spec is None or edit.old not in spec.text else spec.text.replace(edit.old, edit.new)
    again = None if spec is None or text is None else read_spec(spec.name, text, memory)
    what = f"sed {printable(Path(edit.path).name)}"
    if spec is None or again is None:
        note = "no such spec, or no such text in it"
        read.lines.append(SourceLine(edit.file, edit.line, what, Outcome.LEFT_OUT, note))
        return
    read.specs[read.specs.index(spec)] = again
    read.lines.append(SourceLine(edit.file, edit.line, what, Outcome.TAKEN, "done in the spec"))
