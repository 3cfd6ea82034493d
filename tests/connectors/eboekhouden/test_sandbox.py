"""The sandbox says no where the dossier says that e-Boekhouden.nl does."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from connectors.eboekhouden.sandbox import DEMO_TOKEN, EboekhoudenSandbox
from hub.kit import json
from hub.sdk.http import new_client
from tests.connectors.support import InProcess


class Caller:
    """Calls the sandbox as any client would."""

    def __init__(self, client: Any, box: EboekhoudenSandbox) -> None:
        self.client, self.box = client, box
        self.header = box.open() if box.books["administrations"] else ""

    async def __call__(self, method: str, path: str, body: object = None, **params: str) -> tuple[int, Any]:
        content = json.dumps(body).encode() if body is not None else None
        answer = await self.client.request(
            method,
            f"http://sandbox{path}",
            content=content,
            params=params,
            headers={"Authorization": self.header, "Content-Type": "application/json"},
        )
        return answer.status_code, json.loads(answer.content) if answer.content else None


@pytest.fixture
async def call(box: EboekhoudenSandbox) -> AsyncIterator[Caller]:
    client = new_client(InProcess(app=box.app))
    yield Caller(client, box)
    await client.aclose()


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "API_SESSION_001"),
        ({"source": "Loon-Sync", "accessToken": DEMO_TOKEN}, 400, "API_SESSION_002"),
        ({"source": "LangerDan10", "accessToken": DEMO_TOKEN}, 400, "API_SESSION_002"),
        ({"source": "Combihub"}, 400, "API_SESSION_003"),
        ({"source": "Combihub", "accessToken": "wrong"}, 401, "SECURITY_010"),
    ],
)
async def test_a_session_needs_a_source_and_a_token(call: Caller, body: dict[str, str], status: int, code: str) -> None:
    told = await call("POST", "/v1/session", body)
    assert (told[0], told[1]["code"]) == (status, code)


async def test_sessions_and_tokens_end(box: EboekhoudenSandbox, call: Caller) -> None:
    now = 1_000_000.0
    box.now = lambda: now
    opening = {"source": "Combihub", "accessToken": DEMO_TOKEN}
    _, first = await call("POST", "/v1/session", opening)
    assert first["expiresIn"] == 3600
    for call.header in (first["token"], f"Bearer {first['token']}"):
        assert (await call("GET", "/v1/ledger"))[0] == 200
    now += 3601
    assert (await call("GET", "/v1/ledger"))[0] == 401
    _, second = await call("POST", "/v1/session", opening)
    call.header = second["token"]
    assert (await call("DELETE", "/v1/session"))[0] == 204
    assert (await call("GET", "/v1/ledger"))[0] == 401
    box.administration()["tokens"][DEMO_TOKEN]["ends"] = now
    assert (await call("POST", "/v1/session", opening))[1]["code"] == "API_SESSION_004"


async def test_a_new_session_may_end_the_older_ones(box: EboekhoudenSandbox, call: Caller) -> None:
    box.switches["session_alone"] = True
    await call("POST", "/v1/session", {"source": "Combihub", "accessToken": DEMO_TOKEN})
    assert (await call("GET", "/v1/ledger"))[0] == 401


def memorial(box: EboekhoudenSandbox, *amounts: str) -> dict[str, Any]:
    home = box.administration()
    codes = ("4000", "1700", "1710")
    rows = [
        {"ledgerId": box.ledger(home, code), "vatCode": "GEEN", "amount": Decimal(value)}
        for code, value in zip(codes, amounts, strict=False)
    ]
    return {
        "type": 7,
        "date": "2026-03-31",
        "ledgerId": box.ledger(home, "1999"),
        "inExVat": "EX",
        "entryNumber": "hub-1",
        "description": "Loonjournaal 2026-03",
        "rows": rows,
    }


async def test_a_memorial_debits_negative_rows_and_credits_positive_ones(box: EboekhoudenSandbox, call: Caller) -> None:
    status, made = await call("POST", "/v1/mutation", memorial(box, "-1000.00", "700.00", "300.00"))

    assert (status, made) == (201, {"id": 1})
    assert {code: box.balance(code) for code in ("4000", "1700", "1710", "1999")} == {
        "4000": Decimal(1000),
        "1700": Decimal(-700),
        "1710": Decimal(-300),
        "1999": Decimal(0),
    }


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"type": 8}, "MUT_001"),
        ({"date": "31-03-2026"}, "MUT_003"),
        ({"date": "2026-02-30"}, "MUT_003"),
        ({"ledgerId": 0}, "MUTA_001"),
        ({"ledgerId": 1}, "MUT_007"),
        ({"rows": []}, "MUT_100"),
        ({"inExVat": "X"}, "MUT_017"),
        ({"termOfPayment": 14}, "MUT_016"),
        ({"rows": [{"ledgerId": 1, "vatCode": "GEEN", "amount": 1}]}, "MUT_104"),
        ({"type": 2}, "SBX_MAIN_CATEGORY"),
        ({"description": "x" * 51}, "SBX_TOO_LONG"),
        ({"entryNumber": "x" * 51}, "SBX_TOO_LONG"),
        ({"boekstuk": "x"}, "SBX_UNKNOWN_FIELD"),
    ],
    ids=str,
)
async def test_what_is_wrong_is_refused_with_its_code(
    box: EboekhoudenSandbox, call: Caller, change: dict[str, Any], code: str
) -> None:
    status, told = await call("POST", "/v1/mutation", {**memorial(box, "-1.00", "1.00"), **change})

    assert (status, told["code"]) == (400, code)
    assert box.mutations() == []


async def test_more_rows_than_allowed_and_zero_sums_are_switches(box: EboekhoudenSandbox, call: Caller) -> None:
    box.switches["max_rows"] = 1
    assert (await call("POST", "/v1/mutation", memorial(box, "-1.00", "1.00")))[1]["code"] == "SBX_TOO_MANY_ROWS"
    box.switches.update(max_rows=100, zero_sum_refused=True)
    assert (await call("POST", "/v1/mutation", memorial(box, "-1.00", "1.00")))[1]["code"] == "SBX_ZERO_SUM"


async def test_mutations_cannot_be_changed_or_deleted(box: EboekhoudenSandbox, call: Caller) -> None:
    await call("POST", "/v1/mutation", memorial(box, "-1.00", "1.00"))
    for method in ("PATCH", "DELETE"):
        assert (await call(method, "/v1/mutation/1", {"description": "x"}))[0] == 405


async def test_lists_show_no_rows_and_details_no_total(box: EboekhoudenSandbox, call: Caller) -> None:
    await call("POST", "/v1/mutation", memorial(box, "-5.00", "5.00"))
    _, listed = await call("GET", "/v1/mutation", type="7")
    _, detail = await call("GET", "/v1/mutation/1")

    assert set(listed["items"][0]) == {
        "id",
        "type",
        "date",
        "invoiceNumber",
        "ledgerId",
        "amount",
        "entryNumber",
    }
    assert "amount" not in detail
    assert len(detail["rows"]) == 2


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ({"date": "2026-02-28"}, [2]),
        ({"date[gte]": "2026-02-28"}, [2, 3]),
        ({"date[range]": "2026-01-31,2026-02-28"}, [1, 2]),
        ({"id[gt]": "2"}, [3]),
        ({"type[not_eq]": "7"}, []),
        ({"description[like]": "%2026-0?"}, [1, 2, 3]),
        ({"dateFrom": "2026-03-01"}, [1, 2, 3]),
        ({"limit": "1", "offset": "1"}, [2]),
    ],
    ids=str,
)
async def test_filters_are_on_the_key(
    box: EboekhoudenSandbox, call: Caller, filters: dict[str, str], ids: list[int]
) -> None:
    for day in ("2026-01-31", "2026-02-28", "2026-03-31"):
        await call("POST", "/v1/mutation", memorial(box, "-1.00", "1.00") | {"date": day})

    assert [one["id"] for one in (await call("GET", "/v1/mutation", **filters))[1]["items"]] == ids


@pytest.mark.parametrize(
    ("params", "code"),
    [({"limit": "0"}, "PAGE_001"), ({"limit": "2001"}, "PAGE_001"), ({"offset": "-1"}, "PAGE_002")],
)
async def test_pages_have_bounds(call: Caller, params: dict[str, str], code: str) -> None:
    assert (await call("GET", "/v1/ledger", **params))[1]["code"] == code


async def test_only_accountants_may_ask_for_administrations(box: EboekhoudenSandbox, call: Caller) -> None:
    assert (await call("GET", "/v1/administration"))[1]["code"] == "EP_001"
    box.administration()["tokens"][DEMO_TOKEN]["accountant"] = True
    assert (await call("GET", "/v1/administration"))[1]["items"][0]["company"] == "Waterlelie Advies B.V."
    assert (await call("GET", "/v1/ledger"))[1]["code"] == "SECURITY_002"


async def test_too_many_calls_are_answered_with_a_wait(box: EboekhoudenSandbox, call: Caller) -> None:
    box.switches["rate_per_minute"] = 2
    assert [(await call("GET", "/v1/ledger"))[0] for _ in range(3)] == [200, 200, 429]


async def test_the_user_s_hands_are_within_reach(box: EboekhoudenSandbox, call: Caller, relation: str) -> None:
    home = box.administration()
    row = {"ledgerId": box.ledger(home, "8000"), "vatCode": "HOOG_VERK_21", "amount": 100}
    body = memorial(box) | {"type": 2, "ledgerId": box.ledger(home, "1300"), "rows": [row], "invoiceNumber": "F1"}
    body |= {"relationId": int(relation), "termOfPayment": 14}
    assert (await call("POST", "/v1/mutation", body))[0] == 201
    assert (await call("POST", "/_sandbox/hands", {"do": "pay", "mutation": 1}))[0] == 200
    assert (await call("GET", "/v1/mutation/invoice/outstanding", credDeb="D"))[1]["items"] == []
    assert (await call("POST", "/_sandbox/hands", {"do": "delete", "mutation": 1}))[0] == 200
    assert (await call("GET", "/v1/mutation/1"))[0] == 404
    assert (await call("POST", "/_sandbox/hands", {"do": "close", "until": "2026-12-31"}))[0] == 200
    assert (await call("POST", "/v1/mutation", body))[1]["code"] == "MUT_131"


async def test_its_books_can_be_looked_into(box: EboekhoudenSandbox, call: Caller) -> None:
    box.seed()
    status, books = await call("GET", "/_sandbox/books")

    assert status == 200
    assert set(books["administrations"]) == {"waterlelie", "groenevloer"}
