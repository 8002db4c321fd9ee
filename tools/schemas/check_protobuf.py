"""Does our check of TF1's specs come to the verdict of the messages that NVIDIA's own modules hold?

    python tools/schemas/check_protobuf.py wheels --pairs 5000

``wheels`` is the folder that ``spec_schemas.py`` reads. The messages of each nvidia-tao-deploy wheel are built out
of its descriptors, with their real numbers and rules. Of every schema: the complete spec, each field given once, is
judged by both; then ``--pairs`` draws fields and odd values. Needs ``protobuf``, which taorunner brings.
"""

from __future__ import annotations

import argparse
import random
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from taorunner.errors import Severity
from taorunner.specs.extract.protobuf_schemas import MESSAGES, serialized_files
from taorunner.specs.schema.protobuf_check import refused_by_library
from taorunner.specs.schema.schema import Schema, find_schema
from taorunner.specs.schema.walk import Against, walk_prototxt
from taorunner.specs.syntax.prototxt_parser import parse_prototxt
from taorunner.specs.syntax.text_position import SpecProblemError

ODD = (
    "0", "1", "2", "-1", "+1", "12", "012", "09", "0x10", "0X1F", "-0x1", "0b1", "1_000", "1e3", "1.0", ".5",
    "5.", "-.5", "1f", "1.0f", "1F", "0.05", "1e400", "-1e400", "inf", "-inf", "nan", "-nan", "infinity",
    "Infinity", "2147483647", "2147483648", "-2147483649", "4294967295", "4294967296", "18446744073709551615",
    "18446744073709551616", "true", "false", "True", "False", "TRUE", "t", "f", "T", "yes", "no", "on", "null",
    "None", '"a"', "'a'", '"1"', '"true"', '""', '"a" "b"', '"\\n"', '"\\xff"', '"\\q"', "abc",
    "NO_SUCH_OPTION", "[]", "[1]", "[1, 2]", '["a"]', "[1,]", "{}", "{ }", "<>", "{ a: 1 }", "- 1", "1.5.2",
    "1-2", "/a/b", "$x", "1 2", "1; ", "1,", "@", "0o17", '"open', "{",
)  # fmt: skip
_NUMBERS = ("INT32", "INT64", "UINT32", "UINT64", "SINT32", "SINT64", "FIXED32", "FIXED64", "FLOAT", "DOUBLE")


def main() -> int:
    parser = argparse.ArgumentParser(
        description="compare our verdicts on TF1's specs with those of its messages"
    )
    parser.add_argument("wheels", type=Path)
    parser.add_argument("--pairs", type=int, default=0, help="(field, odd value) pairs for each wheel")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    wheels = sorted(options.wheels.glob("nvidia_tao_deploy-*.whl"))
    if not wheels:
        print(f"no wheels in {options.wheels}", file=sys.stderr)
        return 2
    print(f"seed {options.seed}")
    counts: Counter[str] = Counter()
    for wheel in wheels:
        held = dict(_messages(wheel))
        for name, (message, schema) in held.items():
            keys = _key_differences(message.DESCRIPTOR, schema, schema.root, name)
            text = _complete(message.DESCRIPTOR, ())
            differing = [
                *keys,
                *([name] if _differs(text, message, schema, counts, "complete specs") else []),
            ]
            counts[f"schemas {'differing' if differing else 'the same'}"] += 1
            for line in differing:
                print(f"{wheel.name}: {line}")
        chance = random.Random(f"{options.seed} {wheel.name}")
        fields = [
            (name, path) for name, (message, _) in held.items() for path in _paths(message.DESCRIPTOR, ())
        ]
        for _ in range(options.pairs if fields else 0):
            name, path = chance.choice(fields)
            _differs(_nested(path, chance.choice(ODD)), *held[name], counts, "pairs")
    for name in sorted(counts):
        print(f"{name}: {counts[name]}")
    return 1 if any("of another verdict" in name or "differing" in name for name in counts) else 0


def _messages(wheel: Path) -> Iterator[tuple[str, tuple[Any, Schema]]]:
    with zipfile.ZipFile(wheel) as archive:
        sources = [archive.read(name) for name in archive.namelist() if name.endswith("_pb2.py")]
    files = {
        file.name: file
        for file in map(descriptor_pb2.FileDescriptorProto.FromString, serialized_files(sources))
    }
    for name, (path, message) in MESSAGES.items():
        network, _, action = name.partition(".")
        schema = find_schema(network, action or "train", "5.0.0")
        full = f"nvidia_tao_deploy/cv/{path}"
        if full not in files or schema is None:
            continue
        pool = descriptor_pool.DescriptorPool()  # names are the same in many packages
        _add(pool, files, full, set())
        scope = f"{files[full].package}." if files[full].package else ""
        yield name, (message_factory.GetMessageClass(pool.FindMessageTypeByName(scope + message)), schema)


def _add(pool: Any, files: dict[str, Any], name: str, done: set[str]) -> None:
    if name not in done:
        done.add(name)
        for one in files[name].dependency:
            _add(pool, files, one, done)
        pool.Add(files[name])


def _key_differences(descriptor: Any, schema: Schema, number: int, path: str) -> Iterator[str]:
    keys = schema.keys(number)
    for name in sorted({field.name for field in descriptor.fields} ^ set(keys)):
        yield f"{path}.{name} is in one of both only"
    for field in descriptor.fields:
        key = keys.get(field.name)
        if key is not None and field.message_type is not None and path.count(".") < 12:
            yield from _key_differences(field.message_type, schema, key.section, f"{path}.{field.name}")


def _complete(descriptor: Any, above: tuple[Any, ...]) -> str:
    """Every field once, those of the same choice too: a message that is in itself ends at its second time."""
    lines = []
    for field in descriptor.fields:
        if field.message_type is None:
            lines.append(f"{field.name}: {_value(field)}")
        elif field.message_type not in above:
            lines.append(f"{field.name} {{\n{_complete(field.message_type, (*above, descriptor))}\n}}")
    return "\n".join(lines)


def _value(field: Any) -> str:
    if field.enum_type is not None:
        return str(field.enum_type.values[-1].name)
    kind = descriptor_pb2.FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_")
    return "1" if kind in _NUMBERS else "true" if kind == "BOOL" else '"a"'


def _paths(descriptor: Any, above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for field in descriptor.fields:
        yield (*above, field.name)
        if field.message_type is not None and len(above) < 6:
            yield from _paths(field.message_type, (*above, field.name))


def _nested(path: tuple[str, ...], written: str) -> str:
    opened = "".join(f"{name} {{ " for name in path[:-1])
    return f"{opened}{path[-1]}: {written}{' }' * (len(path) - 1)}\n"


def _differs(text: str, message: Any, schema: Schema, counts: Counter[str], what: str) -> bool:
    """Prints and counts another verdict."""
    try:
        text_format.Merge(text, message())
        theirs = ""
    except (text_format.ParseError, UnicodeError, ValueError) as error:
        theirs = str(error).splitlines()[0]
    counts[what] += 1
    if bool(theirs) == _we_refuse(text, schema):
        return False
    counts[f"{what} of another verdict"] += 1
    print(f"{schema.name}: {text[:200]!r}: theirs: {theirs or 'accepted'}")
    return True


def _we_refuse(text: str, schema: Schema) -> bool:
    """As ``validate``: our own reader, and where it finds nothing the library with our schema."""
    try:
        problems = walk_prototxt(parse_prototxt(text), Against(schema)).problems
    except SpecProblemError:
        return True
    if any(one.misfit.severity is Severity.ERROR for one in problems):
        return True
    return refused_by_library(text, schema) is not None


if __name__ == "__main__":
    sys.exit(main())
