"""What folders hold is read once, and says of links what the system says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from taorunner.planning.model.folder_listing import FolderListing


def test_names_and_links_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "folder").mkdir()
    listing = FolderListing()
    assert listing.names_in(str(tmp_path)) == {"file", "link", "folder"}
    for name in ("file", "link", "folder", "absent", "absent/below", "file/below"):
        path = str(tmp_path / name)
        assert listing.is_link(path) == Path(path).is_symlink() == (name == "link")
    assert listing.names_in(str(tmp_path / "absent")) == frozenset()
    assert listing.names_in(str(tmp_path / "file")) == frozenset()


def test_a_folder_is_read_once(tmp_path: Path) -> None:
    listing = FolderListing()
    assert not listing.is_link(str(tmp_path / "later"))
    (tmp_path / "later").symlink_to("nowhere")
    assert not listing.is_link(str(tmp_path / "later"))
    assert listing.names_in(str(tmp_path)) == frozenset()
    assert FolderListing().is_link(str(tmp_path / "later"))


def test_a_link_counts_below_the_start_that_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "real" / "below").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    path, listing = str(tmp_path / "link" / "below" / "file"), FolderListing()
    assert listing.has_link(path, len(str(tmp_path)))
    assert not listing.has_link(path, len(str(tmp_path / "link")))
    assert listing.has_link(path, len(str(tmp_path)))


def test_links_in_a_folder_that_may_not_be_listed_are_seen(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    (closed / "link").symlink_to("nowhere")
    closed.chmod(0o100)
    code = (
        "import sys; from taorunner.planning.model.folder_listing import FolderListing as One\n"
        "print(One().is_link(f'{sys.argv[1]}/link'), One().is_link(f'{sys.argv[1]}/other'), One().names_in(sys.argv[1]))"
    )
    caps = "-dac_override,-dac_read_search"
    as_anybody = ["setpriv", f"--bounding-set={caps}", f"--inh-caps={caps}"] if os.geteuid() == 0 else []
    said = subprocess.run(
        [*as_anybody, sys.executable, "-c", code, str(closed)], capture_output=True, text=True, check=True
    )
    closed.chmod(0o700)
    assert said.stdout == "True False frozenset()\n"
