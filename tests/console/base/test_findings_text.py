import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.text import Text

from taorunner.console.base.findings_text import (
    count_text,
    finding_lines,
    findings_json,
    folded,
    place_order,
    print_error,
    print_findings,
)
from taorunner.console.base.theme import ASCII, UNICODE, make_console
from taorunner.console.base.validation_text import print_validation
from taorunner.errors import Finding, MachineError, Severity, UserFilesError
from taorunner.planning.model.looked_at import LookedAt


def printed(findings, here, symbols=UNICODE):
    return [line.plain for line in finding_lines(sorted(findings, key=place_order), symbols, here=here)]


def finding(file=None, line=None, column=None, **more):
    values = {"severity": Severity.ERROR, "code": "unknown-key", "message": 'unknown key "backbome"', **more}
    return Finding(**values, file=file, line=line, column=column)


def test_findings_are_sorted_by_place_with_line_and_caret(tmp_path):
    file = tmp_path / "experiments.yml"
    file.write_text("experiments:\n  e1:\n    backbome: resnet18\n\tx: 1\n", encoding="utf-8")
    findings = [
        finding(file, 4, 2, severity=Severity.WARNING, code="tab", message="[red]tab[/red]"),
        finding(file, 3, 5, hint='did you mean "backbone"?'),
        finding(Path("/a/data"), code="missing", message="no such folder", hint="mkdir it\nthen go on"),
        finding(message="Docker is not here", code="no-docker"),
        finding(file, 3, 5, hint='did you mean "backbone"?'),
    ]
    assert printed(findings, tmp_path) == [
        "error: Docker is not here [no-docker]",
        "/a/data: error: no such folder [missing]",
        "  hint: mkdir it",
        "        then go on",
        'experiments.yml:3:5: error: unknown key "backbome" [unknown-key]',
        "     3 │     backbome: resnet18",
        "       │     ^^^^^^^^",
        '  hint: did you mean "backbone"?',
        "experiments.yml:4:2: warning: [red]tab[/red] [tab]",
        "     4 │     x: 1",
        "       │     ^",
    ]
    assert count_text(findings) == "3 errors, 1 warning"
    assert [item["code"] for item in findings_json(findings)] == [
        "no-docker",
        "missing",
        "unknown-key",
        "tab",
    ]


def test_of_a_long_line_the_part_around_the_column_is_shown(tmp_path):
    file = tmp_path / "x.yml"
    file.write_text("k: [" + "a, " * 3000 + "警, here]\n", encoding="utf-8")
    column = file.read_text(encoding="utf-8").index("here") + 1
    _, line, caret = printed([finding(file, 1, column)], tmp_path)
    assert len(line) < 120
    assert line.endswith("警, here]")
    width_before_here = len(line.partition("here")[0]) + 1  # 警 takes two cells
    assert caret.index("^") == width_before_here


@pytest.mark.parametrize("line", [None, 0, -1, 99])
def test_a_place_that_is_not_there_is_reported_without_source(tmp_path, line):
    file = tmp_path / "x.yml"
    file.write_text("a: 1\n", encoding="utf-8")
    assert len(printed([finding(file, line, 1)], tmp_path)) == 1


def test_what_cannot_be_read_is_reported_without_source(tmp_path):
    big = tmp_path / "big.yml"
    big.write_bytes(b"x" * 4_000_001)
    for file in (tmp_path, tmp_path / "gone.yml", big, Path("/dev/zero"), Path("nul\0byte")):
        assert len(printed([finding(file, 1, 1)], tmp_path)) == 1


def test_a_file_of_rubbish_cannot_drive_the_terminal(tmp_path):
    file = tmp_path / "x\x1b[2J.yml"
    file.write_bytes(b"\x1b[31m\xff\x00rubbish\x07\r\n")
    lines = printed([finding(file, 1, 1, message="odd\x1b[2J", hint="\x1b[1mhint")], tmp_path, ASCII)
    assert all(line.isprintable() for line in lines)
    assert lines[0] == "x.yml:1:1: error: odd [unknown-key]"


def test_an_error_is_reported_after_its_findings():
    stream = io.StringIO()
    error = UserFilesError("experiments.yml has an error", hint="see above", findings=[finding()])
    print_error(make_console(stream, {"COLUMNS": "20"}), error)
    assert stream.getvalue() == (
        'error: unknown key "backbome" [unknown-key]\nerror: experiments.yml has an error\nhint: see above\n'
    )


@pytest.mark.parametrize(
    ("with_infos", "is_quiet", "text"),
    [
        (
            False,
            False,
            "error: wrong [unknown-key]\n1 error in p; a start would be refused\n1 info: taorunner validate p -v\n",
        ),
        (False, True, "error: wrong [unknown-key]\n1 error in p; a start would be refused\n"),
        (
            True,
            False,
            "p: 1 experiment, 2 specs\nerror: wrong [unknown-key]\ninfo: known [unknown-key]\n"
            "1 error, 1 info in p; a start would be refused\n",
        ),
    ],
)
def test_infos_are_counted_unless_they_are_wanted(with_infos, is_quiet, text):
    info = finding(severity=Severity.INFO, message="known")
    stream = io.StringIO()
    print_validation(
        make_console(stream, {}), [info, info, finding(message="wrong")], [LookedAt("p", 1, 2, ())],
        with_infos=with_infos, is_quiet=is_quiet,
    )  # fmt: skip
    assert stream.getvalue() == text


def validation(findings, *, with_infos=False):
    stream = io.StringIO()
    print_validation(make_console(stream, {}), findings, [LookedAt("p", 1, 2, ())], with_infos=with_infos)
    return stream.getvalue().splitlines()


def test_nothing_is_printed_of_findings_that_cannot_all_be_shown():
    stream = io.StringIO()
    with pytest.raises(TypeError):
        print_validation(
            make_console(stream, {}), [finding(), finding(message=None)], [], with_infos=False
        )  # the full command line prints all again
    assert stream.getvalue() == ""


def test_the_same_findings_of_another_file_are_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = [tmp_path / name for name in ("a.yaml", "b.yaml", "c.yaml")]
    found = [
        finding(file, line, 3, message=f"wrong {line}", code="missing-input")
        for file in files
        for line in (4, 9)
    ]
    found.append(finding(files[2], 12, 1, message="more", code="missing-input"))
    lines = validation(found)
    assert "b.yaml:4, 9: the same 2 errors" in lines
    assert [line for line in lines if line.startswith("c.yaml")] == [
        "c.yaml:4:3: error: wrong 4 [missing-input]", "c.yaml:9:3: error: wrong 9 [missing-input]",
        "c.yaml:12:1: error: more [missing-input]",
    ]  # fmt: skip
    assert lines[-1] == "7 errors in p; a start would be refused (--force starts anyway)"


def test_twelve_blocks_are_shown_and_all_with_v(tmp_path):
    found = [finding(tmp_path / "a.yaml", line, 1, message=f"wrong {line}") for line in range(1, 22)]
    lines = validation(found)
    assert (sum("error: wrong" in line for line in lines), lines[-2:]) == (
        12, ["and 9 more errors: taorunner validate p -v", "21 errors in p; a start would be refused"],
    )  # fmt: skip
    assert sum("error: wrong" in line for line in validation(found, with_infos=True)) == 21


def test_many_findings_of_one_kind_do_not_hide_another_kind(tmp_path):
    found = [
        finding(tmp_path / "a.yaml", line, 1, message=f"wrong {line}", code="a") for line in range(1, 22)
    ]
    found += [finding(tmp_path / "b.yaml", line, 1, message=f"other {line}", code="b") for line in (1, 2)]
    found.append(finding(tmp_path / "a.yaml", 30, 1, message="odd", severity=Severity.WARNING, code="c"))
    lines = validation(found)
    assert [line.partition(": ")[2] for line in lines if ": error: " in line or ": warning: " in line] == [
        *(f"error: wrong {line} [a]" for line in range(1, 10)), "warning: odd [c]",
        "error: other 1 [b]", "error: other 2 [b]",
    ]  # fmt: skip
    assert "and 12 more errors: taorunner validate p -v" in lines


@pytest.mark.parametrize(("before", "text"), [
    ("    image_dir: ", "$dataset_raw/valid"), ('  path: "', "/data/a b.txt"), ("  n: ", "4"), ("  [", "$a/b"),
    ("  time: ", "5 parsecs"), ("  - a: ", "[1, 2]"), ("  ", "odd name"),
])  # fmt: skip
def test_the_caret_marks_the_whole_value(before, text, tmp_path):
    (tmp_path / "a.yaml").write_text(
        f"{before}{text}{chr(34) if before.endswith(chr(34)) else ''}{':' if text == 'odd name' else ''}  # why\n"
    )
    *_, caret = printed([finding(tmp_path / "a.yaml", 1, len(before) + 1)], tmp_path)
    assert caret.count("^") == len(text) and caret.endswith("^")


def test_the_counts_come_last_and_nothing_is_wrapped_in_a_pipe():
    stream = io.StringIO()
    print_findings(
        make_console(stream, {"COLUMNS": "10"}), [finding(severity=Severity.INFO, message="m " * 40)]
    )
    assert stream.getvalue() == f"info: {'m ' * 40} [unknown-key]\nno problems\n"


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300), st.integers(-2, 12), st.integers(-2, 400), st.text(max_size=30))
def test_any_file_and_any_place_can_be_reported(tmp_path_factory, data, line, column, message):
    file = tmp_path_factory.getbasetemp() / "any.yml"
    file.write_bytes(data)
    lines = printed([finding(file, line, column, message=message, hint=message)], file.parent)
    assert all(text.isprintable() for text in lines)
    assert all(len(text) < 150 for text in lines[1:])


def test_equal_hints_are_printed_once_at_the_last_finding_that_has_them(tmp_path):
    found = [
        finding(tmp_path / "a.yaml", message="one", hint="run this"),
        finding(tmp_path / "b.yaml", message="two", hint="another"),
        finding(tmp_path / "c.yaml", message="three", hint="run this"),
    ]
    assert printed(found, tmp_path) == [
        "a.yaml: error: one [unknown-key]", "b.yaml: error: two [unknown-key]", "  hint: another",
        "c.yaml: error: three [unknown-key]", "  hint: run this",
    ]  # fmt: skip


def test_a_hint_of_validate_is_printed_in_the_last_block_that_is_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = [
        finding(tmp_path / name, 1, 1, message="wrong", hint="run this") for name in ("a.yaml", "b.yaml")
    ]
    assert validation(found) == [
        "a.yaml:1:1: error: wrong [unknown-key]", "  hint: run this", "b.yaml:1: the same 1 error",
        "2 errors in p; a start would be refused",
    ]  # fmt: skip


def test_at_most_a_dozen_of_a_kind_and_how_to_see_all(tmp_path):
    found = [finding(message=f"wrong {number:02}", hint="run this") for number in range(15)]
    error = UserFilesError("nothing was started", findings=[*found, finding(message="a", code="other")])
    stream = io.StringIO()
    print_error(make_console(stream, {}), error)
    lines = stream.getvalue().splitlines()
    assert sum("wrong" in line for line in lines) == 12
    at = lines.index("  … and 3 more [unknown-key] (-v before the command shows them)")
    assert lines[at + 1 :] == ["  hint: run this", "error: a [other]", "nothing was started"]
    stream = io.StringIO()
    print_error(make_console(stream, {}), error, with_infos=True)
    assert stream.getvalue().count("[unknown-key]") == 15


def test_infos_of_a_refusal_are_shown_with_v_only():
    error = UserFilesError("refused", findings=[finding(severity=Severity.INFO, message="known")])
    for with_infos in (False, True):
        stream = io.StringIO()
        print_error(make_console(stream, {}), error, with_infos=with_infos)
        assert ("info: known" in stream.getvalue()) == with_infos


def test_paths_begin_here_or_at_home_or_at_the_root(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    here = tmp_path / "home" / "ws"
    message = f"no such folder: {here}/a, {tmp_path}/home/b, {tmp_path}/c, /mnt{here}/d"
    found = [finding(file, message=message, hint=f"ls '{here}/a' '{tmp_path}/home/b'") for file in (
        here / "x.yml", tmp_path / "home" / "y.yml", tmp_path / "z.yml",
    )]  # fmt: skip
    said = f"error: no such folder: a, ~/b, {tmp_path}/c, /mnt{here}/d [unknown-key]"
    assert printed(found, here) == [
        f"{tmp_path}/home/ws/x.yml"[len(str(here)) + 1 :] + f": {said}", f"~/y.yml: {said}",
        f"{tmp_path}/z.yml: {said}", f"  hint: ls 'a' '{tmp_path}/home/b'",
    ]  # fmt: skip
    assert printed([finding(Path("/etc/x.yml"))], Path("/"))[0].startswith("/etc/x.yml: ")


def test_findings_of_a_dataset_follow_those_of_the_specs(tmp_path):
    project = tmp_path / "projects" / "p"
    files = [project / "data/d/a.json", project / "experiments.yml", project / "specs/e/train.yaml"]
    lines = validation([finding(file, message="wrong") for file in files])
    assert [line.partition(":")[0].rpartition("/")[2] for line in lines[:3]] == [
        "experiments.yml", "train.yaml", "a.json",
    ]  # fmt: skip


def test_a_terminal_folds_between_words_and_indents():
    text = Text("specs/e/train.yaml:41:16: error: no such folder: data/parts/valid [missing-path]")
    assert [part.plain for part in folded(text, 66)] == [
        "specs/e/train.yaml:41:16: error: no such folder: data/parts/valid", "  [missing-path]",
    ]  # fmt: skip
    assert [part.plain for part in folded(Text("  hint: " + "x" * 50), 40)] == ["  hint:", "    " + "x" * 50]
    assert [part.plain for part in folded(Text("short"), 40)] == ["short"]


def test_the_words_around_a_command_are_folded_and_the_command_is_not():
    hint = (
        "  hint: taorunner resume rtdetr_01 --epochs 72 trains to epoch 72, taorunner train rtdetr_01 --overwrite sets the "
        "earlier ones aside"
    )
    assert [part.plain for part in folded(Text(hint), 60)] == [
        "  hint: taorunner resume rtdetr_01 --epochs 72 trains to",
        "    epoch 72, taorunner train rtdetr_01 --overwrite sets the",
        "    earlier ones aside",
    ]
    command = "taorunner -p parts train rtdetr_01 --set dataset.batch_size=4"
    assert [part.plain for part in folded(Text(f"  hint: {command} starts it"), 50)] == [
        "  hint:", f"    {command}", "    starts it",
    ]  # fmt: skip


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_of_a_finding_is_wider_than_the_terminal(tmp_path, width, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yaml").write_text("image_dir: " + "a/b " * 60)
    stream = io.StringIO()
    stream.isatty = lambda: True
    console = make_console(stream, {"TERM": "xterm", "COLUMNS": str(width)})
    print_findings(console, [finding(tmp_path / "a.yaml", 1, 12, message="word " * 30, hint="say " * 30)])
    plain = [Text.from_ansi(line).plain for line in stream.getvalue().splitlines()]
    assert max(map(len, plain)) <= min(width, 100)


def test_only_secrets_are_hidden_in_source_lines(tmp_path):
    spec = tmp_path / "train.txt"
    spec.write_text('target_class_mapping { key: "car" value: "car" }\n')
    assert 'key: "car"' in printed([finding(spec, 1, 1)], tmp_path)[1]
    labels = tmp_path / "labels.json"
    labels.write_text('{"value": "bolt"}\n')
    assert '"value": "bolt"' in printed([finding(labels, 1, 1)], tmp_path)[1]
    mounts = tmp_path / ".tao_mounts.json"
    mounts.write_text(
        '{"Envs": [\n{"variable": "CUDA_VISIBLE_DEVICES", "value": "0"},\n{"variable": "NGC_API_KEY",\n'
        '"value": "canary-1"},\n{"value": "canary-2"}]}\n'
    )
    shown = "\n".join(printed([finding(mounts, line, 1) for line in range(1, 6)], tmp_path))
    assert '"CUDA_VISIBLE_DEVICES", "value": "0"' in shown
    assert "canary-1" not in shown


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (MachineError("no engine answers", code="engine"), "error: no engine answers [engine]"),
        (MachineError("no driver"), "error: no driver"),
    ],
)
def test_an_error_has_its_code_where_that_says_more_than_its_kind(error, line, tmp_path):
    stream = io.StringIO()
    print_error(make_console(stream, {"TERM": "dumb"}), error, here=tmp_path)
    assert stream.getvalue().splitlines() == [line]
    assert error.as_findings()[0].code == error.code
