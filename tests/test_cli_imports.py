"""Listing the commands must be instant: the command line imports nothing heavy until it acts."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "asyncio",
    "docker",
    "git",
    "httpx",
    "huggingface_hub",
    "numpy",
    "openai",
    "pydantic",
    "rich",
    "tokenizers",
    "torch",
    "textual",
    "transformers",
)

PROBE = """
import sys
from rnj_agent.agent.cli.edge import execute
code = execute(sys.argv[1:])
print(*(name for name in sys.modules if "." not in name), file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], []], ids=" ".join)
def test_help_and_version_import_nothing_heavy(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments], capture_output=True, text=True, check=True
    )
    assert not set(done.stderr.split()) & set(HEAVY)


def test_importing_every_command_module_imports_neither_engine_nor_ui() -> None:
    probe = """
import sys, importlib
from rnj_agent.agent.cli.app import COMMANDS
for entry in COMMANDS:
    importlib.import_module(f"rnj_agent.agent.cli.{entry.name}")
print(*(name for name in sys.modules if "." not in name))
"""
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    heavy = {"torch", "textual", "openai", "docker", "transformers", "numpy"}
    assert not set(done.stdout.split()) & heavy


def test_the_app_imports_no_configuration_before_its_first_paint() -> None:
    probe = """
import sys
import rnj_agent.agent.tui.app, rnj_agent.agent.tui.opener
print(*(name for name in sys.modules if "." not in name))
"""
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    heavy = {"pydantic", "openai", "docker", "git", "httpx", "huggingface_hub", "markdown_it"}
    assert not set(done.stdout.split()) & heavy
