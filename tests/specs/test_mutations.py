"""One mistake of each kind in every spec that we ship is found, on its line, as tools/check_public_specs.py finds it in
NVIDIA's."""

from __future__ import annotations

from pathlib import Path

import pytest
from filled_in import filled
from spec_checks import ROOT, check_template, load_tool

from taorunner.importers.network_detection import action_of, read_spec
from taorunner.planning.inputs.variables import VARIABLES
from taorunner.planning.inputs.workspace_networks import Networks
from taorunner.planning.spec.schema_choice import schema_for
from taorunner.project.scaffold import scaffold_heads
from taorunner.specs.schema.walk import Against
from taorunner.specs.templates.template import parse_template, render

SCAFFOLDS = ROOT / "src" / "taorunner" / "project" / "scaffolds"
WITHOUT_SCHEMA = ("bpnet", "fpenet", "video_clip")
"""Their specs are YAML of TF1, or of a network that nvidia-tao-core has no dataclasses of: no wheel describes them."""
VALUES = {name: 1 if name == "num_gpus" else [0] if name == "gpu_ids" else f"/{name}" for name in VARIABLES}


@pytest.mark.parametrize("head", scaffold_heads())
def test_a_mistake_is_found_on_its_line(head: str, tmp_path: Path) -> None:
    tool = load_tool("spec_mutations")
    contracts = Networks().load(head).contracts(None)
    made = []
    for path in sorted((SCAFFOLDS / head).iterdir()):
        if path.name == "vars.yml":
            continue
        spec_format = "yaml" if path.suffix == ".yaml" else "prototxt"
        text = render(parse_template(filled(path, head), spec_format), {**VALUES, "num_classes": 3}).text
        spec = read_spec(Path(path.name), text)
        assert spec is not None
        held = schema_for(contracts[action_of(spec, contracts.values()) or "train"])
        if held is None:
            continue
        for one in [one for seed in "abcdef" for one in tool.mutations(text, Against(held.schema), seed)]:
            file = tmp_path / path.name
            file.write_text(one.text)
            findings = check_template(file, spec_format, VALUES, Against(held.schema), VALUES)
            assert one.line in [finding.line for finding in findings], one
            made.append(one.kind)
    assert {"misspelt", "wrong type"} <= set(made) or (head in WITHOUT_SCHEMA and not made)


def test_a_spec_of_another_shape_than_its_networks_is_held_against_its_own() -> None:
    """bevfusion's conversion reads another spec than its training."""
    for release, action in (("5.5.0", "convert"), ("7.0.1", "dataset_convert")):
        contracts = Networks().load("bevfusion").contracts(release)
        of_conversion, of_network = schema_for(contracts[action]), schema_for(contracts["train"])
        assert of_conversion is not None and of_network is not None
        assert (of_conversion.schema.name, of_network.schema.name) == (f"bevfusion.{action}", "bevfusion")
