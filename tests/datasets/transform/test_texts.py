"""Datasets of texts: what is written is read again as OCDNet and OCRNet read it, and no text is lost without a word."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from taorunner.datasets.checks.run import check_dataset
from taorunner.datasets.formats.texts.paddle import smallest_rectangle
from taorunner.datasets.report.stats import read_stats
from taorunner.datasets.transform.convert import Conversion, convert
from taorunner.datasets.transform.for_network import Wish, lay_out_for_network
from taorunner.datasets.transform.split import split_dataset
from taorunner.datasets.transform.texts import lay_out_texts
from taorunner.errors import UserFilesError

SHARES = {"train": 0.7, "val": 0.3}
WORDS = ("Genaxis,Theatre", '"quoted"', "naïve", "日本語", "1,299", "a,,b", "[06]", "it's")
"""As people have them: commas, quotes, accents, other scripts, numbers."""


def image(path: Path, number: int = 0, size: tuple[int, int] = (100, 60)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (number % 251, number * 7 % 251, 90)).save(path)
    return path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())


def icdar(root: Path, mark: str = "\ufeff", end: str = "\r\n") -> dict[str, list[str]]:
    """As ICDAR 2015 comes, with folders for training and test. Gives the texts of each image."""
    texts = {}
    for part in ("training", "test"):
        for number in range(10):
            name = f"img_{number}"
            image(root / f"ch4_{part}_images/{name}.jpg", number + (100 if part == "test" else 0))
            rows = [f"1,1,30,1,30,20,1,20,{WORDS[number % len(WORDS)]}", "5,5,50,9,50,30,5,30,###"][
                : 1 + number % 2
            ]
            write(root / f"ch4_{part}_gt/gt_{name}.txt", mark + "".join(row + end for row in rows))
            texts[f"{'train' if part == 'training' else 'test'}/{name}"] = [
                row.split(",", 8)[8] for row in rows
            ]
    return texts


def as_ocdnet_reads(root: Path) -> dict[str, list[str]]:
    """The texts of each image with a positive area; every image must have a file."""
    found = {}
    for path in sorted(root.glob("*/img/*")):
        rows = (path.parents[1] / "gt" / f"gt_{path.stem}.txt").read_text(encoding="utf-8").splitlines()
        corners = [[float(value) for value in row.split(",")[:8]] for row in rows]
        assert all(len(row) == 8 and min(row) > -50 for row in corners)
        found[f"{path.parents[1].name}/{path.stem}"] = [",".join(row.strip().split(",")[8:]) for row in rows]
    return found


def as_ocrnet_reads(root: Path, part: str) -> dict[str, str]:
    """Two words a line, an image for each, every character in the list and no class twice."""
    characters = [row.strip() for row in (root / "characters.txt").read_text(encoding="utf-8").splitlines()]
    assert len(set(characters)) == len(characters) and all(len(one) == 1 for one in characters)
    found = {}
    with (root / part / "labels.txt").open(encoding="utf-8") as file:
        for row in file:
            name, text = row.strip("\n").split()
            assert set(text) <= set(characters) and (root / part / name).is_file()
            found[name] = text
    return found


def codes(caught: pytest.ExceptionInfo[UserFilesError]) -> list[str]:
    return [finding.code for finding in caught.value.findings]


def to_ocdnet(root: Path, target: Path, **options: bool) -> Conversion:
    return lay_out_texts(root, target, to="ocdnet", **options)


def to_ocrnet(root: Path, target: Path, **options: bool) -> Conversion:
    return lay_out_texts(root, target, to="ocrnet", **options)


# outlines


@pytest.mark.parametrize(("mark", "end"), [("\ufeff", "\r\n"), ("", "\n"), ("", "\r\n\r\n")])
def test_icdar_becomes_what_ocdnet_reads(tmp_path: Path, mark: str, end: str) -> None:
    texts = icdar(tmp_path / "d", mark, end)
    done = to_ocdnet(tmp_path / "d", tmp_path / "made")
    assert as_ocdnet_reads(tmp_path / "made") == texts
    assert done.findings == () and done.subsets == {"train": 10, "test": 10}
    assert dict(done.after) == {"text": 20, "illegible": 10}
    assert {(one.name, one.before, one.left_out) for one in done.classes} == {
        ("text", 20, 0),
        ("illegible", 10, 0),
    }
    again = to_ocdnet(tmp_path / "made", tmp_path / "again")
    assert as_ocdnet_reads(tmp_path / "again") == texts and again.findings == ()
    report = check_dataset(tmp_path / "made")
    assert [(one.name, one.images, dict(one.classes)) for one in report.subsets] == [
        ("test", 10, {"text": 10, "illegible": 5}), ("train", 10, {"text": 10, "illegible": 5}),
    ]  # fmt: skip
    assert report.kind == "icdar" and report.findings == []


def test_a_split_keeps_the_test_and_shares_out_the_rest(tmp_path: Path) -> None:
    texts = icdar(tmp_path / "d")
    split = split_dataset(tmp_path / "d", tmp_path / "made", shares=SHARES, seed=3)
    found = as_ocdnet_reads(tmp_path / "made")
    assert {key.partition("/")[2] + str(value) for key, value in found.items()} == {
        key.partition("/")[2] + str(value) for key, value in texts.items()
    }
    assert {part.name: dict(part.classes) for part in split.parts} == {
        "train": {"text": 7, "illegible": 4}, "val": {"text": 3, "illegible": 1}, "test": {"text": 10, "illegible": 5},
    }  # fmt: skip
    assert split.target == "ocdnet" and [one.code for one in split.findings] == ["subsets-kept"]
    listed = json.loads((tmp_path / "made/split.json").read_text())["parts"]
    assert sum(map(len, listed.values())) == 20


def test_images_and_files_of_the_same_folder_and_name(tmp_path: Path) -> None:
    for number in range(3):
        image(tmp_path / f"d/{number}.png", number)
        write(tmp_path / f"d/{number}.txt", f"1.5,1,30,1,30,20.25,1,20,word{number}\n")
    write(tmp_path / "d/readme.txt", "hello")
    to_ocdnet(tmp_path / "d", tmp_path / "made")
    assert (tmp_path / "made/gt/gt_1.txt").read_text() == "1.50,1,30,1,30,20.25,1,20,word1\n"


def test_scripts_of_mlt_are_taken_away_and_counted(tmp_path: Path) -> None:
    for number, (script, text) in enumerate((("Latin", "Hello, you"), ("Japanese", "日本"), ("None", "###"))):
        image(tmp_path / f"d/{number}.png", number)
        write(tmp_path / f"d/gt_{number}.txt", f"1,1,30,1,30,20,1,20,{script},{text}\n")
    done = to_ocdnet(tmp_path / "d", tmp_path / "made")
    rows = [(tmp_path / f"made/gt/gt_{number}.txt").read_text().split(",", 8)[8] for number in range(3)]
    assert rows == ["Hello, you\n", "日本\n", "###\n"]
    assert [(one.code, one.message) for one in done.findings] == [
        ("scripts-left-out", 'the scripts of 3 texts are left out, such as "Latin"')
    ]
    write(tmp_path / "d/gt_0.txt", "1,1,30,1,30,20,1,20,Latin\n")  # a word, not a script
    to_ocdnet(tmp_path / "d", tmp_path / "more")
    assert (tmp_path / "more/gt/gt_1.txt").read_text().endswith(",Japanese,日本\n")


def test_two_corners_of_icdar_2013_become_four(tmp_path: Path) -> None:
    image(tmp_path / "d/a.png")
    image(tmp_path / "d/b.png", 1)
    write(tmp_path / "d/gt_a.txt", '38, 4, 92, 21, "Tired, out"\n')
    write(tmp_path / "d/gt_b.txt", '38 4 92 21 "of"\n')
    done = to_ocdnet(tmp_path / "d", tmp_path / "made")
    assert (tmp_path / "made/gt/gt_a.txt").read_text() == "38,4,92,4,92,21,38,21,Tired, out\n"
    assert (tmp_path / "made/gt/gt_b.txt").read_text() == "38,4,92,4,92,21,38,21,of\n"
    assert [one.code for one in done.findings] == ["corners-completed"]


@pytest.mark.parametrize(("row", "code"), [
    ("1,1,30,1,30,20,1,20", "text-missing"), ("1,1,30,1,30,20,word", "outline-line"), ("hello", "outline-line"),
    ("1,1,nan,1,30,20,1,20,word", "outline-line"), ("1,1,30,1,inf,20,1,20,word", "outline-line"),
    ("1,1,30,1,30,20,1,20,9,9,8,8,word", "outline-corners"), ("200,1,230,1,230,20,200,20,word", "outline-outside"),
])  # fmt: skip
def test_a_line_that_cannot_be_used_stops_or_is_left_out_with_its_image(
    tmp_path: Path, row: str, code: str
) -> None:
    icdar(tmp_path / "d", "", "\n")
    bad = tmp_path / "d/ch4_training_gt/gt_img_3.txt"
    bad.write_text(bad.read_text() + row + "\n")
    with pytest.raises(UserFilesError, match="nothing was written") as caught:
        to_ocdnet(tmp_path / "d", tmp_path / "made")
    (finding,) = caught.value.findings
    assert (finding.code, finding.file, finding.line) == (code, bad, 3)
    assert finding.hint is not None and not (tmp_path / "made").exists()
    with pytest.raises(UserFilesError):
        split_dataset(tmp_path / "d", tmp_path / "made", shares=SHARES, seed=1)
    assert code in [one.code for one in check_dataset(tmp_path / "d").findings]
    done = to_ocdnet(tmp_path / "d", tmp_path / "made", skip_bad=True)
    assert "train/img_3" not in as_ocdnet_reads(tmp_path / "made") and done.images_after == 19
    assert code in [one.code for one in done.findings]


def test_outlines_beyond_the_edge_are_clipped_and_empty_ones_left_out(tmp_path: Path) -> None:
    image(tmp_path / "d/a.png")
    write(tmp_path / "d/gt_a.txt", "-60,1,30,1,30,20,-60,20,edge\n5,5,5,5,5,5,5,5,dot\n1,1,9,1,9,9,1,9,\n")
    done = to_ocdnet(tmp_path / "d", tmp_path / "made")
    assert (tmp_path / "made/gt/gt_a.txt").read_text() == "0,1,30,1,30,20,0,20,edge\n1,1,9,1,9,9,1,9,\n"
    assert [one.code for one in done.findings] == ["outline-beyond-edge", "outline-empty"]
    assert [(one.before, one.left_out, done.after["text"]) for one in done.classes] == [(3, 1, 2)]


def test_files_without_images_and_images_without_files(tmp_path: Path) -> None:
    icdar(tmp_path / "d")
    image(tmp_path / "d/ch4_training_images/new.jpg", 77)
    done = to_ocdnet(tmp_path / "d", tmp_path / "made")
    assert (tmp_path / "made/train/gt/gt_new.txt").read_text() == ""
    (finding,) = done.findings
    assert finding.code == "image-without-label" and "taken as images without a text" in finding.message
    assert done.backgrounds == 1
    (tmp_path / "d/ch4_test_images/img_4.jpg").unlink()
    image(tmp_path / "d/more/x.jpg")
    with pytest.raises(UserFilesError) as caught:
        to_ocdnet(tmp_path / "d", tmp_path / "again")
    assert sorted(codes(caught)) == ["image-without-label", "images-without-labels", "label-without-image"]


def test_a_file_of_another_encoding_is_named_and_its_image_is_no_background(tmp_path: Path) -> None:
    icdar(tmp_path / "d")
    (tmp_path / "d/ch4_training_gt/gt_img_0.txt").write_bytes("1,1,30,1,30,20,1,20,日本\n".encode("gbk"))
    with pytest.raises(UserFilesError) as caught:
        to_ocdnet(tmp_path / "d", tmp_path / "made")
    assert codes(caught) == ["not-utf8"]
    to_ocdnet(tmp_path / "d", tmp_path / "made", skip_bad=True)
    assert "train/img_0" not in as_ocdnet_reads(tmp_path / "made")


def test_images_that_opencv_does_not_read_become_png(tmp_path: Path) -> None:
    for name in ("a.gif", "b.webp", "c.jpg"):
        image(tmp_path / "d" / name)
        write(tmp_path / f"d/gt_{name[0]}.txt", "1,1,30,1,30,20,1,20,x\n")
    done = to_ocdnet(tmp_path / "d", tmp_path / "made")
    assert sorted(path.name for path in (tmp_path / "made/img").iterdir()) == ["a.png", "b.png", "c.jpg"]
    assert [one.code for one in done.findings] == ["images-converted"]


# the lists of PaddleOCR


def paddle_list(root: Path, *texts: dict[str, object], name: str = "Label.txt") -> None:
    image(root / "photos/a.png")
    write(root / name, f"photos/a.png\t{json.dumps(texts, ensure_ascii=False)}\n")


def test_the_list_of_paddleocr_becomes_what_ocdnet_reads(tmp_path: Path) -> None:
    square = [[1, 1], [30, 1], [30, 20], [1, 20]]
    paddle_list(
        tmp_path / "d", {"transcription": "日本, x", "points": square, "difficult": False, "key_cls": "None"},
        {"transcription": "###", "points": square}, {"transcription": "hard", "points": square, "difficult": True},
        {"transcription": "bent", "points": [[0, 10], [10, 0], [50, 40], [40, 50], [20, 30]], "key_cls": "price"},
    )  # fmt: skip
    image(tmp_path / "d/photos/b.png", 1)
    with (tmp_path / "d/Label.txt").open("a") as file:
        file.write("photos/b.png\t[]\n")
    write(tmp_path / "d/fileState.txt", "photos/a.png\t1\nphotos/b.png\t1\n")
    done = to_ocdnet(tmp_path / "d", tmp_path / "made")
    assert done.format == "paddleocr"
    assert (tmp_path / "made/gt/gt_a.txt").read_text().splitlines()[:3] == [
        "1,1,30,1,30,20,1,20,日本, x", "1,1,30,1,30,20,1,20,###", "1,1,30,1,30,20,1,20,###",
    ]  # fmt: skip
    bent = (tmp_path / "made/gt/gt_a.txt").read_text().splitlines()[3].split(",")
    assert bent[8] == "bent" and sorted(map(float, bent[:8])) == [0, 0, 10, 10, 40, 40, 50, 50]
    assert (tmp_path / "made/gt/gt_b.txt").read_text() == ""
    assert [one.code for one in done.findings] == ["texts-reduced", "texts-difficult", "fields-lost"]


def test_the_smallest_rectangle_is_around_all_points() -> None:
    generator = random.Random(4)
    for _ in range(50):
        points = [
            (generator.uniform(0, 99), generator.uniform(0, 99)) for _ in range(generator.randint(3, 9))
        ]
        corners = smallest_rectangle(points)
        sides = [
            (x1 - x0, y1 - y0) for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True)
        ]
        for (ux, uy), (vx, vy) in zip(sides, [*sides[1:], sides[0]], strict=True):
            assert abs(ux * vx + uy * vy) <= 0.05 * (1 + abs(ux) + abs(uy) + abs(vx) + abs(vy))
        for (x0, y0), (ux, uy) in zip(corners, sides, strict=True):
            length = (ux**2 + uy**2) ** 0.5 or 1
            assert all(((x - x0) * -uy + (y - y0) * ux) / length >= -0.05 for x, y in points)


@pytest.mark.parametrize(("text", "code"), [
    ({"transcription": "x", "points": [[1, 1], [2, 2]]}, "text-list-line"),
    ({"transcription": "x", "points": [[1, 1], [9, 1], [float("nan"), 9]]}, "text-list-line"),
    ({"transcription": None, "points": [[1, 1], [9, 1], [9, 9]]}, "text-list-line"),
    ({"transcription": "\ud800", "points": [[1, 1], [9, 1], [9, 9]]}, "text-list-line"),
    ({"transcription": "a\nb", "points": [[1, 1], [9, 1], [9, 9]]}, "text-line-break"),
])  # fmt: skip
def test_a_text_that_cannot_be_used_is_named(tmp_path: Path, text: dict[str, object], code: str) -> None:
    image(tmp_path / "d/a.png")
    image(tmp_path / "d/b.png", 1)
    sound = json.dumps([{"transcription": "x", "points": [[1, 1], [9, 1], [9, 9], [1, 9]]}])
    write(tmp_path / "d/Label.txt", f"a.png\t{sound}\nb.png\t{json.dumps([text])}\n")
    with pytest.raises(UserFilesError) as caught:
        to_ocdnet(tmp_path / "d", tmp_path / "made")
    (finding,) = [one for one in caught.value.findings if one.is_error]
    assert (finding.code, finding.line) == (code, 2)


# words


def words(
    root: Path, *texts: str, line: str = "{name}\t{text}\n", list_name: str = "rec_gt.txt"
) -> list[str]:
    rows = []
    for number, text in enumerate(texts):
        image(root / f"word_{number}.png", number)
        rows.append(line.format(name=f"word_{number}.png", text=text))
    write(root / list_name, "".join(rows))
    return [f"word_{number}.png" for number in range(len(texts))]


@pytest.mark.parametrize(("line", "list_name"), [
    ("{name}\t{text}\n", "rec_gt.txt"), ("{name}\t{text}\r\n", "list.txt"), ("{name} {text}\n", "gt_new.txt"),
    ("{name}, {text}\n", "labels.csv"), ("./{name}\t{text}\n", "rec_gt.txt"), ("d/{name}\t{text}\n", "rec_gt.txt"),
])  # fmt: skip
def test_a_list_of_words_becomes_what_ocrnet_reads(tmp_path: Path, line: str, list_name: str) -> None:
    texts = [word for word in WORDS if not word.startswith('"')]
    names = words(tmp_path / "d/train", *texts, line=line, list_name=list_name)
    (tmp_path / "d/train" / list_name).write_bytes(
        "\ufeff".encode() + (tmp_path / "d/train" / list_name).read_bytes()
    )
    done = to_ocrnet(tmp_path / "d", tmp_path / "made")
    assert as_ocrnet_reads(tmp_path / "made", "train") == dict(zip(names, texts, strict=True))
    assert done.findings == () and dict(done.after) == {"word": len(texts)}
    listed = (tmp_path / "made/characters.txt").read_text(encoding="utf-8").split("\n")[:-1]
    assert listed == sorted(set("".join(texts)))
    again = to_ocrnet(tmp_path / "made", tmp_path / "again")
    assert as_ocrnet_reads(tmp_path / "again", "train") == dict(zip(names, texts, strict=True))
    assert again.findings == () and check_dataset(tmp_path / "made").findings == []


def test_quoted_texts_of_icdar_lose_their_quotes_alone(tmp_path: Path) -> None:
    write_rows = ['"plain"', '"a, b"'.replace(" ", ""), r'"\"q\""', r'"back\\slash"', '"###"', "bare"]
    words(tmp_path / "d", *write_rows, line="{name}, {text}\n", list_name="gt.txt")
    done = to_ocrnet(tmp_path / "d", tmp_path / "made")
    assert list(as_ocrnet_reads(tmp_path / "made", "").values()) == [
        "plain",
        "a,b",
        '"q"',
        r"back\slash",
        "bare",
    ]
    (finding,) = done.findings
    assert finding.code == "text-illegible" and "1 text that cannot be read: left out" in finding.message
    assert [(one.before, one.left_out) for one in done.classes] == [(6, 1)]


def test_a_table_of_words_is_read(tmp_path: Path) -> None:
    image(tmp_path / "d/a.png")
    image(tmp_path / "d/b.png", 1)
    write(tmp_path / "d/labels.csv", 'filename,words\na.png,hello\nb.png,"say""a,b"""\n')
    to_ocrnet(tmp_path / "d", tmp_path / "made")
    assert as_ocrnet_reads(tmp_path / "made", "") == {"a.png": "hello", "b.png": 'say"a,b"'}


@pytest.mark.parametrize(("text", "code"), [
    ("two words", "text-blank"), ("wide\u3000blank", "text-blank"), ("a\tb", "text-blank"), ("", "text-empty"),
])  # fmt: skip
def test_a_text_that_ocrnet_does_not_read_stops_or_is_left_out(tmp_path: Path, text: str, code: str) -> None:
    words(tmp_path / "d", "one", text, "three")
    for command in (
        lambda: to_ocrnet(tmp_path / "d", tmp_path / "made"),
        lambda: split_dataset(tmp_path / "d", tmp_path / "made", shares=SHARES, seed=1),
    ):
        with pytest.raises(UserFilesError) as caught:
            command()
        (finding,) = caught.value.findings
        assert (finding.code, finding.line) == (code, 2) and "--skip-bad" in (finding.hint or "")
    done = to_ocrnet(tmp_path / "d", tmp_path / "made", skip_bad=True)
    assert list(as_ocrnet_reads(tmp_path / "made", "").values()) == ["one", "three"]
    assert (done.images_before, done.images_after) == (3, 2)


def test_lines_images_and_lists_that_do_not_fit_together(tmp_path: Path) -> None:
    words(tmp_path / "d", "one", "two")
    with (tmp_path / "d/rec_gt.txt").open("a") as file:
        file.write("word_0.png\tone\nword_1.png\tother\nword_9.png\tlost\nwhat is this\n")
    image(tmp_path / "d/extra.png", 50)
    with pytest.raises(UserFilesError) as caught:
        to_ocrnet(tmp_path / "d", tmp_path / "made")
    assert [(one.code, one.line) for one in caught.value.findings] == [
        ("text-twice", 4), ("picture-missing", 5), ("word-list-line", 6), ("word-repeated", 3),
        ("picture-unlisted", None),
    ]  # fmt: skip


def test_names_with_blanks_are_renamed(tmp_path: Path) -> None:
    for name in ("my word.png", "my_word.png", "my  word.png"):
        image(tmp_path / "d" / name, len(name))
    write(tmp_path / "d/rec_gt.txt", "my word.png\ta\nmy_word.png\tb\nmy  word.png\tc\n")
    done = to_ocrnet(tmp_path / "d", tmp_path / "made")
    assert as_ocrnet_reads(tmp_path / "made", "") == {
        "my_word_2.png": "a",
        "my_word.png": "b",
        "my__word.png": "c",
    }
    assert done.renamed == (("my word.png", "my_word_2.png"), ("my  word.png", "my__word.png"))


def test_the_list_of_characters_is_that_of_all_subsets(tmp_path: Path) -> None:
    words(tmp_path / "d/train", "abc", "cab")
    words(tmp_path / "d/val", "aé")
    done = to_ocrnet(tmp_path / "d", tmp_path / "made")
    assert (tmp_path / "made/characters.txt").read_text(encoding="utf-8") == "a\nb\nc\né\n"
    (finding,) = done.findings
    assert finding.code == "characters-untrained"
    assert finding.message == "1 character in val or test, but not in train: é"
    assert as_ocrnet_reads(tmp_path / "made", "val") == {"word_0.png": "aé"}


def test_a_list_of_characters_of_the_source_keeps_its_order(tmp_path: Path) -> None:
    """Weights that were trained with it fit only then."""
    words(tmp_path / "d/train", "abc")
    write(tmp_path / "d/characters.txt", "z\nc\nb\n")
    done = to_ocrnet(tmp_path / "d", tmp_path / "made")
    assert (tmp_path / "made/characters.txt").read_text() == "z\nc\nb\na\n"
    assert [one.code for one in done.findings] == ["characters-lacking"]
    assert "lacks 1 of the texts: a" in done.findings[0].message
    assert [one.code for one in check_dataset(tmp_path / "d").findings] == ["characters-lacking"]
    write(tmp_path / "d/characters.txt", "ab\na\na\n")
    with pytest.raises(UserFilesError) as caught:
        to_ocrnet(tmp_path / "d", tmp_path / "more")
    assert codes(caught)[:2] == ["character-line", "character-twice"]


def test_a_split_gives_rare_characters_to_train(tmp_path: Path) -> None:
    texts = [f"word{number % 10}" for number in range(60)] + [
        f"w{chr(0x4E00 + number)}" for number in range(20)
    ]
    names = words(tmp_path / "d", *texts)
    split = split_dataset(tmp_path / "d", tmp_path / "made", shares=SHARES, seed=5)
    read = [as_ocrnet_reads(tmp_path / "made", part) for part in ("train", "val")]
    assert read[0] | read[1] == dict(zip(names, texts, strict=True)) and not read[0].keys() & read[1].keys()
    assert [dict(part.classes) for part in split.parts] == [{"word": len(one)} for one in read]
    assert len(read[1]) >= 20
    untrained = set("".join(read[1].values())) - set("".join(read[0].values()))
    assert len(untrained) == sum(
        int(re.findall(r"^(\d+)", one.message)[0])
        for one in split.findings
        if one.code == "characters-untrained"
    )
    assert len(untrained) <= 6


def test_a_long_text_is_named_with_the_value_for_the_spec(tmp_path: Path) -> None:
    words(tmp_path / "d", "a" * 40, "b")
    (finding,) = check_dataset(tmp_path / "d").findings
    assert finding.code == "text-long" and "set dataset.max_label_length of the spec to 40" in (
        finding.hint or ""
    )


def test_words_of_digits_are_words_where_someone_says_so(tmp_path: Path) -> None:
    words(tmp_path / "d/train", "12", "7.5", list_name="list.txt")
    with pytest.raises(UserFilesError):
        check_dataset(tmp_path / "d")  # numbers of classes look the same
    to_ocrnet(tmp_path / "d", tmp_path / "made")
    assert as_ocrnet_reads(tmp_path / "made", "train") == {"word_0.png": "12", "word_1.png": "7.5"}
    assert check_dataset(tmp_path / "made").kind == "word-list"
    split_dataset(tmp_path / "made", tmp_path / "split", shares={"train": 0.5, "val": 0.5}, seed=1)
    assert as_ocrnet_reads(tmp_path / "split", "val")


def test_a_damaged_line_at_the_beginning_hides_no_list(tmp_path: Path) -> None:
    words(tmp_path / "d", "one", "two", "three")
    write(tmp_path / "d/rec_gt.txt", "what?\nword_0.png\tone\nword_1.png\ttwo\nword_2.png\tthree\n")
    with pytest.raises(UserFilesError) as caught:
        to_ocrnet(tmp_path / "d", tmp_path / "made")
    assert [(one.code, one.line) for one in caught.value.findings] == [("word-list-line", 1)]


def test_images_of_one_text_in_one_line(tmp_path: Path) -> None:
    image(tmp_path / "d/a.png")
    image(tmp_path / "d/b.png", 1)
    image(tmp_path / "d/c.png", 2)
    write(tmp_path / "d/rec_gt.txt", 'c.png\tone\n["a.png", "b.png"]\ttwo\n')
    to_ocrnet(tmp_path / "d", tmp_path / "made")
    assert as_ocrnet_reads(tmp_path / "made", "") == {"a.png": "two", "b.png": "two", "c.png": "one"}


# words that are cropped from images with outlines


def painted(path: Path, *quads: tuple[float, ...], turn: int = 1) -> None:
    """A black image whose quadrilaterals are red at the first corner, and green, blue, white at the others."""
    made = Image.new("RGB", (200, 120))
    pixels = ImageDraw.Draw(made)
    for quad in quads:
        for at, colour in enumerate(("red", "lime", "blue", "white")):
            x, y = quad[2 * at : 2 * at + 2]
            pixels.ellipse((x - 6, y - 6, x + 6, y + 6), fill=colour)
    exif = Image.Exif()
    exif[0x0112] = turn
    path.parent.mkdir(parents=True, exist_ok=True)
    (made if turn == 1 else made.rotate(-90, expand=True)).save(path, exif=exif, quality=95)


def corner_colours(path: Path) -> list[str]:
    with Image.open(path) as made:
        right, bottom = made.width - 2, made.height - 2
        seen = [made.getpixel(at) for at in ((1, 1), (right, 1), (right, bottom), (1, bottom))]
    names = {(1, 0, 0): "red", (0, 1, 0): "lime", (0, 0, 1): "blue", (1, 1, 1): "white"}
    return [names.get(tuple(int(value > 127) for value in one), str(one)) for one in seen]  # type: ignore[union-attr]


UPRIGHT = (20, 20, 90, 20, 90, 50, 20, 50)
TILTED = (110, 60, 170, 30, 180, 55, 120, 85)


@pytest.mark.parametrize("turn", [1, 8])
@pytest.mark.parametrize("is_backwards", [False, True])
def test_words_are_cropped_upright_for_ocrnet(turn: int, is_backwards: bool, tmp_path: Path) -> None:
    painted(tmp_path / f"d/img/a b.{'png' if turn == 1 else 'jpg'}", UPRIGHT, TILTED, turn=turn)
    image(tmp_path / "d/img/c.png", 1, (200, 120))
    quads = [(*one[:2], *one[6:], *one[4:6], *one[2:4]) if is_backwards else one for one in (UPRIGHT, TILTED)]
    rows = [f"{','.join(map(str, quad))},{text}" for quad, text in zip(quads, ("one", "two"), strict=True)]
    write(tmp_path / "d/gt/gt_a b.txt", "\n".join([*rows, "5,5,50,9,50,30,5,30,###"]) + "\n")
    write(tmp_path / "d/gt/gt_c.txt", "1,1,30,1,30,20,1,20,three\n")
    done = to_ocrnet(tmp_path / "d", tmp_path / "made")
    assert as_ocrnet_reads(tmp_path / "made", "") == {
        "a_b_1.png": "one", "a_b_2.png": "two", "c_1.png": "three",
    }  # fmt: skip
    assert corner_colours(tmp_path / "made/a_b_1.png") == ["red", "lime", "blue", "white"]
    assert corner_colours(tmp_path / "made/a_b_2.png") == ["red", "lime", "blue", "white"]
    assert dict(done.placed) == {"cropped": 3}
    codes = {one.code for one in done.findings} - {"picture-turned"}
    assert codes == {"words-cropped", "text-illegible"}
    (words,) = done.classes
    assert (words.before, words.left_out) == (4, 1)
    assert (tmp_path / "made/characters.txt").read_text() == "e\nh\nn\no\nr\nt\nw\n"


def test_a_line_of_several_words_is_no_word(tmp_path: Path) -> None:
    image(tmp_path / "d/img/a.png", 0, (200, 120))
    write(tmp_path / "d/gt/gt_a.txt", "1,1,30,1,30,20,1,20,two words\n1,40,30,40,30,60,1,60,one\n")
    with pytest.raises(UserFilesError) as caught:
        to_ocrnet(tmp_path / "d", tmp_path / "made")
    assert [one.code for one in caught.value.findings if one.is_error] == ["text-blank"]
    to_ocrnet(tmp_path / "d", tmp_path / "made", skip_bad=True)
    assert list(as_ocrnet_reads(tmp_path / "made", "").values()) == ["one"]


def test_an_image_that_cannot_be_decoded_is_not_cropped(tmp_path: Path) -> None:
    path = image(tmp_path / "d/img/a.png", 0, (200, 120))
    path.write_bytes(path.read_bytes()[:60])
    write(tmp_path / "d/gt/gt_a.txt", "1,1,30,1,30,20,1,20,one\n")
    with pytest.raises(UserFilesError) as caught:
        to_ocrnet(tmp_path / "d", tmp_path / "made")
    assert "image-undecodable" in [one.code for one in caught.value.findings]
    assert not (tmp_path / "made").exists()


# COCO-Text and TextOCR


def coco_text(root: Path, *texts: dict[str, object], name: str = "a.jpg") -> None:
    image(root / "train2014/a.jpg", 0, (200, 120))
    image(root / "train2014/b.jpg", 1, (200, 120))
    images = {
        "1": {"id": 1, "file_name": name, "width": 200, "height": 120, "set": "train"},
        "2": {"id": 2, "file_name": "b.jpg", "width": 200, "height": 120, "set": "val"},
    }
    found = {str(at): {"id": at, "image_id": 1, **text} for at, text in enumerate(texts, start=7)}
    value = {"cats": {}, "anns": found, "imgs": images, "imgToAnns": {}, "info": {}}
    write(root / "cocotext.v2.json", json.dumps(value))


def test_coco_text_becomes_what_ocdnet_reads(tmp_path: Path) -> None:
    quad = [1, 2, 40, 2, 40, 20, 1, 20]
    coco_text(
        tmp_path / "d",
        {"utf8_string": "one", "mask": quad, "legibility": "legible"},
        {"utf8_string": "", "mask": quad, "legibility": "illegible"},
        {"legibility": "illegible", "polygon": quad},
        {"utf8_string": "two", "points": [50.0, 10.0, 90.0, 10.0, 95.0, 20.0, 90.0, 30.0, 50.0, 30.0]},
        {"utf8_string": ".", "points": quad},
        {"utf8_string": "three", "bbox": [60, 60, 20, 10]},
    )
    done = to_ocdnet(tmp_path / "d", tmp_path / "made")
    assert done.format == "coco-text"
    assert as_ocdnet_reads(tmp_path / "made") == {
        "train/a": ["one", "###", "###", "two", "###", "three"], "val/b": [],
    }  # fmt: skip
    assert sorted(one.code for one in done.findings) == ["texts-boxes", "texts-reduced"]
    assert not [one for one in check_dataset(tmp_path / "d").findings if one.is_error]


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        ({"utf8_string": "one", "mask": [1, 2, 3]}, "text-list-line"),
        ({"utf8_string": "one", "mask": [1, 2, 3, "x", 5, 6, 7, 8]}, "text-list-line"),
        ({"utf8_string": "one"}, "text-list-line"),
        ({"utf8_string": 7, "bbox": [1, 2, 3, 4]}, "text-list-line"),
        ({"utf8_string": "", "bbox": [1, 2, 30, 40]}, "text-list-line"),
        ({"utf8_string": "a\nb", "bbox": [1, 2, 30, 40]}, "text-line-break"),
        ({"utf8_string": "one", "bbox": [1, 2, 30, 40], "image_id": 99}, "text-list-line"),
        ({"utf8_string": "one", "bbox": [1, 2, 30, 40], "image_id": [1]}, "text-list-line"),
    ],
)
def test_a_text_of_coco_text_that_is_wrong(broken: dict[str, object], code: str, tmp_path: Path) -> None:
    coco_text(tmp_path / "d", {"utf8_string": "good", "bbox": [60, 60, 20, 10]}, broken)
    with pytest.raises(UserFilesError) as caught:
        to_ocdnet(tmp_path / "d", tmp_path / "made")
    assert code in [one.code for one in caught.value.findings if one.is_error]


def test_an_image_of_coco_text_that_is_missing(tmp_path: Path) -> None:
    coco_text(tmp_path / "d", {"utf8_string": "good", "bbox": [60, 60, 20, 10]}, name="c.jpg")
    with pytest.raises(UserFilesError) as caught:
        to_ocdnet(tmp_path / "d", tmp_path / "made")
    assert "picture-missing" in [one.code for one in caught.value.findings]


def test_an_lmdb_is_refused_with_what_to_do(tmp_path: Path) -> None:
    write(tmp_path / "d/train/data.mdb", "x" * 99)
    write(tmp_path / "d/train/lock.mdb", "x")
    for command in (
        lambda: check_dataset(tmp_path / "d"),
        lambda: convert(tmp_path / "d", tmp_path / "made", to="coco"),
        lambda: to_ocrnet(tmp_path / "d", tmp_path / "made"),
    ):
        with pytest.raises(UserFilesError) as caught:
            command()
        assert "LMDB" in caught.value.message and "ocrnet" in f"{caught.value.message} {caught.value.hint}"


# which kind it is


def test_each_kind_is_refused_by_the_other_network_with_the_next_step(tmp_path: Path) -> None:
    icdar(tmp_path / "outlines")
    words(tmp_path / "words", "one", "two")
    image(tmp_path / "boxes/a.png")
    write(tmp_path / "boxes/notes.txt", "hello")
    for root, to, message, hint in (
        ("words", "ocdnet", "has images of words (word-list), which ocdnet does not read", "--to ocrnet"),
        ("boxes", "ocdnet", "has no outlines with texts", "taorunner networks ocdnet"),
        ("boxes", "ocrnet", "has no list of images and their words", "taorunner networks ocrnet"),
    ):
        with pytest.raises(UserFilesError) as caught:
            lay_out_texts(tmp_path / root, tmp_path / "made", to=to)
        assert message in caught.value.message and hint in (caught.value.hint or "")
    for root, to in (("outlines", "ocdnet"), ("words", "ocrnet")):
        for command in (lambda r=root: convert(tmp_path / r, tmp_path / "made", to="coco"),
                        lambda r=root: read_stats(tmp_path / r)):  # fmt: skip
            with pytest.raises(UserFilesError) as caught:
                command()
            assert f"has the layout of {to}: " in caught.value.message
            assert f"dataset convert {tmp_path / root} --to {to}" in (caught.value.hint or "")


def test_outlines_and_words_of_one_folder_are_told_apart(tmp_path: Path) -> None:
    """As PaddleOCR's annotation tool leaves them."""
    paddle_list(tmp_path / "d", {"transcription": "x", "points": [[1, 1], [30, 1], [30, 20], [1, 20]]})
    words(tmp_path / "d/crop_img", "x")
    (tmp_path / "d/crop_img/rec_gt.txt").rename(tmp_path / "d/rec_gt.txt")
    with pytest.raises(UserFilesError, match="texts of several formats: paddleocr, word-list"):
        check_dataset(tmp_path / "d")
    assert check_dataset(tmp_path / "d", from_="word-list").kind == "word-list"
    assert to_ocdnet(tmp_path / "d", tmp_path / "a").images_after == 1
    assert to_ocrnet(tmp_path / "d", tmp_path / "b").images_after == 1


@pytest.mark.parametrize("files", [
    {"images/a.png": "", "labels/a.txt": "0 0.5 0.5 0.5 0.5\n", "classes.txt": "car\n"},
    {"images/a.png": "", "labels/a.txt": "car 0 0 0 1 1 20 20 0 0 0 0 0 0 0\n"},
    {"img/a.png": "", "annotations/a.txt": "68,27,27,11,0,0,0,0\n10,10,5,5,1,4,0,0,\n"},
    {"seq/img1/000001.png": "", "seq/gt/gt.txt": "1,1,12,44,27,20,0,7,1,0.5\n"},
    {"train/cat/a.png": "", "train/dog/b.png": "", "train.txt": "train/cat/a.png 0\ntrain/dog/b.png 1\n"},
    {"cat/a.png": "", "dog/b.png": "", "list.txt": "cat/a.png\t0\ndog/b.png\t1\n"},
    {"a.png": "", "train.txt": "a.png 1,2,30,40,0\n"},
])  # fmt: skip
def test_other_lists_are_no_texts(tmp_path: Path, files: dict[str, str]) -> None:
    from taorunner.datasets.formats.folder import Folder
    from taorunner.datasets.formats.recognise import found_texts

    for name, text in files.items():
        image(tmp_path / name) if name.endswith(".png") else write(tmp_path / name, text)
    assert found_texts(Folder(tmp_path), None) is None


@pytest.mark.parametrize("kind", ["icdar", "paddle", "words"])
def test_damage_at_random_is_never_silent(tmp_path: Path, kind: str) -> None:
    """One line of a file is cut, doubled or changed: either all texts are there, or a finding says what is not."""
    generator = random.Random(17)
    square = [[1, 1], [30, 1], [30, 20], [1, 20]]
    root = tmp_path / "d"
    for number in range(4):
        image(root / f"{number}.png", number)
        write(
            root / f"gt_{number}.txt", f"1,1,30,1,30,20,1,20,w{number}\n2,2,40,2,40,9,2,9,###\n"
        ) if kind == "icdar" else None
    rows = [f"{n}.png\t{json.dumps([{'transcription': f'w{n}', 'points': square}])}\n" for n in range(4)]
    if kind != "icdar":
        write(root / "gt.txt", "".join(rows if kind == "paddle" else [f"{n}.png\tw{n}\n" for n in range(4)]))
    file = root / ("gt_2.txt" if kind == "icdar" else "gt.txt")
    sound, to = file.read_bytes(), "ocrnet" if kind == "words" else "ocdnet"
    whole = (
        {"text": 4, "illegible": 4} if kind == "icdar" else {"text": 4} if kind == "paddle" else {"word": 4}
    )
    for attempt in range(200):
        data = bytearray(sound)
        at = generator.randrange(len(data))
        way = generator.choice(("cut", "byte", "insert", "drop"))
        if way == "cut":
            del data[at:]
        elif way == "byte":
            data[at] = generator.randrange(256)
        elif way == "insert":
            data[at:at] = generator.choice((b"\n", b",", b"\x00", b"\xff", b"\t", b'"'))
        else:
            del data[at : at + generator.randint(1, 9)]
        file.write_bytes(data)
        target = tmp_path / f"made{attempt}"
        try:
            done = lay_out_texts(root, target, to=to)
        except UserFilesError as error:
            assert error.hint is not None and not target.exists()
            continue
        texts = sum(done.after.values())
        rows_left = sum(1 for row in bytes(data).split(b"\n") if row.strip())
        is_noted = bool(done.findings) or sum(whole.values()) == texts
        assert is_noted or (kind == "icdar" and texts == sum(whole.values()) - 2 + rows_left), (
            way,
            at,
            bytes(data),
        )


# words of one image


def scenes(root: Path, texts: int = 3) -> None:
    """COCO-Text: twenty images, each with three words that only it has."""
    words = [f"{first}{second}x" for first in "abcdefgh" for second in "ijklmnop"]
    document: dict[str, dict[str, object]] = {"imgs": {}, "anns": {}}
    chance = random.Random(4)
    for number in range(20):
        path = root / f"images/s{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.frombytes("RGB", (60, 40), chance.randbytes(60 * 40 * 3)).save(path)
        document["imgs"][str(number)] = {"id": number, "file_name": path.name, "width": 60, "height": 40}
        for at in range(texts):
            document["anns"][f"{number}{at}"] = {
                "image_id": number, "utf8_string": words[number * texts + at], "legibility": "legible",
                "bbox": [1 + at, 1 + at, 30, 20],
            }  # fmt: skip
    write(root / "cocotext.json", json.dumps(document))


def scenes_of(root: Path, part: str) -> set[str]:
    return {path.name.rpartition("_")[0] for path in (root / part).glob("*.png")}


def test_words_of_one_image_validate_together(tmp_path: Path) -> None:
    scenes(tmp_path / "d")
    made = lay_out_for_network(tmp_path / "d", tmp_path / "made", Wish("ocrnet", val=0.3))
    train, val = (scenes_of(tmp_path / "made", part) for part in ("train", "val"))
    assert not train & val and len(train | val) == 20 and 4 <= len(val) <= 8
    assert made.is_split and dict(made.subsets) == {"train": 3 * len(train), "val": 3 * len(val)}
    assert not {path.name for path in tmp_path.iterdir()} - {"d", "made"}


def test_subsets_that_coco_text_names_are_kept(tmp_path: Path) -> None:
    scenes(tmp_path / "d")
    file = tmp_path / "d/cocotext.json"
    document = json.loads(file.read_text())
    for one in document["imgs"].values():
        one["set"] = ("train", "val", "test")[min(one["id"] // 8, 2)]
    file.write_text(json.dumps(document))
    made = lay_out_for_network(tmp_path / "d", tmp_path / "made", Wish("ocrnet"))
    assert not made.is_split and dict(made.subsets) == {"train": 24, "val": 24, "test": 12}
    assert scenes_of(tmp_path / "made", "val") == {f"s{number}" for number in range(8, 16)}


def test_words_that_were_cropped_before_a_split_stay_together(tmp_path: Path) -> None:
    scenes(tmp_path / "d")
    to_ocrnet(tmp_path / "d", tmp_path / "words")
    split = split_dataset(tmp_path / "words", tmp_path / "made", shares=SHARES, seed=3)
    train, val = (scenes_of(tmp_path / "made", part) for part in ("train", "val"))
    assert not train & val and len(train | val) == 20 and split.groups == 20
    (tmp_path / "words/crops.json").write_text('{"a": 7, "b": [null, "s1_1.png", "../x.png"]}')
    again = split_dataset(tmp_path / "words", tmp_path / "more", shares=SHARES, seed=3)
    assert again.groups >= 58
