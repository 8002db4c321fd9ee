"""``image build``, ``test``, ``push`` and ``release``: for people who develop TAO itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Optional

import typer

from taorunner.cli.action_options import gpu_count
from taorunner.cli.help_pages import add_command
from taorunner.cli.option_sets import with_options
from taorunner.cli.options import JsonOption, PlainOption, option
from taorunner.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taorunner.console.pages.image_log_view import LogView
    from taorunner.images.trial import Trial

DockerfileOption = Annotated[
    Optional[Path],
    option("--file", "-f", "Use this Dockerfile [default: DIR/Dockerfile]", word="FILE"),
]
ForceOption = Annotated[bool, option("--force", "Build without the cache of earlier builds")]
BuildArgs = Annotated[
    Optional[list[str]],
    option("--build-arg", "Set an ARG, from the environment without VALUE", word="NAME[=VALUE]"),
]  # fmt: skip
NetworkOption = Annotated[
    Optional[str], option("--network", "Use this network for the build's commands", word="NETWORK")
]
IidFile = Annotated[Optional[Path], option("--iidfile", "Write the image's id into this file", word="FILE")]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseOptions:
    """The options of ``image release``, one per field."""

    file: Annotated[
        Optional[Path],
        option("--file", "-f", "Use instead of release/docker/Dockerfile", word="FILE"),
    ] = None
    version_file: Annotated[
        Optional[Path],
        option("--version-file", "Use instead of release/python/version.py", word="FILE"),
    ] = None
    repository: Annotated[
        Optional[str],
        option("--repository", "Name it REGISTRY/NAME [default: the package]", word="NAME"),
    ] = None
    suffix: Annotated[
        Optional[str],
        option("--suffix", "Add to the version in the tag, such as py3-01", word="SUFFIX"),
    ] = None
    python: Annotated[str, option("--python", "Build the wheel with this Python", word="PROGRAM")] = "python3"
    inside: Annotated[
        Optional[str],
        option("--in", "Build the wheel in this image, as tao_pt does", word="IMAGE"),
    ] = None
    force: ForceOption = False
    build_arg: BuildArgs = field(default=None, repr=False)
    network: NetworkOption = None
    iidfile: IidFile = None
    json: JsonOption = False


def register(group: typer.Typer) -> None:
    add_command(
        group, "build", _build, "Build an image from a Dockerfile", "taorunner image build . -t my/tao:1"
    )
    summary = "Run a command (after --) in an image"
    add_command(group, "test", _test, summary, "taorunner image test my/tao:1 -- dino --help")
    add_command(group, "push", _push, "Push an image and print its digest", "taorunner image push my/tao:1")
    summary = "Build a source tree's wheel and its release image"
    add_command(
        group, "release", with_options(_release), summary, "taorunner image release ~/tao_pytorch_backend"
    )


def _build(
    context: typer.Context,
    directory: Annotated[
        Path, typer.Argument(help="The build's context", metavar="DIR", show_default=False)
    ] = Path(),
    file: DockerfileOption = None,
    tag: Annotated[
        Optional[list[str]], option("--tag", "-t", "Name the image; may be repeated", word="IMAGE")
    ] = None,
    force: ForceOption = False,
    pull: Annotated[bool, option("--pull", "Ask for a newer base image")] = False,
    target: Annotated[Optional[str], option("--target", "Build up to this stage", word="STAGE")] = None,
    build_arg: BuildArgs = None,
    network: NetworkOption = None,
    iidfile: IidFile = None,
    json: JsonOption = False,
) -> int:
    from taorunner.engine.build import BuildSettings, build
    from taorunner.engine.client import connect

    context.obj.refuse_extra()
    view = _log_view()
    settings = BuildSettings(
        context=directory,
        dockerfile=file or directory / "Dockerfile",
        tags=tuple(tag or ()),
        no_cache=force,
        pull=pull,
        build_args=_build_args(build_arg or [], view),
        network=network,
        target=target,
    )
    built = build(connect(), settings, view.tells)
    _result({"id": built, "images": list(settings.tags)}, [*settings.tags, built], built, iidfile, json=json)
    return ExitCode.DONE


def _test(
    context: typer.Context,
    image: Annotated[str, typer.Argument(help="The image", metavar="IMAGE", show_default=False)],
    gpus: Annotated[
        Optional[str],
        option("--gpus", "Use this number of GPUs [default: 1 if one is free]", word="N|all"),
    ] = None,
    network: Annotated[
        str, option("--network", "Use this network for the container", word="NETWORK")
    ] = "none",
    user: Annotated[
        Optional[str], option("--user", "Run as this user [default: you]", word="UID:GID")
    ] = None,
) -> int:
    import sys

    from taorunner.cli.long_work import end_as_by_ctrl_c
    from taorunner.engine.client import connect
    from taorunner.images.trial import run_trial

    command = context.obj.extra
    if not command:
        raise UsageError("the command is missing", hint=f"taorunner image test {image} -- COMMAND")
    trial = _trial(image, command, network=network, gpus=gpu_count(gpus), user=user)

    def write(name: str, data: bytes) -> None:
        stream = (sys.stdout if name == "stdout" else sys.stderr).buffer
        stream.write(data)
        stream.flush()

    end_as_by_ctrl_c()
    return run_trial(connect(), trial, write, lambda text: typer.echo(text, err=True))


def _push(
    context: typer.Context,
    image: Annotated[str, typer.Argument(help="An image of the engine", metavar="IMAGE", show_default=False)],
    repository: Annotated[
        Optional[str],
        option("--repository", "Push as REGISTRY/NAME[:TAG]", word="NAME"),
    ] = None,
    manifest: Annotated[
        Optional[Path],
        option("--manifest", "Keep registry, repository and digest in this file", word="FILE"),
    ] = None,
    json: JsonOption = False,
    plain: PlainOption = False,
) -> int:
    import os
    import sys

    from taorunner.console.base.image_pull_progress import ImagePullView
    from taorunner.engine.client import connect
    from taorunner.images.push import push_image

    context.obj.refuse_extra()
    with ImagePullView(
        sys.stderr, os.environ, plain=plain, quiet=json or context.obj.is_quiet, verb="pushing"
    ) as watcher:
        pushed = push_image(connect(), image, watcher, repository=repository, manifest=manifest)
        if pushed.manifest is not None:
            watcher.tells(f"wrote {pushed.manifest}")
    _result(pushed.to_json(), [f"{pushed.reference}@{pushed.digest}"], pushed.digest, None, json=json)
    return ExitCode.DONE


def _release(
    context: typer.Context,
    directory: Annotated[
        Path, typer.Argument(help="The source tree", metavar="DIR", show_default=False)
    ] = Path(),
    *,
    options: ReleaseOptions,
) -> int:
    from taorunner.cli.long_work import end_as_by_ctrl_c
    from taorunner.engine.client import connect
    from taorunner.images.release import build_release, find_release
    from taorunner.images.wheel import WheelBuilder

    context.obj.refuse_extra()
    view = _log_view()
    release = find_release(directory, options.file, options.version_file)
    tag = release.tag(options.repository, options.suffix)
    arguments = _build_args(options.build_arg or [], view)
    engine = connect()  # first: building the wheel may take long
    end_as_by_ctrl_c()
    builder = WheelBuilder(options.python, _trial(options.inside, (), gpus=0) if options.inside else None)
    released = build_release(
        engine, release, tag, view.tells, builder=builder, no_cache=options.force, build_args=arguments,
        network=options.network,
    )  # fmt: skip
    _result(released.to_json(), [released.tag, released.id], released.id, options.iidfile, json=options.json)
    if not options.json:
        context.obj.next_steps((f"taorunner image test {tag} -- COMMAND", f"taorunner image push {tag}"))
    return ExitCode.DONE


def _trial(
    image: str,
    command: tuple[str, ...],
    *,
    gpus: int | Literal["all"] | None,
    network: str = "none",
    user: str | None = None,
) -> Trial:
    """A trial as the caller, unless ``user`` is given."""
    import os

    from taorunner.images.trial import Trial
    from taorunner.planning.model.request import Caller

    caller = Caller.current(os.environ)
    return Trial(
        image, command, user or f"{caller.uid}:{caller.gid}", caller.groups, caller.name, network, gpus
    )


def _build_args(texts: list[str], view: LogView) -> dict[str, str]:
    """Reads them as docker does: a name alone takes its value from the environment, and is left out without one."""
    import os

    from taorunner.text import is_secret_name

    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name.strip():
            raise UsageError(f'--build-arg takes NAME=VALUE, not "{text}"')
        if equals or name in os.environ:
            found[name] = value if equals else os.environ[name]
        if is_secret_name(name):
            view.hide(found.get(name, ""))
            view.tells(f'warning: "{name}" stays readable in the image (docker history)')
    return found


def _result(
    body: Mapping[str, object], lines: list[str], image_id: str, iidfile: Path | None, *, json: bool
) -> None:
    """Prints the result on stdout: names and digest, or JSON."""
    import sys

    if iidfile is not None:
        iidfile.write_text(image_id, encoding="utf-8")
    if json:
        from taorunner.console.base.json_output import write_json

        write_json(body, sys.stdout.buffer)
        return
    for line in lines:
        typer.echo(line)


def _log_view() -> LogView:
    import os
    import sys

    from taorunner.console.pages.image_log_view import LogView

    return LogView(sys.stderr, os.environ)
