"""Parses progress and metrics of the PyTorch families. Source: tao/pytorch.md section 4."""

from __future__ import annotations

from taorunner.progress.console.family import Follower, Plain, line_pattern
from taorunner.progress.hints import CheckpointHint, Hint, ProgressHint
from taorunner.progress.parsing import read_seconds

_TQDM = line_pattern(
    r"(Epoch (\d{1,9})|Testing|Testing DataLoader \d{1,4}|Predicting|Predicting DataLoader"
    r" \d{1,4}|epochs|train): {0,4}"
    r"(?:\d{1,3}%)? ?\|[^|\n]{0,400}\| {0,12}(\d{1,12})/(\d{1,12}|\?) \[([^\]\n]{0,2000})"
)
_COMPARED = ("test_acc", "test_fnr", "test_fpr", "defect_acc")
_POSTFIX = line_pattern(r"[ ,]([A-Za-z_][\w/.-]{0,80})=(NUM)")
_COLON_PAIR = line_pattern(r"(?:^|[\s])([A-Za-z_][\w./@-]{0,120}): {1,4}(NUM)(?![\w:])")


class Lightning(Plain):
    """tqdm bars of PyTorch Lightning, epochs counted from 0; Rich bars if rich is installed."""

    metric_needles = (
        b"DataLoader 0", b"test_", b"Accuracy: ", b"Precision: ", b"Recall: ", b"Hmean: ", b"Tot Comp ",
        b"CMC curve, Rank-", "│ mAP ".encode(),
    )  # fmt: skip
    needles = (*Plain.needles, *metric_needles, b"%|", b"/? [", "━".encode(), b"saving model to '")

    reads_coco = False
    """pycocotools also prints a summary of the sanity check; status.json has the real values under their names."""

    _rich = line_pattern(
        r"(Epoch (\d{1,9})/(\d{1,9})|Testing|Predicting) {1,8}[━╸╺╴╶ ]{1,200}(\d{1,12})/(\d{1,12})"
        r" ([^\n]{0,400})"
    )
    _best = line_pattern(
        r"Epoch (\d{1,9}), global step \d{1,12}: [^\n]{0,300}saving model to '([^'\n]{1,400})'"
    )
    _results = line_pattern(r"┃\s{0,200}[\w.]{1,60} metric\s{0,200}┃\s{0,200}DataLoader 0\s{0,200}┃\s{0,8}\Z")
    _result = line_pattern(
        r"\s{0,8}│\s{0,200}([A-Za-z][\w/.@ -]{0,100}?)\s{0,200}│\s{0,200}(NUM)\s{0,200}│\s{0,8}\Z"
    )
    _line = line_pattern(r"\s{0,8}(Accuracy|Precision|Recall|Hmean): {1,8}(NUM)\s{0,8}\Z")
    """The results of ocrnet and ocdnet, which before 6.0 are only printed."""
    _compared = line_pattern(
        r"Tot Comp \d{1,12} Total Accuracy (NUM) False Negative (NUM) False Alarm (NUM) Defect Correctly Captured (NUM)"
    )
    """optical_inspection and visual_changenet, which before 5.5 only print it. Source: tao_pytorch_backend v5.0.0
    cv/optical_inspection/scripts/evaluate.py; the names are those of status.json in 5.5 and later."""
    _ranked = line_pattern(
        r"\s{0,8}│ (?:mAP|CMC curve, Rank-(\d{1,4}))\s{0,80}│\s{0,80}(NUM)%\s{0,80}│\s{0,8}\Z"
    )
    """re_identification, whose status.json has the mAP alone, with one decimal. Source: tao-pytorch 7.0.1
    cv/re_identification/model/pl_reid_model.py, on_test_epoch_end."""
    _bare = line_pattern(r"\s{1,80}(test_[\w/.@-]{1,100})\s{1,80}(NUM)\s{0,80}\Z")

    def read(self, text: str, found: list[Hint]) -> Follower | None:
        bars = False
        for bar in _TQDM.finditer(text):
            bars = True
            self._bar(bar.group(2), None, bar.group(3), bar.group(4), bar.group(5), found, "=")
        for bar in self._rich.finditer(text) if "━" in text else ():
            bars = True
            self._bar(bar.group(2), bar.group(3), bar.group(4), bar.group(5), bar.group(6), found, ":")
        if bars:
            return None
        if match := self._best.search(text):
            found.append(CheckpointHint(match.group(2), int(match.group(1)) + 1))
            return None
        return self.read_metric(text, found)

    def read_metric(self, text: str, found: list[Hint]) -> Follower | None:
        if "┃" in text and self._results.search(text):
            return self._table
        if (line := self._line.match(text)) and not self.trains:
            self.add_metric(line.group(1).lower(), line.group(2), found)
            return None
        if "Tot Comp " in text and (compared := self._compared.search(text)) and not self.trains:
            for name, value in zip(_COMPARED, compared.groups(), strict=True):
                self.add_metric(name, value, found)
            return None
        if "│ " in text and (ranked := self._ranked.match(text)) and not self.trains:
            name = f"cmc_rank_{ranked.group(1)}" if ranked.group(1) else "mAP"
            self.add_metric(name, ranked.group(2), found, 0.01)
            return None
        if bare := self._bare.match(text):
            self.add_metric(bare.group(1), bare.group(2), found)
            return None
        return super().read_metric(text, found)

    def _table(self, text: str, found: list[Hint]) -> bool:
        """Reads a row of two columns, name and value. Tables of layers and of the dataset have another head."""
        if match := self._result.match(text):
            self.add_metric(match.group(1), match.group(2), found)
        return "└" not in text and "┏" not in text

    def _bar(
        self,
        epoch: str | None,
        last: str | None,
        step: str,
        steps: str,
        rest: str,
        found: list[Hint],
        sign: str,
    ) -> None:
        total = None if steps == "?" else int(steps)
        if epoch is None:
            if not self.trains:
                found.append(ProgressHint(1, 1, int(step), total))
            return
        self.add_progress(
            found, ProgressHint(int(epoch) + 1, int(last) + 1 if last else None, int(step), total)
        )
        for name, value in (_POSTFIX if sign == "=" else _COLON_PAIR).findall(rest):
            # An epoch value here is of the previous epoch; status.json has it in time.
            if name != "v_num" and not name.endswith("_epoch"):
                self.add_metric(name.removesuffix("_step"), value, found, running=True)


class MmEngine(Plain):
    """bevfusion: ``Epoch(train) [e][i/n] lr: … eta: … loss: …``; mmcls of 5.0 to 5.5: ``Epoch [e][i/n]``."""

    needles = (*Plain.needles, b"Epoch(", b"Epoch [", b"Saving checkpoint at")

    _line = line_pattern(
        r"Epoch(?:\((train|val|test)\))?\s{1,8}(?:\[\s{0,8}(\d{1,9})\s{0,8}\])?"
        r"\[\s{0,12}(\d{1,12})(?:/\s{0,12}(\d{1,12}))?\]\s{0,8}([^\n]{0,4000})"
    )
    _eta = line_pattern(r"\beta: ((?:\d{1,5} days?, )?\d{1,9}:\d\d:\d\d)")
    _save = line_pattern(r"Saving checkpoint at (\d{1,9}) (epochs|iterations)")
    _noise = frozenset({"lr", "base_lr", "eta", "time", "data_time", "memory", "grad_norm"})

    def read(self, text: str, found: list[Hint]) -> Follower | None:
        if match := self._line.search(text):
            kind, epoch, step, steps, rest = match.groups()
            pairs = [(name, value) for name, value in _COLON_PAIR.findall(rest) if name not in self._noise]
            if kind in ("train", None):
                if not epoch or not steps:
                    return None
                eta = self._eta.search(rest)
                eta_s = read_seconds(eta.group(1)) if eta else None
                self.add_progress(
                    found, ProgressHint(max(1, int(epoch)), None, int(step), int(steps), eta_s=eta_s)
                )
                for name, value in pairs:
                    self.add_metric(name, value, found, running=True)
            else:
                if not self.trains and steps:
                    found.append(ProgressHint(1, 1, int(step), int(steps)))
                for name, value in pairs:
                    self.add_metric(name, value, found)
        elif match := self._save.search(text):
            number = int(match.group(1))
            epochs = match.group(2) == "epochs"
            found.append(CheckpointHint(None, number if epochs else None, None if epochs else number))
        else:
            super().read(text, found)
        return None


class PointPillars(Plain):
    """Nested tqdm bars: ``epochs:`` counts completed epochs, ``train:`` the steps of the current one."""

    needles = (*Plain.needles, b"epochs:", b"train:")

    def __init__(self, trains: bool) -> None:
        super().__init__(trains)
        self._epochs: int | None = None

    def read(self, text: str, found: list[Hint]) -> Follower | None:
        seen = False
        for match in _TQDM.finditer(text):
            seen = True
            name, _, count, total, rest = match.groups()
            if name == "epochs":
                self._outer(int(count), None if total == "?" else int(total), found)
            elif name == "train":
                steps = None if total == "?" else int(total)
                self.add_progress(
                    found, ProgressHint(self.current_epoch or 1, self._epochs, int(count), steps)
                )
            for key, value in _POSTFIX.findall(rest):
                if key == "loss":
                    self.add_metric(key, value, found, running=True)
        if not seen:
            super().read(text, found)
        return None

    def _outer(self, done: int, epochs: int | None, found: list[Hint]) -> None:
        self._epochs = epochs
        if done:
            self.add_progress(found, ProgressHint(done, epochs, completed=True))
        if epochs is None or done < epochs:
            self.add_progress(found, ProgressHint(done + 1, epochs))
