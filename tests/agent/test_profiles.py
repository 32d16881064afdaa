from __future__ import annotations

import pytest

from rnj_agent.agent.profiles import profile_for


@pytest.mark.parametrize(
    ("model", "protocol"),
    [
        ("rnj-1-instruct", "text"),
        ("EssentialAI/rnj-1-instruct", "text"),
        ("/models/Qwen2.5-Coder-1.5B-Instruct-Q4_K_M.gguf", "text"),
        ("qwen3-coder-30b", "tools"),
        ("llama-3.1-8b", "tools"),
    ],
)
def test_families_by_name(model: str, protocol: str) -> None:
    assert profile_for(model).protocol == protocol
