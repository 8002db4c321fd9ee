"""The images tests run, made once per engine: nothing (``noop``), the TAO stand-in, a registry.

A tag carries a digest of what the image is made from, so an engine that lives longer than one test session never
serves a stale one.
"""

from __future__ import annotations

import compileall
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import ruamel.yaml
from base_image import Tree, import_tree, programs_on_path
from private_daemon import RigError

from rig import Engine

HERE = Path(__file__).resolve().parent
GENERATIONS = (
    "tf1", "tf2_5.0", "tf2_6.0", "pyt_5.2", "pyt_5.5", "pyt_6", "pyt_7", "deploy_5.5", "deploy_7", "data_services",
)  # fmt: skip
REGISTRY_USER = "$oauthtoken"  # NGC's
REGISTRY_PASSWORD = "nvapi-test-key"

NOOP = "#!/bin/sh\nexit 0\n"
BANNER = """#!/bin/sh
# what NVIDIA's entrypoint does before the command: a banner
printf '\\n=============================\\n=== TAO Toolkit, stand-in ===\\n=============================\\n\\n'
printf 'No NVIDIA software in here. By using it nothing is agreed to.\\n\\n'
exec "$@"
"""
LAUNCHER = """#!{python}
import sys
sys.path.insert(0, {modules!r})
from entry import main
sys.exit(main(sys.argv))
"""
EMIT = """#!/bin/sh
# emit N: N numbered lines of 88 bytes, as fast as the pipe takes them
exec awk -v n="$1" 'BEGIN {
  text = "INFO step log: loss: 0.12345 learning rate: 0.00050 step 100 of 200 and so on.."
  for (i = 1; i <= n; i++) printf "%07d %s\\n", i, text
}'
"""


def noop_image(engine: Engine) -> str:
    """busybox and the two programs ``noop`` and ``emit N``: 2 MB, for everything that is not about TAO."""
    tag = f"taorunner-test/noop:{digest(NOOP, EMIT, base_source())}"
    with engine.locked("noop"):
        if not has_image(engine, tag):
            tree = Tree(texts={"usr/bin/noop": NOOP, "usr/bin/emit": EMIT})
            tree.add_busybox()
            import_tree(engine, tree, tag, {"PATH": "/usr/local/bin:/usr/bin:/bin"}, ['CMD ["/bin/sh"]'])
    return tag


def tao_image(engine: Engine, kind: str = "pyt7") -> str:
    """The TAO stand-in of one generation (``GENERATIONS``; ``pyt7`` is ``pyt_7``). Raises RigError for another kind."""
    generation = generation_of(kind)
    base = tao_base(engine)
    tag = base.replace("/tao-base:", "/tao:") + f"-{generation}"
    with engine.locked(f"tao-{generation}"):
        if not has_image(engine, tag):
            with_environment(engine, base, tag, {"TAO_FAKE_GENERATION": generation})
    return tag


def generation_of(kind: str) -> str:
    """The one generation with this name, underscores and case aside."""
    plain = kind.lower().replace("_", "").replace("-", "")
    for generation in GENERATIONS:
        if generation.replace("_", "") == plain:
            return generation
    raise RigError(f"no generation '{kind}' (known: {', '.join(GENERATIONS)})")


def tao_base(engine: Engine) -> str:
    """Python, a shell, the stand-in's modules and one link for each of TAO's tasks."""
    stand_in = HERE / "stand_in"
    paths = sorted(path for path in stand_in.rglob("*") if path.suffix in (".py", ".json"))
    sources = {str(path.relative_to(stand_in)): path for path in paths} | yaml_reader()
    content = [name + path.read_text() for name, path in sources.items()]
    tag = f"taorunner-test/tao-base:{digest(sys.version, base_source(), EMIT, BANNER, LAUNCHER, *content)}"
    with engine.locked("tao-base"):
        if not has_image(engine, tag):
            tree = Tree(texts={"usr/bin/noop": NOOP, "usr/bin/emit": EMIT})
            tree.add_busybox()
            tree.add_python()
            tree.texts["usr/local/bin/taofake"] = LAUNCHER.format(
                python="/usr/bin/python3", modules="/opt/tao/stand_in"
            )
            tree.texts["opt/nvidia/nvidia_entrypoint.sh"] = BANNER
            for name in [*task_names(), "nvidia-smi"]:
                tree.links[f"usr/local/bin/{name}"] = "taofake"
            environment = {
                "PATH": "/opt/py/bin:/usr/local/bin:/usr/bin:/bin",
                "PYTHONHOME": "/opt/py",
                "LD_LIBRARY_PATH": "/usr/lib",
                "PYTHONUNBUFFERED": "1",
                "PYTHONDONTWRITEBYTECODE": "1",
            }
            entrypoint = 'ENTRYPOINT ["/opt/nvidia/nvidia_entrypoint.sh"]'
            lines = [entrypoint, 'CMD ["/bin/bash"]', "WORKDIR /workspace"]
            with tempfile.TemporaryDirectory() as scratch:
                tree.add_modules("opt/tao/stand_in", sources, Path(scratch))
                import_tree(engine, tree, tag, environment, lines)
    return tag


def yaml_reader() -> dict[str, Path]:
    """The modules of ruamel.yaml, with which the stand-in reads specs when it loads data."""
    package = Path(ruamel.yaml.__file__).parent
    return {f"ruamel/yaml/{path.name}": path for path in sorted(package.glob("*.py"))}


def host_commands(folder: Path) -> Path:
    """TAO's commands as programs of this host, in a folder to put on PATH: what a native install would be."""
    folder.mkdir(parents=True, exist_ok=True)
    modules = folder / "stand_in"
    shutil.copytree(HERE / "stand_in", modules, ignore=shutil.ignore_patterns("__pycache__"))
    compileall.compile_dir(modules, quiet=2)  # or each start may compile them
    launcher = folder / "taofake"
    launcher.write_text(LAUNCHER.format(python=sys.executable, modules=str(modules)))
    launcher.chmod(0o755)
    for name in [*task_names(), "nvidia-smi"]:
        (folder / name).symlink_to("taofake")
    interpreter = folder / "python3"
    interpreter.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    interpreter.chmod(0o755)
    return folder


def task_names() -> list[str]:
    """Every command a TAO container has, of all generations."""
    facts = json.loads((HERE / "stand_in" / "tasks.json").read_text())
    return sorted({*facts["tf"], *facts["hydra"]})


def registry_image(engine: Engine) -> str:
    """Debian's docker-registry as a container, asking for ``REGISTRY_USER`` and ``REGISTRY_PASSWORD``."""
    config = (HERE / "registry" / "config.yml").read_text()
    tag = f"taorunner-test/registry:{digest(config, REGISTRY_USER, REGISTRY_PASSWORD, base_source())}"
    with engine.locked("registry"):
        if not has_image(engine, tag):
            program, htpasswd = programs_on_path(["docker-registry", "htpasswd"])
            hashed = subprocess.run(
                [str(htpasswd), "-Bbn", REGISTRY_USER, REGISTRY_PASSWORD],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            tree = Tree(
                texts={"etc/registry/config.yml": config, "etc/registry/htpasswd": hashed.strip() + "\n"}
            )
            tree.add_busybox()
            tree.files["usr/bin/docker-registry"] = program
            tree.add_libraries([program])
            environment = {"PATH": "/usr/bin:/bin", "LD_LIBRARY_PATH": "/usr/lib"}
            command = 'CMD ["docker-registry", "serve", "/etc/registry/config.yml"]'
            import_tree(engine, tree, tag, environment, [command, "EXPOSE 5000"])
    return tag


def with_environment(engine: Engine, base: str, tag: str, environment: dict[str, str]) -> None:
    """``tag`` is ``base`` with more environment. Through a commit: that needs no builder on any engine."""
    created = checked(engine, "create", base)
    changes = [word for key, value in environment.items() for word in ("-c", f"ENV {key}={value}")]
    checked(engine, "commit", *changes, created, tag)
    checked(engine, "rm", created)


def checked(engine: Engine, *args: str) -> str:
    done = engine.docker(*args)
    if done.returncode:
        raise RigError(f"docker {' '.join(args)}: {done.stderr.strip()}")
    return done.stdout.strip()


def has_image(engine: Engine, tag: str) -> bool:
    return engine.docker("image", "inspect", "--format", "{{.Id}}", tag).returncode == 0


def base_source() -> str:
    return (HERE / "base_image.py").read_text()


def digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
