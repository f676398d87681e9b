"""Dropout (Srivastava et al. 2014): in training, some numbers become zero by chance."""

from torch import Tensor, nn
from torch.nn import functional as F

from groundup.kernels import cpu


class Dropout(nn.Module):
    """x / (1 − p) with probability 1 − p, else zero; outside of training, x."""

    def __init__(self, p: float):
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """x: any shape → the same shape and format."""
        if self.training and cpu.takes(x):
            return cpu.dropout(x, self.p)
        return F.dropout(x, self.p, self.training)
