"""The settings of a cluster: which are accepted, and what is said of the others."""

from __future__ import annotations

from typing import Any

import pytest

from taorunner.backends.slurm.target import RUNTIMES
from taorunner.contracts import Framework
from taorunner.targets import target_of

WHOLE = {
    "host": "me@login1.example.org", "partition": "gpu,low", "account": "vision", "qos": "normal", "time": "4:00:00",
    "gpu_type": "h100", "cpus_per_gpu": 8, "mem_per_gpu": "64G", "exclusive": False, "constraint": "a100&ib",
    "options": ["--reservation=tao"], "requeue": 20, "signal_before_s": 300, "workspace": "/lustre/me/work space",
    "container": {"runtime": "pyxis", "images": "/lustre/me/images", "import_partition": "cpu", "tmp": "/tmp"},
    "env": {"NCCL_SOCKET_IFNAME": "eth0", "N": 2}, "setup": ["module load cuda"], "max_submitted": 200,
    "umask": "0027", "unknown_after_s": 600, "shared": False,
}  # fmt: skip


def test_every_setting_is_taken() -> None:
    slurm = target_of("slurm")
    assert set(WHOLE) == set(slurm.settings)
    assert slurm.check_settings(WHOLE) == []
    assert slurm.check_settings({}) == []


@pytest.mark.parametrize(
    ("settings", "path", "message", "hint"),
    [
        ({"host": "-oProxyCommand=x"}, ("host",), '"backend_options.host" must be a host that ssh knows', None),
        ({"partition": "gpu\n#SBATCH --wrap"}, ("partition",), '"backend_options.partition" must be', None),
        ({"options": ["--gres=gpu:8"]}, ("options", 0), '"--gres" cannot be one of', 'use "gpu_type" instead'),
        ({"options": ["--x", "--mem=4G"]}, ("options", 1), '"--mem" cannot be', 'use "memory" of the experiment instead'),
        ({"options": ["--output=/tmp/x"]}, ("options", 0), '"--output" cannot be', "taorunner sets it itself: remove it"),
        ({"options": ["--outp=/tmp/x"]}, ("options", 0), '"--output" cannot be', "taorunner sets it itself: remove it"),
        ({"options": ["--"]}, ("options",), '"backend_options.options" must be a list of options', None),
        ({"options": ["-pgpu"]}, ("options", 0), '"-pgpu" in "backend_options.options" is not a long', "write it as --name=value"),
        ({"signal_before_s": 31, "time": "1m"}, ("signal_before_s",), '"backend_options.signal_before_s": 31 s is more than half', "a smaller number"),
        ({"container": {"runtim": "pyxis"}}, ("container", "runtim"), '"backend_options.container.runtim" is no setting', 'did you mean "runtime"?'),
        ({"container": {"runtime": "pyxiss"}}, ("container", "runtime"), '"backend_options.container.runtime" must be one of pyxis,', 'did you mean "pyxis"?'),
        ({"container": {"images": "/x"}}, ("container",), '"backend_options.container" needs "runtime"', "one of " + ", ".join(RUNTIMES)),
        ({"container": {"runtime": "pyxis"}}, ("container",), '"backend_options.container" needs "images"', "the folder of imported images, which the nodes see"),
        ({"workspace": "relative"}, ("workspace",), '"backend_options.workspace" must be the absolute path', None),
        ({"env": {"A B": "x"}}, ("env",), '"backend_options.env" must be a mapping of names', None),
        ({"requeue": -1}, ("requeue",), '"backend_options.requeue" must be a whole number from 0', None),
    ],
)  # fmt: skip
def test_a_wrong_setting_has_its_place_and_a_next_step(
    settings: dict[str, Any], path: tuple[object, ...], message: str, hint: str | None
) -> None:
    problem = target_of("slurm").check_settings(settings)[0]
    assert (problem.path, problem.hint) == (path, hint)
    assert problem.message.startswith(message)


HOSTILE = [
    "-x", "--wrap=id", "a b", "a\nb", "a\r", "a;id", "a'b", 'a"b', "$(id)", "`id`", "a|b", "a&b", "a>b", "a\0b", "\u2028", "ä", "", "a" * 300,
    "\x1b[2J", "%x\n", "a\\nb", "{x}", "#", "~",
]  # fmt: skip


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize(
    "key", ["host", "partition", "account", "qos", "gpu_type", "mem_per_gpu", "umask", "import_partition"]
)
def test_words_that_reach_a_directive_or_ssh_are_plain(key: str, value: str) -> None:
    container = {"runtime": "pyxis", "images": "/i", "import_partition": value}
    settings = {"container": container} if key == "import_partition" else {key: value}
    assert len(target_of("slurm").check_settings(settings)) == 1


@pytest.mark.parametrize(
    "option", ["--time-min=5", "--nodelist=n1", "--mem-bind=local", "--no-kill", "--reservation=x"]
)
def test_options_that_only_begin_like_one_of_ours_are_taken(option: str) -> None:
    assert target_of("slurm").check_settings({"options": [option]}) == []


@pytest.mark.parametrize("runtime", [None, *RUNTIMES])
def test_a_container_runtime_decides_what_runs_see(runtime: str | None) -> None:
    target = target_of("slurm").with_settings({} if runtime is None else {"container": {"runtime": runtime}})
    in_container = runtime not in (None, "none")
    assert (target.sees_host_paths, target.needs_image) == (not in_container, in_container)
    assert target.runs(Framework.EMBEDDED) is not in_container
    assert target.runs(Framework.PYT)


def test_only_a_runtime_without_read_only_mounts_has_a_caution() -> None:
    target = target_of("slurm")
    said = {name: [*target.cautions({"container": {"runtime": name}})] for name in RUNTIMES}
    assert [name for name in RUNTIMES if said[name]] == ["charliecloud"]
    assert [*target.cautions({})] == []
    (one,) = said["charliecloud"]
    assert (one.code, one.path) == ("nothing-read-only", ("container", "runtime"))


def test_an_unknown_setting_does_not_hide_what_is_wrong_within_another() -> None:
    problems = target_of("slurm").check_settings({"partitionn": "gpu", "container": {"runtime": "pyxiss"}})
    assert [problem.path for problem in problems] == [("partitionn",), ("container", "runtime")]
