"""Images without annotations, in formats that have a file for each annotated image only."""

from __future__ import annotations

from taorunner.datasets.files.names import subset_of
from taorunner.datasets.formats.folder import Folder
from taorunner.datasets.model.annotations import ImageEntry
from taorunner.text import printable


def background(folder: Folder, path: str) -> ImageEntry | None:
    """The image at ``path`` below the folder, without boxes, and a warning that says so; None if it cannot be read."""
    image_file = folder.root / path
    message = f'no annotations for "{printable(path)}": used as a background image'
    folder.warning("label-missing", message, image_file)
    return folder.entry(image_file, (), subset=subset_of(path.rpartition("/")[0] + "/x"))
