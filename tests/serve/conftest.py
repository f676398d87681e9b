"""A small model behind a real server, which tests reach over the network of this machine."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import torch
import uvicorn
from fastapi import FastAPI

from groundup.align.chat import CHAT_TEMPLATE, END_OF_TEXT, SPECIAL_TOKENS
from groundup.core.device import Device
from groundup.layers import GLU, GroupedQuery
from groundup.models import Decoder
from groundup.serve import Served, create_app
from groundup.tokenizers import BPE

FLOAT32 = Device(torch.device("cpu"), torch.float32)


def small(context: int = 96, seed: int = 5) -> Served:
    """Bytes in, bytes out."""
    tokenizer = BPE.learned([], "gpt2", SPECIAL_TOKENS)
    config = Decoder(
        vocab_size=tokenizer.vocab_size,
        context=context,
        width=32,
        depth=2,
        attention=GroupedQuery(heads=4, kv_heads=2, head_width=8),
        mlp=GLU(hidden=48),
    )
    model = config.build(0)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
        model.readout.head.weight[256:] = 0  # texts that end are rare
    end = tokenizer.special_tokens[END_OF_TEXT]
    return Served("small", model, tokenizer, [end], [end], CHAT_TEMPLATE)


@contextmanager
def serving(served: Served | Sequence[Served], **options: Any) -> Iterator[str]:
    """The server's address."""
    models = [served] if isinstance(served, Served) else served
    with running(create_app(models, FLOAT32, **options)) as address:
        yield address


@contextmanager
def running(app: FastAPI) -> Iterator[str]:
    """The address of an app's server."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="on"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=30)
        assert not thread.is_alive()


@pytest.fixture(scope="session")
def served() -> Served:
    return small()


@pytest.fixture(scope="session")
def address(served: Served) -> Iterator[str]:
    with serving(served) as address:
        yield address
