"""Which known cause does a line of text betray, and what can be done about it?

One table, best explanation first. To add a cause: one row, with at least one needle that every match contains
(a test compares the two), a reason (lower case, no full stop) and the next step.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_SCAN_LIMIT = 4096
_PATH_LIMIT = 300


@dataclass(frozen=True, slots=True)
class Cause:
    """``pattern`` is searched in one line; its groups ``path`` (or ``bare``), ``what`` and ``line`` fill the
    places of the same name. Places that vanish when unknown: ``{at_epoch}`` (" at epoch 3"), ``{at_line}``
    (" (line 3)"), ``{on_path}`` (' on "/x"'), ``{batch_key}`` (the spec's name of the batch size).
    A ``path`` is one inside the container.
    """

    code: str
    needles: tuple[str, ...]
    pattern: str
    reason: str
    hint: str


@dataclass(frozen=True, slots=True)
class SeenCause:
    """``rank`` is the row's place in the table: of two causes, the lower one explains more."""

    cause: Cause
    rank: int
    path: str | None = None
    what: str | None = None
    line: str | None = None
    epoch: int | None = None

    def reason(self) -> str:
        return self._fill(self.cause.reason)

    def hint(self, batch_key: str | None = None) -> str:
        return self._fill(self.cause.hint, batch_key)

    def _fill(self, template: str, batch_key: str | None = None) -> str:
        filled = template.format(
            path=self.path or "",
            what=self.what or "",
            at_line=f" (line {self.line})" if self.line else "",
            on_path=f' on "{self.path}"' if self.path else "",
            at_epoch=f" at epoch {self.epoch}" if self.epoch else "",
            batch_key=f' ("{batch_key}")' if batch_key else "",
        )
        return " ".join(filled.split()).strip(" :.")


def _row(code: str, needles: str, pattern: str, reason: str, hint: str) -> Cause:
    return Cause(code, tuple(needles.split("|")), pattern, reason, hint)


_QUOTED_PATH = r"['\"](?P<path>/?[^'\"\n]{1,300})['\"]"
_BARE_PATH = r"(?<![^\s'\"=:(\[,])(?P<bare>/[^\s'\";:,()\[\]]{1,300})"

CAUSES: tuple[Cause, ...] = (
    _row(
        "shared-memory",
        "us error|hared memory|/dev/shm",
        r"[Bb]us error|out of shared memory|insufficient shared memory|[Nn]o space left on"
        r" device.{0,80}/dev/shm"
        r"|/dev/shm.{0,200}[Nn]o space left|[Uu]nable to (?:open|create|write|mmap).{0,60}shared memory",
        "shared memory ran out in a data loader{at_epoch}",
        'set a larger "shm_size" (for example 16g) in experiments.yml, or use fewer loader workers',
    ),
    _row(
        "cuda-out-of-memory",
        "out of memory|OutOfMemoryError|OUT_OF_MEMORY|OOM when|out of GPU memory|ALLOC_FAILED"
        "|MemoryAllocation",
        r"CUDA (?:error: )?out of memory|OutOfMemoryError|CUDA_ERROR_OUT_OF_MEMORY: out of memory"
        r"|OOM when allocating"
        r"|[Rr]an out of GPU memory|CU(?:DNN|BLAS)_STATUS_ALLOC_FAILED|cudaErrorMemoryAllocation"
        r"|CUDA runtime (?:error|API error)[^\n]{0,80}out of memory|[Cc]uda(?: failure|"
        r" error)[^\n]{0,40}out of memory",
        "CUDA out of memory{at_epoch}",
        "use a smaller batch size{batch_key} or a GPU with more memory",
    ),
    _row(
        "disk-full",
        "o space left|quota exceeded|Errno 28",
        r"[Nn]o space left on device(?::? ['\"](?P<path>/[^'\"\n]{1,300})['\"])?|Disk quota exceeded"
        r"|\[Errno 28\]",
        "the disk is full{at_epoch}",
        "free space where the results are written, or point the mounts at a larger disk",
    ),
    _row(
        "read-only-data",
        "ead-only file system",
        rf"[Rr]ead-only file system(?:[:;]? {_QUOTED_PATH})?",
        "a folder that is mounted read-only was to be written:{on_path}",
        "where the network needs to write into data/, name the mounts yourself in .tao_mounts.json",
    ),
    _row(
        "wrong-model-key",
        "nvalid decryption|model is incorrect|ecryption|ecrypt|model key",
        r"Invalid decryption|key used to load the model is incorrect|(?:[Ww]rong|[Ii]ncorrect"
        r"|[Ii]nvalid|[Bb]ad)"
        r" (?:model |decryption |encryption )(?:key|passphrase)|[Cc](?:annot|ould not|an't) decrypt"
        r"|[Dd]ecryption failed",
        "the model key does not fit the weights",
        'check "model_key" of the experiment; public NGC models use nvidia_tlt or tlt_encode',
    ),
    _row(
        "host-out-of-memory",
        "llocate memory|MemoryError|bad_alloc|illed|oom-kill|exited on signal|exitcode",
        r"[Cc]annot allocate memory|\bMemoryError\b|std::bad_alloc|killed by signal: (?:9|Killed)"
        r"|exited on signal 9"
        r"|oom-kill|Out of memory: Killed process|exitcode {0,4}: {0,2}-9",
        "the host's memory ran out{at_epoch}",
        "use fewer loader workers or a smaller batch size{batch_key}, or give this machine more memory",
    ),
    _row(
        "spec-rejected",
        "has no field named|ParseError",
        r"(?:(?P<line>\d{1,9}):\d{1,9} ?: ?)?Message type \"(?P<path>[\w.]{1,200})\" has no field"
        r" named \"(?P<what>[^\"\n]{1,200})\"",
        'the spec has an unknown field "{what}" in "{path}"{at_line}',
        "correct the field in the spec file; `taorunner validate` shows its place",
    ),
    _row(
        "spec-syntax",
        "ParseError",
        r"text_format\.ParseError: (?:(?P<line>\d{1,9}):\d{1,9} ?: ?)?(?P<what>[^\n]{1,200})",
        "the spec cannot be parsed: {what}{at_line}",
        "correct the spec file; `taorunner validate` shows the place",
    ),
    _row(
        "unknown-spec-key",
        "not in struct|' not in '|Could not override|full_key:|Key '",
        r"Key '(?P<what>[^'\n]{1,200})' (?:is not in struct|not in '[^'\n]{1,200}')|Could not"
        r" override '(?P<path>[^'\n]{1,200})'",
        'the spec has an unknown key "{what}{path}"',
        "correct or remove the key; `taorunner networks` shows what this network knows",
    ),
    _row(
        "spec-value",
        "could not be converted|issing mandatory value|InterpolationKeyError|Invalid value",
        r"(?P<what>Value '[^'\n]{0,200}'(?: of type '[^'\n]{1,80}')? could not be converted to \w{1,40}"
        r"|Missing mandatory value: [^\n]{1,200}|Interpolation key '[^'\n]{1,200}' not found"
        r"|Invalid value '[^'\n]{1,200}', expected one of [^\n]{1,200})",
        "the spec has a wrong value: {what}",
        "correct the value in the spec file",
    ),
    _row(
        "override-syntax",
        "mismatched input|extraneous input|no viable alternative|token recognition error"
        "|LexerNoViableAlt|OverrideParse",
        r"mismatched input|extraneous input|no viable alternative at input|token recognition error"
        r"|OverrideParseException",
        "a command line override cannot be parsed",
        "write overrides as key=value without blanks or quotes; lists as [0,1]",
    ),
    _row(
        "no-gpu",
        "CUDA-capable|CUDA GPUs|NVIDIA driver|CUDA_ERROR_NO_DEVICE|nvidia-smi|NVIDIA-SMI|libcuda.so"
        "|device driver|CUDA devices",
        r"[Nn]o CUDA-capable device|[Nn]o CUDA GPUs are available|Found no NVIDIA driver|CUDA_ERROR_NO_DEVICE"
        r"|NVIDIA-SMI has failed|nvidia-smi['\"]?(?:: (?:command )?not found|: No such file)|No such"
        r" file or directory: ['\"]nvidia-smi"
        r"|libcuda\.so[.\d]{0,8}: cannot open|could not select device driver|[Nn]o CUDA devices",
        "no GPU is visible inside the container",
        "`nvidia-smi` shows whether the driver works, `docker info` whether the container toolkit is set up",
    ),
    _row(
        "gpu-index",
        "device ordinal|MisconfigurationException",
        r"invalid device ordinal|You requested gpu:? ?\[[\d, ]{0,80}\]",
        "a GPU id was used that the container does not have",
        'inside, GPUs count from 0: use "gpu_indices" in experiments.yml rather than ids in the spec',
    ),
    _row(
        "gpu-too-new",
        "no kernel image|not compatible with the current",
        r"no kernel image is available|not compatible with the current (?:PyTorch|TensorFlow) installation",
        "the image's CUDA does not support this GPU",
        'use a newer "release", or a GPU that the image knows',
    ),
    _row(
        "driver-too-old",
        "driver version is insufficient|NVIDIA driver on your system is too old|unsatisfied condition: cuda",
        r"driver version is insufficient|driver on your system is too old|unsatisfied condition: cuda",
        "the NVIDIA driver is too old for this image",
        'update the driver, or use an older "release"',
    ),
    _row(
        "label-out-of-range",
        "device-side assert",
        r"device-side assert",
        "a CUDA assertion failed{at_epoch}, most often a class number beyond num_classes",
        "compare the classes of the dataset with num_classes or the class mapping of the spec",
    ),
    _row(
        "weights-do-not-fit",
        "size mismatch for|Missing key(s) in state_dict|Unexpected key(s) in state_dict",
        r"size mismatch for (?P<what>[\w.]{1,200})|(?:Missing|Unexpected) key\(s\) in state_dict",
        "the weights do not fit this model: {what}",
        "check that backbone and number of classes are those the weights were trained with",
    ),
    _row(
        "export-exists",
        "already exist",
        r"(?P<path>/[^\s'\";,()]{1,300}\.(?:onnx|etlt|uff|engine|plan|trt|tlt"
        r"|hdf5)[\w.]{0,40})['\"]? {1,2}already exists?",
        'the file "{path}" already exists and TAO does not overwrite it',
        "use --overwrite, or another name for the exported model",
    ),
    _row(
        "export-exists",
        "already exist",
        r"(?:[Oo]utput|[Ee]xport|onnx|ONNX|etlt|engine)[^\n]{0,200} already exists?",
        "the exported file already exists and TAO does not overwrite it",
        "use --overwrite, or another name for the exported model",
    ),
    _row(
        "file-exists",
        "File exists",
        r"File exists: " + _QUOTED_PATH,
        '"{path}" is there already, from an earlier run',
        "use --overwrite, which sets the earlier results aside",
    ),
    _row(
        "permission-denied",
        "ermission denied|Errno 13",
        r"[Pp]ermission denied(?:[:;]? " + _QUOTED_PATH + r")?|" + _BARE_PATH + r"[;:] Permission denied",
        "permission denied{on_path}",
        "check owner and mode of the folder: the container runs as you, not as root",
    ),
    _row(
        "missing-file",
        "No such file or directory",
        r"No such file or directory[:;]? {0,2}(?:\[?b?" + _QUOTED_PATH + r"|" + _BARE_PATH + r")",
        'there is no "{path}" inside the container',
        "check the path in the spec and the mounts",
    ),
    _row(
        "missing-file",
        "o such file|oes not exist|oesn't exist|ot found|annot find|ould not find|Unable to open",
        _BARE_PATH + r"['\"]? {0,2}(?:[;:] No such file|(?:does not|doesn't) exist|(?:was )?not found)",
        'there is no "{path}" inside the container',
        "check the path in the spec and the mounts",
    ),
    _row(
        "missing-file",
        "o such file|oes not exist|oesn't exist|ot found|annot find|ould not find|not a valid",
        r"(?:not exist|n't exist|not found|[Cc](?:annot|ould not|an't) find(?: [a-z]{1,20}){0,4}"
        r"|NotFoundError|not a valid (?:file|path|directory))"
        r"[^/\n]{0,40}" + _BARE_PATH,
        'there is no "{path}" inside the container',
        "check the path in the spec and the mounts",
    ),
    _row(
        "unreadable-weights",
        "invalid load key|UnpicklingError|failed reading zip|file signature not found|BadZipFile"
        "|not a zip file|truncated file",
        r"invalid load key|UnpicklingError|failed reading zip archive|file signature not found"
        r"|BadZipFile|File is not a zip file"
        r"|Unable to open file \(truncated file",
        "the weights cannot be read: damaged, incomplete or encrypted with another key",
        "download them again, and check the model key",
    ),
    _row(
        "no-samples",
        "num_samples=0|o training samples|dataset is empty|o images found|logging points",
        r"num_samples=0|[Nn]o training samples|[Dd]ataset is empty|[Nn]o images found",
        "the dataset has no samples that can be used",
        "check the data paths of the spec; `taorunner dataset check` looks at the dataset itself",
    ),
    _row(
        "too-few-steps",
        "logging points",
        r"[Nn]umber of logging points",
        "the dataset is so small that an epoch has fewer steps than the logging wants",
        "use a smaller batch size{batch_key}, or set visualizer scalar_logging_frequency",
    ),
    _row(
        "nan-loss",
        "Invalid loss|oss is nan|oss is NaN|avoid NaN loss",
        r"Invalid loss, terminating|[Ll]oss is (?:nan|NaN)|To avoid NaN loss",
        "the loss became NaN{at_epoch}",
        "use a lower learning rate, and check labels and pretrained weights",
    ),
    _row(
        "no-user",
        "getpwuid|getuser",
        r"getpwuid\(\): uid not found|getpass\.getuser",
        "the process has a user id without a name inside the container",
        'set USER, LOGNAME and HOME in "env", or another "user"',
    ),
    _row(
        "port-in-use",
        "ddress already in use|EADDRINUSE",
        r"[Aa]ddress already in use|EADDRINUSE",
        "a network port that the run needs is taken",
        "wait for the other distributed run to end, or set MASTER_PORT",
    ),
    _row(
        "spec-validation",
        "Spec file validation failed|avoid NaN loss|Schema validation error|arameter validation error",
        r"Spec file validation failed|(?:Schema|Parameter) validation error(?:: (?P<what>[^\n]{1,200}))?",
        "TAO rejected the spec: {what}",
        "the lines before say which field; `taorunner validate` checks the rest",
    ),
    _row(
        "nccl",
        "NCCL|nccl",
        r"NCCL error|nccl(?:System|UnhandledCuda|Internal|InvalidUsage|Remote)Error|unhandled"
        r" (?:system|cuda) error"
        r"|collective operation timeout|NCCL communicator was aborted|Watchdog caught",
        "the GPUs could not talk to each other through NCCL{at_epoch}",
        'set a larger "shm_size", try NCCL_P2P_DISABLE=1 in "env", or train on one GPU',
    ),
    _row(
        "assertion",
        "AssertionError",
        r"AssertionError: (?P<what>[^\n]{1,300})",
        "TAO's check failed: {what}",
        "correct the spec accordingly",
    ),
    _row(
        "interrupted",
        "was interrupted|System interruption",
        r"\b(?:Command|Training|Evaluation|Inference|Export(?:ing)?|Prun(?:e|ing)|(?:Dataset"
        r" )?[Cc]onversion|Quantization)"
        r" was interrupted|User/System interruption",
        "interrupted inside the container, not by taorunner",
        "look at the log for who sent the signal, then start it again",
    ),
)

_IGNORED = ("Telemetry", "telemetry", "indicates that this is not a failure")


def find_cause(text: str, epoch: int | None = None) -> SeenCause | None:
    """The best known cause that one line betrays, or None. ``epoch`` is when it was seen.

    Source: tao/tensorflow.md section 2.3: the telemetry step complains also about jobs that went well.
    """
    text = text[:_SCAN_LIMIT]
    if any(word in text for word in _IGNORED):
        return None
    for rank, cause in enumerate(CAUSES):
        if not any(needle in text for needle in cause.needles):
            continue
        if match := re.search(cause.pattern, text, re.ASCII):  # compiled when one of its needles is there
            groups = match.groupdict()
            path = groups.get("path") or groups.get("bare")
            return SeenCause(cause, rank, path, groups.get("what"), groups.get("line"), epoch)
    return None
