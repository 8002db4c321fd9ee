"""Google's library has the last word on protobuf text: it and our reader agree, and what only it refuses is reported at its place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from filled_in import filled
from hypothesis import given, settings
from hypothesis import strategies as st
from spec_checks import check_template

from taorunner.errors import Severity
from taorunner.project.scaffold import scaffold_heads
from taorunner.specs.memory import SpecMemory
from taorunner.specs.schema.protobuf_check import refused_by_library
from taorunner.specs.schema.schema import Key, Schema, find_schema
from taorunner.specs.schema.walk import Against, walk_prototxt
from taorunner.specs.spec_file import prepare_spec
from taorunner.specs.syntax.prototxt_parser import ProtoScalar, parse_prototxt
from taorunner.specs.syntax.text_position import Lines, SpecProblemError

NETWORKS = (
    "classification_tf1", "detectnet_v2", "dssd", "efficientdet_tf1", "faster_rcnn", "lprnet", "mask_rcnn",
    "multitask_classification", "retinanet", "ssd", "unet", "yolo_v3", "yolo_v4", "yolo_v4_tiny",
)  # fmt: skip
SCAFFOLDS = Path(__file__).parents[3] / "src" / "taorunner" / "project" / "scaffolds"
ONLY_THE_LIBRARY = 'random_seed: 42\nmodel_config {\n  arch: "\\xff$experiment"\n}\n'
"""Bytes that are no UTF-8 in a text field: our own reader takes any escape."""


def schema_of(network: str, action: str = "train") -> Schema:
    schema = find_schema(network, action, "5.0.0")
    assert schema is not None and schema.format == "prototxt"
    return schema


def ours_refuses(text: str, schema: Schema) -> bool:
    try:
        walk = walk_prototxt(parse_prototxt(text), Against(schema))
    except SpecProblemError:
        return True
    return any(problem.misfit.severity is Severity.ERROR for problem in walk.problems)


def values_of(key: Key) -> st.SearchStrategy[str]:
    """Values that fit the key, and a few that do not."""
    numbers = st.integers(-(2**33), 2**33).map(str)
    floats = st.floats(allow_nan=False, allow_infinity=False).map(repr)
    words = st.sampled_from(
        [
            "true",
            "false",
            "True",
            "t",
            "f",
            "0",
            "1",
            "2",
            "-1",
            "inf",
            "nan",
            "no_such_name",
            '"5"',
            "0x1F",
            "017",
            "1.5f",
        ]
    )
    texts = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters="\\\"'$")).map(
        lambda t: f'"{t}"'
    )
    fitting = {"int": numbers, "float": floats, "bool": words, "str": texts}.get(key.kind)
    if key.kind == "enum":
        fitting = st.sampled_from([*key.options, f'"{key.options[0]}"', "1"])
    return st.one_of(fitting, words) if fitting is not None else words


@st.composite
def specs(draw: st.DrawFn, schema: Schema, number: int | None = None, depth: int = 0) -> str:
    """A text of the schema's fields, in any order, now and then with a mistake."""
    lines = []
    keys = schema.keys(number)
    for name in draw(st.lists(st.sampled_from(sorted(keys)), max_size=4 if depth else 6)):
        key = keys[name]
        written = draw(st.sampled_from([name, name, name, name, name + "x"])) if depth < 2 else name
        if key.kind == "section":
            if depth < 3:
                inner = draw(specs(schema, key.section, depth + 1))
                lines.append(f"{written}{draw(st.sampled_from([' ', ': ']))}{{\n{inner}\n}}")
        elif draw(st.booleans()) and key.is_repeated:
            lines.append(f"{written}: [{', '.join(draw(st.lists(values_of(key), max_size=3)))}]")
        else:
            lines.append(f"{written}: {draw(values_of(key))}")
    return "\n".join(lines)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_the_library_and_we_agree_on_generated_specs(data: st.DataObject) -> None:
    schema = schema_of(data.draw(st.sampled_from(NETWORKS)))
    text = data.draw(specs(schema))
    refused = refused_by_library(text, schema)
    assert (refused is not None) == ours_refuses(text, schema), (schema.name, text, refused)


@pytest.mark.parametrize("network", NETWORKS)
def test_every_schema_makes_a_message_and_knows_its_own_fields(network: str) -> None:
    for action in ("train", "dataset_convert", "inference"):
        schema = find_schema(network, action, "5.0.0")
        if schema is None or schema.format != "prototxt":
            continue
        sections = [name for name, key in schema.keys().items() if key.kind == "section"]
        assert refused_by_library("".join(f"{name} {{ }}\n" for name in sections), schema) is None
        refused = refused_by_library("\n  no_such_field { }", schema)
        assert refused is not None and refused.offset == 3


@pytest.mark.parametrize("head", scaffold_heads())
def test_scaffolds_are_taken_by_both(head: str, tmp_path: Path) -> None:
    for source in sorted((SCAFFOLDS / head).glob("*.txt")):
        path = tmp_path / source.name
        path.write_text(filled(source, head))
        action = {"convert": "dataset_convert"}.get(path.stem, path.stem)
        values = dict.fromkeys(("dataset_raw", "dataset_tfrecord", "pretrained_model", "results_dir"), "/x")
        prepared = prepare_spec(path, "prototxt", values, against=Against(schema_of(head, action)))
        assert [finding for finding in prepared.findings if finding.is_error] == []
        assert prepared.text is not None
        assert refused_by_library(prepared.text, schema_of(head, action)) is None


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("random_seed: 42\nno_such: 1\n", 2, 1),
        ("random_seed: 42\n  random_seed: ten\n", 2, 16),
        ("\ufeffrandom_seed: ten\n", 1, 15),
        ('model_config {\n  arch: "\\xff"\n}', 2, 9),
        ('model_config {\n  arch: "\\ud800"\n}', 2, 9),
        ("random_seed: 1 2", 1, 16),
    ],
)
def test_the_place_is_the_librarys(text: str, line: int, column: int) -> None:
    refused = refused_by_library(text, schema_of("detectnet_v2"))
    assert refused is not None and refused.offset is not None
    assert Lines(text).place(refused.offset) == (line, column)


def test_what_is_given_twice_is_merged_as_tao_merges_it() -> None:
    text = "random_seed: 1\nrandom_seed: 2\ntraining_config { num_epochs: 1 }\ntraining_config { num_epochs: 2 }\n"
    assert refused_by_library(text, schema_of("detectnet_v2")) is None


def test_what_only_the_library_refuses_is_reported_in_the_template(tmp_path: Path) -> None:
    file = tmp_path / "train.txt"
    file.write_text(ONLY_THE_LIBRARY)
    against = Against(schema_of("detectnet_v2"))
    values = {"experiment": "a\nb"}
    found = [
        (one.code, one.file, one.line, one.column)
        for one in check_template(file, "prototxt", values, against, values)
    ]
    assert found == [("protobuf-refuses", file, 3, 9)]
    prepared = prepare_spec(file, "prototxt", values, against=against)
    assert [(one.code, one.line, one.column) for one in prepared.findings] == [("protobuf-refuses", 3, 9)]
    assert prepared.text is None
    assert prepared.findings[0].message == (
        "the protobuf library refuses this: couldn't parse string: 'utf-8' codec can't decode byte 0xff in position 0: "
        "invalid start byte"
    )


def test_what_an_override_spoils_is_refused_before_the_launch(tmp_path: Path) -> None:
    file = tmp_path / "train.txt"
    file.write_text('model_config { arch: "resnet" }\n')
    prepared = prepare_spec(
        file, "prototxt", {}, overrides={"model_config.arch": 5}, against=Against(schema_of("detectnet_v2"))
    )
    assert prepared.text == 'model_config { arch: "5" }\n'
    spoilt = prepare_spec(
        file,
        "prototxt",
        {},
        overrides={"model_config.num_layers": "many"},
        against=Against(schema_of("detectnet_v2")),
    )
    assert [(one.code, one.file, one.line) for one in spoilt.findings] == [("protobuf-refuses", file, None)]
    assert spoilt.text is None


def test_the_library_is_asked_once_for_a_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from taorunner.specs.schema import protobuf_check

    asked: list[str] = []

    def count(text: str, schema: Schema, memory: SpecMemory) -> SpecProblemError | None:
        asked.append(text)
        return refused_by_library(text, schema, memory)

    monkeypatch.setattr(protobuf_check, "refused_by_library", count)
    against, memory = Against(schema_of("detectnet_v2")), SpecMemory()
    for number in range(1, 20):
        file = tmp_path / f"{number}.txt"
        file.write_text(
            f"# try {number}\nrandom_seed: {number}\ntraining_config {{\n  num_epochs: 2{number}\n}}\n"
        )
        assert check_template(file, "prototxt", [], against, {}, memory) == ()
    assert len(asked) == 1


@pytest.mark.parametrize("words", [["--help"], ["validate", "--help"], ["networks"], ["ps"]])
def test_help_does_not_load_the_library(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "projects").mkdir()
    code = (
        "import sys\nfrom taorunner.__main__ import main\n"
        f"sys.argv = ['taorunner', *{words!r}]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "assert 'google.protobuf' not in sys.modules, 'loaded'\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("written", "value"),
    [("+1", 1), ("1_000", 1000), ("0b11", 3), ("0o17", 15), ("0x1_F", 31), ("017", 15), ("-0b1", -1)],
)
def test_numbers_in_the_spellings_of_python(written: str, value: int) -> None:
    """NVIDIA's own messages take them too: tools/schemas/check_protobuf.py."""
    text = f"random_seed: {written}\n"
    (seed,) = parse_prototxt(text).fields
    assert isinstance(seed.value, ProtoScalar)
    assert seed.value.value == value
    schema = schema_of("faster_rcnn")
    assert ours_refuses(text, schema) is (refused_by_library(text, schema) is not None)


@pytest.mark.parametrize("written", ["1__0", "1_", "0b2", "0o8", "0x", "++1", "09"])
def test_what_is_no_number_in_any_spelling(written: str) -> None:
    text = f"random_seed: {written}\n"
    schema = schema_of("faster_rcnn")
    assert ours_refuses(text, schema) and refused_by_library(text, schema) is not None
