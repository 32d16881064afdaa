"""The rendered prompts are the product's words: each change of theirs shows in a golden file.

After a wanted change: ``RNJ_UPDATE_GOLDEN=1 python -m pytest tests/prompts``, and read the diff.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import pytest
from jinja2 import UndefinedError

from rnj_agent import prompts
from rnj_agent.prompts import (
    IssueFacts,
    Manner,
    SourceExcerpt,
    render_fix_task,
    render_mini_format_error,
    render_run_task,
    render_system,
)

GOLDEN = Path(__file__).parent / "golden"

FACTS = IssueFacts(
    issue="# add() subtracts\n\nadd(2, 3) gives -1. Expected: 5.\n",
    workdir="/workspace",
    file_list=["calc.py", "test_calc.py"],
    num_files=40,
    excerpts=[SourceExcerpt(path="calc.py", text="def add(a, b):\n    return a - b\n", whole=True)],
    test_command="pytest -q",
    test_output="FAILED test_calc.py::test_add - assert -1 == 5",
)


def _manner(protocol: Literal["tools", "text"], **changes: Any) -> Manner:
    return Manner(identity="You are Rnj-1.", protocol=protocol, **changes)


CASES = {
    "system_tools_fix": lambda: render_system(_manner("tools"), needs_patch=True),
    "system_tools_fix_brief": lambda: render_system(
        _manner("tools", brief=True, tools=("bash", "submit"), lines=("Be quick.",)),
        needs_patch=True,
    ),
    "system_tools_run": lambda: render_system(_manner("tools"), needs_patch=False),
    "system_text_fix": lambda: render_system(_manner("text"), needs_patch=True),
    "system_text_run": lambda: render_system(_manner("text"), needs_patch=False),
    "mini_system": lambda: render_system(_manner("text", form="mini-swe-agent"), needs_patch=True),
    "mini_task": lambda: render_fix_task(FACTS, form="mini-swe-agent"),
    "mini_format_error": lambda: render_mini_format_error(2),
    "task_fix": lambda: render_fix_task(FACTS),
    "task_fix_bare": lambda: render_fix_task(
        IssueFacts(issue="It is slow.", workdir="/workspace", file_list=["a.py"], num_files=1)
    ),
    "task_fix_large": lambda: render_fix_task(
        IssueFacts(
            issue="It is slow.",
            workdir="/workspace",
            file_list=["lib/a.py", "lib/ (300 files)"],
            num_files=304,
            project="Python; pyproject.toml",
            repo_map="lib/a.py\n  12: def load(path):",
        )
    ),
    "task_run": lambda: render_run_task("Explain what cli.py does.", workdir="/workspace"),
}


@pytest.mark.parametrize("name", CASES)
def test_rendered_prompt_is_the_golden_one(name: str) -> None:
    golden = GOLDEN / f"{name}.txt"
    rendered = CASES[name]() + "\n"
    if os.environ.get("RNJ_UPDATE_GOLDEN"):
        golden.write_text(rendered, encoding="utf-8")
    assert rendered == golden.read_text(encoding="utf-8")


def test_no_prompt_names_another_vendor() -> None:
    words = " ".join(render() for render in CASES.values()).lower()
    assert not any(vendor in words for vendor in ("claude", "gpt", "openai", "anthropic"))


def test_system_prompts_are_short_enough_for_small_models() -> None:
    """About 1,000 tokens are for prompt and tools together; four characters a token is typical."""
    assert all(len(CASES[name]()) < 2000 for name in CASES if name.startswith("system"))


def test_hostile_issue_text_is_data() -> None:
    """Template syntax in an issue stays as it is."""
    facts = IssueFacts(issue="{{ 7 * 7 }} {% raw %}", workdir="/w", file_list=[], num_files=0)
    assert "{{ 7 * 7 }} {% raw %}" in render_fix_task(facts)


def test_a_forgotten_value_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        prompts._render("task_run.md", task="x")  # pyright: ignore[reportPrivateUsage]
