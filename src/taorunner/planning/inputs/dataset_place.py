"""Whether ``dataset`` of an experiment is one folder too high or too low for what its network reads."""

from __future__ import annotations

from pathlib import Path

from taorunner.catalog.layouts import DataLayout

_SUBSET = "<subset>/"
_SUBSETS = ("train", "val", "test")


def meant_dataset(layout: DataLayout, dataset: Path) -> str | None:
    """What ``dataset:`` in experiments.yml is to be; None where ``dataset`` is as good as any.

    A network that reads one subset is given the folder around it, ``cars`` in place of ``cars/train``, or a network
    that reads all of them is given one.
    """
    below = [
        pattern[len(_SUBSET) :].partition("/")[0] for pattern in layout.put if pattern.startswith(_SUBSET)
    ]
    if not below or not dataset.is_dir():
        return None
    names = [name for name in below if not set(name) & set("<*")]
    if layout.dataset is not None:
        inner = dataset / layout.dataset
        is_around = (
            bool(names) and _has_all(inner, names) and not any((dataset / one).exists() for one in names)
        )
        return _name(inner) if is_around else None
    is_one = dataset.name in _SUBSETS and _has_all(dataset, names)
    if not is_one or any((dataset / one).exists() for one in _SUBSETS):
        return None
    return _name(dataset.parent)


def meant_hint(name: str) -> str:
    return f'write "dataset: {name}" in experiments.yml'


def _has_all(folder: Path, names: list[str]) -> bool:
    return folder.is_dir() and all((folder / name).exists() for name in names)


def _name(folder: Path) -> str | None:
    """The name below ``projects/NAME/data``; None for that folder itself and elsewhere."""
    for above in folder.parents:
        if above.name == "data" and above.parent.parent.name == "projects":
            return folder.relative_to(above).as_posix()
    return None
