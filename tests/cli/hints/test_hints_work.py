"""Every hint and next step that names a command of this program is typed, from where the person stands, and works."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_line import Cli, Done
from ngc_server import FakeNgc
from shapes import write_image
from source_datasets import make_source

from taorunner.cli.fast.words import GROUPS, TABLE
from taorunner.console.base.typed_commands import OF_PROJECT, OF_WORKSPACE, Place, as_typed

_NAMES = "|".join({*OF_PROJECT, *OF_WORKSPACE})
_CALL = re.compile(rf'taorunner (?:-p \S+ |--workspace \S+ )*(?:{_NAMES})\b[^\n;"(]*')
_EXPLAINED = re.compile(
    r"(, or |, then |, from |: | (?:says|shows|computes|checks|lists|writes|makes|puts|sets|rotates|gives|leaves|arranges|does)\b).*"
)
DRY = dict.fromkeys(("train", "resume", "evaluate", "export", "convert"), ("--dry-run",))
ACTIONS = ("train", "evaluate", "convert", "run", "export", "inference", "prune", "resume")


def commands_of(done: Done) -> list[str]:
    """The commands in hints and next steps, without what explains them."""
    lines = [
        line
        for line in (done.out + done.err).splitlines()
        if re.match(r"\s*(hint|next|then|and \d+ more|\d+ infos?)\b", line)
    ]
    calls = [call for line in lines for call in re.split(r"(?=taorunner )", line)]
    found = (match[0] for call in calls if (match := _CALL.match(call)))
    return list(dict.fromkeys(_EXPLAINED.sub("", one).strip() for one in found))


def type_all(cli: Cli, done: Done, here: Path, known: set[str] | None = None) -> list[str]:
    """Types each command; an action only with ``--dry-run``. None is refused as a command line.

    ``known`` are those with ``-p`` that were typed in the same workspace, where they mean the same: they are left out.
    """
    typed = commands_of(done)
    known = set() if known is None else known
    new = [line for line in typed if line not in known]
    known.update(line for line in typed if line.startswith("taorunner -p "))
    for line in new:
        words = shlex.split(line)[1:]
        words = [{"WIDTHxHEIGHT": "64x48", "PATTERN": "a"}.get(word, word) for word in words]
        if any(word in ACTIONS for word in words) and "dataset" not in words:
            words.append("--dry-run")
        again = cli(*words, cwd=here)
        assert again.code in (0, 3, 4), (line, again)
    return typed


@pytest.fixture
def cli(cli: Cli) -> Iterator[Cli]:
    """A person whose NGC has nothing: without one each pull tries again for seconds."""
    with FakeNgc({}) as ngc:
        yield Cli(cli.home, ngc.environ)


@pytest.fixture
def workspace(cli: Cli, tmp_path: Path) -> Path:
    """Two projects with two networks, nothing filled in and no data, and a third with data."""
    root = tmp_path / "ws"
    for name, head in (("parts", "rtdetr"), ("yard", "detectnet_v2")):
        made = cli("init-project", name, "--head", head, "--workspace", root, cwd=tmp_path)
        assert made.code == 0, made.err
        assert f"taorunner --workspace ws validate {name}" in commands_of(made)
    make_source("coco", tmp_path / "shots")
    made = cli(
        "init-project",
        "shots",
        "--head",
        "rtdetr",
        "--from-dataset",
        tmp_path / "shots",
        "--no-weights",
        cwd=root,
    )
    assert made.code == 0, made.err
    assert type_all(cli, made, root) == ["taorunner -p shots train rtdetr_01"]
    return root


def test_validate_and_a_start_from_each_place(cli: Cli, workspace: Path, tmp_path: Path) -> None:
    """In the workspace, in a project, in another project, and outside."""
    projects = workspace / "projects"
    spec = projects / "shots/specs/rtdetr_01/train.yaml"
    spec.write_text(spec.read_text().replace("num_classes: ", "num_classes: 9  # "))
    known: set[str] = set()
    for here in (workspace, projects / "yard", projects / "shots"):
        typed = type_all(cli, cli("validate", cwd=here), here, known)
        needs = "" if here.name == "yard" else "-p yard "
        assert any(f"taorunner {needs}specs refresh detectnet_v2" in line for line in typed), (here, typed)
        started = type_all(cli, cli("-p", "yard", "train", "detectnet_v2_resnet18_01", cwd=here), here, known)
        assert f"taorunner {needs}convert detectnet_v2_resnet18_01 --then train" in started
    outside = type_all(cli, cli("--workspace", workspace, "validate", "yard", cwd=tmp_path), tmp_path)
    assert outside
    assert all("--workspace ws " in line for line in outside), outside


def broken(root: Path) -> None:
    """Classes that one subset lacks, an image that is turned, and categories that differ."""
    for subset, categories in (("train", ["bolt", "nut"]), ("val", ["nut", "bolt"])):
        folder = root / subset
        folder.mkdir(parents=True)
        images, boxes = [], []
        for number in range(4):
            write_image(folder / f"{subset}{number}.jpg", 64, 48)
            images.append({"id": number, "file_name": f"{subset}{number}.jpg", "width": 64, "height": 48})
            boxes.append(
                {"id": number, "image_id": number, "category_id": 1, "bbox": [5, 5, 90, 20], "area": 1800}
            )
        names = [{"id": at, "name": name} for at, name in enumerate(categories, 1)]
        text = json.dumps({"images": images, "annotations": boxes, "categories": names})
        (folder / "_annotations.coco.json").write_text(text)


def test_dataset_commands_name_the_dataset_as_it_was_typed(cli: Cli, workspace: Path, tmp_path: Path) -> None:
    project = workspace / "projects/yard"
    broken(project / "data/odd one")
    checked = cli("dataset", "check", "odd one", "-p", "yard", "--deep", cwd=workspace)
    assert checked.code == 3
    typed = type_all(cli, checked, workspace)
    assert "taorunner -p yard dataset convert 'odd one' --to coco" in typed
    for made in (project / "data").glob("odd one_*"):
        shutil.rmtree(made)
    inside = type_all(cli, cli("dataset", "check", "odd one", "--deep", cwd=project), project)
    assert "taorunner dataset convert 'odd one' --to coco" in inside
    for verb in ("split", "stats"):
        assert all("'odd one'" in line for line in commands_of(cli("dataset", verb, "odd one", cwd=project)))
    make_source("folders", tmp_path / "by class")
    refused = cli("dataset", "stats", "by class", cwd=tmp_path)
    assert refused.code == 3
    assert (
        type_all(cli, refused, tmp_path)[-1]
        == "taorunner dataset convert 'by class' -o by_class_new --to classification"
    )


def test_wrong_words_for_projects_experiments_specs_and_weights(cli: Cli, workspace: Path) -> None:
    lines = [
        "add rtdetr_02 -p parts", "add rtdetr_01 --head rtdetr -p parts", "add x --like gone -p parts",
        "init-project parts --head rtdetr", "init-project parts --head rtdetr --from-dataset projects/shots/data/shots",
        "specs show gone -p shots", "specs explain nosuch --head dino", "specs explain train.num_epochs",
        "specs refresh gone -p shots", "specs refresh rtdetr_01 -p parts", "pretrained pull nvidia/tao/gone",
        "pretrained list gone", "dataset check gone -p shots", "validate gone", "train gone -p shots",
        "train rtdetr_01 -p gone", "train rtdetr_01", "evaluate rtdetr_01 -p shots", "doctor --only workspace",
    ]  # fmt: skip
    typed = 0
    for line in lines:
        done = cli(*line.split(), cwd=workspace)
        assert "Traceback" not in done.err
        for command in commands_of(done):
            words = [
                {"HEAD": "rtdetr", "EXPERIMENT": "rtdetr_01", "NAME": "fresh"}.get(w, w)
                for w in shlex.split(command)[1:]
            ]
            again = cli(*words, *(["--dry-run"] if words[0] in ACTIONS else []), cwd=workspace)
            assert again.code in (0, 3, 4), (line, command, again)
            typed += 1
    assert typed >= 3


_BARE = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


def options_out_of_place(words: list[str], done: Done) -> list[str]:
    """The hints of a command that name an option, outside of a whole command, that it does not have."""
    typed = [word for word in words if not word.startswith("-")]
    name = max((key for key in TABLE if typed[: len(key.split())] == key.split()), key=len)
    known = {*TABLE[name].options, "--json"}
    found = []
    for line in (done.out + done.err).splitlines():
        hint = re.match(r"\s*hint: (.*)", line)
        bare = re.sub(r"taorunner .*?(?=$|; |, (?:or|then) )", "", hint[1]) if hint is not None else ""
        found += [line for option in _BARE.findall(bare) if option not in known]
    return found


def test_a_hint_names_no_option_that_its_command_lacks(cli: Cli, workspace: Path) -> None:
    project = workspace / "projects/yard"
    broken(project / "data/shots")
    results = workspace / "projects/shots/models/rtdetr_01"
    (results / "train").mkdir(parents=True)
    (results / "train/model_epoch_011.pth").write_text("weights")
    lines = [
        "validate", "validate shots -v", "dataset check shots -p yard", "dataset split shots -p yard",
        "dataset stats shots -p yard", "dataset convert shots --to coco -p yard", "dataset resize shots -p yard",
        "train rtdetr_01 -p shots", "resume rtdetr_01 -p shots --set train.num_epochs=12", "resume rtdetr_01 -p parts",
        "evaluate rtdetr_01 -p shots --checkpoint best", "export rtdetr_01 -p shots --checkpoint epoch=99",
        "train rtdetr_01 -p shots --checkpoint epoch=99", "resume rtdetr_01 -p shots --release 1.0.0",
        "convert detectnet_v2_resnet18_01 -p yard --checkpoint x", "specs refresh rtdetr_01 -p parts",
        "specs explain train.num_epochs --head rtdetr --release 1", "pretrained pull -p yard", "image ls --release 1",
        "shell --head rtdetr --release 1", "train rtdetr_01 -p shots --gpus 99", "resume rtdetr_01 -p shots --gpus 1,2",
    ]  # fmt: skip
    shown = {line: cli(*line.split(), *DRY.get(line.split()[0], ()), cwd=workspace) for line in lines}
    assert all("Traceback" not in done.err for done in shown.values())
    assert sum("hint: " in done.out + done.err for done in shown.values()) > 12
    wrong = {line: options_out_of_place(line.split(), done) for line, done in shown.items()}
    assert {line: found for line, found in wrong.items() if found} == {}


def test_the_commands_that_mean_a_project_are_those_that_take_one() -> None:
    names = {name.partition(" ")[0] for name in TABLE} | set(GROUPS) | set(TABLE)

    def with_option(option: str) -> set[str]:
        return {
            name
            for name in names
            if any(option in one.options for key, one in TABLE.items() if f"{key} ".startswith(f"{name} "))
        }

    takes_project, takes_workspace = with_option("-p"), with_option("--workspace")
    assert takes_project >= OF_PROJECT
    assert takes_workspace >= OF_WORKSPACE | OF_PROJECT


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("taorunner specs refresh e", "taorunner -p p specs refresh e"),
        ("run taorunner convert e, then taorunner train e", "run taorunner -p p convert e, then taorunner -p p train e"),
        ("taorunner -p q train e", "taorunner -p q train e"),
        ("taorunner runs restore e 2; taorunner runs show e", "taorunner -p p runs restore e 2; taorunner runs show e"),
        ("taorunner -p q runs restore", "taorunner -p q runs restore"),
        ("taorunner runs prune, taorunner runs", "taorunner runs prune, taorunner runs"),
        ("taorunner dataset check d -p q shows it", "taorunner dataset check d -p q shows it"),
        ("taorunner passes the weights", "taorunner passes the weights"),
        ("taorunner networks dino", "taorunner networks dino"),
        ("taorunner pretrained pull -p p", "taorunner pretrained pull -p p"),
    ],
)  # fmt: skip
def test_text_is_changed_only_where_a_project_is_missing(
    text: str, typed: str, workspace_factory: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = workspace_factory("experiments: {}\n")
    for name in ("p", "q"):
        (root / "projects" / name).mkdir()
    monkeypatch.chdir(root)
    assert as_typed(text, Place(root, "p")) == typed
    monkeypatch.chdir(root / "projects/p")
    assert as_typed("taorunner -p p train e; taorunner dataset check d -p p shows it", Place(root, "q")) == (
        "taorunner train e; taorunner dataset check d shows it"
    )
    (root.parent / "elsewhere").mkdir()
    monkeypatch.chdir(root.parent / "elsewhere")
    calls = "taorunner ps; taorunner shell --jupyter; taorunner runs restore e"
    assert as_typed(calls, Place(root, "p")) == (
        f"taorunner --workspace {root} ps; taorunner --workspace {root} shell --jupyter; "
        f"taorunner --workspace {root} -p p runs restore e"
    )
