"""Explains one spec key: its type and meaning in TAO, and the value that an experiment sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from taorunner.catalog.network import Network
from taorunner.contracts import Contract
from taorunner.errors import UsageError, UserFilesError
from taorunner.planning.inspect.resolved_spec import SpecValue, find_experiment, shown_spec, spec_contract
from taorunner.planning.model.request import ActionRequest
from taorunner.planning.spec.schema_choice import code_version, schema_of
from taorunner.project.experiments import Experiment
from taorunner.project.load import load_project
from taorunner.project.workspace import Workspace
from taorunner.specs.schema.image_schemas import KeptSchemas
from taorunner.specs.schema.lookup import KeyFacts, key_facts, nearest_keys
from taorunner.specs.schema.schema import Schema, shipped_schemas
from taorunner.specs.syntax.key_paths import dotted, steps_without_indices
from taorunner.text import printable


@dataclass(frozen=True, slots=True)
class ExplainedKey:
    """``version`` is the code version of the schema.

    ``values`` are those of the experiment at and below the key, None where no experiment was asked for; ``problem``
    says why they are not known.
    """

    facts: KeyFacts
    network: str
    action: str
    release: str
    version: str
    experiment: str | None = None
    values: tuple[SpecValue, ...] | None = None
    problem: str | None = None


def explain_for_network(
    network: Network, key: str, action: str, release: str | None, kept: KeptSchemas | None
) -> ExplainedKey:
    """Raises UserFilesError where no schema is known, UsageError for a key that it does not have."""
    no_experiment = Experiment(name="", head=network.name, dataset="")
    contract = spec_contract(network, no_experiment, ActionRequest(action, (), release=release))
    schema, version = _schema(contract, kept)
    return ExplainedKey(_facts(schema, key), network.name, contract.action, contract.release, version)


def explain_for_experiment(
    workspace: Workspace,
    project: str,
    name: str,
    key: str,
    request: ActionRequest,
    environ: Mapping[str, str],
) -> ExplainedKey:
    """As above, with the values of the experiment. The key is explained even if the spec cannot be rendered."""
    experiment, network = find_experiment(workspace, load_project(workspace, project), name)
    contract = spec_contract(network, experiment, request)
    schema, version = _schema(contract, KeptSchemas(workspace.spec_schemas_dir))
    facts = _facts(schema, key)
    values: tuple[SpecValue, ...] = ()
    problem = None
    try:
        shown = shown_spec(workspace, project, experiment.name, request, environ)
    except UserFilesError as error:
        count = len([finding for finding in error.findings if finding.is_error])
        problem = f"{error.message} ({count} errors; taorunner specs show {experiment.name} lists them)"
    else:
        values = tuple(value for value in shown.values if _is_within(value.key, dotted(key)))
    return ExplainedKey(
        facts, network.name, contract.action, contract.release, version, experiment.name, values, problem
    )


def _schema(contract: Contract, kept: KeptSchemas | None) -> tuple[Schema, str]:
    version = code_version(contract)
    schema = schema_of(contract, kept)
    if schema is None:
        versions = shipped_schemas().versions(contract.network, contract.action)
        known = f"known: {', '.join(versions)}; choose one with --release" if versions else None
        raise UserFilesError(
            f'no schema is known for the spec of "{contract.network}" {contract.action} in {version}',
            hint=known,
        )
    return schema, version


def _facts(schema: Schema, key: str) -> KeyFacts:
    facts = key_facts(schema, key)
    if facts is not None:
        return facts
    path = steps_without_indices(key)
    message = f'the spec of "{schema.name}" has no key "{printable(key)[:100]}" in {schema.release}'
    other = schema.elsewhere(path)
    close = nearest_keys(schema, key)
    if other is not None:
        raise UsageError(f"{message} ({other})", hint="choose another release with --release")
    hint = f"did you mean {' or '.join(close)}?" if close else "without a key it lists the sections"
    raise UsageError(message, hint=hint)


def _is_within(key: str, wanted: str) -> bool:
    """At or below ``wanted``, whose indices may be left out."""
    if not wanted:
        return True
    if key == wanted or key.startswith(f"{wanted}."):
        return True
    path, below = steps_without_indices(wanted), steps_without_indices(key)
    return path == tuple(wanted.split(".")) and below[: len(path)] == path
