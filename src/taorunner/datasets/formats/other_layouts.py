"""Recognises datasets of networks that use neither boxes nor class folders nor masks.

The catalog lists their layouts. Such datasets are refused: converting them would lose their labels.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from taorunner.catalog.other_layouts import OtherLayout, other_layouts
from taorunner.datasets.files.names import is_image
from taorunner.datasets.formats.folder import Folder
from taorunner.errors import Finding, Severity, UserFilesError
from taorunner.text import amount, printable

_BESIDE = re.compile(
    r"(^|/)(_?classes|class_?(names|map)?|labels?|readme[^/]*|licen[cs]e[^/]*|thumbs|desktop|split)\.[a-z]+$"
    r"|(^|/)(readme|licen[cs]e|notice)$", re.IGNORECASE
)  # fmt: skip
_LAYERS = frozenset({
    "input", "target", "gt", "groundtruth", "ground", "truth", "label", "labels", "mask", "masks", "image", "images",
    "clean", "noisy", "hr", "lr", "high", "low", "before", "after", "left", "right", "a", "b", "rgb", "depth", "disp",
    "disparity", "source", "reference", "im", "t", "sharp", "blur", "img", "imgs", "flow", "normal", "thermal",
    "visible", "upsampled", "instance", "semantic", "segmentation", "annotation", "annotations", "color", "colour",
})  # fmt: skip
"""Words in the names of folders whose images belong to images of the same names in another one of them."""
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_FEW_NAMES = 2
_MOST_NAMED = 3
_CLASS_LISTS = frozenset({"classes.txt", "obj.names", "_darknet.labels"})
"""They have one word a line, as the texts of number plates have."""
_IMAGE = "<image>"
_MOST_READ = 20
_FIRST_CHARACTERS = 20_000


def other_layout(folder: Folder) -> OtherLayout | None:
    """The first layout that fits, else None."""
    images = _by_folder(folder.image_files)
    others = _by_folder(folder.other_files)
    return next((one for one in other_layouts() if _fits(one, folder, images, others)), None)


def _named_like(
    pattern: str, folder: Folder, images: Mapping[str, list[str]], others: Mapping[str, list[str]]
) -> Mapping[str, list[str]]:
    """The files that a name such as ``gt_*.txt`` may match, by folder: there may be a hundred thousand images."""
    if pattern == _IMAGE or is_image(pattern):
        return images
    return _by_folder(folder.files) if pattern.endswith("*") else others


def _by_folder(paths: Iterable[str]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for path in paths:
        parent, _, name = path.rpartition("/")
        names.setdefault(parent, []).append(name)
    return names


def refuse_other_layout(folder: Folder) -> None:
    """Raises UserFilesError that names the layout and the networks that read it."""
    found = other_layout(folder)
    if found is not None:
        heads = " or ".join(found.heads)
        hint = f"{found.heads[0]} reads it without conversion; dataset commands take boxes, class folders and masks"
        if found.is_written:
            command = f"taorunner dataset convert {printable(str(folder.root))} --to {found.heads[0]}"
            hint = f"{command} arranges it; dataset check and split take it as it is"
        raise UserFilesError(
            f'"{printable(str(folder.root))}" has the layout of {heads}: {found.name}', hint=hint
        )


def refuse_pairs(folder: Folder) -> None:
    """Raises UserFilesError for folders of images that belong together by their names, such as input and target.

    Folders of other names whose images have the same names are a warning: they may be classes with numbered images.
    """
    stems: dict[str, dict[str, set[str]]] = {}
    for path in folder.image_files:
        above, _, name = path.rpartition("/")
        parent, _, own = above.rpartition("/")
        stems.setdefault(parent, {}).setdefault(own, set()).add(name.rpartition(".")[0])
    for parent, inner in stems.items():
        if len(inner) < _FEW_NAMES or len({frozenset(one) for one in inner.values()}) > 1:
            continue
        listed = " and ".join(f'"{printable(name)}"' for name in sorted(inner)[:_MOST_NAMED])
        place = folder.root / parent
        if all(_is_layer(name) for name in inner):
            raise UserFilesError(
                f'"{printable(str(place))}" has images of the same names in {listed}: pairs, not classes',
                hint="no dataset command takes them; rename the folders if they are classes",
            )
        names = next(iter(inner.values()))
        if len(names) >= _FEW_NAMES and not all(name.isdigit() for name in names):
            message = f"all {len(inner)} class folders have images of the same {len(names)} names: {listed}"
            hint = "if they belong together (image and mask, left and right), they are no classes: move them away"
            folder.warning("same-names", message, place, hint=hint)


def _is_layer(name: str) -> bool:
    words = {word.lower() for word in _WORD.findall(name)}
    return bool(words) and words <= _LAYERS


def _fits(
    layout: OtherLayout, folder: Folder, images: Mapping[str, list[str]], others: Mapping[str, list[str]]
) -> bool:
    bases: set[str] | None = None
    last: list[str] = []
    for pattern in layout.files:
        above, _, own = pattern.rpartition("/")
        steps = re.compile(r"(?P<base>(?:.*/)?)" + _expression(above + "/" if above else ""), re.IGNORECASE)
        name = re.compile(_expression(own), re.IGNORECASE)
        found: set[str] = set()
        last = []
        for parent, files in _named_like(own, folder, images, others).items():
            match = steps.fullmatch(parent + "/" if parent else "")
            if match is None or (bases is not None and match["base"] not in bases):
                continue
            if own == _IMAGE:
                fitting = files[:1]
            else:
                fitting = [
                    file for file in files if name.fullmatch(file) and file.lower() not in _CLASS_LISTS
                ]
            if fitting:
                found.add(match["base"])
                last += [f"{parent}/{file}" if parent else file for file in fitting[:_MOST_READ]]
        bases = found
        if not bases:
            return False
    says = layout.says
    return says is None or any(
        says.search((folder.peek(path) or "")[:_FIRST_CHARACTERS]) for path in last[:_MOST_READ]
    )


def _expression(pattern: str) -> str:
    return re.escape(pattern).replace(r"\*", "[^/]*")


def report_other_files(folder: Folder, severity: Severity = Severity.ERROR) -> None:
    """Reports files in class folders that are not images: they may be labels of another layout."""
    left = [path for path in folder.other_files if not _BESIDE.search(path)]
    if left:
        message = (
            f'{amount(len(left), "file")} beside the images would be left out, such as "{printable(left[0])}"'
        )
        hint = (
            "such folders hold images only: move other files away, unless they are labels of another layout"
        )
        folder.findings.append(
            Finding(severity, "files-beside-pictures", message, hint, folder.root / left[0])
        )
