"""``--epochs``, ``--batch-size``, ``--lr``, ``--seed`` and ``--min-score``: which keys of a spec each becomes. Pure.

The keys are data of the catalog (``spec.knobs`` of a layer); those of epochs, and of the batch size of a training, are
the roles of the same name in ``spec.keys``.
"""

from __future__ import annotations

import re

from taorunner.contracts import TRAININGS, Contract
from taorunner.values.value import Value

KNOBS = {
    "epochs": ("--epochs", "the number of epochs"),
    "batch_size": ("--batch-size", "the batch size"),
    "lr": ("--lr", "the learning rate"),
    "seed": ("--seed", "the seed"),
    "min_score": ("--min-score", "the lowest score of what is found"),
}
"""Each knob with its option and what it sets."""
OF_TRAINING = ("epochs", "lr", "seed")
"""Those that only a training has."""

_CHOICE = re.compile(r"(?P<keys>\S+(?: \S+)*?)(?P<total> of all GPUs)?(?: if (?P<key>\S+)=(?P<value>\S+))?\Z")
_WORDS = {"if", "of"}
_KEY = re.compile(r"[A-Za-z_][\w-]*(?:\.[\w-]+)*\Z")


class KnobKeys(Value):
    """One choice of keys. The first gets the value; the others get the same, of ``lr`` in their proportion to it.

    ``when`` is a key of the spec and the value with which this choice is the one that TAO reads. ``is_total``: the key
    counts the images of all GPUs together.
    """

    keys: tuple[str, ...]
    when: tuple[str, str] | None = None
    is_total: bool = False


def parse_knob(text: str) -> tuple[KnobKeys, ...]:
    """The choices of ``a.lr a.lr_backbone | b.lr if task=b`` or ``dataset.batch_size of all GPUs``.

    Of several, that one counts whose condition holds or whose keys are in the spec; else the first.

    Raises:
        ValueError: the text has another form.
    """
    found = []
    for part in " ".join(text.split()).split(" | "):
        match = _CHOICE.match(part)
        keys = tuple(match["keys"].split()) if match is not None else ()
        if match is None or not all(map(_KEY.match, keys)) or _WORDS & set(keys):
            raise ValueError(f'"{part}" names no keys of a spec')
        when = (match["key"], match["value"]) if match["key"] else None
        found.append(KnobKeys(keys, when, match["total"] is not None))
    return tuple(found)


def choices_of(contract: Contract, knob: str) -> tuple[KnobKeys, ...]:
    """The choices of keys for a knob; none where the action reads no such value from its spec."""
    spec = contract.spec
    if spec is None:
        return ()
    text = spec.knobs.get(knob)
    if text is None and contract.action in TRAININGS and knob in ("epochs", "batch_size"):
        text = spec.keys.get(knob)
    return () if text is None else parse_knob(text)
