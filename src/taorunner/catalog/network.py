"""``Network``: one file of ``data/networks``, and the contracts derived from it.

The rules depend on the version of the code in the image, not on the release: release 5.5.0 ships TF2 as 5.0.0-tf2.11.0,
and its bevfusion stayed at 5.5.0 for years.
Source: tao/pytorch.md section 6.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from taorunner.catalog.layers import (
    Block,
    Layer,
    Version,
    build_contract,
    layers_of,
    merge,
    parse_version,
    version_matches,
)
from taorunner.contracts import Contract, Framework
from taorunner.errors import UnknownNameError, UserFilesError
from taorunner.text import did_you_mean
from taorunner.values.value import Value, field

WHOLE_CONTRACT = "contract"
"""The key of ``unknown`` for an action whose command line is unknown."""

OWN_RELEASE = "embedded"
"""The release of networks that are part of taorunner and need no image."""


class Release(Value):
    """One TAO release with its image tags per kind (``pyt``, ``tf1``, ``deploy``, …).

    ``tags`` has None for a tag that is not documented. ``exceptions`` are networks with their own image:
    ``{"bevfusion": {"model": "5.5.0-pyt"}}``. ``public`` is False when the tags were not in the registry at the time
    the facts were collected. One that is ``by_name`` is the default only where no older public one can be.
    """

    name: str
    tags: Mapping[str, str | None]
    exceptions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    public: bool = True
    by_name: bool = False


class Group(Value):
    """The actions of a network in one kind of container. ``image`` is None without a container."""

    name: str
    framework: Framework
    image: str | None
    blocks: tuple[Block, ...]
    tables: Mapping[str, Block]
    actions: Mapping[str, Mapping[str, Any]]
    since: str | None = None
    until: str | None = None


class Network(Value):
    """The facts about one head. ``needs`` and ``optional`` are keys of an experiment.

    ``file`` is the workspace's file of the network, None for networks of the catalog.
    """

    name: str
    title: str
    purpose: str
    framework: Framework
    trainable: bool
    needs: tuple[str, ...]
    optional: tuple[str, ...]
    groups: tuple[Group, ...]
    traps: tuple[str, ...]
    sources: tuple[str, ...]
    words: Mapping[str, str]
    all_releases: tuple[Release, ...]
    registry: str
    file: Path | None = None

    @property
    def releases(self) -> tuple[str, ...]:
        """The releases with its main group, oldest first. Empty for a network without an image."""
        return tuple(release.name for release in self.all_releases if self._is_in(release))

    @property
    def default_release(self) -> str:
        """The newest release with public images that is not only used by name; else the oldest of those that are."""
        main = self.groups[0]
        public = [
            one for one in self.all_releases if one.public and self._is_in(one) and self._image(main, one)
        ]
        usual = [one for one in public if not one.by_name]
        if public:
            return (usual[-1] if usual else public[0]).name
        return (self.releases or (OWN_RELEASE,))[-1]

    def actions(self, release: str | None = None) -> dict[str, str]:
        """Action → group, in the order of the file. An action of two groups belongs to the first; that of the other is
        written ``deploy.evaluate``. Raises UserFilesError for an unknown release."""
        found = self._release(release)
        known: dict[str, str] = {}
        for group in self.groups:
            for action in self._actions_of(group, found):
                known[f"{group.name}.{action}" if action in known else action] = group.name
        return known

    def name_of(self, contract: Contract) -> str:
        """The name of a contract's action as ``actions`` has it: ``deploy.evaluate`` where another group has the plain
        name."""
        owner = self.actions(contract.release).get(contract.action)
        return contract.action if owner in (None, contract.group) else f"{contract.group}.{contract.action}"

    def contract(self, action: str, release: str | None = None, group: str | None = None) -> Contract:
        """The contract of one action. ``deploy.evaluate`` is ``evaluate`` of the group deploy.

        Raises UserFilesError for an unknown action, with the nearest name or the releases that have it, and for an
        action whose command line is unknown, with the reason. Nothing is guessed.
        """
        found = self._release(release)
        if group is None and "." in action:
            group, _, action = action.partition(".")
        for candidate in self.groups:
            if group not in (None, candidate.name) or action not in self._actions_of(candidate, found):
                continue
            return self._contract(candidate, action, found)
        raise self._unknown_action(action, group, found)

    def contracts(self, release: str | None = None) -> dict[str, Contract]:
        """The contracts by action, as ``actions`` names them, without actions whose command line is unknown."""
        unknown = self.unknown_actions(release)
        return {
            action: self.contract(action, release)
            for action in self.actions(release)
            if action not in unknown
        }

    def unknown_actions(self, release: str | None = None) -> dict[str, str]:
        """The actions that ``contract`` refuses, with the reason."""
        found = self._release(release)
        reasons: dict[str, str] = {}
        for action, owner in self.actions(release).items():
            group = next(group for group in self.groups if group.name == owner)
            layers = self._layers(group, action.rpartition(".")[2], found)
            reason = self._reason(merge({"unknown": one["unknown"]} for one in layers if "unknown" in one))
            if reason is not None:
                reasons[action] = reason
        return reasons

    def release_name(self, release: str | None = None) -> str:
        """The release as in the catalog: ``5.5.0`` for ``v5.5``. Raises UserFilesError for an unknown release."""
        return self._release(release).name

    def image(self, group: str, release: str) -> str | None:
        """The image of the group; None when it needs none or it is unknown. Raises UserFilesError."""
        return next(
            (self._image(known, self._release(release)) for known in self.groups if known.name == group), None
        )

    @staticmethod
    def _reason(facts: Mapping[str, Any]) -> str | None:
        reason = (facts.get("unknown") or {}).get(WHOLE_CONTRACT)
        return None if reason is None else str(reason)

    def _layers(self, group: Group, action: str, release: Release) -> Iterator[Layer]:
        version = self._version(group, release) or (0, 0, 0)
        return layers_of(group.blocks, self._action_tables(group, action), action, version)

    def _contract(self, group: Group, action: str, release: Release) -> Contract:
        facts = merge(self._layers(group, action, release))
        reason = self._reason(facts)
        if reason is not None:
            raise UserFilesError(
                f'the arguments of "{self.name} {action}" in TAO release {release.name} are unknown: {reason}',
                hint=self._where_known(action, group, release),
            )
        words = self._all_words(action)
        return build_contract(
            {"needs": list(self.needs), "optional": list(self.optional), **facts},
            network=self.name,
            action=action,
            group=group.name,
            framework=group.framework,
            release=release.name,
            image=self._image(group, release),
            words=words,
            is_own=self.file is not None,
        )

    def _all_words(self, action: str) -> dict[str, str]:
        return {"task": self.name, **self.words, "network": self.name, "action": action}

    @staticmethod
    def _action_tables(group: Group, action: str) -> list[Block]:
        names: list[str] = []
        for block in group.blocks:
            names += ((block.get("actions") or {}).get(action) or {}).get("uses") or ()
        return [group.tables[name] for name in names]

    def _actions_of(self, group: Group, release: Release) -> list[str]:
        version = self._version(group, release)
        if version is None:
            return []
        return [name for name, when in group.actions.items() if _is_within(when, version)]

    def _tag(self, group: Group, release: Release) -> str | None:
        own = release.exceptions.get(self.name, {}).get(group.name)
        return own if own is not None or group.image is None else release.tags.get(group.image)

    def _image(self, group: Group, release: Release) -> str | None:
        tag = self._tag(group, release)
        if tag is None:
            return None
        return f"{self.registry.rpartition('/')[0]}/{tag}" if ":" in tag else f"{self.registry}:{tag}"

    def _version(self, group: Group, release: Release) -> Version | None:
        """The version of the code in the group's image; None when the release lacks the group."""
        if group.image is None:
            return (0, 0, 0)
        if group.image not in release.tags:
            return None
        tag = self._tag(group, release)
        version = parse_version(release.name if tag is None else _version_in(tag))
        return version if _is_within({"since": group.since, "until": group.until}, version) else None

    def _is_in(self, release: Release) -> bool:
        main = self.groups[0]
        return main.image is not None and self._version(main, release) is not None

    def _release(self, name: str | None) -> Release:
        if self.groups[0].image is None:
            return self._own_release(name)
        wanted = self.default_release if name is None else name.strip().removeprefix("v")
        for release in self.all_releases:
            if release.name in (wanted, f"{wanted}.0"):
                if self._is_in(release):
                    return release
                raise UnknownNameError(
                    f'"{self.name}" is not in TAO release "{name}"',
                    hint=f"releases that have it: {', '.join(self.releases)}; set release here",
                )
        raise UnknownNameError(
            f'unknown TAO release "{name}"',
            hint=f'releases of "{self.name}": {", ".join(self.releases)}',
        )

    def _own_release(self, name: str | None) -> Release:
        """Of a network without an image. A release of TAO, which others of its project may need, is passed over."""
        wanted = OWN_RELEASE if name is None else name.strip().removeprefix("v")
        known = [release.name for release in self.all_releases]
        if not {wanted, f"{wanted}.0"} & {OWN_RELEASE, *known}:
            hint = did_you_mean(wanted, known)
            raise UnknownNameError(f'unknown TAO release "{name}"', hint=hint)
        return Release(OWN_RELEASE, {})

    def _where_known(self, action: str, group: Group, release: Release) -> str:
        """The releases with a known command line, else how to find out and where to write what is missing."""
        known = [
            name
            for name in self._releases_with(action, group.name)
            if action not in self._unknown_in(group.name, name)
        ]
        task, image = self._all_words(action)["task"], self._image(group, release) or "IMAGE"
        describe = (
            f"describe it in networks/{self.name}.yml of the workspace: "
            f"docker run --rm --gpus all {image} {task} {action} --help lists its options"
        )
        return f"known for {', '.join(known)}; or {describe}" if known else describe

    def _unknown_in(self, group: str, release: str) -> set[str]:
        return {
            action.rpartition(".")[2]
            for action in self.unknown_actions(release)
            if self.actions(release)[action] == group
        }

    def _unknown_action(self, action: str, group: str | None, release: Release) -> UserFilesError:
        groups = [candidate.name for candidate in self.groups]
        if group is not None and group not in groups:
            return UnknownNameError(
                f'"{self.name}" has no group "{group}"',
                hint=did_you_mean(group, groups) or "it has no groups",
            )
        elsewhere = self._releases_with(action, group)
        if elsewhere:
            return UserFilesError(
                f'"{self.name}" has no action "{action}" in TAO release {release.name}',
                hint=f"releases that have it: {', '.join(elsewhere)}",
            )
        known = [name for name, owner in self.actions(release.name).items() if group in (None, owner)]
        return UnknownNameError(f'"{self.name}" has no action "{action}"', hint=did_you_mean(action, known))

    def _releases_with(self, action: str, group: str | None) -> list[str]:
        return [
            release.name
            for release in self.all_releases
            if any(
                action in self._actions_of(candidate, release)
                for candidate in self.groups
                if group in (None, candidate.name) and candidate.image is not None
            )
            and release.name in self.releases
        ]


def _version_in(tag: str) -> str:
    """``5.0.0`` of ``5.0.0-pyt``, ``3.21.08`` of ``tao-toolkit-tf:v3.21.08-py3``."""
    return tag.rpartition(":")[2].partition("-")[0].removeprefix("v")


def _is_within(limits: Mapping[str, Any], version: Version) -> bool:
    """``since`` is the first version that has it, ``until`` the first without it."""
    since, until = limits.get("since"), limits.get("until")
    if since is not None and not version_matches(f">={since}", version):
        return False
    return until is None or version_matches(f"<{until}", version)
