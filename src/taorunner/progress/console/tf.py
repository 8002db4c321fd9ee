"""Parses progress and metrics of the TensorFlow families. Source: tao/tensorflow.md section 6."""

from __future__ import annotations

import re

from taorunner.progress.console.family import Follower, Plain, line_pattern
from taorunner.progress.hints import CheckpointHint, Hint, ProgressHint
from taorunner.progress.parsing import read_float, read_int, read_seconds

_SAVING = line_pattern(
    r"Saving checkpoints for (?:step-|epoch-?\s{0,2})(\d{1,12})(?: into ([^\n]{1,400}?))?\.?\s{0,4}\Z"
)
_HOOK = line_pattern(
    r"Epoch (\d{1,9})/(\d{1,9}): loss: (\S{1,40}) learning rate: ([^\n]{1,80}?) Time taken:"
    r" ([^\n]{1,40}?) ETA: ([^\n]{1,60}?)\s{0,4}\Z"
)
_TENSOR = line_pattern(r"(?:^|[ :,])(epoch|step|loss|learning_rate) = ([-+\w.]{1,40})")
_EPOCH_LINE = line_pattern(r"Epoch (\d{1,9})/(\d{1,9})\s{0,8}\Z")
_KERAS_NAMES = {
    "Validation loss": "val_loss",
    "Evaluation Loss": "loss",
    "Evaluation Top K accuracy": "top_k_accuracy",
    "Total Val Loss": "val_loss",
    "Accuracy": "accuracy",
}
_COCO_NAMES = {
    "AP": "mAP",
    "AP50": "mAP50",
    "AP75": "mAP75",
    "mask_AP": "mask_mAP",
    "mask_AP50": "mask_mAP50",
    "mask_AP75": "mask_mAP75",
}


class Keras(Plain):
    """``Epoch 12/80``, then bars; used by the Keras family of TF1 and by TF2."""

    metric_needles = (
        b"AP ", b"mAP@", b"Validation done", b"Validation loss:", b"Accuracy:", b"Evaluation ", b"Total Val Loss:",
        b"Classification Report",
    )  # fmt: skip
    needles = (*Plain.needles, *metric_needles, b"Epoch ", b"] - ", b"/Unknown - ")

    _bar = line_pattern(r"(\d{1,12})/(?:(\d{1,12}) \[[=>.]{1,200}\]|Unknown) - ")
    _done = line_pattern(r"(\d{1,9})s(?: |\Z|(?=Epoch))")
    _pair = line_pattern(r"- ([A-Za-z_][\w ./@]{0,80}): (NUM)")
    _saved = line_pattern(r"Epoch (\d{5,9}): saving model to (\S[^\n]{0,400})")
    _ap = line_pattern(
        r"(?:(\S{1,200}?)\s{0,40})?\b(m?AP)\s{1,40}(NUM)\s{0,40}\Z|(\S{1,200}?)AP\s{1,40}(NUM)\s{0,40}\Z"
    )
    _ap_of_words = line_pattern(r"(\S[^\n:]{0,200}?)\s{0,40}(?<!m)AP {4}(NUM)\s{0,40}\Z")
    """A name with blanks; the columns are 14 and 6 wide."""
    _frcnn_map = line_pattern(r"(mAP@\S{1,40}?)\s{0,40}=\s{0,40}(NUM)")
    _frcnn_head = line_pattern(r"\s{0,8}Class {5,20}AP {5,20}precision {5,20}recall")
    _frcnn_row = line_pattern(
        r"\s{0,40}(\S[^\n]{0,200}?)\s{0,20}(\d\.\d{4}|nan)(?: {14,17}(?:\d\.\d{4}|nan)){2}(?: {14}|\s{0,40}\Z)"
    )
    """Columns of 20; a longer name touches the first value."""
    _report_row = line_pattern(
        r"\s{0,40}(\S[^\n]{0,200}?) {2,40}(\d\.\d\d) {2,20}(\d\.\d\d) {2,20}\d\.\d\d {2,20}\d{1,12}\s{0,8}\Z"
    )
    _report_accuracy = line_pattern(r"\s{0,40}accuracy {2,80}(\d\.\d\d) {2,20}\d{1,12}\s{0,8}\Z")
    _named = line_pattern(
        r"(Validation loss|Evaluation Loss|Evaluation Top K accuracy|Total Val Loss): {0,4}(NUM)"
        r"|(Accuracy): {0,4}\d{1,12} / \d{1,12} {1,8}(NUM)"
    )

    def __init__(self, trains: bool) -> None:
        super().__init__(trains)
        self._epochs: int | None = None
        self._frcnn_rows: list[tuple[str, str]] = []
        self._frcnn_tables = 0

    def read(self, text: str, found: list[Hint]) -> Follower | None:
        if match := self._bar.search(text):
            self._read_bar(match, text[match.end() :], found)
        if match := _EPOCH_LINE.search(text):
            # A TF2 entrypoint prints this on the line of the last bar.
            self._epochs = int(match.group(2)) or None
            self.add_progress(found, ProgressHint(max(1, int(match.group(1))), self._epochs))
        elif match := self._saved.search(text):
            found.append(CheckpointHint(match.group(2).strip(), int(match.group(1))))
        elif "- ETA" not in text:
            return self.read_metric(text, found)
        return None

    def _read_bar(self, match: re.Match[str], rest: str, found: list[Hint]) -> None:
        step = int(match.group(1))
        steps = int(match.group(2)) if match.group(2) else None
        done = self._done.match(rest)
        trains = self.current_epoch is not None
        completed = bool(trains and done and steps is not None and step >= steps)
        if trains or not self.trains:
            self.add_progress(
                found,
                ProgressHint(
                    self.current_epoch or 1,
                    self._epochs if trains else 1,
                    step,
                    steps,
                    completed,
                    float(done.group(1)) if done and completed else None,
                ),
            )
            if not trains:
                self.current_epoch = None
        for name, value in self._pair.findall(rest):
            self.add_metric(name.strip(), value, found, running=not completed)

    def read_metric(self, text: str, found: list[Hint]) -> Follower | None:
        if self._frcnn_head.match(text):
            self._frcnn_rows.clear()
            return self._frcnn_table
        if "Classification Report" in text:
            return self._report
        if "Validation done" in text:
            self._frcnn_tables = 0
        elif match := self._frcnn_map.search(text):
            self._add_frcnn(match.group(1), match.group(2), found)
        elif match := self._named.search(text):
            self.add_metric(
                _KERAS_NAMES[match.group(1) or match.group(3)], match.group(2) or match.group(4), found
            )
        elif match := self._ap.match(text.lstrip()):
            name, kind, value, glued, glued_value = match.groups()
            label = glued or name
            self.add_metric(f"AP/{label}" if label else (kind or "AP"), value or glued_value, found)
        elif match := self._ap_of_words.match(text.lstrip()):
            self.add_metric(f"AP/{match.group(1)}", match.group(2), found)
        else:
            return super().read_metric(text, found)
        return None

    def _frcnn_table(self, text: str, found: list[Hint]) -> bool:
        """Keeps the rows until their threshold is known: with several there is a table for each."""
        if match := self._frcnn_row.match(text):
            self._frcnn_rows.append((match.group(1).rstrip(), match.group(2)))
        return "mAP@" not in text and "Validation done" not in text

    def _add_frcnn(self, name: str, value: str, found: list[Hint]) -> None:
        kind = name.removeprefix("m") if self._frcnn_tables else "AP"
        for label, ap in self._frcnn_rows:
            self.add_metric(f"{kind}/{label}", ap, found)
        self._frcnn_tables = 0 if "[" in name else self._frcnn_tables + 1
        self._frcnn_rows.clear()
        self.add_metric(name, value, found)

    def _report(self, text: str, found: list[Hint]) -> bool:
        """Reads scikit-learn's report: precision and recall of each class, and the accuracy."""
        if match := self._report_accuracy.match(text):
            self.add_metric("accuracy", match.group(1), found)
        elif (match := self._report_row.match(text)) and " avg" not in match.group(1):
            self.add_metric(f"precision/{match.group(1)}", match.group(2), found)
            self.add_metric(f"recall/{match.group(1)}", match.group(3), found)
        return "weighted avg" not in text


class SessionHook(Plain):
    """detectnet_v2, bpnet, fpenet: a line per epoch at its first step, tensors every few seconds."""

    metric_needles = (b"Mean average_precision", b"Validation cost")
    needles = (
        *Plain.needles, *metric_needles, b"Epoch ", b"step = ", b"epoch = ", b"Saving checkpoints for",
    )  # fmt: skip

    _map = line_pattern(r"Mean average_precision \(in %\): (NUM)")
    _cost = line_pattern(r"Validation cost: (NUM)")
    _plain_rule = line_pattern(r"-{3,200} {2}(?=-{3,40}\s{0,8}\Z)")
    """Before 5.0 the table has no bars: the rule below its head shows where the second column begins."""
    _row = line_pattern(r"\s{0,8}\|\s{0,40}([^|\s][^|\n]{0,200}?)\s{0,40}\|\s{0,40}(NUM)\s{0,40}\|\s{0,8}\Z")

    def __init__(self, trains: bool) -> None:
        super().__init__(trains)
        self._epochs: int | None = None
        self._plain_column = 0

    def read(self, text: str, found: list[Hint]) -> Follower | None:
        if match := _HOOK.search(text):
            self._read_hook(match, found)
        elif match := _EPOCH_LINE.search(text):
            # Not progress: validation prints its epoch in this form.
            self.metric_epoch = int(match.group(1))
        elif match := _SAVING.search(text):
            found.append(CheckpointHint(match.group(2), None, int(match.group(1))))
        elif "step = " in text or "epoch = " in text:
            self._read_tensors(dict(_TENSOR.findall(text)), found)
        else:
            return self.read_metric(text, found)
        return None

    def read_metric(self, text: str, found: list[Hint]) -> Follower | None:
        if match := self._map.search(text):
            self.add_metric("mAP", match.group(1), found, 0.01)
            return self._table
        if match := self._cost.search(text):
            self.add_metric("validation_cost", match.group(1), found)
            return None
        return super().read_metric(text, found)

    def _read_hook(self, match: re.Match[str], found: list[Hint]) -> None:
        self.metric_epoch = None
        done, self._epochs = int(match.group(1)), int(match.group(2)) or None
        eta_s, took_s = read_seconds(match.group(6)), read_seconds(match.group(5))
        if done:
            self.add_progress(
                found, ProgressHint(done, self._epochs, completed=True, epoch_s=took_s, eta_s=eta_s)
            )
            self.add_metric("loss", match.group(3), found)
        if self._epochs is None or done < self._epochs:
            self.add_progress(found, ProgressHint(done + 1, self._epochs, eta_s=eta_s))

    def _read_tensors(self, values: dict[str, str], found: list[Hint]) -> None:
        whole = read_float(values.get("epoch"))
        step = read_int(values.get("step"))
        if whole is not None and 0 <= whole <= 10**9:
            self.add_progress(found, _in_epochs(whole, step, self._epochs))
            if "loss" in values:
                self.add_metric("loss", values["loss"], found, running=True)

    def _table(self, text: str, found: list[Hint]) -> bool:
        if match := self._row.match(text):
            self.add_metric(f"AP/{match.group(1)}", match.group(2), found, 0.01)
        elif match := self._plain_rule.match(text):
            self._plain_column = match.end()
        elif (column := self._plain_column) and text[column - 2 : column] == "  " and text[column:].strip():
            self.add_metric(f"AP/{text[:column].strip()}", text[column:].strip(), found, 0.01)
        else:
            self._plain_column = 0
        return "Median Inference Time" not in text and "Epoch " not in text


class TfStep(Plain):
    """mask_rcnn and efficientdet_tf1: ``Global step 120 (epoch 1/10)``, counted over the whole training."""

    metric_needles = (b"AP: ", b"AP50: ", b"AP75: ")
    needles = (*Plain.needles, *metric_needles, b"Global step ", b"Epoch ", b"Saving checkpoints for")

    _step = line_pattern(r"Global step (\d{1,12}) \(epoch (\d{1,9})/(\d{1,9})\): (?:total )?loss: (NUM)")
    _logged = line_pattern(r"(?:^|[\s:])((?:mask_)?A[PR]\w{0,10}): {0,4}(NUM)\s{0,8}\Z")

    def read(self, text: str, found: list[Hint]) -> Follower | None:
        if match := self._step.search(text):
            epochs = int(match.group(3)) or None
            self.add_progress(found, ProgressHint(max(1, int(match.group(2))), epochs))
            self.add_metric("loss", match.group(4), found, running=True)
        elif match := _HOOK.search(text):
            hint = ProgressHint(
                max(1, int(match.group(1))), int(match.group(2)) or None, completed=True,
                epoch_s=read_seconds(match.group(5)), eta_s=read_seconds(match.group(6)),
            )  # fmt: skip
            self.add_progress(found, hint)
            self.add_metric("loss", match.group(3), found)
        elif match := _SAVING.search(text):
            numbered = "for epoch" in text
            number = int(match.group(1))
            found.append(
                CheckpointHint(match.group(2), number if numbered else None, None if numbered else number)
            )
        else:
            return self.read_metric(text, found)
        return None

    def read_metric(self, text: str, found: list[Hint]) -> Follower | None:
        if match := self._logged.search(text):
            self.add_metric(_COCO_NAMES.get(match.group(1), match.group(1)), match.group(2), found)
            return None
        return super().read_metric(text, found)


class Unet(Plain):
    """``Epoch: 1.250000/50:, Cur-Step: 100, …``: a fraction counted from 0, seconds as plain numbers."""

    metric_needles = (b"Recall", b"Precision", b"F1 score", b"Mean IOU")
    needles = (
        *Plain.needles, *metric_needles, b"Cur-Step: ", b"Saving checkpoints for",
        b"Saving the final step model to ",
    )  # fmt: skip

    _step = line_pattern(
        r"Epoch: ([\d.]{1,30})/(\d{1,9}):, Cur-Step: (\d{1,12}), loss\([^)\n]{0,80}\): (\S{1,40}?),"
        r" Running average loss:(\S{1,40}?),"
        r" Time taken: (\S{1,40}) ETA: (\S{1,40})"
    )
    _final = line_pattern(r"Saving the final step model to (\S[^\n]{0,400})")
    _named = line_pattern(r"(?:^|[\s:])(Recall|Precision|F1 score|Mean IOU) ?: {0,4}(NUM)\s{0,8}\Z")

    def read(self, text: str, found: list[Hint]) -> Follower | None:
        if match := self._step.search(text):
            whole = read_float(match.group(1))
            if whole is not None:
                hint = _in_epochs(
                    whole, int(match.group(3)), int(match.group(2)) or None, read_seconds(match.group(7))
                )
                self.add_progress(found, hint)
            self.add_metric("loss", match.group(4), found, running=True)
        elif match := _SAVING.search(text):
            found.append(CheckpointHint(match.group(2), None, int(match.group(1))))
        elif match := self._final.search(text):
            found.append(CheckpointHint(match.group(1).strip().rstrip("."), None))
        else:
            return self.read_metric(text, found)
        return None

    def read_metric(self, text: str, found: list[Hint]) -> Follower | None:
        if match := self._named.search(text):
            self.add_metric(match.group(1).lower().replace(" ", "_"), match.group(2), found)
            return None
        return super().read_metric(text, found)


def _in_epochs(
    whole: float, step: int | None, epochs: int | None, eta_s: float | None = None
) -> ProgressHint:
    """Progress after ``whole`` epochs (1.25: a quarter of the second epoch), with its step if it can be computed."""
    base = int(whole)
    per_epoch = round(step / whole) if step and whole > 0 else None
    inside = max(0, min(step - base * per_epoch, per_epoch)) if step is not None and per_epoch else None
    if epochs is not None and base >= epochs:
        return ProgressHint(epochs, epochs, per_epoch, per_epoch, eta_s=eta_s)
    return ProgressHint(base + 1, epochs, inside, per_epoch if inside is not None else None, eta_s=eta_s)
