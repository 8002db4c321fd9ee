"""Causes in the machine: scheduler, memory, shared memory, disk and limits of processes."""

from __future__ import annotations

from taorunner.progress.causes.cause import Cause, Weight, row

MACHINE: tuple[Cause, ...] = (
    row(
        "time-limit",
        "DUE TO TIME LIMIT|due to time limit",
        r"(?:DUE TO TIME LIMIT|due to time limit)",
        "Slurm ended the job: its time limit was reached",
        "ask for more time (--time), then resume from the last checkpoint",
        weight=Weight.MACHINE,
    ),
    row(
        "node-failure",
        "NODE FAILURE|NODE_FAIL|ode failure",
        r"NODE FAILURE|NODE_FAIL\b|[Nn]ode failure on",
        "the node of the Slurm job failed",
        "submit it again and resume from the last checkpoint",
        weight=Weight.MACHINE,
    ),
    row(
        "evicted",
        "low on resource",
        r"node was low on resource: (?P<what>[\w-]{1,40})",
        "Kubernetes ended the pod, because its node ran low on {what}",
        "free space or memory on that node, or ask for them in clusters.yml; write large files to a volume",
        weight=Weight.MACHINE,
    ),
    row(
        "preempted",
        "DUE TO PREEMPTION|PREEMPTED",
        r"DUE TO PREEMPTION|\bPREEMPTED\b",
        "Slurm took the node for another job (preemption)",
        "submit it again and resume from the last checkpoint",
        weight=Weight.MACHINE,
    ),
    row(
        "job-cancelled",
        "CANCELLED AT",
        r"\*\*\* (?:JOB|STEP) [\w.+]{1,40} ON [^\n]{1,120} CANCELLED AT",
        "the Slurm job was cancelled",
        "`sacct -j JOB` shows by whom; submit it again and resume from the last checkpoint",
        weight=Weight.SIGNAL,
    ),
    row(
        "host-out-of-memory",
        "oom-kill|OOM Killed|Out of memory: Killed|Out Of Memory|OUT_OF_MEMORY",
        r"oom-kill|OOM Killed|Out of memory: Killed process|task \d{1,6}: Out Of Memory|\bState=OUT_OF_MEMORY",
        "the host's memory ran out{at_epoch}",
        "use fewer loader workers or a smaller batch size{batch_key}, or give this machine more memory",
        weight=Weight.MACHINE,
    ),
    row(
        "shared-memory",
        "us error|hared memory|/dev/shm|</torch_|exitcode|SIGBUS",
        r"exitcode {0,4}: {0,2}-7\b|Signal 7 \(SIGBUS\)|[Bb]us error|out of shared memory|insufficient shared "
        r"memory|[Nn]o space left on"
        r" device.{0,80}/dev/shm"
        r"|/dev/shm.{0,200}[Nn]o space left|[Uu]nable to (?:open|create|write|mmap|resize).{0,60}shared memory"
        r"|[Uu]nable to allocate shared memory|</torch_\w{1,60}>[^\n]{0,40}No space left on device"
        r"|creating shared memory segment|(?:extend|attach|truncate|posix_fallocate).{0,60}/dev/shm",
        "shared memory ran out in a data loader{at_epoch}",
        'set a larger "shm_size" (for example 16g) in experiments.yml, or use fewer loader workers',
        weight=Weight.RESOURCE,
    ),
    row(
        "cuda-out-of-memory",
        "out of memory|OutOfMemory|ResourceExhausted|OUT_OF_MEMORY|OOM when|out of GPU "
        "memory|ALLOC_FAILED|MemoryAllocation",
        r"CUDA (?:error: )?out of memory|OutOfMemoryError(?!')|CUDA_ERROR_OUT_OF_MEMORY: out of memory"
        r"|OOM when allocating(?![^\n]{0,300}by allocator cpu)|Cuda Runtime \(out of memory\)|OutOfMemory \(no further"
        r"|ResourceExhaustedError: failed to allocate memory|[Rr]an out of GPU memory|CU(?:DNN"
        r"|BLAS)_STATUS_ALLOC_FAILED|cudaErrorMemoryAllocation"
        r"|CUDA runtime (?:error|API error)[^\n]{0,80}out of memory|[Cc]uda(?: failure| Error|"
        r" error)[^\n]{0,40}out of memory|cu\w{1,30} failed: out of memory",
        "CUDA out of memory{at_epoch}",
        "use a smaller batch size{batch_key} or a GPU with more memory",
        weight=Weight.RESOURCE,
    ),
    row(
        "kernel-table-full",
        "cgroup|inotify|keyring",
        r"(?P<what>cgroup|inotify|keyring)[^\n]{0,200}(?:[Nn]o space left on device|limit reached)",
        "the kernel of the machine can make no further {what}: a limit of it is reached, not one of a disk",
        "start the run on another node; the machine's administrator can raise the limit (sysctl) or reboot it",
        weight=Weight.RESOURCE,
    ),
    row(
        "shared-memory",
        "Errno 28",
        r"\[Errno 28\] No space left on device$",
        "shared memory ran out{at_epoch}",
        'set a larger "shm_size" (for example 16g) in experiments.yml, or use fewer loader workers',
        frame=r"multiprocessing/(?:synchronize|shared_memory|heap)\.py",
        weight=Weight.RESOURCE,
    ),
    row(
        "node-image-disk-full",
        "o space left",
        r"(?:pyxis|enroot|squashfs|apptainer|singularity|charliecloud)[^\n]{0,160}[Nn]o space left on device",
        "the disk of the node on which images are unpacked is full",
        "import the image once into a file, or let ENROOT_CACHE_PATH and ENROOT_DATA_PATH name a larger disk",
        weight=Weight.RESOURCE,
    ),
    row(
        "temporary-disk-full",
        "o space left|Errno 28",
        r"(?:No space left on device|\[Errno 28\])[^\n]{0,60}?'(?P<path>/(?:[^'\n/]{1,80}/){0,6}"
        r"[^'\n/]{0,40}tmp[^'\n/]{0,40}/[^'\n]{0,200})'(?! ->)"
        r"|(?P<bare>/(?:[^\s'/;:]{1,80}/){0,6}[^\s'/;:]{0,40}tmp[^\s'/;:]{0,40}/[^\s';:]{1,200}); No space "
        r"left",
        'the disk of the temporary files is full{at_epoch}: "{path}"',
        'free space there, or set TMPDIR in "env" to a folder with more space',
        weight=Weight.RESOURCE,
    ),
    row(
        "disk-full",
        "o space left|quota exceeded|Errno 28|Errno 122",
        r"[Nn]o space left on device(?::? ['\"](?P<path>/[^'\"\n]{1,300})['\"])?|Disk quota exceeded"
        r"|\[Errno 28\]|\[Errno 122\]",
        "the disk is full{at_epoch}",
        "free space where the results are written, or point the mounts at a larger disk",
        weight=Weight.RESOURCE,
    ),
    row(
        "host-out-of-memory",
        "llocate memory|MemoryError|bad_alloc|illed|exited on signal|exitcode|Unable to allocate|OutOfMemoryError'"
        "|by allocator cpu",
        r"[Cc]annot allocate memory(?! in static TLS)|in function 'OutOfMemoryError'"
        r"|OOM when allocating[^\n]{0,300}by allocator cpu"
        r"|\bMemoryError\b|std::bad_alloc|killed by signal: (?:9|Killed)"
        r"|exited on signal 9|Unable to allocate [\d.]{1,12} [KMGT]iB for an array"
        r"|exitcode {0,4}: {0,2}-9",
        "the host's memory ran out{at_epoch}",
        "use fewer loader workers or a smaller batch size{batch_key}, or give this machine more memory",
        weight=Weight.RESOURCE,
    ),
    row(
        "checkpoint-not-written",
        "enforce fail at inline_container|unexpected pos|StreamWriter failed",
        r"unexpected pos \d{1,20} vs|PytorchStreamWriter failed writing|enforce fail at inline_container",
        "a checkpoint could not be written completely: most often the disk is full{at_epoch}",
        "free space where the results are written, or point the mounts at a larger disk",
    ),
    row(
        "loader-crashed",
        "killed by signal",
        r"DataLoader worker \([^)\n]{1,80}\) is killed by signal: (?:Segmentation fault|Aborted|Illegal"
        r" instruction|Floating point exception)",
        "a loader worker crashed{at_epoch}, most often on a damaged image",
        "`taorunner dataset check --deep` reads every image; with 0 loader workers the log shows where "
        "it happens",
    ),
    row(
        "loader-ended",
        "exited unexpectedly",
        r"DataLoader worker \([^\n]{1,120}\) exited unexpectedly",
        "a loader worker ended without a message{at_epoch}: most often shared memory or the host's memory "
        "ran out",
        'set a larger "shm_size" or use fewer loader workers; `dmesg` shows whether the kernel killed one',
    ),
    row(
        "loader-ended",
        "in memory thread exited|DataLoader timed out|resource_sharer|digest sent was rejected|rebuild_storage",
        r"[Pp]in memory thread exited unexpectedly|DataLoader timed out after|digest sent was rejected",
        "the processes that load the data stopped answering{at_epoch}: most often memory ran out",
        'use fewer loader workers or pin_memory: false in the spec; a larger "shm_size" in experiments.yml',
    ),
    row(
        "loader-ended",
        "ConnectionResetError|ConnectionRefusedError|EOFError|BrokenPipeError|FileNotFoundError",
        r"^(?:ConnectionReset|ConnectionRefused|EOF|BrokenPipe)Error\b"
        r"|FileNotFoundError: \[Errno 2\] No such file or directory$",
        "a process that loads the data ended{at_epoch}: most often memory or shared memory ran out",
        'use fewer loader workers; set a larger "shm_size" in experiments.yml; `dmesg` shows killed processes',
        frame=r"multiprocessing/(?:connection|queues|reduction|resource_sharer|synchronize|managers)",
    ),
    row(
        "loader-starts-by-pickle",
        "an't pickle|annot pickle|annot be pickled",
        r"(?P<what>[Cc](?:an't|annot) pickle [^\n]{1,120})",
        "a loader process could not be started: {what}",
        "set the number of loader workers (dataset.workers) to 0 in the spec",
    ),
    row(
        "loader-uses-gpu",
        "re-initialize CUDA in forked subprocess",
        r"re-initialize CUDA in forked subprocess",
        "a loader process uses the GPU, which a forked process cannot",
        "set the number of loader workers (dataset.workers) to 0 in the spec",
    ),
    row(
        "mpi-start",
        "unable to reliably start one or more|orted: |prted: |daemon did not report back|daemon exited "
        "unexpectedly",
        r"unable to reliably start one or more daemons|(?:orted|prted): (?:command )?not found"
        r"|ORTE daemon (?:did not report back|has unexpectedly failed|exited unexpectedly)",
        "mpirun (Open MPI) could not start its helper process on a node",
        "each node needs Open MPI on its PATH, an ssh login by its name, and a writable /tmp",
    ),
    row(
        "name-too-long",
        "ile name too long|Errno 36",
        r"[Ff]ile name too long(?::? ?['\"](?P<path>[^'\"\n]{1,120}))?",
        'a file name is too long: "{path}"',
        "shorten the names of experiment, results folder or checkpoint",
    ),
    row(
        "open-files",
        "oo many open files|Errno 24|of ancdata",
        r"[Tt]oo many open files|\[Errno 24\]|received 0 items of ancdata",
        "the limit of open files was reached{at_epoch}",
        'raise "nofile" under DockerOptions ulimits in .tao_mounts.json, or use fewer loader workers',
    ),
    row(
        "too-many-processes",
        "start new thread|emporarily unavailable|pthread_create|hread creation failed|spawn new thread",
        r"can't (?:start|spawn) new thread|[Tt]hread creation failed|pthread_create failed"
        r"|what\(\): {1,4}Resource temporarily unavailable|fork: (?:retry: )?Resource temporarily unavailable|"
        r"\[Errno 11\] Resource temporarily unavailable",
        "the limit of processes and threads was reached{at_epoch}",
        'use fewer loader workers, or raise "nproc" under DockerOptions ulimits in .tao_mounts.json',
    ),
    row(
        "storage-fault",
        "nput/output error|tale file handle|ransport endpoint|Errno 5]|Errno 116",
        r"[Ii]nput/output error(?:: ['\"](?P<path>/[^'\"\n]{1,300})['\"])?|[Ss]tale (?:NFS )?file handle"
        r"|[Tt]ransport endpoint is not connected",
        "the disk or file server behind a mount failed{on_path}",
        "`dmesg` and `df` on the host show more; mount it again, then start the run again",
    ),
    row(
        "cpu-lacks-instructions",
        "was compiled to use|llegal instruction",
        r"was compiled to use (?P<what>[\w. ,]{1,60}) instructions, but|Illegal instruction",
        "this CPU lacks instructions that the image was built for: {what}",
        "use a machine with a newer CPU (AVX, AVX2)",
    ),
    row(
        "other-cpu",
        "xec format error",
        r"[Ee]xec format error",
        "the image is made for another kind of CPU",
        "use an image for this machine (x86-64 or arm64)",
    ),
    row(
        "tao-missing",
        "No module named 'nvidia_tao",
        r"Error: No module named '(?P<what>nvidia_tao\w{0,30})",
        'the python that ran has no TAO: "{what}" is missing',
        'check "image" and "release" in experiments.yml; with the local backend, which python is first on PATH',
    ),
    row(
        "written-with-numpy-2",
        "No module named 'numpy._core",
        r"No module named 'numpy\._core",
        "a file was written with numpy 2, which the numpy 1 of this image cannot read",
        "write that .pkl or .npy file again with numpy 1 (pip install 'numpy<2')",
    ),
    row(
        "image-lacks",
        "No module named|is not available. Please install|is not installed",
        r"(?:ModuleNotFound|Import)Error: No module named '(?P<what>[\w.]{1,100})'"
        r"|\bImportError: (?P<path>[\w.]{1,100}) is not (?:(?:available|installed)\. Please install"
        r"|installed or failed to import)",
        'this image does not contain "{what}{path}"',
        'use an image or "release" that is made for this network and action (`taorunner networks`)',
    ),
    row(
        "image-lacks-library",
        "cannot open shared object file|Could not load this library",
        r"(?P<what>lib(?!cuda\.so|nvidia-ml)[\w.+-]{1,80}): cannot open shared object file"
        r"|Could not load this library: (?P<path>[^\s'\"]{1,300})",
        'a library is missing in this image: "{what}{path}"',
        'use another "release", or an image that holds it, built for its Python',
    ),
    row(
        "image-does-not-fit",
        "cannot import name|only 0-dimensional arrays|module 'numpy' has no attribute|numpy.dtype size changed"
        "|Could not run 'torchvision|inhomogeneous shape|undefined symbol|deprecated alias|__init__() missing"
        "|GLIBC|registry. Please check|Descriptors can|ANTIALIAS|ndarray size changed|interpreted as an integer"
        "|has no attribute|detected CUDA version",
        r"(?P<what>The detected CUDA version \([\d.]{1,12}\) mismatches"
        r"|cannot import name '[^'\n]{1,100}'(?: from '[^'\n]{1,120}')?"
        r"|only 0-dimensional arrays can be converted to Python scalars"
        r"|module 'numpy' has no attribute '\w{1,40}'"
        r"|version `GLIBC\w{0,6}_[\d.]{1,12}' not found|\w{1,80} is not in the [\w:]{1,80} registry(?=\. "
        r"Please check)"
        r"|\w{1,80}\.__init__\(\) missing \d{1,3} required positional arguments?: '\w{1,60}'"
        r"|Could not run 'torchvision::\w{1,40}'"
        r"|module '[\w.]{1,60}' has no attribute '\w{1,60}'|Descriptors cannot (?:not )?be created directly"
        r"|numpy\.ndarray size changed|'numpy\.float\w{0,3}' object cannot be interpreted as an integer"
        r"|numpy\.dtype size changed|undefined symbol: \w{1,120}|`np\.\w{1,20}` was a deprecated alias)",
        "the packages of this image do not fit together: {what}",
        'a fault of the image rather than of spec or data: use another "release"',
    ),
    row(
        "extension-not-built",
        "CUDA_HOME|compiling objects for extension|Ninja is required|rror building extension|['ninja'",
        r"CUDA_HOME environment variable is not set|Command '\['ninja'[^\n]{0,80} returned non-zero"
        r"|Error compiling objects for extension"
        r"|Ninja is required to load C\+\+ extensions|Error building extension '(?P<what>\w{1,60})'",
        "an extension of PyTorch was to be compiled, and this image lacks the compiler: {what}",
        'use the image that was made for this network and "release", which holds it compiled',
    ),
    row(
        "node-lacks-command",
        "command not found",
        r"(?P<what>(?:enroot|apptainer|singularity|nvidia-container)[\w-]{0,40}): command not found",
        'the node lacks "{what}": its container tools are not installed completely',
        "ask the cluster's administrator about that node; submit to another one meanwhile",
    ),
    row(
        "no-such-command",
        ": not found|command not found",
        r"(?:exec: |line \d{1,6}: |bash: )(?P<what>[\w.-]{1,80}): (?:command )?not found",
        'the image has no command "{what}"',
        'is it the image of this network? check "image" and "release" in experiments.yml',
    ),
    row(
        "no-such-command",
        "unable to launch the specified application",
        r"mpi(?:run|exec) was unable to launch the specified application",
        "mpirun could not start the program: this image lacks it, or it may not be executed",
        'is it the image of this network? check "image" and "release" in experiments.yml',
    ),
)
