"""The short convolution against torch's own."""

import pytest
import torch
from torch.nn import functional as F

from groundup.layers.convolution import ShortConvolution


@pytest.mark.parametrize("T", [1, 2, 9])
@pytest.mark.parametrize("width", [1, 4])
@pytest.mark.parametrize("bias", [False, True])
def test_it_equals_torch(T: int, width: int, bias: bool) -> None:
    ours = ShortConvolution(6, width, bias=bias)
    ours.initialize(torch.Generator().manual_seed(0))
    x, tail = torch.randn(2, T, 6), torch.randn(2, 6, width - 1)
    both = torch.cat((tail, x.mT), -1)
    expected = F.conv1d(both, ours.weight[:, None], ours.bias, groups=6)
    y, last = ours(x, tail)
    torch.testing.assert_close(y, expected.mT)
    torch.testing.assert_close(last, both[:, :, T:])


def test_a_document_sees_neither_the_one_before_nor_an_earlier_one_of_its_number() -> None:
    convolution = ShortConvolution(6, 4, bias=True)
    convolution.initialize(torch.Generator().manual_seed(0))
    x = torch.randn(1, 7, 6)
    y, tail = convolution(x, documents=torch.tensor([[5, 5, 8, 5, 5, 5, 2]]))
    alone = [convolution(piece) for piece in x.split([2, 1, 3, 1], 1)]
    torch.testing.assert_close(y, torch.cat([y for y, _ in alone], 1))
    torch.testing.assert_close(tail, alone[-1][1])
