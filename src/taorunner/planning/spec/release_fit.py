"""Spec files of a new experiment for one TAO release: without files and keys that the release does not know."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from taorunner.catalog.layouts import DataLayout
from taorunner.catalog.network import Network
from taorunner.contracts import Contract
from taorunner.errors import UsageError, UserFilesError
from taorunner.planning.spec.schema_choice import schema_for
from taorunner.project.scaffold import VARS_FILE
from taorunner.specs.editing.yaml_remove import without_keys
from taorunner.specs.memory import SpecMemory
from taorunner.specs.schema.walk import Against, walk_yaml
from taorunner.specs.syntax.omegaconf_yaml import read_spec_yaml
from taorunner.specs.syntax.text_position import Lines
from taorunner.yaml_reader import PlacedDict

_UNKNOWN = ("unknown-key", "other-release")


def fitting(
    texts: Mapping[str, str],
    network: Network,
    layout: DataLayout | None,
    release: str | None,
    memory: SpecMemory,
) -> dict[str, str]:
    """``texts`` by file name, as ``release`` reads them; all of them where it is None.

    Raises UsageError for an unknown release, and for one that reads its data by other keys than these files have.
    """
    if release is None:
        return dict(texts)
    try:
        network.actions(release)
        network.contract("train", release)
    except UserFilesError as error:
        raise UsageError(error.message, hint=error.hint) from None
    fit = _fitting(texts, network, layout, release, memory)
    if fit is None:
        others = [
            one for one in network.releases if _fitting(texts, network, layout, one, memory) is not None
        ]
        message = (
            f'in release {release} "{network.name}" reads its data by other keys than the spec files here'
        )
        raise UsageError(message, hint=f"releases that they are for: {', '.join(others)}")
    return fit


def _fitting(
    texts: Mapping[str, str], network: Network, layout: DataLayout | None, release: str, memory: SpecMemory
) -> dict[str, str] | None:
    """None where a key is unknown that leads to the data, and where no action of the release is known."""
    contracts = network.contracts(release)
    if not contracts:
        return None
    fit: dict[str, str] = {}
    for name, text in texts.items():
        contract = _reader(contracts, Path(name).stem)
        if name == VARS_FILE:
            fit[name] = text
        elif contract is not None:
            fit[name], gone = _without_unknown(text, schema_for(contract, missing=False, memory=memory))
            if _reads_other_data(gone, contract, layout):
                return None
    return fit


def _reader(contracts: Mapping[str, Contract], stem: str) -> Contract | None:
    """The contract of the action that the file is for."""
    specs = ((one, one.spec) for one in contracts.values())
    return next((one for one, spec in specs if spec is not None and spec.stems[0] == stem), None)


def _without_unknown(text: str, against: Against | None) -> tuple[str, tuple[str, ...]]:
    """The text without unknown keys, and these, dotted. A text without a schema of its release stays as it is."""
    if against is None or against.schema.format != "yaml":
        return text, ()
    document = read_spec_yaml(text)
    problems = walk_yaml(text, document, against).problems
    unknown = [one for one in problems if one.misfit.code in _UNKNOWN]
    places = _places(document.value, ()) if unknown else {}
    lines = Lines(text)
    starts = {one.offset for one in unknown}
    gone = tuple(dotted for place, dotted in places.items() if lines.offset(*place) in starts)
    return without_keys(text, starts), gone


def _places(value: object, above: tuple[str, ...]) -> dict[tuple[int, int], str]:
    """The dotted key of each place of a key."""
    found: dict[tuple[int, int], str] = {}
    if isinstance(value, PlacedDict):
        for name, inner in value.items():
            path = (*above, str(name))
            found[value.places[name][0]] = ".".join(path)
            found |= _places(inner, path)
    elif isinstance(value, list):
        for item in value:
            found |= _places(item, above)
    return found


def _reads_other_data(gone: tuple[str, ...], contract: Contract, layout: DataLayout | None) -> bool:
    """True where a path that the action cannot do without was at one of the keys that are ``gone``."""
    inputs = layout.inputs_of(contract.action, contract.group) if layout is not None else ()
    needed = [one.key for one in inputs if contract.action in one.needed_by]
    return any(key == one or key.startswith(f"{one}.") for one in gone for key in needed)
