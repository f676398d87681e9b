"""The rules of the Colossal Clean Crawled Corpus, on which T5 was trained (Raffel et al. 2020,
section 2.2), for English text of the web: lines are dropped that are no sentences, and then
documents of which little or nothing good is left.

What the paper leaves open is done as in the authors' generator of C4 (TensorFlow Datasets): lines
with a word of more than 1,000 characters or with a phrase of a privacy policy are dropped, too, and
marks of citations (`[3]`, `[edit]`) are taken out of the others.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from groundup.curate.document import Document
from groundup.curate.notes import Notes
from groundup.curate.rules.bad_words import BadWords
from groundup.curate.rules.sentences import count_sentences

_CITATION = re.compile(r"\[(?:\d*|edit|citation needed)\]")
_ENDS = (".", "?", "!", '"', "'", "”", "’")
_POLICIES = (
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
)


@dataclass(frozen=True, kw_only=True)
class C4:
    """Lines are dropped

    min_words: that have fewer words.
    max_word_length: of which a word has more characters.
    terminal_punctuation: that do not end with `.`, `?`, `!` or a quotation mark, or end with an
    ellipsis.
    javascript: that have the word, as warnings do.
    policies: with phrases such as "privacy policy".

    Of what is left, documents are rejected

    min_sentences: of fewer sentences.
    lorem_ipsum, curly_brackets: that have these; a curly bracket is a sign of code.
    bad_words: that have a word of this file, one a line.
    """

    title: ClassVar[str] = "C4"

    min_words: int = 3
    max_word_length: int = 1000
    terminal_punctuation: bool = True
    javascript: bool = True
    policies: bool = True
    min_sentences: int = 5
    lorem_ipsum: bool = True
    curly_brackets: bool = True
    bad_words: str | None = None

    def apply(self, documents: Iterable[Document], notes: Notes, /) -> Iterator[Document]:
        bad_words = BadWords(Path(self.bad_words)) if self.bad_words is not None else None
        for document in documents:
            lines = list(self._lines(document.text, notes))
            broken = self._broken(lines, bad_words, notes)
            if broken is None:
                document.text = "".join(f"{line}\n" for line in lines)
                yield document
            else:
                notes.reject(document, *broken)

    def _lines(self, text: str, notes: Notes) -> Iterator[str]:
        """Those that are left, without blank ones; others are counted."""
        for whole in text.split("\n"):
            line = whole.strip()
            if "[" in line:
                line = _CITATION.sub("", line).strip()
            if not line:
                continue
            flaw = self._flaw(line)
            if flaw is None:
                yield line
            else:
                notes.count(f"lines {flaw}")

    def _flaw(self, line: str) -> str | None:
        words = line.split()
        if len(line) > self.max_word_length and max(map(len, words)) > self.max_word_length:
            return "with a long word"
        if self.terminal_punctuation and (not line.endswith(_ENDS) or line.endswith("...")):
            return "without terminal punctuation"
        if len(words) < self.min_words:
            return "of few words"
        lower = line.lower()
        if self.javascript and "javascript" in lower:
            return "about JavaScript"
        if self.policies and any(phrase in lower for phrase in _POLICIES):
            return "about policies"
        return None

    def _broken(
        self, lines: list[str], bad_words: BadWords | None, notes: Notes
    ) -> tuple[str, str] | None:
        """Why what is left of a document is rejected, and the rule."""
        sentences = sum(map(count_sentences, lines))
        notes.value("sentences", sentences)
        text = "\n".join(lines)
        if self.lorem_ipsum and "lorem ipsum" in text.lower():
            return "has the words lorem ipsum", "lorem_ipsum"
        if self.curly_brackets and "{" in text:
            return "has a curly bracket", "curly_brackets"
        if sentences < self.min_sentences:
            return f"has {sentences} sentences, fewer than {self.min_sentences}", "min_sentences"
        if bad_words is not None and (word := bad_words.find(text)) is not None:
            return f"has '{word}', which is on the list of bad words", "bad_words"
        return None
