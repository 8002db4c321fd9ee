"""One rule for exit codes, for each family of commands: 2 for a name on the command line of nothing that exists, 3 for what
is in the user's files, 4 for this machine, 6 for a run that is not there. A name that is nearly right is suggested."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from command_line import Cli

from taorunner.events import RunState
from taorunner.runs.state.record import RunRecord
from taorunner.runs.state.store import RunStore

NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
AT = datetime(2026, 11, 20, 9, 5, 7, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two projects with what a new project has, which is not filled in yet, and a run in each."""
    root = tmp_path_factory.mktemp("exit-codes") / "w"
    (root / "projects").mkdir(parents=True)
    home = root.parent / "home"
    home.mkdir()
    cli = Cli(home)
    for project in ("parts", "yard"):
        made = cli("init-project", project, "--head", "rtdetr", "--no-weights", "--workspace", root)
        assert made.code == 0, made.err
    store = RunStore(root / ".taorunner")
    for project, ending, state in (
        ("parts", "aaaaa1", RunState.SUCCEEDED),
        ("yard", "aaaaa2", RunState.FAILED),
    ):
        record = RunRecord(
            id=f"20261120-090507-rtdetr_01-train-{ending}", batch="b", project=project, experiment="rtdetr_01",
            action="train", backend="docker", state=RunState.QUEUED, queued_at=AT,
        )  # fmt: skip
        store.paths(record.id).directory.mkdir(parents=True)
        store.append_events(record.id, [record.queued_event()])
        store.save(replace(record, state=state, finished_at=AT, reason="so it ended"))
    return root


USAGE = [
    ("-p yrad train rtdetr_01", 'no project "yrad"', '"yard"'),
    ("-p yard train rtdetr_1", 'no experiment "rtdetr_1"', '"rtdetr_01"'),
    ("-p yard train rtdetr_1 rtdetr_01", 'no experiment "rtdetr_1"', '"rtdetr_01"'),
    ("-p yard resume rtdetr_1", 'no experiment "rtdetr_1"', '"rtdetr_01"'),
    ("-p yard run gen_trt_engin rtdetr_01", 'no action "gen_trt_engin"', '"gen_trt_engine"'),
    ("-p yard train rtdetr_01 --set trian.num_epochs=2", 'no key "trian"', '"train"'),
    ("-p yard train rtdetr_01 --set train.num_epoch=2", 'no key "num_epoch"', "num_epochs"),
    ("-p yard train rtdetr_01 --backend dokcer", 'no backend "dokcer"', '"docker"'),
    ("-p yard train rtdetr_01 --release 7.0.9", 'unknown TAO release "7.0.9"', '"7.0.'),
    ("train rtdetr_01", "no project named, and there are 2: parts, yard", "add -p parts or -p yard"),
    ("-p yard specs show rtdetr_1", 'no experiment "rtdetr_1"', '"rtdetr_01"'),
    ("-p yard specs show rtdetr_01 trian", 'no action "trian"', '"train"'),
    ("-p yard specs diff rtdetr_01 rtdetr_2", 'no experiment "rtdetr_2"', '"rtdetr_01"'),
    ("-p yard specs refresh rtdetr_1", 'no experiment "rtdetr_1"', '"rtdetr_01"'),
    ("specs explain train.num_epoch --head rtdetr", 'no key "train.num_epoch"', "train.num_epochs"),
    ("specs explain train.num_epochs --head rtdtr", '"rtdtr" is not a network', '"rtdetr"'),
    ("-p yard add new --head rtdtr", '"rtdtr" is not a network', '"rtdetr"'),
    ("-p yard add new --like rtdetr_1", 'no experiment "rtdetr_1"', '"rtdetr_01"'),
    ("init-project new --head rtdtr", '"rtdtr" is not a network', '"rtdetr"'),
    ("init-project new --head rtdetr --backbone resnet_5", 'no backbone "resnet_5"', '"resnet_50"'),
    ("networks rtdtr", '"rtdtr" is not a network', '"rtdetr"'),
    ("validate yrad", 'no project "yrad"', '"yard"'),
    ("-p yard dataset check trian", 'no dataset "trian"', '"train"'),
    ("-p yard dataset stats trian", 'no dataset "trian"', '"train"'),
    ("-p yard dataset convert trian --to coco", 'no dataset "trian"', '"train"'),
    ("-p yard dataset split trian", 'no dataset "trian"', '"train"'),
    ("dataset check /nowhere/parts", 'no dataset "/nowhere/parts"', "nowhere"),
    ("dataset check ./projcts", 'no dataset "./projcts"', '"projects"'),
    ("-p yard dataset check train --from coc", '--from cannot be "coc"', '"coco"'),
    ("pretrained pull -p yrad", 'no project "yrad"', '"yard"'),
    ("image pull -p yrad", 'no project "yrad"', '"yard"'),
    ("shell -e rtdetr_1 -p yard -- true", 'no experiment "rtdetr_1"', '"rtdetr_01"'),
    ("shell --head rtdtr -- true", '"rtdtr" is not a network', '"rtdetr"'),
    ("doctor --only engin", 'no check "engin"', '"engine"'),
    ("runs list -p yrad", 'no project "yrad"', '"yard"'),
    ("runs list -e rtdetr_1", 'no experiment "rtdetr_1"', '"rtdetr_01"'),
    ("runs list --action trian", 'no action "trian"', '"train"'),
    ("ps -p yrad", 'no project "yrad"', '"yard"'),
    ("logs rtdetr_01 -p yrad", 'no project "yrad"', '"yard"'),
    ("runs show aaaaa", '"aaaaa" fits 2 runs', "say which"),
    ("runs show a/b/c", '"a/b/c" is not a run id', "taorunner runs list"),
    ("runs prune --older soon", '--older takes a number and s, m, h, d or w, not "soon"', "30d"),
    ("trian rtdetr_01", 'no such command "trian"', "train"),
    ("train --ovewrite rtdetr_01", "no such option: --ovewrite", '"--overwrite"'),
    ("-p yard evaluate rtdetr_01 --checkpoint worst", 'no checkpoint "worst"', "train rtdetr_01"),
    ("-p yard evaluate rtdetr_01 --checkpoint worst --force", 'no checkpoint "worst"', "train rtdetr_01"),
    ("-p yard evaluate rtdetr_01 --checkpoint ../w", '"../w" is a folder', "name a file"),
    ("-p yard export rtdetr_01 --checkpoint /nowhere.pth", 'no file "/nowhere.pth"', "train rtdetr_01"),
    ("-p yard train rtdetr_01 --set train..num_epochs=2", '"train..num_epochs" is not a key', "--set train.num_epochs=5"),
    ("-p yard train rtdetr_01 --set train.num_epochs=[2", "cannot be read", "in single quotes"),
    ("-p yard train rtdetr_01 --set train.num_epochs=x", "--set train.num_epochs takes a whole number", ""),
    ("-p yard train rtdetr_01 --epochs x", '--epochs must be a whole number of at least 1, not "x"', "train --help"),
    ("-p yard train rtdetr_01 --retries 101", '--retries must be a whole number from 0 to 100, not "101"', "train --help"),
    ("-p yard train rtdetr_01 --grace=-1", '--grace must be a number of at least 0, not "-1"', "train --help"),
    ("dataset split train --val x", '--val must be a number, not "x"', "split --help"),
    ("-p yard train rtdetr_01 --nodes 2", "runs on one node, not on 2", "nodes"),
    ("-p yard train rtdetr_01 --backend embedded", "is not an embedded network", "docker or local"),
    ("-p yard train rtdetr_01 --image A:b", '"A:b" is not the name of an image', "lower case"),
    ("-p yard train rtdetr_01 --env CUDA_VISIBLE_DEVICES=9 --gpus 1", "it sees none of them", "--env"),
    ("-p yard train rtdetr_01 -- results_dir=/x", '"results_dir" is set by taorunner', "leave it out"),
    ("shell --image A:b -- true", '"A:b" is not the name of an image', "lower case"),
    ("-p yard specs show rtdetr_01 --set trian=1", 'no key "trian"', '"train"'),
    ("specs show yrad/rtdetr_01", 'no project "yrad"', '"yard"'),
    ("specs show yard/rtdetr_1", 'no experiment "rtdetr_1"', '"rtdetr_01"'),
    ("specs diff yard/rtdetr_01 parts/rtdetr_1", 'no experiment "rtdetr_1"', '"rtdetr_01"'),
    ("specs refresh yrad/rtdetr_01", 'no project "yrad"', '"yard"'),
    ("specs explain train.num_epochs -e yard/rtdetr_1", 'no experiment "rtdetr_1"', '"rtdetr_01"'),
    ("runs restore yard/rtdetr_1", 'no experiment "rtdetr_1"', '"rtdetr_01"'),
    ("-p parts runs restore yard/rtdetr_01", "name different projects", "leave out -p"),
    ("dataset convert train -e yrad/rtdetr_01", 'no project "yrad"', '"yard"'),
    ("shell -e yard/rtdetr_1 -- true", 'no experiment "rtdetr_1"', '"rtdetr_01"'),
    ("add yrad/new --head rtdetr", 'no project "yrad"', '"yard"'),
    ("add yard/new --like yard/rtdetr_1", 'no experiment "rtdetr_1"', '"rtdetr_01"'),
    ("runs list --action train,trian", 'no action "trian"', '"train"'),
    ("runs list --action train,,export", "--action takes names of actions", "--action train,evaluate"),
    ("specs explain train.num_epochs --head tinydet --release 9.9", 'unknown TAO release "9.9"', "5.0.0"),
    ("init-project new --from-launcher ./specs_of_tao", "is not a folder of specs", "name the folder"),
    ("init-project new --from-tao-runner ./tao_runner", "is not a checkout", "name its folder"),
]  # fmt: skip
NO_RUN = [
    f"{command} {run}"
    for command in (
        "logs",
        "attach",
        "stop",
        "runs show",
        "runs rm",
        "runs mark-lost",
        "-p yard train rtdetr_01 --join",
    )
    for run in ("rtdetr_02", "aaaaa3", "yard/rtdetr_02")
]
FILES = [
    "validate", "validate yard", "-p yard train rtdetr_01", "-p yard train rtdetr_01 --dry-run", "-p yard evaluate rtdetr_01",
    "-p yard specs diff rtdetr_01 rtdetr_01", "-p yard dataset check train", "-p yard resume rtdetr_01",
]  # fmt: skip
MACHINE = [
    "image ls", "image pull", "image lock", "image test x:1 -- true", "networks sync x:1",
    "-p yard shell -e rtdetr_01 -- true", "shell --head rtdetr --gpus all -- true",
]  # fmt: skip


@pytest.mark.parametrize(("line", "message", "hint"), USAGE, ids=[line for line, *_ in USAGE])
def test_a_name_that_is_wrong_on_the_command_line(
    cli: Cli, workspace: Path, line: str, message: str, hint: str
) -> None:
    done = cli(*line.split(), cwd=workspace, env=NO_ENGINE)
    assert (done.code, "Traceback" in done.err) == (2, False), done.err
    assert message in done.err
    assert hint in "".join(re.findall(r"hint: .*(?:\n {6}.*)*", done.err))


@pytest.mark.parametrize("line", NO_RUN)
def test_a_run_that_is_not_there(cli: Cli, workspace: Path, line: str) -> None:
    done = cli(*line.split(), cwd=workspace, env=NO_ENGINE)
    assert (done.code, done.out) == (6, ""), done.err
    assert re.search(
        r'no run ".*"(?: in project "yard")?\nhint: did you mean "(?:rtdetr_01|aaaaa[12])"\?', done.err
    )


@pytest.mark.parametrize("line", FILES)
def test_what_is_wrong_in_the_files(cli: Cli, workspace: Path, line: str) -> None:
    first, second = (cli(*line.split(), cwd=workspace, env=NO_ENGINE) for _ in range(2))
    assert (first.code, second.code) == (3, 3), first.err


@pytest.mark.parametrize("line", MACHINE)
def test_an_engine_that_does_not_answer(cli: Cli, workspace: Path, line: str) -> None:
    done = cli(*line.split(), cwd=workspace, env=NO_ENGINE)
    assert (done.code, "Traceback" in done.err) == (4, False), done.err


@pytest.mark.parametrize(("where", "options"), [("w", "-p yard "), ("w/projects/yard", ""), ("", "--workspace w -p yard "),
                                                ("w/projects/parts", "-p yard ")])  # fmt: skip
def test_hints_name_the_project_where_it_is_needed(
    cli: Cli, workspace: Path, where: str, options: str
) -> None:
    """Each command is typed as the hint has it, from the folder of the person, and means the same experiment."""
    here = workspace.parent / where
    asked = ["--workspace", str(workspace), "-p", "yard"]
    command = f"taorunner {options}train rtdetr_01"
    done = cli(*asked, "evaluate", "rtdetr_01", cwd=here, env=NO_ENGINE)
    assert f"hint: {command}\n" in done.err
    typed = cli(*command.split()[1:], "--dry-run", cwd=here, env=NO_ENGINE)
    assert (typed.code, f"hint: taorunner {options}specs refresh rtdetr_01" in typed.err) == (3, True)
    found = cli("validate", "yard", "--workspace", workspace, "--json", cwd=here, env=NO_ENGINE)
    commands = {
        match[0] for row in found.json if row["hint"] and (match := re.match(r"taorunner .* refresh \S+", row["hint"]))
    }  # fmt: skip
    assert commands
    for command in commands:
        assert cli(*command.split()[1:], cwd=here, env=NO_ENGINE).code in (0, 3)
    missing = cli("--workspace", workspace, "logs", "zzzzzz", cwd=here, env=NO_ENGINE)
    hint = re.search(r"hint: (taorunner (?:--workspace \S+ )?runs list) shows the runs", missing.err)
    assert hint is not None and cli(*hint[1].split()[1:], cwd=here).code == 0
