"""Renders the catalog: all networks as a table, and the page of one network.

Lines fit ``width``. The action table names the releases of each action, and what is unknown is listed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from rich.text import Text

from taorunner.catalog.knobs import KNOBS
from taorunner.catalog.layouts import DataLayout
from taorunner.catalog.network import WHOLE_CONTRACT, Network
from taorunner.console.base.cells import fact_line, folded_fact, listed
from taorunner.console.base.columns import Column, Row, laid_out
from taorunner.console.base.formatting import clean
from taorunner.console.base.theme import Symbols
from taorunner.console.pages.layout_page import layout_lines
from taorunner.contracts import Contract, ResumeRule
from taorunner.planning.spec.knob_settings import known_choices
from taorunner.planning.spec.schema_choice import schema_of
from taorunner.specs.memory import SpecMemory

NOT_KNOWN = "not known"

_RESUMES = {
    ResumeRule.NONE: "",
    ResumeRule.AUTO: "automatic when the results folder has a checkpoint",
    ResumeRule.ARGUMENT: "from a checkpoint on the command line",
    ResumeRule.SPEC_KEY: "from a checkpoint in the spec",
}


def network_table_lines(networks: Iterable[Network], width: int, symbols: Symbols) -> list[Text]:
    """One line per network: its purpose, and its actions in its newest release.

    The last column appears only when the workspace has networks of its own.
    """
    columns = [
        Column("network"),
        Column("framework", drop=1),
        Column("release", drop=2),
        Column("purpose", drop=4, shrinks_to=30),
        Column("actions", drop=3, shrinks_to=24),
        Column("from", drop=5),
    ]
    rows = [
        Row(
            (
                Text(network.name, style="name"),
                Text(network.framework.value, style="quiet"),
                Text(network.default_release, style="quiet"),
                Text(clean(network.purpose)),
                Text(" ".join(network.actions()), style="quiet"),
                Text("workspace" if network.file else ""),
            )
        )
        for network in networks
    ]
    return laid_out(columns, rows, width, symbols)


def network_lines(
    network: Network, layout: DataLayout | None, release: str | None, width: int, symbols: Symbols
) -> list[Text]:
    """The page of one network: actions, images, keys, data, unknowns, traps. Raises UserFilesError."""
    contracts = network.contracts(release)
    shown = network.release_name(release)
    resume = contracts["train"].checkpoints.resume if "train" in contracts else ResumeRule.NONE
    facts = {
        "file": str(network.file or ""),
        "images": network.registry if network.releases else "",
        "resumes": _RESUMES[resume],
        "needs": ", ".join(network.needs),
        "may have": ", ".join(network.optional),
    }
    lines = [
        Text.assemble((clean(network.title), "title"), f"  {clean(network.purpose)}"),
        fact_line("network", network.name),
        fact_line("framework", network.framework.value),
        fact_line("release", shown),
    ]
    for label, value in facts.items():
        lines += folded_fact(label, value, width)
    refused = {name: network.unknown_actions(name) for name in network.releases}
    lines += [Text(), *_action_lines(network, release, contracts, refused, width, symbols)]
    if network.releases:
        lines += [Text(), *_release_lines(network, refused, width, symbols)]
    lines += _key_lines(contracts.values(), width, symbols)
    lines += _option_lines(contracts, width, symbols)
    if layout is not None:
        lines += layout_lines(layout, width, symbols)
    lines += listed(NOT_KNOWN, _unknown(network, release, contracts), width, symbols)
    traps = [*network.traps, *(trap for contract in contracts.values() for trap in contract.traps)]
    lines += listed("worth knowing", traps, width, symbols)
    if network.sources:
        lines += [Text(), *folded_fact("sources", ", ".join(network.sources), width)]
    return lines


def _key_lines(contracts: Iterable[Contract], width: int, symbols: Symbols) -> list[Text]:
    """One row per role and key."""
    keys = dict.fromkeys(
        pair for contract in contracts if contract.spec for pair in contract.spec.keys.items()
    )
    rows = []
    shown_role = ""
    for role, key in sorted(keys, key=_role):
        label = "" if role == shown_role else clean(role.replace("_", " "))
        rows.append(Row((Text(label), Text(clean(key), style="name"))))
        shown_role = role
    columns = [Column("spec key for"), Column("key")]
    return [Text(), *laid_out(columns, rows, width, symbols)] if rows else []


def _option_lines(contracts: Mapping[str, Contract], width: int, symbols: Symbols) -> list[Text]:
    """One row per option and key that it sets, with the actions in which it does."""
    memory = SpecMemory()
    schemas = {action: schema_of(contract, memory=memory) for action, contract in contracts.items()}
    actions: dict[tuple[str, str], list[str]] = {}
    for knob, (option, _) in KNOBS.items():
        for action, contract in contracts.items():
            for choice in known_choices(contract, knob, schemas[action]):
                for key in choice.keys:
                    actions.setdefault((option, key), []).append(action)
    rows = []
    shown_option = ""
    for (option, key), names in actions.items():
        label = "" if option == shown_option else option
        in_actions = ", ".join(dict.fromkeys(names))
        rows.append(
            Row((Text(label), Text(clean(key), style="name"), Text(clean(in_actions), style="quiet")))
        )
        shown_option = option
    columns = [Column("option"), Column("sets", shrinks_to=40), Column("in", drop=1)]
    return [Text(), *laid_out(columns, rows, width, symbols)] if rows else []


def _role(pair: tuple[str, str]) -> str:
    return pair[0]


def _action_lines(
    network: Network, release: str | None, contracts: dict[str, Contract],
    refused: Mapping[str, Collection[str]], width: int, symbols: Symbols,
) -> list[Text]:  # fmt: skip
    """The actions of all releases, those of the shown release first. ``refused`` are those of each that are unknown.

    ``evaluate`` is called ``deploy.evaluate`` in a release where two groups have it.
    """
    shown = network.actions(release)
    known = {_own_name(name, group): name for name, group in shown.items()}
    has: dict[tuple[str, str], list[str]] = {action: [] for action in known}
    for r in network.releases:
        for name, group in network.actions(r).items():
            known.setdefault(_own_name(name, group), name)
            has.setdefault(_own_name(name, group), []).extend([] if name in refused[r] else [r])
    rows = []
    for action, name in known.items():
        is_shown = _own_name(name, shown.get(name, "")) == action
        contract = contracts.get(name) if is_shown else None
        spec, gpus, tag = "", "", "" if is_shown else f"not in {network.release_name(release)}"
        if contract is not None:
            spec = f"{contract.spec.stems[0]}.{_SUFFIXES[contract.spec.format]}" if contract.spec else ""
            gpus = contract.gpu_use.value
            tag = _tag(contract.image, network) if network.releases else ""
        elif is_shown:
            spec = NOT_KNOWN
        cells = (name, spec, gpus, tag, _span(has[action], network.releases))
        rows.append(Row(tuple(Text(clean(cell), style="name" if cell is name else "") for cell in cells)))
    columns = [
        Column("action"),
        Column("spec", drop=2),
        Column("gpus", drop=1),
        Column("image tag", drop=3, shrinks_to=14),
        Column("releases" if network.releases else "", drop=4),
    ]
    return laid_out(columns, rows, width, symbols)


def _own_name(name: str, group: str) -> tuple[str, str]:
    return group, name.rpartition(".")[2]


_SUFFIXES = {"yaml": "yaml", "prototxt": "txt"}


def _release_lines(
    network: Network, refused: Mapping[str, Collection[str]], width: int, symbols: Symbols
) -> list[Text]:
    """The image tags of each release, and whether its actions are known."""
    columns = [
        Column("release"),
        *(Column(f"{group.name} image") for group in network.groups),
        Column("", drop=1),
    ]
    rows = []
    for known in network.releases:
        groups = set(network.actions(known).values())
        tags = [
            _tag(network.image(group.name, known), network) if group.name in groups else ""
            for group in network.groups
        ]
        is_unknown = len(refused[known]) == len(network.actions(known))
        cells = (known, *tags, "actions unknown" if is_unknown else "")
        rows.append(Row(tuple(map(Text, cells))))
    return laid_out(columns, rows, width, symbols)


def _tag(image: str | None, network: Network) -> str:
    """The tag alone when the repository is the one shown above, else the full name."""
    return NOT_KNOWN if image is None else image.removeprefix(f"{network.registry}:").rpartition("/")[2]


def _span(has: Sequence[str], releases: Sequence[str]) -> str:
    """``all``, ``from 5.5.0``, ``to 5.3.0``, ``5.5.0``, ``5.1.0 to 5.3.0``; several parts if there are gaps.

    A release whose way to run the action is unknown does not count.
    """
    if not releases or len(has) == len(releases):
        return "all" if releases else ""
    runs: list[list[str]] = []
    for place, release in enumerate(releases):
        if release in has:
            if place == 0 or releases[place - 1] not in has:
                runs.append([])
            runs[-1].append(release)
    parts = []
    for run in runs:
        if run[-1] == releases[-1]:
            parts.append(f"from {run[0]}")
        elif run[0] == releases[0]:
            parts.append(f"to {run[-1]}")
        else:
            parts.append(run[0] if len(run) == 1 else f"{run[0]} to {run[-1]}")
    return ", ".join(parts)


def _unknown(network: Network, release: str | None, contracts: dict[str, Contract]) -> list[str]:
    refused = network.unknown_actions(release)
    by_reason: dict[str, list[str]] = {}
    for action, reason in refused.items():
        by_reason.setdefault(reason, []).append(action)
    lines = [f"how to run {', '.join(actions)}: {reason}" for reason, actions in by_reason.items()]
    return lines + [
        f"{topic}: {reason}"
        for contract in contracts.values()
        for topic, reason in contract.unknown.items()
        if topic != WHOLE_CONTRACT
    ]
