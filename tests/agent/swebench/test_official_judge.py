"""The official harness on an image of ours; it takes seconds to start, so all is in one run."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from rnj_agent.agent.errors import UsageError
from rnj_agent.agent.swebench.evaluation.case import Case
from rnj_agent.agent.swebench.evaluation.harness_process import check_harness
from rnj_agent.agent.swebench.evaluation.official_judge import OfficialJudge
from rnj_agent.agent.swebench.results import Evaluation
from rnj_agent.sandbox.engine import connect
from tests.agent.swebench.judged_repository import (
    GOLD,
    NOT_FITTING,
    WRONG,
    OneImage,
    judged_repository,
)


@pytest.mark.docker
async def test_the_harness_says_what_we_say_and_leaves_nothing(tmp_path: Path) -> None:
    try:
        check_harness()
    except UsageError as exc:
        pytest.skip(f"{exc.message}; do: {exc.hint}")
    patches = {"gold": GOLD, "wrong": WRONG, "not-fitting": NOT_FITTING}
    found: dict[str, Evaluation] = {}
    with judged_repository(tmp_path / "image") as (instance, image):
        judge = OfficialJudge(
            images=OneImage(image),
            say=lambda _: None,
            directory=tmp_path / "official",
            num_workers=3,
            timeout_s=120,
        )
        cases = [
            Case(
                instance=instance.model_copy(update={"instance_id": name}),
                patch=patch,
                model_name="some/model",
            )
            for name, patch in patches.items()
        ]
        await judge.judge(cases, lambda verdict: found.update({verdict.instance_id: verdict}))
        with closing(connect()) as client:
            assert not client.api.containers(all=True, filters={"name": judge.run_id})
    assert {name: verdict.status for name, verdict in found.items()} == {
        "gold": "resolved",
        "wrong": "unresolved",
        "not-fitting": "not_applied",
    }
    assert found["wrong"].fail_to_pass_failed == instance.fail_to_pass
    assert found["gold"].duration_s > 0
