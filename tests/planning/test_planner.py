"""From what the user wrote to a complete plan: paths, GPUs, secrets, specs, and every finding at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from taorunner.container_options import Mount
from taorunner.errors import ExitCode, Finding, UserFilesError
from taorunner.planning.model.plan import GpuRequest, RunPlan, SecretSource
from taorunner.planning.model.request import ActionRequest, Caller, Site
from taorunner.planning.planner import Planned, plan_action
from taorunner.project.workspace import Workspace

Factory = Callable[..., Path]

TRAIN_TXT = """\
training_config { num_epochs: 80 batch_size_per_gpu: 16 }
dataset_config { data_sources { tfrecords_path: "$dataset_tfrecord/tfrecord*" image_directory_path: "$dataset_raw" } }
# $nothing is fine in a comment
"""
TRAIN_YAML = """\
results_dir: $results_dir
train:
  num_epochs: 12
  gpu_ids: $gpu_ids
dataset:
  quant_calibration_data_sources:
    image_dir: ${dataset_raw}/images
    other: ${results_dir}
"""
DSSD = {
    "head": "dssd", "backbone": "resnet18", "repository": "pretrained_object_detection", "model_key": "secret_key",
    "dataset": "kitti/train",
}  # fmt: skip
WEIGHTS = {"pretrained_object_detection/pretrained_object_detection_vresnet18/resnet_18.hdf5": "w"}


@pytest.fixture
def workspace(workspace_factory: Factory) -> Callable[..., Workspace]:
    def make(experiments: dict[str, Any], **files: Any) -> Workspace:
        given = {"data": {"kitti/train/": ""}, "repositories": WEIGHTS, **files}
        return Workspace(workspace_factory({"experiments": experiments, **given.pop("top", {})}, **given))

    return make


def plan(
    workspace: Workspace, action: str, *names: str, environ: dict[str, str] | None = None, **wishes: Any
) -> Planned:
    caller = Caller(1000, 1000, (4, 27), "ada", {"HOME": "/nowhere", **(environ or {})})
    request = ActionRequest(action, names, **{"dry_run": True, **wishes})  # records are made before a start
    return plan_action(
        workspace,
        "example_01",
        request,
        caller,
        lambda name, act: Site(f"run-{name}", workspace.runs_dir / f"run-{name}"),
    )


def only(planned: Planned) -> RunPlan:
    assert [f for f in planned.findings if f.is_error] == []
    (item,) = planned.items
    return item.plan


def errors(planned: Planned) -> list[tuple[str, str]]:
    return [(finding.code, finding.message) for finding in planned.findings if finding.is_error]


def test_a_tf1_training_is_planned_whole(workspace: Callable[..., Workspace]) -> None:
    ws = workspace({"e1": {**DSSD, "gpus": 2, "gpu_indices": [3, 1]}}, specs={"e1/train.txt": TRAIN_TXT})
    made = only(plan(ws, "train", "e1"))
    assert made.argv == (
        *("dssd", "train", "--gpus", "2", "--gpu_index", "0", "1", "-e", "/taorunner/run/train.txt"),
        *("-k", "@TAORUNNER_SECRET_model_key@", "-r", "/workspace/projects/example_01/models/e1", "-m"),
        "/workspace/repositories/pretrained_object_detection/pretrained_object_detection_vresnet18/resnet_18.hdf5",
    )
    assert made.gpus == GpuRequest(2, ("3", "1"))
    assert made.epochs == 80
    assert made.options.user == "1000:1000" and made.options.groups == (4, 27)
    assert made.env["HOME"] == "/taorunner/home" and made.env["USER"] == made.env["LOGNAME"] == "ada"
    projects = ws.projects_dir
    assert made.mounts == (
        Mount(projects, "/workspace/projects", read_only=True),
        Mount(projects, "/workspace/experiments", read_only=True),
        Mount(ws.repositories_dir, "/workspace/repositories", read_only=True),
        Mount(projects / "example_01/data", "/workspace/projects/example_01/data", read_only=True),
        Mount(projects / "example_01/data", "/workspace/experiments/example_01/data", read_only=True),
        Mount(projects / "example_01/models/e1", "/workspace/projects/example_01/models/e1"),
        Mount(projects / "example_01/models/e1", "/workspace/experiments/example_01/models/e1"),
        Mount(ws.homes_dir / "nvcr.io+nvidia+tao+tao-toolkit", "/taorunner/home"),
        Mount(ws.runs_dir / "run-e1" / "input", "/taorunner/run", read_only=True),
    )
    assert made.spec is not None
    assert '"/workspace/projects/example_01/data/tfrecords_e1/tfrecord*"' in made.spec.text
    assert '"/workspace/projects/example_01/data/kitti/train"' in made.spec.text
    assert "# $nothing" in made.spec.text


def test_the_key_is_in_no_plan(workspace: Callable[..., Workspace]) -> None:
    ws = workspace({"e1": DSSD}, specs={"e1/train.txt": TRAIN_TXT})
    made = only(plan(ws, "train", "e1"))
    assert made.secrets == (SecretSource("model_key", "literal:secret_key"),)
    assert "secret_key" not in json.dumps(made.to_json())
    assert "secret_key" not in repr(made)


def test_a_plan_survives_its_record(workspace: Callable[..., Workspace]) -> None:
    ws = workspace({"e1": {**DSSD, "model_key": "env:KEY"}}, specs={"e1/train.txt": TRAIN_TXT})
    made = only(plan(ws, "train", "e1"))
    assert RunPlan.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_a_pytorch_training_gets_overrides_without_blanks_and_dense_ids_in_the_spec(
    workspace: Callable[..., Workspace],
) -> None:
    entry = {"head": "dino", "dataset": "kitti/train", "gpu_indices": [2, 5]}
    ws = workspace({"e1": entry}, specs={"e1/train.yaml": TRAIN_YAML})
    made = only(plan(ws, "train", "e1"))
    assert made.argv[:4] == ("dino", "train", "-e", "/taorunner/run/train.yaml")
    assert "train.num_gpus=2" in made.argv and "train.gpu_ids=[0,1]" in made.argv
    assert made.gpus == GpuRequest(2, ("2", "5"))
    assert made.epochs == 12
    assert made.spec is not None
    assert "gpu_ids: [0, 1]" in made.spec.text
    assert "num_gpus: 2" in made.spec.text
    assert "image_dir: /workspace/projects/example_01/data/kitti/train/images" in made.spec.text


def test_only_training_takes_several_gpus_in_tf1(workspace: Callable[..., Workspace]) -> None:
    ws = workspace(
        {"e1": {**DSSD, "gpu_indices": [3, 1]}},
        specs={"e1/train.txt": TRAIN_TXT},
        models={"e1/weights/dssd_resnet18_epoch_010.hdf5": "", "e1/weights/dssd_resnet18_epoch_009.hdf5": ""},
    )
    made = only(plan(ws, "evaluate", "e1"))
    assert made.gpus == GpuRequest(1, ("3",))
    assert made.argv[made.argv.index("-m") + 1].endswith("/models/e1/weights/dssd_resnet18_epoch_010.hdf5")
    assert "--gpus" not in made.argv


def test_the_command_line_beats_the_file(workspace: Callable[..., Workspace]) -> None:
    ws = workspace({"e1": {**DSSD, "gpu_indices": [3]}}, specs={"e1/train.txt": TRAIN_TXT})
    assert only(plan(ws, "train", "e1", gpu_ids=("0", "7"))).gpus == GpuRequest(2, ("0", "7"))
    assert only(plan(ws, "train", "e1", gpus=2)).gpus == GpuRequest(2, None)
    assert only(plan(ws, "train", "e1", gpu_ids=())).gpus == GpuRequest(1, None)
    assert only(plan(ws, "train", "e1", image="mine:1")).image == "mine:1"
    assert only(plan(ws, "train", "e1", gpus=0)).gpus == GpuRequest(0, None)


def test_overrides_of_prototxt_go_into_the_rendered_spec(workspace: Callable[..., Workspace]) -> None:
    entry = {**DSSD, "overrides": {"training_config.batch_size_per_gpu": 4}}
    ws = workspace({"e1": entry}, specs={"e1/train.txt": TRAIN_TXT})
    made = only(plan(ws, "train", "e1", overrides={"training_config.num_epochs": "3"}))
    assert made.spec is not None
    assert "num_epochs: 3" in made.spec.text and "batch_size_per_gpu: 4" in made.spec.text
    assert made.epochs == 3


def test_overrides_of_hydra_go_to_the_command_line(workspace: Callable[..., Workspace]) -> None:
    ws = workspace({"e1": {"head": "dino", "dataset": "kitti/train"}}, specs={"e1/train.yaml": TRAIN_YAML})
    made = only(plan(ws, "train", "e1", overrides={"train.num_epochs": "3"}, extra=("train.optim.lr=1e-4",)))
    assert made.argv[-2:] == ("train.num_epochs=3", "train.optim.lr=1e-4")
    assert made.epochs == 3


def test_own_variables_and_inherited_specs(workspace: Callable[..., Workspace]) -> None:
    text = "results_dir: $results_dir\ntrain:\n  num_epochs: $epochs\n"
    base = {"head": "dino", "dataset": "kitti/train", "vars": {"epochs": 5}}
    ws = workspace(
        {"base": base, "e1": {"extends": "base", "vars": {"epochs": 7}}}, specs={"base/train.yaml": text}
    )
    made = only(plan(ws, "train", "e1"))
    assert made.epochs == 7
    assert made.results_dir == ws.project("example_01").results_dir("e1")


def test_all_findings_come_at_once_with_their_places(workspace: Callable[..., Workspace]) -> None:
    entry = {"head": "dino", "dataset": "nowhere"}
    ws = workspace(
        {"e1": entry, "e2": {**entry, "head": "dinno"}}, specs={"e1/train.yaml": "a: $resluts_dir\n"}
    )
    planned = plan(ws, "train", "e1", "e2", "e3")
    codes = {finding.code for finding in planned.findings if finding.is_error}
    assert codes == {
        "missing-dataset", "unknown-variable", "unknown-key", "unknown-head", "unknown-experiment",
    }  # fmt: skip
    assert planned.items == ()
    assert all(finding.file is not None for finding in planned.findings if finding.is_error)


def test_another_experiments_mistake_does_not_stop_this_one(workspace: Callable[..., Workspace]) -> None:
    good = {"head": "dino", "dataset": "kitti/train"}
    ws = workspace({"e1": good, "e2": {**good, "colour": "blue"}}, specs={"e1/train.yaml": TRAIN_YAML})
    assert only(plan(ws, "train", "e1")).experiment == "e1"
    assert plan(ws, "train", "e2").items == ()


def test_missing_weights_stop_training_and_say_where_they_should_be(
    workspace: Callable[..., Workspace],
) -> None:
    ws = workspace({"e1": DSSD}, specs={"e1/train.txt": TRAIN_TXT}, repositories={})
    (finding,) = [f for f in plan(ws, "train", "e1").findings if f.is_error]
    assert finding.code == "pretrained-missing"
    assert "pretrained_object_detection_vresnet18" in finding.message


def test_several_weights_in_one_folder_are_not_guessed(workspace: Callable[..., Workspace]) -> None:
    name, _ = next(iter(WEIGHTS.items()))
    ws = workspace(
        {"e1": DSSD},
        specs={"e1/train.txt": TRAIN_TXT},
        repositories={name: "", name.replace("_18.", "18."): ""},
    )
    (finding,) = [f for f in plan(ws, "train", "e1").findings if f.is_error]
    assert "holds 2 .hdf5 files" in finding.message


def test_earlier_results_are_not_silently_continued(workspace: Callable[..., Workspace]) -> None:
    ws = workspace(
        {"e1": {"head": "dino", "dataset": "kitti/train"}},
        specs={"e1/train.yaml": TRAIN_YAML},
        models={"e1/train/model_epoch_003_step_00016.pth": ""},
    )
    (finding,) = [f for f in plan(ws, "train", "e1").findings if f.is_error]
    assert finding.code == "results-exist" and "--overwrite" in (finding.hint or "")
    assert only(plan(ws, "train", "e1", overwrite=True)).set_aside == (
        ws.project("example_01").results_dir("e1"),
    )


def test_a_failed_attempt_without_checkpoints_may_be_repeated(workspace: Callable[..., Workspace]) -> None:
    ws = workspace(
        {"e1": {"head": "dino", "dataset": "kitti/train"}},
        specs={"e1/train.yaml": TRAIN_YAML},
        models={"e1/train/status.json": "{}"},
    )
    assert only(plan(ws, "train", "e1")).set_aside == ()


def test_export_takes_the_named_checkpoint_and_does_not_write_over(
    workspace: Callable[..., Workspace],
) -> None:
    models = {f"e1/weights/dssd_resnet18_epoch_{n:03}.hdf5": "" for n in (10, 80)}
    entry = {**DSSD, "export_model": "dssd_resnet18_epoch_010", "export_type": "fp16"}
    ws = workspace({"e1": entry}, specs={"e1/train.txt": TRAIN_TXT}, models=models)
    made = only(plan(ws, "export", "e1"))
    assert made.argv[made.argv.index("-m") + 1].endswith("weights/dssd_resnet18_epoch_010.hdf5")
    written = ws.project("example_01").results_dir("e1") / "export" / "dssd_resnet18_epoch_010.onnx"
    assert written.parent in made.make_dirs
    written.parent.mkdir()
    written.write_text("")
    assert [code for code, _ in errors(plan(ws, "export", "e1"))] == ["output-exists"]
    assert only(plan(ws, "export", "e1", overwrite=True)).set_aside == (written,)


def test_an_unknown_checkpoint_names_those_there_are(workspace: Callable[..., Workspace]) -> None:
    models = {"e1/weights/dssd_resnet18_epoch_010.hdf5": ""}
    ws = workspace(
        {"e1": {**DSSD, "export_model": "other"}}, specs={"e1/train.txt": TRAIN_TXT}, models=models
    )
    (finding,) = [f for f in plan(ws, "export", "e1").findings if f.is_error]
    assert finding.code == "checkpoint-missing" and "dssd_resnet18_epoch_010.hdf5" in (finding.hint or "")


def test_embedded_runs_see_this_hosts_own_paths(workspace: Callable[..., Workspace]) -> None:
    ws = workspace(
        {"e1": {"head": "tinydet", "dataset": "kitti/train"}},
        specs={"e1/train.yaml": "results_dir: $results_dir\n"},
    )
    made = only(plan(ws, "train", "e1"))
    results = ws.project("example_01").results_dir("e1")
    assert (made.backend, made.image, made.mounts, made.gpus) == ("embedded", None, (), GpuRequest())
    assert made.spec is not None and made.spec.text == f"results_dir: {results}\n"
    assert made.results_inside == str(results)


@pytest.mark.parametrize(("head", "backend"), [("tinydet", "docker"), ("dino", "embedded")])
def test_a_network_and_a_backend_that_do_not_fit(
    workspace: Callable[..., Workspace], head: str, backend: str
) -> None:
    ws = workspace({"e1": {"head": head, "dataset": "kitti/train"}}, specs={"e1/train.yaml": "a: 1\n"})
    assert [code for code, _ in errors(plan(ws, "train", "e1", backend=backend))] == ["wrong-backend"]


def test_a_cluster_that_does_not_run_the_network_is_left_out_where_it_was_named(
    workspace: Callable[..., Workspace],
) -> None:
    where = {"far": '"cluster"', None: "--cluster"}
    said = []
    for named in where:
        entry = {"head": "tinydet", "dataset": "kitti/train"} | ({"cluster": named} if named else {})
        ws = workspace({"e1": entry}, specs={"e1/train.yaml": "a: 1\n"})
        text = "clusters:\n  far: {backend: kubernetes, workspace: {claim: c, path: w}}\n"
        (ws.root / "clusters.yml").write_text(text)
        (found,) = [
            one for one in plan(ws, "train", "e1", cluster=None if named else "far").findings if one.is_error
        ]
        said.append((found.message, found.hint, found.line is not None))
    message = '"tinydet" runs only on the embedded backend, not on the cluster "far" (kubernetes)'
    assert said == [(message, 'remove "cluster"', True), (message, "leave --cluster out", False)]


def test_an_action_the_network_lacks_names_the_nearest(workspace: Callable[..., Workspace]) -> None:
    ws = workspace({"e1": {"head": "dino", "dataset": "kitti/train"}}, specs={"e1/train.yaml": TRAIN_YAML})
    (finding,) = [f for f in plan(ws, "evalute", "e1").findings if f.is_error]
    assert finding.hint == 'did you mean "evaluate"?'


def test_the_key_goes_into_a_private_spec_where_the_spec_has_a_place_for_it(
    workspace: Callable[..., Workspace],
) -> None:
    entry = {"head": "dino", "dataset": "kitti/train", "model_key": "a key's"}
    made = only(plan(workspace({"e1": entry}, specs={"e1/train.yaml": TRAIN_YAML}), "train", "e1"))
    assert made.secrets == (SecretSource("model_key", "literal:a key's", spec_key="encryption_key"),)
    assert made.argv[:4] == ("dino", "train", "-e", "/taorunner/run/secrets/spec/train.yaml")
    assert not [token for token in made.argv if "key" in token]
    assert made.spec is not None and "a key's" not in made.spec.text


def test_secrets_among_variables_are_kept_out_of_the_environment(workspace: Callable[..., Workspace]) -> None:
    env = {"WANDB_API_KEY": "abc", "MODE": "fast", "TOKEN_FILE": "file:/x", "HF": "env:HF_TOKEN"}
    ws = workspace(
        {"e1": {"head": "dino", "dataset": "kitti/train", "env": env}}, specs={"e1/train.yaml": TRAIN_YAML}
    )
    made = only(plan(ws, "train", "e1"))
    assert made.env["MODE"] == "fast"
    assert not {"WANDB_API_KEY", "TOKEN_FILE", "HF"} & set(made.env)
    assert {secret.variable for secret in made.secrets} == {"WANDB_API_KEY", "TOKEN_FILE", "HF"}


@pytest.mark.parametrize("key", ["two words", "a'b", "$HOME", "a;b", "`x`"])
def test_a_key_that_taos_shell_would_change(workspace: Callable[..., Workspace], key: str) -> None:
    ws = workspace({"e1": {**DSSD, "model_key": key}}, specs={"e1/train.txt": TRAIN_TXT})
    findings: list[Finding] = [f for f in plan(ws, "train", "e1").findings if f.is_error]
    assert [f.code for f in findings] == ["argument-unsafe"]
    assert key not in findings[0].message


def test_an_unknown_release_is_reported_at_its_key(workspace: Callable[..., Workspace]) -> None:
    entry = {"head": "dino", "dataset": "kitti/train", "release": "9.9.9"}
    ws = workspace({"e1": entry}, specs={"e1/train.yaml": TRAIN_YAML})
    (finding,) = [f for f in plan(ws, "train", "e1").findings if f.is_error]
    assert (finding.code, finding.line) == ("unknown-release", 6)


@pytest.mark.parametrize(
    ("action", "experiment", "options", "exit_code"),
    [
        ("train", "e2", {}, ExitCode.USAGE),
        ("fly", "e1", {}, ExitCode.USAGE),
        ("train", "e1", {"release": "9.9.9"}, ExitCode.USAGE),
        ("train", "e1", {}, ExitCode.USER_FILES),
    ],
)
def test_unknown_names_of_the_command_line_are_wrong_usage(
    workspace: Callable[..., Workspace], action: str, experiment: str, options: dict[str, str], exit_code: int
) -> None:
    entry = {"head": "dino", "dataset": "kitti/train", **({} if options else {"release": "9.9.9"})}
    if action == "fly":
        del entry["release"]
    planned = plan(
        workspace({"e1": entry}, specs={"e1/train.yaml": TRAIN_YAML}), action, experiment, **options
    )
    with pytest.raises(UserFilesError) as caught:
        planned.raise_for_errors()
    assert caught.value.exit_code == exit_code


def test_a_variable_misspelt_in_vars_is_named(workspace: Callable[..., Workspace]) -> None:
    entry = {**DSSD, "vars": {"image_dir": "$datset_raw/image_2"}}
    planned = plan(workspace({"e1": entry}, specs={"e1/train.txt": TRAIN_TXT}), "inference", "e1")
    message = 'has "$datset_raw", which is not a variable of this experiment'
    assert ("unknown-variable", f'"image_dir" in vars {message}') in errors(planned)
    assert [f.hint for f in planned.findings if f.code == "unknown-variable"] == [
        'did you mean "dataset_raw"?'
    ]
    assert "argument-unsafe" not in [code for code, _ in errors(planned)]
    other = plan(workspace({"e2": entry}, specs={"e2/train.txt": TRAIN_TXT}), "train", "e2")
    assert "unknown-variable" not in [code for code, _ in errors(other)]  # train's command line has no images


def test_variables_in_vars_reach_the_command_line(workspace: Callable[..., Workspace]) -> None:
    entry = {**DSSD, "vars": {"image_dir": "$dataset_raw/../val", "own": "$results_dir/x"}}
    spec = 'dataset_config { data_sources { image_directory_path: "$own" } }'
    ws = workspace({"e1": entry}, specs={"e1/train.txt": spec})
    results = ws.project("example_01").results_dir("e1") / "weights"
    results.mkdir(parents=True)
    (results / "dssd_resnet18_epoch_080.hdf5").write_text("")
    made = only(plan(ws, "inference", "e1"))
    assert "/workspace/projects/example_01/data/kitti/train/../val" in made.argv
    assert made.spec is not None and '"/workspace/projects/example_01/models/e1/x"' in made.spec.text


def test_a_setting_that_does_not_fit_is_one_error(workspace: Callable[..., Workspace]) -> None:
    made = workspace({"e": {"head": "dino", "dataset": "kitti/train"}}, specs={"e/train.yaml": TRAIN_YAML})
    assert [code for code, _ in errors(plan(made, "train", "e", overrides={"train.num_epoch": "3"}))] == [
        "unknown-key"
    ]


def test_a_list_of_folders_can_be_set_for_inference(workspace: Callable[..., Workspace]) -> None:
    made = workspace({"e": {"head": "dino", "dataset": "kitti/train"}}, specs={"e/train.yaml": TRAIN_YAML})
    key = "dataset.infer_data_sources.image_dir"
    assert f"{key}=[/a,/b]" in only(plan(made, "train", "e", overrides={key: "[/a,/b]"})).argv


CLASSES = {"head": "classification_tf1", "backbone": "resnet18", "repository": "pretrained_object_detection", "dataset": "kitti/train"}  # fmt: skip


@pytest.mark.parametrize(
    ("classmap", "expected"),
    [("$results_dir/classmap.json", None), ("$dataset_raw/classmap.json", "data/kitti/train/classmap.json")],
)
def test_a_training_is_not_given_what_it_writes_itself(
    workspace: Callable[..., Workspace], classmap: str, expected: str | None
) -> None:
    spec = 'train_config { n_epochs: 8 }\neval_config { model_path: "x" }\n'
    made = workspace(
        {"e": {**CLASSES, "vars": {"classmap": classmap, "image_dir": "$dataset_raw"}}},
        specs={"e/train.txt": spec}, data={"kitti/train/classmap.json": "{}"},
    )  # fmt: skip
    argv = only(plan(made, "train", "e")).argv
    assert (argv[-2:] == ("-c", f"/workspace/projects/example_01/{expected}")) == (expected is not None)
    assert ("-c" in argv) == (expected is not None)
    (root,) = (made.projects_dir,)
    weights = root / "example_01/models/e/weights/resnet_008.hdf5"
    weights.parent.mkdir(parents=True)
    weights.write_text("")
    given = only(plan(made, "inference", "e")).argv
    where = expected or "models/e/classmap.json"
    assert given[given.index("-cm") + 1] == f"/workspace/projects/example_01/{where}"


def test_an_action_of_the_deploy_container_keeps_its_own_name(workspace: Callable[..., Workspace]) -> None:
    spec = "dataset: {num_classes: 3}\nevaluate: {checkpoint: x, trt_engine: x}\n"
    ws = workspace(
        {"e": {"head": "rtdetr", "dataset": "kitti/train", "release": "7.0.1"}},
        specs={"e/train.yaml": spec},
        models={"e/train/model_epoch_001.pth": "w", "e/gen_trt_engine/model_epoch_001.engine": "e"},
    )
    wishes = {"backend": "docker", "force": True}
    deploy, model = (
        only_forced(plan(ws, "deploy.evaluate", "e", **wishes)),
        only_forced(plan(ws, "evaluate", "e", **wishes)),
    )
    assert (deploy.action, deploy.contract.action, deploy.contract.group) == (
        "deploy.evaluate",
        "evaluate",
        "deploy",
    )
    assert (model.action, model.contract.group) == ("evaluate", "model")
    assert deploy.contract.results_subdir == "trt_evaluate" != model.contract.results_subdir
    assert RunPlan.from_json(deploy.to_json()).action == "deploy.evaluate"


def only_forced(planned: Planned) -> RunPlan:
    (item,) = planned.items
    return item.plan
