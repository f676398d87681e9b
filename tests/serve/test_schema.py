"""Whatever can be sent: requests made of the API's own description (schemathesis)."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.serve.conftest import FLOAT32, serving, small

from groundup.serve import create_app

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
DESCRIBED = schemathesis.openapi.from_dict(create_app([small()], FLOAT32).openapi())
OPERATIONS = {
    f"{operation.method.upper()} {operation.path}": operation
    for operation in (found.ok() for found in DESCRIBED.get_all_operations())
}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving(small()) as address:
        yield address


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_answer_is_one_that_is_described(address: str, name: str) -> None:
    """Of requests that are right and of those that are not; and the server lives on."""
    operation = OPERATIONS[name]

    @settings(
        max_examples=40,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def check(case: Any) -> None:
        # Few names are a model's, and many long answers show no more than a few short ones.
        if isinstance(case.body, dict):
            if isinstance(case.body.get("model"), str) and len(case.body["model"]) < 8:
                case.body["model"] = "small"
            for field in ("max_tokens", "max_completion_tokens"):
                if isinstance(case.body.get(field), int):
                    case.body[field] = min(case.body[field], 3)
        answer = case.call(base_url=address)
        case.validate_response(answer, checks=CHECKS)

    check()
    assert httpx.get(f"{address}/health").json() == {"status": "ok"}


def test_all_routes_of_the_api_are_described() -> None:
    assert {name.partition(" ")[2] for name in OPERATIONS} == {
        "/health",
        "/metrics",
        "/v1/models",
        "/v1/models/{name}",
        "/v1/completions",
        "/v1/chat/completions",
        "/tokenize",
        "/detokenize",
        "/tokenizers",
        "/curves",
        "/curves/{name}",
    }
