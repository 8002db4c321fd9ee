from __future__ import annotations

import math
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from taorunner.specs.editing.prototxt_edit import read_value, set_value
from taorunner.specs.syntax.prototxt_parser import ProtoList, ProtoMessage, ProtoScalar, parse_prototxt
from taorunner.specs.syntax.text_position import Lines, SpecProblemError

SPEC = """\
random_seed: 42
# data
dataset_config {
  data_sources: <
    tfrecords_path: "/data/tfrecords/kitti*"  # records
    image_directory_path: '/data'
  >
  target_class_mapping { key: "car" value: "car" }
  target_class_mapping { key: "van"; value: "car" },
  validation_fold: 0
}
training_config {
  batch_size_per_gpu: 16
  num_epochs: 80
  enable_qat: false
  learning_rate { soft_start_annealing_schedule { min_learning_rate: 5e-6f max_learning_rate: .5e-3 } }
  regularizer { type: L1 weight: 3e-9 }
  optimizer: { adam { epsilon: 1e-08 } }
}
augmentation_config { hue_rotation_max: 25. contrast: -1.5 scales: [0.5, 2, -inf] }
aspect_ratios: 1 aspect_ratios: 2
aspect_ratios_global: "[1.0, 2.0]"
"""

_FIELDS = {
    "Root": [
        ("random_seed", "uint32"),
        ("dataset_config", "Dataset"),
        ("training_config", "Training"),
        ("augmentation_config", "Augmentation"),
        ("aspect_ratios", "int32*"),
        ("aspect_ratios_global", "string"),
        ("text", "string"),
        ("number", "double"),
        ("deep", "Root"),
        ("many", "Root*"),
        ("words", "string*"),
    ],
    "Dataset": [
        ("data_sources", "Source*"),
        ("target_class_mapping", "Entry*"),
        ("validation_fold", "uint32"),
    ],
    "Source": [("tfrecords_path", "string"), ("image_directory_path", "string")],
    "Entry": [("key", "string"), ("value", "string")],
    "Training": [
        ("batch_size_per_gpu", "uint32"),
        ("num_epochs", "uint32"),
        ("enable_qat", "bool"),
        ("learning_rate", "Rate"),
        ("regularizer", "Regularizer"),
        ("optimizer", "Optimizer"),
    ],
    "Rate": [("soft_start_annealing_schedule", "Schedule")],
    "Schedule": [("min_learning_rate", "double"), ("max_learning_rate", "double")],
    "Regularizer": [("type", "Kind"), ("weight", "double")],
    "Optimizer": [("adam", "Adam")],
    "Adam": [("epsilon", "double")],
    "Augmentation": [("hue_rotation_max", "double"), ("contrast", "double"), ("scales", "double*")],
}
_TYPES = {"uint32": 13, "int32": 5, "string": 9, "double": 1, "bool": 8}


def _message_class() -> type[Message]:
    file = descriptor_pb2.FileDescriptorProto(name="spec.proto", package="t", syntax="proto3")
    kind = file.enum_type.add(name="Kind")
    for number, name in enumerate(("NO_REG", "L1", "L2")):
        kind.value.add(name=name, number=number)
    for message, fields in _FIELDS.items():
        described = file.message_type.add(name=message)
        for number, (name, type_name) in enumerate(fields, 1):
            field = described.field.add(name=name, number=number, label=3 if type_name.endswith("*") else 1)
            type_name = type_name.rstrip("*")
            if type_name in _TYPES:
                field.type = _TYPES[type_name]
            else:
                field.type = 14 if type_name == "Kind" else 11
                field.type_name = f".t.{type_name}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found: type[Message] = message_factory.GetMessageClass(pool.FindMessageTypeByName("t.Root"))
    return found


ROOT = _message_class()


def as_protobuf_reads(text: str) -> Any:
    return text_format.Merge(text, ROOT())  # as TAO does: merging, the last one wins


def assert_agrees(message: Any, ours: ProtoMessage) -> None:
    """Every field that protobuf set is in our tree with the same values, merged as protobuf merges."""
    for descriptor, value in message.ListFields():
        found: list[Any] = []
        for field in ours.fields:
            if field.name == descriptor.name:
                found += field.value.items if isinstance(field.value, ProtoList) else [field.value]
        theirs = list(value) if descriptor.is_repeated else [value]
        if descriptor.type == descriptor.TYPE_MESSAGE:
            if not descriptor.is_repeated:
                merged = ProtoMessage(0, fields=[field for block in found for field in block.fields])
                found = [merged]
            assert len(found) == len(theirs)
            for one, other in zip(theirs, found, strict=True):
                assert_agrees(one, other)
            continue
        if not descriptor.is_repeated:
            found = found[-1:]
        ours_plain = [item.value for item in found if isinstance(item, ProtoScalar)]
        if descriptor.type == descriptor.TYPE_ENUM:
            theirs = [descriptor.enum_type.values_by_number[number].name for number in theirs]
        assert len(ours_plain) == len(theirs)
        for one, other in zip(theirs, ours_plain, strict=True):
            assert one == other or (math.isnan(one) and math.isnan(other))


@pytest.mark.parametrize(
    "text",
    [
        SPEC,
        SPEC.replace("\n", "\r\n"),
        SPEC + "training_config { num_epochs: 3 }\n",
        'text: "a" "b" \'c\'',
        'text: "\\303\\244\\n\\x41\\u00e9\\U0001F600\\\\ \\" \\\' \\t\\0"',
        "text: 'ä 😀'",
        "number: inf",
        "number: -Infinity",
        "number: nan",
        "number: 1e5",
        "number: 1.f",
        "number: 0",
        "number: -0.0",
        "random_seed: 0x1F",
        "random_seed: 017",
        "aspect_ratios: -0x1F",
        "aspect_ratios: [1, 2] aspect_ratios: 3",
        "aspect_ratios: []",
        "words: ['a', \"b\" 'c']",
        "many { number: 1 } many < number: 2 >",
        "many: [{ number: 1 }, < number: 2 >]",
        "many [{ number: 1 }, { deep { number: 2 } }]",
        "deep { deep { deep: { } } }",
        "deep{};random_seed:1,",
        "training_config { enable_qat: True }",
        "training_config { enable_qat: False }",
        "# only a comment",
        "",
    ],
)
def test_what_protobuf_reads_is_read_the_same(text: str) -> None:
    assert_agrees(as_protobuf_reads(text), parse_prototxt(text))


@pytest.mark.parametrize(
    "text",
    [
        "random_seed 4",
        "random_seed: ",
        "random_seed: 08",
        "random_seed: 4x",
        'text: "a',
        "text: 'a\n'",
        "deep {",
        "deep { >",
        "}",
        "aspect_ratios: [1",
        "aspect_ratios: [1,]",
        "aspect_ratios: [1 2]",
        "aspect_ratios [1]",
        "text: $x",
        "text: a/b",
        ": 1",
        "4: 1",
        "number: 1.2.3",
        "number: - ",
        "text: @",
        "many: [{ number: 1 } { number: 2 }]",
        "random_seed:: 1",
        "deep { } }",
        'text: "\\x"',
        'text: "\\u12"',
    ],
)
def test_what_protobuf_refuses_is_refused_with_a_place(text: str) -> None:
    with pytest.raises(text_format.ParseError):
        as_protobuf_reads(text)
    with pytest.raises(SpecProblemError) as caught:
        parse_prototxt(text)
    assert caught.value.offset is not None and 0 <= caught.value.offset <= len(text)


@settings(max_examples=200)
@given(
    text=st.text(max_size=40),
    number=st.floats(),
    ints=st.lists(st.integers(-(2**31), 2**31 - 1), max_size=4),
    words=st.lists(st.text(max_size=9), max_size=3),
    depth=st.integers(0, 5),
    one_line=st.booleans(),
)
def test_what_protobuf_writes_is_read(
    text: str, number: float, ints: list[int], words: list[str], depth: int, one_line: bool
) -> None:
    message = innermost = ROOT()
    for _ in range(depth):
        innermost.deep.SetInParent()  # type: ignore[attr-defined]
        innermost = innermost.deep  # type: ignore[attr-defined]
    innermost.text, innermost.number = text, number  # type: ignore[attr-defined]
    innermost.aspect_ratios.extend(ints)  # type: ignore[attr-defined]
    innermost.words.extend(words)  # type: ignore[attr-defined]
    written = text_format.MessageToString(message, as_one_line=one_line, as_utf8=len(text) % 2 == 0)
    assert_agrees(message, parse_prototxt(written))


@settings(max_examples=300)
@given(st.one_of(st.text(), st.text(alphabet="ab1.-{}[]<>\"'\\#:,; \n\r")))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_prototxt(text)
    except SpecProblemError as problem:
        assert problem.offset is not None and 0 <= problem.offset <= len(text)


def test_protobuf_and_we_agree_on_which_small_texts_are_readable() -> None:
    """All short texts over a few tokens: the same ones are accepted."""
    tokens = ["deep", "{", "}", ":", "[", "]", ",", ";", '"x"', "<", ">", "many", "text", "words"]
    texts = [[]] + [[a] for a in tokens] + [[a, b] for a in tokens for b in tokens]
    texts += [[a, b, c] for a in ("deep", "many", "text", "words") for b in tokens for c in tokens]
    texts += [[a, b, c, d] for a in ("many", "words") for b in (":", "[") for c in tokens for d in tokens]
    for parts in texts:
        text = " ".join(parts)
        try:
            as_protobuf_reads(text)
        except text_format.ParseError:
            continue
        parse_prototxt(text)  # what is right for the schema is right without it


def test_an_unknown_escape_stays_as_python_protobuf_leaves_it() -> None:
    assert read_value('text: "block_\\d\\."', "text") == "block_\\d\\."


def test_reading_values() -> None:
    paths = {
        "random_seed": 42,
        "training_config.num_epochs": 80,
        "training_config.enable_qat": False,
        "training_config.regularizer.type": "L1",
        "training_config.learning_rate.soft_start_annealing_schedule.min_learning_rate": 5e-6,
        "training_config.optimizer.adam.epsilon": 1e-8,
        "dataset_config.data_sources.0.tfrecords_path": "/data/tfrecords/kitti*",
        "dataset_config.target_class_mapping.1.key": "van",
        "augmentation_config.contrast": -1.5,
        "augmentation_config.scales": [0.5, 2, -math.inf],
        "augmentation_config.scales.1": 2,
        "aspect_ratios": 2,
        "training_config": None,
        "training_config.nothing": None,
        "random_seed.x": None,
        "dataset_config.data_sources.7.x": None,
        "": None,
        "a..b": None,
    }
    assert {path: read_value(SPEC, path) for path in paths} == paths


def test_an_appended_block_wins() -> None:
    assert read_value(SPEC + "training_config { num_epochs: 3 }", "training_config.num_epochs") == 3
    assert read_value(SPEC + "training_config { enable_qat: true }", "training_config.num_epochs") == 80


def _changed_lines(text: str, dotted: str, value: object) -> list[tuple[int, str]]:
    changed = set_value(text, dotted, value)
    old, new = text.split("\n"), changed.split("\n")
    as_protobuf_reads(changed)
    if len(old) != len(new):
        return [(number, line) for number, line in enumerate(new, 1) if line not in old]
    return [(number, line) for number, (a, line) in enumerate(zip(old, new, strict=True), 1) if a != line]


def test_setting_changes_one_place() -> None:
    assert _changed_lines(SPEC, "training_config.num_epochs", 3) == [(14, "  num_epochs: 3")]
    assert _changed_lines(SPEC, "training_config.enable_qat", True) == [(15, "  enable_qat: true")]
    assert _changed_lines(SPEC, "training_config.regularizer.type", "L2") == [
        (17, "  regularizer { type: L2 weight: 3e-9 }")
    ]
    assert _changed_lines(SPEC, "dataset_config.data_sources.tfrecords_path", 'a"b') == [
        (5, '    tfrecords_path: "a\\"b"  # records')
    ]
    assert _changed_lines(SPEC, "aspect_ratios_global", 5) == [(22, 'aspect_ratios_global: "5"')]
    assert _changed_lines(SPEC, "aspect_ratios_global", [1.5, 2]) == [
        (22, 'aspect_ratios_global: "[1.5, 2]"')
    ]
    assert _changed_lines(SPEC, "aspect_ratios", [3, 4]) == [(21, "aspect_ratios: [3, 4] ")]
    assert _changed_lines(SPEC, "aspect_ratios.1", 7) == [(21, "aspect_ratios: 1 aspect_ratios: 7")]


def test_what_is_absent_is_inserted() -> None:
    assert _changed_lines(SPEC, "dataset_config.validation_fold", 1) == [(10, "  validation_fold: 1")]
    assert _changed_lines(SPEC, "text", "x") == [(23, 'text: "x"')]
    assert _changed_lines(SPEC, "training_config.optimizer.adam.epsilon", 1e-7) == [
        (18, "  optimizer: { adam { epsilon: 1e-07 } }")
    ]
    text = "training_config {\n    num_epochs: 1 # one\n    # end\n}\n"
    assert set_value(text, "training_config.batch_size_per_gpu", 4) == (
        "training_config {\n    num_epochs: 1 # one\n    # end\n    batch_size_per_gpu: 4\n}\n"
    )
    assert set_value("training_config { num_epochs: 1 }", "training_config.regularizer.weight", 2) == (
        "training_config { num_epochs: 1 regularizer { weight: 2 } }"
    )
    assert (
        set_value("training_config {}", "training_config.num_epochs", 2)
        == "training_config { num_epochs: 2 }"
    )
    assert set_value("random_seed: 1 # end", "deep.deep.number", 2) == (
        "random_seed: 1 # end\ndeep {\n  deep {\n    number: 2\n  }\n}\n"
    )


def test_the_last_of_merged_blocks_is_changed() -> None:
    text = SPEC + "training_config { num_epochs: 3 }\ntraining_config { enable_qat: true }\n"
    assert read_value(set_value(text, "training_config.num_epochs", 9), "training_config.num_epochs") == 9
    assert as_protobuf_reads(set_value(text, "training_config.num_epochs", 9)).training_config.num_epochs == 9


@pytest.mark.parametrize(
    ("dotted", "value", "code"),
    [
        ("training_config", 1, "cannot-set"),
        ("training_config.num_epochs.x", 1, "cannot-set"),
        ("dataset_config.target_class_mapping.key", "x", "ambiguous-key"),
        ("dataset_config.target_class_mapping.7.key", "x", "cannot-set"),
        ("aspect_ratios", 3, "ambiguous-key"),
        ("new_list.0", 3, "cannot-set"),
        ("training_config.num_epochs", None, "cannot-set"),
        ("training_config.num_epochs", {}, "cannot-set"),
        ("a b", 1, "bad-key"),
        ("0.a", 1, "bad-key"),
        ("a.", 1, "bad-key"),
        ("", 1, "bad-key"),
    ],
)
def test_what_cannot_be_set_is_refused(dotted: str, value: object, code: str) -> None:
    with pytest.raises(SpecProblemError) as caught:
        set_value(SPEC, dotted, value)
    assert caught.value.code == code


@settings(max_examples=150)
@given(
    value=st.one_of(st.text(max_size=20), st.integers(0, 9), st.lists(st.text(max_size=5), max_size=3)),
    dotted=st.sampled_from(["text", "deep.text", "words", "deep.deep.words", "new.a.b", "deep.number"]),
)
def test_what_was_set_is_read(value: Any, dotted: str) -> None:
    text = "# start\ndeep { text: 'old' words: 'a' # x\n}\nwords: 'b'"
    seen = read_value(set_value(text, dotted, value), dotted)
    assert seen == value or seen == str(value)


def test_lines_and_columns_are_one_based() -> None:
    lines = Lines("a\nbc\n")
    assert [lines.place(offset) for offset in range(6)] == [(1, 1), (1, 2), (2, 1), (2, 2), (2, 3), (3, 1)]
    assert [lines.offset(*lines.place(offset)) for offset in range(6)] == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("a: 1\na: 2\nb: 3\n", "a: [7]\nb: 3\n"),  # a field on a line of its own goes with the line
        ("a: 1\na: 2\r\nb: 3\n", "a: [7]\nb: 3\n"),
        ("a: 1\na: 2", "a: [7]\n"),
        ("a: 1\na: 2; b: 3\n", "a: [7]\nb: 3\n"),
        ("a: 1 a: 2\nb: 3\n", "a: [7] \nb: 3\n"),
        ("a: 1\na: 2  # two\n", "a: [7]\n# two\n"),
    ],
)
def test_a_repeated_field_that_is_set_leaves_no_others(text: str, changed: str) -> None:
    found = set_value(text, "a", [7])
    assert found == changed
