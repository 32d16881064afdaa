"""The closed union of events that a run consists of. The JSONL on disk is this stream.

``AgentLoop.run`` yields them; the CLI, the TUI, the session file and every report are folds over
them. Exactly one RunFinished, always last, also on cancel and error. Every Started has its
Finished. Questions are not events: approval is an injected callback.

History from events: ``MessageFinished`` carries each system, user and assistant message,
``ToolCallFinished.content`` is the tool message that answers its call, ``CommandFinished.content``
is a user message, ``ContextCompacted`` shortens older messages,
``StartedOver`` takes the run back to its first user message, with a note behind that one's text,
``Rewound`` cuts the end off, and ``Redone`` puts it back.

An interactive session is several runs in one file, one for each turn, with one growing history:
only the first has a system message. Between runs lie ``CommandStarted`` to ``CommandFinished``,
``FilesChanged``, ``Rewound``, ``Redone``, ``Delivered`` and ``Notice``. Steps are counted on
through the whole session and no number is used twice, so a step or call id names one thing in the
file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from rnj_agent.agent.messages import Message, ToolCall, UserMessage

Protocol: TypeAlias = Literal["tools", "text", "blocks"]

TestPhase: TypeAlias = Literal[
    "before",  # any change
    "during",  # after a step that changed files
    "after",  # a submission, or the end
]

FinishReason: TypeAlias = Literal[
    "submitted",  # the model submitted (fix: the patch may still have failed verification)
    "answered",  # a plain answer to a task that needs no patch
    "step_limit",
    "time_limit",
    "token_limit",
    "format_errors",  # too many malformed replies in a row
    "loop",  # the loop guard gave up
    "context_full",  # the window is full and nothing is left to shrink
    "model_error",
    "sandbox_error",
    "interrupted",
    "internal_error",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    session_id: str
    task: str
    cwd: str
    """The repository on the host."""
    model: str
    endpoint: str
    """The base URL, without credentials."""
    context_window: int
    """Tokens."""
    protocol: Protocol
    sandbox: str
    started_at: str
    """ISO 8601, UTC."""
    version: str
    kind: Literal["run_started"] = "run_started"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStarted:
    """A step: one model call and the tool calls it asks for. ``step`` counts from 1, on through all
    turns of a session.
    """

    step: int
    num_prompt_tokens: int
    """Exact where the model's tokenizer is at hand (``exact``), else an estimate."""
    exact: bool
    kind: Literal["step_started"] = "step_started"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta:
    text: str
    kind: Literal["text_delta"] = "text_delta"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasoningDelta:
    text: str
    kind: Literal["reasoning_delta"] = "reasoning_delta"


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFinished:
    """A system, user or assistant message entered the history. Tool messages: ToolCallFinished."""

    message: Message
    finish_reason: str = ""
    """Assistant messages: ``stop``, ``tool_calls``, ``length``, ``cut`` where we ended it, or
    ``interrupted`` where it is what had been said until then.
    """
    kind: Literal["message_finished"] = "message_finished"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallStarted:
    call: ToolCall
    repaired: tuple[str, ...] = ()
    """What the parser had to mend, in words, to read this call."""
    kind: Literal["tool_call_started"] = "tool_call_started"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOutputDelta:
    call_id: str
    text: str
    kind: Literal["tool_output_delta"] = "tool_output_delta"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallFinished:
    call_id: str
    content: str
    """Exactly what the model is told."""
    is_error: bool
    exit_code: int | None = None
    """Of the command, where the tool ran one."""
    duration_s: float = 0.0
    kind: Literal["tool_call_finished"] = "tool_call_finished"


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageUpdated:
    """After each model call."""

    num_prompt_tokens: int
    num_cached_tokens: int
    """Prompt tokens that the server did not have to compute again."""
    num_completion_tokens: int
    prefill_s: float
    """Time to the first token."""
    decode_s: float
    tokens_per_s: float
    """Of decoding."""
    exact: bool
    """Whether the server reported these counts (else they are estimates)."""
    kind: Literal["usage_updated"] = "usage_updated"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextCompacted:
    """Older messages were shortened, so the prompt prefix changed from the first one on."""

    replaced: tuple[tuple[str, str], ...]
    """(tool_call_id, new content) pairs: results."""
    num_tokens_before: int
    num_tokens_after: int
    num_tokens_again: int = 0
    """What it costs: tokens behind the first change, which the server has to prefill again."""
    rewritten: tuple[tuple[int, Message], ...] = ()
    """(place in the history, new message) pairs: what the model said."""
    kind: Literal["context_compacted"] = "context_compacted"


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedOver:
    """The run was stuck and begins anew, between two steps: the files are as before the model's
    first change. Steps, tokens and time count on.
    """

    number: int
    """Of the start: 2 where it is the first that is not the run's own."""
    reason: str
    """One line: why, in words."""
    note: str
    """What the model is told of it."""
    message: UserMessage
    """The run's first user message with the note behind it: the same text in front, so that a
    server's cache of the prompt still serves."""
    kind: Literal["started_over"] = "started_over"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationStarted:
    """The user's test command is about to run in the sandbox."""

    phase: TestPhase
    command: str
    kind: Literal["verification_started"] = "verification_started"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationFinished:
    phase: TestPhase
    passed: bool
    exit_code: int
    output: str
    duration_s: float
    kind: Literal["verification_finished"] = "verification_finished"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One line for the person: a retry, a warning, what a guard did."""

    level: Literal["info", "warning", "error"]
    text: str
    kind: Literal["notice"] = "notice"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFinished:
    step: int
    model_s: float
    tools_s: float
    own_s: float
    """The agent's own work: neither model nor command."""
    kind: Literal["step_finished"] = "step_finished"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished:
    reason: FinishReason
    detail: str
    """One line: why it ended, in words."""
    answer: str
    """The model's last words or its submission message."""
    patch: str
    """A unified diff against what the user saw; empty where nothing changed."""
    verified: bool | None
    """Whether the test command passed after the last edit; None where none was given."""
    num_steps: int
    num_prompt_tokens: int
    num_cached_tokens: int
    num_completion_tokens: int
    duration_s: float
    kind: Literal["run_finished"] = "run_finished"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandStarted:
    """The person runs a command in the sandbox. Its output comes as ToolOutputDelta under its
    id.
    """

    command_id: str
    command: str
    kind: Literal["command_started"] = "command_started"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandFinished:
    command_id: str
    content: str
    """Exactly what the model is told of it, as a user message."""
    exit_code: int | None
    """None: it was interrupted."""
    duration_s: float
    kind: Literal["command_finished"] = "command_finished"


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesChanged:
    """The copy of the repository is not what it was: what the step or the person's command before
    this event did to it. The first of a session says what it began with.
    """

    snapshot: str
    """Names the state of the copy that can be gone back to."""
    patch: str
    """What changed since the last such event, to be shown: cut where it is long, without junk
    such as caches. Empty where nothing but junk did."""
    num_files: int
    """Files that changed, junk aside."""
    kind: Literal["files_changed"] = "files_changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewound:
    """The person went back: files and history are as before a step. Nothing in the file goes; a
    reader takes what lies between as undone.
    """

    step: int
    """The first step that is undone, with what was said right before it."""
    num_messages: int
    """How many messages of the history stay."""
    snapshot: str
    """What the copy was brought back to."""
    patch: str
    """The unified diff of the whole session as it stands now."""
    kind: Literal["rewound"] = "rewound"


@dataclass(frozen=True, slots=True, kw_only=True)
class Redone:
    """The last Rewound is taken back: files and history are as right before it."""

    snapshot: str
    patch: str
    """As in Rewound."""
    kind: Literal["redone"] = "redone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """The work went into the user's repository; what comes next is measured from here."""

    how: Literal["applied", "committed", "branched"]
    detail: str
    """One line: what was written where."""
    snapshot: str
    """The state of the copy that was delivered."""
    kind: Literal["delivered"] = "delivered"


Event: TypeAlias = (
    RunStarted
    | StepStarted
    | TextDelta
    | ReasoningDelta
    | MessageFinished
    | ToolCallStarted
    | ToolOutputDelta
    | ToolCallFinished
    | UsageUpdated
    | ContextCompacted
    | StartedOver
    | VerificationStarted
    | VerificationFinished
    | Notice
    | StepFinished
    | CommandStarted
    | CommandFinished
    | FilesChanged
    | Rewound
    | Redone
    | Delivered
    | RunFinished
)
