"""mini-SWE-agent on one task, in its own Python: part of ``mini_swe_agent``, without rnj_agent.

Reads its settings as JSON from stdin, says ``ready`` once all is set up, and leaves its
trajectory in a file, which mini-SWE-agent writes after every step.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import Any


def main() -> None:
    settings: dict[str, Any] = json.load(sys.stdin)
    config: Any = import_module("minisweagent.config")
    agents: Any = import_module("minisweagent.agents.default")
    environments: Any = import_module("minisweagent.environments.docker")
    models: Any = import_module("minisweagent.models.litellm_textbased_model")
    stock: dict[str, dict[str, Any]] = config.get_config_from_spec(settings["config"])
    del stock["agent"]["mode"]  # of the interactive agent
    agent = agents.DefaultAgent(
        models.LitellmTextbasedModel(**stock["model"] | settings["model"]),
        environments.DockerEnvironment(**stock["environment"] | settings["environment"]),
        **stock["agent"] | settings["agent"],
    )
    print("ready", flush=True)
    agent.run(settings["task"])


if __name__ == "__main__":
    main()
