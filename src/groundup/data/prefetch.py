"""Reading ahead: a thread prepares the next batches while a training step runs.

It hides what a read can cost, above all a disk's latency; NumPy copies and PyTorch's operations
leave the interpreter to each other while they work.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final, TypeVar

Item = TypeVar("Item")
_END: Final = object()


@contextmanager
def prefetched(items: Iterable[Item], ahead: int = 2) -> Iterator[Iterator[Item]]:
    """`items` in their order, the next `ahead` of which are made while one is used.

    What making one raises is raised where it would have come. On leaving, the thread ends: what it
    is making is finished, and nothing after it is begun.
    """
    source = iter(items)
    reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="prefetch")

    def in_order() -> Iterator[Item]:
        coming = deque(reader.submit(next, source, _END) for _ in range(ahead))
        while (item := coming.popleft().result()) is not _END:
            coming.append(reader.submit(next, source, _END))
            yield item  # pyright: ignore[reportReturnType]

    try:
        yield in_order()
    finally:
        reader.shutdown(cancel_futures=True)
