"""Values of specs that follow from the data: class counts, names, palettes, anchors, sizes, lengths of schedules.

The rules are the rows ``computed`` of a layout that have a ``value``. Two steps::

    facts = read_facts(layout, dataset, specs, variables)
    result = with_data(layout, facts, specs, variables, is_new=True)

``dataset`` is the folder of the experiment's dataset on this host, what ``$dataset_raw`` stands for (``data/cars``, or
``data/cars/train`` where the layout has ``dataset: train``). ``specs`` are the texts of the spec files by name, as they
are written, with their ``$variables``; a name that ends with ``.yaml`` or ``.yml`` is YAML, any other protobuf text.
``variables`` are the ``vars`` of the experiment. ``read_facts`` reads files and raises ``UserFilesError`` with findings;
``with_data`` is pure.

``with_data`` replaces ``$FILL_IN`` and examples of a scaffold alike. With ``is_new`` it also sets what is free to choose,
such as the size of the images; without it, a value that the network takes stays as the user wrote it. A key whose value
is one ``$variable`` of the experiment is changed in ``variables``, not in the spec. Comments and all other keys stay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from taorunner.catalog.layouts import DataLayout
from taorunner.planning.derived.facts import DataFacts

FILL_IN = "$FILL_IN"
VARIABLES = ""
"""The ``file`` of a change in ``variables``; its key is ``$name``."""


@dataclass(frozen=True, slots=True)
class Change:
    """``old`` is None where nothing was known. ``line`` counts from 1, in the new text; 0 for a variable."""

    file: str
    line: int
    key: str
    old: object
    new: object
    reason: str


@dataclass(frozen=True, slots=True)
class WithData:
    """``specs`` and ``variables`` are whole, changed or not. ``kept`` is the number of keys that stay as they are."""

    specs: Mapping[str, str]
    variables: Mapping[str, object]
    changes: tuple[Change, ...]
    kept: int


def read_facts(
    layout: DataLayout,
    dataset: Path,
    specs: Mapping[str, str],
    variables: Mapping[str, object],
    on_host: Callable[[str], Path | None] | None = None,
) -> DataFacts:
    """``on_host`` gives the host path of a path inside the container, for paths that are written out.

    Raises UserFilesError with the findings where the dataset cannot be read.
    """
    raise NotImplementedError


def with_data(
    layout: DataLayout,
    facts: DataFacts,
    specs: Mapping[str, str],
    variables: Mapping[str, object],
    *,
    is_new: bool,
    gpus: int = 1,
) -> WithData:
    """The texts with every value that follows from ``facts``.

    Raises UserFilesError where a spec does not parse.
    """
    raise NotImplementedError
