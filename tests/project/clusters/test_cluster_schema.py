"""The schema of clusters.yml accepts and refuses what the reader does."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from taorunner.project.clusters.cluster_schema import clusters_schema


@pytest.mark.parametrize(
    ("entry", "is_right"),
    [
        ({"backend": "slurm", "partition": "gpu", "time": "4:00:00", "constraint": None}, True),
        ({"backend": "local", "cpus": 4}, True),
        ({"backend": "local", "partition": "gpu"}, False),
        ({"backend": "slurm", "partitoin": "gpu"}, False),
        ({"backend": "kubernetes", "workspace": {"claim": "data"}, "queue": "team-a"}, True),
        ({"backend": "kubernetes", "que": "team-a"}, False),
        ({"backend": "docker", "memory": "8G"}, True),
        ({"backend": "docker", "host": "ssh://me@gpu-box:2222", "workspace": "/data/ws"}, True),
        ({"backend": "docker", "hots": "gpu-box"}, False),
        ({"backend": "docker-ssh", "workspace": "/data/ws"}, False),
        ({"backend": "lsf"}, False),
        ({"partition": "gpu"}, False),
        ({"backend": "slurm", "time": "12:00"}, False),
    ],
)
def test_an_entry(entry: dict[str, Any], is_right: bool) -> None:
    schema = clusters_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert jsonschema.Draft202012Validator(schema).is_valid({"clusters": {"dgx": entry}}) is is_right
