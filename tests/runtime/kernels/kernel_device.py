"""Where kernels are tested: on the GPU if there is one, else on CPU tensors in the interpreter."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("triton", reason="no Triton: pip install triton")

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
