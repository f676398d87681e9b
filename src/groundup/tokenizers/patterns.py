"""Published patterns that cut text into pieces; merges never cross a cut.

They are regular expressions of the `regex` package (Unicode classes, which `re` lacks), as
published with OpenAI's tiktoken and, for the first, with GPT-2.
"""

_O200K_WORD = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
_O200K_LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"

CHARACTER = "character"  # the cut at every code point, which is no pattern of words

PATTERNS = {
    # Radford et al. 2019, GPT-2: words and numbers with a leading space.
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    # GPT-3.5 and GPT-4: contractions in any case, at most three digits, line ends together.
    "cl100k": _CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+",
    # Qwen 2 and 2.5: cl100k with every digit by itself.
    "qwen2": _CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+",
    # GPT-4o: words also end where upper case follows lower case; marks belong to letters.
    "o200k": rf"[^\r\n\p{{L}}\p{{N}}]?{_O200K_WORD}*{_O200K_LOWER}+{_CONTRACTION}?"
    rf"|[^\r\n\p{{L}}\p{{N}}]?{_O200K_WORD}+{_O200K_LOWER}*{_CONTRACTION}?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}
