"""GPUs, by the rates that large operations attain on them: what `scaling.cluster` computes with."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class Accelerator:
    """Rates are those that large operations attain, not a data sheet's, in units a second.

    memory: bytes. matrix, matrix8: FLOPs of bfloat16's and of 8-bit products. attention,
    attention_backward: FLOPs of fused attention. bandwidth: bytes read and written. link: bytes
    that a GPU sends to others of its machine in a ring. network: to other machines'. per_machine:
    GPUs of one. number: bytes of a weight that is gathered, and of an activation. overlaps: whether
    it computes while it sends; processors, which do the sending, do not.
    """

    name: str
    memory: float
    matrix: float
    matrix8: float
    attention: float
    attention_backward: float
    bandwidth: float
    link: float
    network: float
    per_machine: int = 8
    number: int = 2
    overlaps: bool = True


# Of the machines of torchtitan's measurements. Matrix and attention rates are fitted to rows of one
# machine (docs/benchmarks/cluster.md): no data sheet describes a GPU with that limit of power.
H100_500W = Accelerator(
    name="H100, 96 GB of HBM2e, 500 W",
    memory=94e9,
    matrix=500e12,
    matrix8=850e12,
    attention=300e12,
    attention_backward=230e12,
    bandwidth=2.0e12,
    link=350e9,
    network=45e9,
)
# The rest: in proportion, by the peaks of their data sheets; nothing was measured.
H100 = replace(H100_500W, name="H100, 80 GB, 700 W", memory=80e9, bandwidth=2.8e12)
H200 = replace(H100, name="H200, 141 GB, 700 W", memory=141e9, bandwidth=4.0e12)
A100 = Accelerator(
    name="A100, 80 GB, 400 W",
    memory=80e9,
    matrix=220e12,
    matrix8=220e12,  # it has no 8-bit floating point
    attention=180e12,
    attention_backward=140e12,
    bandwidth=1.7e12,
    link=230e9,
    network=22e9,
)
ACCELERATORS = {"h100": H100, "h100-500w": H100_500W, "h200": H200, "a100": A100}
