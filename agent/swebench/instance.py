"""One SWE-bench instance, as its rows say it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Instance(BaseModel):
    """A repository at a commit, an issue, and the tests that say whether it is solved.

    Fields beyond the classic ones are empty where a data set lacks them.
    https://www.swebench.com/SWE-bench/guides/datasets/
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    instance_id: str
    repo: str
    """``owner/name``."""
    base_commit: str
    problem_statement: str
    patch: str = ""
    """The gold patch."""
    test_patch: str = ""
    fail_to_pass: tuple[str, ...] = ()
    pass_to_pass: tuple[str, ...] = ()
    version: str = ""
    created_at: str = ""
    environment_setup_commit: str = ""
    image: str = ""
    eval_script: str = ""
    log_parser: str = ""
    eval_type: str = ""
