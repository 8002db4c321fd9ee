"""What people type who know another program: each suggestion is typed in its turn, and works."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Cli, Done

from taorunner.cli.suggestions import OTHER_COMMANDS, OTHER_WORDS


@pytest.fixture
def workspace(workspace_factory: Callable[..., Path]) -> Path:
    """Two projects, so that ``-p`` is needed."""
    root = workspace_factory(
        "experiments:\n  small: {head: tinydet, dataset: d}\n  cars: {head: rtdetr, dataset: d}\n",
        data={"d/": ""},
    )
    (root / "projects/other").mkdir()
    (root / "projects/other/experiments.yml").write_text(
        "experiments:\n  yard: {head: detectnet_v2, dataset: d}\n"
    )
    return root


def hint_of(done: Done) -> str:
    assert (done.code, done.out) == (2, ""), done
    return done.err.splitlines()[-1].removeprefix("hint: ")


def command_of(hint: str) -> list[str]:
    """The words to type: the quoted name, or the line up to its explanation."""
    meant = re.fullmatch(r'did you mean "(.*)"\?', hint)
    line = f"taorunner {meant[1]}" if meant else hint.partition(";")[0].partition(" for ")[0]
    return shlex.split(line.partition(" checks ")[0].partition(" lists its")[0])


EXPERIMENT = "; spec, results and key come from the experiment"
SAID_HERE: list[tuple[str, str]] = [
    ("help", "taorunner --help"),
    ("help train", "taorunner train --help"),
    ("help runs show", "taorunner runs show --help"),
    ("help runs", "taorunner runs --help"),
    ("help train rtdetr_01", "taorunner train --help"),
    ("help top", 'did you mean "ps"?'),
    ("help setup_venv.sh", OTHER_COMMANDS["setup_venv"]),
    ("login", OTHER_COMMANDS["login"]),
    ("top", 'did you mean "ps"?'),
    ("status", 'did you mean "ps"?'),
    ("list", 'did you mean "runs list"?'),
    ("exec", 'did you mean "shell"?'),
    (
        "detectnet_v2 train -e spec.txt -r /out -k key --gpus 2 --gpu_index 0 1",
        f"taorunner -p other train yard --gpu-indices 0,1{EXPERIMENT}",
    ),
    ("detectnet_v2 dataset_convert -d spec.txt -o out", f"taorunner -p other convert yard{EXPERIMENT}"),
    (
        "tao model detectnet_v2 evaluate -e spec.txt -m /m/a.hdf5",
        f"taorunner -p other evaluate yard --checkpoint /m/a.hdf5{EXPERIMENT}",
    ),
    (
        "rtdetr train -e s.yaml train.num_epochs=3",
        f"taorunner -p example_01 train cars --set train.num_epochs=3{EXPERIMENT}",
    ),
    ("tao deploy rtdetr gen_trt_engine -e s", f"taorunner -p example_01 run gen_trt_engine cars{EXPERIMENT}"),
    ("deploy rtdetr evaluate", "taorunner -p example_01 run deploy.evaluate cars"),
    ("rtdetr trian", "taorunner -p example_01 train cars"),
    ("rtdetr", "taorunner networks rtdetr"),
    ("rtdetr frobnicate", "taorunner networks rtdetr lists its actions"),
    ("frcnn train -e gone.txt", "taorunner init-project my_project --head faster_rcnn"),
    ("dino train -e old/train.yaml", "taorunner init-project my_project --from-launcher old"),
    ("dataset annotations convert -e s.yaml", "taorunner init-project my_project --head annotations"),
    ("gen_trt_engine cars", "taorunner -p example_01 run gen_trt_engine cars"),
    ("-p example_01 gen_trt_engine cars --plain", "taorunner -p example_01 run gen_trt_engine cars --plain"),
    ("gen_trt_engine -e s.yaml", f"taorunner -p example_01 run gen_trt_engine cars{EXPERIMENT}"),
    ("train cars --gpu_index 1", "taorunner -p example_01 train cars --gpu-indices 1"),
    ("train -e s.yaml -r /out", f"taorunner -p example_01 train small{EXPERIMENT}"),
    ("evaluate cars -m /m/a.pth", "taorunner -p example_01 evaluate cars --checkpoint /m/a.pth"),
    ("run gen_trt_engine cars -k key", f"taorunner -p example_01 run gen_trt_engine cars{EXPERIMENT}"),
    ("train cars --use_amp --mine 3", "taorunner -p example_01 train cars -- --use_amp --mine 3"),
    ("setup_venv.sh", OTHER_COMMANDS["setup_venv"]),
    ("scripts/download_pretrained_models.py", "taorunner pretrained pull"),
    ("convert_dataset.sh small", "taorunner dataset convert --help"),
    ("convert_dataset.sh", "taorunner dataset convert --help"),
    ("split full --val 0.1", 'did you mean "dataset split"?'),
    ("start_jupyter.sh", "taorunner shell --jupyter"),
    ("tlt-train", 'did you mean "train"?'),
    ("version", "taorunner --version"),
    ("ls", 'did you mean "runs list"?'),
    ("cars", "taorunner -p example_01 train cars"),
    ("cras", "taorunner --help"),
    ("dataset_convert yard", "taorunner -p other convert yard"),
    ("fit cars --epochs 3", "taorunner -p example_01 train cars --epochs 3"),
    ("runs list cars", "taorunner runs list --experiment cars"),
    ("ps cars", "taorunner runs list --experiment cars"),
    ("--all stop", "taorunner stop --all"),
    ("--nonsense ps", "taorunner --help"),
    ("quickstart help", "taorunner quickstart --help"),
    ("run cars train", "taorunner -p example_01 run train cars"),
    ("-p example_01 run cars export", "taorunner -p example_01 run export cars"),
    ("dataset list", "taorunner dataset --help"),
    ("validate -q", "taorunner -q validate"),
    ("-p other validate other --quiet", "taorunner --quiet -p other validate other"),
    ("schema --of", "taorunner schema --help"),
]
EXPLAINED: list[tuple[str, str]] = [
    ("-p example_01 train --experiment small", "taorunner -p example_01 train small"),
    ("train --name=small", "taorunner train small"),
    ("train small --gpu 0", "--gpu-indices IDS names GPUs, --gpus N takes N that are free"),
    ("train small --device=cuda:0", "--gpu-indices IDS names GPUs, --gpus N takes N that are free"),
    ("-p example_01 train small,cars", "names stand apart: taorunner train small cars"),
    ("track sync --to comet", "known: mlflow, wandb"),
    ("--state failed runs list", "write --state behind the command: taorunner runs list --state VALUE"),
    ("evaluate small --ckpt last", 'did you mean "--checkpoint"?'),
    ("dataset convert d --format coco", 'did you mean "--to"?'),
    ("init-project x --network dino", 'did you mean "--head"?'),
    ("ps -f status=running", "taorunner runs list --state running"),
    ("runs list --filter a", "--state, --experiment, --action and --since choose runs"),
    ("runs list --status failed", 'did you mean "--state"?'),
    ("runs list --state error", 'did you mean "failed"?'),
    ("runs delete x", 'did you mean "rm"?'),
    ("image list", 'did you mean "ls"?'),
    ("logs -f", "taorunner ps lists the runs that have not ended, taorunner runs list all"),
    ("-version", 'did you mean "--version"?'),
    ("train -help", 'did you mean "--help"?'),
    ("train --hlep", 'did you mean "--help"?'),
    ("train small -epochs 5", 'did you mean "--epochs"?'),
    ("train small -vv", "taorunner -vv train small"),
    ("ps aux", "taorunner ps --help"),
    ("run cars", "taorunner -p example_01 run ACTION cars"),
    ("validate cars", '"cars" is an experiment of "example_01": taorunner validate example_01'),
    ("validate .", "taorunner validate checks all projects"),
    (
        "validate projects/other/experiments.yml",
        '"projects/other/experiments.yml" is in "other": taorunner validate other',
    ),
    ("train cars train.num_epochs=3", "--set train.num_epochs=3 sets a key of the spec"),
    ("train projects/example_01/specs/cars/train.yaml", 'did you mean "example_01/cars"?'),
    ("train specs/cars/train.yaml", 'did you mean "cars"?'),
    ("train cars", 'add -p example_01, which has "cars"'),
    ("train cars small", 'add -p example_01, which has "cars"'),
    ("train cars yard", "name one with -p PROJECT"),
    ("specs show yard", 'add -p other, which has "yard"'),
    ("specs explain train.num_epochs -e yard", 'add -p other, which has "yard"'),
    ("specs explain train.num_epochs", "taorunner specs explain train.num_epochs --head HEAD"),
    (
        "-p example_01 specs explain train.num_epochs",
        "taorunner -p example_01 specs explain train.num_epochs -e small",
    ),
    ("dataset check d", 'add -p example_01, which has "d"'),
    (
        "dataset check nothing",
        "give the path of a folder or an archive, or the name of a dataset with -p PROJECT",
    ),
]
"""Hints that are more than a command to type."""


@pytest.mark.parametrize(("typed", "hint"), EXPLAINED, ids=lambda text: text[:40])
def test_what_is_meant_is_explained(
    typed: str, hint: str, workspace: Path, cli_inside: Callable[..., Done]
) -> None:
    assert hint_of(cli_inside(*typed.split(), cwd=workspace)) == hint


def test_an_option_is_named_as_it_was_typed(cli: Cli) -> None:
    said = [cli(*line.split()).err.splitlines()[0] for line in ("-version", "train x -epochs 5", "ps aux")]
    assert said == [
        "error: no such option: -version",
        "error: no such option: -epochs",
        'error: unexpected argument "aux"',
    ]


@pytest.mark.parametrize("group", ["networks", "clusters"])
def test_list_lists(cli: Cli, group: str, workspace: Path) -> None:
    assert cli(group, "list", cwd=workspace) == cli(group, cwd=workspace)


@pytest.mark.parametrize(("typed", "hint"), SAID_HERE, ids=lambda text: text[:40])
def test_what_people_try_is_said_in_the_words_of_this_program(
    typed: str, hint: str, workspace: Path, cli_inside: Callable[..., Done]
) -> None:
    (workspace / "old").mkdir()
    (workspace / "old/train.yaml").write_text("train: {num_epochs: 3}\nmodel: {backbone: resnet_50}\n")
    assert hint_of(cli_inside(*typed.split(), cwd=workspace)) == hint
    program, *words = command_of(hint)
    if program == "taorunner":
        assert_is_understood(cli_inside, workspace, words)
    else:
        assert program in ("docker", "pip")


ACTIONS = ("train", "evaluate", "convert", "run")


def assert_is_understood(cli_inside: Callable[..., Done], workspace: Path, words: list[str]) -> None:
    """Not refused as a command line: command, options, project and experiment exist. Without the names that a command
    needs, it asks for them."""
    at = next((at for at, word in enumerate(words) if word in ACTIONS and "--help" not in words), None)
    is_whole = at is not None and len(words) > at + 1
    if is_whole:
        words = [*words[: (at or 0) + 1], "--dry-run", *words[(at or 0) + 1 :]]
    done = cli_inside(*words, cwd=workspace)
    asked = re.search(
        r"^error: (missing argument|no model|no project named|no image given)", done.err, re.MULTILINE
    )
    is_absent = (
        "[unknown-checkpoint]" in done.err
    )  # the file that was typed is not there: the words are right
    assert done.code in (0, 3, 4) or (done.code == 2 and (is_absent or (asked and not is_whole))), (
        words,
        done,
    )


def test_the_options_of_docker_are_known_to_the_shell(cli: Cli) -> None:
    assert hint_of(cli("shell", "-v", "/a:/b")) == 'did you mean "--volume"?'
    assert hint_of(cli("shell", "-it")).startswith("leave it out: ")


@pytest.mark.parametrize("line", sorted({*OTHER_WORDS.values()}))
def test_every_command_that_is_suggested_exists(line: str, cli_inside: Callable[..., Done]) -> None:
    words = line.split()
    assert cli_inside(*(words[:1] if words[0] == "run" else words), "--help").code == 0


def test_no_word_of_the_tables_is_a_command_here() -> None:
    from taorunner.cli.fast.words import GROUPS, TABLE

    commands = {*(name.partition(" ")[0] for name in TABLE), *GROUPS}
    assert not {*OTHER_WORDS, *OTHER_COMMANDS} & commands


def test_the_way_out_of_nothing(cli: Cli, tmp_path: Path) -> None:
    """Outside of a workspace the first line makes one, and then the second names its experiment."""
    first = hint_of(cli("rtdetr", "train", "-e", "spec.yaml", cwd=tmp_path))
    assert first == "taorunner init-project my_project --head rtdetr"
    assert cli(*first.split()[1:], cwd=tmp_path).code == 0
    again = hint_of(cli("rtdetr", "train", "-e", "spec.yaml", cwd=tmp_path))
    assert again.startswith("taorunner train rtdetr_")
    assert cli(*again.partition(";")[0].split()[1:], "--dry-run", cwd=tmp_path).code == 3  # no data yet
