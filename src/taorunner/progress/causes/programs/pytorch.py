"""Causes that PyTorch itself names: gradients, files that hold objects of other code, its exporter, calls to CUDA.

Source: torch/autograd (the messages of the engine), torch/serialization.py, torch/onnx/errors.py, the CUDA runtime's
error texts (cudaGetErrorString).
"""

from __future__ import annotations

from taorunner.progress.causes.cause import Cause, row

UNPICKLED: tuple[Cause, ...] = (
    row(
        "weights-of-another-release",
        "No module named|Can't get attribute",
        r"No module named '(?P<what>(?!numpy)[\w.]{1,100})'|Can't get attribute '(?P<path>\w{1,80})' on <module",
        'the file of the weights needs code that this image does not have: "{what}{path}"',
        'another program or "release" wrote it: use the one that did, or weights of this "release"',
        frame=r'File "[^"\n]{0,300}/(?:torch/serialization|pickle|torch/_weights_only_unpickler)\.py"'
        r"|in (?:find_class|_?unpickle\w{0,20})\b",
    ),
)
"""Compared first: a module that a file names is no missing part of the image."""

PYTORCH: tuple[Cause, ...] = (
    row(
        "gradients-not-computed",
        "inplace operation|through the graph a second|implicitly created only for scalar|leaf Variable|derivative for ",
        r"(?P<what>modified by an inplace operation|backward through the graph a second time"
        r"|grad can be implicitly created only for scalar outputs|leaf Variable that requires grad[^\n]{0,60}"
        r"|derivative for [\w':]{1,60} is not implemented)",
        "the gradients of the model cannot be computed: {what}",
        'a fault of the model\'s code: use another "release"; with several GPUs, one GPU or '
        "train.activation_checkpoint: false may avoid it",
    ),
    row(
        "operator-not-exported",
        "to ONNX opset version",
        r"Exporting the operator '?(?P<what>[\w:.]{1,80})'? to ONNX opset version (?:1[7-9]|2\d) is not supported",
        "the exporter of this image has no ONNX form for a part of the model: {what}",
        'export with another "release", or train another backbone; a higher opset does not help here',
    ),
    row(
        "gpu-step-too-long",
        "launch timed out|LAUNCH_TIMEOUT|LaunchTimeout",
        r"the launch timed out|CUDA_ERROR_LAUNCH_TIMEOUT|cudaErrorLaunchTimeout",
        "a step on the GPU took longer than a GPU with a screen allows (launch timed out){at_epoch}",
        "use a GPU without a display (gpu_indices), end the desktop on it, or use a smaller batch size{batch_key}",
    ),
    row(
        "cuda-not-offered",
        "error: operation not supported|NotSupported|NOT_SUPPORTED",
        r"CUDA error: operation not supported|cudaErrorNotSupported|CUDA_ERROR_NOT_SUPPORTED",
        "driver or (virtual) GPU does not offer what CUDA asks for: operation not supported",
        "compare the driver in `nvidia-smi` with what the release needs; on a virtual GPU (vGPU), its administrator "
        "must enable unified memory",
    ),
    row(
        "driver-too-old",
        "in the installed CUDA driver",
        r"not supported in the installed CUDA driver",
        "the NVIDIA driver is too old for this image",
        'update the driver, or use an older "release"',
    ),
    row(
        "cuda-library-not-found",
        "failed to open lib|Could not load library lib|Unable to load any of|Cannot load symbol|libnvrtc",
        r"(?:failed to open|[Cc]ould not load library|Unable to load any of \{?)[ '\"]{0,3}"
        r"(?P<what>lib(?:nvrtc|cudnn|cublas|cudart|cufft|cusparse|cusolver|nvJitLink|nvToolsExt)[\w.+-]{0,60})",
        "a library of CUDA is not found in the container: {what}",
        'leave LD_LIBRARY_PATH out of "env" and of the shell; else use the unchanged image of this "release"',
    ),
    row(
        "library-loaded-late",
        "in static TLS block",
        r"(?P<what>[\w./+-]{1,200}): cannot allocate memory in static TLS block",
        "a library could not be loaded, because others had taken the place for it: {what}",
        'set LD_PRELOAD to that library in "env", so that it is loaded first; no lack of memory',
    ),
    row(
        "download-damaged",
        "invalid hash value|Consistency check failed",
        r"(?P<what>invalid hash value|file should be of size \d{1,15} but has size \d{1,15})",
        "a download is incomplete or damaged: {what}",
        "remove the file from the cache (TORCH_HOME, HF_HOME) and start again, or name a local file in the spec",
    ),
    row(
        "unreadable-weights",
        "Invalid magic number|Invalid protocol version|pickle protocol|STACK_GLOBAL",
        r"Invalid magic number; corrupt file|Invalid protocol version: \d|unsupported pickle protocol: "
        r"(?P<what>\d{1,3})|STACK_GLOBAL requires str",
        "the weights cannot be read: the file is damaged, or no file of PyTorch",
        "check its path in the spec; download it again, or use another checkpoint",
        frame=r"torch/serialization|torch/_weights_only|pickle|in load_checkpoint|in load_weights",
    ),
    row(
        "unreadable-weights",
        "codec can't decode",
        r"(?P<what>'[\w-]{1,20}' codec can't decode byte \w{1,6} in position \d{1,12})",
        "the weights cannot be read: the file is damaged, or no file of PyTorch: {what}",
        "check its path in the spec; download it again, or use another checkpoint",
        frame=r'File "[^"\n]{0,300}/(?:torch/serialization|torch/_weights_only_unpickler|pickle)\.py"',
    ),
    row(
        "class-weights",
        "weight tensor should be defined",
        r"weight tensor should be defined (?P<what>either for all \d{1,6} classes[^\n]{0,40}? but got weight tensor of "
        r"shape:? \[\d{1,6}\])",
        "the spec has another number of class weights than classes: {what}",
        "give one weight for each class in the loss's section of the spec, or none",
    ),
    row(
        "number-types",
        "Found dtype ",
        r"(?P<what>Found dtype \w{1,12} but expected \w{1,12})",
        "numbers of two types meet in the loss: {what}",
        "set train.precision to fp32 in the spec, and check that the numbers of the labels are of the type that the "
        'loss takes; else use another "release"',
    ),
    row(
        "numbers-not-finite",
        "contained non-finite values|failed to converge because the input",
        r"input matrix contained non-finite values|failed to converge because the input matrix",
        "numbers in the model became NaN or infinite{at_epoch}",
        "use a lower learning rate or train.precision fp32, and check labels and pretrained weights",
    ),
    row(
        "scaler-without-gradients",
        "No inf checks were recorded",
        r"No inf checks were recorded",
        "mixed precision does not work here: no part of the model got a gradient in a step",
        "freeze less in the spec, or set train.precision to fp32",
    ),
    row(
        "scaler-called-twice",
        "unscale_() ",
        r"unscale_\(\) (?:has already been|is being) called",
        "mixed precision does not fit the way in which this code limits gradients",
        'set train.precision to fp32 or bf16, or use another "release"',
    ),
    row(
        "cuda-math-failed",
        "CUSOLVER_STATUS|CUSPARSE_STATUS|CURAND_STATUS",
        r"(?P<what>(?:CUSOLVER|CUSPARSE|CURAND)_STATUS_[A-Z_]{1,40})",
        "a mathematical library of CUDA failed: {what}",
        "`nvidia-smi` shows whether the GPU's memory is full: use a smaller batch size{batch_key}; NaN in the model "
        "does it, too: use a lower learning rate",
    ),
    row(
        "gpu-memory-unclear",
        "NVML_SUCCESS == r",
        r"NVML_SUCCESS == r INTERNAL ASSERT FAILED",
        "PyTorch got no more GPU memory, and the driver did not say why (NVML){at_epoch}",
        "`nvidia-smi` shows what uses the memory; use a smaller batch size{batch_key} or a GPU with more memory",
    ),
    row(
        "onnx-missing",
        "NO_SUCHFILE",
        r"NO_SUCHFILE : Load model from (?P<path>[^\n]{1,300}?) failed",
        'there is no exported model "{path}" inside the container',
        "export makes it; check the path in the spec and the mounts",
    ),
)
