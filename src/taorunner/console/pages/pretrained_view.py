"""``pretrained list``: models, versions and files as tables or JSON."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from taorunner.console.base.columns import Column, Row, laid_out
from taorunner.console.base.formatting import clean
from taorunner.console.base.json_output import write_json
from taorunner.console.base.theme import make_console, symbols_of
from taorunner.text import size

if TYPE_CHECKING:
    from taorunner.pretrained.bundled_list import KnownModel
    from taorunner.pretrained.ngc import RemoteFile, RemoteVersion


def print_known(models: Sequence[KnownModel], keys: Mapping[str, str] | None = None, *, json: bool) -> None:
    """``keys``: by model, the spec key or the option that takes its file; None when they are of several networks."""
    if json:
        more = [{} if keys is None else {"key": keys.get(model.name)} for model in models]
        write_json(
            [model.to_json() | row for model, row in zip(models, more, strict=True)], sys.stdout.buffer
        )
        return
    columns = [
        Column("model"), Column("networks", drop=3, shrinks_to=20), Column("files", drop=2, shrinks_to=20),
        *([Column("belongs in", drop=4)] if keys else []), Column("note", drop=1, shrinks_to=20),
    ]  # fmt: skip
    _print(
        columns,
        [
            (
                model.name, " ".join(model.networks), " ".join(model.files),
                *([keys.get(model.name, "")] if keys else []), model.note or model.role or "",
            )
            for model in models
        ],
    )  # fmt: skip


def print_versions(versions: Sequence[RemoteVersion], *, json: bool) -> None:
    if json:
        rows = [
            {
                "version": v.name,
                "size": v.size,
                "files": v.files,
                "created": v.created,
                "complete": v.is_complete,
            }
            for v in versions
        ]
        write_json(rows, sys.stdout.buffer)
        return
    columns = [
        Column("version"),
        Column("size", right=True),
        Column("files", right=True),
        Column("created"),
        Column(""),
    ]
    _print(
        columns,
        [
            (
                v.name, size(v.size) if v.size is not None else "", str(v.files or ""), (v.created or "")[:10],
                "" if v.is_complete else "incomplete",
            )
            for v in versions
        ],
    )  # fmt: skip


def print_files(files: Sequence[RemoteFile], *, json: bool) -> None:
    if json:
        rows = [{"path": file.path, "size": file.size, "sha256": file.sha256} for file in files]
        write_json(rows, sys.stdout.buffer)
        return
    columns = [Column("file"), Column("size", right=True), Column("sha256", drop=1)]
    _print(columns, [(file.path, size(file.size), file.sha256 or "") for file in files])


def _print(columns: Sequence[Column], rows: Sequence[tuple[str, ...]]) -> None:
    console = make_console(sys.stdout, os.environ)
    cells = [Row(tuple(Text(clean(cell)) for cell in row)) for row in rows]
    for line in laid_out(columns, cells, console.width, symbols_of(console)):
        console.print(line, soft_wrap=True)
