"""Causes in the GPU, its driver and CUDA."""

from __future__ import annotations

from taorunner.progress.causes.cause import Cause, Weight, row

_OUTSIDE = (
    "`nvidia-smi` shows whether the driver works, `docker info` whether the container toolkit is set up"
)

GPU: tuple[Cause, ...] = (
    row(
        "gpu-lost",
        "GPU is lost|fallen off the bus|: 79|GPU_IS_LOST|GpuIsLost",
        r"GPU is lost|fallen off the bus|Xid \([^)\n]{1,80}\): 79\b|GPU_IS_LOST|GpuIsLost",
        "the GPU is lost{at_epoch}: it fell off the bus",
        "reboot this machine; `dmesg "
        "| grep -i xid` shows more; check power, heat and the slot if it comes again",
        weight=Weight.MACHINE,
    ),
    row(
        "gpu-memory-fault",
        "ECC|Xid|row remap",
        r"[Uu]ncorrectable (?:NVLink|ECC)|ECC error|cudaErrorECC|Xid \([^)\n]{1,80}\): (?:48|63|64|92|94|95)\b"
        r"|[Rr]ow remap\w{0,6} fail",
        "the memory of the GPU has a fault that cannot be corrected (ECC){at_epoch}",
        "reset the GPU or reboot; `nvidia-smi -q -d ECC` names it: leave it out of gpu_indices if it "
        "comes again",
        weight=Weight.MACHINE,
    ),
    row(
        "gpu-firmware",
        "GSP|Xid",
        r"GSP[^\n]{0,40} [Tt]imeout|Timeout[^\n]{0,60}\bGSP\b|Xid \([^)\n]{1,80}\): (?:119|120)\b",
        "the GPU's firmware does not answer{at_epoch}",
        "reboot this machine, and update the NVIDIA driver",
        weight=Weight.MACHINE,
    ),
    row(
        "driver-half-updated",
        "version mismatch|LibRmVersionMismatch",
        r"[Dd]river/library version mismatch|NVML/RM version mismatch|LibRmVersionMismatch",
        "the NVIDIA driver was updated, but the old one is still loaded",
        "reboot this machine",
        weight=Weight.MACHINE,
    ),
    row(
        "gpu-taken-away",
        "initialize NVML: Unknown Error|NVMLError_Unknown",
        r"initialize NVML: Unknown Error|NVMLError_Unknown",
        "the container lost its GPU{at_epoch}",
        "start the run again; where `systemctl daemon-reload` on the host does it, use CDI or the "
        "cgroupfs driver of docker",
        weight=Weight.MACHINE,
    ),
    row(
        "fabric-manager",
        "system not yet initialized|SystemNotReady|abric manager|abric Manager",
        r"Error 802: system not yet initialized|cudaErrorSystemNotReady|CUDA_ERROR_SYSTEM_NOT_READY"
        r"|[Ff]abric [Mm]anager (?:is )?not running",
        "the GPUs' NVSwitch is not set up: the fabric manager does not run",
        "start the service nvidia-fabricmanager on the GPUs' machine (its version must be the driver's)",
        weight=Weight.MACHINE,
    ),
    row(
        "values-out-of-range",
        "Assertion `",
        r"Assertion `[^`'\n]{0,120}(?:input_val >= zero|probability tensor|isfinite|>= 0 && \w{1,20} <= 1"
        r"|isnan)",
        "a CUDA assertion failed{at_epoch}: a value is NaN or not between 0 and 1",
        "use a lower learning rate, and check labels and pretrained weights",
        weight=Weight.ASSERTION,
    ),
    row(
        "label-out-of-range",
        "device-side assert triggered|Assertion `|cudaErrorAssert",
        r"device-side assert triggered|cudaErrorAssert|thread: \[[\d,]{1,30}\] Assertion `",
        "a CUDA assertion failed{at_epoch}, most often a class number beyond num_classes",
        "compare the classes of the dataset with num_classes or the class mapping of the spec",
        weight=Weight.ASSERTION,
    ),
    row(
        "no-gpu",
        "CUDA-capable|CUDA GPUs|NVIDIA driver|CUDA_ERROR_NO_DEVICE|nvidia-smi|NVIDIA-SMI|libcuda.so"
        "|libnvidia-ml|is_available() is False"
        "|device driver|CUDA devices|No GPU|no GPU|LibraryNotFound|NVML Shared Library|error: 100|CUDA "
        "gpu|gpu backend",
        r"[Nn]o CUDA-capable device|[Nn]o CUDA GPUs are available|Found no NVIDIA driver|CUDA_ERROR_NO_DEVICE"
        r"|NVIDIA-SMI has failed|nvidia-smi['\"]?(?:: (?:command )?not found|: No such file)|No such"
        r" file or directory: ['\"]nvidia-smi|NVMLError_LibraryNotFound|NVML Shared Library Not Found"
        r"|lib(?:cuda|nvidia-ml)\.so[.\d]{0,8}: cannot open|could not select device driver|[Nn]o CUDA devices"
        r"|\b[Nn]o GPUs? (?:is |are |was |were )?(?:available|found|detected)"
        r"|CUDA initialization failure with error: 100\b"
        r"|torch\.cuda\.is_available\(\) is False|might not have a CUDA gpu|No supported gpu backend"
        r"|[Cc]annot find (?:any )?NVIDIA GPU",
        "no GPU is visible inside the container",
        _OUTSIDE,
    ),
    row(
        "gpu-blocked",
        "blocked by the operating system",
        r"GPU access blocked by the operating system",
        "the GPU is blocked: Windows does not give it to WSL or to the container",
        "update Windows, its NVIDIA driver and WSL (wsl --update), then: wsl --shutdown",
    ),
    row(
        "no-gpu",
        "NVIDIA Driver was not detected",
        r"NVIDIA Driver was not detected",
        "no GPU is visible inside the container",
        _OUTSIDE,
        weight=Weight.BACKGROUND,
    ),
    row(
        "no-cuda-in-torch",
        "not compiled with CUDA|not built with CUDA|CPU-only|CPU only",
        r"[Tt]orch not compiled with CUDA|not (?:built|compiled) with (?:CUDA|GPU) (?:support|enabled)",
        "the PyTorch that ran has no CUDA",
        'it is not the one of TAO\'s image: check "image", or with the local backend the environment that runs',
    ),
    row(
        "gpu-index",
        "device ordinal|requested gpu|visible_device_list|valid GPU ids|Number of GPUs must be"
        "|INVALID_DEVICE|Invalid device id|num_gpus",
        r"invalid device ordinal|You requested gpus?:? ?(?P<what>\[[\d, ]{0,80}\])"
        r"|visible_device_list[^\n]{0,20} listed an invalid GPU"
        r"|Checking for valid GPU ids|Number of GPUs must be greater than|CUDA_ERROR_INVALID_DEVICE"
        r"|Invalid device id"
        r"|device >= 0 && device < num_gpus",
        "a GPU id was used that the container does not have: {what}",
        'inside, GPUs count from 0: use "gpu_indices" in experiments.yml rather than ids in the spec',
    ),
    row(
        "same-gpu-twice",
        "Duplicate GPU",
        r"Duplicate GPU detected",
        "two processes of the run use the same GPU: the spec asks for more GPUs than there are",
        "leave num_gpus and gpu_ids out of the spec; gpu_indices in experiments.yml sets both",
    ),
    row(
        "gpu-busy",
        "busy or unavailable|DEVICE_UNAVAILABLE|DevicesUnavailable",
        r"busy or unavailable|CUDA_ERROR_DEVICE_UNAVAILABLE"
        r"|cudaErrorDevicesUnavailable",
        "the GPU is busy: another process has it, or it is in exclusive mode",
        "`nvidia-smi` shows who uses it; wait, or choose another one with gpu_indices",
    ),
    row(
        "gpu-too-new",
        "no kernel image|not compatible with the current|ARCH_MISMATCH|NO_BINARY_FOR_GPU"
        "|kernel image is invalid"
        "|unsupported gpu architecture|Unsupported SM|sm_|--gpu-architecture",
        r"no kernel image is available|not compatible with the current (?:PyTorch|TensorFlow) installation"
        r"|_STATUS_ARCH_MISMATCH|CUDA_ERROR_NO_BINARY_FOR_GPU|device kernel image is invalid"
        r"|[Uu]nsupported gpu architecture|Unsupported SM\b|invalid value for --gpu-architecture"
        r"|Value 'sm_\d{1,4}' is not defined for option",
        "the image's CUDA does not support this GPU",
        'use a newer "release", or a GPU that the image knows',
    ),
    row(
        "gpu-not-supported",
        "not supported by this TensorRT|no longer supports this GPU",
        r"Target GPU SM \d{1,4} is not supported|no longer supports this GPU",
        "this image does not support this GPU",
        'use a "release" that does: an older one for an old GPU',
    ),
    row(
        "cuda-too-old-for-gpu",
        "GEMM launch failed",
        r"Blas x?\w{0,6}GEMM\w{0,20} launch failed",
        "cuBLAS does not run on this GPU: the image's CUDA is too old for it, or its memory is taken",
        'use a newer "release"; `nvidia-smi` shows what else uses the GPU',
    ),
    row(
        "driver-too-old",
        "driver version is insufficient|river on your system is too old|unsatisfied condition: cuda"
        "|unsupported display driver|compatibility mode is UNAVAILABLE|ompatibility was attempted|error: 35"
        "|unsupported toolchain|UNSUPPORTED_PTX|SYSTEM_DRIVER_MISMATCH|InsufficientDriver",
        r"driver version is insufficient|[Dd]river on your system is too old|unsatisfied condition: cuda"
        r"|unsupported display driver|compatibility mode is UNAVAILABLE|forward compatibility was attempted"
        r"|CUDA initialization failure with error: 35\b|unsupported toolchain"
        r"|CUDA_ERROR_UNSUPPORTED_PTX_VERSION"
        r"|CUDA_ERROR_SYSTEM_DRIVER_MISMATCH|cudaErrorInsufficientDriver",
        "the NVIDIA driver is too old for this image",
        'update the driver, or use an older "release"',
    ),
    row(
        "illegal-memory-access",
        "illegal memory access|ILLEGAL_ADDRESS|IllegalAddress|misaligned address|MISALIGNED_ADDRESS",
        r"illegal memory access|CUDA_ERROR_ILLEGAL_ADDRESS|cudaErrorIllegalAddress|misaligned address"
        r"|CUDA_ERROR_MISALIGNED_ADDRESS",
        "an illegal memory access on the GPU{at_epoch}: a fault in code or data, rarely of the GPU",
        'check the labels; CUDA_LAUNCH_BLOCKING=1 in "env" shows where; else another batch size or "release"',
    ),
    row(
        "kernel-crashed",
        "launch failure|LAUNCH_FAILED|LaunchFailure|illegal instruction was encountered",
        r"unspecified launch failure|CUDA_ERROR_LAUNCH_FAILED|cudaErrorLaunchFailure"
        r"|illegal instruction was encountered",
        "a program on the GPU crashed (launch failure){at_epoch}",
        '`dmesg | grep -i xid` shows whether the GPU failed; CUDA_LAUNCH_BLOCKING=1 in "env" shows where it '
        "happens",
    ),
    row(
        "cudnn-versions",
        "cuDNN version incompatibility|ut source was compiled with",
        r"cuDNN version incompatibility: (?P<what>PyTorch was compiled {1,3}against [^\n]{1,80}?)(?:\. |$)"
        r"|Loaded runtime CuDNN library: [^\n]{1,40} but source was compiled with",
        "two versions of cuDNN meet: {what}",
        'leave LD_LIBRARY_PATH out of "env" and of the shell that starts the run; else use another "release"',
    ),
    row(
        "cudnn-failed",
        "cuDNN|CUDNN|cudnn|convolution algorithm|No algorithm worked",
        r"CUDNN_STATUS_(?:NOT_INITIALIZED|INTERNAL_ERROR|EXECUTION_FAILED|MAPPING_ERROR)"
        r"|cuDNN failed to initialize"
        r"|Failed to get convolution algorithm|No algorithm worked|[Cc]ould not create cudnn handle"
        r"|[Uu]nable to find a valid cuDNN algorithm",
        "cuDNN could not start: most often the GPU's memory is taken, or the image does not know this GPU",
        "see with `nvidia-smi` what else uses the GPU; use a smaller batch size{batch_key} or a newer "
        '"release"',
    ),
    row(
        "cublas-failed",
        "CUBLAS_STATUS|CUSOLVER_STATUS|CUSPARSE_STATUS",
        r"CU(?:BLAS|SOLVER|SPARSE)_STATUS_(?:NOT_INITIALIZED|EXECUTION_FAILED|INTERNAL_ERROR|INVALID_VALUE"
        r"|NOT_SUPPORTED)",
        "cuBLAS failed: most often the GPU's memory is full, or a label is out of range",
        "use a smaller batch size{batch_key}; compare the labels with num_classes",
    ),
    row(
        "cuda-in-child",
        "CUDA error: initialization error",
        r"CUDA error: initialization error",
        "CUDA did not start in a process of the run: its parent had used the GPU already, or the driver fails",
        "with 0 loader workers in the spec it runs, unless the driver fails: see whether `nvidia-smi` works, "
        "and restart the engine",
    ),
    row(
        "cuda-unknown",
        "CUDA driver error|unknown error|CUDA_ERROR_UNKNOWN|cudaErrorUnknown|OS call failed|initialization "
        "error|NotPermitted",
        r"CUDA error: (?:unknown error|OS call failed)|CUDA_ERROR_UNKNOWN|cudaErrorUnknown"
        r"|cuInit failed: (?:unknown|initialization) error|Error 999: unknown error|failure 999"
        r"|cuda error: unknown error"
        r"|CUDA unknown error|CUDA driver error: |CudaError: unknown error",
        "the GPU failed without giving a reason: driver, WSL or a sleep of the machine",
        "restart the docker engine (WSL: wsl --shutdown) or reboot, then try again; `nvidia-smi` and "
        "`dmesg` show more",
    ),
    row(
        "cuda-not-started",
        "(error ",
        r"^ {1,8}\[\[ (?P<what>[A-Z][^\n\]]{3,80} \(error \d{1,4}\)) \]\]",
        "CUDA does not start in the container: {what}",
        "driver and image do not fit, or the engine must be restarted: compare `nvidia-smi` with what the "
        "release needs",
    ),
    row(
        "cuda-refused",
        "CUDA error: ",
        r"CUDA error: (?P<what>(?!device-side|out of memory|invalid (?:argument|configuration|value)"
        r"|too many resources|peer )[a-z][^\n]{3,100})",
        "the GPU refused an operation: {what}",
        'CUDA_LAUNCH_BLOCKING=1 in "env" shows where; `nvidia-smi` and `dmesg | grep -i xid` show whether the GPU is '
        'well; if it is, use another "release"',
        weight=Weight.GENERAL,
    ),
    row(
        "cuda-refused",
        "CUDA error: ",
        r"CUDA error: (?P<what>(?!device-side|out of memory|peer )[a-z][^\n]{3,100})",
        "the GPU refused an operation: {what}",
        'CUDA_LAUNCH_BLOCKING=1 in "env" shows where; an empty or very large input can do it: check sizes '
        "and labels; else use "
        'another "release"',
        weight=Weight.GENERAL,
    ),
)
