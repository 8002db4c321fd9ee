from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from spec_checks import check_template

from taorunner.errors import Finding, Severity
from taorunner.specs.memory import SpecMemory
from taorunner.specs.spec_file import (
    MAX_SPEC_BYTES,
    SpecFile,
    load_spec,
    prepare_spec,
    read_number,
    read_value,
)

NAMES = frozenset({"results_dir", "dataset_raw", "experiment", "gpu_ids", "num_gpus"})
VALUES = {"results_dir": "/w/m/e", "dataset_raw": "/w/d", "experiment": "e", "gpu_ids": [0], "num_gpus": 1}


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="")
    return path


def codes(findings: tuple[Finding, ...]) -> list[tuple[str, int | None, int | None]]:
    return [(finding.code, finding.line, finding.column) for finding in findings]


def test_a_spec_is_loaded_without_its_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\n")
    assert load_spec(path) == SpecFile(path, "a: 1\r\n")


def test_what_is_not_a_readable_text_file_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "binary").write_bytes(b"ab\ncd\x80")
    (tmp_path / "marked").write_bytes(b"\xef\xbb\xbfab\x80")
    (tmp_path / "nul").write_bytes(b"a: \0")
    (tmp_path / "empty").write_bytes(b" \n")
    (tmp_path / "huge").write_bytes(b"#" * (MAX_SPEC_BYTES + 1))
    expected: dict[str, tuple[str, int | None, int | None]] = {
        "folder": ("not-a-file", None, None),
        "fifo": ("not-a-file", None, None),
        "loop": ("unreadable-spec", None, None),
        "binary": ("not-text", 2, 3),
        "marked": ("not-text", 1, 3),  # the mark is no column
        "nul": ("not-text", 1, 4),
        "empty": ("empty-spec", None, None),
        "huge": ("too-large", None, None),
        "absent": ("missing-spec", None, None),
        "no\0path": ("unreadable-spec", None, None),
    }
    for name, wanted in expected.items():
        for spec_format in ("yaml", "prototxt"):
            findings = check_template(tmp_path / name, spec_format, NAMES)
            assert codes(findings) == [wanted]
            assert findings[0].file == tmp_path / name
            assert prepare_spec(tmp_path / name, spec_format, VALUES).findings == findings


def test_a_file_without_read_permission_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "train.yaml", "a: 1\n")
    path.chmod(0)
    user = os.geteuid()
    try:
        os.seteuid(user or 65534)  # root reads everything, so it becomes nobody for a moment
        (finding,) = check_template(path, "yaml", NAMES)
    finally:
        os.seteuid(user)
    assert (finding.code, finding.hint) == ("unreadable-spec", "give yourself read permission (chmod u+r)")


def test_a_template_is_checked_with_all_its_findings(tmp_path: Path) -> None:
    path = write(
        tmp_path / "train.txt",
        '# DATADIR /home/me/x $nothing\na: "$reslts_dir"\nb: "EXPERIMENT_DIR/x"\nd: $nope\n',
    )
    findings = check_template(path, "prototxt", NAMES)
    assert codes(findings) == [
        ("unknown-variable", 2, 5),
        ("unknown-variable", 4, 4),
        ("placeholder", 3, 5),
    ]
    assert [finding.severity for finding in findings] == [Severity.ERROR] * 2 + [Severity.WARNING]


def test_placeholders_in_yaml_comments_are_left_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "train.yaml", "# /path/to/x\na: '#'  # DATADIR\nb: /path/to/y\n")
    assert codes(check_template(path, "yaml", NAMES)) == [("placeholder", 3, 4)]


def test_a_spec_that_is_a_list_is_a_finding(tmp_path: Path) -> None:
    path = write(tmp_path / "train.yaml", "- a\n- b\n")
    assert codes(check_template(path, "yaml", NAMES)) == [("not-a-mapping", 1, 1)]


def test_a_prepared_yaml_spec(tmp_path: Path) -> None:
    path = write(
        tmp_path / "train.yaml",
        "results_dir: $results_dir\ntrain:\n  num_epochs: 3  # short\n  gpu_ids: $gpu_ids\n"
        "dataset: {root: $dataset_raw}\n",
    )
    prepared = prepare_spec(
        path,
        "yaml",
        VALUES,
        overrides={"train": {"num_epochs": 5}, "train.optim.lr": 1e-05},
        keys={"train.gpu_ids": [0, 1], "train.num_gpus": 2},
    )
    assert prepared.findings == ()
    assert prepared.text == (
        "results_dir: /w/m/e\ntrain:\n  num_epochs: 5  # short\n  gpu_ids: [0, 1]\n  optim:\n    lr: 1.0e-05\n"
        "  num_gpus: 2\ndataset: {root: /w/d}\n"
    )
    assert read_number(prepared, "train.num_epochs") == 5
    assert read_value(prepared, "train.gpu_ids") == [0, 1]
    assert path.read_text(encoding="utf-8").startswith("results_dir: $results_dir")


def test_a_prepared_protobuf_spec(tmp_path: Path) -> None:
    path = write(
        tmp_path / "train.txt",
        'training_config { num_epochs: 80 }\ndataset_config { path: "$dataset_raw" }\n',
    )
    prepared = prepare_spec(path, "prototxt", VALUES, overrides={"training_config.num_epochs": 2})
    assert prepared.text == 'training_config { num_epochs: 2 }\ndataset_config { path: "/w/d" }\n'
    assert read_number(prepared, "training_config.num_epochs") == 2
    assert read_number(prepared, "dataset_config.path") is None


def test_an_error_after_rendering_is_shown_at_its_place_in_the_template(tmp_path: Path) -> None:
    path = write(tmp_path / "train.txt", 'a { b: "$dataset_raw/$dataset_raw" }\n$experiment { b: 1 }\n')
    prepared = prepare_spec(path, "prototxt", VALUES)
    assert prepared.text is None
    assert codes(prepared.findings) == [("prototxt-syntax", 2, 1)]
    path = write(tmp_path / "train.yaml", "a: $dataset_raw\nb: {c: ${a}}\n")
    prepared = prepare_spec(path, "yaml", VALUES)
    assert prepared.text is None
    assert [(finding.code, finding.line) for finding in prepared.findings] == [("yaml-syntax", 2)]


def test_an_override_that_cannot_be_made_is_a_finding(tmp_path: Path) -> None:
    path = write(tmp_path / "train.txt", "training_config { num_epochs: 80 }\n")
    prepared = prepare_spec(path, "prototxt", VALUES, overrides={"training_config": 3, "a b": 1})
    assert prepared.text is None
    assert [finding.code for finding in prepared.findings] == ["cannot-set", "bad-key"]
    assert all(finding.file == path for finding in prepared.findings)


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("7", 7),
        ("'7'", 7),
        ("1e-4", 1e-4),
        ("'1e-4'", 1e-4),
        ("true", None),
        ("x", None),
        ("[1]", None),
        ("", None),
    ],
)
def test_numbers_are_read_as_omegaconf_reads_them(tmp_path: Path, written: str, number: float | None) -> None:
    prepared = prepare_spec(write(tmp_path / "train.yaml", f"a: {written}\n"), "yaml", {})
    assert read_number(prepared, "a") == number


def test_a_thousand_experiments_with_the_same_spec_cost_one_parse(tmp_path: Path) -> None:
    body = "".join(f"section_{number}:\n  key: $results_dir/{number}\n" for number in range(400))
    paths = [write(tmp_path / f"{number}.yaml", body) for number in range(1000)]
    start = time.process_time()
    assert check_template(paths[0], "yaml", NAMES) == ()
    once = time.process_time() - start
    start = time.process_time()
    memory = SpecMemory()
    for path in paths:
        assert check_template(path, "yaml", NAMES, memory=memory) == ()
    assert time.process_time() - start < 200 * once  # without the cache: 1000
