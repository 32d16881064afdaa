"""A seeded mutator over replies as small models write them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator

_COMMANDS = [
    "ls -la",
    "cat src/app.py",
    "python -c \"print('{}')\"",
    "sed -i 's/\\(a\\)/b/' f.py",
    "cat <<'EOF' > a.py\ndef f():\n    return {'a': [1, 2]}\nEOF",
    'grep -rn "def parse" . | head -5',
    "echo '```' && echo \"</tool_call>\"",
    "printf '\\x00\\u00e9\\n'",
]
_EDITS = [
    {"path": "a.py", "old": "x = 1\n", "new": "x = 2\n"},
    {"path": "README.md", "old": "", "new": "# Title\n```bash\nls\n```\n"},
    {"path": "../../etc/passwd", "old": "root", "new": "toor"},
    {"file_path": "a.py", "old_string": "a", "new_string": "b"},
]
_PROSE = [
    "",
    "Let me look at the file first.\n",
    "THOUGHT: the bug is in parse().\n",
    "<think>I should call `ls`.</think>\n",
    "I'd say it's {broken}.\n",
]
_TAILS = ["", "\nResult:\ntotal 0\n", "\nNow I submit.", "\n```\nok\n```\n", "<|im_end|>"]
_NOISE = [
    "{", "}", '"', "'", "\\", "`", "```", "\n", "<tool_call>", "</tool_call>", ",", ":", "[", "]",
    "None", "True", "\0", "\ud800", "é", "😀", '"""', "<function=", "```bash\n", "<think>", "\r",
]  # fmt: skip


def _call(rng: random.Random) -> dict[str, object]:
    if rng.random() < 0.6:
        return {"name": "bash", "arguments": {"command": rng.choice(_COMMANDS)}}
    if rng.random() < 0.7:
        return {"name": "edit", "arguments": rng.choice(_EDITS)}
    name = rng.choice(["submit", "finish", "fly", "", "BASH", "bash ", "tool"])
    return {"name": name, "arguments": rng.choice([{}, {"message": "done"}, None, 3, "ls", [1]])}


def _renamed(call: dict[str, object], rng: random.Random) -> dict[str, object]:
    name_key = rng.choice(["name", "tool", "function", "action", "tool_name"])
    argument_key = rng.choice(["arguments", "parameters", "args", "input", "kwargs"])
    return {name_key: call["name"], argument_key: call["arguments"]}


_WRITTEN: list[Callable[[dict[str, object], random.Random], str]] = [
    lambda call, _: json.dumps(call),
    lambda call, _: json.dumps(call, indent=2, ensure_ascii=False),
    lambda call, _: repr(call),
    lambda call, _: json.dumps(call).replace("\\n", "\n"),
    lambda call, _: json.dumps(call).replace('\\"', '"'),
    lambda call, _: json.dumps(call)[:-1] + ",}",
    lambda call, _: json.dumps({**call, "arguments": json.dumps(call["arguments"])}),
    lambda call, _: json.dumps({"function": call}),
    lambda call, _: json.dumps({"type": "function", "function": call}),
    lambda call, _: json.dumps([call, call]),
    lambda call, rng: json.dumps(_renamed(call, rng)),
    lambda call, _: (
        f"<function={call['name']}>\n<parameter=command>\nls\n</parameter>\n</function>"
    ),
    lambda _, rng: rng.choice(_COMMANDS),
]
_WRAPPED: list[Callable[[str], str]] = [
    lambda text: f"<tool_call>\n{text}\n</tool_call>",
    lambda text: f"<tool_call>{text}",
    lambda text: f"```json\n{text}\n```",
    lambda text: f"```\n{text}\n```",
    lambda text: f"```bash\n{text}\n```",
    lambda text: f"<tools>{text}</tools>",
    lambda text: f"[TOOL_CALLS] [{text}]",
    lambda text: text,
]


def _damaged(text: str, rng: random.Random) -> str:
    """A few random cuts, doublings, insertions and exchanges."""
    for _ in range(rng.choice([0, 0, 1, 1, 2, 5])):
        at = rng.randrange(len(text) + 1)
        end = min(len(text), at + rng.randrange(1, 12))
        match rng.randrange(5):
            case 0:
                text = text[:at] + text[end:]
            case 1:
                text = text[:end] + text[at:]
            case 2:
                text = text[:at] + rng.choice(_NOISE) + text[at:]
            case 3:
                text = text[:at] + rng.choice(_NOISE) + text[end:]
            case _:
                text = text[:at]
    return text


def fuzzed_replies(seed: int) -> Iterator[str]:
    """Endless replies, the same for the same seed."""
    rng = random.Random(seed)
    while True:
        parts = [rng.choice(_PROSE)]
        for _ in range(rng.choice([0, 1, 1, 1, 2])):
            written = rng.choice(_WRITTEN)(_call(rng), rng)
            parts += [rng.choice(_WRAPPED)(written), rng.choice(_TAILS)]
        yield _damaged("".join(parts), rng)
