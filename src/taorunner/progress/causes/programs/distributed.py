"""Causes in the start of a run of several processes: ranks, names, addresses, cores.

Source: torch/distributed/rendezvous.py, torch/csrc/distributed/c10d (socket.cpp, reducer.cpp), NCCL's bootstrap.cc and
socket.cc, Gloo's transport, Open MPI's help texts.
"""

from __future__ import annotations

from taorunner.progress.causes.cause import Cause, Weight, row

DISTRIBUTED: tuple[Cause, ...] = (
    row(
        "rank-twice",
        "has already checked in",
        r"(?P<what>rank \d{1,6} of \d{1,6}) ranks has already checked in",
        "two processes of the run were started as the same one: {what}",
        "start each process once: leave WORLD_SIZE, NODE_RANK and the tasks of the job (--ntasks) to taorunner",
    ),
    row(
        "models-differ",
        "expects same model across all ranks|in this process with",
        r"expects same model across all ranks, but (?P<what>Rank \d{1,5} has [\w ]{1,80})"
        r"|in this process with (?:sizes|strides) [^\n]{1,80} appears not to match",
        "the processes of the run built different models: {what}",
        "give all nodes the same spec, weights and image, or train on one GPU to see whether it works there",
    ),
    row(
        "launch-variable",
        "expected, but not set",
        r"environment variable (?P<what>[A-Z_]{2,40}) expected, but not set",
        "the environment says that the run has several processes, and lacks {what}",
        'set none of WORLD_SIZE, RANK, MASTER_ADDR and MASTER_PORT in "env" and in the shell (taorunner sets them), '
        "or all of them",
    ),
    row(
        "node-name-unknown",
        "gai error",
        r"\(?(?P<what>[\w.-]{1,100}), \d{1,5}\)? cannot be retrieved \(gai error",
        'the name of the first node cannot be resolved: "{what}"',
        "use its address instead (MASTER_ADDR), or let all nodes know the name (DNS, /etc/hosts)",
    ),
    row(
        "too-few-cores",
        "processes than cpus|binding more processes",
        r"processes than cpus on a resource|binding more processes than cpus",
        "Open MPI sees fewer CPU cores than the processes of the run need",
        "give the run more CPU cores (of a Slurm job: --cpus-per-task), or ask for fewer GPUs",
    ),
    row(
        "nodes-not-connected",
        "Connect to |onnect to |onnectFullMesh|No route to host",
        r"(?:socket(?:Start|Poll)Connect|NCCL WARN (?:Call to connect|Net))\w{0,10}:? ?"
        r"(?P<what>[Cc]onnect to [^\s]{1,80}[^\n]{0,80})"
        r"|connectFullMesh failed"
        r"|NCCL WARN[^\n]{0,120}No route to host",
        "the processes of the run cannot connect to each other: {what}",
        'name the network card that reaches the other nodes, with NCCL_SOCKET_IFNAME in "env" (for Gloo: '
        "GLOO_SOCKET_IFNAME); a firewall or a process that failed earlier does it, too",
        weight=Weight.PEERS,
    ),
    row(
        "peer-ended",
        "terminated with exit code",
        r"ProcessExitedException: process \d{1,6} terminated with exit code",
        "a process of the run failed first, and the others were ended{at_epoch}",
        "look in the log for what that process printed before",
        weight=Weight.PEERS,
    ),
    row(
        "process-ended",
        "terminated abruptly",
        r"process pool was terminated abruptly",
        "a process of the run ended without a message{at_epoch}: most often the host's memory ran out",
        "`dmesg` shows whether it was killed; use fewer loader workers or a smaller batch size{batch_key}",
        weight=Weight.SIGNAL,
    ),
    row(
        "peer-ended",
        "MPI_ABORT was invoked",
        r"MPI_ABORT was invoked on rank \d{1,6}",
        "a process of the run failed first, and Open MPI ended the others{at_epoch}",
        "look in the log for what that process printed before",
        weight=Weight.PEERS,
    ),
)
