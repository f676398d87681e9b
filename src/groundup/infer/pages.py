"""Pages of a cache: stretches of so many positions, handed to sequences one by one as they grow
(Kwon et al. 2023, "Efficient memory management for large language model serving with
PagedAttention", section 4).

A page that is full may be given a name, which says what stands in it and in all pages before it.
Sequences that begin alike then share pages; one that nobody uses keeps its contents until its place
is needed, those that were left longest ago first.
"""

from collections import OrderedDict


class Pages:
    """Pages 1 … count. Page 0 is nobody's: what is written there nobody reads."""

    def __init__(self, count: int, *, frugal: bool = False):
        """frugal: pages that nobody uses are not kept for longer than there are as many that
        somebody uses; so memory that was never touched stays so."""
        self.count, self.frugal = count, frugal
        self._touched = 0  # pages 1 … so many were somebody's
        self._blank: list[int] = []  # of them, those that hold nothing
        self._idle: OrderedDict[int, None] = OrderedDict()  # named, and nobody's at the moment
        self._users = [0] * (count + 1)
        self._names: dict[int, bytes] = {}
        self._pages: dict[bytes, int] = {}

    @property
    def free(self) -> int:
        """How many could be taken now."""
        return self.count - self._touched + len(self._blank) + len(self._idle)

    def take(self) -> int:
        """A page for one user. There must be a free one."""
        used = self._touched - len(self._blank) - len(self._idle)
        full = self._touched == self.count or (self.frugal and len(self._idle) > used)
        if self._blank:
            page = self._blank.pop()
        elif full and self._idle:
            page, _ = self._idle.popitem(last=False)
            del self._pages[self._names.pop(page)]
        else:
            self._touched += 1
            page = self._touched
        self._users[page] = 1
        return page

    def named(self, name: bytes) -> bool:
        """Whether there is a page with this name."""
        return name in self._pages

    def share(self, name: bytes) -> int:
        """The page with this name, for one more user."""
        page = self._pages[name]
        self._idle.pop(page, None)
        self._users[page] += 1
        return page

    def name(self, page: int, name: bytes) -> None:
        """Say what a full page holds. The first page with a name keeps it."""
        if name not in self._pages and page not in self._names:
            self._names[page] = name
            self._pages[name] = page

    def give_back(self, page: int) -> None:
        """One user less."""
        self._users[page] -= 1
        if self._users[page] > 0:
            return
        if page in self._names:
            self._idle[page] = None
        else:
            self._blank.append(page)
