"""What may be a lost draft of ours without our key, however lists show it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from connectors.eaccounting import drafts
from connectors.eaccounting.alike import alike
from connectors.eaccounting.sandbox import EaccountingSandbox
from hub.sdk.connector import Payload
from hub.sdk.http import Http
from tests.connectors.eaccounting.conftest import key, line, sale

Encode = Callable[..., Payload]
CREDIT = sale(line("Monteur", "-62.00", "-13.02", quantity="-1", unit_price="62.00"))


def a_while_ago(box: EaccountingSandbox) -> datetime:
    return datetime.fromtimestamp(box.now(), UTC) - timedelta(minutes=5)


async def unmarked(http: Http, box: EaccountingSandbox, payload: Payload, *, convert: bool, **facts: Any) -> str:
    """Our own draft with its reference gone, as it is or converted; its id."""
    ref = (await drafts.write(http, payload, key())).ref
    made = box.put("drafts", {**box.company()["drafts"][ref], "OurReference": None, **facts})
    return str(box.convert(ref)["Id"] if convert else made["Id"])


@pytest.mark.parametrize(
    "switches",
    [{}, {"draft_total": "excl"}, {"credit_total": "negative"}, {"dates": "datetime"}, {"lists": "bare"},
     {"page_cap": 1}, {"from_draft": False}, {"order_by": "refused"}],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("convert", [True, False])
@pytest.mark.parametrize("credit", [True, False])
async def test_it_is_seen_however_it_is_shown(
    http: Http, box: EaccountingSandbox, encode: Encode, switches: dict[str, Any], convert: bool, credit: bool
) -> None:
    booking = CREDIT if credit else sale()
    payload = encode(booking)
    box.switches |= switches
    own = await unmarked(http, box, payload, convert=convert)

    [found] = await alike(http, payload, a_while_ago(box))

    assert (found.ref, found.mark, found.number) == (own, "", "")
    assert found.total is not None
    assert abs(found.total) == abs(booking.invoice.total)


@pytest.mark.parametrize(
    "facts",
    [{"TotalAmount": Decimal(1)}, {"Rows": []}, {"CreatedUtc": None}, {"CustomerId": None}, {"CreatedUtc": "gisteren"}],
    ids=str,
)
async def test_what_a_user_changed_or_a_list_leaves_out_does_not_hide_it(
    http: Http, box: EaccountingSandbox, encode: Encode, facts: dict[str, Any]
) -> None:
    own = await unmarked(http, box, encode(), convert=False, **facts)

    assert [one.ref for one in await alike(http, encode(), a_while_ago(box))] == [own]


async def test_what_bears_a_key_is_another_s_or_older_or_unlike_is_not_ours(
    http: Http, box: EaccountingSandbox, encode: Encode
) -> None:
    await drafts.write(http, encode(), key("another"))
    mine = next(iter(box.company()["customers"].values()))
    article = next(iter(box.company()["articles"].values()))
    priced = {"IsTextRow": False, "ArticleId": article["Id"], "Quantity": 1, "UnitPrice": Decimal(5), "Text": "iets",
              "ReversedConstructionServicesVatFree": False}  # fmt: skip
    box.add_draft(mine, priced, OurReference="met de hand")
    await unmarked(http, box, encode(), convert=True, CustomerId=box.add_customer("777", "Een ander")["Id"])
    days_ago = (datetime.fromtimestamp(box.now(), UTC) - timedelta(days=2)).isoformat()
    await unmarked(http, box, encode(), convert=False, CreatedUtc=days_ago)

    assert await alike(http, encode(), a_while_ago(box)) == []


async def test_the_one_of_our_total_comes_first(http: Http, box: EaccountingSandbox, encode: Encode) -> None:
    await unmarked(http, box, encode(), convert=False, TotalAmount=Decimal(1))
    exact = await unmarked(http, box, encode(), convert=True)

    found = await alike(http, encode(), a_while_ago(box))

    assert len(found) == 2
    assert found[0].ref == exact
