from __future__ import annotations

from rnj_agent.agent.config import Config
from rnj_agent.agent.model import ModelInfo
from rnj_agent.agent.swebench.instance import Instance
from rnj_agent.agent.swebench.trial import user_message
from rnj_agent.agent.window_shares import issue_chars


def told(issue: str, window: int) -> str:
    model = ModelInfo(name="m", endpoint="x", context_window=window, exact_counts=True)
    instance = Instance(
        instance_id="x__y-1", repo="x/y", base_commit="0" * 40, problem_statement=issue
    )
    return user_message(Config(), model, instance, "/testbed")


def test_a_long_issue_is_cut_to_the_window_and_says_so():
    text = told("It fails. " + "log line\n" * 9_000 + "Seen since 2.0.", 4_096)
    assert "It fails. log line" in text
    assert "characters left out here]" in text
    assert "Seen since 2.0." in text
    assert len(text) < issue_chars(4_096) + 500


def test_what_fits_is_told_whole():
    issue = "It fails.\n" + "log line\n" * 1_000
    assert issue.strip() in told(issue, 32_768)
