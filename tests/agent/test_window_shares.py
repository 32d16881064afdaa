from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnj_agent.agent.agents_file import AGENTS_MD, read_agents_file
from rnj_agent.agent.config import Config
from rnj_agent.agent.instructions import system_prompt
from rnj_agent.agent.window_shares import (
    CHARS_PER_TOKEN,
    evidence_chars,
    first_message_chars,
    fitted,
    issue_chars,
    leading,
    listing_chars,
    result_chars,
)
from rnj_agent.tools.base import function_schema
from rnj_agent.tools.toolset import toolset


@pytest.mark.parametrize(
    ("window", "result", "evidence", "issue", "first"),
    [
        (2_048, 768, 768, 1_536, 1_920),
        (4_096, 1_536, 1_536, 3_072, 3_840),
        (32_768, 10_000, 2_000, 24_576, 30_720),
        (131_072, 10_000, 2_000, 98_304, 122_880),
    ],
)
def test_the_bounds_follow_the_window(
    window: int, result: int, evidence: int, issue: int, first: int
):
    assert result_chars(window) == result
    assert evidence_chars(window) == evidence
    assert issue_chars(window) == issue
    assert first_message_chars(window) == first
    assert issue + listing_chars(window) <= first


@given(st.text(), st.integers(0, 100))
def test_a_fitted_text_is_bounded_and_says_what_is_gone(text: str, max_chars: int):
    shown = fitted(text, max_chars)
    num_bytes = len(text.encode("utf-8", "replace"))
    if num_bytes <= max_chars:
        assert shown == text
    else:
        assert "characters left out here]" in shown
        assert len(shown) <= max_chars + 60


def test_a_text_keeps_its_beginning_and_its_end():
    shown = fitted("a" * 500 + "b" * 500, 300)
    assert shown == "a" * 200 + "\n[700 characters left out here]\n" + "b" * 100


def test_characters_of_several_bytes_count_as_several():
    assert fitted("ö" * 100, 200) == "ö" * 100
    assert "[51 characters left out here]" in fitted("ö" * 100, 100)


@given(st.lists(st.text(max_size=20)), st.integers(0, 200))
def test_as_many_paths_as_fit(paths: list[str], max_chars: int):
    kept = leading(paths, max_chars)
    assert kept == paths[: len(kept)]
    assert len(", ".join(kept)) <= max_chars


@pytest.mark.parametrize("window", [4_096, 8_192, 32_768])
def test_the_largest_first_prompt_leaves_room_for_a_reply_and_a_result(tmp_path: Path, window: int):
    (tmp_path / AGENTS_MD).write_text("Mind the gap.\n" * 9_000)
    agents = read_agents_file(tmp_path, context_window=window)
    assert agents is not None
    system = system_prompt(
        Config(), "some-model", needs_patch=True, agents_md=agents.text, protocol="tools"
    )
    schemas = str([function_schema(tool) for tool in toolset()])
    num_chars = len(system) + len(schemas) + first_message_chars(window) + result_chars(window)
    assert num_chars // CHARS_PER_TOKEN + min(2_048, window // 4) <= window
