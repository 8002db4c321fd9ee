"""``taorunner clusters`` as a shell sees it, with programs on PATH that answer as Slurm does."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Cli

TEXT = """\
clusters:
  dgx:
    backend: slurm
    host: login1
    partition: gpu
    time: 12h
  here: {backend: local, cpus: 4}
  onsite: {backend: slurm, partition: gpu}
"""


@pytest.fixture
def workspace(workspace_factory: Callable[..., Path]) -> Path:
    root = workspace_factory("experiments:\n  e: {head: dino, dataset: d}\n", data={"d/": ""})
    (root / "clusters.yml").write_text(TEXT)
    return root


@pytest.fixture
def site(tmp_path: Path) -> dict[str, str]:
    """The environment in which this machine is a login node."""
    folder = tmp_path / "bin"
    folder.mkdir()
    programs = {
        "sinfo": '[ "$1" = --version ] && echo "slurm 22.05.8" || echo "gpu|up|1:00:00|2|idle|gpu:a100:4"',
        "scontrol": 'echo "AccountingStorageEnforce = associations,qos"',
        "sacctmgr": 'echo "vision||normal"',
        "srun": 'while [ "$1" != /bin/sh ]; do shift; done; exec "$@"',
    }
    for name, line in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / name).chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def test_clusters_are_listed_and_shown(cli: Cli, workspace: Path) -> None:
    done = cli("clusters", cwd=workspace)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "name    backend  where         defined in",
        "dgx     slurm    ssh login1    clusters.yml:2",
        "here    local    this machine  clusters.yml:7",
        "onsite  slurm    this machine  clusters.yml:8",
    ]
    done = cli("clusters", "dgx", cwd=workspace)
    assert "partition        gpu\n" in done.out
    assert "time             12h 00m\n" in done.out
    (row,) = json.loads(cli("clusters", "show", "here", "--json", cwd=workspace).out)
    assert (row["name"], row["backend"], row["cpus"], row["line"]) == ("here", "local", 4, 7)


def test_a_kubernetes_cluster_is_where_its_context_leads(cli: Cli, workspace: Path) -> None:
    kube = "{backend: kubernetes, workspace: {claim: data}"
    text = f"clusters:\n  lab: {kube}, context: lab-admin}}\n  own: {kube}}}\n"
    (workspace / "clusters.yml").write_text(text)
    assert cli("clusters", cwd=workspace).out.splitlines() == [
        "name  backend     where                defined in",
        "lab   kubernetes  context lab-admin    clusters.yml:2",
        "own   kubernetes  the current context  clusters.yml:3",
    ]
    (workspace / "clusters.yml").write_text(f"clusters:\n  lab: {kube}, image_pull_secrets: [ngc]}}\n")
    lines = cli("clusters", "lab", cwd=workspace).out.splitlines()
    assert (lines[0], lines[-1]) == ("name               lab", "image_pull_secrets ngc")


def test_a_wrong_name_and_a_wrong_file_are_refused(cli: Cli, workspace: Path) -> None:
    done = cli("clusters", "check", "dgxx", cwd=workspace)
    assert (done.code, done.err) == (2, 'error: there is no cluster "dgxx"\nhint: did you mean "dgx"?\n')
    (workspace / "clusters.yml").write_text("clusters:\n  dgx: {backend: slurm, hots: x}\n")
    for words in (["clusters"], ["clusters", "check", "dgx"]):
        done = cli(*words, cwd=workspace)
        assert done.code == 3
        assert 'clusters.yml:2:25: error: the backend "slurm" has no setting "hots"' in done.err
    (workspace / "clusters.yml").unlink()
    done = cli("clusters", cwd=workspace)
    assert (done.code, done.out) == (0, "")
    example = '"clusters: {NAME: {backend: slurm, host: LOGIN}}"'
    assert done.err.startswith(f"no clusters: write {example} into ")
    (workspace / "clusters.yml").write_text(f"{example[1:-1]}\n")
    assert "NAME  slurm    ssh LOGIN" in cli("clusters", cwd=workspace).out


def test_a_wrong_entry_harms_no_other(cli: Cli, workspace: Path, site: dict[str, str]) -> None:
    (workspace / "clusters.yml").write_text(f"{TEXT}  bad: {{backend: slurm, partiton: gpu}}\n")
    listed = cli("clusters", cwd=workspace)
    assert listed.code == 3
    assert [line.split()[0] for line in listed.out.splitlines()] == ["name", "dgx", "here", "onsite"]
    assert "clusters.yml:9" in listed.err and "did you mean" in listed.err
    assert cli("clusters", "dgx", cwd=workspace).code == 0
    assert cli("clusters", "check", "onsite", cwd=workspace, env=site).code in (0, 4)
    assert cli("clusters", "check", "bad", cwd=workspace, env=site).code == 3


def test_a_check_proves_the_site_line_by_line(cli: Cli, workspace: Path, site: dict[str, str]) -> None:
    done = cli("clusters", "check", "onsite", cwd=workspace, env=site)
    assert done.code == 0, done.out + done.err
    said = done.out
    assert "this machine, 0." in said
    assert "gpu: 2 nodes, 2 idle; GPUs a100:4" in said
    assert "account of your default; yours are vision" in said
    assert "written here, read on" in said
    assert said.endswith("onsite can be used\n")
    assert not (workspace / ".taorunner" / "cluster-check").exists()


def test_what_would_wait_for_ever_is_an_error_of_the_check(
    cli: Cli, workspace: Path, site: dict[str, str]
) -> None:
    (workspace / "clusters.yml").write_text("clusters:\n  a: {backend: slurm, partition: gpu, time: 12h}\n")
    done = cli("clusters", "check", "a", "--json", cwd=workspace, env=site)
    errors = [(one["code"], one["hint"]) for one in json.loads(done.out) if one["severity"] == "error"]
    assert (done.code, errors) == (4, [("cluster-time", "time: at most 01:00:00")])


def test_a_machine_without_slurm_says_what_to_write(cli: Cli, workspace: Path) -> None:
    done = cli("clusters", "check", "onsite", "--json", cwd=workspace, env={"PATH": "/nonexistent"})
    (found,) = json.loads(done.out)
    assert (done.code, found["code"]) == (4, "cluster-login")
    assert found["message"] == 'there is no command "sinfo" on PATH'


def test_a_dry_run_names_the_cluster(cli: Cli, workspace: Path) -> None:
    done = cli("train", "e", "--cluster", "here", "--dry-run", cwd=workspace)
    assert done.code == 3, "the experiment has no spec: the cluster itself is known"
    assert "cluster" not in done.err
    done = cli("train", "e", "--cluster", "her", "--dry-run", cwd=workspace)
    assert (done.code, 'hint: did you mean "here"?' in done.err) == (2, True)


def test_a_run_that_would_wait_for_ever_is_refused_before_it_is_recorded(
    cli: Cli, workspace: Path, site: dict[str, str]
) -> None:
    (workspace / "clusters.yml").write_text("clusters:\n  a: {backend: slurm, partition: gpu, time: 12h}\n")
    spec = workspace / "projects/example_01/specs/e/train.yaml"
    spec.parent.mkdir(parents=True)
    spec.write_text("train:\n  num_epochs: 2\n")
    words = ("train", "e", "--cluster", "a", "--force")
    done = cli(*words, cwd=workspace, env=site)
    assert (done.code, "a run would wait for ever: 12h 00m are asked for" in done.err) == (5, True), done.err
    assert not list((workspace / ".taorunner").glob("runs/*"))
    done = cli(*words, "--gpus", "5", "--time", "1h", cwd=workspace, env=site)
    assert (done.code, 'no node of "gpu" has 5 GPUs' in done.err) == (5, True), done.err
    (workspace / "clusters.yml").write_text("clusters:\n  a: {backend: slurm, account: visoin}\n")
    done = cli(*words, cwd=workspace, env=site)
    assert (done.code, 'the account "visoin" is not yours' in done.err) == (5, True), done.err


def test_a_spec_is_shown_as_a_run_on_the_cluster_reads_it(cli: Cli, workspace: Path) -> None:
    spec = workspace / "projects/example_01/specs/e/train.yaml"
    spec.parent.mkdir(parents=True, exist_ok=True)
    spec.write_text("results_dir: $results_dir\ntrain:\n  num_epochs: 3\n")
    here = str(workspace / "projects/example_01/models/e")
    shown = {}
    for words in ((), ("--cluster", "here"), ("--cluster", "dgx")):
        done = cli("specs", "show", "e", *words, cwd=workspace)
        assert done.code == 0, done.err
        shown[words] = here in done.out
    assert list(shown.values()) == [False, True, True]
    unknown = cli("specs", "show", "e", "--cluster", "dxg", cwd=workspace)
    assert (unknown.code, unknown.out) == (2, "")
    assert 'there is no cluster "dxg"' in unknown.err and 'did you mean "dgx"?' in unknown.err


def test_a_broken_file_that_no_experiment_uses_is_a_note_of_validate(cli: Cli, workspace: Path) -> None:
    (workspace / "projects/example_01/specs/e").mkdir(parents=True, exist_ok=True)
    before = cli("validate", "--json", cwd=workspace)
    (workspace / "clusters.yml").write_text("clusters:\n  a: {backend: slurn}\n")
    after = cli("validate", "--json", cwd=workspace)
    (note,) = [one for one in after.json if one["code"] == "clusters-broken"]
    assert (after.code, len(after.json)) == (before.code, len(before.json) + 1)
    assert (note["severity"], note["line"]) == ("info", 2)
