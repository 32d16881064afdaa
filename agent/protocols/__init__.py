"""The two ways in which a model is asked to act: native tool calls, or a bash block in its text."""

from rnj_agent.agent.protocols.base import CallProtocol
from rnj_agent.agent.protocols.text import TextProtocol
from rnj_agent.agent.protocols.tools import ToolsProtocol

__all__ = ["CallProtocol", "TextProtocol", "ToolsProtocol"]
