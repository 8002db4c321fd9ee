"""``report``: which runs it takes, where it writes, what it refuses to replace."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from command_line import PROGRAM, Cli
from made_report import everything, trainings, workspace
from made_runs import made_run

FOREIGN = "<!doctype html><title>thesis</title>"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return workspace(tmp_path / "w")


def test_the_project_is_written_to_its_models_folder_and_written_anew(cli: Cli, tmp_path: Path) -> None:
    root = tmp_path / "w"
    everything(root)
    for _ in range(2):
        done = cli("report", cwd=root)
        assert (done.code, done.err) == (0, "")
        assert done.out.startswith("wrote projects/cars/models/report.html: 7 runs, 1 failed, ")
    assert done.out.endswith(" KiB\n")
    checked = cli("validate", cwd=root)
    assert "report.html" not in checked.out + checked.err


def test_words_choose_runs(cli: Cli, root: Path) -> None:
    trainings(root, 3, 3)
    made_run(root / ".taorunner", "dino_00", {"val_mAP50": [0.9]}, number=20)
    done = cli("report", "dino_00@2", "dino_0[12]", "-o", "some.html", cwd=root)
    assert (done.code, done.out.partition(",")[0]) == (0, "wrote some.html: 3 runs")
    text = (root / "some.html").read_text("utf-8")
    assert "0.9000" not in text and "dino_02" in text
    assert not (root / "projects/cars/models/report.html").exists()


def test_a_file_that_is_no_report_is_kept(cli: Cli, root: Path) -> None:
    trainings(root, 1, 2)
    (root / "mine.html").write_text(FOREIGN)
    (root / "link.html").symlink_to("mine.html")
    for name in ("mine.html", "link.html"):
        done = cli("report", "-o", name, cwd=root)
        assert done.code == 2
        assert done.err.splitlines() == [
            f'error: "{name}" exists and is not a report of taorunner',
            "hint: choose another file with -o, or replace it with --overwrite",
        ]
    replaced = cli("report", "-o", "link.html", "--overwrite", cwd=root)
    assert replaced.code == 0, replaced.err
    assert (root / "mine.html").read_text() == FOREIGN
    assert not (root / "link.html").is_symlink()


def test_a_place_that_cannot_be_written_is_named(cli: Cli, root: Path) -> None:
    trainings(root, 1, 2)
    folder = cli("report", "-o", "projects", cwd=root)
    assert (folder.code, folder.err.splitlines()) == (2, [
        'error: "projects" is a folder', "hint: name a file: -o projects/report.html",
    ])  # fmt: skip
    (root / "file").write_text("")
    hint = "hint: write it elsewhere: -o FILE"
    for place, code, message in (
        ("file/report.html", 2, '"file" is not a folder'),
        ("/proc/report.html", 4, '"/proc/report.html" cannot be written: no such file or directory'),
    ):
        done = cli("report", "-o", place, cwd=root)
        assert (done.code, done.err.splitlines()) == (code, [f"error: {message}", hint])


def test_a_folder_that_is_not_there_is_not_made(cli: Cli, root: Path) -> None:
    trainings(root, 1, 2)
    for folder in ("new/folder", "file/below"):
        (root / "file").write_text("")
        done = cli("report", "-o", f"{folder}/report.html", cwd=root)
        assert (done.code, done.out, done.err.splitlines()) == (2, "", [
            f'error: there is no folder "{folder}"',
            f"hint: make it: mkdir -p {folder}; or write the report elsewhere: -o FILE",
        ])  # fmt: skip
        assert not (root / "new").exists()
    (root / "new/folder").mkdir(parents=True)
    assert cli("report", "-o", "new/folder/report.html", cwd=root).code == 0


def test_without_a_training_nothing_is_written(cli: Cli, root: Path) -> None:
    done = cli("report", cwd=root)
    assert (done.code, done.out) == (6, "")
    assert done.err.splitlines()[0] == 'error: no training of project "cars" yet'
    assert not (root / "projects/cars/models/report.html").exists()
    unknown = cli("report", "dino_99", cwd=root)
    assert unknown.code == 6
    assert "dino_99" in unknown.err


def test_runs_of_two_projects_need_a_place(cli: Cli, root: Path) -> None:
    trainings(root, 1, 2)
    (root / "projects/boats").mkdir()
    (root / "projects/boats/experiments.yml").write_text("experiments: {}\n")
    made_run(root / ".taorunner", "yacht", {"val_mAP50": [0.5]}, number=9, project="boats")
    done = cli("report", "dino_00", "yacht", cwd=root)
    assert (done.code, done.err.splitlines()) == (2, [
        "error: these runs are of 2 projects: boats, cars", "hint: say where to write the report: -o FILE",
    ])  # fmt: skip
    assert cli("report", "dino_00", "yacht", "-o", "both.html", cwd=root).code == 0
    assert cli("report", "-p", "boats", cwd=root).out.startswith(
        "wrote projects/boats/models/report.html: 1 run,"
    )


def test_it_is_opened_in_the_browser_of_the_environment(cli: Cli, root: Path, tmp_path: Path) -> None:
    trainings(root, 1, 2)
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {tmp_path}/asked\n')
    browser.chmod(0o755)
    done = cli("report", "--open", cwd=root, env={**os.environ, "BROWSER": str(browser)}, program=PROGRAM)
    assert done.code == 0, done.err
    assert (tmp_path / "asked").read_text() == (root / "projects/cars/models/report.html").as_uri()


def test_help_does_not_import_what_a_report_needs(cli: Cli, root: Path) -> None:
    import subprocess
    import sys

    code = "import sys; from taorunner.cli.app import make_app; make_app(); print([m for m in ('jinja2', 'taorunner.reports', 'webbrowser') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
