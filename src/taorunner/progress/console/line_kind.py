"""Classifies a console line (error of a tool, warning, banner of the image) and extracts its message.

Source: tao/pytorch.md section 4 (log forms of 5.x to 7.x); the entry script of NVIDIA's images (banner).
"""

from __future__ import annotations

import re

from taorunner.progress.causes.cause import Place

_WARNING = re.compile(
    r"\b\w{0,40}Warning: (?!SPANK)|\[(?:W|WARN|WARNING)\]|- WARNING(?: -|\])|^WARN(?:ING)?\b|^NOTE: |(?:^"
    r"|\d: )W \w{1,30}/|\[W[ :]",
    re.ASCII,
)
_TOOL_ERROR = re.compile(
    r"\[(?:E|ERROR|CRITICAL|FATAL)\]|- (?:ERROR|CRITICAL|FATAL)(?: -|\])|^(?:ERROR|CRITICAL|FATAL"
    r"|Fatal)\b|: error: "
    r"|^\[[A-Z]\w{1,20}\] ERROR: |^[Ee]rror(?: |:)|^\[\d{1,2}\] Assertion failed|\b[A-Z]\w{0,20} ERROR: "
    r"|(?:^|\d: )F \w{1,30}/|^E\b(?! \w{1,30}/)",
    re.ASCII,
)
_LOGGED_ERROR = re.compile(r"(?:^|\d: )E \w{1,30}/|^E\d{4} \d\d:|\[E[ :]", re.ASCII)
_LOG_PREFIX = re.compile(
    r"^(?:error: |\d{4}-\d\d-\d\d [\d:,.]{8,20} - \[[^\]\n]{1,40}\] - [A-Z]{3,10} - "
    r"|\[\d{4}-\d\d-\d\d [\d:,.]{8,20} - [^\]\n]{1,120} - [A-Z]{3,10}\] "
    r"|\[[A-Z]\w{1,20}\] ERROR: "
    r"|.{0,80}\[(?:ERROR|CRITICAL|FATAL)\] (?:[\w.]{1,80} \d{1,6}: )?|(?:\[[\d/:-]{8,24}\] )?\[TRT\] \[E\] |"
    r"(?:\[[\d/:-]{8,24}\] )?\[E\] \[TRT\] )",
    re.ASCII,
)
_LOG_SUFFIX = re.compile(r" \(\w{1,80}\.py:\d{1,6}\)$", re.ASCII)
_BANNER = re.compile(
    r"^={3,}\s*$|^={2,} .{1,60} ={2,}\s*$|^NVIDIA Release |^TAO (?:Toolkit )?Version|^Container image Copyright"
    r"|^Copyright \(c\)|^Various files include modifications"
    r"|^This container image and its contents are governed"
    r"|^By (?:pulling and )?using the container|^https://(?:developer|docs)\.nvidia\.com/\S*$"
    r"|^(?:PyTorch|TensorFlow|TensorRT) Version \d|^All rights reserved\.$|^GOVERNING TERMS: "
    r"|^and the Product-Specific Terms"
    r"|^\(found at https://www\.nvidia\.com/"
    r"|^NOTE: (?:The SHMEM allocation limit|CUDA Forward Compat|Mellanox|MOFED)"
    r"|^ {2,}(?:(?:detected\. {1,2})?Multi-node communication performance|Using CUDA [\d.]{1,8} driver version"
    r"|See https://docs\.nvidia\.com/|insufficient for (?:TAO|PyTorch|TensorFlow)|docker run --gpus all"
    r"|nvidia-docker run --shm-size"
    r"|Use the NVIDIA Container Toolkit to start|https://docs\.nvidia\.com/)",
)
"""A line of ``=`` always counts as banner."""
_FRAME = re.compile(
    r"^TinyDet: a small CPU network |(?:^|[ \]])\w{1,30} results will be saved at: "
    r"|(?:^|[ \]])Execution status: (?:PASS|FAIL)\b|^Telemetry data couldn't be sent|\b\d{1,3}%\|",
    re.ASCII,
)


def place_of(line: str) -> Place:
    """The place of a line outside of exceptions, from its log level."""
    if _WARNING.search(line):
        return Place.WARNING
    if _LOGGED_ERROR.search(line):
        return Place.LOGGED_ERROR
    return Place.TOOL_ERROR if _TOOL_ERROR.search(line) else Place.LINE


def own_words(line: str) -> str:
    """The message without the prefix and suffix of a logger."""
    words, logged = _LOG_PREFIX.subn("", line, count=1)
    return _LOG_SUFFIX.sub("", words) if logged else line


def is_banner(line: str) -> bool:
    """True for lines that an image prints about itself at its start."""
    return _BANNER.search(line) is not None


def is_frame(line: str) -> bool:
    """True for lines that say nothing of what happened: the banner, what TAO's entry script prints before and after an
    action, progress bars."""
    return is_banner(line) or _FRAME.search(line) is not None
