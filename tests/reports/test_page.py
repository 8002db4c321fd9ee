"""The page: what is in it, how large it is, and that nothing of others becomes part of its markup."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser
from pathlib import Path

from made_report import HOSTILE, LONG, RIGHT_TO_LEFT, everything, trainings, workspace
from made_runs import AT, made_run

from taorunner.events import RunState
from taorunner.page_frame.frame import POLICY
from taorunner.reports.contents import contents_of
from taorunner.reports.page import report_page
from taorunner.reports.pictures import small_pictures
from taorunner.runs.state.lookup.short_ids import short_ids
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore


def html_of(root: Path, records: list[RunRecord], title: str = "cars") -> str:
    store = RunStore(root / ".taorunner")
    contents = contents_of(store, records)
    ids = short_ids([record.id for record in store.records()], store.folder_names())
    picture = small_pictures(lambda project: root / "projects" / project / "data")
    return report_page(title, contents, ids, picture, AT)


class Parsed(HTMLParser):
    """The elements of a page with their attributes, and its texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "input", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_nothing_of_others_becomes_markup_and_no_address_is_asked(tmp_path: Path) -> None:
    html = html_of(tmp_path, everything(tmp_path), title=f"{HOSTILE}{RIGHT_TO_LEFT}")
    page = Parsed(html)
    assert page.open == []
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "iframe", "object", "form", "base", "audio", "video", "img"}
    addresses = [
        value or "" for _, attributes in page.elements for name, value in attributes.items()
        if name in ("href", "src", "srcset", "xlink:href", "action", "data")
    ]  # fmt: skip
    assert all(one.startswith(("data:image/jpeg;base64,", "#")) for one in addresses)
    assert sum(one.startswith("data:") for one in addresses) == 8
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert "url(" not in html and "@import" not in html and "\u202e" not in html
    policies = [
        one["content"] for _, one in page.elements if one.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policies == [POLICY]
    assert LONG not in "".join(page.texts)
    assert HOSTILE in "".join(page.texts)


def test_the_page_says_what_differs_what_failed_and_what_cannot_be_compared(tmp_path: Path) -> None:
    text = " ".join(" ".join(Parsed(html_of(tmp_path, everything(tmp_path))).texts).split())
    for said in (
        "≠ other data (480 images)", "train.optim.lr", "CUDA out of memory: 2.4 GiB more were needed (exit code 1)",
        "use a smaller batch", "test_mAP50 0.6840", "model_int8.engine of model.onnx 43.0 MiB",
        "IoU 0.50:0.95, 100 boxes an image, score from 0.001; parts, val, 482 images",
        "2 wrong, 9 missed, 0 right; image not found", "no object", "nan at 21", "inf at 31",
    ):  # fmt: skip
        assert said in text, said


def test_runs_without_metrics_have_no_curves_and_no_rank(tmp_path: Path) -> None:
    workspace(tmp_path)
    records = [made_run(tmp_path / ".taorunner", "a", number=1, state=RunState.QUEUED, started_at=None)]
    text = " ".join(Parsed(html_of(tmp_path, records)).texts)
    for said in (
        "No run has a metric that ranks it.",
        "No run has a metric by epoch.",
        "No run of these experiments",
    ):
        assert said in text
    assert "queued" in text


def test_each_coloured_run_has_a_checkbox_and_the_others_have_one(tmp_path: Path) -> None:
    html = html_of(tmp_path, trainings(workspace(tmp_path), 15, 4))
    boxes = [one["id"] for tag, one in Parsed(html).elements if tag == "input"]
    assert boxes == [*(f"show-r{number}" for number in range(12)), "show-rest"]
    for box in boxes:
        assert f"body:has(#{box}:not(:checked)) .{box.removeprefix('show-')}{{display:none}}" in html
        assert re.search(rf'<path class="[^"]*\b{box.removeprefix("show-")}\b', html)
    assert "3 others" in html and "3 more are in" in html


def test_eight_runs_of_300_epochs_are_small_and_quick(tmp_path: Path) -> None:
    records = trainings(workspace(tmp_path), 8, 300)
    html_of(tmp_path, records)  # imports
    before = time.process_time()
    html = html_of(tmp_path, records)
    seconds = time.process_time() - before
    assert len(html.encode()) <= 250_000
    assert seconds <= 0.5
