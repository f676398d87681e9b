"""The coordinate check: how much a few steps change what each part of a model puts out, at several
widths (Yang et al. 2022, "Tensor programs V", appendix D.1).

Where learning rates transfer, each curve over the width is flat. One that rises will diverge in a
model that is wide enough; one that falls learns nothing there.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from groundup.core.device import Device
from groundup.models import Decoder, DecoderModel, LanguageModel
from groundup.scaling.transfer import Rule, transferred, widened
from groundup.train import Pretrain, steps
from groundup.train.pretrain import MicroBatch, batch_loss, start_training


def coordinate_check(
    config: Pretrain,
    model: Decoder,
    device: Device,
    factors: Sequence[int],
    *,
    rule: Rule,
    steps_done: int,
) -> dict[str, Any]:
    """A JSON value: for each part its `widths`, `changes` and `slope`.

    changes: the root mean square of output after the steps minus output before, on the batch that
    they train on. slope: of log change against log width; 0 is a rate that transfers.
    Raises `ValueError` for a decoder that cannot be widened, and fewer than two widths.
    """
    if len(set(factors)) < 2:
        raise ValueError("widths are compared, so there must be at least two")
    batch = _batch(config, model, device)
    changes: dict[str, list[float]] = {}
    for factor in factors:
        wide = widened(model, factor)
        optimizer = transferred(config.optimizer, factor, rule)
        plain = replace(config, steps=steps_done, accumulation=1, compile=False)
        for part, change in _changes(
            replace(plain, optimizer=optimizer), wide, device, batch
        ).items():
            changes.setdefault(part, []).append(change)
    widths = [model.width * factor for factor in factors]
    return {
        "rule": rule,
        "steps": steps_done,
        "parts": [
            {"part": part, "widths": widths, "changes": values, "slope": _slope(widths, values)}
            for part, values in changes.items()
        ],
    }


def _batch(config: Pretrain, model: Decoder, device: Device) -> MicroBatch:
    """Tokens of which few are frequent (Zipf's law), and each of which says something of the next:
    where nothing can be learned, nothing need change."""
    generator = np.random.default_rng(0)
    ranks = np.arange(1, model.vocab_size + 1)
    drawn = generator.choice(
        model.vocab_size, size=(config.batch, model.context + 1), p=(1 / ranks) / (1 / ranks).sum()
    )
    drawn[:, 1::2] = drawn[:, 0:-1:2] // 2  # every other token follows from the one before
    tokens = torch.from_numpy(drawn).to(device.device)
    return MicroBatch(tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous(), None)


def _changes(
    config: Pretrain, model: Decoder, device: Device, batch: MicroBatch
) -> dict[str, float]:
    training = start_training(config, model, device)
    before = _outputs(training.model, batch, device)
    loss_of = lambda network, micro: (batch_loss(config, network, micro)[0], {})  # noqa: E731
    for _ in steps(training, [[batch]] * config.steps, loss_of):
        pass
    after = _outputs(training.model, batch, device)
    return {part: float((after[part] - before[part]).square().mean().sqrt()) for part in before}


@torch.no_grad()
def _outputs(model: LanguageModel, batch: MicroBatch, device: Device) -> dict[str, Tensor]:
    """Of the embedding, of the last block's attention and MLP, and the logits."""
    assert isinstance(model, DecoderModel)
    last = model.blocks[-1]
    parts = {"embedding": model.embedding, "attention": last.attention, "MLP": last.mlp}
    outputs: dict[str, Tensor] = {}

    def keep(part: str) -> Any:
        def hook(_module: nn.Module, _inputs: object, output: Any) -> None:
            outputs[part] = (output[0] if isinstance(output, tuple) else output).float()

        return hook

    handles = [module.register_forward_hook(keep(part)) for part, module in parts.items()]
    training = model.training
    model.eval()
    with device.autocast():
        outputs["logits"] = model(batch.tokens).float()
    model.train(training)
    for handle in handles:
        handle.remove()
    return outputs


def _slope(widths: Sequence[int], changes: Sequence[float]) -> float:
    """Of the straight line through the logarithms, by least squares."""
    return float(np.polyfit(np.log(widths), np.log(changes), 1)[0])
