"""Lays a dataset out as a network reads it: recognised, converted, with train and val, in one step.

The folders are those that the catalog's layouts describe for each form. Nothing is written when something would be
lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from taorunner.datasets.checks.classes import severity_in
from taorunner.datasets.files.output_folders import Placer, Way, need_room, new_folder, refuse_taken
from taorunner.datasets.formats.recognise import read_dataset
from taorunner.datasets.model.boxes import names_of
from taorunner.datasets.model.class_names import encodable, image_names
from taorunner.datasets.model.texts import OUTLINES, WORDS, TextImage
from taorunner.datasets.transform.arrange import Arranged, Progress, arranged
from taorunner.datasets.transform.convert import Images, convert, refuse_overlap
from taorunner.datasets.transform.split_folders import kind_of, sound_folders, write_classes, write_part
from taorunner.datasets.transform.texts import lay_out_texts, shared_out
from taorunner.datasets.transform.usable_boxes import usable_boxes
from taorunner.datasets.writers.class_masks import mask_values, need_pillow, write_mask, write_names
from taorunner.datasets.writers.tao_formats import TARGETS
from taorunner.datasets.writers.texts import TEXT_TARGETS
from taorunner.errors import Finding, UserFilesError, has_errors
from taorunner.text import printable

CLASSIFICATION, SEGMENTATION = "classification", "segmentation"
FORMS = ("coco", "kitti", "odvg", "panoptic", CLASSIFICATION, SEGMENTATION, *TEXT_TARGETS)
"""What can be written here. Source: ``form`` in the catalog's layouts."""
_TRAINS_ON = {
    CLASSIFICATION: "a folder of images for each class",
    SEGMENTATION: "masks, or outlines of objects",
}
_HOLDS = {CLASSIFICATION: "a folder of images for each class", SEGMENTATION: "images with masks"}


@dataclass(frozen=True, slots=True)
class Wish:
    """``form`` is one of ``FORMS``; ``val`` the share of the images that validate, where there is no such subset.

    ``format`` names the source's format instead of its recognition. ``skip_bad`` leaves out what cannot be used.
    """

    form: str
    val: float = 0.2
    format: str | None = None
    way: Way = Way.LINK
    skip_bad: bool = False


@dataclass(frozen=True, slots=True)
class LaidOut:
    """``format`` is that of the source. ``classes`` has the objects (images, for class folders) of each class, by its
    written name; ``subsets`` the images. ``is_split``: the split is new, and each of ``copies`` groups of images came
    into one subset, because they are nearly the same. ``outlined``: masks were drawn from outlines."""

    format: str
    classes: Mapping[str, int]
    subsets: Mapping[str, int]
    is_split: bool
    copies: int
    placed: Mapping[str, int]
    findings: tuple[Finding, ...]
    outlined: bool = False


@dataclass(slots=True)
class _Arranger:
    """Keeps what ``arranged`` decided. ``needs_boxes``: images without any cannot be trained on."""

    source: Path
    val: float
    progress: Progress
    needs_boxes: bool = True
    made: Arranged | None = field(default=None, init=False)

    def __call__(self, images: Images) -> Images:
        if self.needs_boxes and not any(image.boxes for image in images):
            raise UserFilesError(
                f'no image of "{printable(str(self.source))}" has a box: nothing can be learnt',
                hint="annotate the images, or give the folder that has the labels as well",
            )
        self.made = arranged(images, self.source, self.val, self.progress)
        return list(self.made.images)


def lay_out_for_network(
    source: Path, output: Path, wish: Wish, progress: Progress = lambda what, done, total: None
) -> LaidOut:
    """Writes ``output``, which must not exist.

    Raises UserFilesError with all findings when something in ``source`` is wrong or is not of this form, MachineError
    when there is no room. Nothing is written then.
    """
    refuse_overlap(source, output)
    refuse_taken(output, overwrite=False)
    if wish.form in TEXT_TARGETS:
        return _texts(source, output, wish, progress)
    kind = kind_of(source) if wish.format is None else None
    if kind is not None and kind != wish.form:
        raise UserFilesError(
            f'"{printable(str(source))}" has {_HOLDS[kind]}, and this network trains on '
            f"{_TRAINS_ON.get(wish.form, 'boxes')}",
            hint='"taorunner networks" says what each network is for',
        )
    arranger = _Arranger(source, wish.val, progress)
    if kind is not None:
        arranger.needs_boxes = kind == CLASSIFICATION
        return _folders(source, output, kind, wish, arranger)
    if wish.form == SEGMENTATION:
        return _masks(source, output, wish, arranger)
    if wish.form not in TARGETS:
        found = read_dataset(source, wish.format, progress)
        raise UserFilesError(
            f'"{printable(str(source))}" has boxes ({found.format}), and this network trains on '
            f"{_TRAINS_ON[CLASSIFICATION]}",
            hint="give the folder whose subfolders are the classes, or choose a network for detection",
        )
    done = convert(
        source, output, to=wish.form, from_=wish.format, skip_bad=wish.skip_bad, progress=progress,
        arrange=arranger, way=wish.way, one_suffix=True,
    )  # fmt: skip
    classes = {count.written: done.after[count.written] for count in done.classes}
    return _laid_out(done.format, classes, arranger, done.placed, done.findings)


def _laid_out(
    format_name: str, classes: Mapping[str, int], arranger: _Arranger, placed: Mapping[str, int],
    findings: tuple[Finding, ...] | list[Finding], *, outlined: bool = False,
) -> LaidOut:  # fmt: skip
    made = arranger.made
    assert made is not None
    subsets = Counter(image.subset for image in made.images)
    every = (*findings, *made.findings)
    return LaidOut(
        format_name, classes, dict(sorted(subsets.items(), key=_order)), made.is_made, made.copies, placed, every,
        outlined,
    )  # fmt: skip


def _order(subset: tuple[str, int]) -> int:
    return ("train", "val", "test").index(subset[0])


def _texts(source: Path, output: Path, wish: Wish, progress: Progress) -> LaidOut:
    """Images with texts: split where there is no subset that validates, before words are cropped from them."""
    made: list[Arranged] = []

    def arrange(images: list[TextImage], kind: str) -> dict[Path, str]:
        entries = shared_out(images, WORDS if wish.form == "ocrnet" else kind)
        made.append(arranged(entries, source, wish.val, progress, together=kind == OUTLINES))
        return {image.path: image.subset for image in made[0].images}

    done = lay_out_texts(
        source, output, to=wish.form, from_=wish.format, skip_bad=wish.skip_bad, progress=progress,
        arrange=arrange,
    )  # fmt: skip
    subsets = dict(sorted(done.subsets.items(), key=_order))
    findings = (*done.findings, *made[0].findings)
    return LaidOut(done.format, {}, subsets, made[0].is_made, made[0].copies, done.placed, findings)


def _refuse_errors(findings: list[Finding], wish: Wish) -> None:
    if has_errors(findings) and not wish.skip_bad:
        raise UserFilesError(
            "nothing was written, because something would be lost",
            hint="correct the errors above, or leave the bad parts out with --skip-bad",
            findings=findings,
        )


def _folders(source: Path, output: Path, kind: str, wish: Wish, arranger: _Arranger) -> LaidOut:
    """Class folders, and images with masks."""
    images, masks, findings = sound_folders(source, kind)
    _refuse_errors(findings, wish)
    made = arranger(images)
    need_room([*(image.path for image in made), *masks.values()], output, wish.way)
    if kind == CLASSIFICATION:
        findings += _missing_classes(made, source)
    classes = Counter(name for image in made for name in names_of(image.boxes))
    placer = Placer(wish.way)
    with new_folder(output, overwrite=False) as partial:
        for subset in dict.fromkeys(image.subset for image in made):
            members = [image for image in made if image.subset == subset]
            write_part(kind, partial, subset, members, masks, placer, source)
            for name in classes if kind == CLASSIFICATION else ():
                # a missing folder changes the numbers of the other classes
                (partial / subset / name).mkdir(exist_ok=True)
        write_classes(kind, partial, sorted(classes))
    return _laid_out("folders", dict(sorted(classes.items())), arranger, placer.counts, findings)


def _missing_classes(images: Images, source: Path) -> list[Finding]:
    """A class folder that one subset lacks shifts the numbers of the others. Source: tao/layouts.md.

    Raises UserFilesError unless it is lacking for test alone.
    """
    by_subset: dict[str, set[str]] = {}
    for image in images:
        by_subset.setdefault(image.subset, set()).update(names_of(image.boxes))
    every = set().union(*by_subset.values())
    findings = [
        Finding(
            severity_in(subset), "class-set-differs", f'no image of the class "{printable(name)}" is in "{subset}"',
            "add images of it: each class needs one for train and one for val", source,
        )
        for subset, names in by_subset.items() for name in sorted(every - names)
    ]  # fmt: skip
    if has_errors(findings):
        raise UserFilesError("nothing was written, because subsets lack classes", findings=findings)
    return findings


def _masks(source: Path, output: Path, wish: Wish, arranger: _Arranger) -> LaidOut:
    """Masks of the outlines of objects."""
    need_pillow()
    dataset = read_dataset(source, wish.format, arranger.progress)
    usable = usable_boxes(dataset)
    outlined = [bool(box.segmentation) for image in usable.images for box in image.boxes]
    if outlined and not any(outlined):
        refused = UserFilesError(
            f'"{printable(str(source))}" has boxes ({dataset.format}) without outlines, and this network trains on '
            f"{_TRAINS_ON[SEGMENTATION]}",
            hint="draw the outlines, or choose a network for detection",
        )
        refused.code = "outline-missing"
        raise refused
    findings = [*dataset.findings, *usable.findings]
    _refuse_errors(findings, wish)
    made = arranger(usable.images)
    need_room((image.path for image in made), output, wish.way)
    written = {name: encodable(name) for name in dataset.classes}
    values = mask_values(list(written))
    placer, drawn, faults = Placer(wish.way), Counter[str](), list[Finding]()
    with new_folder(output, overwrite=False) as partial:
        done = 0
        for subset in dict.fromkeys(image.subset for image in made):
            members = [image for image in made if image.subset == subset]
            images, masks = partial / "images" / subset, partial / "masks" / subset
            images.mkdir(parents=True)
            masks.mkdir(parents=True)
            for name, image in zip(image_names(members, source), members, strict=True):
                counts, found = write_mask(image, values, masks / f"{name.rpartition('.')[0]}.png")
                faults += found
                drawn += counts
                placer.place(image.path, images / name)
                done += 1
                if done % 50 == 0:
                    arranger.progress("drawing masks", done, len(made))
        _refuse_errors(faults, wish)
        write_names(partial, {written[name]: value for name, value in values.items()})
    classes = {written[name]: drawn[name] for name in written}
    return _laid_out(dataset.format, classes, arranger, placer.counts, [*findings, *faults], outlined=True)
