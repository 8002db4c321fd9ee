"""Translates the engine's build errors. Only this module and ``refusals`` match engine text.

A fault in the Dockerfile becomes a finding at the line of the instruction.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from taorunner.engine.refusals import Asked, recognised
from taorunner.errors import EngineRefusedError, Finding, Severity, TaorunnerError, UserFilesError
from taorunner.text import printable

STEP = re.compile(r"(?:Step|STEP) (\d+)/(\d+) ?: (.*)")  # of Docker and of podman, as the next two
_PARSE = re.compile(r"parse error (?:on )?line (\d+): (.+)", re.DOTALL)
_CODE = re.compile(r"(?:returned a non-zero code:|while running runtime: exit status) (\d+)")
_BUILDKIT = re.compile(r"requires BuildKit")
_EMPTY = re.compile(
    r"Dockerfile[^\n]* cannot be empty|no build stage in current context|file with no instructions"
)
_COPY = re.compile(r"(COPY|ADD)(?: failed| [^\n]*copier): (.+)", re.DOTALL)


def build_error(
    text: str, dockerfile: Path, step: re.Match[str] | None, lines: Sequence[int], tag: str | None = None
) -> TaorunnerError:
    """``step``: the last step that was started; ``lines``: the line where each instruction begins."""
    number = int(step[1]) if step is not None else 0
    line = lines[number - 1] if 0 < number <= len(lines) else None
    facts = _of_dockerfile(text, number, line)
    if facts is not None:
        finding = Finding(
            Severity.ERROR, facts[0], facts[1], facts[2], dockerfile, facts[3], 1 if facts[3] else None
        )
        return UserFilesError("the image was not built", findings=(finding,))
    image = _image_of(step[3]) if step is not None else tag
    known = recognised(text, Asked(image=image))
    if known is not None:
        return known
    shown = printable(" ".join(text.split()))[:400]
    if line is None:
        return EngineRefusedError(f"the engine could not build: {shown}")
    finding = Finding(Severity.ERROR, "step-failed", shown, None, dockerfile, line, 1)
    return UserFilesError("the image was not built", findings=(finding,))


def instruction_lines(text: str) -> list[int]:
    """The 1-based line of each instruction, without comments and continuation lines."""
    lines: list[int] = []
    continued = False
    escape = "`" if re.match(r"#\s*escape\s*=\s*`", text, re.IGNORECASE) else "\\"
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue  # also skipped inside a continued instruction
        if not continued:
            lines.append(number)
        continued = stripped.endswith(escape)
    return lines


def _of_dockerfile(
    text: str, number: int, line: int | None
) -> tuple[str, str, str | None, int | None] | None:
    """Code, message, hint and line of a fault in the Dockerfile."""
    if match := _PARSE.search(text):
        return "dockerfile-syntax", _short(match[2]), None, int(match[1])
    if _EMPTY.search(text):
        return "dockerfile-empty", "the Dockerfile has no FROM", "begin it with FROM IMAGE", 1
    if _BUILDKIT.search(text):
        hint = "build it with DOCKER_BUILDKIT=1 docker build … (needs buildx)"
        return (
            "needs-buildkit",
            f"{_short(text.partition('.')[0])}, which the engine's API does not offer",
            hint,
            line,
        )
    if match := _CODE.search(text):
        message = f"the command of step {number} ended with code {match[1]}"
        return "step-failed", message, "see the log above for the reason", line
    if match := _COPY.search(text):
        hint = "check the path: it is relative to the context, and .dockerignore may exclude it"
        return "copy-failed", f"{match[1]} found nothing to copy: {_short(match[2])}", hint, line
    return None


def _image_of(instruction: str) -> str | None:
    words = [word for word in instruction.split()[1:] if not word.startswith("--")]
    return words[0] if words and instruction.upper().startswith("FROM") else None


def _short(text: str) -> str:
    return printable(" ".join(text.split()))[:300]
