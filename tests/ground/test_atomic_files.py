"""A file is replaced as a whole, whoever else replaces it at the same time."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from taorunner.atomic_files import write_json


def test_threads_that_replace_one_file_do_not_disturb_each_other(tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    errors: list[BaseException] = []

    def replace(number: int) -> None:
        try:
            for _ in range(300):
                write_json(file, {"writer": number, "text": "x" * 5000})
        except OSError as error:
            errors.append(error)

    threads = [threading.Thread(target=replace, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert json.loads(file.read_text())["text"] == "x" * 5000
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]
