"""The whole example on a terminal, and what happens to it when the viewer leaves."""

from __future__ import annotations

import re
from pathlib import Path

from command_line import PROGRAM, Cli
from pseudo_terminal import PseudoTerminal


def test_leaving_the_training_ends_the_example_before_it_evaluates(cli: Cli, tmp_path: Path) -> None:
    """An evaluation then would read models that are not trained yet, and call one of them better."""
    words = [*PROGRAM, "quickstart", "demo", "--images", "40", "--epochs", "200"]
    terminal = PseudoTerminal(words, cwd=tmp_path, env={**cli.environment(), "NO_COLOR": "1"})
    try:
        terminal.wait_for(r"train small tiny", timeout_s=90)
        terminal.wait_for("q detach", timeout_s=60)
        terminal.type("q")
        assert terminal.end() == 0
        assert "2 runs go on" in terminal.shown
        said = re.search(r"when they have ended:  cd (\S+) && taorunner evaluate small tiny", terminal.shown)
        assert said is not None and said[1] == "demo", terminal.shown
        runs = cli("runs", "list", "--json", cwd=tmp_path / said[1]).json
        assert {run["action"] for run in runs} == {"dataset_convert", "train"}
    finally:
        terminal.clear()
        cli("stop", "--all", cwd=tmp_path / "demo")
