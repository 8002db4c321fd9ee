"""Specs that differ only in numbers and comments are checked together: none may hide behind another."""

from __future__ import annotations

from pathlib import Path

import pytest
from spec_checks import check_template

FORMATS = {
    "prototxt": '# variation 1\ntraining_config {\n  num_epochs: 80  # all\n  rate: 5e-05\n  dir: "$results_dir"\n}\n',
    "yaml": "# variation 1\ntrain:\n  num_epochs: 80  # all\n  rate: 5.0e-05\n  dir: $results_dir\n",
}


@pytest.mark.parametrize("spec_format", FORMATS)
def test_other_numbers_are_as_fine(spec_format: str, tmp_path: Path) -> None:
    for number, text in enumerate(
        (FORMATS[spec_format], FORMATS[spec_format].replace("80", "-7").replace("5", "3"))
    ):
        path = tmp_path / f"{number}.txt"
        path.write_text(text)
        assert check_template(path, spec_format, {"results_dir"}) == ()


@pytest.mark.parametrize("spec_format", FORMATS)
@pytest.mark.parametrize(
    ("old", "new", "code", "line"),
    [
        ("80", "$epochs", "unknown-variable", 3),
        ("80", "80 {", None, None),
        ("$results_dir", "RESULTS_DIR", "placeholder", 5),
        ("5e-05", "$rate", "unknown-variable", 4),
    ],
)
def test_a_defect_is_found_behind_a_clean_one(
    spec_format: str, old: str, new: str, code: str | None, line: int | None, tmp_path: Path
) -> None:
    clean = FORMATS[spec_format].replace("5.0e-05", "5e-05")
    broken = clean.replace("variation 1", "variation 22").replace(old, new)
    for name, text in (("clean.txt", clean), ("broken.txt", broken)):
        (tmp_path / name).write_text(text)
    assert check_template(tmp_path / "clean.txt", spec_format, {"results_dir"}) == ()
    found = check_template(tmp_path / "broken.txt", spec_format, {"results_dir"})
    if code is not None:
        assert [(finding.code, finding.line) for finding in found] == [(code, line)]
    elif spec_format == "prototxt":
        assert [finding.is_error for finding in found] == [True]


def test_variables_in_a_text_of_yaml_are_no_comment(tmp_path: Path) -> None:
    for name, word in (("a.yaml", "$results_dir"), ("b.yaml", "$nonsense")):
        (tmp_path / name).write_text(f"script: |\n  # {word}\n  run\n")
    assert check_template(tmp_path / "a.yaml", "yaml", {"results_dir"}) == ()
    assert len(check_template(tmp_path / "b.yaml", "yaml", {"results_dir"})) == 1
