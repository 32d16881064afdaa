"""What one run is asked to do, with every word of the prompt already rendered."""

from __future__ import annotations

from dataclasses import dataclass

from rnj_agent.agent.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    session_id: str
    text: str
    """What the person asked for, for titles and reports."""
    system_prompt: str
    """Told once: not where the run goes on with a history."""
    user_message: str
    """The first user message of the run."""
    cwd: str
    """The repository on the host."""
    prelude: tuple[Event, ...] = ()
    """What happened while the task was prepared, such as a first test run; recorded behind
    RunStarted. Every Started among them has its Finished."""
    num_steps_before: int = 0
    """Steps that the session had before this run; counting goes on from there."""
