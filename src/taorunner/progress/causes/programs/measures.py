"""Causes in the computation of metrics: scikit-learn, TorchMetrics, SciPy.

Source: sklearn/metrics/_ranking.py and sklearn/utils/validation.py, torchmetrics/functional.
"""

from __future__ import annotations

from taorunner.progress.causes.cause import Cause, Weight, row

MEASURES: tuple[Cause, ...] = (
    row(
        "one-class-only",
        "Only one class|samples of at least 2 classes|greater than one|o positive samples|o negative samples",
        r"Only one class (?:is )?present in y_true|needs samples of at least 2 classes"
        r"|number of classes has to be greater than one"
        r"|[Nn]o (?:positive|negative) samples in (?:y_true|targets?)",
        "the data of this evaluation hold one class only, and the metric compares two",
        "evaluate on a split that has samples of both classes: check its labels, and the data paths of the spec",
    ),
    row(
        "nothing-to-measure",
        "Found array with 0|Found empty input",
        r"Found (?:array with 0 (?:sample|feature)\(s\)|empty input array)",
        "nothing is there to compute the metric from: no sample of the data, or no prediction",
        "check the data paths of the spec, the labels of this split, and the thresholds for predictions",
    ),
    row(
        "too-few-to-compare",
        "Expected n_neighbors <=|cannot be greater than the number of",
        r"(?P<what>Expected n_neighbors <= n_samples\w{0,5}, but n_neighbors = \d{1,9}, n_samples_fit = \d{1,9}"
        r"|number of splits=?\d{1,9} cannot be greater than the number of [\w ]{1,40})",
        "there are fewer samples to compare with than the metric wants: {what}",
        "give more samples (reference or gallery data) in the data paths of the spec, or a smaller number of "
        "neighbours",
    ),
    row(
        "values-unknown-to-metric",
        "Detected the following values in|Detected more unique values",
        r"(?P<what>Detected the following values in `\w{1,20}`: [^\n]{1,80}? but expected only[^\n]{0,60}"
        r"|Detected more unique values in `\w{1,20}` than[^\n]{1,60})",
        "labels or predictions hold class numbers that the metric does not know: {what}",
        "compare the class numbers in the labels or masks with num_classes and the class mapping of the spec (255 "
        "often means: ignore)",
    ),
    row(
        "numbers-of-samples-differ",
        "inconsistent numbers of samples|have the same shape|same first dimension|same number of samples",
        r"(?P<what>inconsistent numbers of samples: \[[\d, ]{1,40}\]"
        r"|`?preds`? and `?target`? (?:are|should|to) (?:expected to )?have the same "
        r"(?:shape|first dimension)[^\n]{0,80})",
        "labels and predictions of the evaluation do not fit each other in number or size: {what}",
        "compare the labels of this split with its images, and the size of the model's input with that of the masks",
        frame=r"/(?:sklearn|torchmetrics|scipy)/|metric|eval",
    ),
)

MEASURES_IN_GENERAL: tuple[Cause, ...] = (
    row(
        "while-computing-metrics",
        "Error: ",
        r"^(?P<what>(?:[A-Za-z_]\w{0,80}\.){0,8}(?:Value|Runtime|Index|Type|Key)Error: [^\n]{1,240})",
        "the metrics could not be computed: {what}",
        "compare the labels of this split (which classes, how many samples, size of the masks) with the class names "
        "and num_classes of the spec",
        weight=Weight.GENERAL,
        frame=r'File "[^"\n]{0,300}/(?:sklearn/(?:metrics|utils)|torchmetrics)/',
    ),
)
