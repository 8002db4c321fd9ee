from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from taorunner.container_options import Mount
from taorunner.errors import Finding, Severity, UserFilesError
from taorunner.project.mounts import DockerOptions, MountEntry, Mounts, default_mounts, load_mounts
from taorunner.project.mounts_file import read_mounts_file
from taorunner.project.workspace import Workspace

Row = tuple[int | None, int | None, str, str, str | None]
Check = Callable[[str], list[Row]]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    home = tmp_path / "home"
    home.mkdir()
    return {"HOME": str(home)}


@pytest.fixture
def findings_of(workspace: Workspace, environ: dict[str, str]) -> Check:
    """Writes the workspace's file and gives its findings."""

    def check(text: str) -> list[Row]:
        workspace.mounts_file.write_text(text)
        found = load_mounts(workspace, environ).findings
        assert {one.file for one in found} <= {workspace.mounts_file}
        return [(one.line, one.column, one.code, one.message, one.hint) for one in found]

    return check


def mounting(*entries: tuple[Path, str], **more: Any) -> str:
    return json.dumps(
        {"Mounts": [{"source": str(source), "destination": inside} for source, inside in entries], **more}
    )


# where they come from


def test_default_mounts_know_projects_by_two_names(workspace: Workspace, environ: dict[str, str]) -> None:
    workspace.repositories_dir.mkdir()
    mounts = load_mounts(workspace, environ)
    assert mounts == Mounts(
        (
            MountEntry(workspace.projects_dir, "/workspace/projects"),
            MountEntry(workspace.projects_dir, "/workspace/experiments"),
            MountEntry(workspace.repositories_dir, "/workspace/repositories"),
        )
    )
    assert (mounts.file, mounts.findings, mounts.options) == (None, (), DockerOptions())


def test_missing_repositories_are_not_mounted_but_have_a_name_inside(workspace: Workspace) -> None:
    mounts = default_mounts(workspace)
    assert [entry.destination for entry in mounts.entries] == [
        "/workspace/projects",
        "/workspace/experiments",
    ]
    assert mounts.absent == (MountEntry(workspace.repositories_dir, "/workspace/repositories"),)
    assert mounts.to_inside(workspace.repositories_dir / "x") == "/workspace/repositories/x"


def test_a_volume_takes_the_place_of_missing_repositories(workspace: Workspace, tmp_path: Path) -> None:
    place = "/workspace/repositories"
    given = (Mount(tmp_path / "mine", place), Mount(tmp_path / "other", place))
    mounts = default_mounts(workspace).with_volumes(given)
    first = MountEntry(tmp_path / "mine", place)
    assert (mounts.entries[-1], mounts.volumes, mounts.absent) == (first, (first,), ())
    assert mounts.to_inside(tmp_path / "mine/x") == f"{place}/x"
    assert mounts.to_host(f"{place}/x") == tmp_path / "mine/x"
    with pytest.raises(UserFilesError):
        mounts.to_inside(workspace.repositories_dir / "x")


def test_file_of_the_workspace_then_the_launchers_variable_then_home(
    workspace: Workspace, environ: dict[str, str], tmp_path: Path
) -> None:
    places = [Path(environ["HOME"]) / ".tao_mounts.json", tmp_path / "launcher.json", workspace.mounts_file]
    found = []
    for number, place in enumerate(places):
        place.write_text(mounting((tmp_path, f"/from{number}")))
        if number == 1:
            environ["LAUNCHER_MOUNTS"] = str(place)
        mounts = load_mounts(workspace, environ)
        found.append((mounts.file, mounts.entries[0].destination))
    assert found == [(places[0], "/from0"), (places[1], "/from1"), (places[2], "/from2")]


def test_launchers_variable_may_start_with_home(
    workspace: Workspace, environ: dict[str, str], tmp_path: Path
) -> None:
    (Path(environ["HOME"]) / "m.json").write_text(mounting((tmp_path, "/x")))
    assert load_mounts(workspace, {**environ, "LAUNCHER_MOUNTS": "~/m.json"}).entries == (
        MountEntry(tmp_path, "/x"),
    )


def test_launchers_variable_with_a_missing_file_is_reported(
    workspace: Workspace, environ: dict[str, str]
) -> None:
    mounts = load_mounts(workspace, {**environ, "LAUNCHER_MOUNTS": "/no/such/file"})
    assert [(one.code, one.message) for one in mounts.findings] == [
        ("missing-file", 'LAUNCHER_MOUNTS names "/no/such/file", which does not exist')
    ]


def test_everything_the_launcher_allows_is_read(
    workspace: Workspace, environ: dict[str, str], tmp_path: Path
) -> None:
    workspace.mounts_file.write_text(
        mounting(
            (tmp_path, "/workspace/a"),
            (tmp_path, "/workspace/b"),
            Envs=[{"variable": "A", "value": "s3cret"}, {"variable": "B", "value": 1}],
            DockerOptions={
                "user": "1000:1000", "ports": {"8888": 8889, "6006/tcp": "6007"}, "shm_size": "16G",
                "ulimits": {"memlock": -1, "stack": 67108864}, "privileged": True, "network": "host", "tty": False,
            },
        )
    )  # fmt: skip
    mounts = load_mounts(workspace, environ)
    assert mounts == Mounts(
        (MountEntry(tmp_path, "/workspace/a"), MountEntry(tmp_path, "/workspace/b")),
        {"A": "s3cret", "B": "1"},
        DockerOptions(
            user="1000:1000",
            ports={8888: 8889, 6006: 6007},
            shm_bytes=16 * 1024**3,
            ulimits={"memlock": -1, "stack": 67108864},
            privileged=True,
            network="host",
            tty=False,
        ),
        (
            Finding(
                Severity.WARNING,
                "privileged",
                "a privileged container has all rights of root on this machine",
                "remove it: training does not need it",
                workspace.mounts_file,
                1,
                workspace.mounts_file.read_text().index("true") + 1,
            ),
        ),
        workspace.mounts_file,
    )
    assert "s3cret" not in repr(mounts)


def test_home_variables_and_relative_paths_are_expanded(
    workspace: Workspace, environ: dict[str, str], tmp_path: Path
) -> None:
    home = Path(environ["HOME"])
    for folder in (home / "data", tmp_path / "disk" / "x", workspace.root / "local"):
        folder.mkdir(parents=True)
    environ |= {"DISK": str(tmp_path / "disk"), "SUB": "inside"}
    workspace.mounts_file.write_text(
        mounting(
            (Path("~/data"), "/a"),
            (Path("~"), "/home"),
            (Path("$DISK/x"), "/b"),
            (Path("${DISK}/x/."), "/c/$SUB/"),
            (Path("local"), "//d/../e"),
            (Path(".."), "/up"),
        )
    )
    mounts = load_mounts(workspace, environ)
    assert mounts.findings == ()
    assert mounts.entries == (
        MountEntry(home / "data", "/a"),
        MountEntry(home, "/home"),
        MountEntry(tmp_path / "disk" / "x", "/b"),
        MountEntry(tmp_path / "disk" / "x", "/c/inside"),
        MountEntry(workspace.root / "local", "/e"),
        MountEntry(tmp_path, "/up"),
    )


# what is wrong with the file


def test_all_problems_of_the_file_are_reported_at_their_place(findings_of: Check, tmp_path: Path) -> None:
    text = f"""\
{{
  "Mounts": [
    {{"source": "/no/such/folder", "destination": "/a"}},
    {{"source": "{tmp_path}", "destination": "relative"}},
    {{"source": "{tmp_path}", "destination": "/"}},
    {{"source": "$NOT_SET/x", "destination": "/b"}},
    {{"source": "{tmp_path}", "destinaton": "/c"}},
    {{"source": "{tmp_path}", "destination": "/d"}},
    {{"source": "/", "destination": "/d/"}},
    {{"source": 1, "destination": "/e"}},
    "/a:/f"
  ],
  "Envs": [{{"variable": "A B", "value": "x"}}, {{"variable": "C", "value": true}}],
  "DockerOptions": {{"shm_siz": "16G", "privileged": "yes", "ports": {{"http": 80}}}},
  "mounts": []
}}
"""
    second = 16 + len(str(tmp_path)) + 19  # where the destination stands behind the source
    assert findings_of(text) == [
        (3, 16, "missing-source", 'the source "/no/such/folder" does not exist',
         'make it with: mkdir -p "/no/such/folder"'),
        (4, second, "wrong-value", 'the destination "relative" is not an absolute path',
         'did you mean "/relative"?'),
        (5, second, "wrong-value", 'the destination "/" would hide the whole container', "name a folder below it"),
        (6, 16, "unknown-variable", 'the variable "$NOT_SET" is not set', "export NOT_SET, or write the path out"),
        (7, 5, "missing-key", '"destination" is missing', 'write "destination"'),
        (7, second - 15, "unknown-key", 'the unknown key "destinaton" has no effect', 'did you mean "destination"?'),
        (9, 16 + 1 + 19, "destination-twice", 'two mounts go to "/d"', "give each its own destination"),
        (10, 16, "wrong-type", '"source" must be a path on this host, not the number 1', None),
        (11, 5, "wrong-type", 'an entry must be an object with "source" and "destination", not "/a:/f"', None),
        (13, 25, "wrong-value", '"variable" must be the name of an environment variable, not "A B"', None),
        (13, 74, "wrong-type", '"value" must be a text or a number, not true', "put it in quotes"),
        (14, 21, "unknown-key", 'unknown key "shm_siz"', 'did you mean "shm_size"?'),
        (14, 53, "wrong-type", '"privileged" must be true or false, not "yes"', None),
        (14, 70, "wrong-name", '"http" cannot be a name in "ports"', None),
        (15, 3, "unknown-key", 'unknown key "mounts"', 'did you mean "Mounts"?'),
    ]  # fmt: skip


def test_good_mounts_beside_bad_ones_are_kept(
    findings_of: Check, workspace: Workspace, tmp_path: Path
) -> None:
    assert len(findings_of(mounting((Path("/no/such"), "/a"), (tmp_path, "/b")))) == 1
    assert load_mounts(workspace, {}).entries == (MountEntry(tmp_path, "/b"),)


def test_what_the_launcher_passes_over_is_a_warning(
    workspace: Workspace, environ: dict[str, str], tmp_path: Path
) -> None:
    """nvidia_tao_cli 6.26.3: unknown keys are not read, the same mount twice is one, the last value counts."""
    linked = tmp_path / "link"
    linked.symlink_to(tmp_path)
    workspace.mounts_file.write_text(
        f"""\
{{
  "Mounts": [
    {{"source": "{tmp_path}", "destination": "/d", "comment": "raw data"}},
    {{"source": "{tmp_path}/.", "destination": "/d/", "read_only": true}},
    {{"source": "{linked}", "destination": "//d"}}
  ],
  "Envs": [{{"variable": "A", "value": "1", "secret": 1}}, {{"variable": "A", "value": "2"}}]
}}
"""
    )
    mounts = load_mounts(workspace, environ)
    assert (mounts.entries, mounts.env) == ((MountEntry(tmp_path, "/d", read_only=True),), {"A": "2"})
    assert {one.severity for one in mounts.findings} == {Severity.WARNING}
    assert [(one.line, one.code, one.message, one.hint) for one in mounts.findings] == [
        (
            3,
            "unknown-key",
            'the unknown key "comment" has no effect',
            "known: source, destination, read_only",
        ),
        (4, "mount-twice", 'the mount of "/d" is repeated', "remove one of them"),
        (5, "mount-twice", 'the mount of "/d" is repeated', "remove one of them"),
        (7, "unknown-key", 'the unknown key "secret" has no effect', "known: variable, value"),
        (7, "variable-twice", 'the variable "A" is given twice', "remove one of them: the last one counts"),
    ]


@pytest.mark.parametrize(
    ("text", "line", "column", "hint"),
    [
        ('{\n  "Mounts": [],\n}', 3, 1, "remove the comma before it"),
        ('{"Mounts": [1,]}', 1, 15, "remove the comma before it"),
        ('{\n  // mine\n  "Mounts": []}', 2, 3, "remove the comment: JSON has none"),
        ('{\n  # mine\n  "Mounts": []}', 2, 3, "remove the comment: JSON has none"),
        ("{'Mounts': []}", 1, 2, 'use double quotes: "'),
        ("", 1, 1, 'the file is empty: write {"Mounts": []}'),
        ('{"Mounts": [] "Envs": []}', 1, 15, None),
        ('{"Mounts": [', 1, 13, None),
        ("Mounts: []\n", 1, 1, None),
        ('{"Mounts": NaN}', 1, 1, None),
        ("[" * 100_000, 1, 1, None),
        ('{"Mounts": []} x', 1, 16, None),
    ],
)
def test_only_json_is_json(findings_of: Check, text: str, line: int, column: int, hint: str | None) -> None:
    [finding] = findings_of(text)
    assert (finding[2], finding[4]) == ("json-syntax", hint)
    # Where a comma too many is seen differs between Python versions: at the comma, or behind it.
    assert finding[0] == line
    assert column - 2 <= (finding[1] or 0) <= column or line == 3


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("[]", "wrong-type", "the file must be an object, not a list"),
        ("{}", "missing-key", '"Mounts" is missing'),
        ('{"Mounts": {}}', "wrong-type", '"Mounts" must be a list, not a mapping'),
        ('{"Mounts": [], "Envs": {"A": "b"}}', "wrong-type", '"Envs" must be a list, not a mapping'),
        ('{"Mounts": [], "DockerOptions": []}', "wrong-type", '"DockerOptions" must be an object, not a list'),
        ('{"Mounts": [], "Mounts": []}', "duplicate-key", '"Mounts" is given twice'),
        ('{"Mounts": [], "DockerOptions": {"ports": {"0": 1}}}', "wrong-value", '"0" is not a port: 1 to 65535'),
        ('{"Mounts": [], "DockerOptions": {"ports": {"1": "70000"}}}', "wrong-value", '"70000" is not a port: 1 to 65535'),
        ('{"Mounts": [], "DockerOptions": {"ulimits": {"memloc": 1}}}', "unknown-key", 'unknown ulimit "memloc"'),
        (
            '{"Mounts": [], "DockerOptions": {"ulimits": {"stack": "1"}}}', "wrong-type",
            '"ulimits.stack" cannot hold "1": "ulimits" must be a mapping of names to whole numbers, '
            'such as {"memlock": -1}',
        ),
        ('{"Mounts": [{"source": "~nobdy/x", "destination": "/x"}]}', "unknown-user", '"~nobdy": no such user'),
    ],
)  # fmt: skip
def test_files_of_the_wrong_shape(findings_of: Check, text: str, code: str, message: str) -> None:
    assert [(one[2], one[3]) for one in findings_of(text)] == [(code, message)]


def test_values_of_variables_are_not_shown(findings_of: Check) -> None:
    text = '{"Mounts": [], "Envs": [{"variable": "A", "value": ["s3cret"]}, {"variable": "B", "value": {"s3cret": 1}}]}'
    found = findings_of(text)
    assert len(found) == 2
    assert "s3cret" not in repr(found)


def test_tabs_and_windows_lines_are_json(findings_of: Check, workspace: Workspace, tmp_path: Path) -> None:
    assert (
        findings_of(json.dumps({"Mounts": [{"source": str(tmp_path), "destination": "/x"}]}, indent="\t"))
        == []
    )
    assert findings_of('\t{\r\n\t"Mounts": [\r\n\t]}') == []
    assert findings_of('{"Mounts": [], "Envs": [{"variable": "A", "value": "\\ud83d\\ude00"}]}') == []


def test_folder_or_pipe_in_place_of_the_file(workspace: Workspace, environ: dict[str, str]) -> None:
    workspace.mounts_file.mkdir()
    assert [one.code for one in load_mounts(workspace, environ).findings] == ["is-a-directory"]
    workspace.mounts_file.rmdir()
    os.mkfifo(workspace.mounts_file)
    assert [one.code for one in load_mounts(workspace, environ).findings] == ["not-a-file"]


# the way in and out


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    (tmp_path / "disk" / "deep" / "er").mkdir(parents=True)
    (tmp_path / "disk" / "other").mkdir()
    return tmp_path / "disk"


def test_longest_source_wins(disk: Path) -> None:
    mounts = Mounts((MountEntry(disk, "/disk"), MountEntry(disk / "deep", "/deep")))
    assert mounts.to_inside(disk) == "/disk"
    assert mounts.to_inside(disk / "other" / "x") == "/disk/other/x"
    assert mounts.to_inside(disk / "deep") == "/deep"
    assert mounts.to_inside(disk / "deep" / "er" / "not there") == "/deep/er/not there"
    assert mounts.to_inside(disk / "deeper") == "/disk/deeper"
    assert mounts.to_inside(disk / "deep" / ".." / "other") == "/disk/other"


def test_first_destination_of_the_same_source_is_used(disk: Path) -> None:
    mounts = Mounts((MountEntry(disk, "/a"), MountEntry(disk, "/b")))
    assert mounts.to_inside(disk / "x") == "/a/x"
    assert [mounts.to_host("/a/x"), mounts.to_host("/b/x")] == [disk / "x", disk / "x"]


def test_link_that_leads_out_of_its_mount_is_followed(disk: Path, tmp_path: Path) -> None:
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws" / "data").symlink_to(disk)
    both = Mounts((MountEntry(tmp_path / "ws", "/ws"), MountEntry(disk, "/disk")))
    assert both.to_inside(tmp_path / "ws" / "data" / "x") == "/disk/x"
    with pytest.raises(UserFilesError) as error:
        Mounts((MountEntry(tmp_path / "ws", "/ws"),)).to_inside(tmp_path / "ws" / "data" / "x")
    assert error.value.message == f'no mount covers "{tmp_path}/ws/data/x", which leads to "{disk}/x"'


def test_workspace_behind_a_link_is_the_same_workspace(disk: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(disk)
    mounts = Mounts((MountEntry(tmp_path / "link", "/disk"),))
    assert mounts.to_inside(tmp_path / "link" / "x") == "/disk/x"
    assert mounts.to_inside(disk / "x") == "/disk/x"
    assert Mounts((MountEntry(disk, "/disk"),)).to_inside(tmp_path / "link" / "x") == "/disk/x"


def test_among_equals_the_way_the_path_goes_wins(disk: Path, tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to(disk)
    (tmp_path / "two").symlink_to(disk)
    mounts = Mounts((MountEntry(tmp_path / "one", "/one"), MountEntry(tmp_path / "two", "/two")))
    assert mounts.to_inside(tmp_path / "two" / "x") == "/two/x"
    assert mounts.to_inside(disk / "x") == "/one/x"


def test_path_hidden_by_another_mount_takes_the_way_that_is_open(disk: Path) -> None:
    hiding = MountEntry(disk / "other", "/disk/deep")
    mounts = Mounts((MountEntry(disk, "/disk"), hiding, MountEntry(disk, "/again")))
    assert mounts.to_inside(disk / "deep" / "x") == "/again/deep/x"
    assert mounts.to_host("/disk/deep/x") == disk / "other" / "x"
    with pytest.raises(UserFilesError):
        Mounts((MountEntry(disk, "/disk"), hiding)).to_inside(disk / "deep" / "x")


def test_uncovered_path_shows_the_mounts(disk: Path, workspace: Workspace) -> None:
    mounts = Mounts((MountEntry(disk, "/disk"),), file=workspace.mounts_file)
    with pytest.raises(UserFilesError) as error:
        mounts.to_inside(Path("/etc/passwd"))
    assert error.value.message == 'no mount covers "/etc/passwd"'
    assert (
        error.value.hint
        == f'mounted: "{disk}" at /disk; move it there, or add a mount to "{workspace.mounts_file}"'
    )
    with pytest.raises(UserFilesError, match="no mount covers") as error:
        Mounts(()).to_inside(disk)
    assert error.value.hint == "mounted: nothing; move it there, or add a mount to .tao_mounts.json"


def test_circle_of_links_does_not_hang(disk: Path) -> None:
    (disk / "circle").symlink_to("circle")
    mounts = Mounts((MountEntry(disk, "/disk"),))
    assert mounts.to_inside(disk / "circle" / "x") == "/disk/circle/x"


def test_path_that_is_deeper_than_any_stack(disk: Path) -> None:
    assert Mounts((MountEntry(disk, "/disk"),)).to_inside(disk / ("x/" * 3000)).count("/x") == 3000


@pytest.mark.parametrize(
    ("inside", "host"),
    [("/disk", "."), ("/disk/a", "a"), ("/disk/a/../b/", "b"), ("//disk/a", "a"), ("/diskette", None), ("/", None),
     ("a", None), ("/disk/..", None)],
)  # fmt: skip
def test_way_out(disk: Path, inside: str, host: str | None) -> None:
    assert Mounts((MountEntry(disk, "/disk"),)).to_host(inside) == (None if host is None else disk / host)


def test_identity_is_for_processes_on_this_host(disk: Path) -> None:
    mounts = Mounts.identity({"A": "b"})
    assert (mounts.entries, mounts.env, mounts.is_identity) == ((), {"A": "b"}, True)
    assert mounts.to_inside(disk / "x") == str(disk / "x")
    assert mounts.to_host(str(disk / "x")) == disk / "x"
    assert mounts.to_host("relative") is None


def test_whole_disk_may_be_mounted(disk: Path) -> None:
    mounts = Mounts((MountEntry(Path("/"), "/host"),))
    assert mounts.to_inside(disk) == f"/host{os.path.realpath(disk)}"
    assert mounts.to_host("/host/etc") == Path("/etc")


def test_a_path_of_windows_says_where_wsl_has_it(tmp_path: Path) -> None:
    text = json.dumps({"Mounts": [{"source": "C:\\Users\\me\\data", "destination": "/data"}]})
    (tmp_path / "m.json").write_text(text)
    (finding,) = read_mounts_file(tmp_path / "m.json", {}, tmp_path).findings
    assert finding.hint == "this is a path of Windows; WSL has it at /mnt/c/Users/me/data"
