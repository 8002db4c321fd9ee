"""The folders of open shells, and which of them were left behind."""

from __future__ import annotations

import os
from pathlib import Path

from taorunner.events import now
from taorunner.planning.model.request import Site
from taorunner.shell.workdirs import _left_behind, occupied


def test_a_folder_without_a_lock_does_not_hide_the_others(tmp_path: Path) -> None:
    shells = tmp_path / "shells"
    (shells / "a-created").mkdir(parents=True)
    for name in ("b-left", "c-left", "d-open"):
        descriptor = occupied(Site(name, shells / name))
        an_hour_ago = now().timestamp() - 3600
        os.utime(shells / name / "lock", (an_hour_ago, an_hour_ago))
        if name != "d-open":
            os.close(descriptor)
    (shells / "d-open-file").write_text("")
    assert [place.name for place in _left_behind(shells)] == ["b-left", "c-left"]
    os.close(descriptor)
    assert _left_behind(tmp_path / "none") == []
