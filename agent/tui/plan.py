"""The plan that the model states in its own words, if it does: a checklist, or numbered steps.

Nothing asks the model for one, and nothing but what is shown depends on it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from rnj_agent.agent.tui.blocks import Block, ReplyBlock
from rnj_agent.agent.wording import printable

_FENCE: Final = re.compile(r"^ {0,3}(```|~~~)")
_CHECK: Final = re.compile(r"^\s{0,8}(?:[-*+]|\d{1,2}[.)])\s+\[([ xX✓])\]\s+(\S.*)$")
_NUMBERED: Final = re.compile(r"^ {0,3}(\d{1,2})[.)]\s+(\S.*)$")
_CALLED_PLAN: Final = re.compile(r"\b(plan|steps|to-?dos?)\b", re.IGNORECASE)
"""In the line above numbered lines: other such lists are only lists."""
_DONE: Final = re.compile(r"✓|✅|\(done\)|^~~.*~~$", re.IGNORECASE)
_NUM_BLOCKS_LOOKED_AT: Final = 100
_MAX_ITEMS: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanItem:
    text: str
    is_done: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """At least two items."""

    items: tuple[PlanItem, ...]

    @property
    def num_done(self) -> int:
        return sum(item.is_done for item in self.items)

    def __str__(self) -> str:
        """One line, such as ``plan 2/5: run the tests``, with what is next."""
        following = next((item.text for item in self.items if not item.is_done), "done")
        return f"plan {self.num_done}/{len(self.items)}: {following}"

    def listing(self) -> str:
        """All of it, an item a line."""
        return "\n".join(f"{'✓' if item.is_done else '·'} {item.text}" for item in self.items)


def stated_plan(blocks: Sequence[Block]) -> Plan | None:
    """The one that was stated last, not too long ago."""
    for block in reversed(blocks[-_NUM_BLOCKS_LOOKED_AT:]):
        if isinstance(block, ReplyBlock) and block.done and (plan := plan_in(block.text)):
            return plan
    return None


@lru_cache(maxsize=2 * _NUM_BLOCKS_LOOKED_AT)
def plan_in(text: str) -> Plan | None:
    """The plan in a reply: its checklist, else what is numbered below a line that calls it so."""
    lines = _outside_code(text)
    checks = [match for line in lines if (match := _CHECK.match(line))]
    items = [_item(match[2], is_done=match[1] != " ") for match in checks] or _numbered(lines)
    return Plan(tuple(items[:_MAX_ITEMS])) if len(items) > 1 else None


def _outside_code(text: str) -> list[str]:
    lines: list[str] = []
    is_code = False
    for line in text.splitlines():
        if _FENCE.match(line):
            is_code = not is_code
        elif not is_code and line.strip():
            lines.append(line)
    return lines


def _numbered(lines: Sequence[str]) -> list[PlanItem]:
    items: list[PlanItem] = []
    above = ""
    for line in lines:
        match = _NUMBERED.match(line)
        if match is None:
            above = above if items else line
        elif int(match[1]) == len(items) + 1 and _CALLED_PLAN.search(above):
            items.append(_item(match[2], is_done=bool(_DONE.search(match[2]))))
    return items


def _item(text: str, *, is_done: bool) -> PlanItem:
    plain = re.sub(r"\*\*|__|`|~~", "", printable(text)).strip()
    return PlanItem(text=plain[:200], is_done=is_done)
