"""Fill-in-the-middle prompts: what is before and after a hole, in the form a model was trained on.

Known by the names of their control tokens; a model without them cannot do it, whatever the prompt.
Covered: prefix, suffix, middle (Qwen2.5-Coder, CodeGemma, StarCoder, Granite) and DeepSeek-Coder's
form with the hole in the middle. Not covered: whole repositories around the file, CodeLlama.
"""

from __future__ import annotations

from dataclasses import dataclass

from rnj_agent.runtime.prompt_text import PromptText, Segment
from rnj_agent.runtime.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class FimTokens:
    """The prompt is ``before_prefix`` + prefix + ``before_suffix`` + suffix + ``before_middle``."""

    before_prefix: str
    before_suffix: str
    before_middle: str
    are_control: bool
    """False where the tokenizer takes them for text, and finds them in it."""

    def prompt(self, prefix: str, suffix: str) -> PromptText:
        pieces = (
            (self.before_prefix, self.are_control),
            (prefix, False),
            (self.before_suffix, self.are_control),
            (suffix, False),
            (self.before_middle, self.are_control),
        )
        return PromptText(tuple(Segment(text, markup) for text, markup in pieces if text))


_FORMS = (
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),  # Qwen2.5-Coder, CodeGemma
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),  # StarCoder 2, Granite code
    ("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),  # SantaCoder
    ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),  # DeepSeek-Coder
)


def find_fim_tokens(tokenizer: Tokenizer) -> FimTokens | None:
    """The form whose three tokens this vocabulary has; None where it has no such."""
    for form in _FORMS:
        if tokenizer.control_ids.keys() >= set(form):
            return FimTokens(*form, are_control=True)
        if all(len(tokenizer.encode(token)) == 1 for token in form):
            return FimTokens(*form, are_control=False)
    return None
