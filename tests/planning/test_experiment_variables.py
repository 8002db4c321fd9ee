"""The ``vars`` of experiments.yml are changed in place, or the file stays as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from taorunner.errors import UserFilesError
from taorunner.planning.experiment_variables import set_variables, variables_of, with_variables

TEXT = """\
# ours
experiments:
  base: {head: dino, vars: {num_classes: 3}}  # the first
  child:
    extends: base
    vars:
      batch: 4
"""


def test_a_value_is_set_where_its_experiment_has_it() -> None:
    assert with_variables(TEXT, {("base", "num_classes"): 5, ("child", "batch"): 8}) == TEXT.replace(
        "num_classes: 3", "num_classes: 5"
    ).replace("batch: 4", "batch: 8")


def test_a_new_variable_joins_the_others() -> None:
    assert with_variables(TEXT, {("child", "size"): 9}) == f"{TEXT}      size: 9\n"


@pytest.mark.parametrize("name", ["shared", "$HOME"])
def test_a_value_that_two_experiments_share_is_refused_by_name(tmp_path: Path, name: str) -> None:
    file = tmp_path / "experiments.yml"
    text = f"experiments:\n  a: {{head: dino, vars: &v {{{name}: 1}}}}\n  b: {{head: dino, vars: *v}}\n"
    file.write_text(text)
    with pytest.raises(UserFilesError) as raised:
        set_variables(file, "a", {name: 2})
    assert str(raised.value).startswith(f'"{name}" in the vars of experiments.yml cannot be set: ')
    assert raised.value.hint == f"set {name} to 2 by hand"
    assert file.read_text() == text


def test_nothing_is_written_where_nothing_differs(tmp_path: Path) -> None:
    file = tmp_path / "experiments.yml"
    file.write_text(TEXT)
    before = file.stat().st_mtime_ns
    assert set_variables(file, "base", {"num_classes": 3}) is False
    assert file.stat().st_mtime_ns == before
    assert variables_of(file, "base") == {"num_classes": 3}
