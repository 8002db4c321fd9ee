"""Whether Pillow is installed, and the command that installs it."""

from __future__ import annotations

from importlib.util import find_spec

from taorunner.errors import UserFilesError


def has_pillow() -> bool:
    """True when images can be decoded."""
    return find_spec("PIL") is not None


def needs_pillow(what: str) -> None:
    """Raises UserFilesError with the command to type when Pillow is not installed."""
    try:
        import PIL  # noqa: F401
    except ImportError:
        raise UserFilesError(
            f"{what} needs Pillow, which is not installed", hint="pip install 'taorunner[datasets]'"
        ) from None
