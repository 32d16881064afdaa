"""Guided decoding over real vocabularies: byte-level BPE, SentencePiece, padded ones."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from rnj_agent.runtime.errors import TokenizerError
from rnj_agent.runtime.guided.compiler import GrammarCompiler
from rnj_agent.runtime.guided.spec import ToolCalls
from rnj_agent.runtime.reply_parts import CallPart, collect
from rnj_agent.runtime.tokenizer import Tokenizer, load_tokenizer
from rnj_agent.runtime.tool_calls import GuidedCallParser
from tests.runtime.random_model import RandomModel
from tests.runtime.random_schemas import random_arguments
from tests.runtime.real_models import GEMMA_3, QWEN, SMOLLM2, model_file
from tests.runtime.small_vocabulary import gguf_metadata, trained

LLAMA_3 = "llama-3-tokenizer/tokenizer.json"
PADDING = 100
MAX_TOKENS = 1000
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "bash",
            "parameters": {
                "type": "object",
                "properties": {"command": {"type": "string"}, "timeout_s": {"type": "integer"}},
                "required": ["command"],
            },
        },
    }
]
REPLY = """I'll look at the tests <b>first</b>:

```json
{"größe": 1}
```
<tool_call>
{"name": "bash", "arguments": {"command": "cat \\"日本/a b.py\\" | grep -n '</tool_call>' 🦊\\n", \
"timeout_s": 120}}
</tool_call>
<tool_call>
{"name": "bash", "arguments": {"command": "ls"}}
</tool_call>"""


@pytest.fixture(scope="module", params=[QWEN, LLAMA_3, SMOLLM2, GEMMA_3])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return load_tokenizer(model_file(request.param))


@pytest.fixture(scope="module")
def compiler(tokenizer: Tokenizer) -> GrammarCompiler:
    compiler = GrammarCompiler(tokenizer, tokenizer.vocab_size + PADDING)
    compiler.prepare()
    return compiler


def test_what_a_model_writes_by_itself_is_allowed_token_by_token(
    tokenizer: Tokenizer, compiler: GrammarCompiler
) -> None:
    matcher = compiler.compile(ToolCalls(tools=TOOLS)).matcher()
    control = sorted(set(tokenizer.control_ids.values()) - tokenizer.eos_ids)
    num_forced = 0
    ids = tokenizer.encode(REPLY)
    for position, token_id in enumerate(ids):
        mask = matcher.mask()
        assert mask[token_id], tokenizer.decode(ids[: position + 1])[-40:]
        assert not mask[control].any()
        assert not mask[tokenizer.vocab_size :].any()
        forced = matcher.forced_ids()
        assert forced == ids[position : position + len(forced)]
        num_forced += bool(forced)
        matcher.consume(token_id)
    assert matcher.mask()[sorted(tokenizer.eos_ids)].all()
    assert num_forced > 10


def test_random_calls_parse(tokenizer: Tokenizer, compiler: GrammarCompiler) -> None:
    model = RandomModel(tokenizer, tokenizer.vocab_size + PADDING, quote_bias=5.0)
    rng = random.Random(0)
    num_finished = 0
    for number in range(10):
        function = {"name": f"tool_{number}", "parameters": random_arguments(rng)}
        spec = ToolCalls(
            tools=[{"type": "function", "function": function}], choice="required", parallel=False
        )
        reply = model.reply(compiler.compile(spec).matcher(), max_tokens=MAX_TOKENS)
        if reply is None:
            continue
        num_finished += 1
        parser = GuidedCallParser()
        (call,) = collect([*parser.feed(reply), *parser.finish()])
        assert isinstance(call, CallPart)
        assert isinstance(json.loads(call.arguments), dict)
    assert num_finished >= 5


@pytest.fixture(scope="module")
def small() -> Tokenizer:
    return load_tokenizer(Path("model.gguf"), metadata=gguf_metadata(trained()))


def test_a_vocabulary_wider_than_the_logits_is_cut(small: Tokenizer) -> None:
    """Some checkpoints have a token that their embedding lacks."""
    vocab_size = max(small.eos_ids) + 1
    assert vocab_size < small.vocab_size
    matcher = GrammarCompiler(small, vocab_size).compile(ToolCalls(tools=TOOLS)).matcher()
    assert matcher.mask().shape == (vocab_size,)


def test_a_vocabulary_without_an_end_of_turn_is_refused(small: Tokenizer) -> None:
    with pytest.raises(TokenizerError, match="ends a turn"):
        GrammarCompiler(small, min(small.eos_ids)).prepare()
