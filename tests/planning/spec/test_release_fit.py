"""A new experiment for an older release has only spec files and keys that the release knows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from taorunner.catalog.load import load_network
from taorunner.errors import UsageError, UserFilesError
from taorunner.planning.new_project import new_project
from taorunner.planning.validate import validate_projects
from taorunner.project.load import load_project
from taorunner.project.scaffold import scaffold_heads
from taorunner.project.workspace import Workspace
from taorunner.specs.editing.yaml_remove import without_keys
from taorunner.yaml_reader import read_yaml

READS_OTHER_KEYS = {"classification_pyt": "5.", "segformer": "5."}
"""Networks that read their data by other keys before 6.0.0."""


def known_releases(head: str) -> list[str]:
    network = load_network(head)
    found = []
    for release in network.releases:
        try:
            network.contract("train", release)
        except UserFilesError:
            continue
        found.append(release)
    return found


@pytest.mark.parametrize("head", scaffold_heads())
def test_validate_finds_no_unknown_key_in_a_release(head: str, tmp_path: Path) -> None:
    """The oldest and the newest of each network, those that read other keys, and a third of the others: the next network
    has the next third."""
    made = []
    releases = known_releases(head)
    tried = {*releases[:1], *releases[-1:], *releases[scaffold_heads().index(head) % 3 :: 3]}
    tried |= {one for one in releases if one.startswith(READS_OTHER_KEYS.get(head, "-"))}
    for release in (one for one in releases if one in tried):
        name = f"p{release}"
        arguments = {"head": head, "backbone": None, "experiment": "e", "dataset": "d", "release": release}
        if release.startswith(READS_OTHER_KEYS.get(head, "-")):
            with pytest.raises(UsageError, match="by other keys"):
                new_project(tmp_path, tmp_path, name, **arguments)  # type: ignore[arg-type]
            continue
        new_project(tmp_path, tmp_path, name, **arguments)  # type: ignore[arg-type]
        (experiment,) = load_project(Workspace(tmp_path), name).experiments.values()
        assert experiment.release == release
        made.append(name)
    found = [
        (one.file, one.line, one.message)
        for one in validate_projects(Workspace(tmp_path), made, {})
        if one.code in ("unknown-key", "other-release", "unknown-spec", "missing-spec", "unknown-release")
    ]
    assert found == []
    assert made or head == "tinydet"


def test_only_what_is_unknown_is_left_out(tmp_path: Path) -> None:
    new_project(
        tmp_path, tmp_path, "p", head="dino", backbone=None, experiment="e", dataset="d", release="5.3.0"
    )
    specs = tmp_path / "projects/p/specs/e"
    assert sorted(path.name for path in specs.iterdir()) == ["convert.yaml", "train.yaml"]
    new_project(tmp_path, tmp_path, "new", head="dino", backbone=None, experiment="e", dataset="d")
    whole = (tmp_path / "projects/new/specs/e/train.yaml").read_text().splitlines()
    left = (specs / "train.yaml").read_text().splitlines()
    missing = [line.partition("  #")[0] for line in whole if line not in left]
    assert sorted(missing) == ["  gpu_ids: $gpu_ids"] * 3 + ["  serialize_nvdsinfer: true"]
    assert [line for line in left if line not in whole] == []


@pytest.mark.parametrize(("release", "said"), [("9.9.9", "9.9.9"), ("4.0.1", "4.0.1")])
def test_a_release_without_the_network_is_refused(release: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        new_project(
            tmp_path, tmp_path, "p", head="dssd", backbone=None, experiment="e", dataset="d", release=release
        )
    assert not (tmp_path / "projects/p").exists()


TEXT = """\
# head
a: 1  # one
# about b
b:
  # inside
  c: 2
  d: {e: 1, f: 2, g: 3}
  # more: 3

list:
  - x: 1
    y: 2
  - x: 3
last:
  only: 1
  text: |
    two
    lines
"""


@pytest.mark.parametrize(
    ("keys", "left"),
    [
        (["a"], TEXT.replace("a: 1  # one\n", "").replace("# head\n", "")),
        (["b"], "# head\na: 1  # one\n\n" + TEXT[TEXT.index("list:") :]),
        (["c"], TEXT.replace("  # inside\n  c: 2\n", "")),
        (["e"], TEXT.replace("e: 1, ", "")),
        (["g"], TEXT.replace(", g: 3", "")),
        (["e", "f", "g"], TEXT.replace("  d: {e: 1, f: 2, g: 3}\n", "")),
        (["only", "text"], TEXT[: TEXT.index("last:")]),
        (["text"], TEXT[: TEXT.index("  text:")]),
    ],
)
def test_a_key_goes_with_its_comments_and_empty_sections(keys: list[str], left: str) -> None:
    starts = {match.start(1) for key in keys for match in re.finditer(rf"(?:^|[\s{{])({key}):", TEXT)}
    new = without_keys(TEXT, starts)
    assert new == left
    assert read_yaml(new).problems == []


def test_the_first_key_of_a_list_item_leaves_its_dash() -> None:
    assert without_keys("l:\n  - x: 1\n    y: 2\n", {7}) == "l:\n  - y: 2\n"
