"""The ways in which a model is asked to act: native tool calls, or a bash block in its text."""

from rnj_agent.agent.protocols.base import CallProtocol
from rnj_agent.agent.protocols.choice import choose_protocol

__all__ = ["CallProtocol", "choose_protocol"]
