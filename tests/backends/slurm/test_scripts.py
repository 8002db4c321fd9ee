"""The scripts of a run as texts: what each setting becomes, how containers are started, and that a shell can read them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from taorunner.backends.contract import Launch
from taorunner.backends.slurm.backend import create
from taorunner.backends.slurm.containers import image_file
from taorunner.backends.slurm.request import SlurmRequest
from taorunner.backends.slurm.script import batch_script, node_script
from taorunner.container_options import Mount
from taorunner.contracts import CheckpointContract, ResumeRule
from taorunner.errors import EngineRefusedError
from taorunner.planning.model.plan import GpuRequest, Resources, RunPlan
from taorunner.values.value import replace

IMAGE = "nvcr.io/nvidia/tao/tao-toolkit:7.0.1-pyt"


@pytest.fixture
def render(make_plan: Callable[..., RunPlan], tmp_path: Path) -> Callable[..., SlurmRequest]:
    def make(options: dict[str, Any], resources: Resources | None = None, **fields: Any) -> SlurmRequest:
        plan = make_plan("dino", "train", "-e", "/x y", backend="slurm", backend_options=options)
        plan = replace(plan, resources=resources or Resources(), **fields)
        request = create().request(plan, Launch("run-1", tmp_path / "runs" / "run-1"))
        for name, text in request.scripts.items():
            shell = "bash" if name.endswith("sbatch") else "sh"
            subprocess.run([shell, "-n"], input=text, text=True, check=True)
        return request

    return make


def directives(request: SlurmRequest) -> list[str]:
    text = request.scripts["slurm/run.sbatch"]
    return [line.removeprefix("#SBATCH ") for line in text.splitlines() if line.startswith("#SBATCH")]


def last_line(request: SlurmRequest) -> str:
    text = request.scripts["slurm/node.sh"]
    return text[text.index("\nexec ", text.index("LOGNAME")) + 1 :].replace(" \\\n    ", " ").strip()


def test_settings_become_words_of_slurm(render: Callable[..., SlurmRequest]) -> None:
    options = {
        "partition": "gpu", "account": "vision", "qos": "normal", "gpu_type": "h100", "cpus_per_gpu": 8,
        "mem_per_gpu": "64G", "exclusive": True, "constraint": "a|b", "options": ["--reservation=tao now"],
        "signal_before_s": 600, "umask": "0027", "env": {"NCCL_DEBUG": "INFO"}, "setup": ["module load cuda"],
    }  # fmt: skip
    request = render(options, Resources(nodes=2, gpus=GpuRequest(8), time_s=4 * 3600))
    assert directives(request) == [
        "--job-name=tr-run-1", "--comment=taorunner:run-1", "--nodes=2", "--ntasks-per-node=1", "--partition=gpu",
        "--account=vision", "--qos=normal", "--gpus-per-node=h100:8", "--cpus-per-gpu=8", "--mem-per-gpu=64G",
        "--exclusive", "--time=04:00:00", "--signal=B:USR2@600", "--open-mode=append", "--requeue",
    ]  # fmt: skip
    line = create().command_line(request)
    assert line.startswith("sbatch --parsable --export=NONE --output=")
    assert "'--constraint=a|b' '--reservation=tao now'" in line
    batch, node = request.scripts["slurm/run.sbatch"], request.scripts["slurm/node.sh"]
    assert "\numask 0027\n" in batch and "\nmodule load cuda\n" in batch
    assert "export WORLD_SIZE=$SLURM_JOB_NUM_NODES NUM_GPU_PER_NODE=8" in batch
    assert 'export NODE_RANK="$SLURM_NODEID"' in node and "\nexport NCCL_DEBUG=INFO\n" in node
    assert "WORLD_SIZE" not in render({}).scripts["slurm/run.sbatch"]


def test_limits_of_the_experiment_win_over_those_of_the_cluster(render: Callable[..., SlurmRequest]) -> None:
    wanted = Resources(gpus=GpuRequest(1), cpus=3, memory_bytes=(1 << 30) + 1, time_s=26 * 3600 + 90)
    found = directives(render({"cpus_per_gpu": 8, "mem_per_gpu": "1G", "time": "1h"}, wanted))
    assert found[4:] == [
        "--gpus-per-node=1", "--cpus-per-task=3", "--mem=1025M", "--time=1-02:01:30", "--signal=B:USR2@300",
        "--open-mode=append", "--requeue",
    ]  # fmt: skip


def test_a_signal_that_comes_too_early_is_refused(render: Callable[..., SlurmRequest]) -> None:
    with pytest.raises(EngineRefusedError, match="600 s is more than half of the time limit of 900 s"):
        render({"signal_before_s": 600}, Resources(time_s=900))


def test_a_training_that_would_begin_again_is_not_requeued(
    render: Callable[..., SlurmRequest], make_plan: Callable[..., RunPlan]
) -> None:
    contract = make_plan("x").contract
    kinds = {"--no-requeue": ResumeRule.ARGUMENT, "--requeue": ResumeRule.AUTO}
    for word, rule in kinds.items():
        kept = CheckpointContract(globs=("train/*.pth",), resume=rule)
        assert directives(render({}, contract=replace(contract, checkpoints=kept)))[-1] == word
    assert directives(render({"requeue": 0}))[-1] == "--no-requeue"


def container(render: Callable[..., SlurmRequest], runtime: str, tmp_path: Path, **more: Any) -> SlurmRequest:
    options = {
        "container": {"runtime": runtime, "images": "/shared/images"},
        "workspace": "/nodes/w s",
        **more,
    }
    mounts = (Mount(tmp_path / "data", "/data", read_only=True), Mount(Path("/scratch"), "/scratch"))
    env = {"A": "b c"}
    return render(options, Resources(gpus=GpuRequest(2)), image=IMAGE, mounts=mounts, env=env)


def test_pyxis(render: Callable[..., SlurmRequest], tmp_path: Path) -> None:
    request = container(render, "pyxis", tmp_path)
    folder = "/nodes/w s/runs/run-1"
    lines = request.scripts["slurm/run.sbatch"].splitlines()
    assert 'for log in console.log; do : >>"$D/$log"; done  # each is mounted' in lines
    step = next(line for line in lines if line.startswith("srun "))
    assert step == (
        "srun --export=ALL --kill-on-bad-exit=1 --wait=60"
        " --container-image=/shared/images/nvcr.io-nvidia-tao-tao-toolkit+7.0.1-pyt.sqsh"
        f" '--container-mounts=/nodes/w s/data:/data:ro,/scratch:/scratch,{folder}/input:/taorunner/run:ro,"
        f"{folder}/slurm/node.sh:{folder}/slurm/node.sh:ro,{folder}/slurm/console.log:{folder}/slurm/console.log'"
        " --no-container-mount-home --no-container-entrypoint"
        ' /bin/sh "$D/node.sh" &'
    )
    assert last_line(request).endswith(" run dino train -e '/x y'")


@pytest.mark.parametrize(
    ("runtime", "words"),
    [
        ("apptainer", ["exec apptainer exec --cleanenv --no-home --nv --bind '/nodes/w s/data:/data:ro' --bind /scratch:/scratch",
                       '--bind /scratch:/scratch --bind ', ' /shared/images/nvcr.io-nvidia-tao-tao-toolkit+7.0.1-pyt.sif /bin/sh -c']),
        ("charliecloud", ["exec ch-run --env-no-expand -b '/nodes/w s/data:/data' -b /scratch:/scratch",
                          '${own:+"$own"} --set-env=A="$A" /shared/images/nvcr.io-nvidia-tao-tao-toolkit+7.0.1-pyt -- /bin/sh -c']),
        ("docker", ['exec docker run --rm --init --name taorunner-run-1-"${SLURM_NODEID:-0}"',
                    "--mount 'type=bind,source=/nodes/w s/data,target=/data,readonly'", "--env NODE_RANK", "--env A",
                    f"{IMAGE} /bin/sh -c"]),
    ],
)  # fmt: skip
def test_other_runtimes(
    render: Callable[..., SlurmRequest], tmp_path: Path, runtime: str, words: list[str]
) -> None:
    line = last_line(container(render, runtime, tmp_path))
    assert [word for word in words if word not in line] == []
    assert line.endswith(" run dino train -e '/x y'")


HOSTILE = [
    "$(touch {}/x)",
    "`touch {}/x`",
    "'; touch {}/x; '",
    '"; touch {}/x; "',
    "a\ntouch {}/x\n",
    "${{x:?}}",
    "\\",
    "*",
    "-n",
    "a  b",
    "\x1b[2J",
    "%s",
    "{}",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_a_user_becomes_a_command_of_a_node(
    render: Callable[..., SlurmRequest], tmp_path: Path, text: str
) -> None:
    """As a value of a variable, as a word of the command, and in the path of the workspace; run by the shell of a node."""
    value = text.format(tmp_path)
    folder = tmp_path / "nodes" / value.replace("/", "_")
    for made in (folder, tmp_path / "runs/run-1"):
        made.mkdir(parents=True)
    said = tmp_path / "said"
    reader = "import json, os, sys; json.dump([os.environ['V'], sys.argv[1:]], open(sys.argv[1], 'w'))"
    argv = (sys.executable, "-c", reader, str(said), value)
    job = replace(render({"env": {"V": value}}, argv=argv).job, folder=str(folder), results=str(folder))
    subprocess.run(["sh", "-c", node_script(job)], check=True, env={"PATH": os.environ["PATH"]}, cwd=tmp_path)
    assert json.loads(said.read_text()) == [value, [str(said), value]]
    assert (folder / "console.log").exists()
    subprocess.run(["bash", "-n"], input=batch_script(job), text=True, check=True)
    request = render({"env": {"V": value}}, argv=argv)
    assert directives(request) == directives(render({"env": {"V": "plain"}}))
    assert not (tmp_path / "x").exists()


def test_a_path_that_a_runtime_cannot_mount_is_refused(
    render: Callable[..., SlurmRequest], tmp_path: Path
) -> None:
    with pytest.raises(EngineRefusedError, match='pyxis cannot mount "/a,b/data"'):
        container(render, "pyxis", tmp_path, workspace="/a,b")


def test_without_a_container_the_workspace_has_one_path(render: Callable[..., SlurmRequest]) -> None:
    with pytest.raises(EngineRefusedError, match="the nodes must see the workspace at the same path"):
        render({"workspace": "/elsewhere"})


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("a/b:1", "a-b+1.sqsh"),
        ("host:5000/a", "host-5000-a+latest.sqsh"),
        ("a/b:1@sha256:" + "0123456789abcdef" * 4, "a-b+1@0123456789ab.sqsh"),
    ],
)
def test_an_image_has_one_file(image: str, name: str) -> None:
    assert image_file(image, "pyxis") == name
