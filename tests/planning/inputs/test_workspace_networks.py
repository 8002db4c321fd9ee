"""A workspace's own networks: added, taken in the place of ours, and never a traceback for what is in the files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taorunner.catalog.knobs import KnobKeys, choices_of
from taorunner.catalog.load import DATA, load_network, network_names
from taorunner.catalog.names import own_network_names
from taorunner.contracts import Direction, Metric, MetricScale
from taorunner.errors import UserFilesError
from taorunner.planning.inputs.network_file_check import NETWORK_KEYS
from taorunner.planning.inputs.workspace_networks import Networks

MINE = """\
title: My head
purpose: object detection
sources: [my own head]
needs: [dataset]
words: {latest: my_model, key_name: key}
groups:
  model:
    family: pyt
    since: 6.0.0
    actions:
      train: {arguments: {amp: train.precision=fp16}}
      evaluate:
"""


def write(folder: Path, **files: str) -> Networks:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.yml").write_text(text, encoding="utf-8")
    return Networks(folder)


def findings_of(networks: Networks) -> list[tuple[str, int | None, int | None, str, str | None]]:
    return [
        (
            finding.file.name if finding.file else "",
            finding.line,
            finding.column,
            finding.message,
            finding.hint,
        )
        for finding in networks.check()
    ]


def test_without_files_there_is_the_catalog(tmp_path: Path) -> None:
    for networks in (Networks(), Networks(tmp_path / "absent"), Networks(tmp_path)):
        assert networks.names == network_names()
        assert networks.own == () and networks.check() == []
        assert networks.load("dssd") == load_network("dssd")


def test_a_network_of_ones_own_is_one_like_the_others(tmp_path: Path) -> None:
    networks = write(tmp_path, mine=MINE)
    assert networks.check() == []
    assert networks.names == tuple(sorted([*network_names(), "mine"]))
    mine = networks.load("mine")
    assert (mine.title, mine.file) == ("My head", tmp_path / "mine.yml")
    assert mine.contract("train").command == ("mine", "train")
    assert mine.contract("train").checkpoints.latest == "train/my_model_latest.pth"
    assert "5.5.0" not in mine.releases and "6.0.0" in mine.releases


def test_a_file_of_the_same_name_changes_what_it_says_of_ours(tmp_path: Path) -> None:
    networks = write(
        tmp_path, dssd="like: dssd\ntitle: Ours\ngroups: {model: {actions: {train: {traps: [slow]}}}}\n"
    )
    assert networks.check() == []
    changed, original = networks.load("dssd"), load_network("dssd")
    assert changed.title == "Ours" and changed.purpose == original.purpose
    assert changed.actions() == original.actions()
    assert changed.contract("train").traps == ("slow",)
    assert changed.contract("evaluate") == original.contract("evaluate")
    assert original.title == "DSSD"


def test_a_whole_file_of_the_same_name_takes_the_place_of_ours(tmp_path: Path) -> None:
    networks = write(tmp_path, dssd=MINE)
    assert networks.check() == [] and networks.names == network_names()
    assert networks.load("dssd").actions() == {"train": "model", "evaluate": "model"}


def test_the_example_of_the_page_works(tmp_path: Path) -> None:
    page = (DATA / "README.md").read_text(encoding="utf-8")
    example = page.partition("## Networks of your own")[2].partition("```yaml\n")[2].partition("```")[0]
    networks = write(tmp_path, yolo_v4=example)
    assert networks.check() == []
    assert networks.load("yolo_v4").contract("train", "3.21.11").checkpoints.globs == (
        "weights/yolov4_*_epoch_*.tlt",
    )


def test_what_the_catalog_does_not_know_can_be_reported(tmp_path: Path) -> None:
    text = 'like: unet\ngroups: {model: {versions: [{when: "<5.0", base: {unknown: {contract: null}}}]}}\n'
    networks = write(tmp_path, unet=text)
    assert networks.check() == []
    train = networks.load("unet").contract("train", "3.21.11")
    assert (train.command, train.release) == (("unet", "train"), "3.21.11")
    assert train.image == "nvcr.io/nvidia/tao/tao-toolkit-tf:v3.21.11-tf1.15.5-py3"
    with pytest.raises(UserFilesError, match="are unknown"):
        load_network("unet").contract("train", "3.21.11")


def test_one_own_file_may_be_like_another(tmp_path: Path) -> None:
    networks = write(
        tmp_path, mine=MINE, a="like: b\ntitle: A\n", b="like: mine\npurpose: b\nwords: {latest: b_model}\n"
    )
    assert networks.check() == []
    a = networks.load("a")
    assert (a.title, a.purpose, a.contract("train").command) == ("A", "b", ("a", "train"))
    assert a.contract("train").checkpoints.latest == "train/b_model_latest.pth"


def test_a_network_of_ones_own_says_what_its_metrics_mean(tmp_path: Path) -> None:
    declared_ones = MINE.replace(
        "train.precision=fp16}", "a=b}, kpi: {val_miss: down percent ranks, val_<class>: up}"
    )
    networks = write(tmp_path, mine=declared_ones, plain=MINE, dino="like: dino\ntitle: Ours\n")
    assert networks.check() == []
    train = networks.load("mine").contract("train")
    assert train.kpi[0] == Metric("val_miss", Direction.DOWN, MetricScale.PERCENT, ranks=True)
    assert [metric.name for metric in train.kpi] == ["val_miss", "*loss*", "val_<class>"]
    assert not train.guesses_metrics
    assert networks.load("plain").contract("train").guesses_metrics  # the names tell
    assert not networks.load("dino").contract("train").guesses_metrics


def test_a_network_of_ones_own_says_which_keys_the_short_options_become(tmp_path: Path) -> None:
    text = "like: dino\ngroups: {model: {actions: {train: {spec: {knobs: {lr: optim.lr, seed: null, rate: a}}}}}}\n"
    networks = write(tmp_path, dino=text, wrong=text.replace(", rate: a", "").replace("optim.lr", "1 | 2"))
    assert [(file, message) for file, _line, _column, message, _hint in findings_of(networks)] == [
        ("dino.yml", '"rate" is not a short option'),
        ("wrong.yml", '"1" names no keys of a spec'),
    ]
    networks = write(tmp_path / "right", dino=text.replace(", rate: a", ""))
    assert networks.check() == []
    train = networks.load("dino").contract("train")
    assert choices_of(train, "lr") == (KnobKeys(("optim.lr",)),) and choices_of(train, "seed") == ()


def test_files_that_are_like_each_other_in_a_circle(tmp_path: Path) -> None:
    networks = write(tmp_path, a="like: b\n", b="like: a\n", c="like: c\n")
    assert findings_of(networks) == [
        ("a.yml", 1, 7, '"a", which is like "b", which is like "a"', 'one of them has to do without "like"'),
        ("b.yml", 1, 7, '"b", which is like "a", which is like "b"', 'one of them has to do without "like"'),
        ("c.yml", 1, 7, '"c" is like itself', 'leave "like" out'),
    ]


def test_a_file_that_is_like_a_broken_one_says_which(tmp_path: Path) -> None:
    networks = write(tmp_path, a="like: b\n", b="purpose: 3\nlike: dssd\n")
    assert [line[:4] for line in findings_of(networks)] == [
        ("a.yml", 1, 7, '"b", which this is like, has problems'),
        ("b.yml", 1, 10, '"purpose" must be a text, not the number 3'),
    ]


FAULTS: list[tuple[str, str, tuple[int, int], str, str | None]] = [
    ("title: My head", "titel: My head", (1, 1), '"titel" is not a key of a network file', 'did you mean "title"?'),
    ("title: My head", "title: [a]", (1, 8), '"title" must be a text, not a list', None),
    ("[dataset]", "[datset]", (4, 9), '"datset" is not a key of an experiment', 'did you mean "dataset"?'),
    ("[dataset]", "dataset", (4, 8), '"needs" must be a list, not "dataset"', None),
    ("  model:\n", "  modle:\n", (7, 3), '"modle" is not a key of groups', 'did you mean "model"?'),
    ("family: pyt", "family: pty", (8, 13), '"pty" is not a family', 'did you mean "pyt"?'),
    ("family: pyt", "family: embedded", (8, 13), '"embedded" is not a family', None),
    ("since: 6.0.0", "since: 6.0", (9, 12), '"since" must be a version such as 6.0.0, not the number 6.0', None),
    ("since: 6.0.0", "since: six", (9, 12), '"since" must be a version such as 6.0.0, not "six"', None),
    ("since: 6.0.0", "since: 99.0.0", (7, 3), '"mine" is in no release', None),
    ("since: 6.0.0", "uses: [nope]", (9, 12), '"nope" is not a table of the family', None),
    ("since: 6.0.0", "image: pity", (9, 12), '"pity" is not a kind of image', "known: tf1, pyt, deploy, tf2, data-services"),
    ("  train: {arguments", "  Train: {arguments", (11, 7), '"Train" cannot be a name in "actions"', None),
    ("{arguments:", "{argument:", (11, 15), '"argument" is not a key of a layer', 'did you mean "arguments"?'),
    ("train.precision=fp16", '"-x {nothing}"', (11, 7), '"{nothing}" in arguments of "train" has no meaning', None),
    ("train.precision=fp16", '"-x {nothing"', (11, 32), '"-x {nothing" has a brace that belongs to no value', None),
    ("latest: my_model, ", "", (11, 7), '"{latest}" in checkpoints of "train" has no meaning', None),
    ("train.precision=fp16", "7", (11, 32), '"amp" must be a text, not the number 7', None),
    ("train.precision=fp16}", "a=b}, gpu_use: lots", (11, 47), '"gpu_use" cannot be "lots"', "known: none, one, many"),
    (
        "train.precision=fp16}", "a=b}, checkpoints: {epoch_pattern: x}", (11, 67),
        '"x" must have one group, the epoch', r"such as _epoch_(\d+)\.hdf5$",
    ),
    (
        "train.precision=fp16}", "a=b}, results_subdir: ../x", (11, 54), '"../x" leads out of the results folder', None,
    ),
    ("train.precision=fp16}", "a=b}, traps: [7]", (11, 46), '"traps" must be a text, not the number 7', None),
    ("train.precision=fp16}", "a=b}, spec: {keys: {epoch: a}}", (11, 52), '"epoch" is not what a spec key is for', None),
    (
        "train.precision=fp16}", "a=b}, kpi: {val_x: better}", (11, 51), '"better" does not say what the metric means',
        "up, down or none; then fraction, percent or own; then ranks where runs are compared by it",
    ),
    ("train.precision=fp16}", "a=b}, kpi: {x: up ranks own}", (11, 47), '"up ranks own" does not say what', None),
    ("train.precision=fp16}", "a=b}, kpi: [val_x]", (11, 43), '"kpi" must be a mapping, not a list', None),
    (
        "train.precision=fp16}", "a=b}, checkpoints: {untrained_pattern: (}", (11, 71),
        '"(" is not a regular expression', None,
    ),
    ("evaluate:", "evaluate: 7", (12, 17), '"evaluate" must be a mapping, not the number 7', None),
    ("sources: [my own head]", "sources: [my own head", (4, 6), "not valid YAML", None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "place", "message", "hint"), FAULTS, ids=[new for _, new, *_ in FAULTS]
)
def test_each_fault_is_reported_at_its_place(
    old: str, new: str, place: tuple[int, int], message: str, hint: str | None, tmp_path: Path
) -> None:
    assert MINE.count(old) == 1
    networks = write(tmp_path, mine=MINE.replace(old, new))
    found = networks.check()
    assert message in found[0].message or message in [finding.message for finding in found]
    (finding,) = [one for one in found if message in one.message]
    assert (finding.line, finding.column, finding.file) == (*place, tmp_path / "mine.yml")
    if hint is not None:
        assert finding.hint == hint
    with pytest.raises(UserFilesError) as caught:
        networks.load("mine")
    assert caught.value.findings == tuple(found)


def test_what_is_no_network_file(tmp_path: Path) -> None:
    networks = write(tmp_path, empty="", listed="- a\n", word="x", Big="title: x\n", null="title: a\0b\n")
    (tmp_path / "folder.yml").mkdir()
    (tmp_path / "latin.yml").write_bytes(b"title: \xe9\n")
    (tmp_path / "gone.yml").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.yml")
    (tmp_path / "README.md").write_text("not a network")
    found = {(f.file.name if f.file else "", f.code) for f in networks.check()}
    assert found == {
        ("Big.yml", "wrong-name"), ("empty.yml", "wrong-type"), ("folder.yml", "is-a-directory"),
        ("gone.yml", "dangling-link"), ("latin.yml", "not-utf8"), ("listed.yml", "wrong-type"),
        ("null.yml", "not-text"), ("pipe.yml", "not-a-file"), ("word.yml", "wrong-type"),
    }  # fmt: skip
    assert own_network_names(str(tmp_path)) == networks.own and "README" not in networks.own


def test_an_unknown_network_names_the_nearest_of_all(tmp_path: Path) -> None:
    networks = write(tmp_path, our_head=MINE)
    with pytest.raises(UserFilesError) as caught:
        networks.load("ourhead")
    assert (caught.value.message, caught.value.hint) == (
        '"ourhead" is not a network of the catalog', 'did you mean "our_head"?',
    )  # fmt: skip


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.floats(allow_nan=False), st.text("a{}*?/.-<>=5 \n:", max_size=8),
    st.sampled_from([*NETWORK_KEYS, "model", "deploy", "pyt", "tf1", "train", "<5.5", "{checkpoint}", "{x}", "dssd", "(", "6.0.0"]),
)  # fmt: skip


def replaced(draw: Any, value: Any) -> Any:
    """The value with one part of it replaced by anything, renamed, or taken away."""
    if not isinstance(value, (dict, list)) or not value or draw(st.integers(0, 4)) == 0:
        return draw(
            st.recursive(
                scalars,
                lambda inner: st.lists(inner, max_size=2) | st.dictionaries(scalars, inner, max_size=2),
                max_leaves=4,
            )
        )
    changed = dict(value) if isinstance(value, dict) else list(value)
    key = draw(st.sampled_from(list(changed) if isinstance(changed, dict) else range(len(changed))))
    how = draw(st.integers(0, 5))
    if how == 0:
        del changed[key]
    elif how == 1 and isinstance(changed, dict):
        changed[draw(scalars)] = changed.pop(key)
    else:
        changed[key] = replaced(draw, changed[key])
    return changed


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["dssd", "dino", "mask_rcnn", "tinydet", "video_clip", "annotations"]),
    data=st.data(),
)
def test_no_content_breaks_it(name: str, data: st.DataObject, tmp_path: Path) -> None:
    """Files of ours with something replaced: either there are findings with a place, or every contract can be made."""
    import yaml

    body = yaml.safe_load((DATA / "networks" / f"{name}.yml").read_text(encoding="utf-8"))
    for _ in range(data.draw(st.integers(1, 3))):
        body = replaced(data.draw, body)
    networks = write(tmp_path, changed=yaml.safe_dump(body, allow_unicode=True))
    findings = networks.check()
    for finding in findings:
        assert finding.file is not None and finding.line and finding.message
        assert "\n" not in finding.message
    if not findings:
        network = networks.load("changed")
        for release in network.releases or (None,):
            assert set(network.contracts(release)) | set(network.unknown_actions(release)) == set(
                network.actions(release)
            )
