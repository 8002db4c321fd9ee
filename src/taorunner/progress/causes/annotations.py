"""Causes in annotations: boxes, outlines, masks, ids and the files that hold them."""

from __future__ import annotations

from taorunner.progress.causes.cause import BARE_PATH, Cause, Weight, row

_FIXED = "`taorunner dataset check` names such annotations and their images, `--fix` removes them"
_MASKS = r"metric|iou|eval|loader|dataset|segm|mask|augment|transform|functional"

ANNOTATIONS: tuple[Cause, ...] = (
    row(
        "box-negative",
        "assert (boxes2|assert boxes2",
        r"assert \(?boxes2\[[^\n]{1,20}\] >= boxes2\[",
        "an annotated box has a negative width or height",
        _FIXED,
    ),
    row(
        "box-beyond-image",
        "to be in the range [0.0, 1.0]",
        r"Expected [xy]_m(?:in|ax) for bbox \(?\[?(?P<what>[^)\]\n]{1,120})[^\n]{0,40}"
        r" to be in the range \[0\.0, 1\.0\]",
        "a box reaches beyond its image: {what} (shares of width and height)",
        "`taorunner dataset check` names such boxes and their images, `--fix` cuts them at the border",
    ),
    row(
        "box-without-area",
        "less than or equal to",
        r"(?P<what>[xy]_max is less than or equal to [xy]_min for bbox [^\n]{1,120})",
        "a box of the annotations has no area: {what}",
        _FIXED,
    ),
    row(
        "outline-too-short",
        "Argument 'bb' has incorrect type",
        r"Argument 'bb' has incorrect type",
        "an outline of the annotations has fewer than three points, so that it is read as a box",
        _FIXED,
    ),
    row(
        "outline-unreadable",
        "input type is not supported",
        r"input type is not supported",
        "an outline (segmentation) of the annotations is neither polygons nor RLE",
        "`taorunner dataset check` names the annotation; export the dataset again as polygons",
        frame=r"pycocotools",
    ),
    row(
        "nothing-to-choose-from",
        "an empty sequence|Empty training data|validation_steps",
        r"(?:argmax|argmin) of an empty sequence|(?:max|min)\(\) arg is an empty sequence|Empty training data"
        r"|must specify a value for `validation_steps`",
        "a part of the data is empty: no image, label or class was found where some are expected",
        "check the data paths and the classes of the spec, those of the validation data too; "
        "`taorunner dataset check` looks at images and labels",
        weight=Weight.GENERAL,
    ),
    row(
        "augmentation-order",
        "object has no attribute",
        r"'(?P<what>Tensor|ndarray|Image|(?:Jpeg|Png)ImageFile)' object has no attribute",
        "an augmentation is given an image in another form than it takes ({what})",
        'change the order of the augmentations in the spec, or leave that one out; else use another "release"',
        frame=r"(?:transform|augment)\w{0,40}(?:/[\w/]{1,80})?\.py",
    ),
    row(
        "file-name-form",
        "list index out of range|not enough values|invalid literal for int",
        r"list index out of range|not enough values to unpack|invalid literal for int\(\) with base 10",
        "the name of a file is not of the form that the network expects",
        "rename the files as `taorunner networks` shows for this network; other files do not belong there",
        frame=r"(?:file_?name|fname|img_?name|basename|img_?path)\w{0,20}\)?\.(?:r?split|stem)\b",
    ),
    row(
        "annotation-key",
        "KeyError: '",
        r"KeyError: '(?P<what>info|licenses|[a-z_]{1,40}_info)'",
        'the annotations lack "{what}"',
        "add it to the annotations file, where an empty object is enough",
        frame=r"pycocotools/coco\.py",
    ),
    row(
        "no-object-in-batch",
        "NoneType",
        r"'NoneType' object is not subscriptable",
        "a batch held no annotated object, which this network cannot train on",
        "leave out images without annotations, or use a larger batch size{batch_key}; `taorunner dataset check` counts "
        "them",
        frame=r"\bdn_(?:meta|args|components)\b|denois",
    ),
    row(
        "other-records",
        "KeyError: '",
        r"KeyError: '(?P<what>\w{1,40})'",
        'the converted data (infos, .pkl) were made by another program or release: they lack "{what}"',
        "run dataset_convert of this network again, into an empty folder",
        frame=r"(?:pcdet|mmdet3d|pointpillars|bevfusion|sparse4d)/[\s\S]{0,300}\n[^\n]{0,120}\binfos?\b(?:\[[^\]\n]{1,40}\])?"
        r"\[['\"]",
    ),
    row(
        "nothing-predicted",
        "IndexError: list index out of range",
        r"IndexError: list index out of range",
        "the model predicted nothing at all, so there is nothing to evaluate",
        "most often it was trained too briefly: train longer, lower the score threshold of the spec, and "
        "check the class ids",
        frame=r"in loadRes\b",
    ),
    row(
        "nothing-to-compare",
        "KeyError: 'annotations'",
        r"KeyError: 'annotations'",
        'the annotations, or the predictions that are compared with them, lack "annotations"',
        "`taorunner dataset check` looks at the annotations; if they are there, the model predicted nothing: "
        "train "
        "longer, or lower the score threshold",
        frame=r"in getAnnIds\b",
    ),
    row(
        "no-sample-to-draw",
        "invalid multinomial distribution",
        r"invalid multinomial distribution",
        "no sample can be drawn: no label belongs to a class that the sampling knows",
        "compare the labels (also upper and lower case) with the class names of the spec",
        frame=r"sampler|samples_weight|data",
    ),
    row(
        "table-unreadable",
        "tokenizing data|No columns to parse|ParserError|EmptyDataError",
        r"(?:ParserError|EmptyDataError): (?:Error tokenizing data\. (?:C error: )?)?(?P<what>[^\n]{1,120})",
        "a table (CSV) of the data cannot be read: {what}",
        "give each line as many columns as the first one; commas inside a field need quotes",
    ),
    row(
        "unknown-image-id",
        "KeyError: ",
        r"KeyError: (?P<what>'?[\w.-]{1,60}'?)$",
        "an annotation names the image {what}, which the annotations file does not list",
        "`taorunner dataset check` names such annotations; remove them or add the image",
        frame=r"pycocotools[^\n]{0,80}in (?:loadImgs|<listcomp>|<genexpr>|annToRLE)|self\.imgs\[",
    ),
    row(
        "unknown-category-id",
        "KeyError: ",
        r"KeyError: (?P<what>'?[\w.-]{1,60}'?)$",
        "an annotation has the category {what}, which the annotations file does not list",
        "`taorunner dataset check` names such annotations; correct their category_id or add the category",
        frame=r"cat(?:egory)?_?(?:ids?_?)?(?:to|2)_?\w{0,20}\[|self\.cats\[|category_id|cat2label|cat2cat",
    ),
    row(
        "masks-in-colour",
        "size shape must match input shape|batches of spatial targets supported",
        r"size shape must match input shape\. Input is (?P<what>2D, size is 3)"
        r"|only batches of spatial targets supported[^\n]{0,20} but got targets of (?P<path>(?:size"
        r"|dimension): ?[^\n]{1,40})",
        "the masks have several channels (colours), where one is expected: {what}{path}",
        "save each mask as an image of one channel that holds the index of the class; `taorunner dataset "
        "check` shows "
        "the kind of each mask",
    ),
    row(
        "mask-size",
        "does not match the shape of the indexed tensor|boolean index did not match",
        r"[Ss]hape of the mask (?P<what>\[[\d, ]{1,40}\] at index \d{1,3} does not match the shape of the "
        r"indexed tensor "
        r"\[[\d, ]{1,40}\])|(?P<path>boolean index did not match indexed array[^\n]{1,120})",
        "a mask has another size than its image: {what}{path}",
        "make both equal; `taorunner dataset check` names such pairs",
        frame=_MASKS,
    ),
    row(
        "not-odvg",
        "'detection' / 'grounding' key",
        r"Missing either 'detection' / 'grounding' key",
        'the annotations are not ODVG: a line has neither "detection" nor "grounding"',
        "`taorunner dataset convert --to odvg` makes such a dataset",
    ),
    row(
        "label-empty",
        "mpty label for sample",
        r"[Ee]mpty label for sample (?P<what>[\w.-]{1,80})",
        "the label file of sample {what} is empty",
        "remove that sample or add its boxes; `taorunner dataset check` names all such samples",
    ),
    row(
        "no-labels",
        "No labels found|no labels found|No valid annotations|no valid annotations|No annotations|no "
        "annotations"
        "|nothing to train",
        r"[Nn]o (?:labels|(?:valid )?annotations)(?: were)?(?: found)?\b(?:[^/\n]{0,40}" + BARE_PATH + r")?",
        "no labels were found for the images{of_path}",
        "check the paths of the labels in the spec, and that their names are those of the images",
    ),
    row(
        "xml",
        "ParseError: ",
        r"(?:xml|ElementTree|expat)[\w.]{0,40}(?:ParseError|ExpatError): (?P<what>[^\n]{1,120})",
        "an XML file of the labels is not valid: {what}",
        "export the labels again; `taorunner dataset check` names the file",
    ),
)
