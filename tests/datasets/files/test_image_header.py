"""Size, format, channels and rotation of images, from the first bytes of real files."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from PIL import Image

from taorunner.datasets.files.image_header import ImageError, ImageHeader, read_header


def saved(path: Path, mode: str = "RGB", size: tuple[int, int] = (300, 200), **options: object) -> Path:
    Image.new(mode, size).save(path, **options)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize(
    ("name", "mode", "options", "header"),
    [
        ("a.jpg", "RGB", {}, ImageHeader("jpeg", 300, 200)),
        ("a.jpg", "L", {"progressive": True}, ImageHeader("jpeg", 300, 200, channels=1)),
        ("a.jpg", "CMYK", {}, ImageHeader("jpeg", 300, 200, channels=4)),
        ("a.png", "RGB", {}, ImageHeader("png", 300, 200)),
        ("a.png", "RGBA", {}, ImageHeader("png", 300, 200, channels=4)),
        ("a.png", "LA", {}, ImageHeader("png", 300, 200, channels=2)),
        ("a.png", "L", {}, ImageHeader("png", 300, 200, channels=1)),
        ("a.png", "I;16", {}, ImageHeader("png", 300, 200, bits=16, channels=1)),
        ("a.png", "P", {}, ImageHeader("png", 300, 200, bits=1, channels=1, palette=True)),
        ("a.png", "1", {}, ImageHeader("png", 300, 200, bits=1, channels=1)),
        ("a.bmp", "RGB", {}, ImageHeader("bmp", 300, 200)),
        ("a.bmp", "P", {}, ImageHeader("bmp", 300, 200, channels=1, palette=True)),
        ("a.gif", "P", {}, ImageHeader("gif", 300, 200, channels=1, palette=True)),
        ("a.webp", "RGB", {}, ImageHeader("webp", 300, 200)),
        ("a.webp", "RGB", {"lossless": True}, ImageHeader("webp", 300, 200)),
        ("a.webp", "RGB", {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"}, ImageHeader("webp", 300, 200)),
        ("a.tif", "RGB", {}, ImageHeader("tiff", 300, 200)),
        ("a.tif", "L", {}, ImageHeader("tiff", 300, 200, channels=1)),
        ("a.tif", "P", {}, ImageHeader("tiff", 300, 200, channels=1, palette=True)),
    ],
)
def test_the_header_of_each_format(
    name: str, mode: str, options: dict[str, object], header: ImageHeader, tmp_path: Path
) -> None:
    assert read_header(saved(tmp_path / name, mode, **options)) == header


@pytest.mark.parametrize("options", [{}, {"lossless": True}])
def test_a_webp_with_transparency_has_four_channels(options: dict[str, object], tmp_path: Path) -> None:
    image = Image.new("RGBA", (300, 200), (1, 2, 3, 100))
    image.save(tmp_path / "a.webp", **options)  # type: ignore[arg-type]
    assert read_header(tmp_path / "a.webp") == ImageHeader("webp", 300, 200, channels=4)


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
@pytest.mark.parametrize("orientation", range(10))
def test_the_rotation_of_exif(orientation: int, name: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "a maker"
    exif[0x0112] = orientation
    header = read_header(saved(tmp_path / name, exif=exif))
    assert header.orientation == (orientation if 1 <= orientation <= 8 else 1)
    turned = orientation in (5, 6, 7, 8)
    assert (header.width, header.height) == ((200, 300) if turned else (300, 200))


@pytest.mark.parametrize("orientation", [1, 6, 9])
def test_the_rotation_of_a_tiff(orientation: int, tmp_path: Path) -> None:
    header = read_header(saved(tmp_path / "a.tif", tiffinfo={274: orientation}))
    assert header.orientation == (6 if orientation == 6 else 1)


def test_a_large_preview_before_the_size_is_passed_over(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x9286] = "x" * 20_000
    path = saved(tmp_path / "a.jpg", exif=exif)
    assert path.read_bytes().find(b"\xff\xc0") > 4096
    assert read_header(path) == ImageHeader("jpeg", 300, 200, 6)


def test_fill_bytes_and_markers_without_length_are_passed_over(tmp_path: Path) -> None:
    data = saved(tmp_path / "a.jpg").read_bytes()
    (tmp_path / "b.jpg").write_bytes(data[:2] + b"\xff\x01\xff\xd0\xff\xff\xff" + data[2:])
    assert read_header(tmp_path / "b.jpg") == ImageHeader("jpeg", 300, 200)


def test_a_bmp_from_top_to_bottom_and_an_old_one(tmp_path: Path) -> None:
    head = b"BM" + bytes(12)
    down = head + struct.pack("<IiiHH", 40, 30, -20, 1, 24)
    (tmp_path / "a.bmp").write_bytes(down + bytes(20))
    assert read_header(tmp_path / "a.bmp") == ImageHeader("bmp", 30, 20)
    (tmp_path / "b.bmp").write_bytes(head + struct.pack("<IHHHH", 12, 30, 20, 1, 1) + bytes(20))
    assert read_header(tmp_path / "b.bmp") == ImageHeader("bmp", 30, 20, channels=1, palette=True)


def test_a_tiff_in_both_byte_orders(tmp_path: Path) -> None:
    for order, mark in (("<", b"II*\0"), (">", b"MM\0*")):
        entries = [(256, 3, 1, 30), (257, 4, 1, 20), (258, 3, 1, 16), (277, 3, 1, 1), (262, 3, 1, 1)]
        body = mark + struct.pack(order + "IH", 8, len(entries))
        for tag, kind, count, value in entries:
            packed = struct.pack(order + ("Hxx" if kind == 3 else "I"), value)
            body += struct.pack(order + "HHI", tag, kind, count) + packed
        (tmp_path / "a.tif").write_bytes(body + bytes(8))
        assert read_header(tmp_path / "a.tif") == ImageHeader("tiff", 30, 20, bits=16, channels=1)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"some text that is longer", "the content is not JPEG, PNG, BMP, GIF, WebP or TIFF"),
        (b"\xff\xd8\xff", "the JPEG ends before its size"),
        (b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x11\x08\x00", "the JPEG ends before its size"),
        (b"\xff\xd8\xff\xe0\x00\x04ab\x00\x00\x00\x00", "the JPEG has no marker at byte 8"),
        (b"\xff\xd8\xff\xd9\x00\x00", "the JPEG has no size before its pixels"),
        (b"\xff\xd8\xff\xda\x00\x00", "the JPEG has no size before its pixels"),
        (b"\xff\xd8" + b"\xff\xd0" * 3000, "the JPEG has no size"),
        (b"\x89PNG\r\n\x1a\n" + bytes(17), "the PNG ends before its size"),
        (b"\x89PNG\r\n\x1a\n" + bytes(30), "the PNG ends before its size"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">IIBBB", 0, 5, 8, 0, 0), "the header states 0x5 pixels"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">IIBBB", 5, 0, 8, 0, 0), "the header states 5x0 pixels"),
        (b"BM" + bytes(27), "the BMP ends before its size"),
        (b"GIF89a\1\0\1", "the GIF ends before its size"),
        (b"RIFF\0\0\0\0WEBPVP8X" + bytes(13), "the WebP ends before its size"),
        (b"RIFF\0\0\0\0WEBPXXXX" + bytes(20), "the WebP has no pixels"),
        (b"II*\0\x08\0\0\0\x01\0", "the TIFF ends before its size"),
        (b"II*\0\x08\0\0\0\0\0", "the TIFF has no size"),
    ],
)  # fmt: skip
def test_what_is_no_image(data: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(ImageError) as caught:
        read_header(tmp_path / "a.jpg")
    assert str(caught.value) == reason


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b"GIF89a\1\0\2\0", (1, 2)),
        (b"GIF87a\1\0\1\0", (1, 1)),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">IIBB", 1, 2, 8, 0), (1, 2)),
        (b"BM" + bytes(12) + struct.pack("<IiiHH", 40, 1, 2, 1, 24), (1, 2)),
        (b"\xff\xd8\xff\xc0\x00\x11\x08\x00\x02\x00\x01\x03", (1, 2)),
        (b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + b"\4\0\0\5\0\0", (5, 6)),
    ],
)
def test_the_shortest_header_is_enough(data: bytes, size: tuple[int, int], tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(data)
    header = read_header(tmp_path / "a")
    assert (header.width, header.height) == size


@pytest.mark.parametrize("exif", [b"XX*\0", b"II*\0\xff\0\0\0", b"II*\0\x08\0\0\0\x05\0", b"II*\0"])
def test_broken_exif_is_not_rotated(exif: bytes, tmp_path: Path) -> None:
    data = saved(tmp_path / "a.jpg").read_bytes()
    segment = b"Exif\0\0" + exif
    (tmp_path / "b.jpg").write_bytes(
        data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]
    )
    assert read_header(tmp_path / "b.jpg") == ImageHeader("jpeg", 300, 200)
