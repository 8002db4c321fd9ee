"""Argument lists: whole values, and accepted by parsers made from TAO's own option tables.

``argv_golden.txt`` holds every network × action, with the releases that share a list. After a wanted change:
``python tests/planning/test_argv.py`` writes it again; read the difference before you commit it.
"""

from __future__ import annotations

import argparse
import json
import string
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taorunner.catalog.load import load_network, network_names
from taorunner.contracts import Contract, Framework, GpuUse, OverrideSyntax
from taorunner.errors import Finding
from taorunner.planning.inputs.argv import VALUES, Argv, artifact_globs, build_argv, unsafe_character
from taorunner.planning.model.arguments import ArgumentValue, ArgumentValues

GOLDEN = Path(__file__).parent / "argv_golden.txt"
FACTS: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "catalog" / "tao_facts.json").read_text("utf-8")
)
RESULTS = "/workspace/projects/p/models/e"
KEY = "@TAORUNNER_SECRET_model_key@"


def values_for(contract: Contract) -> dict[str, ArgumentValue]:
    """All that a project can give, each value recognisable by its name."""
    values: dict[str, ArgumentValue] = {name: f"/in/{name}" for name in VALUES}
    for name in (*contract.value_forms, "model", "resume_checkpoint", "initial_epoch", "pruned_dir"):
        values.pop(name, None)
    suffix = (*contract.checkpoints.suffixes, ".onnx")[0]
    values |= {
        "spec": "/run/spec.yaml", "results_dir": RESULTS, "key": KEY, "num_gpus": "2", "gpu_ids": ("0", "1"),
        "checkpoint": f"{RESULTS}/best{suffix}", "export_type": "fp16", "image_width": "640", "image_height": "384",
    }  # fmt: skip
    return values


def argv_of(network: str, action: str, release: str | None = None, **given: ArgumentValue) -> Argv:
    contract = load_network(network).contract(action, release)
    return build_argv(contract, ArgumentValues(given))


def golden_text() -> str:
    lines: list[str] = []
    for name in network_names():
        network = load_network(name)
        by_action: dict[str, dict[tuple[str, ...], list[str]]] = {}
        for release in network.releases or (None,):
            for action, contract in network.contracts(release).items():
                argv = build_argv(contract, ArgumentValues(values_for(contract)))
                assert argv.findings == (), (name, action, argv.findings)
                by_action.setdefault(action, {}).setdefault(argv.tokens, []).append(release or "-")
        for action, lists in by_action.items():
            for tokens, releases in lists.items():
                span = releases[0] if len(releases) == 1 else f"{releases[0]}..{releases[-1]}"
                lines.append(f"{name} {action} [{span}]")
                lines.append("    " + " ".join(tokens))
    return "\n".join(lines) + "\n"


def test_every_argument_list() -> None:
    assert golden_text() == GOLDEN.read_text(encoding="utf-8")


def test_dssd_trains_as_the_tensorflow_1_page_says() -> None:
    argv = argv_of(
        "dssd", "train", spec="/run/train.txt", results_dir=RESULTS, key=KEY, gpu_ids=("0", "1"),
        pretrained="/workspace/repositories/r/r_vresnet18/resnet_18.hdf5",
    )  # fmt: skip
    assert argv.findings == ()
    assert argv.tokens == (
        "dssd", "train", "--gpus", "2", "--gpu_index", "0", "1", "-e", "/run/train.txt", "-k", KEY, "-r", RESULTS,
        "-m", "/workspace/repositories/r/r_vresnet18/resnet_18.hdf5",
    )  # fmt: skip


def test_dssd_resumes_with_the_checkpoint_in_place_of_the_pretrained_weights() -> None:
    argv = argv_of(
        "dssd", "train", spec="/s", results_dir=RESULTS, pretrained="/w.hdf5",
        resume_checkpoint=f"{RESULTS}/weights/dssd_resnet18_epoch_010.hdf5", initial_epoch="11",
    )  # fmt: skip
    assert argv.tokens == (
        "dssd", "train", "-e", "/s", "-r", RESULTS,
        "-m", f"{RESULTS}/weights/dssd_resnet18_epoch_010.hdf5", "--initial_epoch", "11",
    )  # fmt: skip


def test_mask_rcnn_takes_a_model_dir_and_no_results_dir() -> None:
    argv = argv_of("mask_rcnn", "train", spec="/s", results_dir=RESULTS, num_gpus="1", gpu_ids=("0",))
    assert argv.tokens == (
        "mask_rcnn", "train", "--gpus", "1", "--gpu_index", "0", "-e", "/s", "-d", RESULTS,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("release", "tokens"),
    [
        ("5.2.0", ("-r", RESULTS, "--gpus", "2", "-k", KEY)),
        (
            "5.5.0",
            (f"results_dir={RESULTS}", "train.num_gpus=2", "train.gpu_ids=[0,1]", f"encryption_key={KEY}"),
        ),
        (
            "7.0.1",
            (f"results_dir={RESULTS}", "train.num_gpus=2", "train.gpu_ids=[0,1]", f"encryption_key={KEY}"),
        ),
    ],
)
def test_dino_trains_as_its_generation_wants(release: str, tokens: tuple[str, ...]) -> None:
    argv = argv_of(
        "dino", "train", release, spec="/s/t.yaml", results_dir=RESULTS, key=KEY, gpu_ids=("0", "1")
    )
    assert argv.tokens == ("dino", "train", "-e", "/s/t.yaml", *tokens)


def test_export_names_its_file_after_the_checkpoint() -> None:
    checkpoint = f"{RESULTS}/weights/dssd_resnet18_epoch_080.hdf5"
    argv = argv_of("dssd", "export", spec="/s", results_dir=RESULTS, checkpoint=checkpoint)
    exported = f"{RESULTS}/export/dssd_resnet18_epoch_080.onnx"
    assert argv.tokens == (
        "dssd", "export", "-e", "/s", "-m", checkpoint, "-o", exported, "--results_dir", f"{RESULTS}/export",
    )  # fmt: skip
    contract = load_network("dssd").contract("export")
    assert artifact_globs(contract, argv.values) == ("export/dssd_resnet18_epoch_080.onnx",)
    elsewhere = build_argv(contract, ArgumentValues({**argv.values, "export_file": "/else/m.onnx"}))
    assert artifact_globs(contract, elsewhere.values) == ("/else/m.onnx",)


def test_prune_output_ends_in_hdf5() -> None:
    """Without it TAO saves and then fails. Source: tao/tensorflow.md section 2.4, traps."""
    for name in ("dssd", "retinanet", "yolo_v4", "detectnet_v2", "faster_rcnn", "classification_tf1"):
        argv = argv_of(name, "prune", spec="/s", results_dir=RESULTS, checkpoint=f"{RESULTS}/m.hdf5")
        assert argv.tokens[argv.tokens.index("-o") + 1] == f"{RESULTS}/prune/m_pruned.hdf5"


def test_classification_tf1_evaluates_without_a_model_argument() -> None:
    argv = argv_of(
        "classification_tf1", "evaluate", spec="/s", results_dir=RESULTS, key=KEY, checkpoint="/c.hdf5"
    )
    assert argv.tokens == (
        "classification_tf1", "evaluate", "-e", "/s", "-k", KEY, "--results_dir", f"{RESULTS}/evaluate",
    )  # fmt: skip


def test_unet_writes_its_results_with_o() -> None:
    argv = argv_of(
        "unet", "evaluate", spec="/s", results_dir=RESULTS, checkpoint=f"{RESULTS}/weights/model.tlt"
    )
    assert argv.tokens == (
        "unet", "evaluate", "-e", "/s", "-m", f"{RESULTS}/weights/model.tlt", "-o", f"{RESULTS}/evaluate",
    )  # fmt: skip


def test_faster_rcnn_calls_its_key_enc_key() -> None:
    contract = load_network("faster_rcnn").contract("train")
    assert [a.aliases for a in contract.arguments if a.tokens[0] == "-k"] == [("--enc_key",)]


def test_tinydet_paths_may_hold_blanks() -> None:
    root = "/home/josé/my work"
    argv = argv_of(
        "tinydet", "evaluate", spec=f"{root}/e.yaml", results_dir=root, checkpoint=f"{root}/a=b.npz"
    )
    assert argv.findings == ()
    assert argv.tokens == (
        "tinydet", "evaluate", "-e", f"{root}/e.yaml", f"results_dir={root}", f"evaluate.checkpoint={root}/a=b.npz",
    )  # fmt: skip


def test_an_equals_sign_in_a_hydra_value_is_escaped() -> None:
    """Checked with hydra-core 1.3.2 behind a shell, behind shlex and behind ``bash -c``."""
    argv = argv_of(
        "dino", "evaluate", "5.2.0", spec="/s", results_dir=RESULTS, checkpoint="/r/dino_model_epoch=011.pth"
    )
    assert argv.findings == ()
    assert argv.tokens[-1] == r"evaluate.checkpoint=/r/dino_model_epoch\\=011.pth"


@pytest.mark.parametrize(
    ("network", "typed", "given"),
    [
        ("classification_tf2", "train.checkpoint=/r/model_th=0.68_eq=union.tlt", r"train.checkpoint=/r/model_th\\=0.68_eq\\=union.tlt"),
        ("dino", "model.list=[/a=b,/c]", r"model.list=[/a\\=b,/c]"),
        ("dino", "+train.new=a=", r"+train.new=a\\="),
        ("dino", "train.num_epochs=3", "train.num_epochs=3"),
        ("tinydet", "train.checkpoint=/r/a=b.npz", "train.checkpoint=/r/a=b.npz"),  # no Hydra there
    ],
)  # fmt: skip
def test_an_equals_sign_in_a_value_of_set_is_escaped_like_that_of_a_checkpoint(
    network: str, typed: str, given: str
) -> None:
    contract = load_network(network).contract("train")
    argv = build_argv(contract, ArgumentValues(values_for(contract), overrides=(typed,)))
    assert argv.findings == ()
    assert argv.tokens[-1] == given


def messages(findings: tuple[Finding, ...]) -> list[tuple[str, str]]:
    assert all(finding.is_error and finding.hint for finding in findings)
    return [(finding.code, finding.message) for finding in findings]


def test_what_is_missing_is_named_with_the_next_step() -> None:
    argv = argv_of("dssd", "inference", results_dir=RESULTS)
    assert messages(argv.findings) == [
        ("argument-missing", 'dssd inference needs the rendered spec file ("-e")'),
        ("argument-missing", 'dssd inference needs the trained weights that the action reads ("-m")'),
        ("argument-missing", 'dssd inference needs the folder of images ("-i")'),
    ]
    assert argv.findings[2].hint == (
        "set image_dir in vars of the experiment (a path inside the container); or pass -i after --"
    )


def with_extra(network: str, action: str, *extra: str, release: str | None = None) -> Argv:
    contract = load_network(network).contract(action, release)
    return build_argv(
        contract, ArgumentValues({"spec": "/s", "results_dir": RESULTS, "checkpoint": "/c.pth"}, extra=extra)
    )


@pytest.mark.parametrize("option", ["-i", "--image_dir", "--image_d"])
def test_an_argument_given_by_hand_is_not_missing(option: str) -> None:
    argv = with_extra("dssd", "inference", option, "/pictures", "-t", "0.5")
    assert argv.findings == ()
    assert argv.tokens[-4:] == (option, "/pictures", "-t", "0.5")
    assert argv.tokens.count("-i") == (option == "-i")


def test_a_value_given_by_hand_replaces_ours() -> None:
    argv = with_extra("dssd", "evaluate", "-m", "/other.hdf5")
    assert argv.tokens == ("dssd", "evaluate", "-e", "/s", "-r", f"{RESULTS}/evaluate", "-m", "/other.hdf5")
    argv = with_extra("dino", "evaluate", "evaluate.checkpoint=/other.pth")
    assert argv.tokens == (
        "dino", "evaluate", "-e", "/s", f"results_dir={RESULTS}", "evaluate.checkpoint=/other.pth",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("network", "action", "extra", "message"),
    [
        ("dssd", "train", ("-r", "/x"), '"-r" is set by taorunner'),
        ("dssd", "train", ("--results_dir=/x",), '"--results_dir" is set by taorunner'),
        ("dssd", "train", ("-k", "SECRET"), '"-k" is set by taorunner'),
        ("dssd", "train", ("--gpus", "4"), '"--gpus" is set by taorunner'),
        ("dssd", "evaluate", ("--gpus", "4"), '"--gpus" must not be passed'),
        ("dssd", "train", ("--gpu_index", "3"), '"--gpu_index" must not be passed'),
        ("dssd", "train", ("--log_file", "/x"), '"--log_file" must not be passed'),
        ("dssd", "train", ("evaluate",), '"evaluate" is not an option'),
        ("dino", "train", ("results_dir=/x",), '"results_dir" is set by taorunner'),
        ("dino", "train", ("+train.gpu_ids=[3]",), '"train.gpu_ids" is set by taorunner'),
        ("dino", "train", ("encryption_key=SECRET",), '"encryption_key" is set by taorunner'),
        ("dino", "train", ("-r", "/x"), '"-r" must not be passed'),
    ],
)
def test_what_taorunner_decides_is_not_taken_by_hand(
    network: str, action: str, extra: tuple[str, ...], message: str
) -> None:
    argv = with_extra(network, action, *extra)
    found = messages(argv.findings)
    assert len(found) == 1 and found[0][1].startswith(message)
    assert "SECRET" not in str(found)


def test_overrides_are_tokens_where_there_is_hydra_and_an_error_elsewhere() -> None:
    override = ArgumentValues({"spec": "/s", "results_dir": RESULTS}, overrides=("train.num_epochs=3",))
    argv = build_argv(load_network("dino").contract("train"), override)
    assert (argv.findings, argv.tokens[-1]) == ((), "train.num_epochs=3")
    argv = build_argv(load_network("tinydet").contract("train"), override)
    assert (argv.findings, argv.tokens[-1]) == ((), "train.num_epochs=3")
    argv = build_argv(load_network("dssd").contract("train"), override)
    assert messages(argv.findings) == [
        ("override-not-possible", 'dssd has no key=value on its command line, not "train.num_epochs=3"')
    ]
    assert "train.num_epochs=3" not in argv.tokens


@pytest.mark.parametrize(
    ("network", "token", "safe"),
    [
        ("dino", "train.optim.lr_steps=[10,20]", True),
        ("dino", "dataset.names={a:1}", True),
        ("dino", "model.backbone=${model.other}", True),
        ("dino", "train.gpu_ids_text=[0, 1]", False),
        ("dino", "description='two'", False),
        ("dino", "a=b\\c", False),
        ("dino", "a=b\nc", False),
        ("efficientdet_tf2", "train.num_epochs=5", True),
        ("efficientdet_tf2", "a=$HOME", False),
        ("efficientdet_tf2", "a=x;reboot", False),
        ("tinydet", "description=two words", True),
    ],
)
def test_overrides_that_would_not_arrive_are_refused(network: str, token: str, safe: bool) -> None:
    contract = load_network(network).contract("train")
    argv = build_argv(contract, ArgumentValues({"spec": "/s", "results_dir": RESULTS}, overrides=(token,)))
    assert [code for code, _ in messages(argv.findings)] == ([] if safe else ["argument-unsafe"])


@pytest.mark.parametrize(
    "character",
    [" ", "\t", "\n", "'", '"', "$", "`", ";", "&", "|", "<", ">", "(", ")", "*", "?", "\\", "{", "\x00"],
)
def test_a_shell_in_the_container_never_sees_a_special_character(character: str) -> None:
    argv = argv_of("dssd", "train", spec=f"/in/a{character}b.txt", results_dir=RESULTS)
    assert [(f.code, '"-e"' in f.message or "/in/a" in f.message) for f in argv.findings] == [
        ("argument-unsafe", True)
    ]


def test_a_value_typed_by_hand_is_never_repeated() -> None:
    """It may be a secret."""
    argv = with_extra("dssd", "evaluate", "--password", "top secret")
    assert messages(argv.findings) == [("argument-unsafe", "' ' in the argument \"--password\"")]


def test_int8_needs_calibration_images() -> None:
    contract = load_network("dssd").contract("gen_trt_engine")
    values: dict[str, ArgumentValue] = {
        "spec": "/s", "results_dir": RESULTS, "onnx_file": f"{RESULTS}/export/m.onnx", "export_type": "int8",
    }  # fmt: skip
    argv = build_argv(contract, ArgumentValues(values))
    assert messages(argv.findings) == [
        ("argument-missing", 'export_type "int8" needs the folder of images for int8 calibration')
    ]
    for complete in (
        ArgumentValues({**values, "calibration_images": "/pictures"}),
        ArgumentValues(values, extra=("--cal_cache_file", "/c.bin")),
        ArgumentValues({**values, "export_type": "fp16"}),
    ):
        assert build_argv(contract, complete).findings == ()


def test_unsafe_characters_of_keys_depend_on_the_framework() -> None:
    tf1, hydra, own = (load_network(name).contract("train") for name in ("dssd", "dino", "tinydet"))
    assert [unsafe_character(c, "tlt_encode-1.2") for c in (tf1, hydra, own)] == [None, None, None]
    assert [unsafe_character(c, "a$b") for c in (tf1, hydra, own)] == ["$", None, None]
    assert [unsafe_character(c, "a b=c") for c in (tf1, hydra, own)] == [" ", " ", None]


def test_an_unknown_value_name_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="chekpoint"):
        argv_of("dssd", "train", chekpoint="/x")


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise AssertionError(message)


def parser_of(table: str, *common: str) -> Parser:
    """An argparse parser from ``short/--long`` with ``!`` required, ``~`` flag, ``+`` or ``*`` nargs."""
    parser = Parser(add_help=False)
    for option in (*common, *table.split(" ")):
        bare = option.rstrip("!~+*")
        marks = option[len(bare) :]
        keywords: dict[str, Any] = {"required": "!" in marks}
        if "~" in marks:
            keywords["action"] = "store_true"
        elif "+" in marks or "*" in marks:
            keywords["nargs"] = "+" if "+" in marks else "*"
        parser.add_argument(*bare.split("/"), **keywords)
    return parser


TF1_COMMON = ("--gpus", "--gpu_index+", "--num_processes/-np", "--use_amp~", "--log_file")


@pytest.mark.parametrize("name", [name for name, facts in FACTS["tf"].items() if facts["framework"] == "tf1"])
def test_a_tensorflow_1_parser_accepts_every_list(name: str) -> None:
    network = load_network(name)
    for action, table in FACTS["tf"][name]["actions"].items():
        if action in network.unknown_actions():
            continue
        contract = network.contract(action)
        argv = build_argv(contract, ArgumentValues(values_for(contract)))
        parsed = parser_of(FACTS["option_tables"][table], *TF1_COMMON).parse_args(list(argv.tokens[2:]))
        many = contract.gpu_use is GpuUse.MANY
        assert (parsed.gpus, parsed.gpu_index) == (("2", ["0", "1"]) if many else (None, None)), action
        assert parsed.log_file is None
        if contract.spec is not None:
            assert "/run/spec.yaml" in vars(parsed).values(), action


@pytest.mark.parametrize("name", FACTS["deploy_options"])
def test_a_deploy_parser_accepts_every_list(name: str) -> None:
    network = load_network(name)
    for action, table in FACTS["deploy_options"][name].items():
        contract = network.contract(action, group="deploy")
        argv = build_argv(contract, ArgumentValues(values_for(contract)))
        parsed = parser_of(FACTS["option_tables"][table], "--gpu_index", "--log_file").parse_args(
            list(argv.tokens[2:])
        )
        engine = parsed.engine_file if action == "gen_trt_engine" else parsed.model_path
        assert engine == f"{RESULTS}/gen_trt_engine/best.engine", action
        assert parsed.results_dir == f"{RESULTS}/{contract.results_subdir}"


@pytest.mark.parametrize("name", network_names())
def test_hydra_lists_are_e_and_overrides_only(name: str) -> None:
    network = load_network(name)
    for release in [r for r in network.releases if r not in ("5.0.0", "5.1.0", "5.2.0", "5.2.0.1", "5.3.0")]:
        for action, contract in network.contracts(release).items():
            if (
                contract.override_syntax is not OverrideSyntax.HYDRA
                or contract.arguments[0].tokens[0] == "--gpus"
            ):
                continue
            old = contract.image is not None and ":5.0.0-" in contract.image
            argv = build_argv(contract, ArgumentValues(values_for(contract)))
            tokens = list(argv.tokens[len(contract.command) :])
            if contract.spec is not None:
                assert tokens[:2] == ["-e", "/run/spec.yaml"]
                tokens = tokens[2:]
            assert old or all("=" in token and " " not in token for token in tokens), (
                action,
                release,
                tokens,
            )


@pytest.mark.parametrize("name", network_names())
def test_only_actions_for_several_gpus_have_gpu_arguments(name: str) -> None:
    network = load_network(name)
    for release in network.releases or (None,):
        for action, contract in network.contracts(release).items():
            names = {token for argument in contract.arguments for token in argument.tokens}
            has_gpus = any("num_gpus}" in token or "gpu_ids}" in token for token in names)
            assert has_gpus == (contract.gpu_use is GpuUse.MANY), (action, release)


safe_text = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30)


@settings(max_examples=100, deadline=None)
@given(
    name=st.sampled_from(["dssd", "dino", "efficientdet_tf2", "tinydet", "mask_rcnn", "annotations"]),
    extra=st.lists(safe_text, max_size=4),
    overrides=st.lists(safe_text, max_size=3),
    path=safe_text,
    data=st.data(),
)
def test_no_text_breaks_the_builder(
    name: str, extra: list[str], overrides: list[str], path: str, data: st.DataObject
) -> None:
    network = load_network(name)
    action = data.draw(st.sampled_from(sorted(network.actions())))
    contract = network.contract(action)
    given_values: dict[str, ArgumentValue] = {
        "spec": path,
        "results_dir": RESULTS,
        "checkpoint": f"/c/{path}",
        "gpu_ids": ("0",),
    }
    argv = build_argv(contract, ArgumentValues(given_values, tuple(overrides), tuple(extra)))
    assert argv.tokens[: len(contract.command)] == contract.command
    for finding in argv.findings:
        assert finding.hint and finding.message.splitlines()[0][:1] not in string.ascii_uppercase
    if not argv.findings and contract.shell_reads_arguments:
        assert not any(character in token for token in argv.tokens for character in " \t\n'\"`$;&|<>()*?")
    if contract.framework is not Framework.EMBEDDED and not argv.findings:
        assert all(token.split() == [token] or token == "" for token in argv.tokens)


if __name__ == "__main__":
    GOLDEN.write_text(golden_text(), encoding="utf-8")


@pytest.mark.parametrize(
    ("extra", "tag"),
    [
        ((), "train"),
        (("-a", "/d/val/annotations.json"), "val"),
        (("-i", "/d", "-a", "/d/val/instances.json"), "instances"),
        (("-a=/d/test/annotations.json",), "test"),
        (("-a", "annotations.json"), "annotations"),
        (("-a",), None),
        (("-i", "/d/val/annotations.json"), "train"),
    ],
)
def test_records_are_called_after_the_annotations_that_are_converted(
    extra: tuple[str, ...], tag: str | None
) -> None:
    contract = load_network("mask_rcnn").contract("dataset_convert")
    values = {"annotations_file": "/d/train/annotations.json"}
    found = build_argv(contract, ArgumentValues(values, extra=extra)).values
    assert found.get("record_tag") == tag


def test_the_name_that_holds_an_unsafe_character_is_shown_alone() -> None:
    """Messages leave out the folders above the current one, which may be those to rename."""
    argv = argv_of("dssd", "train", spec="/home/my work/ws/train.txt", results_dir=RESULTS)
    assert messages(argv.findings) == [("argument-unsafe", '\' \' in the argument "-e": "my work"')]
