"""What an image said of its specs is found again by whatever names that image, and is what its specs are held against."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tao_packages import CONVERT_TREE, DINO_TREE

from taorunner.planning.model.request import ActionRequest, Caller
from taorunner.planning.planner import plan_action
from taorunner.planning.validate import validate_projects
from taorunner.project.workspace import Workspace
from taorunner.specs.schema.image_schemas import KeptSchemas
from taorunner.specs.schema.lookup import key_facts

FOUND = {
    "yaml": {"dino": DINO_TREE, "dino.convert": CONVERT_TREE},
    "prototxt": {"ssd": {"seed": {"type": "int"}}},
    "failed": {},
    "packages": {"nvidia_tao_core": "9.9.1"},
}
ID = "sha256:" + "a" * 64
DIGEST = "sha256:" + "b" * 64


def kept_in(folder: Path) -> KeptSchemas:
    kept = KeptSchemas(folder)
    assert kept.keep("reg:5000/tao:1", ID, DIGEST, FOUND) == ("dino", "dino.convert", "ssd")
    return kept


@pytest.mark.parametrize(
    ("reference", "is_known"),
    [
        ("reg:5000/tao:1", True),
        (f"reg:5000/tao@{DIGEST}", True),
        (f"reg:5000/tao:1@{DIGEST}", True),
        (f"reg:5000/tao:2@{DIGEST}", True),
        ("reg:5000/tao", False),
        ("reg:5000/tao:2", False),
        (f"reg:5000/tao@{ID}", False),
        ("", False),
    ],
)
def test_an_image_is_known_by_its_tag_and_by_its_digest(
    tmp_path: Path, reference: str, is_known: bool
) -> None:
    found = kept_in(tmp_path / "new").of_image(reference)
    assert (found is not None) == is_known
    if found is not None:
        schema = found.find("dino", "train", "")
        assert schema is not None and set(schema.keys()) == set(DINO_TREE)
        facts = key_facts(schema, "train.num_epochs")
        assert facts is not None and facts.releases == (f"the image {reference.rpartition('/')[2]}",)
        assert schema.elsewhere(("train", "seed")) is None
        convert = found.find("dino", "convert", "")
        assert convert is not None and set(convert.keys()) == {"input_source"}
        dssd = found.find("dssd", "train", "")
        assert dssd is not None and set(dssd.keys()) == {"seed"}
        assert found.find("rtdetr", "train", "") is None


def test_a_tag_that_was_looked_up_again_names_the_new_image(tmp_path: Path) -> None:
    kept = kept_in(tmp_path)
    kept.keep("reg:5000/tao:1", "sha256:" + "c" * 64, None, {**FOUND, "yaml": {"dino": CONVERT_TREE}})
    by_tag, by_digest = kept.of_image("reg:5000/tao:1"), kept.of_image(f"reg:5000/tao@{DIGEST}")
    assert by_tag is not None and by_digest is not None
    schemas = [one.find("dino", "train", "") for one in (by_tag, by_digest)]
    assert [set(schema.keys()) if schema else None for schema in schemas] == [
        {"input_source"},
        set(DINO_TREE),
    ]
    assert sorted(path.name[:12] for path in tmp_path.iterdir()) == [
        "images.json",
        "sha256-aaaaa",
        "sha256-ccccc",
    ]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"version": 0, "images": {}}', '{"version": 1, "images": []}']
)
def test_an_index_that_cannot_be_read_is_as_good_as_none(tmp_path: Path, text: str) -> None:
    kept = kept_in(tmp_path)
    (tmp_path / "images.json").write_text(text, encoding="utf-8")
    assert kept.of_image("reg:5000/tao:1") is None


def test_a_folder_that_is_gone_is_not_found(tmp_path: Path) -> None:
    kept = kept_in(tmp_path)
    (tmp_path / ID.replace(":", "-") / "index.json").unlink()
    assert kept.of_image("reg:5000/tao:1") is None


YML = """\
experiments:
  plain: {head: dino, dataset: d, release: 7.1.0}
  ours: {head: dino, dataset: d, release: 7.1.0, image: "reg:5000/tao:1"}
  more: {extends: ours, overrides: {train.seed: 3, train.num_epochs: 0}}
"""


def findings_of(workspace: Workspace) -> set[tuple[str, int | None, str]]:
    found = validate_projects(workspace, ["example_01"], {})
    return {(f.file.parent.name if f.file else "", f.line, f.message) for f in found}


def test_the_specs_of_an_image_that_was_asked_are_held_against_it(
    workspace_factory: Callable[..., Path],
) -> None:
    text = "train: {num_epochs: 3, seed: 7}\ncolours: {truck: blue}\n"
    specs = {"plain/train.yaml": text, "ours/train.yaml": text, "more/": ""}
    workspace = Workspace(workspace_factory(YML, specs=specs, data={"d/": ""}))
    elsewhere = 'the spec of "dino" has no key "colours" in 7.1.0'
    assert findings_of(workspace) == {
        ("plain", 2, elsewhere),
        ("ours", 2, elsewhere),
        ("example_01", 4, '"train.num_epochs" is 0, and has to be above 0'),
    }
    kept_in(workspace.spec_schemas_dir)
    unknown = 'the section train of "dino" has no key "seed" in the image tao:1'
    assert findings_of(workspace) == {
        ("plain", 2, elsewhere),
        ("ours", 1, unknown),
        ("example_01", 4, unknown),
        ("example_01", 4, '"train.num_epochs" is 0, and has to be above 0'),
    }
    caller = Caller(1000, 1000, (), "ada", {})
    planned = plan_action(workspace, "example_01", ActionRequest("train", ("ours",)), caller)
    assert unknown in [finding.message for finding in planned.findings]
