"""Every action but train: what it reads, what it leaves, what it records.

Source: tao/pytorch.md section 3, tao/tensorflow.md sections 2.4, 5 and 7.
"""

from __future__ import annotations

import time
from pathlib import Path

from context import Job
from training import lightning, measures

import faults

_RECORD = bytes.fromhex("020000000000000078270b347b7dcf3dd743")
"""A TFRecord frame: length, its checksum, two bytes of payload, their checksum."""


def run(job: Job) -> None:
    """The action to its end."""
    if job.generation.family == "tf1" or job.options:
        run_proto(job)
    else:
        run_yaml(job)


def run_proto(job: Job) -> None:
    """TF1's actions, and the deploy container's for TF1 networks."""
    label = "Training" if job.action == "train" else job.action.capitalize()
    job.status.write("STARTED", f"Starting {label.lower()}.")
    faults.at_start(job)
    model = job.options.get("model_path") or job.options.get("model")
    if model and not Path(model).exists():
        raise FileNotFoundError(2, "No such file or directory", str(model))
    time.sleep(job.settings.epoch_s())
    if job.settings.fail != "no_artifact":
        PROTO.get(job.action, write_results)(job)
    faults.in_the_middle(job)
    job.status.write(job.generation.success, f"{label} finished successfully.")


def convert_kitti(job: Job) -> None:
    """TFRecord files of two folds, with TAO's names and one record each, which is no picture."""
    prefix = (
        job.options.get("output_filename")
        or f"{job.options.get('output_dir')}/{job.options.get('tag') or 'data'}"
    )
    shards = int(job.value("num_shards", "10"))
    path = Path(prefix)
    path.parent.mkdir(parents=True, exist_ok=True)
    dated = time.strftime("%Y-%m-%d %H:%M:%S,000 - dataio - INFO -")
    print(f"{dated} Num images in\nTrain: 8\tVal: 2")
    for fold in range(2):
        for shard in range(shards):
            print(f"{dated} Writing partition {fold}, shard {shard}", flush=True)
            name = f"{path.name}-fold-{fold:03d}-of-002-shard-{shard:05d}-of-{shards:05d}"
            path.with_name(name).write_bytes(_RECORD)
    print(
        f"{dated} Wrote the following numbers of objects:\nb'car': 10\n\n{dated} Tfrecords generation complete."
    )


def evaluate(job: Job) -> None:
    precision = measures.precision(4)
    if job.task == "detectnet_v2":
        print(f"Validation cost: 0.000123\nMean average_precision (in %): {precision * 100:.4f}", flush=True)
        job.status.write(
            "RUNNING", "Evaluation metrics generated.", kpi={"mean average precision": precision * 100}
        )
        return
    if job.task.startswith("classification"):
        print(
            f"Evaluation Loss: 0.5\nEvaluation Top K accuracy: {precision}\nConfusion Matrix\nClassification Report"
        )
        return
    print("*" * 30)
    print(f"{'car':<14}{'AP':<6}{precision:.3f}\n{'':<14}{'mAP':<6}{precision:.3f}")
    print("*" * 30, flush=True)
    job.status.write("RUNNING", "Evaluation metrics generated.", kpi={"mean average precision": precision})


def infer(job: Job) -> None:
    for folder in ("images_annotated", "labels"):
        (job.results_dir / folder).mkdir(parents=True, exist_ok=True)
    (job.results_dir / "labels" / "000000.txt").write_text("car 0 0 0 1 2 30 40 0 0 0 0 0 0 0 0.9\n")


def export(job: Job) -> None:
    """Appends ``.onnx`` unless the path says onnx anywhere; never writes over a file."""
    model = str(job.options.get("model") or job.options.get("model_path"))
    asked = (
        job.options.get("output_file")
        or job.options.get("output_path")
        or str(Path(model).with_suffix(".onnx"))
    )
    suffix = ".uff" if job.task == "mask_rcnn" else ".onnx"
    target = Path(asked if suffix[1:] in asked else asked + suffix)
    assert not target.exists(), f"Default output file {target} already exists"
    target.write_text("onnx")
    if job.options.get("gen_ds_config"):
        target.with_name("nvinfer_config.txt").write_text("[property]\n")
        target.with_name("labels.txt").write_text("car\n")


def prune(job: Job) -> None:
    """Without ``.hdf5`` in the name the model is saved and the job fails afterwards."""
    if "output_dir" in job.options:
        Path(job.options["output_dir"]).mkdir(parents=True, exist_ok=True)
        Path(job.options["output_dir"], "model.tlt").write_text("pruned")
        return
    asked = Path(job.options["output_file"])
    target = asked if asked.suffix == ".hdf5" else asked.with_name(asked.name + ".hdf5")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("pruned")
    print("Pruning ratio (pruned model / original model): 0.43", flush=True)
    asked.stat()


def build_engine(job: Job) -> None:
    target = Path(job.options.get("engine_file") or job.results_dir / "model.engine")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("engine")


def write_results(job: Job) -> None:
    """kmeans, calibration_tensorfile, confmat and the like."""
    target = job.options.get("output") or job.options.get("output_path")
    if target:
        Path(target).write_text("tensors")
    if job.action == "kmeans":
        print("Start optimization iteration: 1\n(10.00, 20.00)\n(30.00, 40.00)", flush=True)


PROTO = {
    "dataset_convert": convert_kitti,
    "evaluate": evaluate,
    "inference": infer,
    "export": export,
    "prune": prune,
    "gen_trt_engine": build_engine,
}


def run_yaml(job: Job) -> None:
    """Actions with a YAML spec, in every container that has them."""
    title = lightning.NAMES.get(job.task, job.task)
    if job.action == "default_specs":
        (job.results_dir / "experiment.yaml").write_text("train:\n  num_epochs: 10\n")
        return
    job.status.write("STARTED", f"Starting {title} {job.action}.")
    job.log(f"{job.action.capitalize()} results will be saved at: {job.results_dir}")
    faults.at_start(job)
    if job.generation.family == "pyt" and job.action in ("evaluate", "inference"):
        lightning.require_gpus()
    checkpoint = (
        job.value(f"{job.action}.checkpoint")
        or job.value(f"{job.action}.trt_engine")
        or job.value("quantize.model_path")
    )
    is_output = job.action == "gen_trt_engine"  # its trt_engine is what it writes
    if checkpoint and checkpoint not in ("null", "???") and not is_output:
        job.status.write("RUNNING", f"Loading checkpoint: {checkpoint}")
        Path(checkpoint).stat()
    time.sleep(job.settings.epoch_s())
    if job.settings.fail != "no_artifact":
        write_yaml_results(job)
    faults.in_the_middle(job)
    name = (
        {"evaluate": "Trt_evaluate", "inference": "Trt_inference"}
        if job.generation.family == "deploy"
        else {}
    )
    finished = name.get(job.action, job.action.capitalize())
    job.status.write(job.generation.success, f"{finished} finished successfully.")


def write_yaml_results(job: Job) -> None:
    if job.action == "evaluate":
        precision = measures.precision(4)
        kpi = {"test_mAP": str(precision), "test_mAP50": str(precision)}
        job.status.write("RUNNING", "Test metrics generated.", kpi=kpi)
    elif job.action == "inference":
        infer(job)
    elif job.action == "export":
        target = Path(job.value("export.onnx_file") or job.results_dir / "model.onnx")
        assert not target.exists(), f"Default onnx file {target} already exists"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("onnx")
    elif job.action == "gen_trt_engine":
        target = Path(job.value("gen_trt_engine.trt_engine") or job.results_dir / "model.engine")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("engine")
    elif job.action == "prune":
        threshold = job.value("prune.threshold", "0.1")
        suffix = "tlt" if job.generation.family == "tf2" else "pth"
        (job.results_dir / f"model_th={threshold}_eq=union.{suffix}").write_text("pruned")
    elif job.action in ("dataset_convert", "convert", "merge", "slice", "generate", "augment"):
        (job.results_dir / "converted.json").write_text("{}\n")
    elif job.action == "quantize":
        (job.results_dir / "quantized_model.pth").write_text("quantized")
