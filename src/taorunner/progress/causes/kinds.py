"""What an exception without a row of its own usually means, by its kind.

They reword: a row that knows the exception explains more. ``CALLS`` says more than the part of the run (``where``), the
others say less.
"""

from __future__ import annotations

from taorunner.progress.causes.cause import Cause, Weight, row

_IN_TRACEBACK = r'File "'
_CONFIG = r"(?:experiment_config|experiment_spec|\w{0,20}c(?:on)?fi?g|\w{0,20}spec)"

CALLS: tuple[Cause, ...] = (
    row(
        "class-beyond-list",
        "IndexError: list|KeyError: ",
        r"^(?P<what>IndexError: list index out of range|KeyError: \d{1,9})$",
        "most likely a class number is beyond the list of classes: {what}",
        "compare the class numbers of the labels with num_classes, the class names and the class mapping of "
        "the spec",
        weight=Weight.GENERAL,
        frame=r"\n[^\n]{0,200}(?:[Cc]lass|names|categor|cats)\w{0,24}\[",
    ),
    row(
        "calls-do-not-fit",
        "TypeError: |ImportError: |NameError: ",
        r"^(?P<what>TypeError: [\w.<>]{1,100}\(\) (?:got an unexpected keyword argument|got multiple values for"
        r"|missing \d{1,3} required|takes [\w ]{1,40} but)[^\n]{0,200}|(?:Import|Name)Error: [^\n]{1,240})",
        "two parts of the code do not fit together: {what}",
        'most often packages of the image: use another "release"; an argument that is missing can also be '
        "something "
        "that the spec or the annotations lack",
        weight=Weight.GENERAL,
        frame=_IN_TRACEBACK,
    ),
    row(
        "compiled-code-failed",
        "SystemError: ",
        r"^(?P<what>SystemError: [^\n]{1,240})",
        "a compiled package of the image failed: {what}",
        'try it once again; if it comes again, use another "release"',
        weight=Weight.GENERAL,
        frame=_IN_TRACEBACK,
    ),
    row(
        "program-failed",
        "CalledProcessError: ",
        r"CalledProcessError: (?P<what>Command [^\n]{1,200} (?:returned non-zero exit status|died "
        r"with)[^\n]{1,60})",
        "a program that the run called failed: {what}",
        "what it printed itself is before the traceback in the log",
        weight=Weight.GENERAL,
    ),
)

KINDS: tuple[Cause, ...] = (
    row(
        "value-is-none",
        "NoneType",
        r"^(?P<what>(?:Type|Attribute|Value)Error: [^\n]{0,160}\bNoneType\b[^\n]{0,80})",
        'a value is missing (None), "{path}" of the spec: {what}',
        "set that key of the spec, as in NVIDIA's example",
        weight=Weight.GENERAL,
        frame=r"\n[^\n]{0,120}\b"
        + _CONFIG
        + r"(?P<path>(?:\.(?!(?:get|items|keys|values|pop|copy)\b)[A-Za-z_]\w{0,60}|\[['\"]\w{1,60}['\"]\]){1,6})",
    ),
    row(
        "value-is-none",
        "NoneType",
        r"^(?P<what>(?:Type|Attribute|Value)Error: [^\n]{0,160}\bNoneType\b[^\n]{0,80})",
        "a value is missing (None): {what}",
        "most often a key of the spec is empty, or a file of the data was not found or not read: check both",
        weight=Weight.GENERAL,
        frame=_IN_TRACEBACK,
    ),
    row(
        "name-missing",
        "KeyError: ",
        r"^(?P<what>KeyError: ['\"]?[^'\"\n]{1,80}['\"]?)$",
        "a name was looked up that is not there: {what}",
        "look for it in the spec, in the names of the classes, in the annotations and in the checkpoint",
        weight=Weight.GENERAL,
        frame=_IN_TRACEBACK,
    ),
    row(
        "list-too-short",
        "index out of range",
        r"^(?P<what>IndexError: [\w ]{1,30} index out of range)",
        "a list holds fewer entries than the code expects: {what}",
        "compare the lists of the spec (classes, sizes, GPUs) and the lines of the labels with NVIDIA's "
        "example",
        weight=Weight.GENERAL,
        frame=_IN_TRACEBACK,
    ),
    row(
        "parts-do-not-fit",
        "values to unpack",
        r"^(?P<what>ValueError: (?:too many|not enough) values to unpack \([\w ,]{1,40}\))",
        "a list or a shape has another number of parts than the code expects: {what}",
        "compare the lists of the spec, the columns of the labels, and the channels of images and masks "
        "(masks: one)",
        weight=Weight.GENERAL,
        frame=_IN_TRACEBACK,
    ),
    row(
        "sizes-do-not-fit",
        "shape|size|dimension",
        r"^(?P<what>(?:RuntimeError|ValueError|tensorflow[\w.]{1,80}Error): [^\n]{0,160}\b(?:shapes?|sizes?"
        r"|dimensions?)\b[^\n]{0,120})",
        "sizes in the model do not fit together: {what}",
        "compare input size, number of classes and weights of the spec with the training and with NVIDIA's "
        "example; if they "
        'are the same, packages of the image do not fit together: use another "release"',
        weight=Weight.GENERAL,
        frame=_IN_TRACEBACK,
    ),
    row(
        "not-provided",
        "NotImplementedError: ",
        r"^NotImplementedError: (?P<what>[^\n]{1,240})",
        "this code does not provide it: {what}",
        'set another value of what it names in the spec; else use another "release"',
        weight=Weight.GENERAL,
        frame=_IN_TRACEBACK,
    ),
    row(
        "process-not-started",
        "Error: ",
        r"^(?P<what>(?:[A-Za-z_]\w{0,80}\.){0,8}\w{1,60}Error: [^\n]{1,240})",
        "a child process of the run could not be started: {what}",
        "use fewer loader workers (0 for none) or one GPU",
        weight=Weight.GENERAL,
        frame=r"multiprocessing/(?:popen_\w{1,20}|spawn|util|context|process|forkserver)\.py",
    ),
    row(
        "code-stopped",
        "Error: |Exception: ",
        r"^(?P<what>(?:[A-Za-z_]\w{0,80}\.){0,8}(?:(?!Type|Attribute|Key|Index|Name|UnboundLocal)\w{1,60}Error"
        r"|\w{0,60}Exception): [^\n]{1,280})",
        "the code stopped at a check: {what}",
        "if it names a value of the spec or something of the dataset, correct that; if neither, packages of "
        "the image do not "
        'fit together: use another "release"',
        weight=Weight.GENERAL,
        frame=r"\n *raise ",
    ),
    row(
        "part-lacks-name",
        "object has no attribute",
        r"^AttributeError: '(?P<what>(?:[\w.]{1,80}\.)?[A-Z]\w{1,80}' object has no attribute '\w{1,80}')",
        "the code asks a part of the model or a package for a name that it does not have: '{what}",
        'most often packages of the image do not fit together: use another "release"; a wrong model, '
        "backbone or checkpoint in "
        "the spec can do it, too",
        weight=Weight.GENERAL,
        frame=_IN_TRACEBACK,
    ),
    row(
        "form-does-not-fit",
        "TypeError: |AttributeError: ",
        r"^(?P<what>(?:Type|Attribute)Error: [^\n]{1,240})",
        "the code got something in another form than it expects: {what}",
        "most often a value of the spec, or data of another kind; if neither, packages of the image do not fit "
        'together: use another "release"',
        weight=Weight.GENERAL,
        frame=_IN_TRACEBACK,
    ),
    row(
        "operation-failed",
        "RuntimeError: |Error: ",
        r"^(?P<what>(?:torch\.\w{1,20}\.)?\w{0,20}Error: [^\n]{1,260})",
        "PyTorch could not carry out an operation of the model: {what}",
        "compare sizes, classes and precision in the spec with NVIDIA's example, and the data with what the "
        "network reads; "
        'if both are right, use another "release"',
        weight=Weight.GENERAL,
        frame=r'File "[^"\n]{0,300}/(?:torch|torchvision)/',
    ),
)
