"""Detects the network that a spec file belongs to, and the action that reads it. For files without a project.

The candidates are the networks whose schemas leave the fewest names of the file unknown. Several networks share some
specs (a conversion, an engine). These are decided by the files beside them, then by the names of the file and its
folders, then by the user. Nothing is guessed: an ambiguous file is reported.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from taorunner.catalog.network import Network
from taorunner.catalog.older_specs import OLD_NETWORKS
from taorunner.contracts import Contract, Framework
from taorunner.errors import UserFilesError
from taorunner.planning.inputs.workspace_networks import Networks
from taorunner.planning.spec.schema_choice import schema_for
from taorunner.planning.spec.spec_files import SUFFIXES
from taorunner.specs.memory import SpecMemory
from taorunner.specs.schema.match import Fit, Section, fit_of, read_section
from taorunner.specs.schema.schema import find_schema, shipped_schemas
from taorunner.specs.schema.walk import ACTION_SECTIONS

_BY_FIELD = (("dssd", "dssd_config"), ("ssd", "ssd_config"))
"""One message for two networks, distinguished by the member of its oneof. Source: tao/tensorflow.md section 2."""

_TINY_ARCH = "cspdarknet_tiny"
"""Source: tao/tensorflow.md section 2: yolo_v4_tiny is yolo_v4 with this arch."""

_PLAIN = ("classification", "image_classification")
"""Old names that are parts of names of today, so they say nothing in the name of a file."""

ACTION_WORDS = (
    ("tfrecord", ("dataset_convert", "convert")), ("convert", ("dataset_convert", "convert")),
    ("gen_trt", ("gen_trt_engine",)), ("trt_engine", ("gen_trt_engine",)), ("infer", ("inference",)),
    ("eval", ("evaluate",)), ("test", ("evaluate",)), ("export", ("export",)), ("quantize", ("quantize",)),
    ("kmeans", ("kmeans",)), ("calib", ("calibration_tensorfile",)), ("retrain", ("train",)),
    ("train", ("train",)), ("finetune", ("train",)), ("prune", ("prune",)), ("distill", ("distill",)),
    ("merge", ("merge",)), ("slice", ("slice",)), ("augment", ("generate", "augment")),
    ("autolabel", ("generate",)), ("analy", ("analyze",)), ("validate", ("validate",)),
)  # fmt: skip
"""Prefixes of words in file names that indicate the action, best first. Source: the spec files of tao_tutorials."""


_ALIASES = {"convert": ("dataset_convert",), "dataset_convert": ("convert",), "retrain": ("train",)}


@dataclass(slots=True)
class SpecRead:
    """One file that reads as a spec. ``name`` is its path below the given folder, ``memory`` that of the import.

    ``actions`` are those of the commands that name it, the one that it is the spec of first; then ``head`` is theirs.
    """

    name: Path
    text: str
    format: str
    section: Section
    memory: SpecMemory = field(default_factory=SpecMemory, compare=False, repr=False)
    fits: dict[str, Fit] = field(default_factory=dict)
    head: str | None = None
    candidates: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()

    @property
    def tokens(self) -> tuple[str, ...]:
        return tuple(token for token in re.split(r"[^a-z0-9]+", self.name.stem.lower()) if token)


def read_spec(name: Path, text: str, memory: SpecMemory | None = None) -> SpecRead | None:
    """The parsed spec; None when the text is no spec. A YAML file may be named as a protobuf text is."""
    by_suffix = format_of(name)
    for spec_format in dict.fromkeys((by_suffix, "yaml")) if by_suffix else ():
        section = read_section(text, spec_format)
        if section is not None and (spec_format == by_suffix or _is_nested(section)):
            return SpecRead(name, text, spec_format, section, memory or SpecMemory())
    return None


def format_of(name: Path) -> str:
    """The format that a file's suffix says; empty for another suffix."""
    return next((key for key, known in SUFFIXES.items() if name.suffix.lower() in known), "")


def _is_nested(section: Section) -> bool:
    """Prose with colons reads as YAML too; a spec has sections."""
    return any(isinstance(value, Section) for _, values in section.entries for value in values)


def recognise_networks(specs: Sequence[SpecRead], networks: Networks, head: str | None, folder: Path) -> None:
    """Sets ``head`` of each spec where it is certain, and ``candidates`` where it is not. What commands say stays.

    The argument ``head`` decides ambiguous files; a file that fits only another network keeps that network.
    """
    heads = _heads_with_specs(networks)
    for spec in specs:
        if spec.head is not None:
            continue
        spec.fits = {name: fit for name in heads if (fit := _best_fit(name, heads[name], spec)) is not None}
        spec.candidates = _distinguished(spec, _best(spec.fits))
        if len(spec.candidates) == 1:
            spec.head = spec.candidates[0]
    for spec in specs:
        if (
            spec.head is None
            and not spec.candidates
            and len(named := named_heads(spec, networks, folder)) == 1
        ):
            _without_schema(spec, next(iter(named)), networks)
    for spec in specs:
        if spec.head is None and head is not None and (len(specs) == 1 or _takes(spec, head)):
            spec.head = head if can_read(networks, head, spec.format) else None
    _join_the_many(specs, networks, folder)
    sure = {spec.head for spec in specs if spec.head is not None}
    for spec in specs:
        if spec.head is None and len(here := sure.intersection(spec.candidates)) == 1:
            spec.head = next(iter(here))
    by_place: dict[Path, list[SpecRead]] = {}
    for spec in specs:
        if spec.head is None and spec.candidates:
            by_place.setdefault(spec.name.parent, []).append(spec)
    for place, open_ones in by_place.items():
        _by_neighbours(place, open_ones, folder)
    _join_the_many(specs, networks, folder)


def action_of(spec: SpecRead, contracts: Iterable[Contract]) -> str | None:
    """The action that reads the file, from its name, else from its content; None where both are inconclusive."""
    by_action: dict[str, Contract] = {}
    for one in contracts:
        if one.spec is not None:
            by_action.setdefault(one.action, one)
    said = [same for name in spec.actions for same in same_actions(name) if same in by_action]
    if said:
        return said[0]
    joined = "_".join(spec.tokens)
    for word, actions in ACTION_WORDS:
        found = re.search(rf"(?:^|_){word}", joined)
        if found is not None and not _trains_first(joined, found.start(), actions):
            for action in actions:
                if action in by_action and _could_be(spec, by_action[action], by_action.values()):
                    return action
    own = [name for name in by_action if _is_of_action_alone(spec, by_action[name])]
    if own:
        return own[0]
    if "train" in by_action and (spec.format == "prototxt" or "train" in spec.section.names):
        return "train"
    if "train" in by_action and "experiment" in spec.tokens:
        return "train"
    sections = [name for name in spec.section.names if name in ACTION_SECTIONS and name in by_action]
    return sections[0] if len(sections) == 1 else None


def same_actions(name: str) -> tuple[str, ...]:
    """The action, and its name in other networks or releases."""
    return (name, *_ALIASES.get(name, ()))


def _trains_first(name: str, start: int, actions: tuple[str, ...]) -> bool:
    """``train_eval_config`` is the spec of a training, which evaluates too."""
    trains = re.search(r"(?:^|_)(?:re)?train(?:ing)?(?=_|\Z)", name)
    return trains is not None and trains.start() < start and actions[0] in ("evaluate", "inference")


def named_heads(spec: SpecRead, networks: Networks, folder: Path) -> set[str]:
    """The networks named by the file and the folders above it."""
    names = [spec.name.name, *reversed((folder / spec.name.parent).parts)]
    return named_in(names, [network.name for network in _in_containers(networks)])


def unknown_names(specs: Sequence[SpecRead], contracts: Iterable[Contract]) -> int | None:
    """The number of names in the specs that this release of their network does not know; None without a schema."""
    memory = specs[0].memory if specs else None
    found = (schema_for(one, memory=memory) for one in contracts)
    schemas = [against.schema for against in found if against is not None]
    if not schemas:
        return None
    return sum(
        min(
            (fit_of(spec.section, schema).unknown for schema in schemas if schema.format == spec.format),
            default=0,
        )
        for spec in specs
    )


def _heads_with_specs(networks: Networks) -> dict[str, list[str]]:
    """Every head that runs in a container with the actions that may have a schema of their own."""
    return {
        network.name: sorted({action.rpartition(".")[2] for action in network.actions(None)})
        for network in _in_containers(networks)
        if network.framework is not Framework.DEPLOY
    }


def _in_containers(networks: Networks) -> Iterator[Network]:
    """The networks that a spec may belong to. Errors in the workspace's own network files are reported elsewhere."""
    for name in networks.names:
        try:
            network = networks.load(name)
        except UserFilesError:
            continue
        if network.framework is not Framework.EMBEDDED:
            yield network


def _best_fit(head: str, actions: Sequence[str], spec: SpecRead) -> Fit | None:
    fits = []
    seen = set()
    for action in actions:
        for version in shipped_schemas(spec.memory).versions(head, action):
            schema = find_schema(head, action, version, spec.memory)
            if schema is None or schema.format != spec.format or (schema.name, version) in seen:
                continue
            seen.add((schema.name, version))
            fits.append(fit_of(spec.section, schema))
    return min(fits, key=lambda fit: (fit.unknown, -fit.known), default=None)


def _best(fits: dict[str, Fit]) -> tuple[str, ...]:
    likely = {name: fit for name, fit in fits.items() if fit.is_likely}
    if not likely:
        return ()
    least = min((fit.unknown, -fit.known) for fit in likely.values())
    return tuple(name for name, fit in likely.items() if (fit.unknown, -fit.known) == least)


def _distinguished(spec: SpecRead, names: tuple[str, ...]) -> tuple[str, ...]:
    for name, member in _BY_FIELD:
        if name in names and member in spec.section.names:
            return (name,)
    if set(names) == {"yolo_v4", "yolo_v4_tiny"}:
        arches = {value for path, value in spec.section.walk() if path[-1] == "arch"}
        return ("yolo_v4_tiny",) if _TINY_ARCH in arches else ("yolo_v4",)
    return names


def _takes(spec: SpecRead, head: str) -> bool:
    """With candidates, one that fits well; without any, a network that knows some name of the spec, or no schema."""
    fit = spec.fits.get(head)
    if not spec.candidates:
        return fit is None or fit.known > 0
    return head in spec.candidates or (fit is not None and fit.is_likely)


def can_read(networks: Networks, head: str, spec_format: str) -> bool:
    contracts = networks.load(head).contracts(None).values()
    return any(one.spec is not None and one.spec.format == spec_format for one in contracts)


def _by_neighbours(place: Path, specs: Sequence[SpecRead], folder: Path) -> None:
    """Decides the ambiguous files of one folder: the only network that fits all of them, or the one named."""
    common = set(specs[0].candidates).intersection(*(spec.candidates for spec in specs[1:]))
    for spec in specs:
        choice = common or set(spec.candidates)
        named = (
            choice
            if len(choice) == 1
            else named_in([spec.name.name, *reversed((folder / place).parts)], choice)
        )
        if len(named) == 1:
            spec.head = next(iter(named))
        else:
            spec.candidates = tuple(sorted(choice))


def _join_the_many(specs: Sequence[SpecRead], networks: Networks, folder: Path) -> None:
    """Reassigns a file that seems to fit one other network or none: to the network of most files, if that fits the file
    or the names of file and folders name it."""
    count = Counter(spec.head for spec in specs if spec.head is not None)
    for spec in specs:
        if spec.actions or (spec.head is None and spec.candidates):
            continue
        own = 0 if spec.head is None else count[spec.head]
        larger = {head for head in count if count[head] > own}
        could = {head for head in larger if spec.candidates and _takes(spec, head)} or larger & named_heads(
            spec, networks, folder
        )
        if len(could) == 1 and can_read(networks, next(iter(could)), spec.format):
            spec.head = could.pop()


def named_in(names: Sequence[str], choice: Collection[str]) -> set[str]:
    """The networks in the nearest name that contains one. The longest match wins: grounding_dino is not dino."""
    words = {
        **{name: name for name in choice},
        **{old: today[0] for old, today in OLD_NETWORKS.items() if today[0] in choice and old not in _PLAIN},
    }
    for name in names[:4]:
        found = [
            word for word in words if re.search(rf"(?<![a-z0-9]){re.escape(word)}(?![a-z])", name.lower())
        ]
        if found:
            return {words[max(found, key=len)]}
    return set()


def _without_schema(spec: SpecRead, name: str, networks: Networks) -> None:
    """Where no schema of the network is known, only names can decide."""
    schemas = shipped_schemas(spec.memory)
    actions = networks.load(name).actions(None)
    has_schema = any(schemas.versions(name, action.rpartition(".")[2]) for action in actions)
    if not has_schema and can_read(networks, name, spec.format):
        spec.head = name


def _could_be(spec: SpecRead, contract: Contract, all_of_them: Iterable[Contract]) -> bool:
    """False where another action has its own message that matches the text better."""
    schemas = {
        against.schema
        for one in all_of_them
        if (against := schema_for(one, memory=spec.memory)) is not None
        and against.schema.format == spec.format
    }
    own = schema_for(contract, memory=spec.memory)
    if own is None or own.schema not in schemas:
        return True
    least = min(fit_of(spec.section, schema).unknown for schema in schemas)
    return fit_of(spec.section, own.schema).unknown == least


def _is_of_action_alone(spec: SpecRead, contract: Contract) -> bool:
    """True where the action has a schema of its own, and the text is one of these."""
    against = schema_for(contract, memory=spec.memory)
    if against is None or against.schema.format != spec.format:
        return False
    part = against.schema.name.partition(".")[2]
    if part in ("", contract.group):  # that of the network, or of all its actions in an image of its own
        return False
    return fit_of(spec.section, against.schema).unknown == 0
