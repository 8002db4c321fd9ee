"""Which findings ``--force`` passes: those about the user's data, paths and weights, by their code.

Parse errors, unknown names, and what is wrong with image, engine or GPUs are never passed: a start would fail at once.
A code that is not listed here is not passed.
"""

from __future__ import annotations

from collections.abc import Iterable

from taorunner.errors import Finding

_PATHS = """
    missing-input wrong-input empty-input empty-dataset missing-dataset not-mounted host-path not-made-yet relative-path
"""
_RULES = """
    batch-beyond-samples class-list-differs class-map-shifted class-not-in-dataset class-not-mapped class-with-blank
    class-with-capitals class-without-colour empty-set empty-training-fold examples-differ image-extension input-size
    label-shared last-batch-left-out
    lists-differ mask-missing no-class-in-dataset not-above-zero
    pictures-with-other-masks picture-size same-data too-few-classes
    character-unlisted too-few-steps too-many-classes word-list-line
    text-too-long
"""
_DATASETS = """
    annotation-chosen annotations-differ annotations-left-out annotations-twice annotations-unreadable
    archive-unread box-beyond-edge box-duplicate box-empty box-inverted box-outside box-rotated box-tiny
    brush-left-out character-line character-twice characters-lacking characters-unread characters-untrained
    class-folder-empty class-imbalance class-missing-in-subset class-name-blank class-name-case class-names-merge
    class-sets-differ coco-annotation coco-annotations coco-area coco-categories-differ coco-category coco-image
    coco-panoptic coco-top-key cvat-element cvat-shape cvat-video dataset-unchecked datumaro-annotation
    datumaro-item description-unread descriptions-differ dota-line exif-boxes-as-seen exif-boxes-mixed exif-fields
    extension-case fields-lost files-beside-pictures folders-left-out image-alpha image-cmyk image-corrupt
    image-empty image-exif-rotation image-format image-grayscale image-name image-size image-truncated image-twice
    image-undecodable image-without-label image-without-mask image-wrong-extension images-without-labels json-syntax
    kitti-columns kitti-number label-blank-line label-bom label-columns label-crlf label-missing label-not-a-number
    label-not-finite label-occluded label-studio-box label-twice label-unreadable label-without-image labelme-file
    labelme-shape labels-unread link-loop list-line mask-background mask-box mask-mode mask-size mask-value
    mask-without-image mixed-extensions no-boxes no-images no-texts not-checked not-utf8 odvg-grounding
    odvg-instance odvg-line only-predictions outline-corners outline-line picture-ambiguous picture-in-two-subsets
    picture-kind picture-missing picture-turned picture-twice picture-unlisted picture-unreadable picture-unused
    picture-without-boxes pictures-without-labels same-image-in-subsets same-names scripts-left-out several-images
    shape-box shape-left-out similar-image-in-subsets size-differs stem-collision subset-unlabelled table-fractions
    table-row tag-left-out text-line-break text-list-line text-long text-missing text-twice too-deep unreadable
    via-attributes via-one-class via-region voc-number voc-object vott-region wider-face-line word-repeated
    xml-syntax yolo-class yolo-columns yolo-fraction yolo-lists yolo-names yolo-number yolo-subset
"""

OF_PATHS = frozenset(_PATHS.split())
OF_RULES = frozenset(_RULES.split())
"""What a spec says against the data that it names."""
OF_WEIGHTS = frozenset(
    ["backbone-differs", "checkpoint-missing", "checkpoint-torn", "pretrained-missing", "pretrained-unnamed"]
)
OF_DATASETS = frozenset(_DATASETS.split())
"""What the check of a dataset finds in its files."""
FORCEABLE = OF_PATHS | OF_RULES | OF_WEIGHTS | OF_DATASETS


def stops(findings: Iterable[Finding], *, is_forced: bool) -> bool:
    """Whether one of the findings keeps the action from starting."""
    return any(one.is_error and not (is_forced and one.code in FORCEABLE) for one in findings)


def passed(findings: Iterable[Finding]) -> tuple[str, ...]:
    """The codes of the errors that ``--force`` passes, each once."""
    return tuple(sorted({one.code for one in findings if one.is_error and one.code in FORCEABLE}))
