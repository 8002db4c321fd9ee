"""Images are decoded here and by no other program, whatever a file says it is."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from PIL import Image

from taorunner.datasets.files.image_header import IMAGE_SUFFIXES
from taorunner.datasets.files.pixels import FORMATS, open_image
from taorunner.datasets.report.thumbnails import thumbnail
from taorunner.evaluation.pixels import read_values

SOURCES = Path(__file__).parents[3] / "src/taorunner"
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"
LOOK = """import sys
from pathlib import Path
from taorunner.datasets.report.thumbnails import thumbnail
from taorunner.evaluation.pixels import read_values
path = Path(sys.argv[1])
print([thumbnail(path, 32), read_values(path.parent, path)])"""


def test_postscript_with_the_name_of_an_image_starts_no_program(tmp_path: Path) -> None:
    """Pillow hands it to Ghostscript: a mask that a container wrote would be a program on this machine."""
    programs, mask = tmp_path / "bin", tmp_path / "mask.png"
    programs.mkdir()
    (programs / "gs").write_text(f"#!/bin/sh\ntouch {tmp_path}/executed\n")
    (programs / "gs").chmod(0o755)
    mask.write_bytes(POSTSCRIPT)
    environ = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    done = subprocess.run([sys.executable, "-c", LOOK, str(mask)], env=environ, capture_output=True, text=True, check=False)  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "['', None]\n", "")
    assert not (tmp_path / "executed").exists()


def test_images_are_opened_in_one_place() -> None:
    """``open_image`` says which formats are read; the embedded network is a program of its own."""
    found = {
        path.relative_to(SOURCES).as_posix()
        for path in SOURCES.rglob("*.py")
        if "Image.open(" in path.read_text()
    }
    assert found == {"datasets/files/pixels.py", "embedded/pictures.py"}
    assert all("formats=" in (SOURCES / name).read_text() for name in found)


@pytest.mark.parametrize("kind", FORMATS)
def test_formats_of_datasets_are_decoded(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.png"
    Image.new("L", (12, 9), 3).save(path, kind)
    with open_image(path) as opened:
        assert (opened.size, opened.format) == ((12, 9), kind)
    assert thumbnail(path, 8) != ""
    known = {suffix for suffix, name in Image.registered_extensions().items() if name in FORMATS}
    assert known >= IMAGE_SUFFIXES


def test_odd_metadata_is_no_warning(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    Image.new("L", (12, 9), 3).save(path, "TIFF")
    path.write_bytes(path.read_bytes()[:-6])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        thumbnail(path, 8)


def test_values_below_zero_are_values_of_no_class(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    Image.new("I", (3, 2), -1).save(path, "TIFF")
    assert set(read_values(tmp_path, path).flatten().tolist()) == {2**31 - 1}


def test_a_picture_that_is_huge_when_decoded_has_no_small_copy(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("1", (9000, 8000)).save(path)
    assert path.stat().st_size < 100_000
    assert thumbnail(path, 32) == ""
