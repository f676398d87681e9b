"""Files in groups of about the same size, for processes that read them at the same time."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def in_groups(items: Iterable[tuple[Item, int]], most: int) -> Iterator[tuple[Item, ...]]:
    """Consecutive items, as many as have `most` bytes together, and one at the least.

    items: with the bytes of each.
    """
    group: list[Item] = []
    total = 0
    for item, size in items:
        if group and total + size > most:
            yield tuple(group)
            group, total = [], 0
        group.append(item)
        total += size
    if group:
        yield tuple(group)
