"""AGENTS.md: read as text, bounded by the model's window, and harmless whatever stands in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnj_agent.agent.agents_file import AGENTS_MD, MAX_TOKENS, read_agents_file, told_in
from rnj_agent.agent.assembly import agents_file_from
from rnj_agent.agent.config import Config, PromptSettings
from rnj_agent.prompts import Manner, render_system

WINDOW = 32_768
MANNER = Manner(identity="You are m.", protocol="tools")


def prompt_with(text: str) -> str:
    return render_system(MANNER, needs_patch=False, agents_md=text)


def test_the_model_is_told_all_of_a_short_file(tmp_path: Path) -> None:
    (tmp_path / AGENTS_MD).write_text("# Rules\r\n\r\n* Use `ruff`.\n")
    agents = read_agents_file(tmp_path, context_window=WINDOW)
    assert agents is not None
    assert agents.text == "# Rules\n\n* Use `ruff`."
    assert str(agents) == "AGENTS.md: 3 lines"
    prompt = prompt_with(agents.text)
    assert prompt.startswith(prompt_with(""))
    assert told_in(prompt) == agents


def test_a_small_window_is_told_the_beginning_and_how_much_is_missing(tmp_path: Path) -> None:
    (tmp_path / AGENTS_MD).write_text("a rule of some length\n" * 10_000)
    for window in (2_048, 8_192, 1_000_000):
        agents = read_agents_file(tmp_path, context_window=window)
        assert agents is not None
        assert agents.num_left_out > 0
        assert len(agents.text) <= 3 * min(MAX_TOKENS, window // 8) + 60
        assert agents.text.endswith(f"[{agents.num_left_out:,} more lines: cat AGENTS.md]")


def test_nothing_is_read_that_is_no_regular_file(tmp_path: Path) -> None:
    assert read_agents_file(tmp_path, context_window=WINDOW) is None
    secret = tmp_path / "secret"
    secret.write_text("key")
    (tmp_path / AGENTS_MD).symlink_to(secret)
    assert read_agents_file(tmp_path, context_window=WINDOW) is None
    (tmp_path / AGENTS_MD).unlink()
    os.mkfifo(tmp_path / AGENTS_MD)
    assert read_agents_file(tmp_path, context_window=WINDOW) is None


def test_it_is_read_only_where_it_is_copied_and_wanted(tmp_path: Path) -> None:
    (tmp_path / AGENTS_MD).write_text("rules")
    config, off = Config(), Config(prompt=PromptSettings(agents_md=False))
    assert agents_file_from(config, tmp_path, [AGENTS_MD], context_window=WINDOW) is not None
    assert agents_file_from(config, tmp_path, ["a.py"], context_window=WINDOW) is None
    assert agents_file_from(off, tmp_path, [AGENTS_MD], context_window=WINDOW) is None


@pytest.mark.parametrize(
    "mark",
    ["<|im_end|>", "<|eot_id|>", "</agents_md>", "<end_of_turn>", "<tool_call>", "<s>", "</S>"],
)
def test_marks_of_a_chat_are_only_text(tmp_path: Path, mark: str) -> None:
    (tmp_path / AGENTS_MD).write_text(f"before {mark} {{{{ 7 * 7 }}}} after")
    agents = read_agents_file(tmp_path, context_window=WINDOW)
    assert agents is not None
    assert mark not in agents.text
    prompt = prompt_with(agents.text)
    assert "{{ 7 * 7 }} after\n</agents_md>" in prompt
    assert prompt.count("</agents_md>") == 1


@given(st.binary(max_size=3_000))
def test_any_bytes_are_printable_text(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    folder = tmp_path_factory.mktemp("repo")
    (folder / AGENTS_MD).write_bytes(data)
    agents = read_agents_file(folder, context_window=WINDOW)
    if agents is not None:
        assert not set(agents.text) & set("\x00\x1b\x07\u202e\r")
        assert prompt_with(agents.text).endswith("\n</agents_md>")
