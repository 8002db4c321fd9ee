"""Names, durations, sizes, redaction."""

from __future__ import annotations

import time

import pytest

from taorunner.text import (
    amount,
    did_you_mean,
    duration,
    is_plain_name,
    is_secret_name,
    masked_line,
    nearest,
    printable,
    redact,
    size,
    whole_number,
)


@pytest.mark.parametrize("text", ["", "-1", "²", "٣", "1_0", " 1", "1.0", "9" * 19, "9" * 5000])
def test_what_is_no_whole_number(text: str) -> None:
    """Some of these are digits to ``isdigit`` and an error to ``int``."""
    assert whole_number(text) is None
    assert (whole_number("007"), whole_number("9" * 18)) == (7, 10**18 - 1)


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("backbome", ["head", "backbone"], "backbone"),
        ("TRAIN", ["train"], "train"),
        ("e2", ["e1"], "e1"),
        ("abcd", ["abxy"], None),
        ("abc", ["axc", "xyz"], "axc"),
        ("Backbon", ["head", "BackBone"], "BackBone"),
        ("zzz", ["head"], None),
        ("bar", ["benchmark", "data"], None),
        ("x" * 100_000, ["head"], None),
    ],
)
def test_nearest(word: str, known: list[str], meant: str | None) -> None:
    assert nearest(word, known) == meant


def test_without_a_near_name_the_known_ones_are_listed() -> None:
    assert did_you_mean("zzz", ["a", "b"]) == "known: a, b"
    assert did_you_mean("zzz", []) is None
    assert did_you_mean("?", [f"name{i}" for i in range(12)]).endswith("name10, name11")  # type: ignore[union-attr]
    assert did_you_mean("?", [f"name{i}" for i in range(20)]).endswith("name11, …")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0s"), (0.4, "0s"), (59.4, "59s"), (59.6, "1m 00s"), (125, "2m 05s"), (3599, "59m 59s"),
        (3600, "1h 00m"), (7620, "2h 07m"), (86_399, "23h 59m"), (86_400, "1d 00h"), (100_800, "1d 04h"),
        (90 * 86_400, "90d 00h"),
    ],
)  # fmt: skip
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (512, "512 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (21_800_000_000, "20.3 GiB"),
        (1 << 40, "1.0 TiB"), (5000 << 50, "5000.0 PiB"), (-1, "0 B"),
    ],
)  # fmt: skip
def test_size(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("number", "noun", "plural", "text"),
    [
        (0, "image", "", "0 images"),
        (1, "image", "", "1 image"),
        (2, "box", "boxes", "2 boxes"),
        (1, "box", "boxes", "1 box"),
        (1000, "class", "classes", "1,000 classes"),
    ],
)
def test_amount(number: int, noun: str, plural: str, text: str) -> None:
    assert amount(number, noun, plural) == text


def test_names_of_secrets() -> None:
    secret = ("NGC_API_KEY", "WANDB_TOKEN", "model_key", "PASSWORD", "MY_PASSWD", "credential", "KEY_ID")
    plain = ("keyboard", "MONKEY", "tokens", "KEYS", "num_epochs", "")
    assert [is_secret_name(name) for name in (*secret, *plain)] == [True] * len(secret) + [False] * len(plain)


def test_the_key_of_a_map_in_a_protobuf_spec_is_no_secret() -> None:
    line = 'target_class_mapping { key: "car" value: "car" }'
    assert masked_line(line, (), ("key",)) == line
    assert masked_line("key: canary-1") == "key: ***     "


def test_longer_secrets_are_masked_first() -> None:
    assert redact("key abcdef abc", ["abc", "abcdef", ""]) == "key *** ***"


@pytest.mark.parametrize("name", ["a", "dssd_resnet18_01", "v1.0-x", "0"])
def test_plain_names(name: str) -> None:
    assert is_plain_name(name)


@pytest.mark.parametrize("name", ["", "a b", "-a", ".a", "a/b", "a$", "ä", "a\n"])
def test_names_that_a_shell_would_change(name: str) -> None:
    assert not is_plain_name(name)


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert printable("a\x1b[31mb\tc") == "a\ufffd[31mb\tc"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("    model_key: canary-1  # or env:NAME", "    model_key: ***                    "),
        ('  "model_key": "canary-1", "gpus": 1', '  "model_key": ***       , "gpus": 1'),
        ("env: {WANDB_TOKEN: canary-1, MODE: x}", "env: {WANDB_TOKEN: ***     , MODE: x}"),
        ("model_key: 'a, canary-1'", "model_key: ***          "),
        ("model_key: env:TAO_MODEL_KEY", "model_key: env:TAO_MODEL_KEY"),
        ('model_key: "file:~/.key"', 'model_key: "file:~/.key"'),
        ("encryption_key: canary-1", "encryption_key: ***     "),
        ('{"variable": "A", "value": "canary-1"}', '{"variable": "A", "value": ***       }'),
        ("model_key: ab", "model_key: **"),
        ("num_epochs: 12", "num_epochs: 12"),
        ("- api_key: a, canary-1", "- api_key: ***        "),
        ("NGC_APIKEY: canary-1", "NGC_APIKEY: ***     "),
        ("apiKey: canary-1", "apiKey: ***     "),
        ("use_summary_token: true  # of DINO", "use_summary_token: true  # of DINO"),
    ],
)
def test_a_line_is_shown_without_its_secrets(line: str, shown: str) -> None:
    assert masked_line(line, ("value",)) == shown
    assert len(shown) == len(line)


def test_masking_takes_time_with_the_length_of_a_line() -> None:
    begin = time.process_time()
    for line in (
        "a" * 100_000,
        "a_" * 50_000,
        "a " * 50_000,
        '"' * 100_000,
        "a" + " " * 100_000,
        "a:" * 50_000,
    ):
        masked_line(line)
    assert time.process_time() - begin < 2
    assert masked_line("x.api_key: abc, y-TOKEN=def") == "x.api_key: ***, y-TOKEN=***"


def test_the_nearest_of_many_long_names_is_found_soon() -> None:
    begin = time.process_time()
    assert nearest("b" * 250, [f"{'a' * 180}{number}" for number in range(50_000)]) is None
    assert time.process_time() - begin < 2
