"""One action of one task, as the script behind TAO's entrypoint: ``job.py TASK ACTION OPTIONS…``.

Writes what that generation writes, prints what it prints, and fails as ``FAKE_FAIL`` says.
Source: tao/pytorch.md sections 3 and 4, tao/tensorflow.md sections 2.3, 5 and 6.
"""

from __future__ import annotations

import sys
import traceback

import actions
import entry
import generations
import loaders
import nodes
import seen
from context import Job, from_hydra, from_options
from training import keras, lightning, session

SESSION_TASKS = {"detectnet_v2", "bpnet", "fpenet", "unet", "mask_rcnn", "efficientdet_tf1"}


def main(task: str, action: str, words: list[str]) -> int:
    """Gives the job's exit code. An interrupt ends a job well; in TF1 so does SystemExit."""
    generation = generations.current()
    about = entry.tasks()
    if generation.family == "tf1":
        job = from_options(generation, task, action, about["tf"][task]["actions"], words)
    elif about["hydra"].get(task, {}).get("style") == "proto_argparse" and generation.family == "deploy":
        job = from_options(generation, task, action, None, words)
    else:
        job = from_hydra(generation, task, action, words)
    if nodes.rank():
        job = nodes.without_files(job)
    try:
        seen.write(job.top_dir, task, action, job.spec_path)
        work(job)
    except (KeyboardInterrupt, SystemExit) as reason:
        if isinstance(reason, SystemExit) and generation.family != "tf1":
            raise
        old = generation.records_every_failure
        job.status.write(
            "FAILURE", f"{job.title} was interrupted" if old else "User/System interruption: Ctrl-C"
        )
        return 0
    except Exception as error:
        traceback.print_exc()
        record_failure(job, error)
        return 1
    return 0


def work(job: Job) -> None:
    if loaders.is_wanted(job) and job.action in ("dataset_convert", "train"):
        job.status.write("STARTED", f"Starting {job.action}.")
        loaders.read(job)
        if job.action == "dataset_convert":  # it has written records of what it read
            print("Tfrecords generation complete.", flush=True)
            job.status.write(job.generation.success, "Dataset convert finished successfully.")
            return
    if job.action not in ("train", "distill"):
        actions.run(job)
    elif job.generation.family == "pyt":
        lightning.train(job)
    elif job.task in SESSION_TASKS:
        session.train(job)
    else:
        keras.train(job)


def record_failure(job: Job, error: Exception) -> None:
    """The FAILURE line, where this generation writes one for this kind of exception."""
    if job.generation.records_every_failure:
        job.status.write("FAILURE", str(error))
        return
    if isinstance(error, NotImplementedError):
        job.status.write("FAILURE", f"Feature not implemented: {error}")
    elif isinstance(error, (ValueError, TypeError)):
        job.status.write("FAILURE", f"Parameter validation error: {error}")
    elif isinstance(error, OSError):
        job.status.write("FAILURE", f"File system error: {error}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
