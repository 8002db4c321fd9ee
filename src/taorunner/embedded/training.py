"""``train``: gradient descent over the training images, with the same output files as TAO's training.

Order of the status lines: tao/pytorch.md section 3. Random numbers depend only on (seed, epoch, step), so a run that
resumes from a checkpoint ends with the same weights as an uninterrupted one.
"""

from __future__ import annotations

import math
import time
from datetime import timedelta
from pathlib import Path

import numpy as np

from .augmentation import augment
from .checkpoint import LATEST, Checkpoint, Position, load, restore, save
from .console import Progress
from .dataset import Dataset, class_names_in, describe, load_tfrecords
from .evaluation import measure
from .failures import RunFailedError, RunInterruptedError, SpecError
from .loss import assign, detection_loss
from .network import Architecture, Network, Normalisation
from .optimiser import Adam, learning_rate_at
from .run import Run
from .spec import Spec, TrainSpec, normalisation_of, required
from .status_log import RUNNING, STARTED

_VALIDATION_IOU = 0.5


def train(spec: Spec, run: Run) -> None:
    pattern = required(spec.dataset.train_tfrecords, "dataset.train_tfrecords")
    names = spec.dataset.class_names
    if not names:
        names = class_names_in(pattern)
        run.console.line(f"classes, as in the training data: {', '.join(names) or 'none'}")
    architecture = architecture_of(spec, names)
    training = load_tfrecords(pattern, architecture, run)
    run.console.line(f"training data: {describe(training, architecture)}")
    if not any(len(objects.classes) for objects in training.objects):
        seen = ", ".join(sorted(training.ignored)) or "none"
        raise RunFailedError(
            "Parameter validation error",
            f"no object of dataset.class_names in the training data (classes there: {seen})",
        )
    validation = None
    if spec.dataset.val_tfrecords:
        validation = load_tfrecords(spec.dataset.val_tfrecords, architecture, run)
        run.console.line(f"validation data: {describe(validation, architecture)}")
    Training(spec.train, run, architecture, training, validation, normalisation_of(spec.dataset)).fit()


def architecture_of(spec: Spec, names: tuple[str, ...]) -> Architecture:
    """Raises: SpecError when there are no classes, or one of them twice."""
    if not names:
        raise SpecError("there is no class in the training data, and no dataset.class_names in the spec")
    if len({name.lower() for name in names}) < len(names):
        raise SpecError(f'"dataset.class_names" has a name twice: {", ".join(names)} (case does not count)')
    model = spec.model
    return Architecture(model.backbone, model.input_width, model.input_height, names)


class Training:
    """The state of one training: network, optimiser, position."""

    def __init__(
        self,
        spec: TrainSpec,
        run: Run,
        architecture: Architecture,
        training: Dataset,
        validation: Dataset | None,
        normalisation: Normalisation,
    ) -> None:
        self.normalisation = normalisation
        self.spec, self.run, self.architecture = spec, run, architecture
        self.training, self.validation = training, validation
        self.network = Network(architecture, spec.seed)
        self.optimiser = Adam(self.network.parameters())
        self.position = Position()
        self.steps_per_epoch = math.ceil(len(training) / spec.batch_size)
        self._last_epoch_loss: float | None = None
        self._load_weights()

    def fit(self) -> None:
        run, epochs = self.run, self.spec.num_epochs
        weights = sum(value.size for value in self.network.parameters().values())
        run.console.line(
            f"backbone {self.architecture.backbone}: {weights:,} weights, {self.steps_per_epoch} steps an epoch"
        )
        run.status.write(STARTED, "Starting Training Loop.")
        while self.position.epochs_done < epochs:
            self._epoch()
        run.status.write(RUNNING, "Training loop complete.")

    def _epoch(self) -> None:
        run, spec, epoch = self.run, self.spec, self.position.epochs_done
        started = time.monotonic()
        first_step = self.position.epoch_steps
        order = np.random.default_rng([spec.seed, epoch]).permutation(len(self.training))
        progress = Progress(run.console, f"Epoch {epoch}", self.steps_per_epoch, first_step)
        for step in range(first_step, self.steps_per_epoch):
            loss = self._step(epoch, step, order[step * spec.batch_size : (step + 1) * spec.batch_size])
            progress.advance(self._bar_text(loss))
            if run.stop_request.signal_number is not None and step + 1 < self.steps_per_epoch:
                self._save()
                run.stop_if_asked()
        average = self.position.epoch_loss / self.steps_per_epoch
        self._last_epoch_loss = average
        self.position = Position(epoch + 1, 0, self.position.steps)
        self._validate(epoch)
        self._report_epoch(epoch, average, time.monotonic() - started, self.steps_per_epoch - first_step)
        is_last = epoch + 1 == spec.num_epochs
        stopping = run.stop_request.signal_number is not None
        if is_last or stopping or (epoch + 1) % spec.checkpoint_interval == 0:
            self._save()
        if not is_last:
            run.stop_if_asked()

    def _step(self, epoch: int, step: int, chosen: np.ndarray[tuple[int], np.dtype[np.int64]]) -> float:
        spec, position = self.spec, self.position
        random = np.random.default_rng([spec.seed, epoch, step])
        inputs, objects = augment(
            self.training.pictures[chosen], [self.training.objects[index] for index in chosen], random,
            self.normalisation,
        )  # fmt: skip
        rows, columns = self.architecture.rows, self.architecture.columns
        raw = self.network.forward(inputs, training=True)
        loss, gradient = detection_loss(raw, assign(objects, rows, columns), rows, columns)
        if not math.isfinite(loss):
            raise RunFailedError(
                "Parameter validation error",
                f"the loss is {loss} at epoch {epoch}, step {step}; "
                f"try a smaller train.learning_rate than {spec.learning_rate:g}",
            )
        self.network.backward(gradient)
        rate = learning_rate_at(position.steps, spec.num_epochs * self.steps_per_epoch, spec.learning_rate)
        self.optimiser.step(self.network.parameters(), self.network.gradients(), rate)
        self.position = Position(
            position.epochs_done, step + 1, position.steps + 1, position.epoch_loss + loss
        )
        return loss

    def _validate(self, epoch: int) -> None:
        if self.validation is None or (epoch + 1) % self.spec.validation_interval:
            return
        try:
            result = measure(self.network, self.validation, self.normalisation, 16, _VALIDATION_IOU, self.run)
        except RunInterruptedError:
            self._save()
            raise
        self.run.status.kpi = {"val_mAP50": f"{result.mean_average_precision:.4f}", "val_loss": result.loss}
        self.run.status.write(RUNNING, "Eval metrics generated.")

    def _report_epoch(self, epoch: int, average_loss: float, elapsed_s: float, steps: int) -> None:
        run, epochs = self.run, self.spec.num_epochs
        left = epochs - epoch - 1
        epoch_s = elapsed_s / steps * self.steps_per_epoch
        fields: dict[str, str | int] = {
            "epoch": epoch,
            "step": self.position.steps,
            "max_epoch": epochs - 1,
            "max_step": epochs * self.steps_per_epoch,
            "time_per_epoch": str(timedelta(seconds=epoch_s)),
            "time_per_step": str(timedelta(seconds=elapsed_s / steps)),
            "eta": str(timedelta(seconds=epoch_s * left)),
        }
        run.status.write(RUNNING, "Training loop in progress", fields)
        run.status.kpi = {"train_loss": average_loss}
        run.status.write(RUNNING, "Train metrics generated.")

    def _bar_text(self, loss: float) -> str:
        text = f"v_num=1, train_loss_step={loss:.3f}"
        return (
            text if self._last_epoch_loss is None else f"{text}, train_loss_epoch={self._last_epoch_loss:.3f}"
        )

    def _save(self) -> None:
        state = Checkpoint(self.architecture, self.position, self.network.state(), self.optimiser.state())
        save(self.run.folder, state)

    def _load_weights(self) -> None:
        """Loads the checkpoint set in the spec, else the latest in the folder, else pretrained weights if set.

        Source: tao/pytorch.md section 3: the latest checkpoint is used automatically.
        """
        named = self.spec.resume_training_checkpoint_path
        path = Path(named) if named else self.run.folder / LATEST
        if named or path.exists():
            self._resume(path)
        elif self.spec.pretrained_model_path:
            self._start_from(Path(self.spec.pretrained_model_path))

    def _resume(self, path: Path) -> None:
        self.run.status.write(RUNNING, f"Resuming training from checkpoint: {path}")
        self.run.console.line(f"Resuming training from checkpoint: {path}")
        checkpoint = load(path)
        if checkpoint.architecture != self.architecture:
            raise RunFailedError(
                "Parameter validation error",
                f'checkpoint "{path}" is of {checkpoint.architecture}, the spec asks for {self.architecture}; '
                "choose a new results_dir to start again",
            )
        if checkpoint.position.epoch_steps >= self.steps_per_epoch:
            raise RunFailedError(
                "Parameter validation error",
                f'checkpoint "{path}" stopped at step {checkpoint.position.epoch_steps} of an epoch, which now has '
                f"{self.steps_per_epoch}; resume with the batch size and the data it was trained with",
            )
        restore(self.network, checkpoint, path)
        try:
            self.optimiser.load_state(checkpoint.optimiser, checkpoint.position.steps)
        except (KeyError, ValueError) as error:
            raise RunFailedError(
                "Parameter validation error", f'checkpoint "{path}" has no usable optimiser state: {error}'
            ) from error
        self.position = checkpoint.position

    def _start_from(self, path: Path) -> None:
        """Loads the weights whose shape fits; the head for other classes keeps its initial values."""
        known = load(path).network
        state = self.network.state()
        fitting = {
            name: value for name, value in known.items() if name in state and state[name].shape == value.shape
        }
        left_out = sorted(set(state) - set(fitting))
        self.network.load_state(state | fitting)
        self.run.console.line(
            f"pretrained weights: {len(fitting)} of {len(state)} arrays from {path}"
            + (f"; not fitting: {', '.join(left_out)}" if left_out else "")
        )
