"""Selects the schema that the spec of an action is checked against."""

from __future__ import annotations

from collections.abc import Collection

from taorunner.contracts import Contract
from taorunner.specs.memory import SpecMemory
from taorunner.specs.schema.image_schemas import KeptSchemas
from taorunner.specs.schema.schema import Schema, find_schema
from taorunner.specs.schema.walk import Against

_TAO_IMAGES = "nvcr.io/nvidia/tao/tao-toolkit:"


def code_version(contract: Contract) -> str:
    """The version of the code in the image; of an image that is not NVIDIA's, the release it is used for.

    A release ships old images of what did not change. Source: tao/pytorch.md section 6. A fourth number is that of a
    repair (5.2.0.1), which has the keys of what it repairs.
    """
    version = contract.release
    if contract.image is not None and contract.image.startswith(_TAO_IMAGES):
        version = contract.image.removeprefix(_TAO_IMAGES).partition("-")[0]
    return ".".join(version.split(".")[:3])


SPEC_KEYS = "spec keys"
"""The entry of ``unknown`` of an action whose spec has another shape than that of the shipped schema of its network."""


def schema_of(
    contract: Contract, kept: KeptSchemas | None = None, memory: SpecMemory | None = None
) -> Schema | None:
    """The schema read from the image itself, if there is one; else the shipped schema of its version."""
    own = kept.of_image(contract.image) if kept is not None and contract.image is not None else None
    found = own.find(contract.network, contract.action, "") if own is not None else None
    memory = kept.memory if memory is None and kept is not None else memory
    if found is not None or SPEC_KEYS in contract.unknown:
        return found
    return find_schema(contract.network, contract.action, code_version(contract), memory, contract.group)


def schema_for(
    contract: Contract, given: Collection[str] = (), *, missing: bool = True, kept: KeptSchemas | None = None,
    memory: SpecMemory | None = None,
) -> Against | None:  # fmt: skip
    """None when the network has no spec, or no schema is known. ``given``: keys whose values come from elsewhere.

    Without ``missing`` nothing is said of values that the action has to have. ``kept`` are the schemas of images, which
    come before those shipped with taorunner. ``memory`` is that of ``kept`` unless another one is given.
    """
    if contract.spec is None:
        return None
    schema = schema_of(contract, kept, memory)
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
