"""llama.cpp in a process of its own: run by path, in an interpreter that need not know rnj_agent.

    python rival_server.py '{"path": ..., "num_threads": 2, "num_slots": 1, "context": 8192,
                             "flash_attention": "auto"}'

Prints one line of JSON once the model is loaded (``url``, ``load_s``, ``binding``, ``settings``)
and serves llama.cpp's ``POST /completion`` until its stdin closes, so it cannot outlive its parent.

With xllamacpp it is llama.cpp's own server. llama-cpp-python has no such server: its ``generate``
is put behind the same request, one at a time, with the same figures in the answer.
"""

from __future__ import annotations

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from threading import Thread
from typing import Any


def start_xllamacpp(options: dict[str, Any]) -> dict[str, Any]:
    """The host's prompt store is off: it costs both time."""
    xllamacpp: Any = import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = options["path"]
    params.n_ctx = options["context"] * options["num_slots"]
    params.n_parallel = options["num_slots"]
    params.kv_unified = False
    params.cache_ram_mib = 0
    flash = options["flash_attention"]
    kinds = xllamacpp.llama_flash_attn_type
    params.flash_attn_type = {
        "auto": kinds.LLAMA_FLASH_ATTN_TYPE_AUTO,
        "on": kinds.LLAMA_FLASH_ATTN_TYPE_ENABLED,
        "off": kinds.LLAMA_FLASH_ATTN_TYPE_DISABLED,
    }[flash]
    params.cpuparams.n_threads = options["num_threads"]
    params.cpuparams_batch.n_threads = options["num_threads"]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    begun = time.perf_counter()
    server = xllamacpp.Server(params)
    load_s = time.perf_counter() - begun
    return {
        "url": server.listening_address,
        "load_s": load_s,
        "binding": f"xllamacpp {version('xllamacpp')}",
        "settings": f"flash attention {flash}; {_features(xllamacpp.get_system_info())}",
        "server": server,
    }


def start_llama_cpp_python(options: dict[str, Any]) -> dict[str, Any]:
    llama_cpp: Any = import_module("llama_cpp")
    flash = options["flash_attention"] == "on"  # it has no "auto"
    begun = time.perf_counter()
    llama = llama_cpp.Llama(
        model_path=options["path"],
        n_ctx=options["context"],
        n_threads=options["num_threads"],
        n_threads_batch=options["num_threads"],
        flash_attn=flash,
        verbose=False,
    )
    load_s = time.perf_counter() - begun
    server = HTTPServer(("127.0.0.1", 0), _handler(llama))
    Thread(target=server.serve_forever, daemon=True).start()
    system_info = llama_cpp.llama_print_system_info().decode()
    return {
        "url": f"http://127.0.0.1:{server.server_port}",
        "load_s": load_s,
        "binding": f"llama-cpp-python {version('llama-cpp-python')}",
        "settings": f"flash attention {'on' if flash else 'off'}; {_features(system_info)}",
        "server": server,
    }


def _handler(llama: Any) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = json.dumps(complete(llama, json.loads(body))).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


def complete(llama: Any, request: dict[str, Any]) -> dict[str, Any]:
    """``generate`` keeps the longest prefix that the last call left, as the server does."""
    prompt: list[int] = request["prompt"]
    num_cached = _common_prefix_length(llama.input_ids[: llama.n_tokens], prompt[:-1])
    begun = time.perf_counter()
    times_s: list[float] = []
    for _ in llama.generate(prompt, temp=0.0, reset=True):
        times_s.append(time.perf_counter() - begun)
        if len(times_s) == request["n_predict"]:
            break
    timings = {
        "cache_n": num_cached,
        "prompt_n": len(prompt) - num_cached,
        "prompt_ms": times_s[0] * 1000,
        "predicted_n": len(times_s),
        "predicted_ms": (times_s[-1] - times_s[0]) * 1000,
    }
    return {"timings": timings}


def _common_prefix_length(a: Any, b: list[int]) -> int:
    for position, (left, right) in enumerate(zip(a, b, strict=False)):
        if left != right:
            return position
    return min(len(a), len(b))


def _features(system_info: str) -> str:
    """Of "CPU : AVX2 = 1 | AVX512 = 0 |" what is there."""
    facts = system_info.partition(":")[2].split("|")
    return " ".join(fact.split("=")[0].strip() for fact in facts if fact.strip().endswith("= 1"))


def main() -> None:
    options = json.loads(sys.argv[1])
    has_xllamacpp = find_spec("xllamacpp") is not None
    started = (start_xllamacpp if has_xllamacpp else start_llama_cpp_python)(options)
    print(
        json.dumps({name: fact for name, fact in started.items() if name != "server"}), flush=True
    )
    sys.stdin.read()


if __name__ == "__main__":
    main()
