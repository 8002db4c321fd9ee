"""Which lines of a console are errors, warnings and banners, and what is left without the logger's words."""

from __future__ import annotations

import pytest

from taorunner.progress.causes.cause import Place
from taorunner.progress.console.line_kind import is_banner, is_frame, own_words, place_of


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("epoch 3 of 7", Place.LINE),
        ("2026-01-02 03:04:05.678: E tensorflow/core/x.cc:1] out of memory", Place.LOGGED_ERROR),
        ("E tensorflow/core/x.cc:1] out of memory", Place.LOGGED_ERROR),
        ("E0102 03:04:05.6 12 x.cc:1] bad", Place.LOGGED_ERROR),
        ("[E ProcessGroupNCCL.cpp:1] bad", Place.LOGGED_ERROR),
        ("2026-01-02 03:04:05.678: F tensorflow/core/x.cc:1] check failed", Place.TOOL_ERROR),
        ("ERROR: no such file", Place.TOOL_ERROR),
        ("dino: error: unrecognized arguments", Place.TOOL_ERROR),
        ("[01/02/2026-03:04:05] [TRT] [E] bad", Place.TOOL_ERROR),
        ("2026-01-02 03:04:05,678 - [x] - ERROR - bad", Place.TOOL_ERROR),
        ("UserWarning: ERROR: old", Place.WARNING),  # of both it is the lesser one
        ("2026-01-02 03:04:05.678: W tensorflow/core/x.cc:1] slow", Place.WARNING),
        ("[W ProcessGroupNCCL.cpp:1] slow", Place.WARNING),
        ("no errors", Place.LINE),
    ],
)
def test_the_place_of_a_line(line: str, place: Place) -> None:
    assert place_of(line) is place


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("error: it is full", "it is full"),
        ("2026-01-02 03:04:05,678 - [root] - ERROR - it is full (train.py:12)", "it is full"),
        ("[01/02/2026-03:04:05] [TRT] [E] it is full", "it is full"),
        ("it is full (train.py:12)", "it is full (train.py:12)"),  # no logger wrote it
    ],
)
def test_the_words_of_a_line(line: str, words: str) -> None:
    assert own_words(line) == words


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("=====", True), ("== TAO Toolkit ==", True), ("NVIDIA Release 5.5", True),
        ("NOTE: The SHMEM allocation limit is set to 64MB", True), ("== no end", False), ("epoch 3", False),
        ("PyTorch Version 2.7.0a0+79aa174", True), ("PyTorch Version check failed", False),
        ("All rights reserved.", True),
        ("GOVERNING TERMS: The software and materials are governed by the NVIDIA Software License Agreement", True),
        ("(found at https://www.nvidia.com/en-us/agreements/enterprise-software/product-specific-terms/).", True),
        ("and the Product-Specific Terms for NVIDIA AI Products", True),
        ("NOTE: MOFED driver was detected, but nv_peer_mem driver was not detected.", True),
        ("      Multi-node communication performance may be reduced.", True),
        ("      detected.  Multi-node communication performance may be reduced.", True),
        ("  Using CUDA 12.9 driver version 575.51.02 with kernel driver version 535.161.08.", True),
        ("  See https://docs.nvidia.com/deploy/cuda-compatibility/ for details.", True),
        ("the CUDA driver version is 535.161.08", False),
    ],
)  # fmt: skip
def test_lines_that_an_image_prints_of_itself(line: str, expected: bool) -> None:
    assert is_banner(line) is expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("=== TAO Toolkit PyTorch ===", True),
        ("TinyDet: a small CPU network in numpy that keeps TAO's contract; it is not a TAO network.", True),
        ("Train results will be saved at: /workspace/projects/p/models/e/train", True),
        (
            "[2026-11-29 01:00:00 - TAO Toolkit - root - INFO] Execution status: FAIL (entrypoint.py:117)",
            True,
        ),
        ("Execution status: FAIL", True),
        ("Epoch 11:  64%|######    | 310/482 [01:30<00:50, 3.44it/s]", True),
        ("RuntimeError: 64% of the boxes are outside of their image", False),
        ("the results will be saved nowhere: no room", False),
    ],
)
def test_what_says_nothing_of_a_failure(line: str, expected: bool) -> None:
    assert is_frame(line) is expected
