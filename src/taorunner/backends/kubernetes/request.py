"""From a plan to the Job of a cluster, and the line that creates it. Pure, but for the owner of the workspace."""

from __future__ import annotations

import io
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taorunner.backends.contract import EngineRequest, Launch
from taorunner.backends.kubernetes.entry import STATE_INSIDE, Entry, entry_script
from taorunner.backends.kubernetes.folder import FOLDER, MANIFEST, POD, Cluster
from taorunner.backends.kubernetes.manifest import (
    KubeJob,
    PodMount,
    kube_job,
    kube_pod,
    object_name,
    quantity,
    service,
)
from taorunner.backends.kubernetes.target import (
    DEFAULT_REQUEUES,
    DEFAULT_UNKNOWN_S,
)
from taorunner.backends.secrets import INPUT_DIR, SECRETS_DIR, masked, wrapped
from taorunner.container_options import Mount
from taorunner.contracts import ResumeRule
from taorunner.errors import EngineRefusedError
from taorunner.planning.model.plan import DEFAULT_SHM_BYTES, RunPlan
from taorunner.project.limits import size_bytes
from taorunner.text import amount, duration
from taorunner.values.bounded_reading import whole_number
from taorunner.values.value import replace


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesRequest(EngineRequest):
    """``job`` is what the objects are made of, ``cluster`` how they are handed over."""

    job: KubeJob
    cluster: Cluster


def kubernetes_request(plan: RunPlan, launch: Launch, backend: str) -> KubernetesRequest:
    """Raises EngineRefusedError for a plan that the cluster could not run."""
    settings = plan.backend_options
    place = settings.get("workspace")
    if place is None:
        hint = "backend_options: {workspace: {claim: NAME, path: FOLDER}}, or --cluster NAME of clusters.yml"
        raise EngineRefusedError("kubernetes does not know on which claim this workspace lies", hint=hint)
    if not plan.image:
        what = f"{plan.contract.network} {plan.action}"
        hint = "set image in experiments.yml, or add --image IMAGE"
        raise EngineRefusedError(f'no container image is known for "{what}"', hint=hint)
    user, is_own = _user(plan)
    mounts = _mounts(plan, launch)
    env = {**{name: str(value) for name, value in settings.get("env", {}).items()}, **plan.env}
    requeues = _requeues(plan)
    cluster = _cluster(plan, launch, None if is_own else user[0])
    job = KubeJob(
        run_id=launch.run_id,
        image=plan.image,
        script=entry_script(Entry(launch.run_id, f"the claim {_shown(place)}", requeues)),
        command=wrapped(plan, plan.run_inside, plan.argv),
        env=env,
        mounts=_pod_mounts(plan, launch, mounts),
        secrets=_secret_files(plan),
        secrets_inside=f"{plan.run_inside}/{SECRETS_DIR}",
        user=user,
        groups=plan.options.groups,
        privileged=plan.options.privileged,
        workdir=plan.options.workdir,
        nodes=plan.resources.nodes,
        gpus=plan.gpus.count,
        cpus=plan.resources.cpus,
        memory_bytes=plan.resources.memory_bytes,
        time_s=plan.resources.time_s,
        shm_bytes=_shm_bytes(plan),
        restarts=requeues > 0,
        labels=settings.get("labels", {}),
        settings=settings,
    )
    return KubernetesRequest(
        run_id=launch.run_id,
        backend=backend,
        argv=masked(plan.argv),
        command=job.command,
        run_dir=launch.run_dir,
        image=plan.image,
        env=env,
        mounts=mounts,
        gpus=launch.gpu_ids,
        resources=plan.resources,
        scripts={f"{FOLDER}/{MANIFEST}": manifest_text(job)},
        job=job,
        cluster=cluster,
    )


def shell_job(
    plan: RunPlan, launch: Launch, backend: str, script: str, longest_s: int
) -> tuple[KubeJob, Cluster]:
    """What the pod of a shell is made of. It runs ``script``, and sees nothing of the folder of a run."""
    request = kubernetes_request(plan, launch, backend)
    mounts = [mount for mount in plan.mounts if not mount.source.is_relative_to(launch.run_dir)]
    places = _places(plan)
    job = replace(
        request.job, script=script, command=(), mounts=tuple(_pod_mount(mount, places) for mount in mounts),
        time_s=request.job.time_s or longest_s,
    )  # fmt: skip
    return job, request.cluster


def pod_text(job: KubeJob) -> str:
    """The pod of a shell as a file for ``kubectl create``."""
    return _yaml(job, [kube_pod(job)])


def manifest_text(job: KubeJob) -> str:
    """The objects as a file for ``kubectl create``. The Secret is not in it, but for its name."""
    return _yaml(job, [one for one in (service(job), kube_job(job)) if one is not None])


def _yaml(job: KubeJob, objects: list[dict[str, Any]]) -> str:
    from ruamel.yaml import YAML
    from ruamel.yaml.scalarstring import LiteralScalarString

    yaml = YAML()
    yaml.width = 1 << 20
    yaml.indent(mapping=2, sequence=4, offset=2)
    spec = objects[-1]["spec"]
    container = spec.get("template", {}).get("spec", spec)["containers"][0]
    container["command"] = [
        LiteralScalarString(word) if "\n" in word else word for word in container["command"]
    ]
    file = io.StringIO()
    if job.secrets:
        name = object_name(job.run_id)
        file.write(
            f"# beside it: a Secret {name} with {amount(len(job.secrets), 'file')}, removed after the run\n"
        )
    yaml.dump_all(objects, file)
    return file.getvalue()


def kubectl_line(request: KubernetesRequest) -> str:
    """What creates the same objects."""
    words = ["kubectl"]
    if request.cluster.context is not None:
        words += ["--context", request.cluster.context]
    if request.cluster.namespace is not None:
        words += ["-n", request.cluster.namespace]
    return shlex.join([*words, "create", "-f", f"{request.run_dir}/{FOLDER}/{MANIFEST}"])


def _shown(place: Mapping[str, Any]) -> str:
    path = str(place.get("path") or "").strip("/")
    return f'"{place["claim"]}"' + (f' at "{path}"' if path else "")


def _cluster(plan: RunPlan, launch: Launch, owner: int | None) -> Cluster:
    settings, wanted = plan.backend_options, plan.resources
    return Cluster(
        context=settings.get("context"), namespace=settings.get("namespace"), run_id=launch.run_id,
        unknown_after_s=settings.get("unknown_after_s", DEFAULT_UNKNOWN_S), claim=str(settings["workspace"]["claim"]),
        image=plan.image or "", gpus=wanted.gpus.count, queue=settings.get("queue"),
        memory=None if wanted.memory_bytes is None else quantity(wanted.memory_bytes),
        time=None if wanted.time_s is None else duration(wanted.time_s), owner=owner,
    )  # fmt: skip


def _user(plan: RunPlan) -> tuple[tuple[int, int], bool]:
    """The user and group of the pod, and whether that is the caller: else the one that owns the workspace."""
    wanted, _, group = (plan.options.user or "").partition(":")
    number, of_group = whole_number(wanted), whole_number(group)
    if number is not None:
        user = number, number if of_group is None else of_group
    else:
        try:
            owner = plan.workspace.stat()
            user = owner.st_uid, owner.st_gid
        except OSError:
            user = os.geteuid(), os.getegid()
    return user, user[0] == os.geteuid()


def _shm_bytes(plan: RunPlan) -> int:
    if plan.options.shm_bytes is not None:
        return plan.options.shm_bytes
    written = plan.backend_options.get("shm_size")
    return (size_bytes(written) if written is not None else None) or DEFAULT_SHM_BYTES


def _requeues(plan: RunPlan) -> int:
    """None for a training whose checkpoints would be in vain: without taorunner only TAO itself resumes. And none on
    several nodes, because the others would wait for the one that starts again."""
    checkpoints = plan.contract.checkpoints
    if plan.resources.nodes > 1:
        return 0
    if plan.contract.action == "train" and checkpoints.globs and checkpoints.resume is not ResumeRule.AUTO:
        return 0
    found: int = plan.backend_options.get("requeue", DEFAULT_REQUEUES)
    return found


def _mounts(plan: RunPlan, launch: Launch) -> tuple[Mount, ...]:
    if any(mount.target == plan.run_inside for mount in plan.mounts):
        return plan.mounts
    return (*plan.mounts, Mount(launch.run_dir / INPUT_DIR, plan.run_inside, read_only=True))


def _pod_mounts(plan: RunPlan, launch: Launch, mounts: tuple[Mount, ...]) -> tuple[PodMount, ...]:
    places = _places(plan)
    state = Mount(launch.run_dir / FOLDER / POD, STATE_INSIDE)
    return tuple(_pod_mount(mount, places) for mount in (*mounts, state))


def _places(plan: RunPlan) -> list[tuple[Path, str, str]]:
    """Folders of this machine with the claim on which each lies and the path in it, the deepest first."""
    settings = plan.backend_options
    workspace = settings["workspace"]
    found = [(plan.workspace, str(workspace["claim"]), str(workspace.get("path") or ""))]
    for volume in settings.get("volumes") or ():
        found.append((Path(str(volume["here"])), str(volume["claim"]), str(volume.get("path") or "")))
    return sorted(found, key=lambda place: len(place[0].parts), reverse=True)


def _pod_mount(mount: Mount, places: list[tuple[Path, str, str]]) -> PodMount:
    for here, claim, path in places:
        if mount.source.is_relative_to(here):
            parts = [path.strip("/"), mount.source.relative_to(here).as_posix()]
            inner = "/".join(part for part in parts if part not in ("", "."))
            return PodMount(claim, inner, mount.target, mount.read_only)
    raise EngineRefusedError(
        f'"{mount.source}" is on no claim of the cluster',
        hint=f"volumes: [{{here: {mount.source}, claim: NAME, path: FOLDER}}], or move it into the workspace",
    )


def _secret_files(plan: RunPlan) -> tuple[str, ...]:
    """The files that ``backends.secrets`` writes, below its folder."""
    found = [source.name for source in plan.secrets]
    found += [f"env/{source.variable}" for source in plan.secrets if source.variable is not None]
    if plan.spec is not None and any(source.spec_key is not None for source in plan.secrets):
        found.append(f"spec/{plan.spec.file_name}")
    return tuple(found)
