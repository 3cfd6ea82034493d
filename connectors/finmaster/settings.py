"""What a customer chooses at FinMaster."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from hub.sdk.settings import Choice, Settings, chosen

Column = Literal[
    "journal", "date", "year", "period", "reference", "account", "cost_centre", "description", "debit", "credit",
    "amount", "side", "line", "entry",
]  # fmt: skip


class FinmasterSettings(Settings):
    """The choices for a combi that books in FinMaster. Those from `finmaster_columns` on are of the memorial file."""

    finmaster_journal: Annotated[str, Field(max_length=35)] = chosen(
        "", Choice("memorial_journals", depends_on=("administrations",))
    )
    """The memorial journal; empty: the administration's only one."""
    finmaster_year_start: Annotated[int, Field(ge=1, le=12)] = 1
    """The month in which the fiscal year starts, where FinMaster does not list its periods."""
    finmaster_columns: tuple[Column, ...] = (
        "journal", "date", "period", "reference", "account", "cost_centre", "description", "debit", "credit",
    )  # fmt: skip
    finmaster_separator: Literal["semicolon", "comma", "tab"] = "semicolon"
    finmaster_decimal: Literal["comma", "point"] = "comma"
    finmaster_date: Literal["dd-mm-yyyy", "yyyy-mm-dd", "yyyymmdd"] = "dd-mm-yyyy"
    finmaster_line_end: Literal["crlf", "lf"] = "crlf"
    finmaster_encoding: Literal["utf-8", "windows-1252"] = "utf-8"
    finmaster_header: bool = True
    """Whether the first row names the columns."""

    @field_validator("finmaster_columns")
    @classmethod
    def _amounts_are_told(cls, columns: tuple[Column, ...]) -> tuple[Column, ...]:
        if not ({"debit", "credit"} <= set(columns) or {"amount", "side"} <= set(columns)):
            raise ValueError("debit and credit, or amount and side, must be among the columns")
        if "account" not in columns:
            raise ValueError("account must be among the columns")
        return columns


def own(settings: Settings) -> FinmasterSettings:
    """The settings as ours. Raises TypeError for another connector's."""
    if not isinstance(settings, FinmasterSettings):
        raise TypeError(f"expected FinmasterSettings, got {type(settings).__name__}")
    return settings
