"""What the answer to one key press reads."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

_COUNTED = """
import json, sys
from pathlib import Path
from taorunner.cli.fast.completion import complete
opened = []
sys.addaudithook(lambda event, args: opened.append(Path(str(args[0])).name) if event == "open" else None)
found = complete(json.loads(sys.argv[1]), "", {})
print(json.dumps([[word for word, _ in found], opened]))
"""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run"], "evaluate"),
        (["run", "evaluate"], "e39"),
        (["run", "evaluate", "e1", "--checkpoint"], "best"),
        (["add", "x", "--like", "e1", "--backbone"], "fan_base"),
        (["train", "e1", "--release"], "7.0.1"),
    ],
)
def test_a_file_is_read_once(words: list[str], expected: str, tmp_path: Path) -> None:
    project = tmp_path / "projects/parts"
    project.mkdir(parents=True)
    heads = ("rtdetr", "dino", "own_network", "detectnet_v2")
    entries = "".join(f"  e{at}: {{head: {heads[at % 4]}}}\n" for at in range(40))
    (project / "experiments.yml").write_text(f"experiments:\n{entries}")
    done = subprocess.run(
        [sys.executable, "-c", _COUNTED, json.dumps(words)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    found, opened = json.loads(done.stdout)
    assert expected in found
    counted = Counter(name for name in opened if name in ("network_words.txt", "experiments.yml"))
    assert set(counted.values()) == {1}, counted
