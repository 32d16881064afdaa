from __future__ import annotations

import json
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnj_agent.agent import events as events_module
from rnj_agent.agent.errors import SessionError
from rnj_agent.agent.event_json import event_from_json, event_to_json
from rnj_agent.agent.events import ContextCompacted, Event, MessageFinished, TextDelta
from rnj_agent.agent.messages import AssistantMessage

KINDS = get_args(Event)
WHOLE_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
st.register_type_strategy(str, WHOLE_TEXT)
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@settings(deadline=None)  # the first one builds the schema
@given(data=st.data())
def test_every_event_survives_the_round_trip(kind: type[Event], data: st.DataObject):
    event = data.draw(st.from_type(kind))
    line = event_to_json(event)
    assert "\n" not in line
    assert event_from_json(line) == event
    assert json.loads(line)["kind"] == event.kind


def test_the_union_holds_every_event_of_its_module():
    declared = {
        value
        for value in vars(events_module).values()
        if isinstance(value, type) and hasattr(value, "kind")
    }
    assert declared == set(KINDS)


def test_half_a_character_does_not_stop_the_recording():
    line = event_to_json(TextDelta(text="a\ud800b"))
    assert event_from_json(line) == TextDelta(text="a?b")


def test_a_compaction_of_an_older_version_is_still_read():
    line = '{"replaced":[["c","x"]],"num_tokens_before":9,"num_tokens_after":4'
    event = event_from_json(f'{line},"kind":"context_compacted"}}')
    assert isinstance(event, ContextCompacted)
    assert (event.rewritten, event.num_tokens_again) == ((), 0)


def test_a_message_keeps_its_type():
    event = MessageFinished(message=AssistantMessage(content="hello"))
    assert event_from_json(event_to_json(event)) == event


@pytest.mark.parametrize(
    "line", ["", "{}", "nonsense", '{"kind":"text_delta"}', '{"kind":"teleported"}']
)
def test_what_is_no_event_is_refused_with_its_place(line: str):
    with pytest.raises(SessionError, match="not an event"):
        event_from_json(line)
