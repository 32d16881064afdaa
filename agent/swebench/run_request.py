"""What a person asks of a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias

from rnj_agent.agent.config import Config
from rnj_agent.agent.swebench.attempt_spec import AttemptSpec, ImageSettings
from rnj_agent.agent.swebench.instance import Instance
from rnj_agent.agent.variation import seed_of, temperature_of

Retry: TypeAlias = Literal["errors", "limits", "empty"]
DEFAULT_STEPS: Final = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    root: Path
    """The run directory."""
    instances: tuple[Instance, ...]
    """The chosen ones, in order."""
    source: str
    """The data set, as it was asked for."""
    source_sha256: str
    config: Config
    images: ImageSettings = field(default_factory=ImageSettings)
    num_attempts: int = 1
    num_tries: int = 3
    """Of an attempt that ends for a reason that is ours."""
    test_command: str = ""
    """Of the repositories' own tests, for the choice among attempts."""
    retry: frozenset[Retry] = frozenset()
    """Finished attempts that are run again."""
    allow_changed: bool = False

    def spec(self, run_id: str, instance: Instance, attempt: int) -> AttemptSpec:
        return AttemptSpec(
            run_id=run_id,
            instance=instance,
            attempt=attempt,
            config=self.config,
            images=self.images,
            temperature=temperature_of(self.config, attempt),
            seed=seed_of(self.config, instance.instance_id, attempt),
            num_tries=self.num_tries,
            is_checked=self.num_attempts > 1,
            test_command=self.test_command,
        )
