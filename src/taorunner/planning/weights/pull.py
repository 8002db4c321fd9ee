"""Pulls the weights that a new experiment starts from, as far as a guest or a key may. Never a failure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from taorunner.errors import TaorunnerError
from taorunner.planning.checkpoints.checkpoint_files import pretrained_dir
from taorunner.planning.weights.choice import StartWeights
from taorunner.pretrained.api_key import find_key
from taorunner.pretrained.http import Patience, Wire
from taorunner.pretrained.huggingface import pull_hub_model
from taorunner.pretrained.names import HubModel, parse_model
from taorunner.pretrained.ngc import KeyNeededError, Ngc
from taorunner.pretrained.pull import Watcher, pull_files
from taorunner.project.workspace import Workspace
from taorunner.text import size

_TRIES = 2


@dataclass(frozen=True, slots=True)
class StartPull:
    """``folder`` is None where the weights were not pulled; ``says`` then has the reason."""

    folder: Path | None
    says: str


def pull_start_weights(
    weights: StartWeights,
    workspace: Workspace,
    watcher: Watcher,
    environ: Mapping[str, str],
    home: Path,
    *,
    jobs: int = 4,
) -> StartPull:
    """Pulls into ``repositories/`` what is not there. ``home`` may hold NGC's file with a key; nothing is asked.

    Ctrl-C is passed on; what was downloaded is kept for the next pull.
    """
    folder = pretrained_dir(workspace.repositories_dir, weights.repository, weights.version)
    if folder.is_dir():
        return StartPull(folder, f"{weights.model}, already present")
    model = parse_model(weights.model)
    try:
        if isinstance(model, HubModel):
            watcher.tells(f"pulling {weights.model} from Hugging Face")
            pulled = pull_hub_model(model, folder, watcher, environ)
        else:
            wire = Wire(Patience(_TRIES, tell=watcher.tells), connections=jobs)
            with Ngc(wire, environ, lambda: find_key(environ, home)) as ngc:
                files = ngc.files(model)
                pulled = pull_files(weights.model, files, folder, ngc.addresses(model), wire, watcher, jobs)
    except KeyNeededError:
        return StartPull(None, _not_pulled(weights, "needs an NGC key"))
    except (TaorunnerError, OSError) as error:
        reason = error.message if isinstance(error, TaorunnerError) else str(error)
        return StartPull(None, _not_pulled(weights, f"could not be fetched ({reason})"))
    return StartPull(folder, f"{weights.model}, pulled, {size(sum(file.size for file in pulled.files))}")


def _not_pulled(weights: StartWeights, why: str) -> str:
    return f"{weights.model} {why}, not pulled"
