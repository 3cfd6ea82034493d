"""Rounds off the description of the API: problems, call rates and repeated requests, which no single route tells."""

from typing import Any

PROBLEM: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457. `code` is stable; `title` and `detail` are for people. Some problems have more members.",
    "required": ["type", "status", "code", "title"],
    "additionalProperties": True,
    "properties": {
        "type": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "title": {"type": "string"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "code", "message"],
                "properties": {
                    "field": {"type": "string", "description": "Path with dots, as `settings.journal`."},
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                },
            },
        },
    },
}
_RESPONSE = {
    "description": "A problem. 429 comes with `Retry-After`.",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
_IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "The same key gives the first answer again for 24 hours, and nothing is done twice.",
}
_LANGUAGE = {
    "name": "Accept-Language",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "Language of sentences: `nl` (default) or `en`.",
}


def rounded_off(document: dict[str, Any]) -> dict[str, Any]:
    """The document with what holds for all operations; changes it in place."""
    parts = document.setdefault("components", {})
    schemas = parts.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = PROBLEM
    parts["responses"] = {"Problem": _RESPONSE}
    parts["parameters"] = {"IdempotencyKey": _IDEMPOTENCY, "AcceptLanguage": _LANGUAGE}
    for path, operations in document["paths"].items():
        if path.startswith("/v1/"):
            for method, operation in operations.items():
                _round_off(method, operation)
    return document


def _round_off(method: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    responses.pop("422", None)
    responses["default"] = {"$ref": "#/components/responses/Problem"}
    parameters = operation.setdefault("parameters", [])
    parameters.append({"$ref": "#/components/parameters/AcceptLanguage"})
    if method == "post":
        parameters.append({"$ref": "#/components/parameters/IdempotencyKey"})
