"""The parsers of what clusters answer, and of what their jobs leave in the folder of a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reader import Reader, dumped, from_file, text_of

from taorunner.errors import TaorunnerError
from taorunner.host_commands import CommandResult, RawResult

RESOURCES: dict[str, Any] = {"nodes": 2, "time_s": 7200}
SETTINGS = {"partition": "gpu,low", "account": "vision", "qos": "normal", "gpu_type": "h100"}


def of_clusters(place: Path) -> Iterator[Reader]:
    from taorunner.backends.slurm import said as sayings
    from taorunner.backends.slurm import states
    from taorunner.backends.slurm.scheduler import read_sacct, read_squeue
    from taorunner.backends.slurm.site.node_probe import read_step, step_words
    from taorunner.backends.slurm.site.site_check import check_site
    from taorunner.planning.model.plan import GpuRequest, Resources

    asked = states.Asked("gpu", "vision", "normal", 2, "h100", "1:00", "4G", "/w")

    def queue(data: bytes) -> None:
        for row in read_squeue(text_of(data)):
            states.state_of(row.state)
            states.never_starts(row.reason, asked)
            states.waiting_text(row.reason, None, asked, row.id)

    rows = b"7|RUNNING|None|n1|x|tr-run-1\n8|PENDING|Resources,(x: n[1-4])||y|tr-run-2\n9|PENDING|QOSMaxCpuPerJobLimit||y|t\n"
    yield Reader("squeue", [rows], queue)

    def ends(data: bytes) -> None:
        for row in read_sacct(text_of(data)):
            ended = states.Ended(row.state, row.exit_code, row.by)
            states.end_of(ended, asked, messages=text_of(data), was_started=False, near_limit=True)

    yield Reader("sacct", [b"7|CANCELLED by 1000|0:15|2026-01-01T00:00:00|tr-run\n8|TIMEOUT|0:0|x|t\n"], ends)
    said = [
        b"sbatch: error: invalid partition specified: gpuu\n", b"srun: error: Node failure on n1\nsrun: Step created for x\n",
        b"pyxis: [ERROR] Could not process JSON input", b"slurmstepd: error: Detected 1 oom_kill event in StepId=7.0",
    ]  # fmt: skip

    def messages(data: bytes) -> None:
        text = text_of(data)
        states.refusal(text, asked)
        text = text[-16 * 1024 :]  # as the folder of a run gives them
        sayings.silent_end(text, asked.workspace)
        states.tells_of_oom(text)
        step_words(text)
        read_step(text)

    yield Reader("messages of Slurm", said, messages)
    answers = [
        b"gpu|up|4:00:00|4|mix|gpu:h100:4(S:0-1)\nlow|up|infinite|2|idle|(null)\n", b"enforced associations,limits,qos\nvision|gpu|normal,high\n",
        b"gpu|n1|drain|kernel panic\n", b"taorunner-node|n1|token|/usr/bin/srun|\n", b"slurm 22.05.8\n",
    ]  # fmt: skip

    def site(data: bytes) -> None:
        def ask(argv: Any, within_s: float) -> CommandResult:
            return CommandResult(
                tuple(argv), len(data) % 2 if "--version" not in argv else 0, text_of(data), text_of(data)
            )

        list(check_site(SETTINGS, Resources(gpus=GpuRequest(2), **RESOURCES), ask, ("/w/token", "token")))

    yield Reader("answers of a site", answers, site)
    yield from _of_files(place)


def _of_files(place: Path) -> Iterator[Reader]:
    from taorunner.backends.far.files import look
    from taorunner.backends.slurm.folder import Cluster, Folder
    from taorunner.backends.slurm.states import Asked
    from taorunner.project.clusters.cluster_file import load_clusters
    from taorunner.project.workspace import Workspace

    folder = Folder(place / "runs" / "run-1")
    folder.path.mkdir(parents=True)
    folder.write({"slurm/run.sbatch": "x"}, Cluster("login1", "run-1", 600, Asked("gpu", gpus=2)))
    folder.keep_job("7")
    event = {"at": "2026-01-01T00:00:00.000Z", "attempt": 1, "job": "7", "node": "n1", "event": "started"}
    files = {
        "cluster.json": (folder.path / "cluster.json").read_bytes(),
        "job.json": (folder.path / "job.json").read_bytes(),
        "exit": b"143 2026-01-01T00:00:00.000Z\n",
        "end.json": dumped(
            {
                "exit_code": 1,
                "oom_killed": False,
                "at": "2026-01-01T00:00:00+00:00",
                "end": {"reason": "r", "hint": None},
            }
        ),
        "slurm.jsonl": dumped(event) + b"\n" + dumped({**event, "event": "ended:143:limit"}) + b"\n",
        "slurm.out": b"srun: error: Node failure on n1\n",
    }

    def everything() -> None:
        cluster, messages = folder.cluster(), folder.messages
        (
            folder.job(),
            folder.exit(),
            folder.kept_end(),
            folder.starts(),
            folder.silent_for_s(),
            folder.has_output,
        )
        if cluster is not None:
            assert isinstance(cluster.asked.gpu_words, str)
        assert messages is None or messages.translate({9: " ", 10: " "}).isprintable()

    for name, seed in files.items():
        yield Reader(f"{name} of a job", [seed], from_file(folder.path / name, everything))

    class Login:
        host = "login1"

        def __init__(self, data: bytes) -> None:
            self.data = data

        def run_raw(self, argv: Any, **_: Any) -> RawResult:
            return RawResult(tuple(argv), 0, self.data, b"")

    row = b"f\x0012\x00300\x001796000000.5\x001000\x00644\x001\x00\x00/w/models/e/status.json\x00"

    def far(data: bytes) -> None:
        login: Any = Login(data)
        look(login, ["/w/x"]).trusted("/w/models/e/status.json")

    yield Reader("files of a login host", [b"1000\x001796000000.1\x00" + row * 2 + b"end\x00"], far)
    workspace = Workspace(place)
    text = b"""clusters:
  site: {backend: slurm, host: login1, partition: gpu, time: "4:00:00", options: [--reservation=x], env: {A: b}, nodes: 2,
    container: {runtime: pyxis, images: /i}, setup: ["module load x"]}
  other: {backend: docker}
"""
    yield Reader(
        "clusters.yml",
        [text],
        from_file(workspace.clusters_file, lambda: load_clusters(workspace, {})),
        (TaorunnerError,),
    )
