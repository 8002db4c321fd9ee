"""What an import shows of the lines of its source."""

from __future__ import annotations

import io
from pathlib import Path

from taorunner.console.pages.import_view import print_source_lines
from taorunner.importers.source_report import Outcome, SourceLine


def test_files_of_one_folder_are_counted(tmp_path: Path) -> None:
    images = tmp_path / "data" / "images"
    left = [images / f"p{number}.jpg" for number in range(9)] + [tmp_path / "notes.odt"]
    lines = [SourceLine(path, None, path.name, Outcome.LEFT_OUT, "no spec") for path in left]
    lines += [SourceLine(tmp_path / "run.sh", 3, "rtdetr train", Outcome.TAKEN, "taorunner train rtdetr_01")]
    out = io.StringIO()
    print_source_lines(out, lines, tmp_path)
    assert out.getvalue().splitlines() == [
        "taken     run.sh:3  rtdetr train: taorunner train rtdetr_01",
        "left out  data/images (9 files), notes.odt: no spec",
    ]
