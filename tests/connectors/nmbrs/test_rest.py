"""REST: pages, errors, files by task, and what happens when a token or a quota ends half-way."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from connectors.nmbrs import account, payments, rest
from connectors.nmbrs.sandbox import SUBSCRIPTION, NmbrsSandbox
from connectors.nmbrs.settings import NmbrsSettings
from connectors.nmbrs.transport import Asked, Run, period_kind
from hub.accounting.booking import SalaryBooking
from hub.accounting.invariants import findings
from hub.sdk.errors import ConfigError, Malformed, ReauthRequired, RecordRejected, TransientError, VendorError
from tests.connectors.nmbrs.conftest import Connect
from tests.connectors.nmbrs.test_journals import raw
from tests.connectors.support import FixedCredentials, NoLimit


async def read(connect: Connect, box: NmbrsSandbox, **facts: Any) -> list[str]:
    """The first characters of every journal of the first company."""
    async with connect("oauth", **facts) as http:
        (company, *_) = await rest.companies(http)
        found = await rest.runs(http, company.id, 2026)
        wanted = [Asked(run, "company") for run in found.runs]
        return [one.xml[:14] if not one.trouble else one.trouble.key
                async for one in rest.contents(http, company.id, wanted)]  # type: ignore[arg-type]  # fmt: skip


@pytest.mark.parametrize("paging", ["full", "empty_text", "none", "bare"])
@pytest.mark.parametrize("size", [0, 2])
async def test_a_listing_is_read_to_its_end_however_it_pages(
    connect: Connect, box: NmbrsSandbox, paging: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if paging in ("none", "bare") and size:
        monkeypatch.setattr(rest, "PAGE_SIZE", size)
    box.switches |= {"paging": paging, "page_size": size}
    async with connect("oauth") as http:
        assert len(await rest.companies(http)) == 4


async def test_a_listing_that_says_more_than_it_gives_is_not_believed(connect: Connect, box: NmbrsSandbox) -> None:
    plain = box._page

    def short(request: Any, rows: Any) -> Any:
        answer = plain(request, rows)
        answer.body = answer.body.replace(b'"totalRecords":4', b'"totalRecords":9')
        answer.headers["content-length"] = str(len(answer.body))
        return answer

    box._page = short  # type: ignore[method-assign]
    async with connect("oauth") as http:
        with pytest.raises(TransientError) as refused:
            await rest.companies(http)
    assert refused.value.key == "nmbrs.listing_short"


async def test_a_consent_for_several_debtors_is_walked_debtor_by_debtor(connect: Connect, box: NmbrsSandbox) -> None:
    box.switches["several_debtors"] = True
    async with connect("oauth") as http:
        assert [one.value for one in await account.companies(http, {})] == ["1", "2", "3", "4"]
        assert (await account.identify(http)).tenant in {one["uuid"] for one in box.books["debtors"].values()}


@pytest.mark.parametrize("names", ["plain", "texts", "absent"])
@pytest.mark.parametrize("envelope", ["plain", "data", "bare"])
@pytest.mark.parametrize("as_200", [False, True])
async def test_journals_come_as_files(
    connect: Connect, box: NmbrsSandbox, names: str, envelope: str, as_200: bool
) -> None:
    box.switches |= {"row_names": names, "task_envelope": envelope, "pending_as_200": as_200, "tasks_pending": 2}
    assert await read(connect, box) == ["<transactions>"] * 5


@pytest.mark.usefixtures("impatient")
async def test_a_task_that_never_finishes_is_left_until_the_next_time(connect: Connect, box: NmbrsSandbox) -> None:
    box.switches["tasks_pending"] = -1
    assert await read(connect, box) == ["nmbrs.not_ready"] * 5
    assert sum("/api/documents/" in call for call in box.calls) == 5


async def test_a_task_that_is_not_known_yet_is_asked_for_again(connect: Connect, box: NmbrsSandbox) -> None:
    plain, seen = box._document, set()

    def late(task: str) -> Any:
        if task not in seen:
            seen.add(task)
            return box._error(__import__("connectors.nmbrs.sandbox", fromlist=["Refused"]).Refused("40401"))
        return plain(task)

    box._document = late  # type: ignore[method-assign]
    assert await read(connect, box) == ["<transactions>"] * 5


ERRORS: dict[str, tuple[type[VendorError], str]] = {
    "40033": (RecordRejected, "refused"),
    "40303": (ConfigError, "no_rights"),
    "40304": (ConfigError, "environment_disabled"),
    "40305": (ConfigError, "no_rights"),
    "40401": (RecordRejected, "refused"),
    "42908": (TransientError, "too_many_calls"),
    "42909": (TransientError, "quota_exceeded"),
}


@pytest.mark.parametrize("code", ERRORS)
async def test_each_error_is_told_apart(connect: Connect, box: NmbrsSandbox, code: str) -> None:
    kind, key = ERRORS[code]
    box.switches["rest_faults"] = {"/companies": code}
    async with connect("oauth") as http:
        with pytest.raises(kind) as refused:
            await account.companies(http, {})
    assert (refused.value.key, refused.value.values.get("code")) == (f"nmbrs.{key}", code)
    if isinstance(refused.value, RecordRejected):  # What is shown is its list of findings.
        assert [one.values["code"] for one in refused.value.findings] == [code]


@pytest.mark.parametrize(
    ("code", "header", "rest_s"),
    [("42908", "7", 7), ("42908", "", 30), ("42909", "3600", 3600), ("42909", "", 24 * 3600)],
)
async def test_a_busy_package_is_left_alone(
    connect: Connect, box: NmbrsSandbox, code: str, header: str, rest_s: float
) -> None:
    box.switches |= {"rest_faults": {"/companies": code}, "retry_after": header}
    async with connect("oauth") as http:
        with pytest.raises(TransientError) as busy:
            await account.companies(http, {})
    assert busy.value.retry_after == rest_s
    assert sum(box.calls.values()) == 1, "not asked again"


async def test_a_quota_that_ends_half_way_stops_the_reading_and_not_one_journal(
    connect: Connect, box: NmbrsSandbox
) -> None:
    box.switches["rest_faults"] = {"/documents/": "42909"}
    with pytest.raises(TransientError) as stopped:
        await read(connect, box)
    assert stopped.value.key == "nmbrs.quota_exceeded"


async def test_a_token_that_expires_half_way_is_renewed(connect: Connect, box: NmbrsSandbox) -> None:
    box.switches["expired_after"] = 4
    stale = {"access_token": box.grant()[0], "subscription_key": SUBSCRIPTION}
    fresh = {"access_token": box.grant()[0], "subscription_key": SUBSCRIPTION}
    assert await read(connect, box, credentials=FixedCredentials(stale, fresh)) == ["<transactions>"] * 5


async def test_a_wrong_subscription_key_is_not_the_customer_s_fault(connect: Connect, box: NmbrsSandbox) -> None:
    wrong = {"access_token": box.grant()[0], "subscription_key": "wrong"}
    async with connect("oauth", credentials=FixedCredentials(wrong, dict(wrong))) as http:
        with pytest.raises(ConfigError) as refused:
            await account.identify(http)
    assert refused.value.key == "nmbrs.subscription_key_refused"


async def test_a_token_that_is_refused_for_good_asks_for_consent(connect: Connect, box: NmbrsSandbox) -> None:
    dead = {"access_token": "x" * 32, "subscription_key": SUBSCRIPTION}
    async with connect("oauth", credentials=FixedCredentials(dead, dict(dead))) as http:
        with pytest.raises(ReauthRequired) as refused:
            await account.identify(http)
    assert refused.value.key == "nmbrs.access_refused"


async def test_a_scope_that_was_not_granted_is_said(connect: Connect, box: NmbrsSandbox) -> None:
    access = box.grant()[0]
    box.tokens[access].data["scope"] = "company.info.read company.payrollsettings.read company.document.read"
    credentials = FixedCredentials({"access_token": access, "subscription_key": SUBSCRIPTION})
    with pytest.raises(ConfigError) as refused:
        await read(connect, box, credentials=credentials)
    assert refused.value.key == "nmbrs.no_rights"


async def test_the_payment_file_of_a_run_is_fetched(connect: Connect, box: NmbrsSandbox) -> None:
    async with connect("oauth") as http:
        found = await payments.payment_file(http, "1:2026:1-3:4")
        assert found is not None
        assert found.name == "1_2026_1-3_4.xml"
        assert b"pain.001.001.03" in found.content
        assert await payments.payment_file(http, "1:2026:9-9:9") is None
        assert await payments.payment_file(http, "77:2026:1-1:1") is None
        box.books["payment_files"].clear()
        assert await payments.payment_file(http, "1:2026:3-3:3:t2") is None
    async with connect("key") as http:
        assert await payments.payment_file(http, "1:2026:3-3:3") is None


async def test_salaries_are_what_the_payment_file_pays(connect: Connect, box: NmbrsSandbox) -> None:
    record = raw(first=1, last=3, number="4")
    async with connect("oauth") as http:
        found = await payments.salaries(http, record, NmbrsSettings())
        later = await payments.salaries(http, {**record, "transaction": 2}, NmbrsSettings())
    assert later is None, "the file is of the run as a whole"
    assert found is not None
    assert (found.source_id, found.number, found.total) == ("1:2026:1-3:4", "2026-01/03 run 4", Decimal("157.50"))
    assert (found.date, found.debtor_iban, found.currency) == (date(2026, 3, 31), "NL39RABO0300065264", "EUR")
    assert [(one.name, one.amount) for one in found.orders] == [
        ("A. Voorbeeld", Decimal("78.75")), ("B. Voorbeeld", Decimal("78.75")),
    ]  # fmt: skip
    booking = SalaryBooking(batch=found, administration="x", date=found.date)
    assert findings(booking) == []
    async with connect("key") as http:
        assert await payments.salaries(http, record, NmbrsSettings()) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<NbOfTxs>2", "<NbOfTxs>3"), ("<IBAN>NL91ABNA0417164300</IBAN>", ""), ("</Document>", ""),
        ("<InstdAmt Ccy=\"EUR\">78.75</InstdAmt>", "<InstdAmt Ccy=\"EUR\">veel</InstdAmt>"),
        ("<?xml version=\"1.0\" encoding=\"utf-8\"?>", "<!DOCTYPE x>"),
        ("<InstdAmt Ccy=\"EUR\">", "<InstdAmt Ccy=\"USD\">"),
    ],
)  # fmt: skip
async def test_a_payment_file_that_does_not_add_up_is_refused(
    connect: Connect, box: NmbrsSandbox, old: str, new: str
) -> None:
    files = box.books["payment_files"]
    assert any(old in text for text in files.values())
    box.books["payment_files"] = {own: text.replace(old, new, 1) for own, text in files.items()}
    async with connect("oauth") as http:
        with pytest.raises(Malformed) as refused:
            await payments.salaries(http, raw(first=1, last=3, number="4"), NmbrsSettings())
    assert [one.key for one in refused.value.findings] == ["nmbrs.payment_file_unreadable"]


@pytest.mark.parametrize(("told", "read"), [("eur", "EUR"), ("euro", None), ("", None)])
async def test_a_currency_that_is_none_makes_a_payment_file_unreadable(
    connect: Connect, box: NmbrsSandbox, told: str, read: str | None
) -> None:
    files = box.books["payment_files"]
    box.books["payment_files"] = {own: text.replace('Ccy="EUR"', f'Ccy="{told}"') for own, text in files.items()}
    async with connect("oauth") as http:
        if read is None:
            with pytest.raises(Malformed):
                await payments.salaries(http, raw(first=1, last=3, number="4"), NmbrsSettings())
        else:
            found = await payments.salaries(http, raw(first=1, last=3, number="4"), NmbrsSettings())
            assert found is not None
            assert found.currency == read


@pytest.mark.usefixtures("impatient")
async def test_a_payment_file_that_is_not_ready_is_no_file(connect: Connect, box: NmbrsSandbox) -> None:
    box.switches["tasks_pending"] = -1
    async with connect("oauth") as http:
        with pytest.raises(TransientError):
            await payments.payment_file(http, "1:2026:3-3:3")


def test_periods_that_cannot_be_are_no_run() -> None:
    for first, last in ((0, 1), (2, 1), (1, 54)):
        with pytest.raises(ValueError, match="periods"):
            Run("1", "1", 2026, first, last)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("2010-5-M", "month"), ("2010-4-4W", "4-weeks"), ("2026-9-W", "week"), ("month", "month"),
        ("4-weeks", "4-weeks"), ("1-week", "week"), ("", ""), ("Year", ""),
    ],
)  # fmt: skip
def test_period_types_are_read_in_every_spelling(said: str, kind: str) -> None:
    assert period_kind(said) == kind


async def test_a_limiter_hears_of_a_busy_package(connect: Connect, box: NmbrsSandbox) -> None:
    limiter = NoLimit()
    box.switches |= {"rest_faults": {"/companies": "42908"}, "retry_after": "12"}
    async with connect("oauth", limiter=limiter) as http:
        with pytest.raises(TransientError):
            await account.companies(http, {})
    assert limiter.pauses == [12]
