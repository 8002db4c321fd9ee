"""Python packages of the shape of TAO's, for what reads spec schemas out of them. Our own words, no NVIDIA software.

Dataclasses with limits in their metadata, shared types one package up, and around them packages whose import does what
TAO's do: it needs a framework that is not there, or fails.
"""

from __future__ import annotations

TYPES = """\
from dataclasses import dataclass, field
from typing import Any

def INT_FIELD(value, **more):
    return field(default=value, metadata={"display_name": "", **more})
"""
DINO = """\
from dataclasses import dataclass, field
from typing import Dict, List, Optional
import torch.nn as nn
from omegaconf import MISSING
from {types} import INT_FIELD

@dataclass
class Train:
    num_epochs: int = INT_FIELD(10, valid_min=1, valid_max="inf")
    precision: str = INT_FIELD("fp32", valid_options="fp16,fp32")
    freeze: Optional[List[str]] = None
    padding: bool = "TRUE"

@dataclass
class Evaluate:
    checkpoint: str = MISSING

@dataclass
class EvaluateMore(Evaluate):
    trt_engine: str = ""

@dataclass
class ExperimentConfig:
    train: Train = field(default_factory=lambda: Train(num_epochs=12))
    evaluate: Evaluate = field(default_factory=EvaluateMore)
    distill: Optional[Evaluate] = None
    colours: Optional[Dict[str, str]] = field(default_factory=lambda: {{"car": "red"}})
    backend: nn.Module = nn.Identity()
"""
DINO_TREE = {
    "train": {
        "type": "section",
        "keys": {
            "num_epochs": {"type": "int", "default": 12, "min": 1},
            "precision": {"type": "str", "default": "fp32", "options": ["fp16", "fp32"]},
            "freeze": {"type": "list", "of": {"type": "str"}, "optional": True, "default": None},
            "padding": {"type": "bool", "default": True},
        },
    },
    "evaluate": {
        "type": "section",
        "keys": {
            "checkpoint": {"type": "str", "default": "???"},
            "trt_engine": {"type": "str", "default": ""},
        },
    },
    "distill": {
        "type": "section",
        "keys": {"checkpoint": {"type": "str", "default": "???"}},
        "optional": True,
        "default": None,
    },
    "colours": {
        "type": "map",
        "names": "str",
        "of": {"type": "str"},
        "optional": True,
        "default": {"car": "red"},
    },
    "backend": {"type": "any"},
}
CONVERT = """\
from dataclasses import dataclass

@dataclass
class DINODatasetConvertConfig:
    input_source: str = ""
"""
CONVERT_TREE = {"input_source": {"type": "str", "default": ""}}

CORE = {
    "nvidia_tao_core/__init__.py": "",
    "nvidia_tao_core/config/__init__.py": "",
    "nvidia_tao_core/config/types.py": TYPES,
    "nvidia_tao_core/config/dino/__init__.py": "",
    "nvidia_tao_core/config/dino/default_config.py": DINO.format(types="nvidia_tao_core.config.types"),
    "nvidia_tao_core/config/dino/dataset.py": CONVERT,
    "nvidia_tao_core/config/broken/default_config.py": "raise RuntimeError('no licence')\n",
    "nvidia_tao_core/config/empty/default_config.py": "number = 3\n",
    "nvidia_tao_core-9.9.1.dist-info/METADATA": "Metadata-Version: 2.1\nName: nvidia-tao-core\nVersion: 9.9.1\n",
}
"""As in 6.x."""

PYTORCH = {
    "nvidia_tao_pytorch/__init__.py": "import torch\nif not torch.cuda.is_really_here():\n    raise OSError('libcuda.so.1')\n",
    "nvidia_tao_pytorch/core/types.py": TYPES,
    "nvidia_tao_pytorch/cv/__init__.py": "raise ImportError('needs a GPU')\n",
    "nvidia_tao_pytorch/cv/dino/__init__.py": "",
    "nvidia_tao_pytorch/cv/dino/config/default_config.py": DINO.format(types="nvidia_tao_pytorch.core.types"),
    "nvidia_tao_pytorch/cv/metric_learning_recognition/config/default_config.py": CONVERT.replace(
        "DINODatasetConvertConfig", "MLExperimentConfig"
    ),
}
"""As in 5.x: configurations beside the code, whose packages load a framework."""
