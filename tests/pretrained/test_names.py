from __future__ import annotations

import pytest

from taorunner.errors import UsageError
from taorunner.pretrained.bundled_list import known_models, known_networks, model_of, models_for
from taorunner.pretrained.names import HubModel, NgcModel, parse_model


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nvidia/tao/dino:v1", NgcModel("nvidia", "tao", "dino", "v1")),
        ("ngc://nvidia/tao/dino:v1.0", NgcModel("nvidia", "tao", "dino", "v1.0")),
        ("nvaie/imagenet:1", NgcModel("nvaie", None, "imagenet", "1")),
        ("dino", NgcModel("nvidia", "tao", "dino")),
        (
            "https://catalog.ngc.nvidia.com/orgs/nvidia/teams/tao/models/dino/files?version=v2",
            NgcModel("nvidia", "tao", "dino", "v2"),
        ),
        ("https://catalog.ngc.nvidia.com/orgs/nvidia/models/dino", NgcModel("nvidia", None, "dino")),
        ("hf://nvidia/C-RADIOv2-B", HubModel("nvidia/C-RADIOv2-B")),
        ("hf_model://nvidia/C-RADIOv2-B@abc123", HubModel("nvidia/C-RADIOv2-B", "abc123")),
    ],
)
def test_names_as_people_write_them(text: str, expected: object) -> None:
    assert parse_model(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a/b/c/d",
        "../x",
        "a:b:c",
        "hf://one",
        "hf://a b/c",
        "hf://a/b c",
        "hf://a/b@../x",
        "hf://a/b/c",
        "nvidia//x",
        "a b",
        "x:"[:0] + ":v",
    ],
)
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(UsageError, match="is not the name of a model"):
        parse_model(text)


def test_every_bundled_name_is_one_and_reads_back_the_same() -> None:
    names = [model.name for model in known_models()]
    assert names == sorted(set(names))
    for name in names:
        parsed = parse_model(name)
        assert str(parsed) == (f"{name}@main" if isinstance(parsed, HubModel) else name)


def test_every_network_has_models() -> None:
    assert {"dino", "detectnet_v2", "unet"} < set(known_networks())
    assert [model.name for model in models_for("detectnet_v2")] == [
        "nvidia/tao/facenet:unpruned_v2.0",
        "nvidia/tao/pretrained_detectnet_v2:resnet18",
    ]


@pytest.mark.parametrize(
    ("repository", "backbone", "expected"),
    [
        ("pretrained_detectnet_v2", "resnet34", "nvidia/tao/pretrained_detectnet_v2:resnet34"),
        ("ocdnet", "trainable_ocdnet_vit_v1.0", "nvidia/tao/ocdnet:trainable_ocdnet_vit_v1.0"),
        ("imagenet_nv_dinov2", "trainable_v1.1", "nvaie/imagenet_nv_dinov2:trainable_v1.1"),
        ("mine", "v1", "nvidia/tao/mine:v1"),
    ],
)
def test_the_model_behind_an_experiment(repository: str, backbone: str, expected: str) -> None:
    assert str(model_of(repository, backbone)) == expected
