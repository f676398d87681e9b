"""Some parameters of which each process keeps a share: what goes round of them, and how it is
packed (see `parallel.layout`).
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from groundup.core.processes import Group, Wait
from groundup.optim.optimizer import OptimizerConfig
from groundup.parallel.layout import Layout, Part, arrange


class Share:
    """See `exchange.Bucket`: gradients are sent in N sections, one for each process, and at the end
    of each section stands of each of its parts whether it exists here.

    own: the rows that this process updates, by name, that of a part with its rows. They are views
    of the parameters; apart: of memory of their own, `kept`, so that the parameters can go. sent:
    the format in which weights go round, by default the parameters'.
    """

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        optimizer: OptimizerConfig,
        group: Group,
        *,
        apart: bool = False,
        sent: torch.dtype | None = None,
    ):
        self.parameters: list[Tensor] = list(parameters.values())
        self._group = group
        self._names: dict[Tensor, str] = {p: name for name, p in parameters.items()}
        shapes = {name: p.shape for name, p in parameters.items()}
        whole = {name: optimizer.whole(name, p) for name, p in parameters.items()}
        self.layout = arrange(shapes, whole, group.size)
        self._parts = self.layout.sections[group.rank]
        self._most_parts = max(map(len, self.layout.sections))
        self._places = _places(self.layout)
        rows = [part.of(parameters[part.name].data) for part in self._parts]
        self.kept = _packed(self.layout, self._parts, rows, self.parameters[0]) if apart else None
        if self.kept is not None:
            rows = [
                self.kept[part.at : part.end].view_as(some)
                for part, some in zip(self._parts, rows, strict=True)
            ]
        self._like = self.parameters[0].detach() if self.kept is None else self.kept
        self.sent = sent or self._like.dtype
        names = [_name(part, shapes[part.name][0]) for part in self._parts]
        self.own = dict(zip(names, rows, strict=True))
        self._sections: Tensor | None = None  # [N, length + parts], while gradients arrive
        self._latest: Tensor | None = None  # [length + parts], sums of a backward pass
        self._sums: Tensor | None = None  # and of a step's passes

    @property
    def weight_bytes(self) -> int:
        """Of all sections of weights, as they go round."""
        return self._group.size * self.layout.length * self.sent.itemsize

    @property
    def gradient_bytes(self) -> int:
        """Of all sections of gradients."""
        return self._group.size * (self.layout.length + self._most_parts) * self._like.itemsize

    @torch.no_grad()
    def take(self, parameter: Tensor) -> None:
        if self._sections is None:
            size = self.layout.length + self._most_parts
            self._sections = self._like.new_zeros(self._group.size, size)
        if parameter.grad is None:
            return
        for section, index, part in self._places[self._names[parameter]]:
            rows = part.of(parameter.grad)
            self._sections[section, part.at : part.end].view_as(rows).copy_(rows)
            self._sections[section, self.layout.length + index] = 1
        parameter.grad = None

    def send(self) -> Wait:
        assert self._sections is not None
        self._latest = self._sections.new_empty(self._sections.shape[1])
        return self._group.scatter_sums(self._latest, self._sections)

    @torch.no_grad()
    def receive(self) -> None:
        assert self._latest is not None
        self._sums = self._latest if self._sums is None else self._sums.add_(self._latest)
        self._sections = self._latest = None

    def hand_over(self) -> None:
        """The sums become the gradients of this process's rows."""
        assert self._sums is not None
        exist = self._sums[self.layout.length :].tolist()
        for part, rows, exists in zip(self._parts, self.own.values(), exist, strict=False):
            rows.grad = self._sums[part.at : part.end].view_as(rows) if exists else None

    def clear(self) -> None:
        self._sums = None
        for rows in self.own.values():
            rows.grad = None

    @torch.no_grad()
    def send_weights(self) -> tuple[Tensor, Wait]:
        """All sections of weights, [N, length], once the wait is over."""
        own = self.kept
        if own is None:
            rows = list(self.own.values())
            own = _packed(self.layout, self._parts, rows, self._like)
        own = own.to(self.sent)
        sections = own.new_empty(self._group.size, self.layout.length)
        return sections, self._group.gather(sections, own)

    @torch.no_grad()
    def unpack(self, sections: Tensor) -> None:
        """Take the weights of others into the parameters; apart, one's own, too."""
        by_name = {name: p.data for p, name in self._names.items()}
        for rank, (parts, section) in enumerate(zip(self.layout.sections, sections, strict=True)):
            if rank == self._group.rank and self.kept is None:
                continue
            for part in parts:
                rows = part.of(by_name[part.name])
                rows.copy_(section[part.at : part.end].view_as(rows))


def _packed(layout: Layout, parts: tuple[Part, ...], rows: list[Tensor], like: Tensor) -> Tensor:
    """A section of weights, [length]."""
    section = like.detach().new_zeros(layout.length)
    for part, some in zip(parts, rows, strict=True):
        section[part.at : part.end].view_as(some).copy_(some)
    return section


def _places(layout: Layout) -> dict[str, list[tuple[int, int, Part]]]:
    """By parameter: each of its parts, with its section and which of the section's parts it is."""
    places: dict[str, list[tuple[int, int, Part]]] = {}
    for section, parts in enumerate(layout.sections):
        for index, part in enumerate(parts):
            places.setdefault(part.name, []).append((section, index, part))
    return places


def _name(part: Part, rows: int) -> str:
    """Of what a process holds of a parameter."""
    if part.first == 0 and part.last == rows:
        return part.name
    return f"{part.name}[{part.first}:{part.last}]"
