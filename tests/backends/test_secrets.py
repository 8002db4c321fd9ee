"""Secrets reach the process as they are, and lie nowhere but in their files."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taorunner.backends.secrets import (
    change_private_spec,
    masked,
    remove_secrets,
    unwrapped,
    wrapped,
    write_secrets,
)
from taorunner.container_options import ContainerOptions
from taorunner.errors import UserFilesError
from taorunner.planning.model.plan import RenderedSpec, RunPlan, SecretSource

MARK = "@TAORUNNER_SECRET_model_key@"
SHELLS = [
    shell for shell in (["/bin/dash"], ["/bin/bash", "--posix"], ["busybox", "sh"]) if shutil.which(shell[0])
]
HOSTILE = [
    "plain", "", " ", "a b", "it's", 'say "x"', "$HOME", "`id`", "$(id)", "back\\slash\\n", "-n", "-e", "*", "~", "%s",
    "line\nline", "end\n", "end\n\n\n", "\n", "@", "@@", "a@TAORUNNER_SECRET_x@b", "#", "!x", "ü 漢 🙂", "x" * 5000,
    "\t", "\r\n", "'\"$`\\", "=", "a=b", "--", "\x01\x7f",
]  # fmt: skip


def run_wrapped(shell: list[str], plan: RunPlan, run_dir: Path) -> list[bytes]:
    """What a program sees: its arguments, then the variables of the secrets."""
    show = ["python3", "-I", "-S", "-c", "import os,sys; sys.stdout.buffer.write(b'\\0'.join([*map(os.fsencode, sys.argv[1:]), os.environb.get(b'TOKEN', b'none')]))"]  # fmt: skip
    script = wrapped(plan, str(run_dir / "input"), plan.argv)[1]
    done = subprocess.run([*shell, script, *show, *plan.argv], capture_output=True, timeout=30, check=True)
    assert done.stderr == b""
    return done.stdout.split(b"\0")


def plan_with(make_plan: Callable[..., RunPlan], texts: list[str]) -> tuple[RunPlan, list[bytes]]:
    """A plan that puts each text into argv in every position, and what the program must see."""
    argv, expected = (
        ["it's $HOME", "", "@TAORUNNER_SECRET_", "*"],
        ["it's $HOME", "", "@TAORUNNER_SECRET_", "*"],
    )
    for number, text in enumerate(texts):
        mark = f"@TAORUNNER_SECRET_s{number}@"
        argv += [mark, f"key={mark}", f"a{mark}b{mark}c"]
        expected += [text, f"key={text}", f"a{text}b{text}c"]
    sources = [SecretSource(f"s{number}", f"literal:{text}") for number, text in enumerate(texts)]
    sources.append(SecretSource("env_TOKEN", f"literal:{texts[-1]}", "TOKEN"))
    plan = make_plan(*argv, secrets=tuple(sources))
    return plan, [os.fsencode(text) for text in [*expected, texts[-1]]]


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: Path(shell[0]).name)
def test_every_text_arrives_whole(
    shell: list[str], make_plan: Callable[..., RunPlan], tmp_path: Path
) -> None:
    plan, expected = plan_with(make_plan, HOSTILE)
    write_secrets(plan, tmp_path, {})
    assert run_wrapped(shell, plan, tmp_path) == expected


@given(
    st.lists(
        st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), max_size=60),
        min_size=1,
        max_size=8,
    )
)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_arrives_whole(make_plan: Callable[..., RunPlan], tmp_path: Path, texts: list[str]) -> None:
    plan, expected = plan_with(make_plan, texts)
    remove_secrets(tmp_path)
    write_secrets(plan, tmp_path, {})
    assert run_wrapped(SHELLS[0], plan, tmp_path) == expected


def test_files_are_for_the_owner_only(make_plan: Callable[..., RunPlan], tmp_path: Path) -> None:
    plan = make_plan("-k", MARK, secrets=(SecretSource("model_key", "literal:k", "KEY"),))
    assert write_secrets(plan, tmp_path, {}) == ("k",)
    folder = tmp_path / "input" / "secrets"
    modes = {
        path.relative_to(folder).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")
    }
    assert modes == {"model_key": 0o600, "env": 0o700, "env/KEY": 0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert "literal" not in (tmp_path / "input" / "with-secrets").read_text()
    remove_secrets(tmp_path)
    remove_secrets(tmp_path)
    assert sorted(path.name for path in (tmp_path / "input").iterdir()) == ["with-secrets"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_files_belong_to_the_user_of_the_container(make_plan: Callable[..., RunPlan], tmp_path: Path) -> None:
    plan = make_plan(
        "-k",
        MARK,
        secrets=(SecretSource("model_key", "literal:k"),),
        options=ContainerOptions(user="1234:1235"),
    )
    write_secrets(plan, tmp_path, {})
    found = (tmp_path / "input" / "secrets" / "model_key").stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (1234, 1235, 0o600)


def test_a_plan_without_secrets_needs_nothing(make_plan: Callable[..., RunPlan], tmp_path: Path) -> None:
    plan = make_plan("dino", "train")
    assert write_secrets(plan, tmp_path, {}) == ()
    assert list((tmp_path / "input").iterdir()) == []
    assert wrapped(plan, "/x", plan.argv) == ("dino", "train")


def test_a_file_gives_its_first_lines_without_the_newline(
    make_plan: Callable[..., RunPlan], tmp_path: Path
) -> None:
    (tmp_path / "key.txt").write_bytes(b"from file\r\n")
    for origin in ("file:key.txt", f"file:{tmp_path}/key.txt"):
        plan = make_plan("-k", MARK, secrets=(SecretSource("model_key", origin),))
        assert write_secrets(plan, tmp_path / "run", {}) == ("from file",)


def test_a_literal_that_the_stored_plan_lost_is_kept(
    make_plan: Callable[..., RunPlan], tmp_path: Path
) -> None:
    plan = make_plan("-k", MARK, secrets=(SecretSource("model_key", "literal:tlt_encode\n"),))
    write_secrets(plan, tmp_path, {})
    stored = RunPlan.from_json(plan.to_json())
    assert "tlt_encode" not in repr(stored.to_json())
    assert write_secrets(stored, tmp_path, {}) == ("tlt_encode\n",)
    assert (tmp_path / "input" / "secrets" / "model_key").read_text() == "tlt_encode\n"


def test_a_link_in_the_place_of_a_secret_is_not_followed(
    make_plan: Callable[..., RunPlan], tmp_path: Path
) -> None:
    folder = tmp_path / "input" / "secrets"
    folder.mkdir(parents=True)
    (tmp_path / "precious").write_text("old")
    (folder / "model_key").symlink_to(tmp_path / "precious")
    write_secrets(make_plan(MARK, secrets=(SecretSource("model_key", "literal:k"),)), tmp_path, {})
    assert ((tmp_path / "precious").read_text(), (folder / "model_key").read_text()) == ("old", "k")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            SecretSource("model_key", "env:NOT_SET"),
            'the secret "model_key" should come from the variable "NOT_SET", which is not set',
        ),
        (
            SecretSource("env_NGC_KEY", "file:none.txt", "NGC_KEY"),
            'the secret "NGC_KEY" should come from "{root}/none.txt": no such file or directory',
        ),
        (SecretSource("model_key", "file:."), 'the secret "model_key" should come from "{root}", which is not a file'),
        (SecretSource("model_key", "vault:x"), 'the secret "model_key" has an unknown source'),
        (SecretSource("model_key", "literal:a\0b"), 'the secret "model_key" is too long, or holds a zero byte'),
        (SecretSource("model_key", "literal:" + "x" * 70000), 'the secret "model_key" is too long, or holds a zero byte'),
        (SecretSource("../x", "literal:k"), '"../x" is not a name of a variable'),
        (SecretSource("k", "literal:k", "A/../../B"), '"A/../../B" is not a name of a variable'),
        (SecretSource("other", "literal:k"), 'the command names the secret "model_key", which is not defined'),
    ],
)  # fmt: skip
def test_secrets_that_cannot_be(
    make_plan: Callable[..., RunPlan], tmp_path: Path, source: SecretSource, message: str
) -> None:
    with pytest.raises(UserFilesError) as caught:
        write_secrets(make_plan("-k", MARK, secrets=(source,)), tmp_path / "run", {})
    assert caught.value.message == message.format(root=tmp_path)
    assert not (tmp_path / "run" / "input" / "secrets").exists()


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: Path(shell[0]).name)
def test_a_secret_that_is_gone_stops_the_command(
    shell: list[str], make_plan: Callable[..., RunPlan], tmp_path: Path
) -> None:
    plan = make_plan("echo", "ran", MARK, secrets=(SecretSource("model_key", "literal:k"),))
    write_secrets(plan, tmp_path, {})
    remove_secrets(tmp_path)
    script = str(tmp_path / "input" / "with-secrets")
    done = subprocess.run(
        [*shell, script, *plan.argv], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr == "with-secrets: the secret model_key is not there or may not be read\n"


def test_masks_for_the_eyes() -> None:
    assert masked(("-k", MARK, f"a={MARK}", "plain")) == ("-k", "***", "a=***", "plain")


YAML_HOSTILE = [text for text in HOSTILE if "\x01" not in text and "\r" not in text]


@pytest.mark.parametrize("key", YAML_HOSTILE)
def test_a_key_that_the_spec_can_hold_is_in_no_command_line(
    make_plan: Callable[..., RunPlan], tmp_path: Path, key: str
) -> None:
    text = "results_dir: /r  # kept\nencryption_key: old\ntrain: {num_epochs: 3}\n"
    inside = "/taorunner/run/secrets/spec/train.yaml"
    plan = make_plan(
        "dino", "train", "-e", inside,
        spec=RenderedSpec(tmp_path / "train.yaml", "train.yaml", text, inside),
        secrets=(SecretSource("model_key", f"literal:{key}" if key else "env:EMPTY", spec_key="encryption_key"),),
    )  # fmt: skip
    assert write_secrets(plan, tmp_path, {"EMPTY": ""}) == ((key,) if key else ())
    private = tmp_path / "input/secrets/spec/train.yaml"
    written = private.read_text("utf-8")
    assert yaml.safe_load(written) == {"results_dir": "/r", "encryption_key": key, "train": {"num_epochs": 3}}
    assert written.startswith("results_dir: /r  # kept\n")
    assert [stat.S_IMODE(path.stat().st_mode) for path in (private, private.parent)] == [0o600, 0o700]
    assert wrapped(plan, "/taorunner/run", plan.argv) == plan.argv
    remove_secrets(tmp_path)
    assert not private.exists()


def test_a_spec_that_has_something_else_in_the_keys_place(
    make_plan: Callable[..., RunPlan], tmp_path: Path
) -> None:
    spec = RenderedSpec(tmp_path / "train.yaml", "train.yaml", "- a\n- b\n", "/x")
    secret = SecretSource("model_key", "literal:canary", spec_key="encryption_key")
    with pytest.raises(UserFilesError, match='the spec cannot take "encryption_key"') as caught:
        write_secrets(make_plan("dino", spec=spec, secrets=(secret,)), tmp_path, {})
    assert "canary" not in repr(caught.value)


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: Path(shell[0]).name)
def test_a_spec_that_tao_rewrites_is_a_copy_where_the_input_is_read_only(
    shell: list[str], make_plan: Callable[..., RunPlan], tmp_path: Path
) -> None:
    """With WORLD_SIZE the entry point writes into its spec; a read-only bind mount is what the container has."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    inside = tmp_path / "inside"
    inside.mkdir()
    spec = RenderedSpec(tmp_path / "train.yaml", "train.yaml", "a: 1\n", f"{inside}/train.yaml")
    rewrite = 'echo "b: $2" >> "$1" && cat "$1"'
    plan = make_plan(
        "sh", "-c", rewrite, "sh", spec.inside, MARK, spec=spec, env={"WORLD_SIZE": "1"},
        secrets=(SecretSource("model_key", "literal:k k"),),
    )  # fmt: skip
    write_secrets(plan, tmp_path, {})
    (tmp_path / "input" / "train.yaml").write_text(spec.text)
    command = wrapped(plan, str(inside), plan.argv)
    mount = f"mount --bind {tmp_path}/input {inside} && mount -o remount,ro,bind {inside}"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", f'{mount} && exec "$@"', "sh", *shell, *command[1:]],
        env={**os.environ, "WORLD_SIZE": "1", "TMPDIR": str(tmp_path)}, capture_output=True, text=True, timeout=30,
        check=False,
    )  # fmt: skip
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no mount namespace can be had: {done.stderr}")
    assert (done.stdout, done.stderr, done.returncode) == ("a: 1\nb: k k\n", "", 0)
    assert (tmp_path / "input" / "train.yaml").read_text() == "a: 1\n"


def test_the_wrapper_comes_with_world_size_also_without_a_secret(
    make_plan: Callable[..., RunPlan], tmp_path: Path
) -> None:
    spec = RenderedSpec(tmp_path / "train.yaml", "train.yaml", "a: 1\n", "/taorunner/run/train.yaml")
    plan = make_plan("dino", "-e", spec.inside, spec=spec, env={"WORLD_SIZE": "2"})
    write_secrets(plan, tmp_path, {})
    assert wrapped(plan, "/taorunner/run", plan.argv)[:2] == ("/bin/sh", "/taorunner/run/with-secrets")
    assert [path.name for path in (tmp_path / "input").iterdir()] == ["with-secrets"]
    on_host = make_plan("dino", "-e", spec.inside, spec=spec, env={"WORLD_SIZE": "2"}, backend="local")
    assert wrapped(on_host, "/taorunner/run", plan.argv) == plan.argv


def test_a_command_is_shown_without_its_wrapper(make_plan: Callable[..., RunPlan]) -> None:
    for argv in (("tao", "train"), ("tao", "train", "-k", "@TAORUNNER_SECRET_key@")):
        plan = make_plan(*argv, secrets=(SecretSource("key", "literal:s"),) if len(argv) > 2 else ())
        command = wrapped(plan, "/input", ("nice", *argv))
        assert unwrapped(plan, command) == (
            "nice",
            *("***" if "@" in word else word for word in argv),
        )


def test_a_private_spec_is_changed_in_place(make_plan: Callable[..., RunPlan], tmp_path: Path) -> None:
    text = "encryption_key: old\nevaluate: {checkpoint: /r/STAND-IN}\n"
    secret = SecretSource("model_key", "literal:canary", spec_key="encryption_key")
    plan = make_plan("dino", spec=RenderedSpec(tmp_path / "e.yaml", "e.yaml", text, "/x"), secrets=(secret,))
    write_secrets(plan, tmp_path, {})
    change_private_spec(plan, tmp_path, lambda text: text.replace("STAND-IN", "model.pth"))
    private = tmp_path / "input/secrets/spec/e.yaml"
    expected = {"encryption_key": "canary", "evaluate": {"checkpoint": "/r/model.pth"}}
    assert yaml.safe_load(private.read_text("utf-8")) == expected
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    plain = make_plan("dino", spec=plan.spec)
    change_private_spec(plain, tmp_path, lambda _: "")  # without a secret there is none
    assert "canary" in private.read_text("utf-8")
