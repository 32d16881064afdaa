"""Every word the model reads before the first step, as files beside this one.

The files are Jinja templates; a name that they use and nobody gives is an error. What is rendered
here is frozen for a session: it holds no clock, so the prompt's prefix stays the same.

Not here: tool descriptions (``tools/``) and answers to malformed replies (``agent/wording.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from jinja2 import Environment, StrictUndefined, Template

IDENTITIES = {"rnj-1": "You are Rnj-1, a model for code by Essential AI."}
"""By the start of the model's name: what it may say it is. Others go by their own name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceExcerpt:
    """A file, or the parts of it that matter, shown to the model before it asks."""

    path: str
    text: str
    whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueFacts:
    """What the first message says about an issue and its repository."""

    issue: str
    workdir: str
    file_list: Sequence[str]
    """Paths, as many as fit."""
    num_files: int
    excerpts: Sequence[SourceExcerpt] = ()
    test_command: str = ""
    test_output: str = ""
    """What the test command printed before any change, condensed; empty where it passed."""


def identity(model: str) -> str:
    """Who the model is, in one sentence: a small model asked for its name invents one."""
    name = model.rsplit("/", 1)[-1]
    for prefix, sentence in IDENTITIES.items():
        if name.lower().startswith(prefix):
            return sentence
    return f"You are {name}."


def render_system(
    *, model: str, protocol: Literal["tools", "text"], needs_patch: bool, agents_md: str = ""
) -> str:
    """The system prompt, without the tool schemas that the chat template adds.

    Args:
        model: its name.
        protocol: how it acts.
        needs_patch: whether the run is after a patch.
        agents_md: what the repository tells agents; empty where it says nothing.
    """
    prompt = _render(f"system_{protocol}.md", identity=identity(model), needs_patch=needs_patch)
    return f"{prompt}\n\n{_render('agents_md.md', text=agents_md)}" if agents_md else prompt


def render_fix_task(facts: IssueFacts) -> str:
    """The first user message of ``fix``."""
    return _render("task_fix.md", facts=facts)


def render_run_task(task: str, *, workdir: str, excerpts: Sequence[SourceExcerpt] = ()) -> str:
    """The first user message of ``run`` and of a session; ``excerpts`` are of what it names."""
    return _render("task_run.md", task=task, workdir=workdir, excerpts=excerpts)


def render_plan_note() -> str:
    """What follows a message of the person's in plan mode."""
    return _render("plan_note.md")


def _render(name: str, **values: object) -> str:
    return _template(name).render(**values).strip()


@cache
def _template(name: str) -> Template:
    source = files("rnj_agent.prompts").joinpath(name).read_text(encoding="utf-8")
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(source)
