"""What may be ours without bearing our key: people rewrite drafts, and converting one may drop its reference."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from connectors.eaccounting.drafts import PLACES, existing, rows_of, total_as_ours
from connectors.eaccounting.listing import everything, single
from connectors.eaccounting.reading import ident, mark_of, text
from hub.sdk.connector import Existing, Payload, Raw
from hub.sdk.http import Http

CLOCKS = timedelta(hours=1)
"""By so much the vendor's clock may differ from ours."""


async def alike(http: Http, payload: Payload, since: datetime) -> Sequence[Existing]:
    """Drafts and invoices of the customer made since a moment that bear nobody's key, and share the total or the words
    of a row with ours; those of our total first.

    That a converted draft keeps its reference, and that its invoice shows `CreatedFromDraftId`, is inferred (3.3).
    """
    found: dict[str, tuple[bool, list[Existing]]] = {}
    for place in PLACES:
        for row in await everything(http, place):
            own = ident(row.get("Id"))
            if not own or mark_of(row) or not _may_be(row, payload, since):
                continue
            whole = row if rows_of(row) is not None else {**row, **await single(http, f"{place}/{own}")}
            total = total_as_ours(whole, payload)
            same = total is None or abs(total) == abs(payload["total"])
            if same or _shares_words(whole, payload):
                known = ident(row.get("CreatedFromDraftId")) or own
                found[own] = (same, [replace(one, total=total, open_item=known) for one in existing(whole)])
    return [one for _, ones in sorted(found.values(), key=lambda pair: not pair[0]) for one in ones]


def _may_be(row: Raw, payload: Payload, since: datetime) -> bool:
    """The customer's, and not from before; what a list does not show speaks against nothing."""
    customer = ident(row.get("CustomerId"))
    if customer and customer != ident(payload["body"]["CustomerId"]):
        return False
    try:
        made = datetime.fromisoformat(text(row.get("CreatedUtc")))
    except ValueError:
        return True
    return made.replace(tzinfo=made.tzinfo or UTC) >= since - CLOCKS


def _shares_words(row: Raw, payload: Payload) -> bool:
    shown = rows_of(row)
    return shown is None or bool(_words(shown) & _words(rows_of(payload["body"]) or []))


def _words(rows: Sequence[tuple[str, ...]]) -> set[str]:
    return {words for row in rows if (words := " ".join(row[0].lower().split()))}
