"""Run in place of a Python interpreter with ``rival_server.py``: answers as llama.cpp would.

Two seconds are stated for each uncached token of a prompt, one for each token after the first. A
prompt with token 13 gets an error, and seven slots are too many.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import takewhile
from threading import Thread
from typing import Any, ClassVar


class Handler(BaseHTTPRequestHandler):
    known: ClassVar[list[int]] = []

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = json.dumps(self._answer(request["prompt"], request["n_predict"])).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self, prompt: list[int], num_tokens: int) -> dict[str, Any]:
        if 13 in prompt:
            return {"error": {"message": "13"}}
        pairs = zip(prompt[:-1], Handler.known, strict=False)
        num_cached = len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))
        Handler.known = prompt
        timings = {
            "cache_n": num_cached,
            "prompt_n": len(prompt) - num_cached,
            "prompt_ms": 2000.0 * (len(prompt) - num_cached),
            "predicted_n": num_tokens,
            "predicted_ms": 1000.0 * (num_tokens - 1),
        }
        return {"timings": timings}


def main() -> None:
    options = json.loads(sys.argv[-1])
    if options["num_slots"] == 7:
        sys.exit("seven slots are too many")
    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    print("llama.cpp says hello")
    facts = {
        "url": f"http://127.0.0.1:{server.server_port}",
        "load_s": 1.5,
        "binding": "stand-in 1",
        "settings": f"{options['num_threads']} threads",
    }
    print(json.dumps(facts), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
