"""``tools/compare_catalog.py`` on small made-up sources: what is new in them, and what they no longer have."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "compare_catalog.py"
Compare = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def compare(tmp_path: Path) -> Compare:
    """The exit code of the tool and the lines that it prints."""

    def run(*arguments: str | Path) -> tuple[int, list[str]]:
        done = subprocess.run(
            [sys.executable, TOOL, *arguments], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.stderr == "", done.stderr
        return done.returncode, done.stdout.splitlines()

    return run


def archive(path: Path, texts: Mapping[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as opened:
        for name, text in texts.items():
            opened.writestr(name, text)
    return path


def package(module: str, commands: Mapping[str, str], version: str) -> dict[str, str]:
    """The files of a wheel: an entry point for each command, and an empty script for each of its actions."""
    rows = "".join(f"{name} = {module}.cv.{name}.entrypoint.{name}:main\n" for name in commands)
    scripts = {
        f"{module}/cv/{name}/scripts/{action}.py": ""
        for name, actions in commands.items()
        for action in ("__init__", *actions.split())
    }
    info = f"{module}-{version}.dist-info"
    return {**scripts, f"{info}/METADATA": "", f"{info}/entry_points.txt": f"[console_scripts]\n{rows}"}


DATA_SERVICES = {
    "analytics": "analyze kpi_analyze validate",
    "annotations": "convert merge slice qa_to_llava_annotation sparse4d_prepare",
    "augmentation": "generate",
    "auto_label": "generate",
    "embedding": "image_embeddings text_embeddings",
    "gap_analysis": "object_detection vcn_aoi vlm_bcq",
    "image": "validate",
    "tmm": "nearest_neighbors unique_neighbor_matching",
}
"""What nvidia-tao-ds 7.3.0 has."""


def test_a_package_that_the_catalog_knows_has_no_difference(compare: Compare, tmp_path: Path) -> None:
    wheel = archive(tmp_path / "ds.whl", package("nvidia_tao_ds", DATA_SERVICES, "7.3.0"))
    assert compare(wheel) == (0, ["the catalog has what the sources have"])


def test_what_is_new_and_what_is_gone_in_a_package(compare: Compare, tmp_path: Path) -> None:
    commands = {
        **DATA_SERVICES,
        "image": "validate repair",
        "tmm": "nearest_neighbors",
        "captions": "generate",
    }
    del commands["embedding"]
    wheel = archive(tmp_path / "ds.whl", package("nvidia_tao_ds", commands, "7.3.0"))
    assert compare(wheel) == (
        1,
        [
            "+ 7.3.0 data-services captions: a network with generate",
            "- 7.3.0 data-services embedding: not in the source",
            "+ 7.3.0 data-services image repair: an action",
            "- 7.3.0 data-services tmm unique_neighbor_matching: an action that is not in the source",
        ],
    )


def test_a_release_that_the_catalog_lacks_is_compared_with_the_one_before_it(
    compare: Compare, tmp_path: Path
) -> None:
    commands = {**DATA_SERVICES, "captions": "generate"}
    archive(tmp_path / "ds.whl", package("nvidia_tao_ds", commands, "9.1.0"))
    facts = tmp_path / "facts.json"
    assert compare(tmp_path, "--facts", facts) == (
        1,
        [
            "+ 9.1.0 data-services: not a release of the catalog; compared with 7.3.0",
            "+ 9.1.0 data-services captions: a network with generate",
        ],
    )
    (row,) = json.loads(facts.read_text())["packages"]
    assert (row["kind"], row["version"]) == ("data-services", "9.1.0")
    assert row["tasks"] == {name: sorted(actions.split()) for name, actions in sorted(commands.items())}


def test_a_checkout_is_read_by_its_setup_and_version(compare: Compare, tmp_path: Path) -> None:
    checkout = tmp_path / "tao-data-services"
    entries = [f"'{name}=nvidia_tao_ds.cv.{name}.entrypoint.{name}:main'" for name in DATA_SERVICES]
    files = {
        **{
            name: text
            for name, text in package("nvidia_tao_ds", DATA_SERVICES, "0").items()
            if "/cv/" in name
        },
        "setup.py": f"setup(entry_points={{'console_scripts': [{', '.join(entries)}]}})\n",
        "release/python/version.py": '__version__ = "7.3.0"\n',
        "nvidia_tao_ds/cv/image/scripts/mend.py": "",
    }
    for name, text in files.items():
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text(text)
    assert compare(checkout) == (1, ["+ 7.3.0 data-services image mend: an action"])


def test_images_of_the_launcher(compare: Compare, tmp_path: Path) -> None:
    config = {
        "toolkit_version": "4.0.1",
        "dockers": {
            "nvidia/tao/tao-toolkit": {
                "4.0.0-tf1.15.5": {"tasks": ["dssd", "augment"]},
                "4.0.2-tf1.15.5": {"tasks": ["unet"]},
            }
        },
    }
    wheel = archive(
        tmp_path / "launcher.whl",
        {"tlt/config/config.json": json.dumps(config), "nvidia_tao-4.0.1.dist-info/METADATA": ""},
    )
    facts = tmp_path / "facts.json"
    assert compare(wheel, "--facts", facts) == (
        1, ["+ 4.0.1 tf1 unet: image 4.0.2-tf1.15.5, not 4.0.1-tf1.15.5"]
    )  # fmt: skip
    assert json.loads(facts.read_text())["images"] == {
        "4.0.1": {"tf1": {"4.0.0-tf1.15.5": ["augment", "dssd"], "4.0.2-tf1.15.5": ["unet"]}}
    }


def test_pinned_images_and_actions_of_the_skill_bank(compare: Compare, tmp_path: Path) -> None:
    public = "nvcr.io/nvidia/tao/tao-toolkit"
    versions = f"""\
images:
  tao_toolkit:
    pyt:           {public}:7.3.0-pyt
    deploy:        {public}:7.1.0-deploy
    data_services: nvcr.io/nvstaging/tao/tao-toolkit-ds:2026.8
"""
    info = "actions:\n  train:\n    command: dinov3 train -e {config_path}\n  rate:\n    command: dinov3 rate -e {config_path}\n"
    bank = archive(
        tmp_path / "bank.zip",
        {"versions.yaml": versions, "skills/models/tao-train-dinov3/references/skill_info.yaml": info},
    )
    assert compare(bank) == (
        1,
        [
            "+ 7.3.0 pyt *: image 7.3.0-pyt, not None",
            "+ 7.3.0: its images are public",
            "+ 7.3.0 dinov3 rate: an action",
        ],
    )
