"""Causes in datasets: images, labels, annotations, records, classes; and a loss that became NaN."""

from __future__ import annotations

from taorunner.progress.causes.cause import BARE_PATH, QUOTED_PATH, Cause, row

_CHECK = "`taorunner dataset check` looks at the dataset itself"
_LOADER = r"data|load|coco|odvg|annot|market|kitti|convert|transform|augment|reader|pipeline|__getitem__"

_DRAWN = r"imshow|plot|visuali|draw_"

DATA: tuple[Cause, ...] = (
    row(
        "label-list-columns",
        "not enough values to unpack",
        r"(?P<what>not enough values to unpack \(expected 2, got 1\))",
        "a line of the list of labels does not have two columns: {what}",
        "put a tab between the image and its text in each line of the list (gt_file)",
        frame=r"createDataset|ocrnet",
    ),
    row(
        "image-too-large",
        "ecompressionBomb|ecompression bomb",
        r"DecompressionBomb|decompression bomb",
        "an image is larger than the limit of the image library",
        "make it smaller; `taorunner dataset resize` does so for all",
    ),
    row(
        "unreadable-image",
        "identify image file|mage file is truncated|orrupted image|oading image|roken data stream|runcated "
        "File Read|broken PNG|unexpected end of data|load image|got unknown format|got empty file|nknown "
        "image file format|nvalid JPEG|jpeg::Uncompress|nvalid PNG|Error reading image|read image|open image",
        r"(?:cannot identify image file|[Cc]orrupted image:?|[Ee]rror (?:loading|reading|opening) image:?"
        r"|(?:[Cc]annot|[Cc]an't|[Cc]ould not|[Ff]ailed to|[Uu]nable to) (?:read|open|load"
        r"|decode) (?:the )?image:?(?: file)?:?)"
        r" ?['\"]?(?P<bare>/[^'\"\n:]{1,300})?"
        r"|[Cc]ould not load image:? ?(?P<path>/[^\s'\"]{1,300})?|broken PNG file|got empty file"
        r"|got unknown format starting with|image file is truncated|broken data stream|Truncated File Read"
        r"|[Uu]nknown image file format"
        r"|Invalid (?:JPEG|PNG) data|jpeg::Uncompress failed",
        "an image cannot be read{of_path}",
        "replace or remove it; `taorunner dataset check --deep` finds all such images",
    ),
    row(
        "image-without-size",
        "dsize.empty()|inv_scale_x",
        r"!\s?dsize\.empty\(\)|inv_scale_x > 0",
        "an image would be resized to nothing: it is too narrow, or the size in the spec is 0",
        "compare the sizes in the spec with the images; `taorunner dataset check` names very small ones",
    ),
    row(
        "image-missing",
        ".empty()|ssize",
        r"Assertion failed\) !\s?\w{1,20}\.empty\(\)|ssize\.(?:width|area\(\)) ?> ?0",
        "an image is missing or cannot be read",
        "check the image paths of the dataset; `taorunner dataset check --deep` reads every image",
    ),
    row(
        "image-missing",
        "has no attribute 'shape'",
        r"'NoneType' object has no attribute 'shape'",
        "an image is missing or cannot be read",
        "check the image paths of the dataset; `taorunner dataset check --deep` reads every image",
        frame=_LOADER,
    ),
    row(
        "masks-and-images",
        "images and masks|images and labels|masks and images",
        r"[Nn]umber of (?:images and (?:masks|labels)|masks and images)",
        "a split of the dataset has images without masks, or masks without images",
        "make both folders agree, a mask for each image; `taorunner dataset check` names them",
    ),
    row(
        "images-of-unequal-size",
        "stack expects each tensor to be equal size",
        r"stack expects each tensor to be equal size, but got \[(?P<what>\d{1,9}(?:, \d{1,9}){2,5})\] at "
        r"entry 0",
        "images of one batch have different sizes, the first one {what}",
        "`taorunner dataset resize` gives all of them one size",
    ),
    row(
        "image-channels",
        "to have 3 channels|to have 1 channels",
        r"expected input\[[\d, ]{1,40}\] to have (?P<what>\d{1,3} channels, but got \d{1,3} channels)",
        "the images have another number of channels than the model: {what}",
        "save all images as RGB, or as greyscale for a model of one channel",
    ),
    row(
        "label-missing",
        "annot find label file",
        r"[Cc]annot find label file for image: ?(?P<bare>/\S{1,300})",
        "an image has no label file{of_path}",
        "add its label file or remove the image; `taorunner dataset check` names all such images",
    ),
    row(
        "box-without-area",
        "positive height and width",
        r"positive height and width(?:\. Found invalid box (?P<what>\[[^\]\n]{1,80}\]))?",
        "a box of the annotations has no area: {what}",
        "`taorunner dataset check` names such boxes and their images, `--fix` removes them",
    ),
    row(
        "box-without-area",
        "empty 'bbox' value",
        r"annotation of image (?P<what>\S{1,60}) contains empty 'bbox' value",
        'an annotation of image {what} has an empty "bbox"',
        "`taorunner dataset check` names such boxes and their images, `--fix` removes them",
    ),
    row(
        "table-column",
        "KeyError: |expected but not found",
        r"KeyError: (?:'|\"\['|\"None of \[Index\(\['|\"Index\(\[')(?P<what>[^'\n]{1,80})'"
        r"|columns expected but not found: \['(?P<path>[^'\n]{1,80})'",
        'a table (CSV) of the dataset lacks the column "{what}{path}"',
        "its first line must name the columns as the network reads them (`taorunner networks HEAD` shows them)",
        frame=r"pandas/(?:core|io)/|read_csv",
    ),
    row(
        "character-unknown",
        "KeyError: '",
        r"KeyError: '(?P<what>[^'\n]{1,4})'",
        'the labels hold a character that is not in the list of characters: "{what}"',
        "add it to the list (dataset.character_list_file), one character a line",
        frame=r"ocrnet/",
    ),
    row(
        "label-columns",
        "15 fields|kitti label|KITTI label",
        r"(?:only |exactly )?15 fields",
        "a line of a label file does not have KITTI's 15 columns",
        "`taorunner dataset check --fix` shows and corrects such label lines",
    ),
    row(
        "label-number",
        "invalid literal for int|could not convert string to float",
        r"(?:invalid literal for int\(\) with base 10"
        r"|could not convert string to float): '(?P<what>[^'\n]{0,80})'",
        'a column of a label file holds "{what}", where a number is expected',
        "`taorunner dataset check --fix` shows and corrects such label lines (occluded must be a whole number)",
        frame=r"kitti|dataio|label|convert|yolo|annot|parse|coco",
    ),
    row(
        "class-mapping",
        "KeyError: '",
        r"KeyError: '(?P<what>[^'\n]{1,80})'",
        'the class "{what}" is not named everywhere in the spec',
        "make target_class_mapping, cost_function_config and the label filters name the same classes",
        frame=r"detectnet_v2/(?:objectives|cost_function|rasterizers|postprocessor|evaluation|label_filter)",
    ),
    row(
        "not-panoptic",
        "segments_info",
        r"KeyError: 'segments_info'",
        'the annotations are not panoptic: they lack "segments_info"',
        "give a panoptic annotations file, or set model.mode to what the data are",
    ),
    row(
        "annotation-key",
        "KeyError: '",
        r"KeyError: '(?P<what>categories|annotations|images?|bbox|area|iscrowd|category_id|image_id|file_name"
        r"|height|width|id|segmentation|keypoints|num_keypoints|name|label|labels|caption|phrases?|detection"
        r"|grounding|regions|instances|filename|shapes|supercategory|isthing|score)'",
        'the annotations lack "{what}"',
        "`taorunner dataset check` looks at the annotations file; `taorunner dataset convert --to coco` "
        "makes one",
        frame=_LOADER,
    ),
    row(
        "annotation-format",
        "annotation file format",
        r"annotation file format (?P<what>[^\n]{1,60}) not supported",
        "the annotations file is not COCO: {what}",
        "`taorunner dataset convert --to coco` makes such a dataset",
    ),
    row(
        "other-annotations",
        "o not correspond to current coco set",
        r"[Rr]esults do not correspond to current coco set",
        "the predictions name images that the annotations do not have",
        "use the images and the annotations of the same split of the dataset",
    ),
    row(
        "json",
        "JSONDecodeError|delimiter: line|Expecting value: line|Extra data: line|property name enclosed"
        "|nterminated string starting",
        r"(?:JSONDecodeError: )?(?P<what>(?:Expecting [^\n]{1,60}|Extra data|Unterminated string starting at"
        r"|Invalid control character at"
        r"|Invalid \\\w{0,6}[^\n]{0,20}escape): line \d{1,9} column \d{1,12})|JSONDecodeError",
        "a JSON file is not valid: {what}",
        "most often an annotations file: export it again; `taorunner dataset check` names file and place",
    ),
    row(
        "archive-damaged",
        "tarfile.ReadError|zipfile.",
        r"tarfile\.(?:ReadError|\w{1,20}HeaderError): (?P<what>[^\n]{1,100})",
        "an archive is cut off or damaged: {what}",
        "download or pack it again; compare its size with the original",
    ),
    row(
        "lmdb",
        "lmdb.",
        r"lmdb\.\w{1,30}Error: (?![^\n]{0,200}(?:Read-only|ermission))(?P<what>mdb_\w{1,30}: [^\n]{1,100}"
        r"|[^\n/]{1,100}$)",
        "the LMDB of the dataset cannot be used: {what}",
        "make it again with dataset_convert, into an empty folder on a disk of this machine",
    ),
    row(
        "lmdb",
        "NoneType'",
        r"(?P<what>(?:int\(\) argument must be|a bytes-like object is required)[^\n]{0,100}'NoneType')",
        "the LMDB of the dataset lacks entries: {what}",
        "make it again with dataset_convert, into an empty folder, from images that can be read",
        frame=r"txn\.get|imgbuf|lmdb",
    ),
    row(
        "archive-as-folder",
        "ot a directory",
        r"Not a directory: '(?P<path>[^'\n]{1,300}?\.(?:tar|tgz|gz|zip|7z|bz2|xz))/",
        'the spec names an archive as a folder: "{path}"',
        "unpack the archive, and name the folder with the images",
    ),
    row(
        "archive-as-text",
        "byte 0x8b in position 1",
        r"byte 0x8b in position 1\b",
        "a gzip archive is read as text: the spec names an archive where a list or a folder is expected",
        "unpack the archive, and name the folder or the list in it",
    ),
    row(
        "text-encoding",
        "codec can't encode",
        r"(?P<what>'[\w-]{1,20}' codec can't encode characters? [^\n]{1,60})",
        "the container cannot write letters beyond ASCII: {what}",
        'set LC_ALL to C.UTF-8 and PYTHONIOENCODING to utf-8 in "env", or use plain names',
    ),
    row(
        "text-encoding",
        "codec can't decode",
        r"(?P<what>'[\w-]{1,20}' codec can't decode byte \w{1,6} in position \d{1,12})",
        "a text file has another encoding: {what}",
        "most often a label or annotations file: save it as UTF-8; `taorunner dataset check` names it",
    ),
    row(
        "no-images",
        "No valid image|o images found|o images were found|o image found|found 0 images|Found 0 images"
        "|Found 0 files|no valid file"
        "|any class folder",
        r"No valid images? (?:with|found|in)|[Nn]o images? (?:were |was )?found|[Ff]ound 0 (?:images|files)"
        r"|[Ff]ound no valid file for the classes (?P<what>[^\n]{1,100}?)\. |[Cc]ouldn't find any class folder",
        "the dataset has no samples that can be used: no image was found {what}",
        "check image_dir and the other data paths of the spec, the mounts and the images' extensions",
    ),
    row(
        "no-samples",
        "num_samples=0|o training samples|dataset is empty|Dataset is empty|Sequence has length 0"
        "|empty range |No valid data found|No samples found|o samples|irectory is empty|older is empty",
        r"num_samples=0|[Nn]o training samples|[Dd]ataset is empty|the Sequence has length 0"
        r"|empty range (?:for|in) randrange(?!(?:\(\) )?\(-?\d{1,9}, -)|No valid data found|No samples "
        r"(?:were )?found"
        r"|(?P<what>\w{0,30} ?(?:[Dd]irectory|[Ff]older) is empty)",
        "the dataset has no samples that can be used: {what}",
        "check the data paths of the spec; " + _CHECK,
    ),
    row(
        "no-samples",
        "at least one array|non-empty TensorList|empty sequence|empty iterable",
        r"need at least one array to (?:stack|concatenate)|expects a non-empty TensorList"
        r"|arg is an empty sequence"
        r"|empty iterable argument",
        "the dataset has no samples that can be used",
        "check the data paths of the spec; " + _CHECK,
        frame=_LOADER,
    ),
    row(
        "folder-among-records",
        "s a directory",
        r"FailedPreconditionError[^\n/]{0,60}(?P<bare>/[^\s'\";:,()]{1,300}); Is a directory",
        'the pattern of the records matches a folder: "{path}"',
        "remove that folder, or narrow tfrecords_path",
    ),
    row(
        "folder-for-file",
        "s a directory|errno = 21",
        r"[Ii]s a directory[:;]? ?"
        + QUOTED_PATH
        + r"|(?:file)?name = '(?P<bare>/[^'\n]{1,300})'[^\n]{0,80}errno = 21"
        r"|errno = 21\b|; Is a directory",
        "the spec names a folder where a file is expected{of_path}",
        "name the file in it (.json, .hdf5, .h5, .pth, …)",
    ),
    row(
        "batch-larger-than-data",
        "StopIteration",
        r"^(?:RuntimeError: generator raised )?StopIteration$",
        "the data ended at once: the dataset is empty, or has fewer samples than one batch",
        "use a smaller batch size{batch_key}, and check the data paths of the spec",
        frame=r"load|data|runner|iter|train|loop",
    ),
    row(
        "no-such-fold",
        "tfrecords for fold",
        r"[Cc]annot find (?:val|train\w{0,4}) tfrecords for fold (?P<what>\d{1,6})",
        "the records were made without the validation fold {what}",
        "set validation_fold to one that exists, or convert again with another num_partitions or val_split",
    ),
    row(
        "no-records",
        "frecord|FRecord|TFRECORD",
        r"(?:[Nn]o (?:valid )?tfrecords? files?(?: found| match)?|[Nn]o TFRecords?)(?:[^/\n]{0,40}"
        + BARE_PATH
        + r")?",
        "there are no TFRecords{of_path}",
        "run dataset_convert, and check tfrecords_path and the mounts",
    ),
    row(
        "damaged-records",
        "DataLossError|orrupted record|runcated record",
        r"DataLossError|[Cc]orrupted record at|[Tt]runcated record at",
        "a file that is read as TFRecords is damaged, or has another format",
        "run dataset_convert again into an empty folder; narrow tfrecords_path to the records",
    ),
    row(
        "other-records",
        "is required but could not be found|parse serialized Example",
        r"Feature: (?P<what>[\w/]{1,100}) \([^)\n]{1,60}\) is required but could not be found"
        r"|[Cc](?:ould not|an't|annot) parse serialized Example",
        "the TFRecords were made for another network or release: {what}",
        "run dataset_convert of this network into an empty folder",
    ),
    row(
        "too-few-queries",
        "out of bounds",
        r"index (?P<what>\d{1,9}) is out of bounds for dimension 0",
        "an image has more objects than the model has queries ({what})",
        "raise model.num_queries, and keep model.num_select below it",
        frame=r"grounding_dino/model/\w{0,20}criterion",
    ),
    row(
        "too-few-detections",
        "out of bounds",
        r"index \d{1,9} is out of bounds for axis 0 with size (?P<what>\d{1,9})",
        "TAO Deploy evaluates 100 detections per image, and the model gives only {what}",
        "set model.num_select to 100 or more, not above num_queries x num_classes",
        frame=r"nvidia_tao_deploy/[^\n]{0,80}evaluat",
    ),
    row(
        "batch-smaller-than-shown",
        "out of bounds",
        r"(?P<what>index \d{1,9} is out of bounds for (?:dimension|axis) 0 with size \d{1,9})",
        "a batch has fewer images than are to be drawn: {what}",
        "use a larger batch size{batch_key}, one that divides the number of samples",
        frame=_DRAWN,
    ),
    row(
        "class-number",
        "out of bounds|not contig|outside the valid range|Class values must be|is not in [0",
        r"(?P<what>Target -?\d{1,9} is out of bounds|indices\[[\d,]{1,30}\] = -?\d{1,9} is not in \[0, "
        r"?[1-9]\d{0,8}\)"
        r"|index \d{1,9} is out of bounds for (?:dimension|axis) \d{1,3} with size \d{1,9}"
        r"|class ids are not contig\w{1,5}|label value of -?\d{1,9} which is outside the valid range"
        r"|Class values must be (?:smaller|non-negative)[^\n]{0,60})",
        "most likely a class number is beyond num_classes: {what}",
        "set num_classes to what the dataset has (largest class number + 1);"
        " COCO's own ids: remap_mscoco_category: true",
    ),
    row(
        "class-count",
        "umber of classes|to have shape|are incompatible|labels_size|same first dimension",
        r"(?P<what>[Nn]umber of classes[^\n]{0,120}(?:doesn't|does not|do not|don't) match[^\n]{0,60}"
        r"|expected [\w-]{1,60} to have shape \(\d{1,6},\) but got array with shape \(\d{1,6},\)"
        r"|got logits shape \[[\d,]{1,30}\] and labels shape \[[\d,]{1,30}\]"
        r"|logits_size=\[\d{1,9},\d{1,9}\] labels_size=\[\d{1,9},\d{1,9}\]"
        r"|Shapes \(None, \d{1,6}\) and \(None, \d{1,6}\) are incompatible)",
        "data and spec (or weights) have different numbers of classes: {what}",
        "set num_classes to the number of class folders or categories of the dataset, the same in each split",
    ),
    row(
        "tensorflow-data",
        "IteratorGetNext|function_node",
        r"(?:InvalidArgumentError: |\(0\) )(?:Invalid argument: {1,4})?(?:\{\{function_node \w{1,80}\}\} )?"
        r"(?P<what>[^\n]{1,160})"
        r"(?:\n[^\n]{0,200}){0,3}?IteratorGetNext",
        "an image or a record of the data is not as the network expects it: {what}",
        "`taorunner dataset check --deep` names faulty images and boxes; then run dataset_convert again, and "
        "compare "
        "crop and image sizes",
    ),
    row(
        "nan-loss",
        "Invalid loss|oss is nan|oss is NaN|avoid NaN loss|NaN loss|NanLoss|invalid numeric entries"
        "|boxes|non-finite"
        "|cost matrix|contains NaN",
        r"Invalid loss, terminating|[Ll]oss (?:is|became) (?:nan|NaN|inf|non-finite)|To avoid NaN loss"
        r"|NaN loss during training"
        r"|NanLossDuringTraining|matrix contains invalid numeric entries|cost matrix is infeasible"
        r"|assert \(?boxes1?\[[^\n]{1,20}\] >= boxes1?\[|Input (?:X )?contains NaN",
        "the loss became NaN{at_epoch}",
        "use a lower learning rate, and check labels and pretrained weights",
    ),
)
