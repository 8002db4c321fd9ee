"""Reads what Slurm's commands print, and says what is wrong with a cluster before a run waits for ever."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from taorunner.backends.slurm.site_check import (
    Association,
    Gpus,
    Partition,
    check_site,
    gres_gpus,
    read_associations,
    read_partitions,
    refusals,
    slurm_seconds,
)
from taorunner.errors import MachineError, Severity
from taorunner.host_commands import CommandResult
from taorunner.planning.model.plan import GpuRequest, Resources

SINFO = """\
gpu|up|2-00:00:00|3|idle|gpu:h100:8(S:0-1)
gpu|up|2-00:00:00|9|alloc|gpu:h100:8(S:0-1)
gpu|up|2-00:00:00|1|down*|gpu:l4:4
cpu|up|infinite|2|idle~|(null)
old|down|30:00|1|drain|gpu:2,shard:8
a line that is none
"""
GPU = Partition("gpu", True, 2 * 86400, 13, 3, (Gpus("h100", 8, 12), Gpus("l4", 4, 1)))
PARTITIONS = {
    "gpu": GPU,
    "cpu": Partition("cpu", True, None, 2, 2),
    "old": Partition("old", False, 1800, 1, 0, (Gpus("", 2, 1),)),
}


def test_partitions_are_read_from_their_rows() -> None:
    assert read_partitions(SINFO) == PARTITIONS
    assert GPU.gpu_text == "h100:8 ×12, l4:4 ×1"
    assert read_partitions("") == {}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2-00:00:00", 172800),
        ("4:00:00", 14400),
        ("30:00", 1800),
        ("60", 3600),
        ("1-02", 93600),
        ("infinite", None),
    ],
)
def test_time_limits_are_read_as_slurm_prints_them(text: str, seconds: int | None) -> None:
    assert slurm_seconds(text) == seconds


def test_gpus_are_read_without_their_sockets() -> None:
    assert gres_gpus("gpu:h100:8(S:0,1),shard:4,gpu:2") == [("h100", 8), ("", 2)]
    assert gres_gpus("(null)") == []


def test_accounts_are_read() -> None:
    assert read_associations("vision||normal,high\ninfra|gpu|\n\n") == [
        Association("vision", "", ("normal", "high")),
        Association("infra", "gpu", ()),
    ]


@pytest.mark.parametrize(
    ("settings", "resources", "expected"),
    [
        ({"partition": "gpu", "gpu_type": "h100"}, Resources(2, GpuRequest(8), time_s=86400), []),
        ({}, Resources(time_s=10**7), []),
        (
            {"partition": "gpus"}, Resources(),
            [("cluster-partition", 'there is no partition "gpus"', 'did you mean "gpu"?')],
        ),
        (
            {"partition": "gpu"}, Resources(gpus=GpuRequest(1), time_s=99 * 3600),
            [("cluster-time", 'a run would wait for ever: 4d 03h are asked for, "gpu" allows 2d 00h',
              "time: at most 2-00:00:00")],
        ),
        ({"partition": "gpu,cpu"}, Resources(time_s=99 * 3600), []),
        (
            {"partition": "gpu", "gpu_type": "h10"}, Resources(gpus=GpuRequest(8)),
            [("cluster-gpus", 'no node of "gpu" has 8 GPUs of type h10: there are h100:8 ×12, l4:4 ×1',
              'did you mean "h100"?')],
        ),
        (
            {"partition": "gpu", "gpu_type": "l4"}, Resources(gpus=GpuRequest(8)),
            [("cluster-gpus", 'no node of "gpu" has 8 GPUs of type l4: there are h100:8 ×12, l4:4 ×1',
              "gpus: and gpu_type: as sinfo has them")],
        ),
        (
            {"partition": "cpu"}, Resources(3),
            [("cluster-nodes", '"cpu" has 2 nodes, not 3', "use fewer nodes, or another partition")],
        ),
        (
            {"partition": "old"}, Resources(),
            [("cluster-partition", 'the partition "old" is closed', "ask the site, or name another partition")],
        ),
    ],
)  # fmt: skip
def test_what_would_wait_for_ever_is_refused(
    settings: dict[str, Any], resources: Resources, expected: list[tuple[str, str, str]]
) -> None:
    found = list(refusals(settings, resources, PARTITIONS))
    assert [(one.code, one.message, one.hint) for one in found] == expected
    assert all(one.severity is Severity.ERROR for one in found)


class Site:
    """Answers by the beginning of a command."""

    def __init__(self, **answers: tuple[int, str, str]) -> None:
        self.answers = {
            "sinfo --version": (0, "slurm 22.05.8\n", ""), "sinfo -h": (0, SINFO, ""),
            "sh -c sacctmgr": (0, "vision||normal\ninfra||high\n", ""), "sh -c srun --help": (0, "", ""),
            "sh -c ls": (0, "a.sqsh\n", ""), "srun": (0, "gpu-03\ntoken\n", ""),
            "df": (0, "Filesystem\nx 100 1 99000000 1% /lustre\n", ""),
            **{key.replace("_", " "): value for key, value in answers.items()},
        }  # fmt: skip

    def __call__(self, argv: Sequence[str], within_s: float) -> CommandResult:
        line = " ".join(argv)
        for start, (code, out, err) in self.answers.items():
            if line.startswith(start):
                return CommandResult(tuple(argv), code, out, err)
        raise AssertionError(line)


SETTINGS = {
    "host": "login1", "partition": "gpu", "account": "vision", "qos": "normal", "gpu_type": "h100",
    "container": {"runtime": "pyxis", "images": "/lustre/images"},
}  # fmt: skip


def said(site: Site, **changes: Any) -> list[tuple[str, str, str]]:
    settings = {key: value for key, value in {**SETTINGS, **changes}.items() if value is not None}
    found = check_site(settings, Resources(2), site, ("/lustre/ws/.taorunner/cluster-check", "token"))
    return [(one.severity.value, one.code, one.message) for one in found][1:]


def test_a_good_site_is_proved_line_by_line() -> None:
    assert said(Site()) == [
        ("ok", "cluster-partition", "gpu: 13 nodes, 3 idle; GPUs h100:8 ×12, l4:4 ×1; limit 2d 00h"),
        ("ok", "cluster-account", "vision; yours are infra, vision"),
        ("ok", "cluster-runtime", "pyxis, seen where the commands run"),
        ("ok", "cluster-folder", "/lustre/ws/.taorunner: written here, read on gpu-03"),
        ("ok", "cluster-images", "/lustre/images: 1 there"),
        ("ok", "cluster-disk", "94.4 GiB free where the workspace is"),
    ]


def test_each_fault_is_a_line_of_its_own() -> None:
    broken = Site(
        srun=(1, "gpu-03\n", "cat: no such file"), df=(0, "F\nx 100 1 1000 1% /l\n", ""),
        **{"sh_-c_ls": (2, "", "no"), "sh_-c_srun_--help": (1, "", "")},
    )  # fmt: skip
    found = said(broken, account="visoin", qos="hihg", gpu_type="a100")
    assert [(severity, code) for severity, code, _ in found] == [
        ("error", "cluster-gpus"), ("ok", "cluster-partition"), ("error", "cluster-account"),
        ("error", "cluster-runtime"), ("error", "cluster-folder"), ("error", "cluster-images"),
        ("warning", "cluster-disk"),
    ]  # fmt: skip
    assert said(Site(), qos="hihg")[2] == ("error", "cluster-qos", 'your account has no QOS "hihg"')


def test_what_cannot_be_proved_is_no_error() -> None:
    busy = Site(
        srun=(1, "", "srun: error: Unable to allocate resources"), **{"sh_-c_sacctmgr": (1, "", "refused")}
    )
    found = {code: severity for severity, code, _ in said(busy, container=None)}
    assert found == {
        "cluster-partition": "ok", "cluster-limits": "info", "cluster-runtime": "info",
        "cluster-folder": "warning", "cluster-disk": "ok",
    }  # fmt: skip


def test_a_host_that_cannot_be_reached_ends_the_check() -> None:
    def ask(argv: Sequence[str], within_s: float) -> CommandResult:
        raise MachineError(
            '"login1" cannot be reached: Permission denied (publickey).', hint="try: ssh login1 true"
        )

    (found,) = check_site(SETTINGS, Resources(), ask, None)
    assert (found.code, found.hint) == ("cluster-login", "try: ssh login1 true")
