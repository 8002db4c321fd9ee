"""Which layers of an image still have to be downloaded."""

from __future__ import annotations

from taorunner.engine.registry import RemoteLayer
from taorunner.images.space import Room, missing_layers

BASE, PYTHON, TAO = (RemoteLayer(f"sha256:{name}", 10, f"un:{name}") for name in ("base", "python", "tao"))


def test_a_layer_is_there_only_with_all_below_it() -> None:
    layers = [BASE, PYTHON, TAO]
    assert missing_layers(layers, []) == layers
    assert missing_layers(layers, [("un:base", "un:other", "un:tao")]) == [PYTHON, TAO]
    assert missing_layers(layers, [("un:other", "un:python", "un:tao")]) == layers
    assert missing_layers(layers, [("un:base",), ("un:base", "un:python"), ()]) == [TAO]


def test_a_layer_of_two_images_is_downloaded_once() -> None:
    assert missing_layers([BASE, PYTHON, TAO], [("un:base",)], {PYTHON.digest}) == [TAO]


def test_a_layer_whose_content_is_unknown_is_downloaded() -> None:
    unknown = RemoteLayer("sha256:x", 10, None)
    assert missing_layers([unknown, TAO], [("", "un:tao")]) == [unknown, TAO]


def test_three_times_the_download_has_to_be_free() -> None:
    assert Room({"a": 10, "b": 20}, {}, "/d", 90).is_too_small is False
    assert Room({"a": 10, "b": 20}, {}, "/d", 89).is_too_small is True
    assert Room({"a": 10}, {}, "/d", None).is_too_small is False
