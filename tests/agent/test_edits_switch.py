from __future__ import annotations

import pytest

from rnj_agent.agent.assembly import offered_tools
from rnj_agent.agent.config import Config, HarnessSettings
from rnj_agent.sandbox.fake import FakeSandbox
from tests.tools.tool_runs import use


@pytest.mark.parametrize("on", [None, True, False])
async def test_the_configuration_switches_tolerant_edits(on: bool | None) -> None:
    config = Config(harness=HarnessSettings(tolerant_edits=on))
    tools = offered_tools(config, "rnj-1", submit=True)
    edit = next(tool for tool in tools if tool.name == "edit")
    sandbox = FakeSandbox(files={"/workspace/a.py": b"if x:\n    y = 1\n"})
    result = await use(edit, sandbox, path="a.py", old="y=1", new="y=2")
    assert result.is_error == (on is False)
