"""Which events of a session stand: a Rewound takes back what lies behind it, in the same file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rnj_agent.agent.events import Event, Redone, Rewound, RunStarted, StepFinished, StepStarted


def standing(events: Iterable[Event]) -> list[Event]:
    """The events without those that were undone, and without the words about that."""
    kept: list[Event] = []
    undone: list[Event] = []
    for event in events:
        match event:
            case Rewound():
                at = begin_of(kept, event.step)
                at = len(kept) if at is None else at
                kept, undone = kept[:at], kept[at:]
            case Redone():
                kept, undone = kept + undone, []
            case _:
                kept.append(event)
    return kept


def begin_of(events: Sequence[Event], step: int) -> int | None:
    """The number of events before what belongs to a step; None where there is no such step.

    To a step belongs what was said right before it; to the first one of a run, the whole run. What
    the step before did to the files is told behind that one, and is not its part.
    """
    begin = 0
    for index, event in enumerate(events):
        match event:
            case RunStarted():
                begin = index
            case StepFinished():
                begin = index + 1
            case StepStarted() if event.step == step:
                return _behind_files(events, begin)
            case _:
                pass
    return None


def _behind_files(events: Sequence[Event], begin: int) -> int:
    while events[begin].kind in {"files_changed", "notice"}:
        begin += 1
    return begin
