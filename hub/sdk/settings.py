"""What a customer chooses: pydantic models whose fields may be live lists."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """A connector's part of a combi's settings: every field has a default, unknown ones are refused.

    A connector's field names must not clash with those of other connectors or of the engine's own settings.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Choice:
    """Marks a field whose values come from a live list, `Connector.options[provider]`."""

    provider: str
    depends_on: tuple[str, ...] = ()


@dataclass(frozen=True)
class Option:
    """One entry of a live list: `value` is stored, `label` is shown."""

    value: str
    label: str


def chosen(default: Any, choice: Choice, **facts: Any) -> Any:
    """A settings field with a live list."""
    return Field(
        default=default, json_schema_extra={"choice": choice.provider, "depends_on": list(choice.depends_on)}, **facts
    )
