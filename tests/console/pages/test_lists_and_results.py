"""Pages of images, pretrained models, datasets and synced schemas: whole screens, and their JSON."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stderr
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pretended_terminal import Terminal

from taorunner.console.pages.datasets.check_view import print_check, print_repair, repair_finding
from taorunner.console.pages.datasets.result_view import (
    Progress,
    print_conversion,
    print_resize,
)
from taorunner.console.pages.datasets.split_view import print_split
from taorunner.console.pages.datasets.stats_view import print_stats
from taorunner.console.pages.image_log_view import LogView
from taorunner.console.pages.images_view import print_images, print_locked
from taorunner.console.pages.pretrained_view import print_files, print_known, print_versions
from taorunner.console.pages.sync_view import print_synced
from taorunner.datasets.checks.report import CheckReport, SubsetReport
from taorunner.datasets.model.annotations import ImageEntry
from taorunner.datasets.repair.run import Repair
from taorunner.datasets.report.stats import ClassStats, Stats
from taorunner.datasets.transform.convert import ClassCount, Conversion
from taorunner.datasets.transform.resize import Resize
from taorunner.datasets.transform.split import Part, Split
from taorunner.engine.images import Image
from taorunner.errors import Finding, Severity
from taorunner.images.listing import ListedImage
from taorunner.images.lock import Change, LockedImage
from taorunner.images.spec_sync import Synced
from taorunner.planning.spec.required_images import NeededImage
from taorunner.pretrained.bundled_list import KnownModel
from taorunner.pretrained.ngc import RemoteFile, RemoteVersion

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)
DIGEST = "sha256:" + "ab" * 32
OTHER = "sha256:" + "cd" * 32

Shown = Callable[..., str]


ASKED = Finding(Severity.INFO, "image", "asked for here")
IMAGES = [
    ListedImage(
        NeededImage(
            "nvcr.io/nvidia/tao/tao-toolkit:5.5.0-pyt",
            "nvcr.io/x@" + DIGEST,
            ("p/a", "p/b", "p/c"),
            ASKED,
            ("train", "evaluate"),
        ),
        Image("sha256:1", DIGEST, 3 << 30, NOW - timedelta(days=40)),
    ),
    ListedImage(
        NeededImage("our/tao:1", "our/tao:1", ("p/a", "p/b", "p/c", "p/d", "p/e"), ASKED),
        Image("sha256:2", None, 512, None),
    ),
    ListedImage(
        NeededImage("nvcr.io/nvidia/tao/tao-toolkit:7.0.1-pyt", "x", ("p/z",), ASKED, ("gen_trt_engine",)),
        None,
    ),
]


def test_images(shown: Shown, golden: Any) -> None:
    golden.check("images_120", shown(print_images, IMAGES, NOW, json=False))
    golden.check("images_60", shown(print_images, IMAGES, NOW, json=False, width=60))
    assert shown(print_images, [], NOW, json=False) == ""
    found = json.loads(shown(print_images, IMAGES, NOW, json=True))
    assert found == [one.to_json() for one in IMAGES]
    assert [(one["present"], one["locked"], one["size_bytes"]) for one in found] == [
        (True, IMAGES[0].needed.is_locked, 3 << 30),
        (True, False, 512),
        (False, IMAGES[2].needed.is_locked, None),
    ]


def test_a_lock(shown: Shown, golden: Any) -> None:
    changes = [
        LockedImage("a:1", DIGEST, None, Change("added")),
        LockedImage("b:1", DIGEST, OTHER, Change("moved"), "the registry did not answer"),
        LockedImage("c:1", None, OTHER, Change("removed")),
        LockedImage("d:1", DIGEST, DIGEST, Change("kept")),
    ]
    golden.check("lock", shown(print_locked, changes, "taorunner.lock", json=False))
    assert shown(print_locked, changes[:1], "f", json=False).endswith("f: 1 image locked, 1 added\n")
    assert shown(print_locked, [], "f", json=False) == "f: 0 images locked\n"
    assert json.loads(shown(print_locked, changes, "f", json=True)) == [one.to_json() for one in changes]


def test_pretrained_models(shown: Shown, golden: Any) -> None:
    known = [
        KnownModel("nvidia/tao/a", ("dino", "rtdetr"), ("a.pth", "b.pth"), "backbone", "a note"),
        KnownModel("nvidia/tao/b", ("unet",), (), "backbone"),
        KnownModel("nvidia/tao/c", ("unet",)),
    ]
    versions = [
        RemoteVersion("1.0", 3 << 20, 2, "2026-01-02T03:04:05Z", True),
        RemoteVersion("2.0", 0, None, None, False),
        RemoteVersion("3.0", None, 1, "2026-01-02", True),
    ]
    files = [RemoteFile("a/b.pth", 5 << 20, "ab" * 32), RemoteFile("c.pth", 1, None)]
    text = shown(print_known, known, json=False)
    text += "\n" + shown(print_known, known, json=False, width=40)
    text += "\n" + shown(print_versions, versions, json=False)
    text += "\n" + shown(print_files, files, json=False)
    golden.check("pretrained", text)
    assert json.loads(shown(print_known, known, json=True)) == [one.to_json() for one in known]
    keys = {known[0].name: "train.pretrained_model_path"}
    assert json.loads(shown(print_known, known, keys, json=True)) == [
        one.to_json() | {"key": keys.get(one.name)} for one in known
    ]
    first = shown(print_known, known[:1], keys, json=False, width=120).splitlines()
    assert "belongs in" in first[0] and "train.pretrained_model_path" in first[1]
    assert json.loads(shown(print_versions, versions, json=True))[0] == {
        "version": "1.0",
        "size": 3 << 20,
        "files": 2,
        "created": "2026-01-02T03:04:05Z",
        "complete": True,
    }
    assert json.loads(shown(print_files, files, json=True))[1] == {"path": "c.pth", "size": 1, "sha256": None}


def test_synced_schemas(shown: Shown, golden: Any) -> None:
    synced = [
        Synced(
            "a:1",
            "sha256:1",
            DIGEST,
            ("dino", "unet"),
            {"z": "broken", "b": "missing"},
            {"tao": "5", "x": None},
        ),
        Synced("b:1", "sha256:2", None, (), {}, {}),
    ]
    golden.check("synced", shown(print_synced, synced, json=False))
    assert json.loads(shown(print_synced, synced, json=True))[0] == {
        "image": "a:1",
        "image_id": "sha256:1",
        "digest": DIGEST,
        "packages": {"tao": "5", "x": None},
        "schemas": ["dino", "unet"],
        "not_read": {"b": "missing", "z": "broken"},
    }


def test_the_log_of_a_build_without_its_secrets() -> None:
    stream = io.StringIO()
    log = LogView(stream, {"FORCE_COLOR": "1", "TERM": "xterm"})
    log.tells("key canary-1")
    log.hide("canary-1")
    log.hide("canary-22")
    log.tells("Step 1/2 : RUN canary-1 canary-22\x1b[2J")
    log.tells("Steps are no title")
    plain, step, other = stream.getvalue().splitlines()
    assert plain == "key canary-1"
    assert (
        "Step 1/2 : RUN *** ***" in step
        and "canary" not in step
        and "[2J" not in step.replace("\ufffd[2J", "")
    )
    assert step.startswith("\x1b[") and not other.startswith("\x1b[")


def stats(**fields: Any) -> Stats:
    given: dict[str, Any] = {
        "root": Path("/data"), "format": "coco", "images": 1200, "backgrounds": 3, "boxes": 2500,
        "subsets": {"train": 1000, "val": 200, "": 0},
        "classes": (
            ClassStats("car", 2000, 1100, Counter(small=1, medium=2, large=1997)),
            ClassStats("a \x1b person", 500, 200, Counter(small=500)),
        ),
        "boxes_per_image": Counter({1: 3}), "image_sizes": Counter({(640, 480): 1000, (1, 2): 100, (3, 4): 60, (5, 6): 40}),
        "left_out": 2,
    }  # fmt: skip
    return Stats(**{**given, **fields})


def test_statistics_of_a_dataset(shown: Shown, golden: Any) -> None:
    small = stats(
        classes=(), boxes=1, images=1, subsets={"": 1}, image_sizes=Counter({(1, 2): 1}), left_out=0
    )
    text = shown(print_stats, stats(), json=False) + "\n" + shown(print_stats, stats(), json=False, width=40)
    golden.check("stats", text + "\n" + shown(print_stats, small, json=False))
    assert json.loads(shown(print_stats, stats(), json=True)) == json.loads(json.dumps(stats().to_json()))


FINDINGS = (
    Finding(Severity.WARNING, "class-renamed", '"Car" becomes "car"', "a hint", Path("/data/a.txt"), 3),
)
ENTRY = ImageEntry(Path("/data/a.jpg"), 4, 5)


def test_a_split(shown: Shown, golden: Any) -> None:
    parts = (
        Part("train", 0.8, [ENTRY] * 3, Counter(car=3, person=1)),
        Part("val", 0.2, [ENTRY], Counter(car=1)),
    )
    split = Split(Path("/made"), "vott", "kitti", 7, 1, parts, Counter({"hard links": 4}), 2, FINDINGS)
    golden.check("split", shown(print_split, split, json=False))
    assert json.loads(shown(print_split, split, json=True)) == json.loads(json.dumps(split.to_json()))
    same = Split(Path("/made"), "kitti", "kitti", 7, 2, (Part("a", 1.0),), Counter(copies=1), 0)
    assert shown(print_split, same, json=False).splitlines()[-2:] == [
        "1 image copied; 2 groups",
        "wrote /made (kitti): a 0; seed 7, kept in split.json",
    ]


def conversion(**fields: Any) -> Conversion:
    given: dict[str, Any] = {
        "source": Path("/data"), "format": "coco", "target": "kitti", "output": Path("/made"), "images_before": 10,
        "images_after": 8, "backgrounds": 2, "classes": (ClassCount("Car", "car", 5, 2), ClassCount("dog", "dog", 3, 0)),
        "after": Counter(car=3, dog=3), "subsets": {"train": 6, "val": 2, "": 0}, "renamed": (("a.jpg", "b.jpg"),),
        "placed": Counter({"hard links": 7, "copies": 1}), "findings": FINDINGS,
    }  # fmt: skip
    return Conversion(**{**given, **fields})


def test_a_conversion_and_a_resize(shown: Shown, golden: Any) -> None:
    flat = conversion(subsets={"": 8}, renamed=(), findings=(), images_before=8)
    resize = Resize(Path("/made"), "vott", "kitti", 3, 2, 1000, 1, 1, FINDINGS)
    text = (
        shown(print_conversion, conversion(), json=False) + "\n" + shown(print_conversion, flat, json=False)
    )
    golden.check("conversion", text + "\n" + shown(print_resize, resize, json=False))
    assert json.loads(shown(print_conversion, flat, json=True)) == json.loads(json.dumps(flat.to_json()))
    assert json.loads(shown(print_resize, resize, json=True)) == json.loads(json.dumps(resize.to_json()))


def test_a_check_shows_three_of_a_kind(shown: Shown, golden: Any) -> None:
    many = [
        Finding(Severity.ERROR, "box-outside", f"box {number}", None, Path("/data/a.txt"), number)
        for number in range(1, 13)
    ]
    ten = [Finding(Severity.WARNING, "box-small", f"box {number}") for number in range(10)]
    infos = [Finding(Severity.INFO, "size", "an info")]
    subsets = [SubsetReport("train", 5, 1, Counter(car=2, person=7)), SubsetReport("", 1, 0, Counter())]
    report = CheckReport("kitti", [*many, *ten, *infos], subsets)
    golden.check("check", shown(print_check, report, json=False, full=False))
    full = shown(print_check, report, json=False, full=True, with_infos=True)
    assert " more" not in full and "box 12" in full and "an info" in full
    assert "an info" not in shown(print_check, report, json=False, full=True)
    assert len(json.loads(shown(print_check, report, json=True, full=False))) == 23
    for kind, head in (("classification", "in classes"), ("segmentation", "in classes"), ("coco", "boxes")):
        shown_head = shown(print_check, CheckReport(kind, [], subsets), json=False, full=False).splitlines()[
            0
        ]
        assert (head in shown_head) == (head == "boxes" or kind != "coco")
    masks = CheckReport("segmentation", [], [SubsetReport("train", 5)])
    assert shown(print_check, masks, json=False, full=False).splitlines()[0].split() == ["subset", "images"]


def test_a_repair(shown: Shown) -> None:
    repair = Repair(Path("/data"), Path("/data.before-fix"), 2, 1, (("a", "b"),))
    text = "2 label files corrected; 1 empty one written; 1 image renamed"
    assert shown(print_repair, repair) == f"--- stderr\n{text}\nmade /data\nbackup: /data.before-fix\n"
    assert repair_finding(repair) == Finding(
        Severity.INFO, "repaired", text, "backup: /data.before-fix", Path("/data")
    )
    other = Repair(Path("/made"), None, 1, 2, ())
    assert shown(print_repair, other).endswith("0 images renamed\nmade /made\n")
    assert repair_finding(other).hint is None


def test_progress_is_drawn_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream, term, is_quiet, drawn in (
        (Terminal(), "xterm", False, "\rreading 1/2 images\x1b[K\r\x1b[K"),
        (Terminal(), "xterm", True, ""),
        (Terminal(), "dumb", False, ""),
        (io.StringIO(), "xterm", False, ""),
    ):
        monkeypatch.setenv("TERM", term)
        with redirect_stderr(stream), Progress(is_quiet=is_quiet) as progress:
            progress("reading", 1, 2)
        assert stream.getvalue() == drawn
