"""Whatever stands in a user's file: findings, never an exception, in bounded time."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taorunner.errors import UserFilesError
from taorunner.project.keys import EXPERIMENT_KEYS, FILE_KEYS, TAO_CONFIG_KEYS
from taorunner.project.layout import check_layout
from taorunner.project.load import Project, load_project
from taorunner.project.mounts import MountEntry, Mounts, load_mounts
from taorunner.project.workspace import Workspace

BOUNDED = settings(
    max_examples=100,
    deadline=5000,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
WORDS = st.sampled_from(
    [*EXPERIMENT_KEYS, *TAO_CONFIG_KEYS, *FILE_KEYS, "a", "b", "kitti", "auto", "<<", "-", "1"]
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), WORDS)
INNER = st.lists(SCALARS, max_size=2) | st.dictionaries(WORDS | SCALARS, SCALARS, max_size=2)
VALUES = SCALARS | INNER | st.lists(INNER, max_size=2)
ENTRIES = st.dictionaries(WORDS, VALUES, max_size=4)
FILES = st.fixed_dictionaries(
    {},
    optional={
        "tao_config": ENTRIES | VALUES,
        "experiments": st.dictionaries(WORDS | SCALARS, ENTRIES | VALUES, max_size=3),
    },
)
LINES = st.lists(
    st.sampled_from(
        """experiments:|  a:|  b: &x|  <<: *x|    head: dssd|    extends: a|    extends: b|\t|- |    dataset: k|
    gpus: 1|    gpu_indices: [0, 1]|    vars: {a: 1}|? x|: y|---|*x|{|}|    env: {A: env:B}|!!python/object:os.system x|
%YAML 1.2|    k: >|      text|    'q|#|\ufeff""".replace("|\n", "|").split("|")
    )
).map("\n".join)


@pytest.fixture(scope="module")
def workspace() -> Iterator[Workspace]:
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder))
        for part in ("data/kitti", "specs/a", "models/b"):
            (workspace.project("p").root / part).mkdir(parents=True)
        yield workspace


def check(workspace: Workspace, content: bytes) -> Project:
    workspace.project("p").experiments_file.write_bytes(content)
    project = load_project(workspace, "p")
    lines = content.count(b"\n") + content.count(b"\r") + content.decode("utf-8", "replace").count("\x85") + 2
    lines += sum(content.decode("utf-8", "replace").count(end) for end in "\u2028\u2029")
    for one in (*project.findings, *check_layout(project)):
        assert one.message and one.message.isprintable()
        assert one.line is None or (1 <= one.line <= lines and one.column is not None and one.column >= 1)
    assert project.findings or project.experiments
    for name, experiment in project.experiments.items():
        assert experiment.name == name
        assert project.paths.dataset_dir(experiment.dataset).is_relative_to(project.paths.data_dir)
        assert project.owner_of_line(project.place(("experiments", name), of_key=True)[0]) in (name, None)
    return project


@BOUNDED
@given(content=st.binary(max_size=300))
def test_any_bytes(workspace: Workspace, content: bytes) -> None:
    check(workspace, content)


@BOUNDED
@given(text=st.text(max_size=300))
def test_any_text(workspace: Workspace, text: str) -> None:
    check(workspace, text.encode("utf-8", "surrogatepass"))


@BOUNDED
@given(text=LINES)
def test_any_lines_of_yaml(workspace: Workspace, text: str) -> None:
    check(workspace, text.encode())


@BOUNDED
@given(data=FILES)
def test_any_values_in_any_place(workspace: Workspace, data: dict[str, Any]) -> None:
    check(workspace, yaml.safe_dump(data, allow_unicode=True).encode())


@BOUNDED
@given(text=st.text(max_size=200) | VALUES.map(json.dumps) | st.dictionaries(
    st.sampled_from(["Mounts", "Envs", "DockerOptions", "x"]),
    VALUES | st.lists(st.dictionaries(
        st.sampled_from(["source", "destination", "variable", "value", "ports", "user", "ulimits", "shm_size"]), VALUES
    )),
).map(json.dumps))  # fmt: skip
def test_any_mounts_file(workspace: Workspace, text: str) -> None:
    workspace.mounts_file.write_text(text, encoding="utf-8", errors="replace")
    mounts = load_mounts(workspace, {"HOME": "/"})
    for one in mounts.findings:
        assert one.message.isprintable()
    assert all(entry.source.is_absolute() and entry.destination.startswith("/") for entry in mounts.entries)


SEGMENTS = st.lists(st.sampled_from(["a", "b", "c", "..", ".", ""]), max_size=6).map("/".join)


@BOUNDED
@given(
    table=st.dictionaries(st.sampled_from(["/x", "/x/a", "/y", "/x/a/b", "/"]), SEGMENTS, min_size=1),
    path=SEGMENTS,
)
def test_way_in_and_out_ends_where_it_began(table: dict[str, str], path: str) -> None:
    root = Path("/nowhere-at-all")
    mounts = Mounts(tuple(MountEntry(_clean(root / source), inside) for inside, source in table.items()))
    try:
        inside = mounts.to_inside(root / path)
    except UserFilesError:
        return
    assert mounts.to_host(inside) == _clean(root / path)


def _clean(path: Path) -> Path:
    return Path("/" + os.path.normpath(path).lstrip("/"))  # POSIX leaves two slashes at the front alone
