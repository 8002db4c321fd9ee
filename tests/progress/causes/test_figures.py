"""How full the memory of a GPU was, by the words of PyTorch's allocator."""

from __future__ import annotations

import pytest

from taorunner.progress.causes.figures import memory_text


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of "
            "80.00 GiB of which 1.10 GiB is free. Process 812 has 23.5 GiB memory in use.",
            "78.9 of 80.0 GiB in use, 2.5 GiB more asked",
        ),
        (
            "RuntimeError: CUDA out of memory. Tried to allocate 20.00 MiB (GPU 0; 15.78 GiB total capacity; 14.10 GiB "
            "already allocated; 12.75 MiB free; 14.20 GiB reserved in total by PyTorch)",
            "15.8 of 15.8 GiB in use, 20.0 MiB more asked",
        ),
        ("Tried to allocate 8.00 GiB.", None),
        ("GPU 0 has a total capacity of 1.2.3 GiB of which 1 GiB is free", None),
    ],
)
def test_the_memory_of_a_gpu(line: str, said: str | None) -> None:
    assert memory_text(["Epoch 1", line]) == said
