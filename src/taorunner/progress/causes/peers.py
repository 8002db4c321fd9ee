"""Consequences of something else: another failed process, a signal, a clean-up."""

from __future__ import annotations

from taorunner.progress.causes.cause import Cause, Weight, row

PEERS: tuple[Cause, ...] = (
    row(
        "too-few-slots",
        "not enough slots",
        r"[Nn]ot enough slots available",
        "Open MPI sees fewer slots than the GPUs asked for",
        "ask for fewer GPUs: gpu_indices or gpus in experiments.yml",
    ),
    row(
        "mpi-root",
        "run as root",
        r"mpi(?:run|exec)\w{0,6} has detected an attempt to run as root",
        "Open MPI does not run as root",
        'set OMPI_ALLOW_RUN_AS_ROOT=1 and OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 in "env", or a "user"',
    ),
    row(
        "one-process",
        "process group has not been initialized",
        r"[Dd]efault process group has not been initialized",
        "the model wants several processes (synchronised batch normalisation), and there is one",
        "switch sync_batchnorm off in the spec, or train on several GPUs",
    ),
    row(
        "gpus-apart",
        "peer access is not supported|eer-to-peer access|peer mapping resources",
        r"peer access is not supported|peer mapping resources exhausted|[Pp]eer-to-peer access is not supported",
        "these GPUs have no direct access to each other (peer access){at_epoch}",
        'set NCCL_P2P_DISABLE=1 in "env", or use fewer GPUs',
        weight=Weight.PEERS,
    ),
    row(
        "nodes-apart",
        "[Multinode]",
        r"\[Multinode\] (?:Error overriding configs: (?P<why>[^\n]{1,200})|Using default configs)",
        "the nodes did not join, and each would train alone",
        "the names of the nodes must be known on all of them, and the port of the first one be free",
        weight=Weight.PEERS,
    ),
    row(
        "all-gpus-seen",
        "this cluster shows all GPUs of a node to every job",
        r"(?P<n>\d+) GPUs were asked for, and \d+ are seen: this cluster shows all GPUs of a node to every job",
        "this cluster shows all GPUs of a node to every job, so the run could take those of others",
        "ask its administrators for ConstrainDevices=yes, or take whole nodes: exclusive: true",
        weight=Weight.PEERS,
    ),
    row(
        "rank-beyond-count",
        "nvalid rank requested",
        r"[Ii]nvalid rank requested ?: ?(?P<what>\d{1,6}/\d{1,6})",
        "a process of the run has a number (rank) beyond their count: {what}",
        "leave WORLD_SIZE (the number of nodes) and NODE_RANK (from 0) to taorunner, or set them alike on "
        "each node",
        weight=Weight.PEERS,
    ),
    row(
        "nodes-fabric",
        "NET/IB",
        r"NCCL WARN NET/IB ?: [^\n]{0,60}(?:error|failed|timed? ?out)",
        "the network cards (InfiniBand, RoCE) of the nodes do not reach each other{at_epoch}",
        'name the right ones with NCCL_IB_HCA in "env", or go without: NCCL_IB_DISABLE=1',
        weight=Weight.PEERS,
    ),
    row(
        "nccl-versions",
        "ncclInvalidArgument|ncclInvalidUsage|blocking attribute",
        r"Invalid config blocking attribute value",
        "two versions of NCCL meet in this environment",
        'use another "release"; with the local backend, one environment with one PyTorch and one NCCL',
        weight=Weight.PEERS,
    ),
    row(
        "ranks-out-of-step",
        "mismatch between collectives",
        r"(?P<what>Rank \d{1,5} is running collective: [^\n,]{1,60})",
        "the processes of the run were not at the same step: {what}",
        "try one GPU; unequal shares of the data can do it: use a batch size{batch_key} that divides the "
        "dataset",
        weight=Weight.PEERS,
    ),
    row(
        "peer-ended",
        "ncclRemoteError|remote process exited|Horovod has been shut down|Connection closed by peer",
        r"ncclRemoteError|remote process exited|Horovod has been shut down"
        r"|Connection closed by (?:remote )?peer",
        "another process of the run ended first, so NCCL or Horovod gave up{at_epoch}",
        "look in the log for what that process (rank) printed before",
        weight=Weight.PEERS,
    ),
    row(
        "gpu-call-hung",
        "watchdog|Heartbeat monitor",
        r"NCCL watchdog hang|watchdog got stuck|Heartbeat monitor timed out",
        "a process of the run hung in a call to the GPU or to NCCL, until its watchdog ended it{at_epoch}",
        "see whether another rank failed before; `nvidia-smi` and `dmesg` show a GPU that hangs; where a step "
        'takes that long, set TORCH_NCCL_HEARTBEAT_TIMEOUT_SEC in "env"',
        weight=Weight.PEERS,
    ),
    row(
        "nccl",
        "Last error:",
        r"(?:NCCL error|nccl\w{1,20}Error)[\s\S]{0,600}?Last error: {0,2}\n?\s{0,4}"
        r"(?P<what>(?![^\n]{0,80}(?:shared memory|/dev/shm))[^\n]{1,160})",
        "the GPUs could not communicate through NCCL{at_epoch}: {what}",
        'see whether another rank failed before; NCCL_DEBUG=INFO in "env" shows more, NCCL_P2P_DISABLE=1 or one GPU '
        "may avoid it",
        weight=Weight.PEERS,
    ),
    row(
        "nccl",
        "NCCL|nccl|Heartbeat monitor",
        r"(?:NCCL error|nccl\w{1,20}Error)[\s\S]{0,600}?Last error: {0,2}\n?\s{0,4}(?P<what>[^\n]{1,160})|"
        r"setting up NCCL communicator[^\n]{0,200}error"
        r"|NCCL error|nccl(?:System|UnhandledCuda|Internal|InvalidUsage)Error|unhandled"
        r" (?:system|cuda) error|NCCL operations have failed or timed out|ProcessGroupNCCL[^\n]{0,80}[Tt]imeout"
        r"|collective operation timeout|NCCL communicator was aborted|Watchdog caught",
        "the GPUs could not communicate through NCCL{at_epoch}: {what}",
        'see whether another rank failed before; set a larger "shm_size", try NCCL_P2P_DISABLE=1 in '
        '"env", or train on one GPU',
        weight=Weight.PEERS,
    ),
    row(
        "peer-ended",
        "exited with non-zero status|process returned",
        r"one or more processes exited with non-zero status|\d{1,4} process(?:es)? returned$",
        "a process of the run failed first, and mpirun ended the others{at_epoch}",
        "look in the log for what that process printed before",
        weight=Weight.PEERS,
    ),
    row(
        "cleaning-up",
        "PyCUDA ERROR",
        r"PyCUDA ERROR: The context stack was not empty",
        "the program failed earlier and left CUDA open: this is a consequence",
        "the lines before it in the log say what failed",
        weight=Weight.PEERS,
    ),
    row(
        "terminated",
        "SIGTERM|death signal|killed by signal: Terminated",
        r"Received SIGTERM|SIGTERMException|Received Signals\.SIGTERM|Received 15 death signal|received SIGTERM"
        r"|killed by signal: Terminated|terminated with signal SIGTERM"
        r"|exited on signal 15\b|exitcode {0,4}: {0,2}-15\b",
        "ended by SIGTERM, which did not come from taorunner",
        "perhaps the engine or this machine was shut down",
        weight=Weight.SIGNAL,
    ),
    row(
        "crashed",
        "egmentation fault|signal 11|exitcode|SIGSEGV",
        r"Segmentation fault|terminated with signal SIGSEGV|exited on signal 11\b|exitcode {0,4}: {0,2}-11\b",
        "crashed (segmentation fault){at_epoch}",
        "often driver and image do not fit: compare `nvidia-smi` with what the release needs",
        weight=Weight.SIGNAL,
    ),
    row(
        "killed",
        "Killed|SIGKILL",
        r"^(?:\S{0,80}: line \d{1,6}: {1,4}\d{1,9} )?Killed(?: {2,}.{0,200})?$|terminated with signal SIGKILL",
        "a process of the run was killed (SIGKILL){at_epoch}, most likely because the host's memory ran out",
        "`dmesg` shows it; use fewer loader workers or a smaller batch size{batch_key}",
        weight=Weight.SIGNAL,
    ),
    row(
        "aborted",
        "Aborted|SIGABRT|signal 6",
        r"^Aborted(?: \(core dumped\))?$|exited on signal 6\b|Signal 6 \(SIGABRT\)",
        "aborted (SIGABRT)",
        "look at the last lines of the log",
        weight=Weight.SIGNAL,
    ),
    row(
        "library-crashed",
        "free(): |double free|corrupted size|munmap_chunk|malloc|terminate called|Floating point exception",
        r"free\(\): invalid|double free or corruption|corrupted (?:size vs|double-linked)|munmap_chunk\(\)"
        r"|malloc\(\): "
        r"|^Floating point exception|terminate called after throwing an instance of (?:'[\w:]{1,80}'"
        r"\n\s{1,8}what\(\): {1,4}(?P<what>[^\n]{1,200})|'(?P<path>[\w:]{1,80})')",
        "a library of the image crashed: {what}{path}",
        'the lines before it say what ran; try one loader worker or one GPU fewer, else another "release"',
        weight=Weight.SIGNAL,
    ),
    row(
        "interrupted",
        "was interrupted|System interruption|Detected KeyboardInterrupt",
        r"\b(?:Command|Training|Evaluation|Inference|Export(?:ing)?|Prun(?:e|ing)|(?:Dataset"
        r" )?[Cc]onversion|Quantization)"
        r" was interrupted|User/System interruption|Detected KeyboardInterrupt",
        "interrupted inside the container, not by taorunner",
        "look at the log for who sent the signal, then start it again",
        weight=Weight.SIGNAL,
    ),
    row(
        "child-failed",
        "ChildFailedError",
        r"ChildFailedError",
        "a process of the run failed first, and torchrun ended the others{at_epoch}",
        "look in the log for what that process (rank) printed before",
        weight=Weight.SIGNAL,
    ),
)
