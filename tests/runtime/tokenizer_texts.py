"""2,000 lines of real code and prose in several scripts, and text made to confuse a tokenizer."""

from __future__ import annotations

import itertools
import random
import sysconfig
from pathlib import Path

PROSE = (
    "The quick brown fox doesn't jump over the lazy dog; it'll sleep, they've said, 'til dawn.",
    "Überraschend schön: Größe, Fuß, Straße und naïve Façade, coûté 1 234,50 € à l'été.",
    "El niño pidió un café con leche y preguntó: ¿cuánto cuesta? ¡Qué barato!",
    "Żółw pływa w Łodzi, a źrebię śpi. Příliš žluťoučký kůň úpěl ďábelské ódy.",
    "Η γρήγορη αλεπού πηδάει πάνω από τον τεμπέλη σκύλο, είπε ο Όμηρος στις 7:45.",
    "Съешь же ещё этих мягких французских булок, да выпей чаю. Ґанок, їжак, єнот.",
    "天地玄黄,宇宙洪荒。这个函数在第3行返回None,为什么?因为列表是空的!",
    "いろはにほへと ちりぬるを。関数「parse」は空の入力で落ちます。ゼロ除算エラー!",
    "다람쥐 헌 쳇바퀴에 타고파. 이 함수는 빈 문자열에서 실패합니다.",
    "نص حكيم له سر قاطع وذو شأن عظيم مكتوب على ثوب أخضر، رقم ١٢٣٤٥.",
    "דג סקרן שט בים מאוכזב ולפתע מצא חברה. שורה 42 נכשלה.",
    "नमस्ते दुनिया, यह परीक्षण वाक्य है जिसमें संयुक्ताक्षर क्षत्रिय ज्ञान १२३ हैं।",
    "เป็นมนุษย์สุดประเสริฐเลิศคุณค่า กว่าบรรดาฝูงสัตว์เดรัจฉาน ๑๒๓",
    "Tiếng Việt có nhiều dấu: phở, bún bò Huế, nước mắm, Đà Nẵng.",
    "e\u0301 a\u0308 n\u0303 o\u0302\u0301 Å Å \u1e9b\u0323 가 각",
    "😀 🎉 👨\u200d👩\u200d👧\u200d👦 🏳️\u200d🌈 👍🏽 🇩🇪 ⚠️ ™ © ½ ² ① Ⅻ ﬁ ß ſ K",
    "12345678901234567890 3.14159265358979 0xDEADBEEF 1_000_000 1e-10 2026-11-22T10:15:00Z",
    "I'M SURE THEY'RE HERE, WE'LL SEE; it'S 5 o'clock, y'all'd've known. don’t ‘quote’ “this”",
    "\t\tindented\twith\ttabs  and   runs    of     spaces      before a word   \t  ",
    "windows line\r\n", "\r\n\r\n  \r\n", "   ", "\n\n\n\n",
    " \u00a0\u3000\u2028\x85 odd spaces \x0b\x0c",
    "!!!???...---===>>><<<|||&&&%%%$$$###@@@~~~```'''\"\"\"",
    "if(x<=0&&y>=1||!z){return a[i++]->b::c<D>(*p,&q);} // done\n",
    "SELECT * FROM \"users\" WHERE name LIKE '%o''brien%' AND id IN (1,2,3);",
    "<div class=\"a b\" data-x='1'>&nbsp;<br/></div><!-- x --><table></table>",
    "https://example.org/path?q=1&r=%20#frag user@example.com C:\\Users\\x /usr/bin/env",
    "\x00\x01\x04\x06\x13\x1b[31mred\x1b[0m\x7f control characters \ufeff \ufffd \ue000",
)  # fmt: skip

SPECIAL_STRINGS = (
    *("<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<|start_header_id|>"),
    *("<|end_header_id|>", "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|fim_prefix|>"),
    *("<bos>", "<eos>", "<unk>", "<start_of_turn>", "<end_of_turn>", "<unused1>", "<repo_name>"),
    *("<|reserved_special_token_0|>", "[PAD151665]", "<0x0A>", "▁", "Ġ", "</s>", "[INST]"),
    *("<tool_call>", "</tool_call>", "<tool_response>", "[multimodal]", "<table>"),
)


def real_lines(count: int = 2000) -> list[str]:
    """Prose in several scripts, alone and indented, then lines of the standard library."""
    prose = [indent + line for line in PROSE for indent in ("", " ", "    ", "\t", "# ")]
    library = Path(sysconfig.get_paths()["stdlib"])
    files = (path for path in sorted(library.rglob("*.py")) if path.stat().st_size < 200_000)
    code = (
        line
        for path in files
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)[
            :40
        ]
    )
    return list(itertools.islice(itertools.chain(prose, code), count))


def hostile_lines(count: int = 2000, *, seed: int = 0) -> list[str]:
    """Special-token strings, whole and cut, among everything else."""
    rng = random.Random(seed)
    pieces = [*SPECIAL_STRINGS, *(text[:-1] for text in SPECIAL_STRINGS)]
    pieces += [text[1:] for text in SPECIAL_STRINGS if len(text) > 1]
    pieces += [character for line in PROSE for character in line[::3]]
    pieces += [" ", "  ", " " * 16, " " * 35, "\n", "\n\n", "\t", "\r\n", "'s", "'LL", "1234"]
    return ["".join(rng.choices(pieces, k=rng.randint(1, 40))) for _ in range(count)]
