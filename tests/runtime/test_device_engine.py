"""The engine as it runs on a GPU: the replies of the engine on a CPU, without looking at logits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rnj_agent.runtime.engine import Engine, EngineOptions
from rnj_agent.runtime.errors import EngineError
from rnj_agent.runtime.grammar import Grammar
from rnj_agent.runtime.guided.spec import ToolCalls
from rnj_agent.runtime.kv_cache.cache import KVCache
from rnj_agent.runtime.layers.embedding import DenseEmbedding
from rnj_agent.runtime.models import load_model
from rnj_agent.runtime.outputs import TokenOutput
from rnj_agent.runtime.sampling import SamplingParams
from rnj_agent.runtime.sequence import EngineRequest
from rnj_agent.runtime.tokenizer import load_tokenizer
from rnj_agent.runtime.weights.checkpoint import open_checkpoint
from tests.runtime.device_guard import NoHostReads
from tests.runtime.small_engine import BLOCK_SIZE, prompt, reply, small_engine, token_ids
from tests.runtime.tiny_checkpoint import write_noise_checkpoint

OPTIONS = EngineOptions(
    max_model_len=256, max_num_seqs=4, prefill_chunk=64, prefill_chunk_beside_decodes=32
)
REPEATED = [*prompt(40), *prompt(40), *prompt(40)[:10]]
TOOL = {
    "function": {
        "name": "look",
        "parameters": {
            "type": "object",
            "properties": {"kind": {"enum": ["file", "folder"]}, "depth": {"type": "integer"}},
            "required": ["kind", "depth"],
        },
    }
}
PARAMS = [
    pytest.param(SamplingParams(temperature=0.0, max_tokens=50), id="greedy"),
    pytest.param(SamplingParams(temperature=1.0, seed=1, max_tokens=50), id="free"),
    pytest.param(
        SamplingParams(temperature=0.8, top_p=0.9, top_k=40, min_p=0.02, seed=2, max_tokens=50),
        id="filtered",
    ),
    pytest.param(
        SamplingParams(temperature=0.7, seed=3, max_tokens=50, repetition_penalty=1.2, logprobs=2),
        id="for the sampler",
    ),
]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_noise_checkpoint(tmp_path_factory.mktemp("noise") / "noise.gguf")


@pytest.fixture(scope="module")
def on_host(path: Path) -> Engine:
    return small_engine(path, options=OPTIONS)


@pytest.fixture(scope="module")
def on_device(path: Path) -> Engine:
    engine = small_engine(path, options=OPTIONS, device_batches=True)
    engine.warm_up()
    return engine


@pytest.fixture(scope="module")
def grammar(path: Path) -> Grammar:
    return tool_grammar(path)


def tool_grammar(path: Path) -> Grammar:
    pytest.importorskip("llguidance", reason="grammars need it: pip install llguidance")
    from rnj_agent.runtime.guided.compiler import GrammarCompiler

    tokenizer = load_tokenizer(path)
    spec = ToolCalls(tools=[TOOL], choice="required", parallel=False)
    return GrammarCompiler(tokenizer, tokenizer.vocab_size).compile(spec)


def run(engine: Engine, requests: list[EngineRequest]) -> list[list[int]]:
    """All at once."""
    engine.reset()
    sequences = [engine.add(request) for request in requests]
    while engine.has_work:
        for _, output in engine.step():
            assert not isinstance(output, EngineError)
    return [sequence.token_ids[sequence.num_prompt_tokens :] for sequence in sequences]


@pytest.mark.parametrize("params", PARAMS)
def test_a_reply_is_the_same_as_on_the_host(
    on_host: Engine, on_device: Engine, params: SamplingParams
) -> None:
    drafted = on_device.counters.num_draft_tokens
    outputs = reply(on_device, REPEATED, params)
    expected = reply(on_host, REPEATED, params)
    assert token_ids(outputs) == token_ids(expected)
    for output, wanted in zip(outputs, expected, strict=True):
        assert (output.logprob is None) == (wanted.logprob is None)
    assert on_device.counters.num_draft_tokens > drafted or params.temperature > 0.0


def test_many_replies_at_once_are_the_same(on_host: Engine, on_device: Engine) -> None:
    requests = [
        EngineRequest(prompt_ids=prompt(20 + 15 * i, seed=i % 3), params=param.values[0])  # pyright: ignore[reportArgumentType] - a list of what pytest makes of params
        for i, param in enumerate(PARAMS * 2)
    ]
    assert run(on_device, requests) == run(on_host, requests)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_guided_replies_are_the_same(
    on_host: Engine, on_device: Engine, grammar: Grammar, temperature: float
) -> None:
    requests = [
        EngineRequest(
            prompt_ids=prompt(30),
            params=SamplingParams(temperature=temperature, seed=seed, max_tokens=80),
            grammar=grammar,
        )
        for seed in range(3)
    ]
    drafted = on_device.counters.num_accepted_draft_tokens
    assert run(on_device, requests) == run(on_host, requests)
    assert on_device.counters.num_accepted_draft_tokens > drafted, "forced tokens are verified"


@pytest.mark.parametrize("is_guided", [False, True])
def test_a_step_that_decodes_never_looks_at_logits(
    on_device: Engine, grammar: Grammar, *, is_guided: bool
) -> None:
    on_device.reset()
    for seed, temperature in enumerate((0.0, 0.7, 1.0)):
        params = SamplingParams(temperature=temperature, top_p=0.95, seed=seed, max_tokens=40)
        on_device.add(
            EngineRequest(
                prompt_ids=prompt(20, seed=seed),
                params=params,
                grammar=grammar if is_guided else None,
            )
        )
    while not all(sequence.is_decoding for sequence in on_device.unfinished):
        on_device.step()
    with NoHostReads():
        for _ in range(5):
            assert on_device.step()
    for sequence in on_device.unfinished:
        on_device.abort(sequence)


def test_a_sequence_whose_logits_are_not_numbers_fails_alone(path: Path) -> None:
    model = load_model(open_checkpoint(path), dtype=torch.float32)
    model.device_batches = True
    assert isinstance(model.embed_tokens, DenseEmbedding)
    rows = model.embed_tokens.weight.clone()  # the head keeps its own
    rows[7] = torch.nan
    model.embed_tokens = DenseEmbedding(rows)
    num_blocks = OPTIONS.max_model_len // BLOCK_SIZE
    storage = model.new_storage(num_blocks=num_blocks, block_size=BLOCK_SIZE)
    kv_cache = KVCache(num_blocks, BLOCK_SIZE, storage.copy_block)
    engine = Engine(model, storage=storage, kv_cache=kv_cache, eos_ids=set(), options=OPTIONS)
    params = SamplingParams(temperature=0.0, max_tokens=3)
    good = engine.add(EngineRequest(prompt_ids=[1, 2, 3], params=params))
    bad = engine.add(EngineRequest(prompt_ids=[4, 5, 6, 7], params=params))
    outputs = [step_output for _ in range(4) for step_output in engine.step()]
    failed = [
        (sequence, str(output)) for sequence, output in outputs if isinstance(output, EngineError)
    ]
    assert [sequence for sequence, _ in failed] == [bad]
    assert "not a number" in failed[0][1]
    tokens = [sequence for sequence, output in outputs if isinstance(output, TokenOutput)]
    assert tokens == [good] * 3


def test_warming_up_says_what_takes_long(path: Path) -> None:
    engine = small_engine(path, options=OPTIONS, device_batches=True)
    lines: list[str] = []
    engine.warm_up(lines.append)
    assert lines[0].startswith("capturing graphs 1/")
    assert len(lines) == int(lines[0].rpartition("/")[2]) + 1
    assert lines[-1] == "preparing prompts' kernels"
    assert engine.gauges.num_used_blocks == engine.gauges.num_cached_blocks == 0


def test_a_pool_of_one_block_can_be_warmed_up(path: Path) -> None:
    options = EngineOptions(
        max_model_len=BLOCK_SIZE,
        max_num_seqs=32,
        prefill_chunk=BLOCK_SIZE,
        prefill_chunk_beside_decodes=BLOCK_SIZE,
    )
    for device_batches in (False, True):
        engine = small_engine(path, options=options, num_blocks=1, device_batches=device_batches)
        engine.warm_up()
        assert len(reply(engine, [1, 2], SamplingParams(temperature=0.0, max_tokens=5))) == 5


@pytest.mark.gpu
def test_a_step_that_decodes_waits_once(tmp_path: Path) -> None:
    """On the GPU, with masks and filters: the host waits for the tokens and for nothing else."""
    pytest.importorskip("gguf", reason="the checkpoint is written with it: pip install gguf")
    path = write_noise_checkpoint(tmp_path / "noise.gguf")
    grammar = tool_grammar(path)
    model = load_model(open_checkpoint(path), device="cuda", quant="none")
    storage = model.new_storage(num_blocks=40)
    kv_cache = KVCache(40, storage.block_size, storage.copy_block)
    options = EngineOptions(max_model_len=512, max_num_seqs=4)
    engine = Engine(model, storage=storage, kv_cache=kv_cache, eos_ids=set(), options=options)
    engine.warm_up()
    for seed, temperature in enumerate((0.0, 0.7, 1.0)):
        params = SamplingParams(temperature=temperature, top_p=0.95, seed=seed, max_tokens=60)
        guide = grammar if seed == 1 else None
        engine.add(EngineRequest(prompt_ids=prompt(20, seed=seed), params=params, grammar=guide))
    for _ in range(5):
        engine.step()
    assert all(sequence.is_decoding for sequence in engine.unfinished)
    torch.cuda.set_sync_debug_mode("warn")
    try:
        for _ in range(10):
            with pytest.warns(UserWarning, match="synchronizing") as caught:
                engine.step()
            assert len(caught) == 1
    finally:
        torch.cuda.set_sync_debug_mode("default")
