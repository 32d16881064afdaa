"""Named endpoints: where OpenAI-compatible servers usually listen, and how each is started.

A name here is what ``--endpoint`` and ``model.endpoint`` take; a config file may change an entry or
add others.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

BUNDLED: Final = "bundled"
"""The endpoint that is our own runtime, started on demand."""

DEFAULT_BUNDLED_MODEL: Final = "qwen2.5-coder-1.5b"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    name: str
    title: str
    base_url: str
    """Empty for the bundled runtime, whose port is chosen when it starts."""
    api_key_env: str = ""
    """The environment variable that holds the key; empty where servers of this kind need none."""
    start_hint: str = ""
    """The command that starts such a server."""
    missing_model_hint: str = ""
    """The command that gives it a model; ``{model}`` stands for the name."""


_PRESETS = (
    Preset(
        name=BUNDLED,
        title="the bundled runtime",
        base_url="",
        missing_model_hint="rnj-agent model pull {model}",
    ),
    Preset(
        name="vllm",
        title="vLLM",
        base_url="http://127.0.0.1:8000/v1",
        api_key_env="VLLM_API_KEY",
        start_hint="vllm serve EssentialAI/rnj-1-instruct --enable-auto-tool-choice "
        "--tool-call-parser hermes",
        missing_model_hint="vllm serve {model} --enable-auto-tool-choice --tool-call-parser hermes",
    ),
    Preset(
        name="sglang",
        title="SGLang",
        base_url="http://127.0.0.1:30000/v1",
        api_key_env="SGLANG_API_KEY",
        start_hint="python -m sglang.launch_server --model-path EssentialAI/rnj-1-instruct",
        missing_model_hint="python -m sglang.launch_server --model-path {model}",
    ),
    Preset(
        name="llama.cpp",
        title="llama.cpp",
        base_url="http://127.0.0.1:8080/v1",
        api_key_env="LLAMA_API_KEY",
        start_hint="llama-server -m MODEL.gguf --jinja -c 32768",
    ),
    Preset(
        name="lm-studio",
        title="LM Studio",
        base_url="http://127.0.0.1:1234/v1",
        start_hint="lms server start",
        missing_model_hint="lms load {model} --context-length 32768",
    ),
    Preset(
        name="ollama",
        title="Ollama",
        base_url="http://127.0.0.1:11434/v1",
        start_hint="OLLAMA_CONTEXT_LENGTH=32768 ollama serve",
        missing_model_hint="ollama pull {model}",
    ),
    Preset(
        name="together",
        title="Together",
        base_url="https://api.together.xyz/v1",
        api_key_env="TOGETHER_API_KEY",
    ),
    Preset(
        name="huggingface",
        title="Hugging Face",
        base_url="https://router.huggingface.co/v1",
        api_key_env="HF_TOKEN",
    ),
)

PRESETS: Final = MappingProxyType({preset.name: preset for preset in _PRESETS})
