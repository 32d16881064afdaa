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
from typing import Literal, TypeAlias

from jinja2 import Environment, StrictUndefined, Template

Form: TypeAlias = Literal["own", "mini-swe-agent"]
"""In our own words, or as in mini-SWE-agent, which tells in its first message what it is."""


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
    project: str = ""
    """Its languages and manifests, in a few words, where not all paths are listed."""
    repo_map: str = ""
    """Paths, and below each the lines of definitions that matter."""
    excerpts: Sequence[SourceExcerpt] = ()
    test_command: str = ""
    test_output: str = ""
    """What the test command printed before any change, condensed; empty where it passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How the model is spoken to, and what it may call."""

    identity: str
    """Who it is, in one sentence: a small model asked for its name invents one."""
    protocol: Literal["tools", "text", "blocks"]
    lines: Sequence[str] = ()
    """What it is told besides."""
    brief: bool = False
    """In fewer words."""
    tools: Sequence[str] = ("bash", "edit", "submit")
    form: Form = "own"


def render_system(manner: Manner, *, needs_patch: bool, agents_md: str = "") -> str:
    """The system prompt, without the tool schemas that the chat template adds.

    Args:
        manner: of speaking.
        needs_patch: whether the run is after a patch.
        agents_md: what the repository tells agents; empty where it says nothing.
    """
    is_mini = needs_patch and manner.form == "mini-swe-agent"
    name = "mini_system.md" if is_mini else f"system_{manner.protocol}.md"
    prompt = _render(name, manner=manner, needs_patch=needs_patch)
    return f"{prompt}\n\n{_render('agents_md.md', text=agents_md)}" if agents_md else prompt


def render_mini_format_error(num_actions: int) -> str:
    """What a reply is answered there that does not hold one action."""
    return _render("mini_format_error.md", num_actions=num_actions)


def render_fix_task(facts: IssueFacts, *, form: Form = "own") -> str:
    """The first user message of a run that is after a patch."""
    if form == "mini-swe-agent":
        return _render("mini_task.md", issue=facts.issue, workdir=facts.workdir)
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
