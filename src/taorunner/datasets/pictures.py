"""Where pictures are decoded or written: is Pillow there, and what to type when it is not."""

from __future__ import annotations

from taorunner.errors import UserFilesError


def needs_pillow(what: str) -> None:
    """Raises UserFilesError with the line to type when Pillow is not installed."""
    try:
        import PIL  # noqa: F401
    except ImportError:
        raise UserFilesError(
            f"{what} needs Pillow, which is not installed", hint="pip install 'taorunner[datasets]'"
        ) from None
