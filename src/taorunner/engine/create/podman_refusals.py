"""What podman and its runtimes write when they refuse, with sentence and next step; see ``engine.refusals``."""

from __future__ import annotations

from taorunner.engine.refusal_rows import RefusalRow

# these two are found by the patterns for Docker
NO_PODMAN = RefusalRow(
    "",
    'no podman answers at "{address}"',
    "systemctl --user start podman.socket, or for that of root sudo systemctl start podman.socket",
    of_machine=True,
)
NO_PERMISSION = RefusalRow(
    "",
    'no permission for podman at "{address}"',
    "use your own: systemctl --user enable --now podman.socket, and "
    "DOCKER_HOST=unix://$XDG_RUNTIME_DIR/podman/podman.sock",
    of_machine=True,
)
PODMAN_ROWS: tuple[RefusalRow, ...] = (
    RefusalRow(
        r"container-init binary not found",
        "podman has no init program for containers",
        "install the package catatonit on the engine's machine",
        of_machine=True,
    ),
    RefusalRow(
        r"statfs (?P<what>/[^\n]+?): no such file or directory",
        'the folder "{what}" to mount does not exist on the engine\'s machine',
        "create it, or correct Mounts in .tao_mounts.json",
    ),
    RefusalRow(
        r"statfs (?P<what>/[^\n]+?): permission denied",
        'the user of this rootless engine may not read the folder "{what}" to mount',
        "give yourself access to it: groups do not count in a rootless engine",
    ),
    RefusalRow(
        r"\"(?P<what>[^\"\n]+)\": duplicate mount destination",
        'two folders have the same destination "{what}"',
        "use each destination once under Mounts in .tao_mounts.json",
    ),
    RefusalRow(
        r"unable to find network with name or ID (?P<what>[^\s:]+)",
        'the engine has no network "{what}"',
        "list them with podman network ls; host and bridge always exist",
    ),
    RefusalRow(
        r"(?P<what>slirp4netns|pasta) failed|could not find (?P<why>slirp4netns|pasta)",
        "a rootless podman could not set up the network of a container with {what}{why}",
        "install the packages slirp4netns and passt, and load the module: sudo modprobe tun; or use the network host",
        of_machine=True,
    ),
    RefusalRow(
        r"setgroups: invalid argument|insufficient UIDs or GIDs|not enough (?:un)?(?:used )?IDs"
        r"|(?:requested|available) .{0,40}/etc/sub[ug]id|cannot find (?:mappings|UID/GID) for user",
        "this rootless podman has too few user ids for the container",
        "sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $USER && podman system migrate",
        of_machine=True,
    ),
    RefusalRow(
        r"cgroup controller `(?P<what>\w+)` is not available",
        'a rootless podman may not limit "{what}" on this machine',
        "let systemd delegate it (Delegate= of user@.service), or remove cpus and memory from experiments.yml",
        of_machine=True,
    ),
    RefusalRow(
        r"executable file `(?P<what>[^`]+)` not found",
        'the image "{image}" has no command "{what}"',
        "check image in experiments.yml: it may be of another framework or release (taorunner networks)",
    ),
    RefusalRow(
        r": image not known",
        'the image "{image}" does not exist',
        "check name and tag: podman pull {image} says more; image in experiments.yml names another one",
    ),
)
"""Of podman and its runtimes. Source: podman 4.3.1, which was run; crun and newer versions by their sources."""
