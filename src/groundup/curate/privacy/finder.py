"""Finding data in a text, and putting something else in their place."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from groundup.curate.privacy.context import Context, Words, near_some
from groundup.curate.privacy.cues import find_cues
from groundup.curate.privacy.detector import Cue, Detector, Spans

_AROUND: dict[Cue, tuple[int, int]] = {  # characters before and behind a cue that patterns see
    "at": (224, 256),  # a password of 128 behind a name of 64; a domain has 253
    "number": (64, 64),
    "code": (128, 128),
    "hex": (64, 64),
}
_MOST_PASSES = 8


class Found(NamedTuple):
    """Where a datum stands."""

    begin: int
    end: int
    detector: Detector


class Finder:
    """Looks for what the detectors say. replacement: of a datum that a detector found.

    What its own replacement equals, as an example does, is no datum, nor is a part of it.
    """

    def __init__(
        self, detectors: Sequence[Detector], replacement: Callable[[Detector, str], str]
    ) -> None:
        self._replacement = replacement
        rules = [_Rule.of(rank, detector) for rank, detector in enumerate(detectors)]
        self._rules = {cue: [r for r in rules if r.detector.cue == cue] for cue in _AROUND}
        self._terms = {
            cue: Context([term for rule in self._rules[cue] for term in rule.detector.context])
            for cue in _AROUND
        }

    def find(self, text: str) -> list[Found]:
        """The data, in order; none overlaps another, nor what is its own replacement."""
        found = [
            ranked
            for cue, spans in find_cues(text).items()
            if self._rules[cue]
            for begin, end in _windows(spans, *_AROUND[cue], len(text))
            for ranked in self._in_window(cue, text, begin, end)
        ]
        if not found:
            return []
        taken, covered = [], bytearray(len(text))
        for _, one in sorted(found, key=lambda ranked: (ranked[0], ranked[1].begin)):
            if 1 not in covered[one.begin : one.end]:
                covered[one.begin : one.end] = b"\1" * (one.end - one.begin)
                taken.append(one)
        return [one for one in sorted(taken, key=lambda one: one.begin) if self._changes(text, one)]

    def mask(self, text: str) -> tuple[str, Counter[str]]:
        """The text without the data, and how many of each kind they were.

        What stood beside a datum may be found only when that is gone, so the text is searched until
        nothing is found; at most eight times, should a detector find its own replacement.
        """
        counts: Counter[str] = Counter()
        for _ in range(_MOST_PASSES):
            found = self.find(text)
            if not found:
                break
            counts.update(one.detector.kind for one in found)
            text = self._without(found, text)
        return text, counts

    def _without(self, found: Sequence[Found], text: str) -> str:
        parts, at = [], 0
        for begin, end, detector in found:
            parts += [text[at:begin], self._replacement(detector, text[begin:end])]
            at = end
        return "".join([*parts, text[at:]])

    def _changes(self, text: str, one: Found) -> bool:
        datum = text[one.begin : one.end]
        return self._replacement(one.detector, datum) != datum

    def _in_window(self, cue: Cue, text: str, begin: int, end: int) -> Iterator[tuple[int, Found]]:
        """With the rank of the detector."""
        words = Words(text, begin, end)
        has_a_term = self._terms[cue].begins_in(words)
        for rule in self._rules[cue]:
            if rule.context is None:
                data = self._data(rule, text, begin, end)
            elif has_a_term and (places := rule.context.places(words)):
                data = near_some(places, self._data(rule, text, begin, end))
            else:
                continue
            for datum in data:
                yield rule.rank, Found(*datum, rule.detector)

    def _data(self, rule: "_Rule", text: str, begin: int, end: int) -> Spans:
        """Where pattern and check agree."""
        data: Spans = []
        while match := rule.pattern.search(text, begin, end):
            if rule.detector.check(match[rule.group]):
                data.append(match.span(rule.group))
                begin = match.end()
            else:
                begin = match.start() + 1
        return data


class _Rule(NamedTuple):
    """A detector, and what is made of its fields once."""

    rank: int
    detector: Detector
    pattern: re.Pattern[str]
    group: int | str
    context: Context | None

    @classmethod
    def of(cls, rank: int, detector: Detector) -> "_Rule":
        pattern = re.compile(detector.pattern, re.ASCII)
        group = "datum" if "datum" in pattern.groupindex else 0
        context = Context(detector.context) if detector.context else None
        return cls(rank, detector, pattern, group, context)


def _windows(spans: Spans, before: int, behind: int, length: int) -> Iterator[tuple[int, int]]:
    """The spans with what is around them; those that overlap are one."""
    begin, end = 0, 0  # of the window that grows
    for first, last in spans:
        if first - before > end:
            if end:
                yield begin, end
            begin = first - before
        end = min(length, last + behind)
    if end:
        yield begin, end
