"""What the errors of TensorFlow and Keras mean, by class and message.

Source: tensorflow/python/framework/errors_impl.py (the classes), the messages of TensorFlow 1.15 to 2.16 and Keras.
"""

from __future__ import annotations

from taorunner.progress.causes.cause import Cause, Weight, row

_KERAS = r'File "[^"\n]{0,300}/(?:tensorflow\w{0,10}|keras\w{0,10}|tf_keras)/'


def _of(classes: str, names: str) -> str:
    """The text of one of the classes, or of its name in a list of root errors: ``(0) Invalid argument: …``."""
    named = rf"\(\d\) (?:{names}): {{1,4}}"
    raised = rf"errors(?:_impl)?\.(?:{classes})Error: (?!\d root error|Graph execution)"
    return rf"(?:{raised}|{named})(?P<what>[^\n]{{1,260}})"


TENSORFLOW: tuple[Cause, ...] = (
    row(
        "gpu-memory-taken",
        "Dst tensor is not initialized|implicit initialization|to create session|GPU sync failed",
        r"Dst tensor is not initialized|CUDA runtime implicit initialization on GPU:\d{1,3} failed\. Status: "
        r"out of memory"
        r"|GPU sync failed",
        "the GPU's memory is full: TensorFlow could place nothing more on it",
        "`nvidia-smi` shows what else uses it; use a smaller batch size{batch_key}",
    ),
    row(
        "libdevice-missing",
        "libdevice",
        r"libdevice not found at|Can't find libdevice directory|could not find libdevice",
        "TensorFlow's compiler (XLA) does not find CUDA's file libdevice",
        'use the image that was made for this "release"; or set TF_XLA_FLAGS=--tf_xla_auto_jit=0 in "env"',
    ),
    row(
        "not-a-checkpoint",
        "not an sstable|bad magic number",
        r"(?:Unable to open table file (?P<path>/\S{1,300}?): )?Data loss: not an sstable",
        "what is read as a checkpoint of TensorFlow has another format{of_path}",
        "name a checkpoint of this network (for TensorFlow 1 without .index or .data), not an .hdf5 or .tlt "
        "file",
    ),
    row(
        "no-gpu",
        "Cannot assign a device for operation",
        r"Cannot assign a device for operation [^\n]{1,300}/device:GPU:\d{1,3}",
        "TensorFlow sees no such GPU inside the container",
        "`nvidia-smi` shows whether the driver works, `docker info` whether the container toolkit is set up",
    ),
    row(
        "batch-larger-than-data",
        "(Empty Logs)|variable 'logs'",
        r"\(Empty Logs\)|local variable 'logs' referenced before assignment",
        "no step of the training ran: the dataset is empty, or has fewer samples than one batch",
        "use a smaller batch size{batch_key}, and check the data paths of the spec",
    ),
    row(
        "model-input-size",
        "is incompatible with the layer",
        r"[Ii]nput \d{1,3} of layer [^\n]{1,80} is incompatible with the layer: "
        r"(?P<what>expected shape=\([^)\n]{1,60}\), found shape=\([^)\n]{1,60}\)"
        r"|expected (?:min_|max_)?ndim=\d{1,3}, found ndim=\d{1,3})",
        "the input has another size than the model: {what}",
        "set the input size (and channels) of the spec as in the training of these weights",
    ),
    row(
        "weights-without-model",
        "No model config found|No model found in config|only contains weights",
        r"No model config found in the file|No model found in config file|only contains weights",
        "the file holds weights only, and here a whole model is read",
        "name a model that a training or an export of this network wrote, in the spec",
    ),
    row(
        "nothing-to-train",
        "No gradients provided",
        r"No gradients provided for any variable",
        "no part of the model is trained: everything is frozen",
        "freeze less in the spec (freeze_blocks, freeze_bn, frozen layers)",
    ),
    row(
        "other-records",
        "Data types don't match|values != expected",
        r"Key: (?P<what>[\w/]{1,100})\. {1,3}(?:Data types don't match|Number of \w{1,12} values != expected)",
        "the TFRecords were made for another network or release: {what}",
        "run dataset_convert of this network into an empty folder",
    ),
    row(
        "weights-do-not-fit",
        "Cannot assign value to variable|Weight count mismatch|objects could not be loaded|expected 0 variables",
        r"(?P<what>Cannot assign value to variable ?' ?[\w./:-]{1,80}'|Weight count mismatch for layer [^\n]{1,80}"
        r"|A total of \d{1,6} objects could not be loaded|expected \d{1,5} variables, but received \d{1,5} variables)",
        "the weights belong to another architecture: {what}",
        "set arch, n_layers or backbone in the spec as the weights have them; a pruned model needs "
        "load_graph: true",
    ),
    row(
        "weights-do-not-fit",
        "No such layer: |incompatible tensor with shape|axes don't match array|expects {1,2}weight|You are "
        "trying to load|was expecting",
        r"(?P<what>No such layer: [\w./-]{1,80}|incompatible tensor with shape \([\d, ]{1,40}\)[^\n]{0,120}|"
        r"axes don't match array|[Ll]ayer [^\n]{1,60} expect(?:s|ed) "
        r"\d{1,5} weight[^\n]{0,80}"
        r"|Layer #\d{1,6} \(named [^\n]{1,100}\) expects \d{1,5} weight[^\n]{0,80})",
        "the weights belong to another architecture: {what}",
        "set arch, n_layers or backbone in the spec as the weights have them; a pruned model needs "
        "load_graph: true",
    ),
    row(
        "model-file-of-other-code",
        "Unknown |bad marshal data|Could not locate|has no attribute 'decode'",
        r"(?P<what>Unknown (?:layer|loss function|metric function|activation function|initializer|regularizer|"
        r"object"
        r"|optimizer): ?'?[\w.>]{1,60}|bad marshal data[^\n]{0,60}|Could not locate (?:class|function) "
        r"'[\w.]{1,60}'"
        r"|'str' object has no attribute 'decode')",
        "the model file was written by other code than this image has: {what}",
        'use the network and "release" that wrote it, or weights of this "release"',
        frame=_KERAS,
    ),
)

TENSORFLOW_IN_GENERAL: tuple[Cause, ...] = (
    row(
        "tensorflow-missing",
        "NotFoundError: |Not found: |NOT_FOUND: ",
        _of("NotFound", "Not found|NOT_FOUND"),
        "TensorFlow did not find a file, or a name in a checkpoint: {what}",
        "check the paths of the spec and the mounts; a name that is missing in a checkpoint means weights of "
        "another model",
        weight=Weight.GENERAL,
    ),
    row(
        "tensorflow-gpu",
        "InternalError: |UnknownError: |UnavailableError: |Internal: |INTERNAL: |Unknown: |UNKNOWN: |"
        "UNAVAILABLE: ",
        _of("Internal|Unknown|Unavailable", "Internal|INTERNAL|Unknown|UNKNOWN|UNAVAILABLE"),
        "TensorFlow or a library below it failed: {what}",
        "`nvidia-smi` shows whether the GPU works and what else uses its memory; try a smaller batch "
        "size{batch_key}; if it "
        'comes again, use another "release"',
        weight=Weight.GENERAL,
    ),
    row(
        "tensorflow-not-here",
        "UnimplementedError: |Unimplemented: |UNIMPLEMENTED: ",
        _of("Unimplemented", "Unimplemented|UNIMPLEMENTED"),
        "TensorFlow has no such operation on this device: {what}",
        "run on a GPU; if it does, the sizes or the data format of the spec are not supported there",
        weight=Weight.GENERAL,
    ),
    row(
        "tensorflow-file",
        "DataLossError: |PermissionDeniedError: |AlreadyExistsError: |FailedPreconditionError: |Data loss: |"
        "DATA_LOSS: "
        "|Failed precondition: |FAILED_PRECONDITION: ",
        _of(
            "DataLoss|PermissionDenied|AlreadyExists|FailedPrecondition",
            "Data loss|DATA_LOSS|Failed precondition|FAILED_PRECONDITION",
        ),
        "TensorFlow cannot use a file or something that was to be ready before: {what}",
        "if it names a file, check it and the mounts; start again with --overwrite; else look for an earlier "
        "error in the log",
        weight=Weight.GENERAL,
    ),
    row(
        "tensorflow-data-ended",
        "OutOfRangeError: |Out of range: |OUT_OF_RANGE: ",
        _of("OutOfRange", "Out of range|OUT_OF_RANGE"),
        "the data ended before the run did: {what}",
        "most often the dataset has fewer samples than a batch or a step count of the spec wants, or records "
        "are damaged: run "
        "dataset_convert again, lower the batch size{batch_key}",
        weight=Weight.GENERAL,
    ),
    row(
        "tensorflow-argument",
        "InvalidArgumentError: |Invalid argument: |INVALID_ARGUMENT: ",
        _of("InvalidArgument", "Invalid argument|INVALID_ARGUMENT"),
        "values or sizes do not fit in the model: {what}",
        "compare image sizes, number of classes and labels with the spec; `taorunner dataset check --deep` "
        "reads all images "
        "and labels",
        weight=Weight.GENERAL,
    ),
)
"""Compared after all special rows: the class alone says what kind of thing failed."""
