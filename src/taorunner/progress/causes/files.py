"""Causes in files and folders of the container: missing, existing, unreadable or not writable."""

from __future__ import annotations

from taorunner.progress.causes.cause import BARE_PATH, QUOTED_PATH, Cause, Weight, row

_MISSING_AFTER = (
    r"(?P<path>/[^\s'\"]{{0,300}}\.(?:{ends}))['\"]? {{0,2}}(?:(?:does not|doesn't) exist|(?:was )?not found)"
)
_MISSING_BEFORE = (
    r"(?:[Nn]o such file[^\n/]{{0,30}}|not found[^\n/]{{0,20}}|not exist[^\n/]{{0,20}})"
    r"(?P<bare>/[^\s'\"]{{0,300}}\.(?:{ends}))(?![\w.])"
)

FILES: tuple[Cause, ...] = (
    row(
        "read-only-data",
        "ead-only file system",
        rf"[Rr]ead-only file system(?:[:;]? {QUOTED_PATH})?",
        "the run tried to write to a folder that is mounted read-only:{on_path}",
        "where the network needs to write into data/, name the mounts yourself in .tao_mounts.json",
    ),
    row(
        "file-locked",
        "unable to lock file",
        r"unable to lock file",
        "a data file is locked by another process, or its file system has no locks",
        'end the other process, or set HDF5_USE_FILE_LOCKING=FALSE in "env"',
    ),
    row(
        "export-exists",
        "already exist",
        r"(?P<path>/[^\s'\";,()]{1,300}\.(?:onnx|etlt|uff|engine|plan|trt|tlt"
        r"|hdf5)[\w.]{0,40})['\"]? {1,2}already exists?",
        'the file "{path}" already exists and TAO does not overwrite it',
        "use --overwrite, or another name for the exported model",
    ),
    row(
        "export-exists",
        "already exist",
        r"(?:[Oo]utput|[Ee]xport|onnx|ONNX|etlt|engine)[^\n]{0,200} already exists?(?:[.:!]{0,2} "
        r"(?P<path>/[^\s'\"]{1,300}))?",
        "the exported file already exists and TAO does not overwrite it{of_path}",
        "use --overwrite, or another name for the exported model",
    ),
    row(
        "file-exists",
        "File exists",
        r"File exists: " + QUOTED_PATH,
        '"{path}" already exists, from an earlier run',
        "start it again with --overwrite, which sets the earlier results aside",
    ),
    row(
        "working-directory",
        "ermission denied|Errno 13",
        r"[Pp]ermission denied[:;]? ['\"](?P<path>[^/'\"\n][^'\"\n]{0,200})['\"]",
        'permission denied on "{path}": the network writes into its working directory',
        'the container\'s user may not write there: set "user", or name an absolute path in the spec',
    ),
    row(
        "permission-denied",
        "ermission denied|Errno 13",
        r"[Pp]ermission denied(?:[:;]? " + QUOTED_PATH + r")?|" + BARE_PATH + r"[;:] Permission denied",
        "permission denied{on_path}",
        "check owner and mode of the folder (with SELinux also its label): the container runs as you, "
        "not as root",
    ),
    row(
        "not-converted",
        "o such file|oes not exist|ot found",
        r"(?P<path>[^\s'\"]{1,300}/(?:(?:\w{1,40}_)?(?:db)?infos_\w{1,40}\.pkl|anchor_init\.npy|data\.mdb))"
        r"|lmdb\.Error: (?P<bare>/[^\s:]{1,300}): No such file",
        'there is no "{path}" inside the container, which dataset_convert makes',
        "run dataset_convert first; check the path in the spec and the mounts",
    ),
    row(
        "engine-missing",
        "o such file|oes not exist|oesn't exist|ot found",
        rf"{_MISSING_AFTER.format(ends='engine|trt|plan')}|{_MISSING_BEFORE.format(ends='engine|trt|plan')}",
        'there is no TensorRT engine "{path}" inside the container',
        "gen_trt_engine makes it; check the path of the engine in the spec and the mounts",
    ),
    row(
        "onnx-missing",
        "o such file|oes not exist|oesn't exist|ot found",
        rf"{_MISSING_AFTER.format(ends='onnx|etlt|uff')}|{_MISSING_BEFORE.format(ends='onnx|etlt|uff')}",
        'there is no exported model "{path}" inside the container',
        "export makes it; check the path in the spec and the mounts",
    ),
    row(
        "class-map-missing",
        "lass map|lassmap|abel map|abelmap|label_map|class_map",
        r"(?:[Cc]lass ?map|[Ll]abel ?map|label_map|class_map)[^\n]{0,60}?(?P<path>/[^\s'\"]{1,300}) (?:does "
        r"not exist|not found)",
        'the file of class names "{path}" is missing inside the container',
        "check its path in the spec (or on the command line) and the mounts; one name a line",
    ),
    row(
        "line-endings",
        "No such file or directory",
        r"No such file or directory: ['\"](?P<path>[^'\"\n]{1,300}?)\\r['\"]",
        'a list of files has Windows line endings, so a carriage return is taken as part of "{path}"',
        "save the list with Unix line endings (dos2unix)",
    ),
    row(
        "missing-file",
        "No such file or directory",
        r"No such file or directory[:;]? {0,2}(?:\[?b?" + QUOTED_PATH + r"|" + BARE_PATH + r")",
        'there is no "{path}" inside the container',
        "check the path in the spec and the mounts",
    ),
    row(
        "missing-file",
        "o such file|oes not exist|oesn't exist|ot found|annot find|ould not find|Unable to open"
        "|is not available",
        BARE_PATH
        + r"['\"]? {0,2}(?:[;:] No such file|(?:does not|doesn't) exist|(?:was )?not found|is not available)",
        'there is no "{path}" inside the container',
        "check the path in the spec and the mounts",
    ),
    row(
        "missing-file",
        "o such file|oes not exist|oesn't exist|ot found|annot find|ould not find|not a valid|ailed to find|"
        "ailed to locate",
        r"(?:not exist|n't exist|not found|[Cc](?:annot|ould not|an't) find(?: [a-z]{1,20}){0,4}"
        r"|[Ff]ailed to (?:find|locate)(?: [a-z]{1,20}){0,5}"
        r"|NotFoundError|not a valid (?:file|path|directory))"
        r"[^/\n{}]{0,40}" + BARE_PATH,
        'there is no "{path}" inside the container',
        "check the path in the spec and the mounts",
    ),
    row(
        "missing-file",
        "errno = 2,",
        r"name = '(?P<path>/[^'\n]{1,300})'[^\n]{0,20}errno = 2,",
        'there is no "{path}" inside the container',
        "check the path in the spec and the mounts",
    ),
    row(
        "missing-file",
        "FileNotFoundError: ",
        r"^FileNotFoundError: [^\n]{0,120}?(?P<path>(?<![\w./-])[\w][\w.@-]{0,80}(?:/[\w.@-]{1,80}){1,12}"
        r"|(?<![\w./-])[\w-]{1,80}\.[a-z]\w{1,7}(?![\w/]))",
        'there is no "{path}" inside the container',
        "a path without a / in front is looked for in the working directory: name the whole path in the spec",
    ),
    row(
        "part-is-a-file",
        "Not a directory",
        r"Not a directory: " + QUOTED_PATH,
        'a part of the path "{path}" is a file, not a folder',
        "correct the path in the spec",
    ),
    row(
        "links-not-possible",
        "Errno ",
        r"\[Errno (?:1|18|38|95)\] (?P<what>[^:\n]{1,60}): '[^'\n]{1,200}' -> '(?P<path>[^'\n]{1,300})'",
        'the disk of the results cannot hold the link "{path}": {what}',
        "some network and USB disks have no links: point the mounts at another disk",
    ),
    row(
        "locks-not-possible",
        "o locks available",
        r"[Nn]o locks available",
        "a file could not be locked: its file system has no locks",
        "keep caches and results on a local disk (HF_HOME and the mounts), or enable locking on the file server",
    ),
    row(
        "links-in-a-circle",
        "levels of symbolic links",
        r"[Tt]oo many levels of symbolic links(?:: " + QUOTED_PATH + ")?",
        "links that point at each other lead nowhere{of_path}",
        "remove or correct the link; links must lead to places below the mounts",
    ),
    row(
        "file-system-refused",
        "Errno ",
        r"\[Errno (?!(?:2|13|32|98|99|10[1-9]|11[0-5])\])\d{1,3}\] (?P<what>[^:\n]{1,60})(?:: "
        r"'(?P<path>[^'\n]{1,300})')?",
        "the file system refused an operation: {what}{on_path}",
        "see with `df -T` what kind of disk it is; network disks and FAT allow less than a local disk: point "
        "the mounts at one",
        weight=Weight.GENERAL,
    ),
    row(
        "spec-validation",
        "Spec file validation failed|Schema validation error",
        r"Spec file validation failed\.?(?: Quitting\.?)?(?:\n\s{0,20}(?P<what>[\w.]{1,100} [^\n]{1,200}))?"
        r"|Schema validation error(?:: (?P<path>[^\n]{1,200}))?",
        "TAO rejected the spec: {what}{path}",
        "correct the field that is named; `taorunner validate` checks the rest",
    ),
    row(
        "missing-file",
        "AssertionError: assert ",
        r"AssertionError: assert (?P<what>(?:os\.path\.|osp\.)?(?:exists|isfile|isdir)\([^\n]{1,100}\)"
        r"|[\w.\[\]'\"()/ ]{1,100}?\.(?:exists|is_file|is_dir)\(\))",
        "a file that the code needs does not exist: {what}",
        "check the paths in the spec and the mounts; of a dataset, `taorunner dataset check` names what is missing",
    ),
    row(
        "assertion",
        "AssertionError",
        r"AssertionError: (?P<what>[^\n]{1,300})",
        "a check in the code failed: {what}",
        "correct what it names: a value of the spec, the dataset or the command line; if it names none of "
        "them, "
        'packages of the image do not fit together: use another "release"',
        weight=Weight.GENERAL,
        frame=r"(?:dist|site)-packages/(?!nvidia_tao|omegaconf|hydra)",
    ),
    row(
        "assertion",
        "AssertionError",
        r"AssertionError: (?P<what>[^\n]{1,300})",
        "TAO's check failed: {what}",
        "correct what it names: a value of the spec, the dataset or the command line",
        weight=Weight.GENERAL,
    ),
    row(
        "refused-by-tao",
        "Error: |Exception: ",
        r"^(?:[A-Za-z_]\w{0,80}\.){0,8}\w{1,60}(?:Error|Exception): (?P<what>[^\n]{1,300})",
        "TAO refused the run: {what}",
        "correct what it names: a value of the spec, the dataset or the command line",
        weight=Weight.GENERAL,
        frame=r"nvidia_tao\w{0,20}/[^\n]{1,200}\n *raise ",
    ),
)
