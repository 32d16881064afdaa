"""Run one tool against the in-memory sandbox."""

from __future__ import annotations

import json
from typing import Any

from rnj_agent.sandbox.fake import FakeSandbox
from rnj_agent.tools.base import Tool, ToolContext, ToolResult


async def use(tool: Tool, sandbox: FakeSandbox, **arguments: Any) -> ToolResult:
    return await use_text(tool, sandbox, json.dumps(arguments))


async def use_text(tool: Tool, sandbox: FakeSandbox, arguments: str) -> ToolResult:
    context = ToolContext(sandbox=sandbox, on_output=lambda _: None, timeout_s=60)
    return await tool.run(arguments, context)
