"""Checks class-folder and mask datasets, and arranges them in the folders that TAO reads.

Source: tao/datasets.md A2: classification reads ``<split>/<class>/<image>`` and needs ``classes.txt``, which it
cannot write on a read-only mount; segformer reads ``images/<split>`` and ``masks/<split>`` with gray or palette PNGs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from taorunner.datasets.checks.classes import severity_in
from taorunner.datasets.files.layout import PARTS_OF_FORMATS
from taorunner.datasets.files.mask_pairs import find_pairs
from taorunner.datasets.files.names import SPLIT_NAMES
from taorunner.datasets.files.output_folders import Placer, new_folder, refuse_taken
from taorunner.datasets.formats.folder import Folder
from taorunner.datasets.formats.other_layouts import refuse_other_layout, refuse_pairs, report_other_files
from taorunner.datasets.transform.convert import ClassCount, Conversion, refuse_overlap
from taorunner.errors import Severity, UserFilesError, has_errors
from taorunner.text import amount, printable

_IMAGES = ("images", "image", "jpegimages")
Plan = list[tuple[str, str]]
"""Pairs of a source file and its path in the result."""


def lay_out(
    source: Path, output: Path, *, to: str, overwrite: bool = False, skip_bad: bool = False
) -> Conversion:
    """``to`` is one of ``TARGETS``. Raises UserFilesError with all findings, unless bad parts may be left out."""
    refuse_overlap(source, output)
    refuse_taken(output, overwrite=overwrite)
    folder = Folder(source)
    plan, classes = _PLANS[to](folder)
    plan = _once_each(folder, plan)
    if not plan or (has_errors(folder.findings) and not skip_bad):
        is_known = bool(plan) or has_errors(folder.findings)
        what = "nothing was written, because something is wrong" if is_known else f"no images for {to} here"
        hint = "correct the errors above" if is_known else _LAYOUTS[to]
        hint += ", or leave the bad parts out with --skip-bad" if plan else ""
        raise UserFilesError(f'{what} in "{printable(str(source))}"', hint=hint, findings=folder.findings)
    placer = Placer()
    with new_folder(output, overwrite=overwrite) as partial:
        for path, place in plan:
            target = partial / place
            target.parent.mkdir(parents=True, exist_ok=True)
            placer.place(source / path, target)
        if classes:
            (partial / "classes.txt").write_text("".join(f"{name}\n" for name in classes), encoding="utf-8")
        made = [path.relative_to(partial).parts for path in partial.rglob("*") if path.is_file()]
    image_files = [parts for parts in made if parts[0] != "masks" and parts != ("classes.txt",)]
    after = Counter(parts[-2] for parts in image_files) if classes else Counter[str]()
    subsets = Counter(
        parts[1] if to == "segmentation" and len(parts) > 2 else parts[0] for parts in image_files
    )
    counts = tuple(ClassCount(name, name, before, before - after[name]) for name, before in classes.items())
    before = sum(classes.values()) or sum(not place.startswith("masks/") for _, place in plan)
    return Conversion(
        source, "folders", to, output, before, len(image_files), 0, counts, after, dict(subsets), (), placer.counts,
        tuple(folder.findings),
    )  # fmt: skip


def planned(folder: Folder, to: str) -> Plan:
    """The plan of ``lay_out``: a mask follows its image, and two files may have the same path."""
    return _PLANS[to](folder)[0]


def _once_each(folder: Folder, plan: Plan) -> Plan:
    """Keeps the first file for each path, and reports every other one."""
    first: dict[str, str] = {}
    for path, place in plan:
        earlier = first.setdefault(place, path)
        if earlier != path:
            message = f'"{printable(place)}" would hold both this file and "{printable(earlier)}"'
            folder.error("name-twice", message, folder.root / path, hint="rename one of them")
    return [(path, place) for place, path in first.items()]


def _classification(folder: Folder) -> tuple[Plan, dict[str, int]]:
    """Class folders, in split folders or directly; images without a split go to ``train``."""
    refuse_other_layout(folder)
    refuse_pairs(folder)
    plan: Plan = []
    members: dict[str, dict[str, int]] = {}
    deeper: dict[str, list[str]] = {}
    for path in folder.image_files:
        *above, name = path.split("/")
        if not above:
            folder.error("class-missing", "the image is not in a class folder", folder.root / path)
            continue
        split = SPLIT_NAMES.get(above[0].lower(), "") if len(above) > 1 else ""
        if len(above) > (2 if split else 1) and above[0].lower() not in _IMAGES:
            deeper.setdefault("/".join(above), []).append(path)
        members.setdefault(split or "train", {}).setdefault(above[-1], 0)
        members[split or "train"][above[-1]] += 1
        if folder.header(folder.root / path) is not None:
            plan.append((path, f"{split or 'train'}/{above[-1]}/{name}"))
    _report_deeper(folder, deeper)
    for name in sorted(
        {name for counts in members.values() for name in counts if name.lower() in PARTS_OF_FORMATS}
    ):
        message = f'"{name}" is a folder of formats with boxes, not a class'
        folder.error("class-folder-name", message, folder.root, hint="for boxes use --to kitti or --to coco")
    if not has_errors(folder.findings):
        report_other_files(folder)
    classes = dict.fromkeys(sorted({name for counts in members.values() for name in counts}), 0)
    for name in [name for name in classes if SPLIT_NAMES.get(name.lower())]:
        message = f'"{name}" is the name of a subset, not of a class'
        folder.error(
            "class-folder-name", message, folder.root, hint="put class folders into it: SPLIT/CLASS/"
        )
    for split, counts in members.items():
        for name, count in counts.items():
            classes[name] += count
        for name in classes.keys() - counts.keys():
            message = f'the class "{printable(name)}" has images in another split, but none in "{split}"'
            report = folder.error if severity_in(split) is Severity.ERROR else folder.warning
            report(
                "class-set-differs",
                message,
                folder.root,
                hint="add some, or remove the class from all splits",
            )
    return plan, classes


def _report_deeper(folder: Folder, deeper: Mapping[str, list[str]]) -> None:
    if deeper:
        place, paths = next(iter(deeper.items()))
        message = (
            f"images lie deeper than SPLIT/CLASS/ or CLASS/ in {amount(len(deeper), 'folder')}, "
            f'such as "{printable(place)}": it is unclear which folder is the class'
        )
        hint = "give the folder whose subfolders are the classes, or move the images up"
        folder.error("class-folder-deep", message, folder.root / paths[0], hint=hint)


def _segmentation(folder: Folder) -> tuple[Plan, dict[str, int]]:
    """Pairs images and masks by their names, in the layouts that ``files/mask_pairs`` knows."""
    plan: Plan = []
    found = find_pairs(folder.image_files)
    for paths in (*found.images.values(), *found.masks.values()):
        for path in paths[1:]:
            message = f'same name as "{printable(paths[0])}": it is unclear which mask belongs to which image'
            folder.error("name-twice", message, folder.root / path, hint="rename one of them")
    if found.other:
        message = (
            f"{amount(len(found.other), 'image')} in no folder of images or masks, such as "
            f'"{printable(found.other[0])}"'
        )
        folder.warning("picture-unused", f"{message}: left out", folder.root / found.other[0])
    report_other_files(folder, Severity.WARNING)
    for key in sorted(found.images.keys() | found.masks.keys()):
        image_file, mask = (kind.get(key, [""])[0] for kind in (found.images, found.masks))
        if not image_file or not mask:
            lacks = "mask" if image_file else "picture"
            folder.error(
                f"{lacks}-missing",
                f"no {'mask' if image_file else 'image'} has the same name",
                folder.root / (image_file or mask),
            )
        elif _is_pair(folder, folder.root / image_file, folder.root / mask):
            name = image_file.rpartition("/")[2]
            plan.append((image_file, f"images/{key[0]}/{name}"))
            plan.append((mask, f"masks/{key[0]}/{name.rpartition('.')[0]}.{mask.rpartition('.')[2]}"))
    return plan, {}


def _is_pair(folder: Folder, image_file: Path, mask: Path) -> bool:
    seen, drawn = folder.header(image_file), folder.header(mask)
    if seen is None or drawn is None:
        return False
    if drawn.format != "png" or drawn.channels != 1:
        kind = f"{drawn.format.upper()} with {drawn.channels} channels"
        message = f"a mask must be a grayscale or palette PNG, not {kind}"
        folder.error(
            "mask-kind", message, mask, hint="save it with the class number as the value of each pixel"
        )
        return False
    if (seen.width, seen.height) != (drawn.width, drawn.height):
        message = f"the mask has {drawn.width}x{drawn.height} pixels, its image {seen.width}x{seen.height}"
        folder.error("mask-size", message, mask)
        return False
    return True


_PLANS: Mapping[str, Callable[[Folder], tuple[Plan, dict[str, int]]]] = {
    "classification": _classification, "segmentation": _segmentation,
}  # fmt: skip
_LAYOUTS = {
    "classification": "put images into SPLIT/CLASS/ or CLASS/",
    "segmentation": "put images into images/SPLIT/, masks into masks/SPLIT/",
}
TARGETS = tuple(_PLANS)
