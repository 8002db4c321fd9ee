"""``tao_pt`` as the README of TAO's PyTorch backend has it: its sample line, as it stands."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli, Done

from taorunner.cli.fast.words import TABLE
from taorunner.cli.tao_pt import shell_words

SAMPLE = r"""
tao_pt --gpus all \
       --volume {data}:/path/to/data/on/container \
       --volume {results}:/path/to/results/in/container \
       --env PYTHONPATH=/tao-pt"""
"""Source: NVIDIA/tao_pytorch_backend README.md. Only the paths on the host are those of a test."""
DIGEST = f"sha256:{'a' * 64}"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A source tree of the backend, with folders for data and results beside it."""
    root = tmp_path / "tao_pytorch_backend"
    (root / "docker").mkdir(parents=True)
    manifest = {"registry": "nvcr.io", "repository": "nvidia/tao/tao-toolkit", "digest": DIGEST}
    (root / "docker/manifest.json").write_text(json.dumps(manifest))
    (root / "seen_inside.py").write_text("print('imported')\n")
    for name in ("data", "results"):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o777)
    return root


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with the program as an installer writes it."""
    script = tmp_path / "programs" / "tao_pt"
    script.parent.mkdir()
    script.write_text(f"#!{sys.executable}\nfrom taorunner.__main__ import tao_pt\n\ntao_pt()\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return script.parent


def typed(cli: Cli, line: str, tree: Path, programs: Path, env: dict[str, str]) -> Done:
    """``line`` in bash, in the source tree."""
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    return cli("-c", line, cwd=tree, env={**env, "PATH": path}, program=["/bin/bash"], timeout_s=180)


def sample(tree: Path) -> str:
    return SAMPLE.format(data=tree.parent / "data", results=tree.parent / "results")


def test_it_is_a_program_of_the_package() -> None:
    text = (Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8")
    assert re.search(r'^tao_pt = "taorunner\.__main__:tao_pt"$', text, re.MULTILINE)


def test_the_sample_line_asks_for_what_tao_pt_asks(
    cli: Cli, tree: Path, programs: Path, fake_nvml: Callable[..., dict[str, str]]
) -> None:
    done = typed(cli, f"{sample(tree)} --dry-run --json", tree, programs, fake_nvml(2))
    assert done.code == 0, done.err
    (request,) = done.json
    assert request["image"] == f"nvcr.io/nvidia/tao/tao-toolkit@{DIGEST}"
    assert request["gpus"] == ["0", "1"]
    mounts = {one["target"]: one["source"] for one in request["mounts"]}
    assert mounts["/tao-pt"] == str(tree)
    assert mounts["/path/to/data/on/container"] == str(tree.parent / "data")
    assert mounts["/path/to/results/in/container"] == str(tree.parent / "results")
    assert "/tao-pt" in request["env"]["PYTHONPATH"].split(":")


def test_the_sample_line_opens_the_container(
    docker_cli: Cli, tree: Path, programs: Path, engine: Any, tao_image: Callable[..., str],
    fake_nvml: Callable[..., dict[str, str]],
) -> None:  # fmt: skip
    engine.docker("tag", tao_image("pyt_7"), "nvcr.io/nvidia/tao/tao-toolkit:of-mine")
    inside = "python3 -c 'import seen_inside'; touch /path/to/results/in/container/made; echo \\$NVIDIA_VISIBLE_DEVICES"
    done = typed(
        docker_cli, f'{sample(tree)} --tag of-mine -- sh -c "{inside}"', tree, programs, fake_nvml(2)
    )
    assert (done.code, done.out.splitlines()[-2:]) == (0, ["imported", "0,1"]), done
    assert (tree.parent / "results/made").exists()


def test_the_words_of_the_shell(tmp_path: Path, tree: Path) -> None:
    def words(line: str, here: Path = tmp_path, gpus: bool = False, **environ: str) -> str:
        return " ".join(shell_words(line.split(), environ, here, lambda: gpus))

    assert words("") == "shell --group pyt"
    assert words("", tree) == f"shell --source {tree}"
    assert words("", NV_TAO_PYTORCH_TOP=str(tree)) == f"shell --source {tree}"
    assert (
        words("--gpus 0 -- python a.py --head x", gpus=True)
        == "shell --group pyt --gpu-indices 0 -- python a.py --head x"
    )
    assert words("--gpus=0,2 -- --gpus 2") == "shell --group pyt --gpu-indices=0,2 -- --gpus 2"
    assert words("--env A=b", gpus=True) == "shell --group pyt --gpus all --env A=b"
    assert words("--image x:1 --mounts_file m.json") == "shell --image x:1 --mounts_file m.json"


def test_outside_of_a_source_tree_it_is_the_image_of_the_default_release(
    cli: Cli, tmp_path: Path, programs: Path
) -> None:
    done = typed(cli, "tao_pt --dry-run --json", tmp_path, programs, {})
    assert (done.code, done.json[0]["image"].partition(":")[0]) == (0, "nvcr.io/nvidia/tao/tao-toolkit"), done


@pytest.mark.parametrize("flag", ["--help", "-h", "--gpus all --help"])
def test_its_page_speaks_of_itself(flag: str, cli: Cli, tmp_path: Path, programs: Path) -> None:
    page = typed(cli, f"tao_pt {flag}", tmp_path, programs, {})
    assert (page.code, page.err) == (0, "")
    assert "Usage: tao_pt [OPTIONS] [-- COMMAND]" in page.out
    assert max(map(len, page.out.splitlines())) <= 80
    known = TABLE["shell"].options
    for named in set(re.findall(r"^  (?:-h, )?(--[a-z_-]+)", page.out, re.MULTILINE)):
        assert named.replace("_", "-") in known, named
    behind = typed(cli, "tao_pt --image x:1 --dry-run --json -- python --help", tmp_path, programs, {})
    assert behind.json[0]["argv"][-2:] == ["python", "--help"]


def test_its_words_are_completed(cli: Cli, tmp_path: Path, programs: Path) -> None:
    script = typed(cli, "tao_pt --show-completion bash", tmp_path, programs, {})
    assert (script.code, "-F _tao_pt_completion tao_pt" in script.out) == (0, True)
    line = {"COMP_WORDS": "tao_pt --vol", "COMP_CWORD": "1", "_TAO_PT_COMPLETE": "complete_bash"}
    assert typed(cli, "tao_pt", tmp_path, programs, line).out == "--volume\n"
