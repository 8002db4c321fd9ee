"""Words of ``shell``'s options, as ``docker run`` reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from taorunner.container_options import Mount, PublishedPort
from taorunner.project.container_words import read_env, read_volume
from taorunner.shell.option_parsing import read_gpus, read_ports, read_shm_size, read_ulimit


@pytest.mark.parametrize(
    ("word", "source", "target", "read_only"),
    [
        ("{here}/data:/data", "data", "/data", False),
        ("data:/data", "data", "/data", False),
        ("data:/data:ro", "data", "/data", True),
        ("data:/data:rw", "data", "/data", False),
        ("a:b:/data/", "a:b", "/data", False),
        ("~/data://data/x/..", "home/data", "/data", False),
    ],
)
def test_volumes(word: str, source: str, target: str, read_only: bool, tmp_path: Path) -> None:
    for name in ("data", "a:b", "home/data"):
        (tmp_path / name).mkdir(parents=True)
    found = read_volume(word.format(here=tmp_path), tmp_path, tmp_path / "home")
    assert found == Mount(tmp_path / source, target, read_only)


@pytest.mark.parametrize(
    ("word", "what"),
    [
        ("data", "not SOURCE:DESTINATION"),
        (":/data", "not SOURCE:DESTINATION"),
        ("data:", 'the destination "" is not an absolute path'),
        ("data:inside", 'the destination "inside" is not an absolute path'),
        ("data:/", 'the destination "/" would hide the whole container'),
        ("data:/x:z", '"z" is not a mount option'),
        ("data:/a\nb", "a path has characters that are not allowed"),
        ("a\0b:/data", "a path has characters that are not allowed"),
        ("gone:/data", 'the source "{here}/gone" does not exist'),
    ],
)
def test_wrong_volumes(word: str, what: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(ValueError) as caught:
        read_volume(word, tmp_path, tmp_path)
    assert caught.value.args[0] == what.format(here=tmp_path)


def test_a_variable_has_the_value_it_is_given_or_has_here() -> None:
    assert read_env("A=b=c", {}) == ("A", "b=c")
    assert read_env("A=", {"A": "x"}) == ("A", "")
    assert read_env("A", {"A": "x"}) == ("A", "x")
    for word, what in (
        ("A", '"A" is not set here'),
        ("1=2", '"1" is not a name of a variable'),
        ("", '"" is not a name of a variable'),
    ):
        with pytest.raises(ValueError) as caught:
            read_env(word, {})
        assert caught.value.args[0] == what


@pytest.mark.parametrize(
    ("word", "limits"),
    [
        ("nofile=100:200", ("nofile", 100, 200)),
        ("stack=67108864", ("stack", 67108864, 67108864)),
        ("memlock=-1", ("memlock", -1, -1)),
        ("memlock=5:-1", ("memlock", 5, -1)),
    ],
)
def test_limits(word: str, limits: tuple[str, int, int]) -> None:
    assert read_ulimit(word) == limits


@pytest.mark.parametrize(
    "word",
    [
        "nofile",
        "nofile=",
        "nofile=x",
        "nofile=1:2:3",
        "nofile=200:100",
        "nofile=-1:5",
        "files=1",
        "nofile=-2",
    ],
)
def test_wrong_limits(word: str) -> None:
    with pytest.raises(ValueError):
        read_ulimit(word)


@pytest.mark.parametrize(
    ("word", "ports"),
    [
        ("8889:8888", [PublishedPort(8888, 8889, "127.0.0.1", "tcp")]),
        ("8888", [PublishedPort(8888, 60000)]),
        ("0.0.0.0:80:8888/udp", [PublishedPort(8888, 80, "0.0.0.0", "udp")]),
        ("127.0.0.1::8888", [PublishedPort(8888, 60000)]),
        ("localhost:80:81", [PublishedPort(81, 80)]),
        ("[::1]:80:81/TCP", [PublishedPort(81, 80, "::1")]),
        ("70-71:80-81", [PublishedPort(80, 70), PublishedPort(81, 71)]),
    ],
)
def test_ports(word: str, ports: list[PublishedPort]) -> None:
    assert list(read_ports(word, lambda: 60000)) == ports


@pytest.mark.parametrize(
    "word",
    [
        "",
        "x",
        "0:80",
        "80:0",
        "80:70000",
        "a.b.c:80:80",
        "80:80/sctp",
        "1-3:1-2",
        "1-2:1-3",
        "1-9000:1-9000",
        "5-3:5-3",
        ":::80",
        "1:2:3:4",
        "-",
    ],
)
def test_wrong_ports(word: str) -> None:
    with pytest.raises(ValueError) as caught:
        read_ports(word, lambda: 60000)
    assert len(caught.value.args) == 2


def test_gpus() -> None:
    assert read_gpus("all") is None
    assert [read_gpus(word) for word in ("none", "auto", "auto:3")] == [0, 1, 3]
    assert read_gpus("1") == ("1",)  # an index, as tao_pt has it, and not a count
    assert read_gpus("0, 3") == ("0", "3")
    assert read_gpus("GPU-3f2a,MIG-GPU-x/1/0") == ("GPU-3f2a", "MIG-GPU-x/1/0")
    for word in ("", "x", "0,0", "auto:0", "auto:99", "-1", "0,", "device=0", "99999"):
        with pytest.raises(ValueError):
            read_gpus(word)


def test_shared_memory() -> None:
    assert [read_shm_size(word) for word in ("16G", "64m", "2gb")] == [16 << 30, 64 << 20, 2 << 30]
    for word in ("", "x", "-1", "1", "16 elephants"):
        with pytest.raises(ValueError):
            read_shm_size(word)
