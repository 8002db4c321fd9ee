"""How many times a bare Python does it take to show the help, and to answer a key press?"""

from __future__ import annotations

import tempfile
from pathlib import Path

from timing import BARE_PYTHON, bare_python, print_ratio, process, taking_turns
from workspaces import PROJECT, TAORUNNER, small


def measure_help(times: int) -> None:
    bare, shown, version = taking_turns(
        {
            BARE_PYTHON: bare_python(),
            "taorunner --help": process([*TAORUNNER, "--help"]),
            "taorunner --version": process([*TAORUNNER, "--version"]),
        },
        times,
    )
    print("help")
    print_ratio("taorunner --help ÷ bare Python", shown, bare, 8.5)
    print_ratio("taorunner --version ÷ bare Python", version, bare)


def measure_completion(times: int) -> None:
    lines = {"of a command": "taorunner tr", "of an experiment": f"taorunner -p {PROJECT} train "}
    with tempfile.TemporaryDirectory(prefix="taorunner-bench-") as folder:
        workspace = small(Path(folder) / "w", image="none:1")
        bare, *answered = taking_turns(
            {
                BARE_PYTHON: bare_python(),
                **{
                    f"completion {what}": process(TAORUNNER, env=_asking(line), cwd=str(workspace))
                    for what, line in lines.items()
                },
            },
            times,
        )
    print("completion")
    for one in answered:
        print_ratio(f"{one.name} ÷ bare Python", one, bare, 2.6)


def _asking(line: str) -> dict[str, str]:
    """What bash sets when Tab is pressed at the end of ``line``."""
    words = line.split(" ")
    return {"_TAORUNNER_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
