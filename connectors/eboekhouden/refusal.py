"""e-Boekhouden.nl's own "no": a code with a title, sometimes with a text per property (dossier 4.1)."""

from collections.abc import Mapping
from typing import Literal

from connectors.eboekhouden.reading import part, text
from hub.sdk.http import Answer, Refusal

NUMBER_EXISTS = "eboekhouden.number_exists"
CODE_EXISTS = "eboekhouden.code_exists"
MAIN_UNKNOWN = "eboekhouden.main_ledger_unknown"
UNEXPLAINED = "eboekhouden.refused"
_Kind = Literal["rejected", "config", "reauth", "transient", "unknown"]
_CODES: Mapping[str, tuple[_Kind, str, str | None]] = {
    "SECURITY_001": ("config", "eboekhouden.no_rights", None),
    "SECURITY_002": ("config", "eboekhouden.accountant_token", None),
    "SECURITY_010": ("transient", "eboekhouden.session_ended", None),
    "API_SESSION_003": ("reauth", "eboekhouden.token_ended", None),
    "API_SESSION_004": ("reauth", "eboekhouden.token_ended", None),
    "EP_001": ("rejected", "eboekhouden.not_for_this_token", None),
    "ERR_001": ("unknown", "eboekhouden.general_error", None),
    "MUT_019": ("rejected", NUMBER_EXISTS, None),
    "REL_049": ("rejected", CODE_EXISTS, None),
    "MUTA_001": ("rejected", MAIN_UNKNOWN, "debtor_account"),
    "MUT_007": ("rejected", MAIN_UNKNOWN, "debtor_account"),
    "MUTA_004": ("rejected", "eboekhouden.row_ledger_unknown", "ledger_accounts"),
    "MUT_104": ("rejected", "eboekhouden.row_ledger_unknown", "ledger_accounts"),
    "MUT_106": ("rejected", "eboekhouden.row_ledger_category", "ledger_accounts"),
    "MUT_012": ("rejected", "eboekhouden.relation_refused", None),
    "MUT_013": ("rejected", "eboekhouden.relation_refused", None),
}
_KNOWN = (
    *("MUT_001", "MUT_002", "MUT_003", "MUT_016", "MUT_017", "MUT_018", "MUT_100", "MUT_112", "MUT_113", "MUT_115"),
    *("MUT_120", "MUTA_005", "MUTA_008", "DATA_01", "PAGE_001", "PAGE_002"),
)
_FIRST_ERROR = 400


def refusal(answer: Answer) -> Refusal | None:
    """The words of a refusal and what it means; None where the status alone says it."""
    if answer.status < _FIRST_ERROR or answer.status == 401 or not isinstance(answer.body, Mapping):
        return None
    code = text(answer.body.get("code")).upper()
    said = words(answer.body)
    if code in _CODES:
        kind, key, field = _CODES[code]
        return Refusal(said, kind, key, field)
    if answer.status == 403:
        return Refusal(said, "config", "eboekhouden.no_rights")
    if answer.status in (404, 410):
        return Refusal(said, key="eboekhouden.not_found")
    known = code in _KNOWN or code.startswith("REL_")
    return Refusal(said, key="eboekhouden.refused_by_rule" if known else UNEXPLAINED)


def words(body: object) -> str:
    """What the package said, with its code and trace id, for humans and for its help desk."""
    facts = part(body)
    said = [text(facts.get("title")), text(facts.get("message"))]
    listed = facts.get("errors")
    for name, found in listed.items() if isinstance(listed, Mapping) else ():
        said += [f"{name}: {text(one)}" for one in (found if isinstance(found, list) else [found]) if text(one)]
    marks = [text(facts.get(name)) for name in ("code", "propertyName", "traceId")]
    told = "; ".join(dict.fromkeys(one for one in said if one))
    return f"{told} ({', '.join(one for one in marks if one)})".strip().removesuffix(" ()")[:1000]
