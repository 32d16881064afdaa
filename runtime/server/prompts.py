"""What clients ask with, as token ids: conversations, plain text, and text around a hole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rnj_agent.runtime.control_text import ControlText, unused_character
from rnj_agent.runtime.engine import context_length_exceeded
from rnj_agent.runtime.errors import RequestError
from rnj_agent.runtime.fim import find_fim_tokens
from rnj_agent.runtime.loading import LoadedModel
from rnj_agent.runtime.prompt_text import PromptText


class Prompts:
    """Renders and tokenises for one model. Safe to use from several threads."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._tokenizer = loaded.tokenizer
        self._chat_template = loaded.chat_template
        self._max_token_bytes = loaded.max_token_bytes
        self._max_model_len = loaded.max_model_len
        self._control = ControlText(loaded.tokenizer.control_ids)
        self._fim_tokens = find_fim_tokens(loaded.tokenizer)

    def of_chat(
        self,
        messages: Sequence[dict[str, Any]],
        tools: Sequence[dict[str, Any]] | None,
        *,
        add_generation_prompt: bool = True,
    ) -> list[int]:
        """A conversation, through the model's own template.

        Raises:
            TemplateError: the template refuses it.
            RequestError: it is so long that tokenising it would only cost time.
        """
        prompt = self._chat_template.render(
            messages, tools, add_generation_prompt=add_generation_prompt
        )
        return self._encode(prompt, param="messages")

    def of_raw_text(self, text: str) -> list[int]:
        """A prompt whose markup the client writes itself: control tokens in it are control tokens.

        Raises:
            RequestError: it is too long, as above.
        """
        self._check_bytes(text, param="prompt")
        return self._encode(self._control.split(text, unused_character(text)), param="prompt")

    def around_hole(self, prefix: str, suffix: str) -> list[int]:
        """Text before and after what is to be written; both stay text, whatever they spell.

        Raises:
            RequestError: the model was not made for it, or the text is too long.
        """
        if self._fim_tokens is None:
            raise RequestError(
                "suffix: this model has no tokens for filling in the middle.",
                hint="Leave suffix out, or serve a model that has them: qwen2.5-coder-1.5b",
                param="suffix",
                code="unsupported_value",
            )
        return self._encode(self._fim_tokens.prompt(prefix, suffix), param="prompt")

    def of_ids(self, token_ids: Sequence[int], *, param: str = "prompt") -> list[int]:
        """Raise RequestError for what is no token of this model."""
        vocab_size = self._tokenizer.vocab_size
        wrong = next((i for i in token_ids if not 0 <= i < vocab_size), None)
        if wrong is not None:
            raise RequestError(
                f"{param}: {str(wrong)[:40]} is no token id; they are 0 to {vocab_size - 1}.",
                param=param,
                code="invalid_value",
            )
        return list(token_ids)

    def plain_ids(self, text: str) -> list[int]:
        """Text alone, as it counts inside a message: nothing is added."""
        self._check_bytes(text, param="prompt")
        return self._tokenizer.encode(text)

    def _encode(self, prompt: PromptText, *, param: str) -> list[int]:
        self._check_bytes(str(prompt), param=param)
        return self._tokenizer.encode_prompt(prompt)

    def check_fits(self, num_tokens: int, *, param: str) -> None:
        """Raise RequestError where a prompt leaves no room for a reply, or there is none."""
        if num_tokens >= self._max_model_len:
            raise self._too_long(num_tokens, param=param)
        if num_tokens == 0:
            raise RequestError("The prompt is empty.", param=param, code="invalid_value")

    def _check_bytes(self, text: str, *, param: str) -> None:
        """No token is longer than the longest: enough bytes cannot fit, whatever the tokens are."""
        at_least = len(text.encode(errors="replace")) // self._max_token_bytes
        if at_least >= self._max_model_len:
            raise self._too_long(at_least, param=param, at_least=True)

    def _too_long(self, num_tokens: int, *, param: str, at_least: bool = False) -> RequestError:
        error = context_length_exceeded(num_tokens, self._max_model_len, at_least=at_least)
        error.param = param
        return error
