"""Names that mean something to YAML, to protobuf text or to a template, in every scaffold."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

import taorunner.project
from taorunner.catalog.load import Catalog
from taorunner.planning.derived.derive import DataFacts, with_data
from taorunner.planning.derived.facts import SubsetFacts
from taorunner.planning.derived.spec_texts import spec_format
from taorunner.specs.syntax.prototxt_parser import ProtoMessage, ProtoScalar, parse_prototxt
from taorunner.specs.templates.template import parse_template, render
from taorunner.yaml_reader import read_yaml

SCAFFOLDS = Path(taorunner.project.__file__).parent / "scaffolds"
HEADS = sorted(path.name for path in SCAFFOLDS.iterdir())
NAMES = (
    "$money", "${a}", "a$b", "a: b", "#x", "ünï", "lock nut", "y", "no", '"q"', "o'k", "1", "null", "{z}", "back\\slash",
    "-dash", "*", "x" * 90, "$FILL_INs",
)  # fmt: skip
COUNT = SubsetFacts(1000, Counter(NAMES), 400)
FACTS = DataFacts(
    COUNT, COUNT, NAMES, dict(enumerate(NAMES, start=1)), Counter({(1920, 1080): 9}), Counter({".jpg": 9}),
    tuple((0.1 + number / 100, 0.9 - number / 100) for number in range(50)), ((0,), (3,), (9,)), {(3,): "$a: b"}, 3, 77,
)  # fmt: skip


def strings_of(message: ProtoMessage, field: str) -> list[str]:
    found: list[str] = []
    for one in message.fields:
        if isinstance(one.value, ProtoMessage):
            found += strings_of(one.value, field)
        elif isinstance(one.value, ProtoScalar) and one.name == field:
            found.append(str(one.value.value))
    return found


@pytest.mark.parametrize("head", HEADS)
def test_names_are_written_so_that_they_are_read_again(head: str) -> None:
    layout = Catalog().layout(head)
    assert layout is not None
    texts = {path.name: path.read_text() for path in (SCAFFOLDS / head).iterdir() if path.name != "vars.yml"}
    made = with_data(layout, FACTS, texts, {}, is_new=True)
    for is_new in (True, False):
        again = with_data(layout, FACTS, made.specs, made.variables, is_new=is_new)
        assert (again.changes, again.specs) == ((), made.specs)
    for file, text in made.specs.items():
        template = parse_template(text, spec_format(file))
        uses = {use.name for use in parse_template(texts[file], spec_format(file)).variables}
        assert template.problems == () and {use.name for use in template.variables} <= {*uses, "$"}
        rendered = render(template, dict.fromkeys(uses - {"$"}, 1))
        assert rendered.findings == ()
        keys = {change.key for change in made.changes if change.file == file}
        if spec_format(file) == "yaml":
            spec = read_yaml(rendered.text).value
            if "inference.color_map" in keys:
                wanted = [name.lower() for name in NAMES] if "grounding" in head else list(NAMES)
                assert list(spec["inference"]["color_map"]) == wanted
            if "dataset.infer_data_sources.captions" in keys:
                assert spec["dataset"]["infer_data_sources"]["captions"] == list(NAMES)
        elif any("target_class_mapping" in key for key in keys):
            (blocks,) = {key.rpartition(".")[0] for key in keys if key.endswith("target_class_mapping")}
            root = parse_prototxt(rendered.text)
            sections = [one.value for one in root.fields if one.name == blocks] if blocks else [root]
            mapped = [
                one for section in sections for one in section.fields if one.name == "target_class_mapping"
            ]
            assert [strings_of(one.value, "key") + strings_of(one.value, "value") for one in mapped] == [
                [name, name] for name in NAMES
            ]
