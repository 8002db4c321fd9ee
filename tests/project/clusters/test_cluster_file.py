"""clusters.yml: its entries, and every mistake with its place."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from taorunner.cli.fast.cluster_names import cluster_names
from taorunner.errors import Finding
from taorunner.project.clusters.cluster_file import Cluster, findings_about_clusters, load_clusters
from taorunner.project.limits import Limits
from taorunner.project.load import Project
from taorunner.project.workspace import Workspace

Load = Callable[[str | bytes], Project]
DGX = """\
clusters:
  dgx:
    backend: slurm
    host: login1.example.org
    partition: gpu
    time: "4:00:00"
    nodes: 2
    memory: 64G
    constraint: null
    requeue: 3
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home" / ".config" / "taorunner"
    folder.mkdir(parents=True)
    return tmp_path / "home"


def said(findings: Iterable[Finding]) -> list[tuple[int | None, int | None, str, str | None]]:
    return [(one.line, one.column, one.message, one.hint) for one in findings]


def test_an_entry_has_its_backend_settings_and_limits(workspace: Workspace) -> None:
    workspace.clusters_file.write_text(DGX)
    read = load_clusters(workspace, {})
    assert read.findings == ()
    assert read.usable == {
        "dgx": Cluster(
            "dgx", "slurm",
            {"host": "login1.example.org", "partition": "gpu", "time": "4:00:00", "requeue": 3},
            Limits(2, None, 64 << 30, 4 * 3600), workspace.clusters_file, 2, 3,
        )
    }  # fmt: skip
    assert read.usable["dgx"].host == "login1.example.org"


def test_the_workspace_entry_of_a_name_wins_whole(workspace: Workspace, home: Path) -> None:
    users = home / ".config" / "taorunner" / "clusters.yml"
    users.write_text("clusters:\n  dgx: {backend: local, cpus: 4}\n  own: {backend: docker}\n")
    workspace.clusters_file.write_text("clusters:\n  dgx: {backend: slurm, partition: gpu}\n")
    read = load_clusters(workspace, {"HOME": str(home)})
    found = {
        name: (one.backend, one.settings, one.limits.cpus, one.file) for name, one in read.usable.items()
    }
    assert found == {
        "dgx": ("slurm", {"partition": "gpu"}, None, workspace.clusters_file),
        "own": ("docker", {}, None, users),
    }
    assert load_clusters(workspace, {"XDG_CONFIG_HOME": "/nowhere", "HOME": str(home)}).names == ("dgx",)
    assert cluster_names(workspace.root, {"HOME": str(home)}) == ["dgx", "own"]
    workspace.clusters_file.write_text("clusters:\n  dgx: {backend: slurm, partitoin: gpu}\n")
    broken = load_clusters(workspace, {"HOME": str(home)})
    assert (list(broken.usable), len(broken.findings_of("dgx"))) == (["own"], 1)


def test_all_mistakes_are_reported_at_their_places(workspace: Workspace) -> None:
    workspace.clusters_file.write_text("""\
clustres: 1
clusters:
  dgx:
    backend: slurm
    partitoin: gpu
    requeue: "3"
    nodes: 0
    options: {}
  lab: {backend: nomad}
  box: {host: x}
  "bad name": {backend: local}
  none:
""")
    assert said(load_clusters(workspace, {}).findings) == [
        (1, 1, 'unknown key "clustres"', 'did you mean "clusters"?'),
        (
            11, 3, '"bad name" cannot be the name of a cluster',
            "use letters, digits, dots, dashes and underscores, the first a letter or digit",
        ),
        (5, 5, 'the backend "slurm" has no setting "partitoin"', 'did you mean "partition"?'),
        (6, 14, '"requeue" must be a whole number from 0 to 1000, not "3"', None),
        (7, 12, '"nodes" must be a whole number from 1 to 512, not the number 0', None),
        (
            8, 14, '"options" must be a list of options of sbatch, such as --reservation=tao, not a mapping', None,
        ),
        (
            9, 18, '"backend" must be docker, local, embedded, slurm, kubernetes or docker-ssh, not "nomad"',
            "known: docker, local, embedded, slurm, kubernetes, docker-ssh",
        ),
        (10, 3, 'cluster "box" has no "backend"', 'write "backend:", one of docker, local, embedded, slurm, kubernetes, docker-ssh'),
        (12, 3, 'cluster "none" must be a mapping, not nothing', 'write "backend:" below it'),
    ]  # fmt: skip


def test_a_rule_about_several_settings_names_them_as_they_are_written(workspace: Workspace) -> None:
    workspace.clusters_file.write_text("clusters:\n  dgx:\n    backend: slurm\n    options: [--time=1]\n")
    assert said(load_clusters(workspace, {}).findings) == [
        (4, 15, '"--time" cannot be one of "options"', 'use "time" of the experiment instead')
    ]


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("", []),
        ("clusters:\n", []),
        ("- a\n", ["wrong-type"]),
        ("clusters: [a]\n", ["wrong-type"]),
        ("clusters: {a: {backend: local}, a: {backend: local}}\n", ["duplicate-key"]),
        ("clusters: {a: {backend: local, 1: 2}}\n", ["wrong-name"]),
        ("dgx: {backend: slurm}\n", ["unknown-key"]),
    ],
)
def test_odd_files_are_findings(workspace: Workspace, text: str, codes: list[str]) -> None:
    workspace.clusters_file.write_text(text)
    assert [one.code for one in load_clusters(workspace, {}).findings] == codes


def test_an_experiment_takes_what_its_cluster_says(workspace: Workspace, load: Load) -> None:
    workspace.clusters_file.write_text(DGX)
    project = load(
        "tao_config: {backend: docker, backend_options: {}}\n"
        "experiments:\n"
        "  a: {head: dino, dataset: d, cluster: dgx, backend_options: {qos: high}}\n"
        "  b: {extends: a, backend: docker}\n"
        "  c: {extends: a, cluster: dgx}\n"
    )
    assert project.findings == ()
    a, b, c = (project.experiments[name] for name in "abc")
    assert (a.cluster, a.backend, a.cluster_limits.nodes) == ("dgx", "slurm", 2)
    assert a.backend_options == {
        "host": "login1.example.org", "partition": "gpu", "time": "4:00:00", "requeue": 3, "qos": "high",
    }  # fmt: skip
    assert (b.cluster, b.backend, dict(b.backend_options)) == (None, "docker", {})
    assert c.backend_options == a.backend_options


def test_a_cluster_that_cannot_be_used_is_a_finding_at_its_name(workspace: Workspace, load: Load) -> None:
    workspace.clusters_file.write_text(DGX + "  bad: {backend: slurm, hots: x}\n")
    project = load(
        "tao_config: {cluster: dgxx}\n"
        "experiments:\n"
        "  a: {head: dino, dataset: d}\n"
        "  b: {head: dino, dataset: d, cluster: bad}\n"
        "  c: {head: dino, dataset: d, cluster: dgx, backend: local}\n"
        "  d: {head: dino, dataset: d, backend: local}\n"
    )
    assert said(project.findings) == [
        (1, 23, 'there is no cluster "dgxx"', 'did you mean "dgx"?'),
        (
            4, 40, 'the cluster "bad" cannot be used: 1 error in clusters.yml',
            "taorunner clusters check bad shows them",
        ),
        (
            5, 54, '"backend" is local, but the cluster "dgx" has slurm',
            'remove "backend": the cluster gives it',
        ),
    ]  # fmt: skip
    assert project.experiments["d"].cluster is None


def test_clusters_that_no_experiment_uses_are_one_note(
    workspace: Workspace, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(home))
    workspace.clusters_file.write_text(DGX)
    assert [*findings_about_clusters(workspace, None)] == []
    workspace.clusters_file.write_text("clusters:\n  a: {backend: slurn}\n  b: {nodes: 0}\n")
    (note,) = findings_about_clusters(workspace, None)
    assert (note.severity.value, note.code, note.line) == ("info", "clusters-broken", 2)
    assert note.message == "3 errors in clusters.yml, whose clusters no experiment here uses"
    used = load_clusters(workspace, {})
    assert [*findings_about_clusters(workspace, used)] == [*used.findings]


def test_a_cluster_of_a_file_that_cannot_be_read_is_not_called_unknown(
    workspace: Workspace, load: Load
) -> None:
    workspace.clusters_file.write_text("clusters: {dgx: [\n")
    project = load("experiments:\n  a: {head: dino, dataset: d, cluster: dgx}\n")
    (found,) = [one for one in project.findings if "dgx" in one.message]
    assert found.message == 'the cluster "dgx" cannot be used: 1 error in clusters.yml'
    assert found.hint == "taorunner clusters check dgx shows them"
