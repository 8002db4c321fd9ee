"""Reads what Slurm's commands print, and says what is wrong with a cluster before a run waits for ever."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from taorunner.backends.slurm.site.node_probe import NodeAnswer, node_step, read_step
from taorunner.backends.slurm.site.site_check import check_site
from taorunner.backends.slurm.site.site_reading import (
    Accounting,
    Association,
    BrokenNodes,
    Gpus,
    Partition,
    account_refusals,
    gres_gpus,
    read_accounting,
    read_broken_nodes,
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
    for odd in ("9" * 5000, "\u00b2"):  # neither is a number that could be read
        assert read_partitions(f"a|up|1:00|{odd}|idle|(null)\n") == {}


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


ROWS = (Association("infra", "gpu", ()), Association("vision", "", ("normal", "high")))


def test_accounts_are_read() -> None:
    text = "infra|gpu|\nvision||normal,high\n\n"
    assert read_accounting(f"enforced associations,limits,qos\n{text}") == Accounting(ROWS, True)
    assert read_accounting(f"enforced none\n{text}") == Accounting(ROWS, False)
    assert read_accounting("") == Accounting((), False)


@pytest.mark.parametrize(
    ("settings", "message", "hint"),
    [
        ({"account": "visoin"}, 'the account "visoin" is not yours', 'did you mean "vision"? yours are infra, vision'),
        ({"account": "infra", "partition": "gpu,cpu"}, 'the account "infra" may not use the partition "cpu"', "it may use gpu"),
        ({"account": "vision", "qos": "hihg"}, 'your account has no QOS "hihg"', 'did you mean "high"?'),
    ],
)  # fmt: skip
def test_an_account_that_slurm_would_refuse(settings: dict[str, Any], message: str, hint: str) -> None:
    (found,) = account_refusals(settings, Accounting(ROWS, True))
    assert (found.message, found.hint) == (message, hint)
    assert not list(account_refusals(settings, Accounting(ROWS, False)))


def test_broken_nodes_are_those_of_the_partition_by_their_reason() -> None:
    text = "gpu|n1|drained|bad fan\ngpu|n2|drained*|bad fan\ncpu|n3|down|none\nnonsense\n"
    assert read_broken_nodes(text, ["gpu"]) == [BrokenNodes("drained", "bad fan", ("n1", "n2"))]


def test_a_step_says_what_its_node_sees_beside_what_its_profile_prints() -> None:
    text = "Welcome!\ntaorunner-check|n1|token|/usr/bin/ch-run|n2\n"
    assert read_step(text) == [NodeAnswer("n1", "token", "/usr/bin/ch-run", "n2")]
    script = node_step({"setup": ["module load x"], "container": {"runtime": "docker"}}, 1, "/a b")[-1]
    assert script.startswith("{ module load x\n} >&2\n") and "head -n1 '/a b'" in script


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


STEP = "taorunner-check|gpu-03|token||\ntaorunner-check|gpu-04|token||\n"


class Site:
    """Answers by the beginning of a command."""

    def __init__(self, **answers: tuple[int, str, str]) -> None:
        self.answers = {
            "sinfo --version": (0, "slurm 22.05.8\n", ""), "sinfo -h -o": (0, SINFO, ""),
            "sinfo -h -N": (0, "gpu|gpu-09|drained|bad fan\n", ""),
            "sh -c scontrol": (0, "enforced associations\nvision||normal\ninfra||high\n", ""), "sh -c srun --help": (0, "", ""),
            "sh -c ls": (0, "a.sqsh\n", ""), "srun": (0, STEP, ""),
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
        ("warning", "cluster-nodes", "gpu-09 is drained: bad fan"),
        ("ok", "cluster-account", "account vision; yours are infra, vision"),
        ("ok", "cluster-qos", "QOS normal; there are normal"),
        ("ok", "cluster-runtime", "pyxis, an option of srun here"),
        ("ok", "cluster-folder", "/lustre/ws/.taorunner: written here, read on gpu-03, gpu-04"),
        ("ok", "cluster-names", "2 nodes know each other by name"),
        ("ok", "cluster-images", "/lustre/images: 1 there"),
        ("ok", "cluster-disk", "94.4 GiB free where the workspace is"),
    ]


def test_each_fault_is_a_line_of_its_own() -> None:
    broken = Site(
        srun=(0, "taorunner-check|gpu-03|||gpu-04\n", "head: cannot open '/lustre/ws'\nsrun: error: n: task 0: x"),
        df=(0, "F\nx 100 1 1000 1% /l\n", ""), **{"sh_-c_ls": (2, "", "no")},
    )  # fmt: skip
    container = {"runtime": "apptainer", "images": "/lustre/images"}
    found = [line for line in said(broken, container=container) if line[0] != "ok"][1:]
    assert found == [
        ("error", "cluster-runtime", "gpu-03 has no apptainer"),
        (
            "error", "cluster-folder",
            'gpu-03 does not see this workspace at "/lustre/ws/.taorunner": head: cannot open \'/lustre/ws\'',
        ),
        ("error", "cluster-names", "gpu-03 does not know the address of gpu-04"),
        ("error", "cluster-images", 'the folder of images cannot be read: "/lustre/images"'),
        ("warning", "cluster-disk", "1000.0 KiB free where the workspace is"),
    ]  # fmt: skip


def test_nothing_is_tried_on_a_node_that_slurm_would_refuse() -> None:
    found = {code: (severity, message) for severity, code, message in said(Site(), account="visoin")}
    assert found["cluster-folder"] == ("info", "not tried on a node: Slurm would not start it")
    assert found["cluster-account"] == ("error", 'the account "visoin" is not yours')


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("Requested nodes are busy", "cluster-folder", "not proved: no node was free within 10s"),
        (
            "Invalid account or account/partition combination specified", "cluster-refused",
            'the account "vision" may not use the partition "gpu"',
        ),
    ],
)  # fmt: skip
def test_a_step_that_did_not_start_says_why(words: str, code: str, message: str) -> None:
    site = Site(srun=(1, "", f"srun: error: Unable to allocate resources: {words}\n"))
    assert (code, message) in [(found, text) for _, found, text in said(site)]


def test_what_cannot_be_proved_is_no_error() -> None:
    busy = "srun: error: Unable to allocate resources: Requested nodes are busy"
    site = Site(srun=(1, "", busy), **{"sh_-c_scontrol": (1, "", "refused"), "sinfo_-h_-N": (0, "", "")})
    found = {code: severity for severity, code, _ in said(site, container=None)}
    assert found == {
        "cluster-partition": "ok", "cluster-limits": "info", "cluster-runtime": "info",
        "cluster-folder": "warning", "cluster-disk": "ok",
    }  # fmt: skip


def test_a_controller_that_is_down_ends_the_check() -> None:
    down = (1, "", "slurm_load_partitions: Unable to contact slurm controller (connect failure)\n")
    assert said(Site(**{"sinfo_-h_-o": down})) == [
        (
            "error", "cluster-scheduler",
            "the scheduler does not answer: Unable to contact slurm controller (connect failure)",
        )
    ]  # fmt: skip


def test_a_host_that_cannot_be_reached_ends_the_check() -> None:
    def ask(argv: Sequence[str], within_s: float) -> CommandResult:
        raise MachineError(
            '"login1" cannot be reached: Permission denied (publickey).', hint="try: ssh login1 true"
        )

    (found,) = check_site(SETTINGS, Resources(), ask, None)
    assert (found.code, found.hint) == ("cluster-login", "try: ssh login1 true")
