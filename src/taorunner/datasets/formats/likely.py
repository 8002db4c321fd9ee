"""Guesses what an unrecognised folder is (archive, unsupported format, YOLO without names), with a hint."""

from __future__ import annotations

import re

from taorunner.datasets.files.yolo_rows import is_yolo_text
from taorunner.datasets.formats.folder import Folder
from taorunner.datasets.formats.yolo.description import NAMES_HINT, class_list
from taorunner.text import amount, printable
from taorunner.values.value import Value

_MOST_READ = 20
_ARCHIVE = re.compile(r"\.(zip|7z|rar|tar|tgz|tar\.(gz|bz2|xz|zst)|(json|xml|txt|csv)\.gz)\Z", re.IGNORECASE)
_TAKEN = re.compile(r"\.(zip|tar|tgz|tar\.(gz|bz2|xz))\Z", re.IGNORECASE)
"""Those that a dataset command takes in place of a folder."""
_EXPORT_HINT = "nothing here reads it: export it as COCO, Pascal VOC, YOLO or KITTI"
_MASKS_HINT = "taorunner dataset convert DATASET --to segmentation arranges them as TAO reads them"
_PANOPTIC_HINT = "oneformer and mask2former read it as it is; for boxes, export it as COCO instances"


class Tool(Value):
    """A format that is not read here. ``format_name``: its name for ``--from``, None when nothing reads it.

    ``path`` is searched in the path below the root. ``start`` matches the beginning of the text, and the text has all
    of ``words``. ``hint``: what to do where nothing reads it.
    """

    name: str
    format_name: str | None
    path: str
    words: tuple[str, ...] = ()
    start: str = ""
    hint: str = _EXPORT_HINT


_NUMBER = r"-?\d{1,12}(\.\d{1,20})?"
_JSON = r"\.json$"
_TOOLS = (
    Tool("LabelMe", "labelme", _JSON, ('"shapes"', '"imagePath"')),
    Tool("the VGG annotator", "via", _JSON, ('"regions"', '"shape_attributes"')),
    Tool("the VGG annotator", "via-csv", r"\.csv$", start="#?filename,file_size,file_attributes,region_count"),
    Tool("CreateML", "create-ml", _JSON, ('"annotations"', '"coordinates"')),
    Tool("Supervisely", "supervisely", _JSON, ('"classTitle"',)),
    Tool("Datumaro", "datumaro", _JSON, ('"items"', '"categories"', '"label')),
    Tool("BDD100K", "bdd100k", _JSON, ('"box2d"',)),
    Tool("Cityscapes", "cityscapes", _JSON, ('"imgHeight"', '"polygon"')),
    Tool("Labelbox", "labelbox", r"\.(nd)?json$", ('"Labeled Data"',)),
    Tool("Labelbox", "labelbox", r"\.(nd)?json$", ('"data_row"',)),
    Tool("V7 Darwin", "v7-darwin", _JSON, ('"bounding_box"', '"name"', '"annotations"')),
    Tool("SuperAnnotate", "superannotate", _JSON, ('"instances"', '"className"')),
    Tool("Edge Impulse", "edge-impulse", r"(\.json|\.labels)$", ('"boundingBoxes"',)),
    Tool("SageMaker", "sagemaker", r"\.manifest$", ('"source-ref"',)),
    Tool("Hugging Face", "hf", r"(^|/)metadata\.(jsonl|csv)$", ("file_name",)),
    Tool("Hugging Face", "hf", r"\.parquet$"),
    Tool("annotations of Label Studio's storage (a file for each)", None, r"(\.json|/\d+)$", ('"task"', '"result"')),
    Tool("tracks of Label Studio for videos", None, _JSON, ('"videorectangle"',)),
    Tool("panoptic segmentation (COCO)", None, _JSON, ('"segments_info"',), hint=_PANOPTIC_HINT),
    Tool("annotations of CrowdHuman", None, r"\.odgt$"),
    Tool("TensorFlow records", "tfrecord", r"\.(tf)?records?(-\d+-of-\d+)?$"),
    Tool("Open Images", "openimages", r"\.csv$", start="ImageID,Source,LabelName,Confidence,XMin"),
    Tool("VoTT", "vott-csv", r"\.csv$", start='"?image"?,"?xmin"?,"?ymin"?,'),
    Tool("a Kaggle table", "kaggle-wheat", r"\.csv$", start="image_id,width,height,bbox"),
    Tool("a table of boxes", "tfod", r"\.csv$", start=r"filename,(width,height,)?class,xmin,ymin,xmax,ymax"),
    Tool("a table of boxes", "retinanet", r"\.csv$", start=r"[^,\n]{1,500}\.(jpe?g|png|bmp),\d*,\d*,\d*,\d*,"),
    Tool("boxes in a table of its own", None, r"\.csv$", start=r"[^\n]{0,500}\b(x_?min|bbox|xtl)\b"),
    Tool("labels of whole images of Open Images", None, r"\.csv$", start="ImageID,Source,LabelName,Confidence"),
    Tool("masks of Segment Anything, which have no classes", None, _JSON, ('"predicted_iou"',)),
    Tool("labels of whole images in a table", None, r"(^|/)_classes\.csv$", start=r"filename\s*,"),
    Tool("masks with a table of classes", None, r"(^|/)_classes\.csv$", start="Pixel Value", hint=_MASKS_HINT),
    Tool("YOLO for Keras", "yolo-keras", r"\.txt$", start=r"\S{1,500}\.(jpe?g|png|bmp)( \d+(,\d+){4})+\s*$"),
    Tool("tracks of MOT", None, r"(^|/)(gt|det)/[^/]+\.txt$", start=rf"\d+,-?\d+(,{_NUMBER}){{4,}}"),
    Tool("annotations of VisDrone", None, r"\.txt$", start=rf"({_NUMBER},){{7}}{_NUMBER},?\s*$"),
    Tool("tracks of KITTI", None, r"\.txt$", start=rf"\d+ -?\d+ [A-Za-z]\w*( {_NUMBER}){{14,15}}\s*$"),
    Tool("Open Images by the toolkit OIDv4", "oidv4", r"(^|/)Label/[^/]+\.txt$",
         start=rf"[A-Za-z][^\d\n]{{0,80}}( {_NUMBER}){{4}}\s*$"),
)  # fmt: skip


def likely_kind(folder: Folder) -> tuple[str, str] | None:
    """What the folder seems to hold, as the end of a sentence about it, and a hint."""
    archives = unread_archives(folder)
    if archives and not folder.image_files:
        is_taken = len(archives) == 1 and _TAKEN.search(archives[0]) is not None
        itself = f"give the archive itself: {printable(str(folder.root / archives[0]))}"
        return f"has no images, but {_archive(archives)}", itself if is_taken else _unpack(archives[0])
    found = (
        _yolo_without_names(folder) or _of_another_tool(folder) or _kitti_elsewhere(folder) or _broken(folder)
    )
    if found is None and archives:
        return f"has no annotations that are read, but {_archive(archives)}", _unpack(archives[0])
    return found


def unread_archives(folder: Folder) -> list[str]:
    """Archives in the folder, whose content is never read."""
    return [path for path in folder.other_files if _ARCHIVE.search(path)]


def _archive(found: list[str]) -> str:
    return f'{amount(len(found), "archive")}, such as "{printable(found[0])}"'


def _unpack(path: str) -> str:
    first = printable(path)
    command = "unzip" if first.lower().endswith(".zip") else "tar -xf"
    if first.lower().endswith(".gz") and ".tar" not in first.lower():
        command = "gunzip"
    return f"unpack it, then give the unpacked folder: {command} {first}"


def _broken(folder: Folder) -> tuple[str, str] | None:
    """A JSON file that is cut off or damaged, which may hold all labels; a finding says where."""
    for path in folder.with_suffix(".json")[:_MOST_READ]:
        is_reported = folder.json(path) is None and any(
            one.code == "json-syntax" and one.file == folder.root / path for one in folder.findings
        )
        if is_reported:
            message = f'has a JSON file that cannot be read: "{printable(path)}"'
            return message, "export it again, or move it away if it holds no annotations"
    return None


def _yolo_without_names(folder: Folder) -> tuple[str, str] | None:
    rows = [path for path in folder.with_suffix(".txt") if is_yolo_text(folder.peek(path) or "")]
    if not rows:
        return None
    what = f'has {amount(len(rows), "label file")} of YOLO, such as "{printable(rows[0])}", but'
    if class_list(folder) is not None and folder.image_files:
        return (
            f"{what} not beside their images",
            "put labels beside their image, or in labels/ next to images/",
        )
    return f"{what} no class names", NAMES_HINT


def likely_format(folder: Folder) -> str | None:
    """The name for ``--from`` of a tool's format that the folder seems to hold."""
    found = _tool_and_path(folder)
    return found[0].format_name if found is not None else None


def _of_another_tool(folder: Folder) -> tuple[str, str] | None:
    found = _tool_and_path(folder)
    if found is None:
        return None
    tool, path = found
    such = f'{tool.name}, such as "{printable(path)}"'
    if tool.format_name is None:
        return f"has no annotations in a known format, but {such}", tool.hint
    says = "has boxes in" if "table" in tool.name else "has annotations of"
    hint = f"convert them first: taorunner dataset convert DATASET --from {tool.format_name}"
    return f"{says} {such}", hint


def _tool_and_path(folder: Folder) -> tuple[Tool, str] | None:
    for tool in _TOOLS:
        where, start = (
            re.compile(tool.path, re.IGNORECASE),
            re.compile(tool.start, re.MULTILINE | re.IGNORECASE),
        )
        for path in [path for path in folder.files if where.search(path)][:_MOST_READ]:
            text = folder.peek(path) or ""
            if start.match(text) and all(word in text for word in tool.words):
                return tool, path
    return None


def _kitti_elsewhere(folder: Folder) -> tuple[str, str] | None:
    """Labels of KITTI in a folder where they are not looked for."""
    row = re.compile(rf"\A\ufeff?[A-Za-z]\S*( {_NUMBER}){{14,15}}\s*$", re.MULTILINE)
    rows = [path for path in folder.with_suffix(".txt") if row.search(folder.peek(path) or "")]
    if not rows:
        return None
    return (
        f'has {amount(len(rows), "label file")} of KITTI, such as "{printable(rows[0])}", but not beside their images',
        "put images into images/ and labels into labels/ next to it",
    )
