"""Which boxes of which images a model has to give: those that the newest inference wrote. Only reads."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from taorunner.catalog.knobs import choices_of
from taorunner.errors import TaorunnerError
from taorunner.evaluation.predictions import Predictions, Written, read_predictions
from taorunner.handover.check import Box, missing_packages
from taorunner.handover.model import Contents
from taorunner.handover.sources import Sources, images_read, set_values
from taorunner.runs.inputs.run_lock import read_lock
from taorunner.runs.outputs.host_evaluation import written_between
from taorunner.runs.outputs.scan import results_folder
from taorunner.values.value import Value

if TYPE_CHECKING:
    from taorunner.runs.state.store import RunStore

_IMAGES = 8
_MIN_SCORE = "min_score"


class Truth(Value):
    """``boxes`` by image, of a score of ``lowest`` at least. Without ``boxes``: ``missing`` says what is missing, and
    ``command`` what to type for it, without ``taorunner -p PROJECT``; both may be of the installation."""

    boxes: dict[Path, tuple[Box, ...]]
    lowest: float = 0.0
    missing: str = ""
    command: str = ""


def truth_for(store: RunStore, workspace: Path, sources: Sources, contents: Contents) -> Truth:
    facts, experiment = contents.facts, sources.export.experiment
    if facts is None or facts.reads is None:
        return Truth({}, missing=f"boxes of {contents.network} are not read from a model's outputs here")
    if contents.size is None:
        return Truth({}, missing="the model's input has no fixed size")
    lacking = missing_packages()
    if lacking is not None:
        return Truth({}, missing=lacking, command="pip install 'taorunner[handover]'")
    infer = f"inference {experiment}"
    if sources.inference is None:
        return Truth({}, missing="there is no inference to compare with", command=infer)
    if not _same_checkpoint(store, sources):
        return Truth(
            {}, missing="the newest inference read another checkpoint than the export", command=infer
        )
    record = sources.inference
    plan = store.load_plan(record.id)
    try:
        since_s, until_s = written_between(store, record)
        found = read_predictions(results_folder(plan), written=Written(plan.results_dir, since_s, until_s))
    except TaorunnerError as error:
        return Truth({}, missing=f"the labels of the newest inference cannot be used: {error}", command=infer)
    values = set_values(read_lock(store, record.id))
    keys = [key for choice in choices_of(plan.contract, _MIN_SCORE) for key in choice.keys]
    said = next((value for key in keys if isinstance(value := values.get(key), (int, float))), None)
    lowest = float(said) if said is not None else min(found.scores, default=0.0)
    boxes = _chosen(found, images_read(store, workspace, record))
    if not boxes:
        return Truth(
            {}, missing="the images of the newest inference are not there as they were", command=infer
        )
    return Truth(boxes, lowest)


def _same_checkpoint(store: RunStore, sources: Sources) -> bool:
    """By digests where both are on record, else by paths. Without a record of what was read they may be the same."""
    inference = read_lock(store, sources.inference.id) if sources.inference is not None else None
    if sources.lock is None or inference is None or not sources.lock.weights or not inference.weights:
        return True
    hashes = [{one.sha256 for one in lock.weights} for lock in (sources.lock, inference)]
    if None not in hashes[0] | hashes[1]:
        return bool(hashes[0] & hashes[1])
    return bool({one.path for one in sources.lock.weights} & {one.path for one in inference.weights})


def _chosen(found: Predictions, images: Iterable[Path]) -> dict[Path, tuple[Box, ...]]:
    """The first images in the order of their names that have boxes; two images of one stem share a file, and count for
    none."""
    by_key: dict[str, list[Box]] = defaultdict(list)
    for row, (image, name) in enumerate(zip(found.image, found.name, strict=True)):
        x_min, y_min, x_max, y_max = (column[row] for column in found.corners)
        by_key[found.keys[image]].append(
            Box(found.names[name], (x_min, y_min, x_max, y_max), found.scores[row])
        )
    paths = sorted(images)
    stems = Counter(path.stem for path in paths)
    known = [path for path in paths if stems[path.stem] == 1 and path.stem in by_key]
    return {path: tuple(by_key[path.stem]) for path in known[:_IMAGES]}
