"""eAccounting's own "no": a number, a sentence and an id for its support (dossier 2)."""

import re
from collections.abc import Mapping

from connectors.eaccounting.reading import text, whole
from hub.sdk.http import Answer, Refusal

_SECONDS = re.compile(r"in (\d+) second", re.IGNORECASE)
_MODULE = re.compile(r"module|access|licen[cs]e", re.IGNORECASE)
_VAT = re.compile(r"vat.?number|vies", re.IGNORECASE)
_FIRST_ERROR = 400

VERDICTS: Mapping[int, tuple[str, str, str | None]] = {
    2000: ("rejected", "eaccounting.data_refused", None),
    3000: ("rejected", "eaccounting.not_found", None),
    3001: ("rejected", "eaccounting.fiscal_year_missing", "booking_date"),
    3002: ("rejected", "eaccounting.account_missing", None),
    3003: ("config", "eaccounting.approval_rights", None),
    4000: ("rejected", "eaccounting.exists_already", None),
    4001: ("rejected", "eaccounting.cannot_be_deleted", None),
    4002: ("rejected", "eaccounting.not_possible", None),
    4003: ("config", "eaccounting.startup_guide", None),
    4004: ("config", "eaccounting.company_not_active", None),
    4005: ("reauth", "eaccounting.not_authorised", None),
    4006: ("reauth", "eaccounting.scopes_missing", None),
    4010: ("transient", "eaccounting.too_many_calls", None),
    4026: ("rejected", "eaccounting.period_locked", "booking_date"),
    4028: ("rejected", "eaccounting.back_orders", None),
    4029: ("rejected", "eaccounting.tax_reduction", None),
    4032: ("rejected", "eaccounting.rows_not_in_balance", None),
    4033: ("rejected", "eaccounting.approval_flow", None),
    4034: ("config", "eaccounting.sandbox_client", None),
    9000: ("reauth", "eaccounting.not_authorised", None),
}
"""Every code of the dossier: what it means for us, its sentence, and the setting that may solve it."""


def refusal(answer: Answer) -> Refusal | None:
    """The verdict over a refusal by its code; None where the status alone says it."""
    if answer.status < _FIRST_ERROR or not isinstance(answer.body, Mapping):
        return None
    code = whole(answer.body.get("ErrorCode"))
    message = text(answer.body.get("DeveloperErrorMessage")) or text(answer.body.get("Message"))
    said = " ".join(one for one in (message, f"({code})" if code else "", text(answer.body.get("ErrorId"))) if one)[
        :1000
    ]
    kind, key, field = VERDICTS.get(code or 0, ("", "", None))
    if not kind:
        return None if answer.status in (401, 403) else Refusal(said, key="eaccounting.refused")
    if code == 4002 and (answer.status == 403 or _MODULE.search(message)):
        kind, key = "config", "eaccounting.module_missing"
    if code == 2000 and _VAT.search(message):
        key, field = "eaccounting.vat_number_refused", "invalid_vat_number"
    waits = _SECONDS.search(message)
    return Refusal(said, kind, key, field, float(waits[1]) if waits and kind == "transient" else None)  # type: ignore[arg-type]
