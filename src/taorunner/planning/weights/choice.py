"""Chooses the backbone of a new experiment, and the pretrained weights that it starts from. Reads the catalog only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taorunner.catalog.backbones import Backbone
from taorunner.catalog.layouts import DataLayout
from taorunner.errors import UsageError
from taorunner.pretrained.bundled_list import known_models
from taorunner.pretrained.names import NgcModel, parse_model
from taorunner.text import nearest, printable
from taorunner.values.value import Value


class StartWeights(Value):
    """``repository`` and ``version`` name the folder below ``repositories/``. ``key`` is the spec key, or the option
    that taorunner fills in itself (``-m``), and ``sets`` are other keys that go with it.

    ``file`` is the name of the file where NVIDIA's sources show it; ``size`` is known only of a model that was pulled.
    """

    model: str
    repository: str
    version: str
    key: str
    covers: str | None = None
    file: str | None = None
    needs_entitled_key: bool = False
    sets: Mapping[str, Any] | None = None

    @property
    def is_argument(self) -> bool:
        return self.key.startswith("-")


def start_weights(layout: DataLayout | None, backbone: str | None) -> StartWeights | None:
    """The weights that a training with this backbone starts from; None where the catalog knows none that fit all data.

    ``backbone`` is a name of ``layout.backbones``, None for a network without a choice.
    """
    for row in layout.weights if layout is not None else ():
        fitting = row if backbone is None and row.backbone is None else None
        if backbone is not None:
            fitting = row.of_backbone(backbone)
        if fitting is None or fitting.only is not None:
            continue
        model = parse_model(fitting.model)
        if model.version is None:
            continue  # it names no folder
        files = next((known.files for known in known_models() if known.name == fitting.model), ())
        return StartWeights(
            fitting.model, model.name, model.version, fitting.key, fitting.covers, files[0] if files else None,
            isinstance(model, NgcModel) and model.org != "nvidia", fitting.sets,
        )  # fmt: skip
    return None


def are_weights_of(model: str, repository: str, version: str) -> bool:
    """Whether experiments.yml means the ``model`` of a layout by its ``repository`` and ``backbone``."""
    named = parse_model(model)
    return (named.name, named.version) == (repository, version)


def choose_backbone(
    head: str, layout: DataLayout | None, wanted: str | None, usual: Backbone | None
) -> Backbone | None:
    """The backbone named ``wanted``, else ``usual`` (that of the spec files), else one that has start weights.

    Raises:
        UsageError: the network has no such backbone, or no choice; the hint lists the names.
    """
    backbones = layout.backbones if layout is not None else None
    if wanted is not None:
        return _named(head, layout, wanted)
    if backbones is None or (usual is not None and start_weights(layout, usual.name) is not None):
        return usual
    having = (one for one in backbones.all if start_weights(layout, one.name) is not None)
    return next(having, usual)


def _named(head: str, layout: DataLayout | None, wanted: str) -> Backbone:
    backbones = layout.backbones if layout is not None else None
    if backbones is None:
        raise UsageError(f'"{head}" has no choice of backbones', hint="leave --backbone out")
    found = backbones.find(wanted)
    if found is None:
        near = nearest(wanted, [*backbones.names, *backbones.aliases])
        names = f"it has {', '.join(backbones.names)}"
        raise UsageError(
            f'"{head}" has no backbone "{printable(wanted[:80])}"',
            hint=f'did you mean "{near}"? {names}' if near else names,
        )
    return found
