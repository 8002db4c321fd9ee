"""The parsers of what programs print, users write, and annotation tools export."""

from __future__ import annotations

import contextlib
import io
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from reader import ASSETS, AT, ROOT, Reader, assets, dumped, from_file, text_of

from taorunner.errors import TaorunnerError

PROGRESS = ROOT / "tests" / "progress" / "data"


def readers_of_users(place: Path) -> list[Reader]:
    """``place`` is an empty folder for what a parser reads from files."""
    found: list[Reader] = []
    for make in (_of_progress, _of_users, _of_specs, _of_weights, _of_datasets, _of_files_of_datasets):
        folder = place / make.__name__
        folder.mkdir()
        found += make(folder)
    return found


def _of_progress(place: Path) -> Iterator[Reader]:
    from taorunner.catalog.load import load_network
    from taorunner.progress.event_files import ScalarReader
    from taorunner.progress.result_file import read_result_file
    from taorunner.progress.status_json import StatusReader, parse_line
    from taorunner.progress.tracker import Tracker
    from taorunner.progress.verdict import judge
    from taorunner.text import masked_line, printable, redact

    status = [path.read_bytes()[:6000] for path in sorted(PROGRESS.glob("status_*.jsonl"))]
    yield Reader("status.json line", [one.split(b"\n")[0] for one in status], parse_line)
    file = place / "status.json"
    yield Reader("status.json", status, from_file(file, lambda: StatusReader(file).read_new()))
    results = [
        dumped({"AP_car": 0.5, "mAP": 0.4}),
        dumped(str({"iou": {"road": 0.5}, "x": float("nan")})),
        dumped("np.float32(0.3)"),
    ]
    yield Reader("results.json", results, read_result_file)
    events = [
        path.read_bytes()[:20_000] for path in sorted((PROGRESS / "events").rglob("*")) if path.is_file()
    ]
    scalars = place / "events.out.tfevents.1"
    yield Reader("event file", events, from_file(scalars, lambda: ScalarReader(scalars).read_new()))
    logs = [path.read_bytes()[:8000] for path in sorted(PROGRESS.glob("*.log"))]
    contracts = [load_network(head).contract("train", release) for head, release in _trained()]

    def console(data: bytes) -> None:
        tracker = Tracker(contracts[len(data) % len(contracts)], "r", 10)
        half = len(data) // 2
        tracker.feed_console(data[:half], AT)
        tracker.feed_console(data[half:], AT, "stderr")
        tracker.flush(AT)
        judge(contracts[0].verdict, tracker.facts)
        line = data[:20_000].decode("utf-8", "replace")
        masked_line(line)
        redact(printable(line), ["a", "key"])

    yield Reader("console", logs, console)


def _trained() -> list[tuple[str, Any]]:
    from taorunner.catalog.load import load_network

    found = []
    for head in ("dino", "ssd", "unet", "efficientdet_tf2", "detectnet_v2"):
        network = load_network(head)
        found.append((head, network.releases[-1]))
    return found


def _of_users(place: Path) -> Iterator[Reader]:
    from taorunner.planning.inputs.workspace_networks import Networks
    from taorunner.project.image_lock import read_image_lock
    from taorunner.project.load import load_project
    from taorunner.project.mounts_file import read_mounts_file
    from taorunner.project.workspace import Workspace

    workspace = Workspace(place)
    folder = place / "projects" / "p"
    folder.mkdir(parents=True)
    seeds = [
        path.read_bytes()
        for path in sorted((ROOT / "src/taorunner/project/scaffolds").rglob("experiments.yml"))[::9]
    ]
    seeds += assets("experiments.yml")
    file = folder / "experiments.yml"
    yield Reader("experiments.yml", seeds, from_file(file, lambda: load_project(workspace, "p")))
    mounts = place / ".tao_mounts.json"
    example = (ROOT / ".tao_mounts.example.json").read_bytes()
    yield Reader(
        "mounts file", [example], from_file(mounts, lambda: read_mounts_file(mounts, {"HOME": "/x"}, place))
    )
    lock = workspace.lock_file
    text = b"version: 1\nimages:\n  nvcr.io/nvidia/tao:5.5.0: sha256:" + b"a" * 64 + b"\n"
    yield Reader("image lock", [text], from_file(lock, lambda: read_image_lock(workspace)))
    networks = place / "networks"
    networks.mkdir()
    own = networks / "mine.yml"
    catalog = ROOT / "src/taorunner/catalog/data/networks"
    bodies = [path.read_bytes() for path in sorted(catalog.glob("*.yml"))[::7]]
    bodies.append(
        b'like: dino\ntitle: x\ngroups:\n  model:\n    versions:\n    - {when: ">=7.1_0000.0", base: {}}\n    since: 5.5.0\n'
    )

    def network(data: bytes) -> None:
        own.write_bytes(data)
        found = Networks(networks)
        found.check()
        with contextlib.suppress(TaorunnerError):
            found.load("mine")

    yield Reader("network file", bodies, network)


def _of_specs(place: Path) -> Iterator[Reader]:
    from taorunner.specs.outline import outline_of
    from taorunner.specs.spec_file import check_loaded, load_spec
    from taorunner.yaml_reader import read_yaml

    scaffolds = ROOT / "src/taorunner/project/scaffolds"
    for kind, pattern in (("yaml", "*.yaml"), ("prototxt", "*.txt")):
        seeds = [path.read_bytes() for path in sorted(scaffolds.rglob(pattern))[::6]]
        file = place / f"spec.{kind}"

        def check(data: bytes, file: Path = file, kind: str = kind) -> None:
            file.write_bytes(data)
            loaded = load_spec(file)
            if not isinstance(loaded, tuple):
                check_loaded(loaded, kind, ("results_dir", "dataset"))
                outline_of(loaded.text, kind)

        yield Reader(f"spec in {kind}", seeds, check)
    yield Reader(
        "YAML",
        [b"a: &x {b: [1, 2e3, .5], c: ~}\nd: *x\n<<: *x\n? e\n: |\n  text\n"],
        lambda data: read_yaml(text_of(data)),
    )


def _of_weights(place: Path) -> Iterator[Reader]:
    from taorunner.progress.file_wholeness import is_torn, is_whole, not_weights
    from taorunner.progress.tfrecord_frames import BrokenRecordsError, count_records

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("archive/data.pkl", b"x" * 100)
    hdf5 = b"\x89HDF\r\n\x1a\n" + bytes(88)
    for name, seed in (
        ("a.pth", packed.getvalue()),
        ("a.hdf5", hdf5),
        ("a.onnx", b"\x08\x07\x12\x01x" + bytes(40)),
        ("a.tlt", packed.getvalue()),
    ):
        file = place / name

        def whole(data: bytes, file: Path = file) -> None:
            file.write_bytes(data)
            is_torn(file), is_whole(file), not_weights(file)

        yield Reader(f"weights {name}", [seed], whole, (TaorunnerError, OSError))
    record = (5).to_bytes(8, "little") + bytes(4) + b"hello" + bytes(4)
    records = place / "r"
    yield Reader(
        "records",
        [record * 3],
        from_file(records, lambda: count_records(records)),
        (BrokenRecordsError, OSError),
    )


def _of_datasets(place: Path) -> Iterator[Reader]:
    """Each dataset with one changed file of annotations."""
    from taorunner.datasets.formats.recognise import read_dataset

    for root in sorted((ASSETS / "datasets").iterdir()):
        folder = place / root.name
        shutil.copytree(root, folder)
        texts = [
            path
            for path in sorted(folder.rglob("*"))
            if path.is_file()
            and path.suffix.lower()
            in {".json", ".jsonl", ".xml", ".txt", ".csv", ".yaml", ".yml", ".names", ".data"}
        ][:6]

        kept: dict[Path, bytes] = {}

        def read(
            data: bytes, texts: list[Path] = texts, folder: Path = folder, kept: dict[Path, bytes] = kept
        ) -> None:
            chosen = texts[len(data) % len(texts)]
            kept.setdefault(chosen, chosen.read_bytes())
            chosen.write_bytes(data)
            try:
                read_dataset(folder)
            finally:
                chosen.write_bytes(kept[chosen])

        if texts:
            yield Reader(f"dataset {root.name}", [path.read_bytes()[:30_000] for path in texts], read)


def _of_files_of_datasets(place: Path) -> Iterator[Reader]:
    from taorunner.datasets.files.archives.unpack import unpack
    from taorunner.datasets.files.image_header import ImageError, header_of
    from taorunner.datasets.files.text_encodings import decoded
    from taorunner.datasets.files.xml_nodes import XmlError, read_xml
    from taorunner.datasets.formats.recognise import read_dataset
    from taorunner.planning.derived.facts import Collected
    from taorunner.planning.derived.label_files import add_coco, add_kitti, add_odvg

    images = [
        path.read_bytes()[:4000]
        for path in sorted((ASSETS / "datasets").rglob("*"))
        if path.suffix.lower() in (".jpg", ".png", ".jpeg")
    ][:8]
    images += [b"GIF89a\x10\0\x10\0\0\0\0", b"BM" + bytes(12) + b"(\0\0\0\x10\0\0\0\x10\0\0\0\x01\0\x18\0", b"RIFF\0\0\0\0WEBPVP8 " + bytes(20),
               b"II*\0\x08\0\0\0\x02\0\0\x01\x03\0\x01\0\0\0\x10\0\0\0\x01\x01\x03\0\x01\0\0\0\x10\0\0\0\0\0\0\0"]  # fmt: skip
    yield Reader(
        "image header", images, lambda data: header_of(data[:2000], lambda: data[2000:]), (ImageError,)
    )
    xml = b'<?xml version="1.0" encoding="utf-8"?><annotation><object><name>a</name></object></annotation>'
    latin = '<?xml version="1.0" encoding="iso-8859-1"?><a>é</a>'.encode("latin-1")
    yield Reader(
        "text encodings",
        [xml, latin, latin.replace(b"iso-8859-1", b"utf-1e999"), "a\n".encode("utf-16")],
        decoded,
        (UnicodeError,),
    )
    yield Reader("XML", [xml], lambda data: read_xml(text_of(data)), (XmlError,))
    coco = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 10, "height": 10}], "categories": [{"id": 1, "name": "car"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0,
                         "segmentation": {"counts": [1, 2, 97], "size": [10, 10]}, "segments_info": [{"category_id": 1}]}],
    }  # fmt: skip
    labels = place / "labels"
    labels.mkdir()
    odvg = dumped(
        {
            "filename": "a.jpg",
            "height": 5,
            "width": 6,
            "detection": {"instances": [{"bbox": [1, 2, 3, 4], "label": 0, "category": "car"}]},
        }
    )
    kitti = b"car 0 0 0 10 10 40 30 0 0 0 0 0 0 0\n"
    yield Reader(
        "facts of COCO",
        [dumped(coco)],
        from_file(labels / "a.json", lambda: add_coco(Collected(), "train", labels / "a.json")),
    )
    (labels / "label_map.json").write_bytes(b'{"0": "car"}')
    yield Reader(
        "facts of ODVG",
        [odvg + b"\n" + odvg],
        from_file(labels / "a.jsonl", lambda: add_odvg(Collected(), "train", labels / "a.jsonl")),
    )
    yield Reader(
        "names of ODVG",
        [b'{"0": "car"}'],
        from_file(labels / "label_map.json", lambda: add_odvg(Collected(), "train", labels / "b.jsonl")),
    )
    (labels / "b.jsonl").write_bytes(odvg)
    yield Reader(
        "facts of KITTI",
        [kitti],
        from_file(labels / "a.txt", lambda: add_kitti(Collected(), "train", labels, labels, is_trained=True)),
    )
    yield from _archives(place, unpack)
    named = {
        "labelme": {"imagePath": "a.jpg", "imageWidth": 10, "imageHeight": 10, "shapes": [{"label": "a", "shape_type": "polygon", "points": [[1, 2], [3, 4], [5, 1]]}]},
        "via": {"_via_img_metadata": {"a": {"filename": "a.jpg", "regions": [{"shape_attributes": {"name": "rect", "x": 1, "y": 2, "width": 3, "height": 4}, "region_attributes": {"class": "car"}}]}}, "_via_settings": {}},
        "datumaro": {"info": {}, "categories": {"label": {"labels": [{"name": "car"}]}}, "items": [{"id": "a", "annotations": [{"type": "bbox", "bbox": [1, 2, 3, 4], "label_id": 0}], "image": {"path": "a.jpg", "size": [10, 10]}}]},
    }  # fmt: skip
    for name, body in named.items():
        folder = place / name
        folder.mkdir()
        shutil.copy(next((ASSETS / "datasets").rglob("*.jpg")), folder / "a.jpg")
        yield Reader(
            f"dataset {name}",
            [dumped(body)],
            from_file(folder / "a.json", lambda folder=folder, name=name: read_dataset(folder, name)),
        )  # type: ignore[misc]


def _archives(place: Path, unpack: Callable[[Path, Path], Path]) -> Iterator[Reader]:
    zipped, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(4):
            archive.writestr(f"d/{number}.txt", b"text" * number)
    with tarfile.open(fileobj=tarred, mode="w") as tar:
        for number in range(4):
            facts = tarfile.TarInfo(f"d/{number}.txt")
            facts.size = 4
            tar.addfile(facts, io.BytesIO(b"text"))
    for name, seed in (("a.zip", zipped.getvalue()), ("a.tar", tarred.getvalue())):
        file = place / name

        def read(data: bytes, file: Path = file) -> None:
            file.write_bytes(data)
            try:
                unpack(file, place / "into")
            finally:
                shutil.rmtree(place / "into", ignore_errors=True)

        yield Reader(f"archive {name}", [seed], read, (TaorunnerError, OSError))
