"""Names of the control tokens that end a turn, whatever a file says about its ``eos``.

A GGUF names one; Rnj-1 and Llama 3 stop on two (<|eot_id|> and <|end_of_text|>), Qwen too.
"""

from __future__ import annotations

END_OF_TURN = frozenset(
    {
        "<|eot_id|>",
        "<|eom_id|>",
        "<|end_of_text|>",
        "<|im_end|>",
        "<|endoftext|>",
        "<end_of_turn>",
        "<eos>",
        "</s>",
    }
)
