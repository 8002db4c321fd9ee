"""A dataset as commands take it: a folder, or an archive, which is unpacked for as long as the command reads it.

What is said about unpacked files names the archive instead of the folder, which is gone by then.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from taorunner.datasets.files.archives.members import stem_of
from taorunner.datasets.files.archives.unpack import unpack
from taorunner.datasets.files.atomic_swap import recover, remove, unpacked_beside
from taorunner.datasets.files.output_folders import make_parent, refuse_taken
from taorunner.datasets.transform.convert import refuse_overlap
from taorunner.errors import Finding, TaorunnerError

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Source:
    """``folder``: the dataset. ``unpacked``: what it was unpacked into from ``archive``; both None for a folder."""

    folder: Path
    archive: Path | None = None
    unpacked: Path | None = None

    def named(self, findings: Iterable[Finding]) -> tuple[Finding, ...]:
        """With places in the archive. A place reads ``set.zip/train/1.txt:3``."""
        return tuple(
            replace(one, message=self.text(one.message), hint=self.hint(one.hint), file=self._place(one.file))
            for one in findings
        )

    def result(self, done: Any) -> Any:
        """What a dataset command gives back, with the archive as its source."""
        if self.archive is None:
            return done
        own: dict[str, Any] = {key: self.archive for key in ("source", "root") if hasattr(done, key)}
        if hasattr(done, "data"):
            own["data"] = replace(done.data, folder=None)
        if hasattr(done, "findings"):
            own["findings"] = self.named(done.findings)
        return replace(done, **own)

    def text(self, text: str) -> str:
        return text if self.archive is None else text.replace(str(self.unpacked), str(self.archive))

    def hint(self, text: str | None) -> str | None:
        """A command names the archive, not a folder in it."""
        return (
            text
            if text is None or self.archive is None
            else self.text(text.replace(str(self.folder), str(self.archive)))
        )

    def _place(self, file: Path | None) -> Path | None:
        if (
            file is None
            or self.archive is None
            or self.unpacked is None
            or not file.is_relative_to(self.unpacked)
        ):
            return file
        return self.archive / file.relative_to(self.unpacked)


@contextmanager
def source_folder(
    given: Path, result: Path | None = None, *, overwrite: bool = False,
    progress: Progress = lambda what, done, total: None,
) -> Iterator[Source]:  # fmt: skip
    """Gives a folder as it is, and an archive as a new folder, which is removed at the end.

    It lies beside ``result``, so that images can be linked, or in the system's place for temporary files. Raises
    UsageError when the result exists and must not be replaced, and what ``unpack`` raises.
    """
    if not given.is_file():
        yield Source(given)
        return
    if result is None:
        place = Path(tempfile.mkdtemp(prefix="taorunner-"))
    else:
        refuse_overlap(given, result)
        recover(result)
        refuse_taken(result, overwrite=overwrite)
        make_parent(result)
        place = unpacked_beside(result)
        remove(place)
    unpacked = place / stem_of(given)
    known = Source(unpacked, given, unpacked)
    try:
        known = Source(unpack(given, unpacked, progress), given, unpacked)
        yield known
    except TaorunnerError as error:
        error.message, error.hint = known.text(error.message), known.hint(error.hint)
        error.findings = known.named(error.findings)
        error.args = (error.message,)
        raise
    finally:
        try:
            remove(place)
        except BaseException:  # a signal while it was being removed
            remove(place)
            raise
