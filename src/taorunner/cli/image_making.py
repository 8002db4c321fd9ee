"""``image build``, ``test``, ``push`` and ``release``: for those who work on TAO itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from taorunner.cli.options import JsonOption, PlainOption
from taorunner.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taorunner.console.image_log_view import LogView
    from taorunner.images.trial import Trial

DockerfileOption = Annotated[
    Optional[Path],
    typer.Option("--file", "-f", help="The Dockerfile; DIR/Dockerfile by default.", show_default=False),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Without the cache of earlier builds.")]
BuildArgs = Annotated[
    Optional[list[str]],
    typer.Option(
        "--build-arg", metavar="NAME[=VALUE]", help="An ARG of the Dockerfile; without a value from the environment.",
        show_default=False,
    ),
]  # fmt: skip
NetworkOption = Annotated[
    Optional[str], typer.Option("--network", help="Network of the build's commands.", show_default=False)
]
IidFile = Annotated[
    Optional[Path], typer.Option("--iidfile", help="Write the image's id into this file.", show_default=False)
]


def register(group: typer.Typer) -> None:
    group.command("build", help="Build an image from a Dockerfile.")(_build)
    group.command("test", help="Run a command in an image (behind --), before it is pinned.")(_test)
    group.command("push", help="Put an image into a registry; tell its digest.")(_push)
    group.command("release", help="Build a source tree's wheel and its release image.")(_release)


def _build(
    context: typer.Context,
    directory: Annotated[
        Path, typer.Argument(help="The build's context.", metavar="DIR", show_default=False)
    ] = Path(),
    file: DockerfileOption = None,
    tag: Annotated[
        Optional[list[str]], typer.Option("--tag", "-t", help="Name of the image.", show_default=False)
    ] = None,
    force: ForceOption = False,
    pull: Annotated[bool, typer.Option("--pull", help="Ask for a newer base image.")] = False,
    target: Annotated[
        Optional[str], typer.Option("--target", help="Build up to this stage.", show_default=False)
    ] = None,
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
    image: Annotated[str, typer.Argument(help="The image.", metavar="IMAGE", show_default=False)],
    gpus: Annotated[
        Optional[int],
        typer.Option("--gpus", min=0, max=64, help="How many GPUs; one if one is free.", show_default=False),
    ] = None,
    network: Annotated[str, typer.Option("--network", help="Network of the container.")] = "none",
    user: Annotated[
        Optional[str], typer.Option("--user", help="uid:gid instead of yours.", show_default=False)
    ] = None,
) -> int:
    import signal
    import sys

    from taorunner.engine.client import connect
    from taorunner.images.trial import run_trial

    command = context.obj.extra
    if not command:
        raise UsageError("no command to test the image with", hint=f"taorunner image test {image} -- COMMAND")
    trial = _trial(image, command, network=network, gpus=gpus, user=user)

    def write(name: str, data: bytes) -> None:
        stream = (sys.stdout if name == "stdout" else sys.stderr).buffer
        stream.write(data)
        stream.flush()

    for number in (signal.SIGTERM, signal.SIGHUP):  # no container stays behind
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, signal.default_int_handler)
    return run_trial(connect(), trial, write, lambda text: typer.echo(text, err=True))


def _push(
    context: typer.Context,
    image: Annotated[
        str, typer.Argument(help="An image of the engine.", metavar="IMAGE", show_default=False)
    ],
    repository: Annotated[
        Optional[str],
        typer.Option("--repository", help="REGISTRY/NAME[:TAG] to push it as.", show_default=False),
    ] = None,
    manifest: Annotated[
        Optional[Path],
        typer.Option(
            "--manifest", help="JSON file that keeps registry, repository and digest.", show_default=False
        ),
    ] = None,
    json: JsonOption = False,
    plain: PlainOption = False,
) -> int:
    import os
    import sys

    from taorunner.console.image_pull_view import ImagePullView
    from taorunner.engine.client import connect
    from taorunner.images.push import push_image

    context.obj.refuse_extra()
    with ImagePullView(sys.stderr, os.environ, plain=plain, quiet=json, verb="pushing") as watcher:
        pushed = push_image(connect(), image, watcher, repository=repository, manifest=manifest)
        if pushed.manifest is not None:
            watcher.tells(f"written into {pushed.manifest}")
    _result(pushed.to_json(), [f"{pushed.reference}@{pushed.digest}"], pushed.digest, None, json=json)
    return ExitCode.DONE


def _release(
    context: typer.Context,
    directory: Annotated[
        Path, typer.Argument(help="The source tree.", metavar="DIR", show_default=False)
    ] = Path(),
    file: Annotated[
        Optional[Path],
        typer.Option("--file", "-f", help="Instead of release/docker/Dockerfile.", show_default=False),
    ] = None,
    version_file: Annotated[
        Optional[Path],
        typer.Option("--version-file", help="Instead of release/python/version.py.", show_default=False),
    ] = None,
    repository: Annotated[
        Optional[str],
        typer.Option(
            "--repository", help="REGISTRY/NAME; the package's name by default.", show_default=False
        ),
    ] = None,
    suffix: Annotated[
        Optional[str],
        typer.Option(
            "--suffix", help="Behind the version in the tag, as pyt2.1.0-py3-01.", show_default=False
        ),
    ] = None,
    python: Annotated[str, typer.Option("--python", help="The Python that builds the wheel.")] = "python3",
    inside: Annotated[
        Optional[str],
        typer.Option("--in", help="Build the wheel in this image, as tao_pt does.", show_default=False),
    ] = None,
    force: ForceOption = False,
    build_arg: BuildArgs = None,
    network: NetworkOption = None,
    iidfile: IidFile = None,
    json: JsonOption = False,
) -> int:
    from taorunner.engine.client import connect
    from taorunner.images.release import build_release, find_release
    from taorunner.images.wheel import WheelBuilder

    context.obj.refuse_extra()
    view = _log_view()
    release = find_release(directory, file, version_file)
    tag = release.tag(repository, suffix)
    arguments = _build_args(build_arg or [], view)
    engine = connect()  # before the wheel is built, which may take long
    builder = WheelBuilder(python, _trial(inside, (), gpus=0) if inside else None)
    released = build_release(
        engine,
        release,
        tag,
        view.tells,
        builder=builder,
        no_cache=force,
        build_args=arguments,
        network=network,
    )
    _result(released.to_json(), [released.tag, released.id], released.id, iidfile, json=json)
    if not json:
        typer.echo(f"next: taorunner image test {tag} -- COMMAND; taorunner image push {tag}", err=True)
    return ExitCode.DONE


def _trial(
    image: str, command: tuple[str, ...], *, gpus: int | None, network: str = "none", user: str | None = None
) -> Trial:
    """In the name of whoever calls."""
    import os

    from taorunner.images.trial import Trial
    from taorunner.planning.request import Caller

    caller = Caller.current(os.environ)
    return Trial(
        image, command, user or f"{caller.uid}:{caller.gid}", caller.groups, caller.name, network, gpus
    )


def _build_args(texts: list[str], view: LogView) -> dict[str, str]:
    """As the docker command reads them. A name alone takes the environment's value, and is left out without one."""
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
            view.tells(
                f'warning: the value of "{name}" can be read by everybody who has the image (docker history)'
            )
    return found


def _result(
    body: Mapping[str, object], lines: list[str], image_id: str, iidfile: Path | None, *, json: bool
) -> None:
    """What came out, on stdout: names and digest, or JSON."""
    import sys

    if iidfile is not None:
        iidfile.write_text(image_id, encoding="utf-8")
    if json:
        from taorunner.console.json_view import write_json

        write_json(body, sys.stdout.buffer)
        return
    for line in lines:
        typer.echo(line)


def _log_view() -> LogView:
    import os
    import sys

    from taorunner.console.image_log_view import LogView

    return LogView(sys.stderr, os.environ)
