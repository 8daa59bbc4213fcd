"""The OpenAPI document is true: schemathesis asks the server what the document says, and what it forbids."""

from __future__ import annotations

import pytest

schemathesis = pytest.importorskip("schemathesis")

from hypothesis import HealthCheck, Phase, given, settings  # noqa: E402
from schemathesis.checks import not_a_server_error  # noqa: E402
from schemathesis.specs.openapi.checks import (  # noqa: E402
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from limner.serve.openapi import document  # noqa: E402
from limner.serve.settings import Limits  # noqa: E402

LIMITS = Limits(count=4, candidates=8, body_seconds=5.0)
TRUE = [not_a_server_error, content_type_conformance, response_schema_conformance, status_code_conformance]
FALSE = [*TRUE, negative_data_rejection, unsupported_method]
OPERATIONS = [(method, path) for path, methods in document(LIMITS)["paths"].items() for method in methods]
# Only a body can be wrong: of a name in a path nothing is said but that it is text.
CASES = [(*one, True) for one in OPERATIONS] + [(*one, False) for one in OPERATIONS if one[0] == "post"]


@pytest.fixture(scope="module")
def served(launch, pictures):
    return launch(limits=LIMITS, folder=pictures)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path", "valid"), CASES, ids=str)
def test_document(served, method, path, valid):
    schema = schemathesis.openapi.from_url(f"{served.url}/openapi.json")
    mode = schemathesis.GenerationMode.POSITIVE if valid else schemathesis.GenerationMode.NEGATIVE
    operation = schema[path][method.upper()]

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=6, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def ask(case):
        case.call_and_validate(checks=TRUE if valid else FALSE, timeout=30)

    ask()
