"""Numbers that pairs join to sets."""


class UnionFind:
    """Numbers joined to sets (Tarjan 1975), of which each is named by its least number."""

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}

    def root(self, number: int) -> int:
        parent = self._parent
        root = number
        while (above := parent.get(root, root)) != root:
            root = above
        while number != root:  # everything on the way now points to it
            parent[number], number = root, parent.get(number, root)
        return root

    def join(self, one: int, other: int) -> None:
        one, other = sorted((self.root(one), self.root(other)))
        self._parent[other] = self._parent[one] = one

    def sets(self) -> list[list[int]]:
        """All that were joined, each sorted, in order of their least numbers."""
        sets: dict[int, list[int]] = {}
        for number in sorted(self._parent):
            sets.setdefault(self.root(number), []).append(number)
        return list(sets.values())
