"""Parses results of actions without progress: evaluate of any family, prune."""

from __future__ import annotations

from taorunner.progress.console.family import Follower, Plain
from taorunner.progress.console.pyt import Lightning
from taorunner.progress.console.tf import Keras, SessionHook, TfStep, Unet
from taorunner.progress.hints import Hint


class Summaries(Plain):
    """The family "plain": the summaries of all other families."""

    needles = (
        *Plain.needles, *Keras.metric_needles, *SessionHook.metric_needles, *TfStep.metric_needles,
        *Unet.metric_needles, *Lightning.metric_needles,
    )  # fmt: skip

    def __init__(self, trains: bool) -> None:
        super().__init__(trains)
        self._readers: tuple[Plain, ...] = (
            SessionHook(trains), Keras(trains), TfStep(trains), Unet(trains), Lightning(trains),
        )  # fmt: skip

    def read_metric(self, text: str, found: list[Hint]) -> Follower | None:
        if "annotation type" in text:
            for reader in self._readers:
                reader.read_metric(text, found)
            return None
        before = len(found)
        for reader in self._readers:
            follower = reader.read_metric(text, found)
            if follower is not None or len(found) > before:
                return follower
        return None
