"""Help of every command, what it loads, and completion in real shells."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from command_line import Cli, Done

import taorunner
from taorunner.cli.app import app_for, make_app
from taorunner.cli.fast.completion import complete
from taorunner.cli.fast.words import GROUPS, ROOT_OPTIONS, TABLE
from taorunner.cli.help_pages import COMMAND_GROUPS

HEAVY = ("docker", "rich", "pydantic", "httpx", "numpy", "ruamel", "pynvml", "requests", "asyncio", "google")
COMMANDS = [[], *([*name.split()] for name in TABLE), *([name] for name in GROUPS if name not in TABLE)]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: "-".join(words) or "root")
def test_help_fits_a_narrow_terminal(command: list[str], cli_inside: Callable[..., Done]) -> None:
    done = cli_inside(*command, "--help", env={"COLUMNS": "80"})
    assert (done.code, done.err) == (0, "")
    assert f"\nUsage: taorunner {' '.join(command)}".rstrip() in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    assert "\x1b" not in done.out
    assert not re.search(r"<\w+|\bTEXT\b|\bINTEGER\b", done.out)  # words for values, never types


def test_every_command_is_in_a_group_of_the_first_page(cli: Cli) -> None:
    shown = cli("--help", env={"COLUMNS": "80"}).out
    rows = [row for _, group in COMMAND_GROUPS for row in group]
    listed = [name for names, _ in rows for name in names]
    assert sorted(listed) == sorted({name.partition(" ")[0] for name in TABLE})
    for names, text in rows:
        summary = text or TABLE[names[0]].help if names[0] in TABLE else GROUPS[names[0]]
        assert re.search(rf"{re.escape(', '.join(names))}\s+{re.escape(summary)}\n", shown), names
    for code in ("0 done", "1 a run failed", "2 usage", "3 errors in your files", "4 this machine", "5 refused",
                 "6 no such run", "70 internal", "130 Ctrl-C"):  # fmt: skip
        assert code in shown


@pytest.mark.parametrize("command", [name.split() for name in TABLE], ids=lambda words: "-".join(words))
def test_a_page_has_an_example_and_a_line_per_option(
    command: list[str], cli_inside: Callable[..., Done]
) -> None:
    shown = cli_inside(*command, "--help", env={"COLUMNS": "80"}).out
    examples = re.findall(r"^(?:Example:|  )\s*(taorunner .*)$", shown, re.MULTILINE)
    assert 1 <= len(examples) <= 2
    assert all(re.match(rf"taorunner (-p \w+ )?{command[0]}\b", example) for example in examples)
    for flag in TABLE[" ".join(command)].options:
        if flag.startswith("--"):
            assert len(re.findall(rf"^  (?:-\w, )?{flag}(?: \S+)? +[A-Z]", shown, re.MULTILINE)) == 1, flag


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["top"], 'did you mean "ps"?'),
        (["gen_trt_engine", "dino_01"], "taorunner run gen_trt_engine dino_01"),
        (["trian", "dino_01"], 'did you mean "train"?'),
    ],
)
def test_an_unknown_command_names_the_one_that_is_meant(words: list[str], hint: str, cli: Cli) -> None:
    done = cli(*words)
    assert (done.code, done.out) == (2, "")
    assert done.err == f'error: no such command "{words[0]}"\nhint: {hint}\n'


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_the_version(flag: str, cli: Cli) -> None:
    assert cli(flag).out == f"taorunner {taorunner.__version__}\n"


BROKEN = """
import sys
from taorunner.cli.app import run
from taorunner.cli.commands import doctor

def broken() -> None:
    {}["epochs"]

doctor.register = lambda app: app.command("doctor")(broken)
sys.exit(run(["doctor"]))
"""


def test_an_internal_error_is_three_lines_and_a_file(tmp_path: Path) -> None:
    (tmp_path / ".taorunner").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", BROKEN], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    (file,) = (tmp_path / ".taorunner").iterdir()
    assert (done.returncode, done.stdout) == (70, "")
    assert done.stderr.splitlines() == [
        "internal error: KeyError: 'epochs' [internal]",
        f"  traceback: .taorunner/{file.name}",
        "  runs are not affected; send that file with the bug report",
    ]
    assert "Traceback" in file.read_text()


def loaded_by(script: str, **environment: str) -> set[str]:
    """Which of the heavy packages a fresh interpreter has loaded after ``script``."""
    code = f"{script}\nimport sys, json; print('LOADED', json.dumps(sorted(sys.modules)))"
    base = {key: value for key, value in os.environ.items() if not key.startswith(("_TAORUNNER", "COMP_"))}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**base, **environment}, capture_output=True, text=True, check=True
    )
    names = json.loads(done.stdout.rpartition("LOADED ")[2])
    return {name.partition(".")[0] for name in names} & {*HEAVY, "typer"}


@pytest.mark.parametrize(
    ("words", "loaded"),
    [
        ("'--help'", {"typer"}),
        ("'train', '--help'", {"typer", "pydantic"}),  # Typer itself loads pydantic for each command
        ("'runs', 'list', '--help'", {"typer", "pydantic"}),
    ],
)
def test_help_loads_only_the_parser(words: str, loaded: set[str]) -> None:
    assert loaded_by(f"from taorunner.cli.app import run\nrun([{words}])") <= loaded


@pytest.mark.parametrize("line", ["taorunner ", "taorunner -p a train ", "taorunner init-project x --head "])
def test_completion_loads_nothing(line: str) -> None:
    script = """
import taorunner.__main__, contextlib
with contextlib.suppress(SystemExit):
    taorunner.__main__.main()
"""
    words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split())), "_TAORUNNER_COMPLETE": "complete_bash"}
    assert loaded_by(script, **words) == set()


def command_tree(command: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    for name, inner in getattr(command, "commands", {}).items():
        if getattr(inner, "commands", None) is not None:
            yield from command_tree(inner, f"{path}{name} ")
        else:
            yield f"{path}{name}", inner


def flags_of(command: Any) -> dict[str, bool]:
    """Flag to whether it takes a value, help counted; what the help page does not show is not offered either."""
    options = [one for one in command.params if one.param_type_name == "option" and not one.hidden]
    flags = {flag: not parameter.is_flag for parameter in options for flag in parameter.opts}
    return {**flags, "--help": False}


def test_the_table_of_completion_is_the_app() -> None:
    root: Any = typer.main.get_command(make_app())
    tree = dict(command_tree(root))
    assert set(TABLE) == set(tree)
    for name, command in tree.items():
        known = {flag: bool(kind) for flag, kind in TABLE[name].options.items()}
        assert known == flags_of(command), name
        assert TABLE[name].help == command.help, name
    groups = {name: inner.help for name, inner in root.commands.items() if hasattr(inner, "commands")}
    assert groups == GROUPS
    assert {flag: bool(kind) for flag, kind in ROOT_OPTIONS.items()} == flags_of(root)


def test_a_command_is_built_without_the_others() -> None:
    for name in sorted({words.partition(" ")[0] for words in TABLE}):
        alone: Any = typer.main.get_command(app_for(["--workspace", "w", name]))
        assert list(alone.commands) == [name]


def test_the_table_of_completion_is_up_to_date() -> None:
    script = Path(__file__).parents[3] / "tools" / "completion_words.py"
    assert subprocess.run([sys.executable, str(script), "--check"], check=False).returncode == 0


@pytest.mark.parametrize("flag", ["-h", "--help", "-V", "--version"])
def test_the_first_page_and_the_version_are_those_of_the_app(flag: str, cli: Cli) -> None:
    app_alone = [sys.executable, "-c", f"from taorunner.cli.app import run; run(['{flag}'])"]
    assert cli(flag).out == subprocess.run(app_alone, capture_output=True, text=True, check=True).stdout


def test_the_first_page_is_up_to_date() -> None:
    script = Path(__file__).parents[3] / "tools" / "root_page.py"
    assert subprocess.run([sys.executable, str(script), "--check"], check=False).returncode == 0


@pytest.mark.parametrize(
    ("words", "request_of_shell"),
    [
        (["--help"], {}),
        (["--version"], {}),
        ([], {"_TAORUNNER_COMPLETE": "complete_bash", "COMP_WORDS": "taorunner tr", "COMP_CWORD": "1"}),
    ],
    ids=["help", "version", "completion"],
)
def test_quick_answers_import_neither_typer_nor_typing(
    words: list[str], request_of_shell: dict[str, str], cli: Cli
) -> None:
    done = cli(*words, env=request_of_shell, program=[sys.executable, "-X", "importtime", "-m", "taorunner"])
    imported = {line.rpartition("|")[2].strip() for line in done.err.splitlines()}
    assert "taorunner.cli" in imported or words == ["--version"]
    assert not imported & {"typer", "typing", "dataclasses", "inspect"}


def test_help_reports_a_full_disk() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "taorunner", "--help"], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr.startswith(b"error: no space left")) == (4, True)


@pytest.fixture
def workspace(workspace_factory: Callable[..., Path]) -> Path:
    root = workspace_factory(
        "experiments:\n  cats_01: {head: dino, dataset: d}\n  cats_02: {head: dino, dataset: d}\n  dogs: {head: ssd}\n",
        data={"pets/": "", "parts/": ""},
    )
    (root / "clusters.yml").write_text(
        "clusters:\n  dgx:\n    backend: slurm\n    container: {}\n  lab: {}\n"
    )
    projects = root / "projects"
    (projects / "other").mkdir()
    (projects / "own").mkdir()
    (projects / "own/experiments.yml").write_text(
        "experiments:\n  a:\n    head: our_head  # of this workspace\n  b:\n    extends: a\n"
    )
    weights = projects / "example_01/models/cats_01/train/weights"
    weights.mkdir(parents=True)
    for name in ("epoch_003.pth", "epoch_004.pth", "status.json"):
        (weights / name).touch()
    (root / "networks").mkdir()
    (root / "networks" / "our_head.yml").write_text("actions:\n  train: {}\n  frobnicate:\n    command: x\n")
    runs = root / ".taorunner" / "runs"
    states = {"20260101-000000-cats_01-train-abc123": "SUCCEEDED", "20260102-000000-cats_01-train-def456": "RUNNING",
              "20260102-000000-dogs-deploy.evaluate-0a1b2c": "FAILED"}  # fmt: skip
    for run, state in states.items():
        (runs / run).mkdir(parents=True)
        (runs / run / "record.json").write_text(json.dumps({"id": run, "state": state}, indent=2))
    (root / ".taorunner/open").mkdir()
    (root / ".taorunner/open/batch").write_text(json.dumps(list(states)[1:]))
    return root


CASES: list[tuple[str, set[str]]] = [
    ("taorunner trai", {"train"}),
    ("taorunner run", {"run", "runs"}),
    (
        "taorunner runs ",
        {"best", "compare", "diff", "lineage", "list", "mark-lost", "prune", "restore", "rm", "show"},
    ),
    ("taorunner -p ", {"example_01", "other", "own"}),
    ("taorunner -p example_01 train ", {"cats_01", "cats_02", "dogs"}),
    ("taorunner -p example_01 train cats_01 cat", {"cats_02"}),
    ("taorunner train --project example_01 d", {"dogs"}),
    ("taorunner train -p example_01 --over", {"--overwrite"}),
    ("taorunner -p example_01 train dogs --cluster ", {"dgx", "lab"}),
    (
        "taorunner -p example_01 train dogs --backend ",
        {"docker", "docker-ssh", "local", "embedded", "slurm", "kubernetes"},
    ),
    ("taorunner init-project new --head yolo_v4", {"yolo_v4", "yolo_v4_tiny"}),
    (
        "taorunner init-project new --head rtdetr --backbone fan_",
        {"fan_tiny", "fan_small", "fan_base", "fan_large"},
    ),
    ("taorunner init-project new --head gone --backbone fan_", set()),
    ("taorunner networks dssd", {"dssd"}),
    ("taorunner networks our_", {"our_head"}),
    ("taorunner networks sy", {"sync"}),
    ("taorunner networks --rel", {"--release"}),
    ("taorunner networks show dssd", {"dssd"}),
    ("taorunner networks dssd x", set()),
    ("taorunner specs diff -p example_01 cats_01 cat", {"cats_02"}),
    ("taorunner specs explain x --head yolo_v4_", {"yolo_v4_tiny"}),
    ("taorunner run gen_trt", {"gen_trt_engine"}),
    ("taorunner -p example_01 run kme", set()),  # no network of this project has it
    ("taorunner -p example_01 run quant", {"quantize"}),
    ("taorunner -p example_01 run quantize ", {"cats_01", "cats_02"}),
    ("taorunner -p own run fr", {"frobnicate"}),
    ("taorunner -p own run frobnicate ", {"a", "b"}),
    ("taorunner -p example_01 specs show dogs prun", {"prune"}),
    ("taorunner logs 20260101", {"20260101-000000-cats_01-train-abc123"}),
    ("taorunner runs show 20260101", {"20260101-000000-cats_01-train-abc123"}),
    ("taorunner logs ab", {"abc123"}),
    ("taorunner stop ", {"20260102-000000-cats_01-train-def456"}),
    ("taorunner attach d", {"def456"}),
    ("taorunner attach c", {"cats_01"}),
    ("taorunner stop abc", set()),
    ("taorunner train cats_01 --join 2026", {"20260102-000000-cats_01-train-def456"}),
    ("taorunner -p example_01 train cats_01 --release 7.0", {"7.0.0", "7.0.1"}),
    ("taorunner init-project x --head ssd --release 5.0", {"5.0.0"}),
    ("taorunner -p example_01 train cats_01 --set train.num_e", {"train.num_epochs"}),
    ("taorunner -p example_01 train dogs --set training_config.num_e", {"training_config.num_epochs"}),
    ("taorunner specs explain --head dino model.num_q", {"model.num_queries"}),
    (
        "taorunner -p example_01 evaluate cats_01 --checkpoint ",
        {"best", "latest", "epoch_003.pth", "epoch_004.pth"},
    ),
    ("taorunner -p example_01 evaluate dogs --checkpoint zz", set()),
    ("taorunner -p example_01 add x --like cats_01 --backbone fan_t", {"fan_tiny"}),
    ("taorunner -p example_01 dataset check p", {"parts", "pets"}),
    ("taorunner -p example_01 add x --head ssd --dataset pe", {"pets"}),
    ("taorunner dataset convert x --from coc", {"coco", "coco-text"}),
    ("taorunner dataset convert x --to ocr", {"ocrnet"}),
    (
        "taorunner pretrained pull nvidia/tao/pretrained_semantic_seg",
        {"nvidia/tao/pretrained_semantic_segmentation:resnet18"},
    ),
    ("taorunner pretrained list rtd", {"rtdetr"}),
    ("taorunner validate o", {"other", "own"}),
    ("taorunner train nosuchthing_", set()),
    ("taorunner frobnicate x", set()),
]
"""Asked of real shells, each of which starts the program for each case."""

MORE_CASES: list[tuple[str, set[str]]] = [
    ("taorunner train own/", {"own/a", "own/b"}),
    ("taorunner -p example_01 train example_01/do", {"example_01/dogs"}),
    ("taorunner train own", {"own/a", "own/b"}),  # no project is meant yet
    ("taorunner runs restore example_01/c", {"example_01/cats_01", "example_01/cats_02"}),
    ("taorunner specs show example_01/dogs prun", {"prune"}),
    ("taorunner train example_01/cats_01 --set train.num_e", {"train.num_epochs"}),
    ("taorunner evaluate example_01/cats_01 --checkpoint epoch_003", {"epoch_003.pth"}),
    ("taorunner run frobnicate own/", {"own/a", "own/b"}),
    ("taorunner runs list -e own/", {"own/a", "own/b"}),
    ("taorunner runs list --state fa", {"failed"}),
    ("taorunner runs list --state failed,lo", {"failed,lost"}),
    ("taorunner runs list --action train,eval", {"train,evaluate"}),
    ("taorunner -p example_01 train dogs --then evaluate,exp", {"evaluate,export"}),
    ("taorunner -p example_01 train dogs --then evaluate,eval", set()),
    ("taorunner train dogs --gpus a", {"all"}),
    ("taorunner train dogs --gpu-indices ", {"auto"}),
    ("taorunner train dogs --keep-checkpoints bes", {"best:1", "best:3"}),
    ("taorunner runs mark-lost 2026", {"20260102-000000-cats_01-train-def456"}),
    ("taorunner logs do", {"dogs"}),
    ("taorunner runs show cats", {"cats_01"}),
    ("taorunner schema --of log", {"log-lines"}),
    ("taorunner doctor --only dri", {"driver"}),
    ("taorunner shell --group py", {"pyt"}),
    ("taorunner image test x:1 --network h", {"host"}),
]


@pytest.mark.parametrize(("line", "expected"), MORE_CASES, ids=[line for line, _ in MORE_CASES])
def test_every_kind_of_word_is_completed(
    line: str, expected: set[str], workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace)
    *args, incomplete = line.split(" ")[1:]
    assert {word for word, _ in complete(args, incomplete, {})} == expected


def ask(shell: str, workspace: Path, script: str, home: Path) -> Done:
    program = shutil.which(shell)
    if program is None:
        if shell == "bash":
            pytest.fail("bash is not installed")
        pytest.skip(f"{shell} is not installed")
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(home),
        "TERM": "dumb",
        "LANG": "C.UTF-8",
    }
    flags = {"bash": ["--norc", "--noprofile"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    done = subprocess.run(
        [program, *flags, "-c", script],
        cwd=workspace,
        env=environment,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


def shell_script(shell: str, program: str = "taorunner") -> str:
    """What ``taorunner --show-completion SHELL`` prints."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / program), "--show-completion", shell],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


def test_show_completion_prints_the_script_of_the_running_shell(cli: Cli, tmp_path: Path) -> None:
    for shell in ("bash", "zsh", "fish"):
        program = shutil.which(shell)
        if program is None:
            continue
        done = cli("-c", f"{sys.executable} -m taorunner --show-completion; true", program=[program])
        assert done.out == shell_script(shell), (shell, done)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell", "pwsh"])
@pytest.mark.parametrize("program", ["taorunner", "tao-runner"])
def test_a_shell_that_is_named_is_the_one(program: str, shell: str) -> None:
    """Whatever shell runs this."""
    script = shell_script(shell, program)
    assert f"_{program.replace('-', '_').upper()}_COMPLETE" in script
    marks = {
        "bash": "complete -o default",
        "zsh": "#compdef",
        "fish": "complete --command",
        "powershell": "Register-",
    }
    assert marks["powershell" if shell == "pwsh" else shell] in script
    assert re.search(rf"(-F \S+|#compdef|--command|-CommandName) {program}\b", script)


def test_a_shell_that_is_not_known_is_refused(cli: Cli) -> None:
    done = cli("--show-completion", "fsh")
    assert (done.code, done.err) == (
        2, 'error: there is no completion for "fsh"\nhint: did you mean "fish"?\n'
    )  # fmt: skip
    done = cli("--install-completion=tcsh")
    assert (done.code, done.out) == (2, "")


def test_install_completion_writes_the_script_of_the_named_shell(cli: Cli) -> None:
    done = cli("--install-completion", "fish")
    file = cli.home / ".config/fish/completions/taorunner.fish"
    assert (done.code, done.out) == (0, f"fish completes taorunner from now on, in new terminals: {file}\n")
    assert "_TAORUNNER_COMPLETE" in file.read_text()


def test_bash_completes(workspace: Path, tmp_path: Path) -> None:
    lines = [shell_script("bash")]
    for line, _ in CASES:
        words = line.split(" ")
        lines.append(f"COMP_WORDS=({' '.join(words[:-1])} '{words[-1]}'); COMP_CWORD={len(words) - 1}")
        lines.append('COMPREPLY=(); _taorunner_completion taorunner; echo "> ${COMPREPLY[*]}"')
    done = ask("bash", workspace, "\n".join(lines), tmp_path)
    assert done.err == ""
    answers = [set(line[2:].split()) for line in done.out.splitlines() if line.startswith(">")]
    assert dict(zip([line for line, _ in CASES], answers, strict=True)) == dict(CASES)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("taorunner train --project = ex", {"example_01"}),
        ("taorunner train --project =", {"example_01", "other", "own"}),
        ("taorunner pretrained pull nvidia/tao/pretrained_detectnet_v2 : resnet1", {"resnet18"}),
        ("tao-runner -p example_01 train do", {"dogs"}),
    ],
)
def test_bash_completes_what_it_breaks_apart(
    line: str, words: set[str], workspace: Path, tmp_path: Path
) -> None:
    """``=`` and ``:`` are words of their own for bash; ``tao-runner`` has a script of its own."""
    typed = line.split(" ")
    function = f"_{typed[0].replace('-', '_')}_completion"
    script = [shell_script("bash", typed[0]), f"COMP_WORDS=({' '.join(typed)}); COMP_CWORD={len(typed) - 1}"]
    script.append(f'COMPREPLY=(); {function} {typed[0]}; echo "${{COMPREPLY[*]}}"')
    done = ask("bash", workspace, "\n".join(script), tmp_path)
    assert (set(done.out.split()), done.err) == (words, "")


def test_fish_completes(workspace: Path, tmp_path: Path) -> None:
    lines = [shell_script("fish")]
    for line, _ in CASES:
        lines.append(f"set words (complete --do-complete '{line}' | string split -f1 \\t); echo \"> $words\"")
    done = ask("fish", workspace, "\n".join(lines), tmp_path)
    assert done.err == ""
    answers = [set(line[2:].split()) for line in done.out.splitlines() if line.startswith(">")]
    found = dict(zip([line for line, _ in CASES], answers, strict=True))
    for line, words in CASES:
        assert found[line] == words, line


ZPTY = r"""
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z 'PROMPT=; PS2=; unsetopt zle_bracketed_paste 2>/dev/null; bindkey -e; stty -echo'
zpty -w z 'autoload -Uz compinit && compinit -u -D; zstyle ":completion:*" verbose no; LISTMAX=1000'
zpty -w z "source $SCRIPT"
zpty -w z "bindkey '^I' complete-word; echo READY"
for i in {1..100}; do zpty -r -t z out 2>/dev/null && [[ $out == *READY* ]] && break; sleep 0.05; done
zpty -n -w z "$LINE"$'\t'
text=
for i in {1..100}; do
  zpty -r -t z out 2>/dev/null && text+=$out
  [[ $text == *$EXPECTED* ]] && break
  sleep 0.05
done
print -r -- "$text"
"""


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("taorunner tra", "train"),
        ("taorunner -p example_01 train dog", "dogs"),
        ("taorunner -p example_01 train ca", "cats_0"),
    ],
)
def test_zsh_completes(line: str, expected: str, workspace: Path, tmp_path: Path) -> None:
    script = tmp_path / "_taorunner.zsh"
    script.write_text(shell_script("zsh"))
    done = ask("zsh", workspace, f"SCRIPT={script}; LINE='{line}'; EXPECTED={expected}\n{ZPTY}", tmp_path)
    assert expected in done.out, done


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_a_key_press_never_shows_an_error(shell: str, cli: Cli, tmp_path: Path) -> None:
    broken = tmp_path / "ws" / "projects" / "p"
    broken.mkdir(parents=True)
    (broken / "experiments.yml").write_bytes(b"\xff\xfe experiments: [\n")
    for line in (
        "taorunner -p p train ",
        'taorunner -p "p train ',
        "taorunner -p ../.. train ",
        "taorunner \0",
        "",
    ):
        words = line.replace("\0", "?")
        environment = {
            "_TAORUNNER_COMPLETE": f"complete_{shell}",
            "COMP_WORDS": words,
            "COMP_CWORD": "99",
            "_TYPER_COMPLETE_ARGS": words,
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        }
        done = cli(cwd=tmp_path / "ws", env=environment)
        assert (done.code, done.err) == (0, ""), line
    gone = cli(cwd=tmp_path, env={"_TAORUNNER_COMPLETE": f"complete_{shell}", "COMP_CWORD": "x"})
    assert (gone.code, gone.err) == (0, "")


@pytest.mark.parametrize(
    "program",
    [
        [sys.executable, "-m", "taorunner"],
        [sys.executable, "-m", "tao-runner"],
        [str(Path(sys.executable).parent / "taorunner")],
        [str(Path(sys.executable).parent / "tao-runner")],
    ],
    ids=lambda words: " ".join(words[1:]) or Path(words[0]).name,
)
def test_every_name_of_the_program_works(program: list[str], cli: Cli) -> None:
    done = cli("--version", program=program)
    assert (done.code, done.err) == (0, "")
    assert re.fullmatch(r"taorunner \d+\.\d+\.\d+\S*\n", done.out)
    assert cli("train", program=program).code == 2
