"""Rules for numbers of images that a spec states and TAO believes. One function per rule, without places.

Source: tao/tensorflow.md section 4.1, NVIDIA/tao_tensorflow2_backend cv/efficientdet/scripts/train.py (the steps of an
epoch, the points of the learning rate and the steps of a validation are computed from them).
"""

from __future__ import annotations

from collections.abc import Iterator

from taorunner.catalog.layouts import ComputedValue
from taorunner.errors import Severity
from taorunner.planning.checks.training_facts import Fault, Rule, Training
from taorunner.text import amount, printable

_PATTERNS = (
    "dataset.train_tfrecords",
    "dataset_config.training_file_pattern",
    "data_config.training_file_pattern",
)


def stated_images(training: Training) -> Iterator[Fault]:
    """One warning for each number that is not that of the annotations: of the training any other one, of the validation
    a larger one. Nothing where the records may be of other annotations."""
    layout, spec = training.layout, training.spec
    for row in layout.computed if layout is not None else ():
        is_trained = row.value is ComputedValue.TRAIN_IMAGES
        stated = spec.number(row.keys[0]) if is_trained or row.value is ComputedValue.VAL_IMAGES else None
        if layout is None or stated is None:
            continue
        file = _trained(training) if is_trained else spec.path(layout.reads.get("val", "-"))
        images = training.data.listed_images(file) if file is not None else None
        if not images or file is None or stated == images or (not is_trained and stated < images):
            continue
        name = printable("/".join(file.split("/")[-2:]))
        effect = "an epoch is not the whole data" if is_trained else "some are validated more than once"
        message = f'"{row.keys[0]}" is {stated:g}, and {name} has {amount(images, "image")}: {effect}'
        hint = training.refreshed(row.keys[0], f"set it to {images}")
        yield Fault(Severity.WARNING, "examples-differ", message, hint, row.keys[0])


RULES: tuple[Rule, ...] = (stated_images,)


def _trained(training: Training) -> str | None:
    """The annotations that the experiment converts, where the records that train have the name that they give."""
    converted, variables = training.convert, training.spec.variables
    tag = None
    if converted is not None:
        file = converted.spec.path("dataset_convert.annotations_file")
        tag = converted.spec.text("dataset_convert.tag")
    else:
        named = variables.get("annotations_file") if variables.is_host_path("annotations_file") else None
        file = named if isinstance(named, str) else None
    patterns = [text for key in _PATTERNS for text in training.spec.texts(key) or ()]
    if file is None or len(patterns) != 1:
        return None
    name, (folder, stem) = patterns[0].rpartition("/")[2], file.rpartition(".")[0].split("/")[-2:]
    return file if any(one and name.startswith(one) for one in ((tag,) if tag else (folder, stem))) else None
