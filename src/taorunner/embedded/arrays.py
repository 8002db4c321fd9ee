"""Array types shared by the network's modules."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

#: Float arrays: float32 when training, float64 where a test compares gradients with finite differences.
Floats: TypeAlias = npt.NDArray[np.floating[Any]]
Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]
#: Images: ``(height, width, 3)`` or ``(count, height, width, 3)``, RGB, 0..255.
Images: TypeAlias = npt.NDArray[np.uint8]
