"""What tells a block of a page's main text from what stands round it, as numbers.

Of the block itself, of its neighbours, of the elements that hold it, and of how much of the page's
running text is in them (after Kohlschütter, Fankhauser and Nejdl 2010, "Boilerplate detection using
shallow text features", and Weninger, Hsu and Han 2010, "CETR"). Nothing depends on a language or on
a site.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundup.curate.duplicates.shingles import words
from groundup.curate.extract.page import COUNTS, HIDDEN, HINT, TAG, TAGS, Page

Features = NDArray[np.float32]

_COUNT = {name: number for number, name in enumerate(COUNTS)}
_ABOVE = 5  # elements above the innermost that are looked at one by one
_NEAR = 3  # of them, those whose hints count by themselves
_NEIGHBOURS = (-3, -2, -1, 1, 2, 3)
_RUNNING = 50  # characters from which on a block may be running text
_HEADINGS = [TAG[name] for name in ("h1", "h2", "h3")]
_PARTS = (0.5, 1.0, 0.5, 0.25)  # of a text that count for the elements above it
_HOLDERS = (0.5, 0.75, 0.9)  # shares of the running text
_OF_NEIGHBOUR = 7  # of a block's own features, which are seen of its neighbours, too


def features(page: Page) -> Features:
    """[blocks, features]"""
    blocks = len(page.texts)
    if blocks == 0:
        return np.zeros((0, 0), dtype=np.float32)
    own = _of_blocks(page)
    characters, linked = (page.counts[:, _COUNT[name]] for name in ("characters", "linked"))
    running = np.where((characters >= _RUNNING) & (linked < 0.4 * characters), characters, 0)
    before = _sums(running)
    total = max(1, before[-1])
    place = np.arange(blocks)
    of_page = np.stack(
        [
            place / blocks,
            np.full(blocks, np.log1p(blocks)),
            np.full(blocks, np.log1p(total)),
            before[:-1] / total,
            running / total,
        ],
        axis=1,
    )
    above = _ancestors(page)
    columns = [own, of_page, *_of_neighbours(own), _same_as_neighbours(page, above)]
    columns += _of_holders(page, above, running, characters, linked)
    columns.append(_of_title(page, above))
    columns += _of_elements(page, above)
    return np.concatenate(columns, axis=1).astype(np.float32)


def _of_blocks(page: Page) -> NDArray[Any]:
    count = {name: page.counts[:, number].astype(np.float64) for name, number in _COUNT.items()}
    characters, words = np.maximum(1, count["characters"]), np.maximum(1, count["words"])
    lines = np.array([text.count("\n") for text in page.texts])
    marks = np.array([("|" in text) + 2 * ("©" in text) for text in page.texts])
    return np.stack(
        [
            np.log1p(count["characters"]),
            count["linked"] / characters,
            characters / words,
            count["capitals"] / characters,
            count["commas"] / words,
            count["ends_sentence"],
            np.log1p(count["words"]),
            count["stops"] / words,
            count["digits"] / characters,
            count["begins_large"],
            np.log1p(count["linked"]),
            lines / words,
            marks,
        ],
        axis=1,
    )


def _of_neighbours(own: NDArray[np.float64]) -> list[NDArray[Any]]:
    """The first features of the blocks before and behind; zeros beyond the page's ends."""
    shown = own[:, :_OF_NEIGHBOUR]
    padded = np.pad(shown, ((3, 3), (0, 0)))
    return [padded[3 + step : 3 + step + len(own)] for step in _NEIGHBOURS]


def _ancestors(page: Page) -> NDArray[np.int32]:
    """[_ABOVE + 1, blocks]: the innermost element of each block, the one that holds it, and so on;
    the outermost holds itself."""
    parent = page.parent.copy()
    parent[0] = 0
    rows = [page.element]
    for _ in range(_ABOVE):
        rows.append(parent[rows[-1]])
    return np.stack(rows)


def _same_as_neighbours(page: Page, above: NDArray[np.int32]) -> NDArray[Any]:
    """Whether a block shares with the one before and the one behind the kind of its element, and
    the element that holds that."""
    same = [
        page.tag[above[0]][1:] == page.tag[above[0]][:-1],
        above[1][1:] == above[1][:-1],
    ]
    columns = [np.concatenate([[False], s]) for s in same] + [
        np.concatenate([s, [False]]) for s in same
    ]
    return np.stack(columns, axis=1).astype(np.float64)


def _of_holders(
    page: Page,
    above: NDArray[np.int32],
    running: NDArray[np.int32],
    characters: NDArray[np.int32],
    linked: NDArray[np.int32],
) -> list[NDArray[Any]]:
    """Of each element above a block: its share of the page's running text, the share of links in
    it, and of its blocks those that are running; and whether the block is in the smallest element
    that holds most of the running text."""
    of_running, of_all, of_linked, of_many = (
        sums[page.last] - sums[page.first]
        for sums in map(_sums, (running, characters, linked, (running > 0).astype(np.int32)))
    )
    total = max(1, of_running[0])
    blocks = np.maximum(1, page.last - page.first)
    of_element = np.stack(
        [of_running / total, of_linked / np.maximum(1, of_all), of_many / blocks, np.log1p(blocks)],
        axis=1,
    )
    columns: list[NDArray[Any]] = [of_element[row] for row in above]
    columns += _of_paragraphs(page, above, running)
    place = np.arange(len(characters))
    for share in _HOLDERS:
        enough = np.flatnonzero(of_running >= share * of_running[0])
        holder = enough[np.argmin(blocks[enough] * len(blocks) - enough)]  # the innermost of equals
        inside = (place >= page.first[holder]) & (place < page.last[holder])
        # how far outside, or how deep inside
        behind = np.maximum(page.first[holder] - place, place - page.last[holder] + 1)
        columns.append(np.stack([inside, np.maximum(0, behind)], axis=1))
        columns.append((above == holder).argmax(0)[:, None] * inside[:, None])
    return columns


def _of_title(page: Page, above: NDArray[np.int32]) -> NDArray[Any]:
    """Which part of the title's words a heading has, and how far behind the one that has most of
    them a block stands: there the main text begins."""
    wanted = set(words(page.title, punctuation=False))
    blocks = len(page.texts)
    found = np.zeros(blocks)
    headings = np.isin(page.tag[above[:2]], _HEADINGS).any(0)
    for block in np.flatnonzero(headings):
        own = set(words(page.texts[block], punctuation=False))
        found[block] = len(own & wanted) / max(1, len(own | wanted))
    best = int(np.argmax(found)) if found.any() else -1
    behind = np.arange(blocks) - best
    known = float(best >= 0)
    return np.stack(
        [
            found,
            np.full(blocks, found.max()),
            known * np.sign(behind),
            known * np.log1p(np.maximum(0, behind)),
            known * np.log1p(np.maximum(0, -behind)),
        ],
        axis=1,
    )


def _of_paragraphs(
    page: Page, above: NDArray[np.int32], running: NDArray[np.int32]
) -> list[NDArray[Any]]:
    """How much running text the elements above have as paragraphs of their own, relative to the
    element of the page that has most; and whether that one is above. Text counts for the element
    that holds its paragraph, and less for those further up, as in Readability (Arc90, 2009): a row
    of teasers may have more text than an article, but each of them has little."""
    own = np.zeros(len(page.parent))
    for row, part in zip(above, _PARTS, strict=False):
        own += part * np.bincount(row, running, len(own))
    best = int(np.argmax(own))
    inside = above == best
    place = np.arange(len(running))
    within = (place >= page.first[best]) & (place < page.last[best])
    return [
        (own[above[:4]] / max(1.0, own[best])).T,
        np.stack([within, inside.argmax(0) * inside.any(0), inside.any(0)], axis=1),
    ]


def _of_elements(page: Page, above: NDArray[np.int32]) -> list[NDArray[Any]]:
    """Kinds of the elements above: the innermost's, and whether any is of the kind; and hints."""
    kinds = 1 << page.tag.astype(np.int64)
    hints = page.hints.astype(np.int64)
    all_kinds, all_hints, depth = kinds.copy(), hints.copy(), np.zeros(len(kinds), np.int64)
    articles = (page.tag == TAG["article"]).astype(np.int64)
    _down(page, all_kinds, all_hints, depth, articles)
    near = hints[above[0]]
    for row in above[1:_NEAR]:
        near = near | hints[row]
    tags, bits = range(1, len(TAGS)), [*HINT.values(), HIDDEN]
    return [
        np.stack([depth[above[0]], articles[above[0]]], axis=1),
        np.stack([page.tag[above[0]] == tag for tag in tags], axis=1),
        np.stack([(all_kinds[above[0]] >> tag) & 1 for tag in tags if _holds(tag)], axis=1),
        np.stack([(near & bit) > 0 for bit in bits], axis=1),
        np.stack([(all_hints[above[0]] & bit) > 0 for bit in bits], axis=1),
    ]


def _holds(tag: int) -> bool:
    return tag not in (TAG["p"], TAG["body"])


def _down(
    page: Page,
    kinds: NDArray[np.int64],
    hints: NDArray[np.int64],
    depth: NDArray[np.int64],
    articles: NDArray[np.int64],
) -> None:
    """Each element takes on what those above it are, a level of the page after the other."""
    level = np.flatnonzero(page.parent == 0)
    number = 1
    order = np.argsort(page.parent, kind="stable")
    begins = np.searchsorted(page.parent[order], np.arange(len(page.parent) + 1))
    while len(level):
        kinds[level] |= kinds[page.parent[level]]
        hints[level] |= hints[page.parent[level]]
        articles[level] += articles[page.parent[level]]
        depth[level] = number
        number += 1
        spans = [order[begins[e] : begins[e + 1]] for e in level]
        level = np.concatenate(spans)


def _sums(values: NDArray[np.int32]) -> NDArray[np.int64]:
    """Of the values before each place: one more than there are values."""
    return np.concatenate([[0], np.cumsum(values, dtype=np.int64)])
