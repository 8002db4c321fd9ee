"""Lists the needed images, and whether the engine has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from taorunner.engine import images
from taorunner.engine.client import Engine
from taorunner.planning.spec.required_images import NeededImage


@dataclass(frozen=True, slots=True)
class ListedImage:
    """``here`` is None when the engine does not have the image that runs would use, or was not asked."""

    needed: NeededImage
    here: images.Image | None
    was_asked: bool = True

    def to_json(self) -> dict[str, Any]:
        here, created = self.here, self.here.created_at if self.here else None
        return {
            "image": self.needed.reference,
            "runs_as": self.needed.runs_as,
            "locked": self.needed.is_locked,
            "present": here is not None if self.was_asked else None,
            "id": here.id if here else None,
            "digest": here.digest if here else None,
            "size_bytes": here.size_bytes if here else None,
            "created_at": created.isoformat() if created else None,
            "experiments": list(self.needed.experiments),
            "actions": list(self.needed.actions),
        }


def list_images(engine: Engine, needed: Sequence[NeededImage]) -> list[ListedImage]:
    """In the order of ``needed``. Raises MachineError when the engine does not answer."""
    return [ListedImage(image, images.find_image(engine, image.runs_as)) for image in needed]
