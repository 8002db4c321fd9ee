"""The folders of NGC's downloader say model and version, also where both have "_v" in their names."""

from __future__ import annotations

import pytest

from taorunner.importers.launcher_weights import downloaded_as


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("pretrained_detectnet_v2_vresnet18", ("pretrained_detectnet_v2", "resnet18")),
        ("pretrained_classification_vmobilenet_v2", ("pretrained_classification", "mobilenet_v2")),
        ("actionrecognitionnet_vtrainable_v1.0", ("actionrecognitionnet", "trainable_v1.0")),
        ("ocdnet_vtrainable_ocdnet_vit_v1.0", ("ocdnet", "trainable_ocdnet_vit_v1.0")),
        ("our_own_net_vbest", ("our_own_net", "best")),
        ("our_net_vbest_v2", ("our_net", "best_v2")),
        ("model_v3", ("model", "3")),
        ("weights", None),
        ("_vx", None),
        ("x_v", None),
    ],
)
def test_model_and_version(folder: str, expected: tuple[str, str] | None) -> None:
    assert downloaded_as(folder) == expected
