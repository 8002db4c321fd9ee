"""Values of specs that follow from the data: class counts, names, palettes, anchors, sizes, lengths of schedules.

The rules are the rows ``computed`` of a layout that have a ``value``. Two steps::

    facts = read_facts(layout, dataset, specs, variables)
    result = with_data(layout, facts, specs, variables, is_new=True)

``dataset`` is the folder of the experiment's dataset on this host, what ``$dataset_raw`` stands for (``data/cars``, or
``data/cars/train`` where the layout has ``dataset: train``). ``specs`` are the texts of the spec files by name, as
written, with their ``$variables``; a name that ends with ``.yaml`` or ``.yml`` is YAML, any other protobuf text.
``variables`` are the ``vars`` of the experiment. ``read_facts`` reads files and raises UserFilesError with findings;
``with_data`` is pure.

``with_data`` replaces ``$FILL_IN`` and the examples of a scaffold alike. With ``is_new`` it also sets what is free to
choose, such as the size of the images; without it, a value that the network takes stays as the user wrote it. A key
whose value is one ``$variable`` of the experiment is changed in ``variables``, not in the spec. Comments and all other
keys stay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from taorunner.catalog.layouts import DataLayout
from taorunner.contracts import Contract
from taorunner.planning.derived.class_rules import CLASSES, set_classes
from taorunner.planning.derived.facts import DataFacts
from taorunner.planning.derived.numbers import NUMBERS, Source, set_numbers
from taorunner.planning.derived.size_rules import SIZES, set_sizes
from taorunner.planning.derived.sources import Specs, collect
from taorunner.planning.derived.spec_texts import Change, SpecTexts, refuse_unreadable, spec_format
from taorunner.specs.editing.placed import line_of, masked
from taorunner.specs.syntax.leaves import leaves

__all__ = ["Change", "DataFacts", "WithData", "read_facts", "with_data"]


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
    return collect(layout, dataset, Specs(dataset, specs, variables, on_host))


def with_data(
    layout: DataLayout,
    facts: DataFacts,
    specs: Mapping[str, str],
    variables: Mapping[str, object],
    *,
    is_new: bool,
    gpus: int = 1,
    train: Contract | None = None,
) -> WithData:
    """The texts with every value that follows from ``facts``. ``train`` is the contract of the training.

    Raises UserFilesError where a spec does not parse.
    """
    texts = SpecTexts(dict(specs), dict(variables), is_new)
    refuse_unreadable(specs, texts.memory)
    spec = train.spec if train is not None else None
    held_out = frozenset(spec.held_out_batch) if spec is not None else frozenset()
    source = Source(facts, texts, max(1, gpus), held_out)
    for row in layout.computed:
        if row.value in NUMBERS:
            set_numbers(source, row)
        elif row.value in CLASSES:
            set_classes(source, row)
        elif row.value in SIZES:
            set_sizes(source, row)
    changes = tuple(dict.fromkeys(_placed_again(one, texts) for one in texts.changes))
    changed = {(one.file, one.key) for one in changes}
    return WithData(texts.specs, texts.variables, changes, _kept(specs, changed))


def _placed_again(change: Change, texts: SpecTexts) -> Change:
    """With its line in the final text, and values that can be compared."""
    new, old = (tuple(one) if isinstance(one, list) else one for one in (change.new, change.old))
    if not change.file:
        return change
    text = texts.specs[change.file]
    found = [one for file, one in texts.placed(change.key) if file == change.file]
    same = [one for one in found if one.value == change.new] or found
    line = line_of(text, same[0].start) if same else change.line
    return replace(change, line=line, new=_frozen(new), old=_frozen(old))


def _frozen(value: object) -> object:
    if isinstance(value, Mapping):
        return tuple((key, _frozen(one)) for key, one in value.items())
    return tuple(_frozen(one) for one in value) if isinstance(value, (list, tuple)) else value


def _kept(specs: Mapping[str, str], changed: set[tuple[str, str]]) -> int:
    """Keys of the specs that are not changed, and are not inside something that is."""
    count = 0
    for file, text in specs.items():
        for leaf in leaves(masked(text), spec_format(file)):
            plain = ".".join(step for step in leaf.key.split(".") if not step.isdigit())
            count += not any(
                file == where and (plain == key or plain.startswith(f"{key}.")) for where, key in changed
            )
    return count
