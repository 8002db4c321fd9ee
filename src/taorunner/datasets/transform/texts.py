"""Arranges datasets of texts as OCDNet and OCRNet read them: read, check, write, count again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from taorunner.datasets.checks.texts import UsableTexts, character_findings, characters_of, usable_texts
from taorunner.datasets.files.output_folders import Placer, new_folder, refuse_taken
from taorunner.datasets.files.pixels import has_pillow, needs_pillow
from taorunner.datasets.formats.folder import Folder
from taorunner.datasets.formats.other_layouts import other_layout, refuse_other_layout
from taorunner.datasets.formats.texts.recognise import KINDS, next_step, read_texts, text_format
from taorunner.datasets.model.annotations import Box, ImageEntry
from taorunner.datasets.model.texts import OUTLINES, WORDS, TextDataset, TextImage, counts_of, name_of
from taorunner.datasets.transform.convert import ClassCount, Conversion, refuse_overlap
from taorunner.datasets.transform.readable_images import PNG, conversion_findings, save_as, unread_kinds
from taorunner.datasets.transform.word_crops import WordCropper, crops_of_one_image, words_of
from taorunner.datasets.writers.texts import FORMS, text_image_names, write_characters, write_crops
from taorunner.errors import Finding, MachineError, UserFilesError, has_errors
from taorunner.text import printable

Progress = Callable[[str, int, int], None]
_RARE = 20
"""Characters of fewer images are shared out like classes by a split, the rarest first."""


def lay_out_texts(
    source: Path, output: Path, *, to: str, from_: str | None = None, overwrite: bool = False, skip_bad: bool = False,
    progress: Progress = lambda what, done, total: None,
    arrange: Callable[[list[TextImage], str], Mapping[Path, str]] | None = None,
) -> Conversion:  # fmt: skip
    """``to`` is one of ``FORMS``. ``arrange`` gets the images and their kind, and gives the subset of each, before
    words are cropped from them.

    Raises UserFilesError with every finding when something in ``source`` is wrong and ``skip_bad`` is not set.
    """
    refuse_overlap(source, output)
    refuse_taken(output, overwrite=overwrite)
    folder = Folder(source, progress)
    dataset = read_texts(folder, _format_for(folder, to, from_))
    usable = usable_texts(dataset)
    is_sound = skip_bad or not has_errors([*dataset.findings, *usable.findings])
    if arrange is not None and usable.images and is_sound:
        subsets = arrange(usable.images, dataset.kind)
        images = (replace(one, subset=subsets.get(one.path, one.subset)) for one in dataset.images)
        dataset = replace(dataset, images=tuple(images))
        usable = usable_texts(dataset)
    if to == "ocrnet" and dataset.kind != WORDS:
        needs_pillow("to crop words")
        dataset = words_of(dataset, usable.images, [*dataset.findings, *usable.findings])
        usable = usable_texts(dataset)
    kinds = {} if any(one.crop for one in dataset.images) else unread_kinds(to, _entries(usable.images))
    findings = [*dataset.findings, *usable.findings, *conversion_findings(kinds, source)]
    if not usable.images or (has_errors(findings) and not skip_bad):
        what = "because something would be lost" if usable.images else "because no text can be used"
        hint = "correct the errors above, or leave the bad parts out with --skip-bad"
        raise UserFilesError(f"nothing was written, {what}", hint=hint, findings=findings)
    made = _Written(
        to, source, dict.fromkeys(kinds, PNG) if has_pillow() else {}, len(usable.images), progress
    )
    by_subset: dict[str, list[TextImage]] = {}
    for image in usable.images:
        by_subset.setdefault(image.subset, []).append(image)
    with new_folder(output, overwrite=overwrite) as partial:
        for subset, members in by_subset.items():
            made.write(partial, subset, members)
        write_crops(partial, made.crops)
        if to == "ocrnet":
            write_characters(partial, characters_of(dataset, usable.images))
    before = counts_of(dataset.images, dataset.kind)
    counts = tuple(
        ClassCount(name, name, count, count - made.after[name]) for name, count in before.items() if count
    )
    backgrounds = sum(not image.texts for image in usable.images)
    return Conversion(
        source, dataset.format, to, output, len(dataset.images), len(usable.images), backgrounds, counts, made.after,
        {name: len(members) for name, members in by_subset.items()}, tuple(made.renamed), made.placer.counts,
        tuple(findings),
    )  # fmt: skip


def _format_for(folder: Folder, to: str, from_: str | None) -> str:
    """Raises UserFilesError when the folder has no texts of the kind that ``to`` reads."""
    kind = FORMS[to].kind
    place = printable(str(folder.root))
    found = from_ or text_format(folder, kind) or text_format(folder)
    if found is not None and KINDS.get(found) in (kind, OUTLINES):
        return found  # words are cropped from images with outlines
    if found is not None and found in KINDS:
        hint = next_step(folder, found)
        raise UserFilesError(f'"{place}" has images of words ({found}), which {to} does not read', hint=hint)
    if found is None and (other := other_layout(folder)) is not None and not other.is_written:
        refuse_other_layout(folder)
    wants = (
        "a list of images and their words"
        if kind == WORDS
        else "outlines with texts (ICDAR, PaddleOCR, COCO-Text)"
    )
    known = ", ".join(name for name, of in KINDS.items() if of == kind)
    raise UserFilesError(
        f'"{place}" has no {wants.removeprefix("a ")}',
        hint=f"taorunner networks {to} says what to put where; known formats: {known}; choose one with --from",
    )


class _Written:
    """Writes subsets, and keeps what a report says of them. ``suffixes``: images that are saved in another format."""

    def __init__(
        self, to: str, source: Path, suffixes: Mapping[Path, str], total: int, progress: Progress
    ) -> None:
        self.placer, self.renamed, self.after = Placer(), list[tuple[str, str]](), Counter[str]()
        self.crops: dict[str, list[str]] = {}
        self._to, self._source, self._suffixes, self._progress = to, source, suffixes, progress
        self._done, self._total = 0, total
        self._cropper = WordCropper()

    def write(self, root: Path, subset: str, members: Sequence[TextImage]) -> None:
        """Raises MachineError when the written files hold something else than the images."""
        form = FORMS[self._to]
        folder = root / subset
        (folder / form.images).mkdir(parents=True, exist_ok=True)
        named = list(
            zip(text_image_names(self._to, members, self._source, self._suffixes), members, strict=True)
        )
        for name, image in named:
            target = folder / form.images / name
            if image.crop:
                self._cropper.save(image, target)
                crops = self.crops.setdefault(_shown(image.path, self._source), [])
                crops.append(target.relative_to(root).as_posix())
                self.placer.counts["cropped"] += 1
            elif image.path in self._suffixes:
                save_as(image.path, target)
                self.placer.counts["converted"] += 1
            else:
                self.placer.place(image.path, target)
            if name != image.path.name and not image.crop:
                self.renamed.append((_shown(image.path, self._source), target.relative_to(root).as_posix()))
            self._done += 1
            if self._done % 100 == 0:
                self._progress("writing", self._done, self._total)
        form.write(folder, named)
        counts, meant = form.count(folder), counts_of(list(members), form.kind)
        if +counts != +meant:
            raise MachineError(
                f"the written files hold {counts.total()} texts, not {meant.total()}; nothing was written",
                hint="check the free disk space, and that no other program writes there",
            )
        self.after += counts


def _shown(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _entries(images: Sequence[TextImage]) -> list[ImageEntry]:
    return [ImageEntry(one.path, one.width, one.height, (), one.subset) for one in images]


class TextSplit:
    """A dataset of texts whose images are shared out to the parts of a split, and then written."""

    def __init__(self, folder: Folder, format_name: str) -> None:
        self.dataset: TextDataset = read_texts(folder, format_name)
        self.usable: UsableTexts = usable_texts(self.dataset)
        self.target = next(to for to, form in FORMS.items() if form.kind == self.dataset.kind)
        self._folder, self._source = folder, folder.root
        self._by_path = {image.path: image for image in self.usable.images}

    @property
    def findings(self) -> Iterator[Finding]:
        yield from self.dataset.findings
        yield from (one for one in self.usable.findings if one.code != "characters-untrained")

    def entries(self) -> list[ImageEntry]:
        """Images with what is shared out as classes: texts by legibility, or rare characters."""
        return shared_out(self.usable.images, self.dataset.kind)

    def together(self) -> list[tuple[Path, Path]]:
        """Pairs of words that were cropped from one image."""
        return list(crops_of_one_image(self._folder))

    def members(self, images: Sequence[ImageEntry]) -> list[TextImage]:
        return [self._by_path[image.path] for image in images]

    def counts(self, images: Sequence[ImageEntry]) -> Counter[str]:
        return +counts_of(self.members(images), self.dataset.kind)

    def write(
        self, root: Path, parts: Mapping[str, Sequence[ImageEntry]], progress: Progress
    ) -> tuple[Counter[str], tuple[Finding, ...]]:
        """How the images were placed, and what of the texts is to be said about the parts."""
        kinds = unread_kinds(self.target, _entries(self.usable.images))
        suffixes = dict.fromkeys(kinds, PNG) if has_pillow() else {}
        made = _Written(self.target, self._source, suffixes, len(self._by_path), progress)
        for name, images in parts.items():
            made.write(root, name, self.members(images))
        findings = list(conversion_findings(kinds, self._source))
        if self.target == "ocrnet":
            write_characters(root, characters_of(self.dataset, self.usable.images))
            findings += untrained(
                self.dataset, {name: self.members(images) for name, images in parts.items()}
            )
        return made.placer.counts, tuple(findings)


def shared_out(images: Sequence[TextImage], kind: str) -> list[ImageEntry]:
    """The images with what a split shares out as classes: rare characters of words, else texts by legibility."""
    seen = Counter(character for image in images for text in image.texts for character in set(text.text))
    made = []
    for image in images:
        if kind == WORDS:
            characters = {one for text in image.texts for one in text.text}
            names = [one for one in sorted(characters) if seen[one] < _RARE]
        else:
            names = [name_of(text, kind) for text in image.texts]
        boxes = tuple(Box(name, 0, 0, image.width, image.height) for name in names)
        made.append(ImageEntry(image.path, image.width, image.height, boxes, image.subset))
    return made


def untrained(dataset: TextDataset, parts: Mapping[str, Sequence[TextImage]]) -> list[Finding]:
    """What is said of characters that only val and test have, after the split."""
    images = [replace(image, subset=name) for name, members in parts.items() for image in members]
    return [one for one in character_findings(dataset, images) if one.code == "characters-untrained"]
