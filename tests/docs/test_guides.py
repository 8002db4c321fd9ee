"""The examples of the guides do what the guides say."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import yaml
from PIL import Image

from taorunner.contracts import Direction
from taorunner.datasets.formats.folder import Folder
from taorunner.planning.inputs.workspace_networks import Networks
from taorunner.progress.causes.cause import Cause, SeenCause, row
from taorunner.runs.state import batch_index

DOCS = Path(__file__).resolve().parents[2] / "docs"


def block(page: str, language: str, number: int = 0) -> str:
    """The text of a code block of that language."""
    blocks = re.findall(
        rf"^```{language}\n(.*?)^```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    return str(blocks[number])


def test_the_network_of_the_guide_has_no_findings_and_ranks_by_map(tmp_path: Path) -> None:
    (tmp_path / "vehicle_reid.yml").write_text(block("add-a-network.md", "yaml"), encoding="utf-8")
    networks = Networks(tmp_path)
    assert networks.check() == []
    train = networks.load("vehicle_reid").contract("train")
    assert train.command == ("vehicle_reid", "train")
    assert train.checkpoints.latest == "train/reid_model_latest.pth"
    assert [(one.name, one.direction) for one in train.kpi if one.ranks] == [("mAP", Direction.UP)]


def test_the_page_on_trust_names_each_variable_that_a_batch_gives_and_each_code() -> None:
    text = (DOCS / "trust.md").read_text(encoding="utf-8")
    assert [name for name in (*batch_index._ENGINE, *batch_index._PROGRAMS) if f"`{name}`" not in text] == []
    source = "".join(path.read_text() for path in (DOCS.parent / "src/taorunner").rglob("*.py"))
    known = re.findall(r"^\| `([a-z-]+)`(?:, `([a-z-]+)`)? \|", text, re.MULTILINE)
    codes = [code for row in known for code in row if code]
    assert len(codes) == 7
    assert [code for code in codes if code != "privileged" and f'"{code}"' not in source] == []


def test_the_page_of_installing_has_every_extra_that_users_need() -> None:
    text = (DOCS.parent / "pyproject.toml").read_text(encoding="utf-8")
    extras = re.findall(
        r"^([a-z]+) = \[",
        text.partition("[project.optional-dependencies]")[2].partition("\n[")[0],
        re.MULTILINE,
    )
    page = (DOCS / "start/install.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == {*extras} - {
        "test",
        "trackers",
        "docs",
        "dev",
    }


def test_the_cause_of_the_guide_meets_its_sample() -> None:
    cause = eval(block("add-a-failure-cause.md", "python"), {"row": row})
    assert isinstance(cause, Cause)
    (sample,) = yaml.safe_load(block("add-a-failure-cause.md", "yaml"))
    match = re.search(cause.pattern, sample["text"])
    assert match is not None and any(needle in sample["text"] for needle in cause.needles)
    seen = SeenCause(cause, 0, what=match["what"])
    assert (cause.code, seen.reason()) == (sample["code"], sample["reason"])


def test_the_format_of_the_guide_reads_what_its_shape_writes(tmp_path: Path) -> None:
    module = tmp_path / "corner_csv.py"
    module.write_text(block("add-a-dataset-format.md", "python"), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("corner_csv", module)
    assert spec is not None and spec.loader is not None
    corner_csv = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(corner_csv)
    root = tmp_path / "data"
    for name in ("one.jpg", "empty.jpg"):
        (root / "train/images").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (64, 48)).save(root / "train/images" / name)
    text = "image,class,left,top,right,bottom\none.jpg,car,1,2,30.5,40\none.jpg,car,1,2\nempty.jpg\n"
    (root / "train/boxes.csv").write_text(text)
    folder = Folder(root)
    assert corner_csv.recognise(folder)
    dataset = corner_csv.read(folder)
    read = {
        image.path.name: [(box.name, box.x_min, box.y_min, box.x_max, box.y_max) for box in image.boxes]
        for image in dataset.images
    }
    assert read == {"one.jpg": [("car", 1.0, 2.0, 30.5, 40.0)], "empty.jpg": []}
    assert [(finding.code, finding.line) for finding in dataset.findings] == [("corner-csv-line", 3)]
