"""A real small model through the whole server: what it says makes sense."""

from __future__ import annotations

import openai
import pytest

from rnj_agent.runtime.errors import ModelNotFoundError
from rnj_agent.runtime.hub import resolve
from tests.runtime.live_server import API_KEY, loaded_service, serving

MODEL = "smollm2-135m"


@pytest.mark.weights
def test_smollm2_knows_the_capital_of_france() -> None:
    try:
        path = resolve(MODEL)
    except ModelNotFoundError as exc:
        pytest.skip(f"{exc.message} Fetch it with: {exc.hint}")
    with (
        serving(loaded_service(path, name=MODEL)) as live,
        openai.OpenAI(base_url=live.base_url, api_key=API_KEY) as client,
    ):
        replies = [
            client.chat.completions.create(
                model=MODEL,
                messages=[{"role": "user", "content": "Name the capital city of France."}],
                temperature=0,
                max_tokens=24,
            )
            for _ in range(2)
        ]
    for reply in replies:  # the second one from the cached prompt
        assert "Paris" in (reply.choices[0].message.content or "")
