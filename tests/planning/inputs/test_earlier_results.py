"""What ``--overwrite`` moves: what the action itself wrote, and nothing of another action."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import pytest

from taorunner.catalog.load import load_network, network_names
from taorunner.catalog.network import Network
from taorunner.contracts import Contract
from taorunner.errors import UserFilesError
from taorunner.planning.inputs.earlier_results import earlier_results
from taorunner.project.mounts import Mounts

TRAINABLE = [name for name in network_names() if load_network(name).trainable]


def trainings(network: Network) -> list[Contract]:
    """One for each release whose rules are known."""
    found = []
    for release in network.releases or (None,):
        try:
            found.append(network.contract("train", release))
        except UserFilesError:
            continue
    return found


def written_by_training(contract: Contract) -> set[str]:
    """Some paths in the results folder, as the contract has them."""
    known = contract.checkpoints
    globs = [*known.globs, *known.resume_globs, *contract.progress.status_files, known.latest or ""]
    return {re.sub(r"\[[^]]*\]", "0", glob).replace("*", "x") for glob in globs if glob}


def make(results: Path, paths: set[str]) -> None:
    for path in paths:
        (results / path).parent.mkdir(parents=True, exist_ok=True)
        (results / path).write_text(path)


@pytest.mark.parametrize("head", TRAINABLE)
def test_training_moves_its_own_results_and_no_records(head: str, tmp_path: Path) -> None:
    network = load_network(head)
    for contract in trainings(network):
        own = written_by_training(contract)
        others = {
            f"{other.results_subdir}/kept"
            for other in network.contracts(contract.release).values()
            if other.action != "train" and other.results_subdir not in ("", contract.results_subdir)
        }
        others |= {"dataset_convert/train-00000-of-00004.tfrecord"} if contract.results_subdir else set()
        results = tmp_path / contract.release
        make(results, own | others)
        met = earlier_results(
            contract, results, {}, Mounts.identity(), experiment="e1", overwrite=True, network=network
        )
        assert met.findings == ()
        moved = {
            path for path in own | others if any((results / path).is_relative_to(m) for m in met.set_aside)
        }
        assert moved == own, contract.release


def test_a_folder_with_nothing_else_in_it_moves_as_a_whole(tmp_path: Path) -> None:
    network = load_network("efficientdet_tf2")
    contract = network.contract("train")
    make(tmp_path, {"train/status.json"})
    for kept, moved in ((None, (tmp_path,)), ("dataset_convert/val-00000", (tmp_path / "train",))):
        make(tmp_path, {kept} if kept else set())
        met = earlier_results(
            contract, tmp_path, {}, Mounts.identity(), experiment="e1", overwrite=True, network=network
        )
        assert met.set_aside == moved


@pytest.mark.parametrize(
    ("head", "spec", "expected"),
    [
        ("detectnet_v2", "", True),  # its option -o
        ("fpenet", "save_root_path: RECORDS\n", True),  # a key of its spec
        ("efficientdet_tf2", "dataset_convert: {tag: train}\n", False),  # into its results folder only
        ("dino", "data: {}\n", False),
    ],
)
def test_only_a_conversion_that_is_given_the_records_folder_moves_it(
    head: str, spec: str, expected: bool, tmp_path: Path
) -> None:
    network = load_network(head)
    action = "dataset_convert" if "dataset_convert" in network.actions() else "convert"
    records = tmp_path / "data" / "tfrecords_e1"
    make(records, {"tfrecord-fold-000-of-002"})
    results = tmp_path / "models" / "e1"
    make(results, {"dataset_convert/train-00000-of-00004.tfrecord", "convert/x"})
    met = earlier_results(
        network.contract(action), results, {"tfrecords_prefix": f"{PurePosixPath(records)}/tfrecord"}, Mounts.identity(),
        experiment="e1", overwrite=True, network=network, spec_text=spec.replace("RECORDS", str(records)),
    )  # fmt: skip
    assert met.set_aside == ((records,) if expected else ())


def test_a_tag_is_compared_as_text_and_not_as_a_pattern(tmp_path: Path) -> None:
    network = load_network("efficientdet_tf2")
    records = tmp_path / "records"
    make(records, {"ab-00000-of-00001", "a[bc]-00000-of-00001", "a[bc]-old-00000-of-00001"})
    own = (records / "a[bc]-00000-of-00001", records / "a[bc]-old-00000-of-00001")
    values = {"tfrecords_prefix": str(records), "record_tag": "a[bc]"}
    for overwrite, moved, messages in (
        (True, own, []),
        (False, (), [f'{records} already holds records of "a[bc]"']),
    ):
        met = earlier_results(
            network.contract("dataset_convert"), tmp_path, values, Mounts.identity(),
            experiment="e1", overwrite=overwrite, network=network,
        )  # fmt: skip
        assert (met.set_aside, [one.message for one in met.findings]) == (moved, messages)
