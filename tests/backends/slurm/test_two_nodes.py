"""A training on two nodes of a real Slurm, which the stand-in for TAO joins."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_line import Cli, end_what_runs
from slurm_rig import Cluster

SPEC = "# rewritten by each node\ntrain:\n  num_epochs: 3\n"
FILE = "experiments:\n  wide: {{head: dino, dataset: d, gpus: 1, nodes: 2, backend: slurm, backend_options: {options}}}\n"


@pytest.fixture
def cli(tmp_path: Path, slurm: Cluster) -> Iterator[Cli]:
    home = tmp_path / "home"
    home.mkdir()
    yield Cli(home, {**slurm.here, "PATH": os.environ["PATH"]})
    end_what_runs(tmp_path)


def test_each_node_has_its_rank_and_a_spec_of_its_own(
    slurm: Cluster,
    cli: Cli,
    tao_commands: Callable[..., dict[str, str]],
    workspace_factory: Callable[..., Path],
) -> None:
    options = json.dumps({"partition": "main", "env": tao_commands("pyt7")})
    files = {"wide/train.yaml": SPEC}
    workspace = workspace_factory(FILE.format(options=options), specs=files, data={"d/": ""})
    done = cli("train", "wide", cwd=workspace, timeout_s=100)
    assert (done.code, "[Multinode]" in done.out) == (0, False), done.out + done.err
    paths = [*workspace.glob("projects/*/models/wide/**/seen*.json")]
    first, other = (json.loads(path.read_text()) for path in sorted(paths, key=lambda path: len(path.name)))
    ranks = [
        [node["environment"].get(name) for name in ("NODE_RANK", "WORLD_SIZE", "NUM_GPU_PER_NODE")]
        for node in (first, other)
    ]
    assert ranks == [["0", "2", "1"], ["1", "2", "1"]]
    assert {node["environment"]["MASTER_ADDR"] for node in (first, other)} == {slurm.nodes[0]}
    assert first["environment"]["MASTER_PORT"] == other["environment"]["MASTER_PORT"]
    assert first["spec"]["path"] != other["spec"]["path"]
    for node in (first, other):
        assert "num_nodes: 2" in node["spec"]["text"]
        assert not Path(node["spec"]["path"]).is_relative_to(workspace)
    (rendered,) = workspace.glob(".taorunner/runs/*/input/train.yaml")
    assert SPEC.splitlines()[0] in rendered.read_text()  # that one is nobody's to rewrite
