"""Sees to it that an engine has the image of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taorunner.backends.contract import PullProgress, Report

if TYPE_CHECKING:
    from taorunner.engine.client import Engine


def present_image(engine: Engine, reference: str, report: Report) -> str | None:
    """The digest of the image, which is pulled when the engine lacks it. Raises what ``engine.images`` raises."""
    from taorunner.engine import images

    image = images.find_image(engine, reference)
    if image is None:

        def tell(state: images.PullState) -> None:
            report(
                PullProgress(
                    image=reference, layers_done=state.layers_done, layers=state.layers,
                    bytes_done=state.bytes_done, bytes_total=state.bytes_total, eta_s=state.eta_s,
                )
            )  # fmt: skip

        image = images.pull(engine, reference, tell)
    return image.digest
