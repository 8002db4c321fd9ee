"""Evaluates predictions against a dataset: reads both, puts them beside each other, and scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from taorunner.datasets.formats.recognise import read_dataset
from taorunner.evaluation.predictions import read_predictions
from taorunner.evaluation.result import Evaluation
from taorunner.evaluation.scoring import score
from taorunner.evaluation.truth import compare, numbers_of


def evaluate_boxes(
    predictions: Path,
    truth: Path,
    *,
    from_: str | None = None,
    split: str | None = None,
    mapped: Mapping[str, str] | None = None,
    since_s: float = 0.0,
    root: Path | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Evaluation:
    """``predictions``: a folder of KITTI labels with scores, or COCO results; ``truth``: a dataset in any format that
    ``dataset convert`` reads. ``mapped``: the class of the truth for classes of predictions.
    ``since_s`` and ``root`` as in ``read_predictions``.

    Raises UserFilesError, with all findings, where one of them cannot be read or no image and no class is in both.
    """
    dataset = read_dataset(truth, from_, progress)
    numbers = None if predictions.is_dir() else numbers_of(dataset)
    read = read_predictions(predictions, numbers, since_s=since_s, root=root)
    compared = compare(dataset, read, split=split, mapped=mapped or {})
    subsets = sorted({image.subset for image in compared.images if image.subset})
    data = {"name": truth.name, "split": split or ("+".join(subsets) or None), "images": len(compared.images)}
    return score(compared, read, data=data)
