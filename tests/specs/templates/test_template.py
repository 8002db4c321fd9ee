from __future__ import annotations

import math
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from taorunner.specs.editing.prototxt_edit import read_value
from taorunner.specs.memory import SpecMemory
from taorunner.specs.templates.template import Context, parse_template, render
from taorunner.yaml_reader import read_yaml

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
hostile = st.sampled_from(
    [
        "",
        " ",
        "no",
        "1",
        "1e-4",
        "1:30",
        "0x10",
        "2024-01-01",
        "null",
        "~",
        "- a",
        "a: b",
        "a #b",
        "#",
        "'",
        '"',
        "\\",
        "*x",
        "&x",
        "!x",
        "%",
        "@",
        "`",
        "{}",
        "[",
        "]",
        ",",
        "? a",
        "|",
        ">",
        "\n",
        "a\n  b",
        "\t",
        " a ",
        "\u0085",
        "\u2028",
        "\ufeff",
        "\x00",
        "\x7f",
        "${x}",
        "$x",
        "=",
        "<<",
        "---",
        "...",
        ".",
        "-",
        "007",
        "_",
        "1_000",
        "é",
        "😀",
    ]
)
strings = st.one_of(texts, hostile, st.tuples(hostile, hostile).map("".join))

YAML_PLACES = {
    "plain": ("a: $v\n", "{v}"),
    "plain with a comment": ("a: $v  # the value\n", "{v}"),
    "plain in a longer scalar": ("a: x/${v}*y\n", "x/{v}*y"),
    "plain over two lines": ("a: x ${v}\n  y\n", "x {v} y"),
    "double quotes": ('a: "x${v}y"\n', "x{v}y"),
    "double quotes alone": ('a: "$v"\n', "{v}"),
    "double quotes over two lines": ('a: "x ${v}\n  ${v} y"\n', "x {v} {v} y"),
    "single quotes": ("a: 'x${v}y'\n", "x{v}y"),
    "single quotes over two lines": ("a: '${v}\n  y'\n", "{v} y"),
    "literal block": ("a: |\n  x\n  ${v}\nb: 1\n", "x\n{v}\n"),
    "folded block": ("a: >-\n  ${v}\n  y\nb: 1\n", "{v} y"),
    "with a tag": ("a: !!str $v\n", "{v}"),
    "with an anchor": ("a: &one $v\n", "{v}"),
}


@pytest.mark.parametrize("place", YAML_PLACES)
@settings(max_examples=100)
@given(value=strings)
def test_a_string_put_into_yaml_is_read_back_by_every_reader(place: str, value: str) -> None:
    text, expected = YAML_PLACES[place]
    rendered = render(parse_template(text, "yaml"), {"v": value})
    wanted = expected.replace("{v}", value)
    assert rendered.findings == ()
    assert read_yaml(rendered.text).problems == []
    assert read_yaml(rendered.text).value["a"] == wanted
    assert yaml.safe_load(rendered.text)["a"] == wanted


@settings(max_examples=100)
@given(value=strings)
def test_a_string_is_read_back_from_flow_collections_and_keys(value: str) -> None:
    rendered = render(parse_template("a: [x, $v, {k: ${v}}]\nb: {? $v : 1}\n", "yaml"), {"v": value})
    wanted = {"a": ["x", value, {"k": value}], "b": {value: 1}}
    assert read_yaml(rendered.text).value == wanted
    assert yaml.safe_load(rendered.text) == wanted


scalars = st.one_of(st.integers(-(10**30), 10**30), st.floats(), st.booleans(), strings)


@settings(max_examples=200)
@given(value=st.one_of(scalars, st.lists(scalars, max_size=4)))
def test_a_variable_alone_keeps_its_type(value: Any) -> None:
    rendered = render(parse_template("a: $v\n", "yaml"), {"v": value})
    for seen in (read_yaml(rendered.text).value["a"], yaml.safe_load(rendered.text)["a"]):
        assert repr(seen) == repr(value)


PROTO_PLACES = {
    "bare": ("a: $v", "{v}"),
    "bare in a longer word": ("a: x/${v}*y b: 1", "x/{v}*y"),
    "double quotes": ('a: "x${v}y"', "x{v}y"),
    "single quotes": ("a: 'x${v}y'", "x{v}y"),
    "after an octal escape": ('a: "\\1${v}1"', "\x01{v}1"),
    "after a hexadecimal escape": ('a: "\\x1${v}1"', "\x01{v}1"),
    "after a backslash": ('a: "\\\\${v}"', "\\{v}"),
    "between strings": ('a: "x" "$v" \'y\'', "x{v}y"),
}


@pytest.mark.parametrize("place", PROTO_PLACES)
@settings(max_examples=100)
@given(value=strings)
def test_a_string_put_into_protobuf_text_is_read_back(place: str, value: str) -> None:
    text, expected = PROTO_PLACES[place]
    rendered = render(parse_template(text, "prototxt"), {"v": value})
    assert rendered.findings == ()
    assert read_value(rendered.text, "a") == expected.replace("{v}", value)


@settings(max_examples=200)
@given(value=scalars)
def test_a_bare_variable_in_protobuf_text_keeps_its_type(value: Any) -> None:
    rendered = render(parse_template("m { a: $v }", "prototxt"), {"v": value})
    assert repr(read_value(rendered.text, "m.a")) == repr(value)


@pytest.mark.parametrize("spec_format", ["yaml", "prototxt"])
@settings(max_examples=300)
@given(text=st.one_of(st.text(), st.text(alphabet="$ab{}[]<>\"'\\#:,\n -|&*!%é")), value=strings)
def test_any_text_is_a_template_or_a_finding(spec_format: str, text: str, value: str) -> None:
    template = parse_template(text, spec_format)
    rendered = render(template, {"a": value, "b": 1})
    for finding in rendered.findings:
        assert finding.line is not None and 1 <= finding.line <= len(text.splitlines()) + 1
    for offset in range(0, len(rendered.text) + 1, 7):
        line, column = rendered.locate(offset)
        assert 1 <= line <= text.count("\n") + 1 and column >= 1


def test_every_use_is_known_with_its_place_and_context() -> None:
    text = "# $one\na: $two ${three}\nb: \"$four $$\"\nc: '$five'\nd: |  # $six\n  $seven\n"
    seen = [(use.name, use.line, use.column, use.context) for use in parse_template(text, "yaml").variables]
    assert seen == [
        ("one", 1, 3, Context.COMMENT),
        ("two", 2, 4, Context.BARE),
        ("three", 2, 9, Context.BARE),
        ("four", 3, 5, Context.DOUBLE_QUOTED),
        ("$", 3, 11, Context.DOUBLE_QUOTED),
        ("five", 4, 5, Context.SINGLE_QUOTED),
        ("six", 5, 9, Context.COMMENT),
        ("seven", 6, 3, Context.BLOCK),
    ]


def test_contexts_of_protobuf_text() -> None:
    text = "# $one\na { b: $two c: \"$three\" d: '$four' } # $five\n"
    seen = [
        (use.name, use.line, use.column, use.context) for use in parse_template(text, "prototxt").variables
    ]
    assert seen == [
        ("one", 1, 3, Context.COMMENT),
        ("two", 2, 8, Context.BARE),
        ("three", 2, 17, Context.DOUBLE_QUOTED),
        ("four", 2, 29, Context.SINGLE_QUOTED),
        ("five", 2, 40, Context.COMMENT),
    ]


@pytest.mark.parametrize("spec_format", ["yaml", "prototxt"])
def test_an_unknown_name_is_found_even_inside_quotes(spec_format: str) -> None:
    template = parse_template('a: "x"\nb: "$reslts_dir/weights"\n', spec_format)
    (finding,) = render(template, {"results_dir": "/r"}).findings
    assert (finding.code, finding.line, finding.column) == ("unknown-variable", 2, 5)
    assert (finding.message, finding.hint) == (
        'unknown variable "$reslts_dir"',
        'did you mean "results_dir"?',
    )


def test_omegaconf_interpolations_stay_unless_the_name_is_ours() -> None:
    text = "base: /x\na: ${base}\nb: ${train.lr}\nc: ${oc.env:HOME}\nd: ${experiment}\ne: $${other}\nf: ${.base}\n"
    rendered = render(parse_template(text, "yaml"), {"experiment": "e1"})
    assert rendered.findings == ()
    assert read_yaml(rendered.text).value == {
        "base": "/x",
        "a": "${base}",
        "b": "${train.lr}",
        "c": "${oc.env:HOME}",
        "d": "e1",
        "e": "${other}",
        "f": "${.base}",
    }
    assert (
        render(parse_template(text, "yaml"), {"base": 1}).findings[0].message
        == 'unknown variable "$experiment"'
    )


def test_in_protobuf_text_an_interpolation_is_a_mistake() -> None:
    (finding,) = parse_template('a: "${train.lr}"', "prototxt").problems
    assert (finding.code, finding.line, finding.column) == ("bad-variable", 1, 5)


def test_a_backslash_before_a_variable_is_a_mistake() -> None:
    (finding,) = parse_template('a: "\\$v"', "prototxt").problems
    assert (finding.code, finding.message) == ("bad-variable", '"\\$v"" is not a variable')


def test_a_colon_in_braces_is_no_obstacle() -> None:
    text = '# top\na: {b: $v:, c: "$v", d: [$v]}  # end\ne: |\n  $v\n'
    rendered = render(parse_template(text, "yaml"), {"v": "x"})
    assert rendered.findings == ()
    assert rendered.text == '# top\na: {b: "x:", c: "x", d: [x]}  # end\ne: |\n  x\n'


def test_lists() -> None:
    values = {"gpu_ids": [0, 1], "names": ["a b", "7"]}
    text = 'a: $gpu_ids\nb: [$gpu_ids]\nc: "$gpu_ids"\nd: [$gpu_ids, $names]\ne:\n  - $gpu_ids\n'
    assert read_yaml(render(parse_template(text, "yaml"), values).text).value == {
        "a": [0, 1],
        "b": [0, 1],
        "c": "0,1",
        "d": [[0, 1], ["a b", "7"]],
        "e": [[0, 1]],
    }
    text = 'a: $gpu_ids b: [$gpu_ids] c: "$gpu_ids" d: ["x", $names]'
    rendered = render(parse_template(text, "prototxt"), values).text
    assert [read_value(rendered, key) for key in "abcd"] == [[0, 1], [0, 1], "0,1", ["x", "a b", "7"]]


def test_numbers_in_a_longer_bare_word_make_a_number() -> None:
    rendered = render(parse_template("a: 1e-$x\nb: ${x}_v\nc: $x$x\n", "yaml"), {"x": 4})
    assert read_yaml(rendered.text).value == {"a": 1e-4, "b": "4_v", "c": 44}
    assert read_value(render(parse_template("a: -$x", "prototxt"), {"x": 4}).text, "a") == -4


def test_small_floats_are_numbers_to_omegaconf_too() -> None:
    rendered = render(parse_template("a: $x\nb: $y\n", "yaml"), {"x": 1e-05, "y": 1e30})
    assert rendered.text == "a: 1.0e-05\nb: 1.0e+30\n"
    assert yaml.safe_load(rendered.text) == {"a": 1e-05, "b": 1e30}


def test_nan_and_infinity() -> None:
    rendered = render(parse_template("a: $x\nb: $y\n", "yaml"), {"x": math.nan, "y": -math.inf})
    assert rendered.text == "a: .nan\nb: -.inf\n"
    assert render(parse_template("a: $y", "prototxt"), {"y": -math.inf}).text == "a: -inf"


def test_a_syntax_error_of_the_template_is_shown_at_its_place() -> None:
    (finding,) = parse_template('a {\n  b: $x/y\n  c "$x"\n}\n', "prototxt").problems
    assert (finding.line, finding.column) == (3, 5)
    assert finding.message == 'expected ":" or "{" after "c", found ""$x""'
    (finding,) = parse_template("a: $x\n b: 1\n", "yaml").problems
    assert (finding.code, finding.line) == ("yaml-syntax", 2)


def test_the_rest_of_the_text_stays_as_it_is() -> None:
    text = "# cost: $5\r\na:   {b : 'x' , }   # $nope\r\n\r\n\r\nc: $v\r\n"
    assert render(parse_template(text, "yaml"), {"v": 1}).text == text.replace("$v", "1")
    text = "# cost: $5\r\na <b : 'x' ; >   # $nope\r\n\r\n\tc: $v\r\n"
    assert render(parse_template(text, "prototxt"), {"v": 1}).text == text.replace("$v", "1")


def test_a_value_that_is_not_unicode_text_is_a_finding() -> None:
    (finding,) = render(parse_template("a: $v\n", "yaml"), {"v": "caf\udce9"}).findings
    assert (finding.code, finding.line, finding.column) == ("not-text", 1, 4)
    assert render(parse_template("# $v\na: 1\n", "yaml"), {"v": "caf\udce9"}).findings == ()


def test_places_in_the_rendered_text_lead_back_to_the_template() -> None:
    rendered = render(parse_template('a: "$v"\nb: $v\nc: 1\n', "prototxt"), {"v": "long\nvalue"})
    assert rendered.locate(rendered.text.index("c: 1")) == (3, 1)
    assert rendered.locate(rendered.text.index("value")) == (1, 5)


def test_one_memory_parses_the_same_text_once() -> None:
    text, memory = "a: $one_of_a_kind\n", SpecMemory()
    first = parse_template(text, "yaml", memory)
    assert first is parse_template("".join(list(text)), "yaml", memory)
    assert first is not parse_template(text, "yaml", SpecMemory())
    assert first is not parse_template(text, "yaml")
