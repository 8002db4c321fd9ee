"""Datasets whose labels are files and folders: classes as folders, and pictures with masks; checked and laid out.

Source: tao/datasets.md A2: classification reads ``<split>/<class>/<picture>`` and wants ``classes.txt``, which it
cannot write on a read-only mount; segformer reads ``images/<split>`` and ``masks/<split>`` with gray or palette PNGs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from taorunner.datasets.files.output_folders import Placer, refuse_taken, whole_folder
from taorunner.datasets.formats.folder import SPLIT_NAMES, Folder
from taorunner.datasets.formats.other_layouts import refuse_other_layout, tell_other_files
from taorunner.datasets.transform.convert import ClassCount, Conversion, refuse_overlap
from taorunner.errors import UserFilesError, has_errors
from taorunner.text import amount, printable

_PICTURES, _MASKS = ("images", "image", "jpegimages"), ("masks", "mask", "labels", "annotations")
NO_CLASSES = frozenset({*_PICTURES, *_MASKS, "image_2", "label_2", "imagesets"})
Plan = list[tuple[str, str]]
"""Files of the source with their place in the result."""


def lay_out(
    source: Path, output: Path, *, to: str, overwrite: bool = False, skip_bad: bool = False
) -> Conversion:
    """``to`` is one of ``TARGETS``. Raises UserFilesError with every finding, unless the bad parts may be left out."""
    refuse_overlap(source, output)
    refuse_taken(output, overwrite=overwrite)
    folder = Folder(source)
    plan, classes = _PLANS[to](folder)
    plan = _once_each(folder, plan)
    if not plan or (has_errors(folder.findings) and not skip_bad):
        what = (
            "nothing was written, because something is wrong" if plan else f"there is nothing for {to} here"
        )
        hint = "correct what is named above, or leave it out with --skip-bad" if plan else _LAYOUTS[to]
        raise UserFilesError(f'{what} in "{printable(str(source))}"', hint=hint, findings=folder.findings)
    placer = Placer()
    with whole_folder(output, overwrite=overwrite) as partial:
        for path, place in plan:
            target = partial / place
            target.parent.mkdir(parents=True, exist_ok=True)
            placer.place(source / path, target)
        if classes:
            (partial / "classes.txt").write_text("".join(f"{name}\n" for name in classes), encoding="utf-8")
        made = [path.relative_to(partial).parts for path in partial.rglob("*") if path.is_file()]
    pictures = [parts for parts in made if parts[0] != "masks" and parts != ("classes.txt",)]
    after = Counter(parts[-2] for parts in pictures) if classes else Counter[str]()
    subsets = Counter(parts[1] if to == "segmentation" and len(parts) > 2 else parts[0] for parts in pictures)
    counts = tuple(ClassCount(name, name, before, before - after[name]) for name, before in classes.items())
    before = sum(classes.values()) or sum(not place.startswith("masks/") for _, place in plan)
    return Conversion(
        source, "folders", to, output, before, len(pictures), 0, counts, after, dict(subsets), (), placer.counts,
        tuple(folder.findings),
    )  # fmt: skip


def planned(folder: Folder, to: str) -> Plan:
    """What ``lay_out`` would place, a mask behind its picture; two files may have one place."""
    return _PLANS[to](folder)[0]


def _once_each(folder: Folder, plan: Plan) -> Plan:
    """The first file for each place; every other one is told."""
    first: dict[str, str] = {}
    for path, place in plan:
        earlier = first.setdefault(place, path)
        if earlier != path:
            message = f'"{printable(place)}" would be this file and "{printable(earlier)}"'
            folder.error("name-twice", message, folder.root / path, hint="rename one of them")
    return [(path, place) for place, path in first.items()]


def _classification(folder: Folder) -> tuple[Plan, dict[str, int]]:
    """Class folders, below folders of splits or directly; what is there without a split goes to ``train``."""
    refuse_other_layout(folder)
    plan: Plan = []
    members: dict[str, dict[str, int]] = {}
    deeper: dict[str, list[str]] = {}
    for path in folder.pictures:
        *above, name = path.split("/")
        if not above:
            folder.error("class-missing", "the picture lies in no class folder", folder.root / path)
            continue
        split = SPLIT_NAMES.get(above[0].lower(), "") if len(above) > 1 else ""
        if len(above) > (2 if split else 1) and above[0].lower() not in _PICTURES:
            deeper.setdefault("/".join(above), []).append(path)
        members.setdefault(split or "train", {}).setdefault(above[-1], 0)
        members[split or "train"][above[-1]] += 1
        if folder.header(folder.root / path) is not None:
            plan.append((path, f"{split or 'train'}/{above[-1]}/{name}"))
    _tell_deeper(folder, deeper)
    for name in sorted(
        {name for counts in members.values() for name in counts if name.lower() in NO_CLASSES}
    ):
        message = f'"{name}" is no class, but where formats with boxes keep their files'
        folder.error("class-folder-name", message, folder.root, hint="convert boxes --to kitti or coco")
    if not has_errors(folder.findings):
        tell_other_files(folder)
    classes = dict.fromkeys(sorted({name for counts in members.values() for name in counts}), 0)
    for name in [name for name in classes if SPLIT_NAMES.get(name.lower())]:
        message = f'"{name}" is the name of a subset, not of a class'
        folder.error(
            "class-folder-name", message, folder.root, hint="class folders lie below it: SPLIT/CLASS/"
        )
    for split, counts in members.items():
        for name, count in counts.items():
            classes[name] += count
        for name in classes.keys() - counts.keys():
            message = f'the class "{printable(name)}" has no picture in "{split}", but in another split'
            folder.error(
                "class-set-differs", message, folder.root, hint="add some, or take the class out everywhere"
            )
    return plan, classes


def _tell_deeper(folder: Folder, deeper: Mapping[str, list[str]]) -> None:
    if deeper:
        place, paths = next(iter(deeper.items()))
        message = (
            f"pictures lie deeper than SPLIT/CLASS/ or CLASS/ in {amount(len(deeper), 'folder')}, "
            f'such as "{printable(place)}": nothing says which of the names is the class'
        )
        hint = "name the folder whose folders are the classes, or move the pictures up"
        folder.error("class-folder-deep", message, folder.root / paths[0], hint=hint)


def _segmentation(folder: Folder) -> tuple[Plan, dict[str, int]]:
    """Pairs by stem: ``images/<split>`` and ``masks/<split>``, or ``<split>/images`` and ``<split>/masks``."""
    plan: Plan = []
    pictures: dict[tuple[str, str], str] = {}
    masks: dict[tuple[str, str], str] = {}
    for path in folder.pictures:
        *above, name = path.split("/")
        lower = [part.lower() for part in above]
        kind = (
            pictures
            if any(p in _PICTURES for p in lower)
            else masks
            if any(p in _MASKS for p in lower)
            else None
        )
        if kind is not None:
            split = next((SPLIT_NAMES[part] for part in lower if SPLIT_NAMES.get(part)), "train")
            key = (split, name.rpartition(".")[0])
            if key in kind:
                message = f'its name is that of "{printable(kind[key])}", so nothing says which mask is whose'
                folder.error("name-twice", message, folder.root / path, hint="rename one of them")
            kind.setdefault(key, path)
    for key in sorted(pictures.keys() | masks.keys()):
        picture, mask = pictures.get(key), masks.get(key)
        if picture is None or mask is None:
            there, lacks = (picture or mask or ""), "mask" if picture else "picture"
            folder.error(f"{lacks}-missing", f"it has no {lacks} of the same name", folder.root / there)
        elif _is_pair(folder, folder.root / picture, folder.root / mask):
            for kind_name, path in (("images", picture), ("masks", mask)):
                plan.append((path, f"{kind_name}/{key[0]}/{path.rpartition('/')[2]}"))
    return plan, {}


def _is_pair(folder: Folder, picture: Path, mask: Path) -> bool:
    seen, drawn = folder.header(picture), folder.header(mask)
    if seen is None or drawn is None:
        return False
    if drawn.format != "png" or drawn.channels != 1:
        message = f"a mask is a gray or palette PNG, this is a {drawn.format.upper()} with {drawn.channels} channels"
        folder.error("mask-kind", message, mask, hint="each pixel must be the number of its class")
        return False
    if (seen.width, seen.height) != (drawn.width, drawn.height):
        message = f"the mask has {drawn.width}x{drawn.height} pixels, its picture {seen.width}x{seen.height}"
        folder.error("mask-size", message, mask)
        return False
    return True


_PLANS: Mapping[str, Callable[[Folder], tuple[Plan, dict[str, int]]]] = {
    "classification": _classification, "segmentation": _segmentation,
}  # fmt: skip
_LAYOUTS = {
    "classification": "pictures belong into SPLIT/CLASS/ or CLASS/",
    "segmentation": "pictures belong into images/SPLIT/, masks into masks/SPLIT/",
}
TARGETS = tuple(_PLANS)
