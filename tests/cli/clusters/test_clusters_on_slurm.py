"""``clusters check`` on a real Slurm: what is well is proved, and each fault is a sentence with a next step."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Cli
from slurm_rig import Cluster

Said = dict[str, tuple[str, str]]


@pytest.fixture
def workspace(workspace_factory: Callable[..., Path]) -> Path:
    return workspace_factory("experiments:\n  e: {head: dino, dataset: d}\n", data={"d/": ""})


def checked(cli: Cli, root: Path, environ: dict[str, str], **settings: object) -> tuple[int, Said]:
    """The exit code; by code the severity of a line, and its message or, of an error, also its hint."""
    text = json.dumps({"clusters": {"site": {"backend": "slurm", **settings}}})
    (root / "clusters.yml").write_text(text)
    done = cli("clusters", "check", "site", "--json", cwd=root, env=environ)
    found: Said = {}
    for one in json.loads(done.out):
        hint = f"; {one['hint']}" if one["severity"] == "error" else ""
        found[one["code"]] = (one["severity"], one["message"] + hint)
    return done.code, found


def test_each_line_of_a_good_site_is_true(cli: Cli, workspace: Path, slurm: Cluster) -> None:
    container = {"runtime": "charliecloud", "images": str(slurm.home / "images")}
    settings = {"partition": "main", "account": slurm.account, "qos": slurm.qos_short, "nodes": 2}
    for environ, host in ((slurm.here, {}), (slurm.elsewhere, {"host": slurm.login})):
        code, said = checked(cli, workspace, environ, **settings, **host, container=container)
        assert code == 0, said
        first, second, _ = slurm.nodes
        assert said.pop("cluster-partition")[1].startswith("main: 2 nodes, ")
        assert said.pop("cluster-login")[1].startswith(f"ssh {slurm.login}, " if host else "this machine, ")
        assert said.pop("cluster-disk")[1].endswith("free where the workspace is")
        assert said.pop("cluster-images")[1].startswith(str(slurm.home / "images"))
        severity, text = said.pop("cluster-folder")
        if severity == "warning":  # another test has the nodes
            assert text == "not proved: no node was free within 10s"
            return
        assert (first in text, second in text) == (True, True)
        assert said.pop("cluster-runtime")[1].startswith("charliecloud, /usr/bin/ch-run on gpu")
        assert said == {
            "cluster-account": ("ok", "account vision; yours are root, vision"),
            "cluster-qos": ("ok", "QOS short; there are normal, short"),
            "cluster-names": ("ok", "2 nodes know each other by name"),
        }
        assert not (workspace / ".taorunner" / "cluster-check").exists()


@pytest.mark.parametrize(
    ("settings", "code", "message"),
    [
        ({"account": "visoin"}, "cluster-account", 'the account "visoin" is not yours; did you mean "vision"? yours are '),
        ({"account": "vision", "qos": "shrot"}, "cluster-qos", 'your account has no QOS "shrot"; did you mean "short"?'),
        ({"partition": "l5"}, "cluster-partition", 'there is no partition "l5"; did you mean "l4"?'),
        ({"nodes": 2}, "cluster-nodes", '"l4" has 1 node, not 2; use fewer nodes'),
        ({"time": "3h"}, "cluster-time", 'a run would wait for ever: 3h 00m are asked for, "l4" allows 1h 00m; time: at most'),
        ({"workspace": "/nowhere"}, "cluster-folder", " does not see this workspace at \"/nowhere/.taorunner\": head: cannot open"),
        (
            {"container": {"runtime": "apptainer", "images": "/nowhere"}}, "cluster-runtime",
            " has no apptainer; setup: a line such as module load apptainer; or container.runtime: ",
        ),
        (
            {"container": {"runtime": "pyxis", "images": "/nowhere"}}, "cluster-images",
            'the folder of images cannot be read: "/nowhere"; mkdir -p /nowhere, on the cluster',
        ),
        ({"container": {"runtime": "pyxis", "images": "/nowhere"}}, "cluster-runtime", "this cluster has no pyxis; container"),
    ],
)  # fmt: skip
def test_each_fault_is_a_sentence_with_a_next_step(
    cli: Cli, workspace: Path, slurm: Cluster, settings: dict[str, object], code: str, message: str
) -> None:
    exit_code, said = checked(cli, workspace, slurm.here, **{"partition": "l4", **settings})
    severity, text = said[code]
    if severity == "warning":  # another test has the only node
        assert text == "not proved: no node was free within 10s"
        return
    assert (exit_code, severity, message in text) == (4, "error", True), said


def test_a_closed_partition_a_refused_login_and_an_unknown_account_before_a_run(
    cli: Cli, workspace: Path, slurm: Cluster
) -> None:
    name = f"closed{slurm.layout.key[:4]}"
    slurm.checked("scontrol", "create", f"partitionname={name}", f"nodes={slurm.nodes[2]}", "state=down")
    try:
        code, said = checked(cli, workspace, slurm.here, partition=name)
    finally:
        slurm.checked("scontrol", "delete", f"partitionname={name}")
    closed = f'the partition "{name}" is closed; ask the site, or name another partition'
    assert (code, said["cluster-partition"]) == (4, ("error", closed))
    assert said["cluster-folder"] == ("info", "not tried on a node: Slurm would not start it")

    code, said = checked(cli, workspace, slurm.elsewhere, host=f"nobody@{slurm.login}")
    assert (code, [*said]) == (4, ["cluster-login"])
    assert "Permission denied" in said["cluster-login"][1]
    assert said["cluster-login"][1].endswith(f"; try: ssh nobody@{slurm.login} true")

    spec = workspace / "projects/example_01/specs/e/train.yaml"
    spec.parent.mkdir(parents=True)
    spec.write_text("train:\n  num_epochs: 2\n")
    for settings, message in (
        ({"account": "visoin"}, 'the account "visoin" is not yours'),
        ({"account": "vision", "qos": "shrot"}, 'your account has no QOS "shrot"'),
    ):
        checked(cli, workspace, {"PATH": "/nowhere"}, **settings)
        done = cli("train", "e", "--cluster", "site", "--force", cwd=workspace, env=slurm.here)
        assert (done.code, message in done.err) == (5, True), done.err
    assert not list((workspace / ".taorunner").glob("runs/*"))


def test_drained_nodes_and_a_controller_that_is_down(cli: Cli, workspace: Path, own_slurm: Cluster) -> None:
    first, second, third = own_slurm.nodes
    own_slurm.drain(first, "bad fan")
    own_slurm.drain(third, "bad fan")
    code, said = checked(cli, workspace, own_slurm.here, partition="main")
    assert (code, said["cluster-nodes"]) == (0, ("warning", f"{first} is drained: bad fan"))
    assert said["cluster-folder"][1].endswith(f"read on {second}")
    code, said = checked(cli, workspace, own_slurm.here, partition="l4")
    all_of_it = f"no node can start a run: {third} is drained: bad fan; ask the site, or another partition"
    assert (code, said["cluster-nodes"]) == (4, ("error", all_of_it))
    own_slurm.kill_controller()
    code, said = checked(cli, workspace, own_slurm.here, partition="main")
    assert (code, [*said]) == (4, ["cluster-login", "cluster-scheduler"])
    down = "the scheduler does not answer: Unable to contact slurm controller (connect failure); runs go on"
    assert said["cluster-scheduler"][1].startswith(down)
