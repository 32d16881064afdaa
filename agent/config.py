"""The configuration tree: what a person may set, its bounds and its defaults.

Where values come from, and in which order, is ``config_layers``; nothing here reads a file. Folders
are in the environment only (``RNJ_HOME``: models and images, ``RNJ_STATE``: sessions and crash
logs), because parts that know no configuration read them too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from rnj_agent.agent.presets import BUNDLED, PRESETS

ProtocolChoice = Literal["auto", "tools", "text", "blocks"]
SandboxKind = Literal["auto", "docker", "bubblewrap", "host"]

PositiveInt = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ModelSettings(_Section):
    name: str = ""
    """As the server knows it. Empty: the bundled default, or the only model that a server has."""
    endpoint: str = BUNDLED
    """A named endpoint or a base URL."""
    protocol: ProtocolChoice = "auto"
    """``tools``: native tool calls; ``text``: a thought and one bash block a turn."""
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    """None, here and in the next two: what the model's profile says (``agent.profiles``)."""
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_tokens: PositiveInt | None = None
    """Of one reply."""
    seed: int | None = None
    context_window: PositiveInt | None = None
    """Tokens, prompt and reply together. None: what the server says."""
    timeout_s: PositiveFloat = 3600.0
    """One model call, prefill included: minutes are normal on a CPU."""
    connect_timeout_s: PositiveFloat = 10.0
    num_retries: Annotated[int, Field(ge=0)] = 5
    """Of a call that failed before its first token."""


class EndpointSettings(_Section):
    base_url: str
    """With the ``/v1``; empty for the bundled runtime."""
    api_key_env: str = ""
    """The *name* of the environment variable that holds the key. Keys are never kept in files."""


class LimitSettings(_Section):
    steps: PositiveInt = 50
    time_s: PositiveFloat = 3600.0
    """Wall time of a run."""
    tokens: PositiveInt | None = None
    """Prompt and completion tokens of a run, cached ones included. None: no bound."""
    format_errors: PositiveInt = 4
    """Malformed replies in a row."""
    command_timeout_s: PositiveFloat = 60.0


class SandboxSettings(_Section):
    kind: SandboxKind = "auto"
    """``auto``: Docker if an engine answers, else bubblewrap. ``host`` is no sandbox at all."""
    image: str = ""
    """Docker image; empty: our default image."""
    network: bool = False
    memory_gib: PositiveFloat = 4.0
    num_pids: PositiveInt = 512
    num_cpus: PositiveFloat | None = None
    """None: all that the machine has."""
    disk_gib: PositiveFloat = 8.0


class FixSettings(_Section):
    test_cmd: str = ""
    """Run in the sandbox before and after; its success is what *verified* means."""
    attempts: Annotated[int, Field(ge=1, le=16)] = 1
    """At one issue, run together; the best of them is taken."""


class PromptSettings(_Section):
    agents_md: bool = True
    """Tell the model what stands in the repository's AGENTS.md."""


class HarnessSettings(_Section):
    """What helps a model to succeed; each can be switched off, to see what it gives.

    None: what the model's profile says (``agent.profiles``).
    """

    profile: str = ""
    """Of a model family, by name. Empty: chosen by the model's name."""
    first_look: bool | None = None
    """Show the files that the issue points at in the first message."""
    repo_map: bool | None = None
    """Show the repository's most relevant definitions in the first message."""
    guided_calls: bool | None = None
    """Have the server decode only calls that parse, where it can."""
    repair_calls: bool | None = None
    """Read calls that are nearly right."""
    tolerant_edits: bool | None = None
    """Take an edit whose text matches but for white space, where only one place does."""
    syntax_check: bool | None = None
    """Tell the model at once of syntax errors that its change brought."""
    tests_after_change: bool | None = None
    """Run quick tests after each change, and end the run when those that failed pass."""
    find_tests: bool | None = None
    """Where no test command is given, run the tests that the issue names or that lie near it."""
    review: bool | None = None
    """Answer a submission that is not good yet with the evidence."""
    nudges: bool | None = None
    """Tell a model that repeats itself."""
    fresh_starts: Annotated[int, Field(ge=0)] | None = None
    """How often a run that is stuck begins anew, with a summary of what failed."""
    steps_per_start: PositiveInt | None = None
    """Steps after which a run whose tests still fail begins anew. None: only one that is stuck."""
    tries_per_start: PositiveInt | None = None
    """Steps in vain after which a run begins anew: changes with which the tests still fail, and
    calls that show again what they showed. None: as many as it takes."""
    retry_temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    """Of fresh starts."""
    retry_notes: bool | None = None
    """Tell a run that begins anew what was tried. Models of a billion parameters try it again."""
    aging: bool | None = None
    """Where the window is full, shorten old results into what they showed. Off: head and tail."""


class UiSettings(_Section):
    notify: bool = True
    """Ring, and send the desktop a note, where the app needs you and the focus is elsewhere."""


def _preset_endpoints() -> dict[str, EndpointSettings]:
    return {
        name: EndpointSettings(base_url=preset.base_url, api_key_env=preset.api_key_env)
        for name, preset in PRESETS.items()
    }


class Config(_Section):
    model: ModelSettings = Field(default_factory=ModelSettings)
    endpoints: Mapping[str, EndpointSettings] = Field(default_factory=_preset_endpoints)
    limits: LimitSettings = Field(default_factory=LimitSettings)
    sandbox: SandboxSettings = Field(default_factory=SandboxSettings)
    fix: FixSettings = Field(default_factory=FixSettings)
    prompt: PromptSettings = Field(default_factory=PromptSettings)
    harness: HarnessSettings = Field(default_factory=HarnessSettings)
    ui: UiSettings = Field(default_factory=UiSettings)
    keys: Mapping[str, str] = Field(default_factory=dict[str, str])
    """Names of the app's keys -> other keys; which names there are, the app knows."""
