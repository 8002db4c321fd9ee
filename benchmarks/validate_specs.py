"""How many times what libyaml and protobuf's library need to parse really unlike specs does it take to check them?"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spec_texts import spec_text
from timing import print_ratio, process, taking_turns
from workspaces import PROJECT, TAORUNNER

EXPERIMENTS = 200
BOUND = 3
LEAVES = 80
"""Values of a spec; those of NVIDIA's tutorials have 55 in the middle, up to 240."""

if TYPE_CHECKING:
    from taorunner.catalog.network import Network
    from taorunner.specs.schema.walk import Against

HEADS = (
    "detectnet_v2",
    "dino",
    "dssd",
    "segformer",
    "yolo_v4",
    "rtdetr",
    "faster_rcnn",
    "classification_pyt",
)
ACTIONS = ("train", "evaluate", "export")
_MOST_DRAWS = 40
_REPOSITORY = "repositories/pretrained_x/pretrained_x_vresnet18"

READ = """
import json, sys
from pathlib import Path
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
files = json.loads(Path(sys.argv[1]).read_text())
classes = {}
for name, (serialized, message) in files["messages"].items():
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(bytes.fromhex(serialized))
    classes[name] = message_factory.GetMessageClass(pool.FindMessageTypeByName(message))
for path, name in files["specs"]:
    text = Path(path).read_text(encoding="utf-8")
    if name is None:
        yaml.load(text, Loader=yaml.CSafeLoader)
    else:
        text_format.Merge(text, classes[name]())
"""


def measure(times: int) -> None:
    with tempfile.TemporaryDirectory(prefix="taorunner-bench-") as folder:
        root = Path(folder) / "w"
        listed = _workspace(root)
        size = sum(Path(path).stat().st_size for path, _ in listed["specs"])
        texts = sum(name is not None for _, name in listed["specs"])
        print(
            f"specs: {EXPERIMENTS} experiments with {len(listed['specs'])} specs unlike each other, "
            f"{texts} of them protobuf text ({size // 1024} KiB)"
        )
        names = Path(folder) / "files.json"
        names.write_text(json.dumps(listed))
        ours, read = taking_turns(
            {
                "taorunner validate": process([*TAORUNNER, "validate"], cwd=str(root)),
                "libyaml and protobuf, a process": process([sys.executable, "-c", READ, str(names)]),
            },
            times,
        )
        print_ratio("validate ÷ libyaml and protobuf, whole processes", ours, read, BOUND)
        _measure_inside(root, names, times)


def _measure_inside(root: Path, names: Path, times: int) -> None:
    from taorunner.planning.validate import validate_projects
    from taorunner.project.workspace import find_workspace

    workspace = find_workspace(root, None, os.environ)
    read = compile(READ, "read", "exec")

    def validate() -> None:
        found = validate_projects(workspace, [PROJECT], os.environ)
        if found:
            raise RuntimeError(f"{len(found)} findings, the first {found[0].place}: {found[0].message}")

    def parse() -> None:
        sys.argv[1:] = [str(names)]
        exec(read, {})

    ours, theirs = taking_turns(
        {"validate_projects, inside": validate, "libyaml and protobuf, inside": parse}, times
    )
    print_ratio("validate ÷ libyaml and protobuf, inside one process", ours, theirs, BOUND)


def _workspace(root: Path) -> dict[str, Any]:
    """Writes the workspace. Returns its spec files, and the message of those that are protobuf text.

    What is drawn agrees with the schema, hardly with itself: such specs are drawn again.
    """
    from taorunner.planning.inputs.workspace_networks import Networks
    from taorunner.planning.validate import validate_projects
    from taorunner.project.workspace import Workspace
    from taorunner.specs.schema.protobuf_check import _message_class

    project = root / "projects" / PROJECT
    for folder in (project / "data/train", project / "models", root / _REPOSITORY):
        folder.mkdir(parents=True)
    (root / _REPOSITORY / "resnet_18.hdf5").write_bytes(b"weights")
    networks = Networks()
    lines = ["experiments:"]
    chance = random.Random("specs")
    listed: dict[str, Any] = {"specs": [], "messages": {}}
    heads = {}
    for number in range(EXPERIMENTS):
        network = networks.load(HEADS[number % len(HEADS)])
        name = f"{network.name}_{number:03}"
        heads[name] = network
        lines += [f"  {name}:", f"    head: {network.name}", "    dataset: train"]
        if "repository" in network.needs:
            lines += ["    repository: pretrained_x", "    backbone: resnet18"]
    (project / "experiments.yml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    drawn = list(heads)
    for _ in range(_MOST_DRAWS):
        for name in drawn:
            _draw(project / "specs" / name, heads[name], chance)
        found = validate_projects(Workspace(root), [PROJECT], {"HOME": str(root)})
        drawn = sorted({one.file.parent.name for one in found if one.file is not None} & heads.keys())
        if not found:
            break
    for name, network in heads.items():
        for action in ACTIONS:
            schema = _held(network, action).schema
            is_yaml = schema.format == "yaml"
            file = project / "specs" / name / f"{action}{'.yaml' if is_yaml else '.txt'}"
            listed["specs"].append((str(file), None if is_yaml else schema.name))
            if not is_yaml and schema.name not in listed["messages"]:
                descriptor = _message_class(schema).DESCRIPTOR
                listed["messages"][schema.name] = (descriptor.file.serialized_pb.hex(), descriptor.full_name)
    return listed


def _draw(folder: Path, network: Network, chance: random.Random) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for action in ACTIONS:
        schema = _held(network, action).schema
        text = spec_text(schema, chance, leaves=LEAVES, only=action)
        (folder / f"{action}{'.yaml' if schema.format == 'yaml' else '.txt'}").write_text(
            text, encoding="utf-8"
        )


def _held(network: Network, action: str) -> Against:
    from taorunner.planning.spec.schema_choice import schema_for

    held = schema_for(network.contract(action, None))
    if held is None:
        raise RuntimeError(f"no schema for {action} of {network.name}")
    return held
