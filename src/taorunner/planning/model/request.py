"""What the user requests: one action on some experiments, with the overrides of the command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from taorunner.container_options import Mount
from taorunner.planning.model.knobs import NO_KNOBS, Knobs
from taorunner.project.limits import NO_LIMITS, Limits
from taorunner.values.value import Value, field

ACTION_OF_COMMAND = {"convert": "dataset_convert"}
"""Commands whose name is not the action's: TAO calls it dataset_convert (or convert) in every network."""
COMMANDS = ("convert", "train", "evaluate", "prune", "export", "inference")
"""Actions that are commands of their own."""


def command_of(action: str) -> str:
    """How an action is typed: ``train``, ``convert`` for dataset_convert, ``run gen_trt_engine``."""
    if action in ACTION_OF_COMMAND.values():
        return "convert"
    return action if action in COMMANDS else f"run {action}"


class ActionRequest(Value):
    """``action`` as typed (``convert``, ``train``, ``deploy.evaluate``). None means: not said on the command line.

    ``all_gpus``: as many GPUs as the machine has, in place of the number ``gpus``. ``gpu_ids`` are host ids; an empty
    tuple means "auto". ``overrides`` are dotted spec keys with their text, ``knobs`` settings that each network has
    under keys of its own. ``extra`` goes to TAO as it is. ``env`` are further variables (a secret as ``env:NAME`` or
    ``file:PATH``), ``volumes`` further mounts. ``checkpoint`` is a path on this host, a name in the results, ``best``,
    ``latest`` or ``epoch=N``. ``resume``: training goes on from its newest checkpoint; ``continues`` is the run that it
    goes on with. ``force`` passes findings about
    data, paths and weights (``model.forcing``); ``dry_run``: nothing is started, so what an earlier action makes may be
    missing. ``then`` are further actions, each to run after the one before; ``earlier`` are the actions of the chain
    that run before this one.
    """

    action: str
    experiments: tuple[str, ...]
    backend: str | None = None
    cluster: str | None = None
    gpus: int | None = None
    all_gpus: bool = False
    gpu_ids: tuple[str, ...] | None = None
    limits: Limits = NO_LIMITS
    release: str | None = None
    image: str | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)
    knobs: Knobs = NO_KNOBS
    extra: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    volumes: tuple[Mount, ...] = ()
    checkpoint: str | None = None
    overwrite: bool = False
    resume: bool = False
    continues: str | None = None
    force: bool = False
    dry_run: bool = False
    then: tuple[str, ...] = ()
    earlier: tuple[str, ...] = ()


class Order(Value):
    """A request for experiments of one project. A batch may be made of several."""

    project: str
    request: ActionRequest


class Caller(Value):
    """Who runs the command. ``groups`` are supplementary group ids."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    name: str
    environ: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def current(environ: Mapping[str, str]) -> Caller:
        import os
        import pwd

        try:
            name = pwd.getpwuid(os.getuid()).pw_name
        except KeyError:  # a uid without an entry, as in many containers
            name = environ.get("USER") or f"uid{os.getuid()}"
        return Caller(os.getuid(), os.getgid(), tuple(sorted(os.getgroups())), name, environ)


class Site(Value):
    """The location of the run's folder. It is chosen before planning, so that a plan is complete."""

    run_id: str
    run_dir: Path
