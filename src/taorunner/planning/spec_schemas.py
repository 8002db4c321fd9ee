"""Which schema is the spec of this action held against, and do the overrides agree with it?"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from taorunner.contracts import Contract
from taorunner.specs.check import flattened
from taorunner.specs.schema import find_schema
from taorunner.specs.schema_check import Against, check_override
from taorunner.specs.schema_values import Misfit

_TAO_IMAGES = "nvcr.io/nvidia/tao/tao-toolkit:"


def code_version(contract: Contract) -> str:
    """The version of the code in the image; of an image that is not NVIDIA's, the release it stands for.

    A release ships old images of what did not change. Source: tao/pytorch.md section 6.
    """
    if contract.image is not None and contract.image.startswith(_TAO_IMAGES):
        return contract.image.removeprefix(_TAO_IMAGES).partition("-")[0]
    return contract.release


def schema_for(contract: Contract, given: Collection[str] = (), *, missing: bool = True) -> Against | None:
    """None when the network has no spec, or no schema is known. ``given``: keys whose values come from elsewhere.

    Without ``missing`` nothing is said of values that the action has to have.
    """
    if contract.spec is None:
        return None
    schema = find_schema(contract.network, contract.action, code_version(contract))
    if schema is None or schema.format != contract.spec.format:
        return None
    if contract.group == "deploy" and schema.format == "yaml" and schema.release.startswith("5."):
        return (
            None  # until 5.5 the deploy container had dataclasses of its own, which are not among the schemas
        )
    by_argument = (
        token.partition("=")[0]
        for argument in contract.arguments
        for token in argument.tokens
        if "=" in token
    )
    action = contract.action if missing else None
    return Against(schema, action, contract.group, frozenset((*by_argument, *given)))


def override_misfits(overrides: Mapping[str, object], against: Against) -> Iterator[tuple[str, Misfit]]:
    """For each override that does not agree with the schema its dotted key. Hydra's ``+key`` and ``~key`` are free."""
    for dotted, value in flattened(overrides):
        if not dotted.startswith(("+", "~")):
            misfit = check_override(dotted, value, against)
            if misfit is not None:
                yield dotted, misfit
