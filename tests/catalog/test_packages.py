"""The networks, actions and images of each release against TAO's packages and launchers: ``package_facts.json``.

``tools/compare_catalog.py SOURCE… --facts tests/catalog/package_facts.json`` writes that file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from taorunner.catalog.load import Catalog, network_names
from taorunner.catalog.network import Network, Release

FACTS: dict[str, Any] = json.loads((Path(__file__).parent / "package_facts.json").read_text(encoding="utf-8"))
PACKAGES: list[dict[str, Any]] = FACTS["packages"]
IMAGES: dict[str, dict[str, dict[str, list[str]]]] = FACTS["images"]
OTHER_TASKS = {
    ("data-services", "6.25.7"): {"skin_tone"},  # that image is only used for annotations
    ("tf1", "4.0.0"): {"augment", "emotionnet", "gazenet", "gesturenet", "heartratenet"},
    **{
        ("deploy", package["version"]): {"model_agnostic"}
        for package in PACKAGES
        if package["kind"] == "deploy"
    },
}
"""Commands of a package that are not compared: what no release runs, what only 4.x had, and what has the actions of others."""
OTHER_RELEASES = {
    "6.0.1": "hardened images of 6.0.0 alone",
    "6.25.11.1": "a launcher with the images of 6.25.11",
}
"""Launchers whose release is not in the catalog."""
NOT_RUN = {
    ("6.25.7", "deploy"): "that launcher has the TensorRT actions of TF1 networks, and not their training"
}


def tag_of(network: Network, group: str, release: Release, kind: str) -> str | None:
    return release.exceptions.get(network.name, {}).get(group) or release.tags.get(kind)


def of_version(network: Network, kind: str, version: str) -> list[tuple[str, set[str]]]:
    """The releases whose image of that kind is of that version, with the network's actions there."""
    found = []
    for release in network.all_releases:
        for group in network.groups:
            if group.image != kind or release.name not in network.releases:
                continue
            tag = tag_of(network, group.name, release, kind)
            if (release.name if tag is None else tag.partition("-")[0]) == version:
                known = network.actions(release.name)
                actions = {
                    action.rpartition(".")[2] for action, owner in known.items() if owner == group.name
                }
                found.append((release.name, actions - {"default_specs"}))
    return [(release, actions) for release, actions in found if actions]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: f"{package['kind']}-{package['version']}")
def test_the_catalog_has_the_commands_and_actions_of_the_package(package: dict[str, Any]) -> None:
    catalog, kind, version = Catalog(), package["kind"], package["version"]
    passed = OTHER_TASKS.get((kind, version), set())
    seen = set()
    for name in network_names():
        for release, actions in of_version(catalog.network(name), kind, version):
            if name not in passed:
                seen.add(name)
                assert (name, release, actions) == (name, release, set(package["tasks"].get(name, ())))
    missing = set(package["tasks"]) - seen - passed
    in_another_image = {name for name in missing if version in catalog.network(name).releases}
    tensorflow = {name for name in missing if catalog.network(name).framework.value in ("tf1", "tf2")}
    assert missing == in_another_image | tensorflow
    assert seen


@pytest.mark.parametrize("version", IMAGES)
def test_a_release_has_the_images_of_its_launcher(version: str) -> None:
    catalog = Catalog()
    registry = "nvcr.io/nvidia/tao"
    if version in OTHER_RELEASES:
        assert version not in {release.name for release in catalog.network("dino").all_releases}
        return
    expected = {
        (name, kind): f"{registry}/{tag}" if ":" in tag else f"{registry}/tao-toolkit:{tag}"
        for kind, tags in IMAGES[version].items()
        for tag, tasks in tags.items()
        for name in set(tasks) & set(network_names())
    }
    ours = {
        (name, group.image): network.image(group.name, version)
        for name, kind in expected
        for network in [catalog.network(name)]
        for group in network.groups
        if group.image == kind and version in network.releases
    }
    missing = {name for name, _ in set(expected) - set(ours)}
    assert bool(missing) == ((version, "deploy") in NOT_RUN)
    assert ours == {key: image for key, image in expected.items() if key[0] not in missing}


def test_releases_that_are_only_used_by_name_do_not_become_the_default() -> None:
    catalog = Catalog()
    defaults = {catalog.network(name).default_release for name in network_names()}
    named = {release.name for release in catalog.network("dino").all_releases if release.by_name}
    assert named == {"7.1.0"}
    assert {name for name in network_names() if catalog.network(name).default_release in named} == {"dinov3"}
    assert catalog.image_of_kind("pyt").endswith(":7.0.1-pyt") and "7.0.1" in defaults
    assert catalog.image_of_kind("pyt", "7.1.0").endswith(":7.1.0-pyt")
