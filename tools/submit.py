"""The submit tool: the model says that it is done."""

from __future__ import annotations

from pydantic import AliasChoices, BaseModel, Field, ValidationError

from rnj_agent.tools.base import ToolContext, ToolResult, describe_invalid


class SubmitArguments(BaseModel):
    message: str = Field(
        default="",
        description="What was wrong and what you changed, in one or two sentences.",
        validation_alias=AliasChoices("message", "summary", "answer", "text", "result"),
    )


class SubmitTool:
    name = "submit"
    arguments_type = SubmitArguments
    description = "Finish: hand in the changes you made, after you have tested them."

    async def run(self, arguments: str, context: ToolContext) -> ToolResult:
        try:
            asked = SubmitArguments.model_validate_json(arguments)
        except ValidationError as error:
            return ToolResult(content=describe_invalid(self, error), is_error=True)
        return ToolResult(content="Submitted.", submission=asked.message)
