"""What a person asks of a run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal, TypeAlias

from rnj_agent.agent.config import Config
from rnj_agent.agent.harness import settled_config
from rnj_agent.agent.profiles import profile_for
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
    open_limits: frozenset[str] = frozenset()
    """Names of limits that the person did not set: the model's profile may."""
    images: ImageSettings = field(default_factory=ImageSettings)
    num_attempts: int = 1
    num_tries: int = 3
    """Of an attempt that ends for a reason that is ours."""
    test_command: str = ""
    """Of the repositories' own tests, for the choice among attempts."""
    retry: frozenset[Retry] = frozenset()
    """Finished attempts that are run again."""
    allow_changed: bool = False

    def settled(self, model: str) -> RunRequest:
        """With what the person left open as the model's profile has it.

        Raises:
            ConfigError: there is no profile of the name that the configuration gives.
        """
        config = settled_config(self.config, model)
        profile = profile_for(model, name=config.harness.profile)
        said = profile.swebench.model_dump(exclude_none=True)
        limits = {name: value for name, value in said.items() if name in self.open_limits}
        limited = config.limits.model_copy(update=limits)
        return replace(self, config=config.model_copy(update={"limits": limited}))

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
