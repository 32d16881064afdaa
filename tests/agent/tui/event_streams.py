"""Streams of events for tests of the app: random ones, and the recorded sessions."""

from __future__ import annotations

from hypothesis import strategies as st

from rnj_agent.agent.events import (
    CommandFinished,
    CommandStarted,
    ContextCompacted,
    Delivered,
    Event,
    FilesChanged,
    MessageFinished,
    Notice,
    ReasoningDelta,
    Redone,
    Rewound,
    RunFinished,
    RunStarted,
    StartedOver,
    StepFinished,
    StepStarted,
    TextDelta,
    ToolCallFinished,
    ToolCallStarted,
    ToolOutputDelta,
    UsageUpdated,
    VerificationFinished,
    VerificationStarted,
)
from rnj_agent.agent.messages import (
    AssistantMessage,
    SystemMessage,
    ToolCall,
    ToolMessage,
    UserMessage,
)

_TEXT = st.text(max_size=60) | st.sampled_from(
    ["# Title\n\n", "```python\nx = 1\n", "```\n", "- item\n", "<tool_call>", "\x1b[31mred", "\r"]
)
_IDS = st.sampled_from(["c1", "c2", "c3"])
_CALLS = st.builds(ToolCall, id=_IDS, name=st.sampled_from(["bash", "edit"]), arguments=_TEXT)
_MESSAGES = st.one_of(
    st.builds(SystemMessage, content=_TEXT),
    st.builds(UserMessage, content=_TEXT),
    st.builds(AssistantMessage, content=_TEXT, tool_calls=st.tuples() | st.tuples(_CALLS)),
    st.builds(ToolMessage, tool_call_id=_IDS, content=_TEXT),
)
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(RunStarted, task=_TEXT),
    st.builds(StepStarted, step=st.integers(1, 5)),
    st.builds(TextDelta, text=_TEXT),
    st.builds(ReasoningDelta, text=_TEXT),
    st.builds(MessageFinished, message=_MESSAGES),
    st.builds(ToolCallStarted, call=_CALLS),
    st.builds(ToolOutputDelta, call_id=_IDS, text=_TEXT),
    st.builds(ToolCallFinished, call_id=_IDS, content=_TEXT),
    st.builds(UsageUpdated),
    st.builds(ContextCompacted),
    st.builds(StartedOver, note=_TEXT),
    st.builds(VerificationStarted),
    st.builds(VerificationFinished, output=_TEXT),
    st.builds(Notice, text=_TEXT),
    st.builds(StepFinished),
    st.builds(CommandStarted, command_id=_IDS, command=_TEXT),
    st.builds(CommandFinished, command_id=_IDS, content=_TEXT),
    st.builds(FilesChanged, patch=_TEXT),
    st.builds(Rewound, step=st.integers(1, 5)),
    st.builds(Redone),
    st.builds(Delivered),
    st.builds(RunFinished, duration_s=st.floats(0, 1e6)),
)
"""One event of any kind; a list of them is no run that could have happened, and must fold too."""
