"""Splitting a GPU, as far as it can be seen without one."""

from __future__ import annotations

from taorunner.gpus import parent_of


def test_an_old_name_of_a_part_says_whose_part_it_is() -> None:
    assert parent_of("MIG-GPU-3f2a/1/0") == "GPU-3f2a"


def test_without_a_driver_nobody_knows_whose_part_it_is() -> None:
    assert parent_of("MIG-3f2a0000-0000-4000-8000-000000000000") is None
