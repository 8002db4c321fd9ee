"""What the command line sets for a training besides its files. The plan keeps it, and ``resume`` goes on with it."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Mapping

from taorunner.container_options import Mount
from taorunner.planning.model.knobs import NO_KNOBS, Knobs, number_text
from taorunner.planning.model.request import ActionRequest
from taorunner.project.limits import NO_LIMITS, Limits
from taorunner.text import is_secret_name
from taorunner.values.value import Value, field, replace

_OF_MODEL = ("model.", "model_config.")


class TypedSettings(Value):
    """The fields of the same names of ``ActionRequest``, without secrets that were written out."""

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

    def of_spec(self, *, without: Collection[str] = ()) -> str:
        """What is set in the spec, as it is typed: ``--epochs 40 --lr 0.003 --set train.seed=7``.

        ``without`` are knobs and keys to leave out.
        """
        return " ".join(map(shlex.quote, self._of_spec(without)))

    def of_model(self) -> str:
        """What is set of the model itself, as it is typed: an action that reads its weights needs the same."""
        pairs = (f"{key}={text}" for key, text in self.overrides.items() if key.startswith(_OF_MODEL))
        return " ".join(shlex.quote(word) for pair in pairs for word in ("--set", pair))

    def of_place(self, *, with_image: bool) -> str:
        """Where the run was asked to be, as it is typed, for what follows it there: without GPUs and limits, which the
        next action may not need. ``with_image``: it runs in the same image."""
        kept = TypedSettings(
            backend=self.backend, cluster=self.cluster, release=self.release,
            image=self.image if with_image else None,
        )  # fmt: skip
        return kept.words()

    def words(self, *, without: Collection[str] = ()) -> str:
        """All of them as they are typed. ``without`` are knobs and keys of the spec to leave out."""
        pairs: list[tuple[str, object]] = [
            ("--backend", self.backend), ("--cluster", self.cluster),
            ("--release", self.release), ("--image", self.image),
            ("--gpus", "all" if self.all_gpus else self.gpus),
            ("--gpu-indices", None if self.gpu_ids is None else ",".join(self.gpu_ids) or "auto"),
            ("--nodes", self.limits.nodes), ("--cpus", self.limits.cpus), ("--memory", self.limits.memory_bytes),
            ("--time", _time(self.limits.time_s)),
            *(("--env", _env(name, value)) for name, value in self.env.items()),
            *(("--volume", _volume(mount)) for mount in self.volumes),
        ]  # fmt: skip
        words = [*self._of_spec(without)]
        words += [word for option, value in pairs if value is not None for word in (option, str(value))]
        words += ["--", *self.extra] if self.extra else []
        return " ".join(map(shlex.quote, words))

    def _of_spec(self, without: Collection[str]) -> Iterator[str]:
        for name, value in self.knobs.given().items():
            if name not in without:
                yield from (f"--{name.replace('_', '-')}", number_text(value))
        for key, text in self.overrides.items():
            if key not in without:
                yield from ("--set", f"{key}={text}")


def typed_settings(request: ActionRequest) -> TypedSettings:
    """Those of ``request``. A secret stays where ``env:NAME`` or ``file:PATH`` says where it is; its text does not."""
    return TypedSettings(
        backend=request.backend, cluster=request.cluster,
        gpus=request.gpus, all_gpus=request.all_gpus, gpu_ids=request.gpu_ids,
        limits=request.limits, release=request.release, image=request.image,
        overrides=_without_secrets(request.overrides), knobs=request.knobs, extra=request.extra,
        env=_without_secrets(request.env), volumes=request.volumes,
    )  # fmt: skip


def continued_request(
    request: ActionRequest, run: str, typed: TypedSettings, keys: Mapping[str, Collection[str]]
) -> ActionRequest:
    """``request`` with what was typed for ``run``, the training that it resumes, wherever it says nothing itself.

    ``keys`` are the keys of the spec that each knob may set: a knob that is typed now replaces a key that was set
    before, and the other way round.
    """
    given = request.knobs.given()
    replaced = {key for knob in given for key in keys.get(knob, ())}
    own = request.overrides
    overrides = {key: text for key, text in typed.overrides.items() if key not in replaced}
    knobs = {
        knob: value
        for knob, value in typed.knobs.given().items()
        if not any(key in own for key in keys.get(knob, ()))
    }
    says_gpus = request.gpus is not None or request.all_gpus or request.gpu_ids is not None
    says_image = request.image is not None or request.release is not None
    gpus = request if says_gpus else typed
    place = request if request.backend is not None or request.cluster is not None else typed
    image = request if says_image else typed
    targets = {mount.target for mount in request.volumes}
    return replace(
        request, continues=run, backend=place.backend, cluster=place.cluster,
        gpus=gpus.gpus, all_gpus=gpus.all_gpus, gpu_ids=gpus.gpu_ids, limits=_limits(request.limits, typed.limits),
        release=image.release, image=image.image, overrides={**overrides, **own}, knobs=_knobs({**knobs, **given}),
        extra=request.extra or typed.extra, env={**typed.env, **request.env},
        volumes=(*(one for one in typed.volumes if one.target not in targets), *request.volumes),
    )  # fmt: skip


def _limits(own: Limits, before: Limits) -> Limits:
    return Limits(
        own.nodes or before.nodes, own.cpus or before.cpus, own.memory_bytes or before.memory_bytes,
        own.time_s or before.time_s,
    )  # fmt: skip


def _knobs(values: Mapping[str, int | float]) -> Knobs:
    fractions = {name: float(value) for name, value in values.items() if name in ("lr", "min_score")}
    counts = {name: int(value) for name, value in values.items() if name not in fractions}
    return Knobs(
        counts.get("epochs"), counts.get("batch_size"), fractions.get("lr"), counts.get("seed"),
        fractions.get("min_score"),
    )  # fmt: skip


def _time(seconds: int | None) -> str | None:
    if seconds is None:
        return None
    hours, rest = divmod(seconds, 3600)
    return f"{hours}h" if not rest else f"{hours:02d}:{rest // 60:02d}:{rest % 60:02d}"


def _env(name: str, value: str) -> str:
    return name if value == f"env:{name}" else f"{name}={value}"


def _volume(mount: Mount) -> str:
    return f"{mount.source}:{mount.target}{':ro' if mount.read_only else ''}"


def _without_secrets(values: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in values.items()
        if value.startswith(("env:", "file:")) or not is_secret_name(name.rpartition(".")[2])
    }
