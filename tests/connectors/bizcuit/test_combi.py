"""Salaries of booked payroll journals are offered once, and the books come first."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2 as httpx
import pytest
from lxml import etree
from sqlalchemy import text

from connectors.bizcuit.sandbox import OWNER, BizcuitSandbox
from connectors.nmbrs import rest
from connectors.nmbrs.sandbox import PEOPLE, NmbrsSandbox, payment_file
from hub.combis import portable
from hub.config import Config
from hub.engine import points
from hub.engine.models import Combi, Run
from hub.kit.embedded import Services
from tests.connectors.nmbrs.stage import BASE, Office, an_office

SCHEMA = etree.XMLSchema(etree.parse(Path(__file__).parent / "pain.001.001.09.xsd"))
PAYER = "NL39RABO0300065264"
"""The account that Nmbrs' payment files pay from."""
IBANS = tuple(iban for iban, _ in PEOPLE)


@pytest.fixture
def bizcuit() -> BizcuitSandbox:
    box = BizcuitSandbox()
    box.seed()
    box.add_account(PAYER)
    return box


@pytest.fixture
async def office(
    clean: None,
    database: object,
    config: Config,
    services: Services,
    bizcuit: BizcuitSandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Office]:
    monkeypatch.setattr(rest, "FIRST_WAIT_S", 0.05)
    nmbrs = NmbrsSandbox()
    nmbrs.seed()
    async with an_office(config, services, nmbrs, {"bizcuit": bizcuit}) as made:
        bizcuit.now = lambda: made.clock.now().timestamp()
        yield made


async def side_of(office: Office) -> str:
    """A connection to Bizcuit by consent."""
    made = await office.call("POST", "/connections", {"connector": "bizcuit", "auth": "oauth"}, 201)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(office.app), base_url=BASE) as browser:
        answer = await browser.get(made["authorization_url"])
        for _ in range(10):
            if answer.is_redirect:
                answer = await browser.get(answer.headers["location"])
            elif 'name="consent"' in answer.text:
                answer = await browser.post(str(answer.url), data={"user": OWNER, "password": "x", "consent": "yes"})
            else:
                break
    stands = await office.call("GET", f"/connections/{made['id']}")
    assert stands["status"] == "active", stands
    return str(made["id"])


async def linked(office: Office, side: str | None = None, **settings: Any) -> UUID:
    """An active combi with a third connection from the start."""
    combi = await office.combi_of((await office.by_rest())["id"], **settings)
    await office.call("PATCH", f"/combis/{combi}", {"side_connection_id": side or await side_of(office)})
    return combi


async def salaries(office: Office) -> dict[str, str]:
    """Journal -> status of its salaries."""
    return {one.number: str(one.status) for one in await office.items("salaries")}


async def stored(office: Office) -> str:
    """Every word that our database holds."""
    async with office.hub.database.system() as session:
        tables = await session.execute(text("SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'"))
        rows = [
            str(row)
            for (table,) in tables.all()
            for row in (await session.execute(text(f"SELECT to_jsonb(t) FROM {table} t"))).scalars()
        ]
    return "\n".join(rows)


async def started(office: Office, combi: UUID) -> UUID:
    """A manual run that nobody works on yet."""
    async with office.hub.database.tenant(office.organisation) as session:
        return (await office.engine.start_run(session, await session.get_one(Combi, combi))).id


async def test_booked_journals_are_offered_once_and_their_people_forgotten(
    office: Office, bizcuit: BizcuitSandbox
) -> None:
    combi = await linked(office)
    await office.run(combi)

    assert office.entries() == 4
    offered = bizcuit.proposals()
    assert len(offered) == 4
    assert {one["state"] for one in offered} == {"offered"}
    assert len({one["clientReference"] for one in offered}) == 4
    assert {line["creditorIban"] for one in offered for line in one["lines"]} == set(IBANS)
    net = sum(-amount for account, amount in office.books().items() if account == "2100")
    assert sum(float(one["controlSum"]) for one in offered) == pytest.approx(float(net), abs=0.001)
    assert set((await salaries(office)).values()) == {"booked"}
    known = await stored(office)
    assert not [one for one in (*IBANS, "Voorbeeld") if one in known], "people's data is still there"

    await office.run(combi)
    assert (len(bizcuit.proposals()), office.entries()) == (4, 4)


async def test_linking_bizcuit_later_offers_nothing_of_before(office: Office, bizcuit: BizcuitSandbox) -> None:
    combi = await office.combi_of((await office.by_rest())["id"])
    await office.run(combi)
    office.clock.advance(timedelta(days=1))
    await office.call("PATCH", f"/combis/{combi}", {"side_connection_id": await side_of(office)})

    await office.run(combi)

    assert bizcuit.proposals() == []
    april = [one for one in office.nmbrs.books["runs"].values() if one["year"] == 2026 and one["first"] == 4]
    office.nmbrs.lock(april[0])
    await office.run(combi)
    assert [one["description"] for one in bizcuit.proposals()] == ["Salarissen 2026-04 run 5"]


async def test_a_grant_without_refresh_token_and_lifetime_is_taken(office: Office, bizcuit: BizcuitSandbox) -> None:
    bizcuit.switches |= {"refresh_token": False, "expires_in": None}
    await office.run(await linked(office))
    assert len(bizcuit.proposals()) == 4


async def test_a_lost_answer_offers_nothing_twice(office: Office, bizcuit: BizcuitSandbox) -> None:
    combi = await linked(office)
    bizcuit.fault("lost", method="POST", path="/payment_proposals", times=2)

    await office.run(combi)

    assert len(bizcuit.proposals()) == 4
    assert set((await salaries(office)).values()) == {"booked"}


async def test_an_ended_bank_link_parks_the_salaries_and_not_the_books(office: Office, bizcuit: BizcuitSandbox) -> None:
    account = next(one for one in bizcuit.books["accounts"].values() if one["iban"] == PAYER)
    account["active"] = False
    combi = await linked(office)
    await office.run(combi)

    assert office.entries() == 4
    assert set((await salaries(office)).values()) == {"rejected"}
    finding = (await office.items("salaries"))[0].findings[0]
    assert (finding["key"], finding["values"]["account"]) == ("bizcuit.account_link_inactive", "NL…5264")
    assert (await office.call("GET", f"/combis/{combi}"))["status"] == "active"

    account["active"] = True
    await office.run(combi)
    assert len(bizcuit.proposals()) == 4


async def test_a_dead_grant_at_bizcuit_stops_no_journal(office: Office, bizcuit: BizcuitSandbox) -> None:
    combi = await linked(office)
    bizcuit.tokens.clear()
    bizcuit.refreshes.clear()

    await office.run(combi)

    assert office.entries() == 4
    assert bizcuit.proposals() == []
    shown = await office.call("GET", f"/combis/{combi}")
    assert (shown["status"], shown["side"]["status"]) == ("active", "needs_reauth")
    await office.run(combi)
    assert (await office.call("GET", f"/combis/{combi}"))["status"] == "active"


async def test_a_journal_that_changes_after_the_offer_is_told_and_offered_no_more(
    office: Office, bizcuit: BizcuitSandbox
) -> None:
    combi = await linked(office)
    await office.run(combi)
    changed = next(one for one in office.nmbrs.books["runs"].values() if one["year"] == 2026 and one["first"] == 2)
    office.nmbrs.play("negative", changed)
    office.nmbrs.books["payment_files"][changed["id"]] = payment_file(changed)

    await office.run(combi)

    assert len(bizcuit.proposals()) == 4
    by_status = await salaries(office)
    assert by_status["2026-02 run 2"] == "changed"
    assert sorted(by_status.values()) == ["booked", "booked", "booked", "changed"]
    item = next(one for one in await office.items("salaries") if one.number == "2026-02 run 2")
    assert item.findings[0]["key"] == "journal_changed_after_offer"
    await office.call("POST", f"/items/{item.id}/resolve", {"outcome": "exists", "target_ref": item.target_ref})
    await office.run(combi)
    assert set((await salaries(office)).values()) == {"booked"}, "it is told once"
    assert len(bizcuit.proposals()) == 4


async def test_what_people_do_at_bizcuit_is_told_in_the_log(office: Office, bizcuit: BizcuitSandbox) -> None:
    combi = await linked(office)
    await office.run(combi)
    first = bizcuit.proposals()[0]
    bizcuit.remove_line(first["proposalRef"], first["lines"][1]["endToEndId"])
    bizcuit.approve(first["proposalRef"])
    await office.run(combi)
    bizcuit.authorise(first["proposalRef"])
    await office.run(combi)

    keys = [one["key"] for one in (await office.call("GET", f"/combis/{combi}/log?limit=200"))["data"]]
    assert keys.count("progress.bizcuit.approved") == 1
    assert keys.count("progress.bizcuit.executed") == 1
    assert "salaries.removed" in keys
    calls = bizcuit.calls.total()
    await office.run(combi)
    assert bizcuit.calls.total() - calls == 3, "what is over is asked about no more"


async def test_salaries_that_are_not_the_net_pay_wait_for_a_human(office: Office, bizcuit: BizcuitSandbox) -> None:
    combi = await linked(office, net_pay_account="1700")
    await office.run(combi)

    assert bizcuit.proposals() == []
    items = await office.items("salaries")
    assert {one.findings[0]["key"] for one in items} == {"salaries_differ_from_journal"}
    await office.call("POST", f"/items/{items[0].id}/retry")
    await office.run(combi)
    assert len(bizcuit.proposals()) == 1


async def test_by_file_the_salaries_are_in_a_valid_file_once(office: Office, bizcuit: BizcuitSandbox) -> None:
    fields = {"company": "Waterlelie Advies B.V.", "iban": PAYER}
    made = await office.call("POST", "/connections", {"connector": "bizcuit", "auth": "file", "fields": fields}, 201)
    combi = await linked(office, made["id"])
    await office.run(combi)

    assert not bizcuit.calls
    batches = (await office.call("POST", f"/combis/{combi}/batches", status=201))["data"]
    assert [(one["documents"], one["formats"]) for one in batches] == [(4, ["pain001"])]
    answer = await office.api.get(f"/v1/combis/{combi}/batches/{batches[0]['id']}/pain001")
    SCHEMA.assertValid(etree.fromstring(answer.content))
    assert all(one.encode() in answer.content for one in IBANS)
    assert (await office.call("POST", f"/combis/{combi}/batches", status=201))["data"] == []

    office.clock.advance(timedelta(days=31))
    await office.hub.engine.maintain()
    assert not [one for one in IBANS if one in await stored(office)]
    assert (await office.api.get(f"/v1/combis/{combi}/batches/{batches[0]['id']}/pain001")).status_code == 410


async def test_over_soap_there_is_no_payment_file_and_that_is_said(office: Office, bizcuit: BizcuitSandbox) -> None:
    combi = await office.combi_of((await office.by_soap())["id"])
    await office.call("PATCH", f"/combis/{combi}", {"side_connection_id": await side_of(office)})
    await office.run(combi)

    assert office.entries() == 4
    assert {one.findings[0]["key"] for one in await office.items("salaries")} == {"no_payment_file"}
    assert bizcuit.proposals() == []


async def test_only_a_package_for_salaries_can_be_the_third_connection(office: Office) -> None:
    combi = await office.combi_of((await office.by_rest())["id"])
    wrong = await office.call("PATCH", f"/combis/{combi}", {"side_connection_id": str(office.target)}, 422)
    assert wrong["errors"][0]["code"] == "wrong_connector"
    assert (await office.call("GET", f"/combis/{combi}/options/debtor_iban"))["options"] == []
    side = await side_of(office)
    shown = await office.call("PATCH", f"/combis/{combi}", {"side_connection_id": side})
    assert (shown["side"]["connector"], shown["flows"]) == ("bizcuit", ["journals", "salaries"])
    choices = (await office.call("GET", f"/combis/{combi}/options/debtor_iban"))["options"]
    assert PAYER in [one["value"] for one in choices]
    shown = await office.call("PATCH", f"/combis/{combi}", {"side_connection_id": None})
    assert shown["side"] is None


def february(office: Office) -> dict[str, Any]:
    """Nmbrs' own record of the run of February."""
    return next(one for one in office.nmbrs.books["runs"].values() if one["year"] == 2026 and one["first"] == 2)


async def of_february(office: Office) -> Any:
    """The salaries of February."""
    return next(one for one in await office.items("salaries") if one.number == "2026-02 run 2")


async def test_a_payment_file_that_could_not_be_read_is_fetched_again_when_a_human_asks(
    office: Office, bizcuit: BizcuitSandbox
) -> None:
    combi = await linked(office)
    run = february(office)
    office.nmbrs.books["payment_files"][run["id"]] = "<Document><CdtTrfTxInf/></Document>"
    await office.run(combi)
    assert (await of_february(office)).findings[0]["key"] == "nmbrs.payment_file_unreadable"

    ended = await office.run(combi)
    assert ended.outcome != 5000, ended.reason
    office.nmbrs.books["payment_files"][run["id"]] = payment_file(run)
    await office.call("POST", f"/items/{(await of_february(office)).id}/retry")
    await office.run(combi)

    assert set((await salaries(office)).values()) == {"booked"}
    assert len(bizcuit.proposals()) == 4


async def test_a_payment_file_that_comes_later_is_fetched_when_a_human_asks(
    office: Office, bizcuit: BizcuitSandbox
) -> None:
    combi = await linked(office)
    run = february(office)
    office.nmbrs.books["payment_files"][run["id"]] = ""
    await office.run(combi)
    assert (await of_february(office)).findings[0]["key"] == "no_payment_file"
    assert len(bizcuit.proposals()) == 3

    office.nmbrs.books["payment_files"][run["id"]] = payment_file(run)
    await office.call("POST", f"/items/{(await of_february(office)).id}/retry")
    await office.run(combi)

    assert len(bizcuit.proposals()) == 4


async def test_salaries_that_wait_while_their_journal_changes_are_offered_as_they_are_then(
    office: Office, bizcuit: BizcuitSandbox
) -> None:
    account = next(one for one in bizcuit.books["accounts"].values() if one["iban"] == PAYER)
    account["active"] = False
    combi = await linked(office)
    await office.run(combi)
    assert set((await salaries(office)).values()) == {"rejected"}
    run = february(office)
    office.nmbrs.play("negative", run)
    right = office.nmbrs.books["payment_files"][run["id"]] = payment_file(run)
    account["active"] = True

    await office.run(combi)

    offered = next(one for one in bizcuit.proposals() if one["description"] == "Salarissen 2026-02 run 2")
    assert f"<CtrlSum>{offered['controlSum']}</CtrlSum>" in right
    assert len(bizcuit.proposals()) == 4


async def test_salaries_of_a_journal_that_went_are_not_offered(office: Office, bizcuit: BizcuitSandbox) -> None:
    account = next(one for one in bizcuit.books["accounts"].values() if one["iban"] == PAYER)
    account["active"] = False
    combi = await linked(office)
    await office.run(combi)
    del office.nmbrs.books["runs"][february(office)["id"]]
    account["active"] = True

    await office.run(combi)

    gone = [one for one in await office.items("salaries") if one.status != "booked"]
    assert [one.findings[0]["key"] for one in gone] == ["journal_changed_before_offer"]
    assert len(bizcuit.proposals()) == 3
    await office.call("POST", f"/items/{gone[0].id}/retry")
    await office.run(combi)
    assert len(bizcuit.proposals()) == 3


async def test_what_waits_for_a_human_is_forgotten_though_it_is_tried_every_night(
    office: Office, bizcuit: BizcuitSandbox
) -> None:
    combi = await linked(office, net_pay_account="1700")
    for _ in range(4):
        await office.run(combi)
        office.clock.advance(timedelta(days=8))
    await office.hub.engine.maintain()

    assert not [one for one in IBANS if one in await stored(office)]
    assert {one.findings[0]["key"] for one in await office.items("salaries")} == {"salaries_expired"}
    await office.settings(combi, net_pay_account="2100")
    await office.run(combi)
    assert {one.findings[0]["key"] for one in await office.items("salaries")} == {"salaries_expired"}
    assert bizcuit.proposals() == []


async def test_an_offer_of_unknown_fate_stays_unknown_when_its_people_are_forgotten(
    office: Office, bizcuit: BizcuitSandbox
) -> None:
    combi = await linked(office)
    bizcuit.fault("lost", method="POST", path="/payment_proposals", times=1)
    run = await started(office, combi)
    await office.slice()
    (lost,) = [one.source_id for one in await office.items("salaries") if one.status == "unknown"]
    (delivery,) = [one for one in await office.deliveries("salaries") if one.source_id == lost]
    offered = next(one for one in bizcuit.proposals() if one["controlSum"] == f"{delivery.total:.2f}")
    bizcuit.books["proposals"]["pp-twin"] = {**offered, "proposalRef": "pp-twin"}
    await office.finish(run)
    office.clock.advance(timedelta(days=31))
    await office.hub.engine.maintain()

    assert "unknown" in (await salaries(office)).values()
    assert not [one for one in IBANS if one in await stored(office)]
    del bizcuit.books["proposals"]["pp-twin"]
    await office.run(combi)
    assert set((await salaries(office)).values()) == {"booked"}
    assert len(bizcuit.proposals()) == 4
    assert not [one for one in IBANS if one in await stored(office)]


async def test_salaries_in_no_file_after_thirty_days_are_told_and_keep_no_file_from_being_made(
    office: Office, bizcuit: BizcuitSandbox
) -> None:
    fields = {"company": "Waterlelie Advies B.V.", "iban": PAYER}
    made = await office.call("POST", "/connections", {"connector": "bizcuit", "auth": "file", "fields": fields}, 201)
    combi = await linked(office, made["id"])
    await office.run(combi)
    office.clock.advance(timedelta(days=31))
    await office.hub.engine.maintain()

    shown = await office.call("POST", f"/combis/{combi}/batches", status=201)
    assert shown == {"data": [], "waiting": 0}
    assert {(str(one.status), one.findings[0]["key"]) for one in await office.items("salaries")} == {
        ("ignored", "salaries_expired")
    }


async def test_a_bizcuit_that_does_not_answer_holds_nothing_of_the_books_up(
    office: Office, bizcuit: BizcuitSandbox
) -> None:
    combi = await linked(office)
    bizcuit.fault("error", path="/bank_accounts", times=12)
    run = await started(office, combi)
    await office.slice()

    assert office.entries() == 4
    assert bizcuit.proposals() == []
    async with office.hub.database.tenant(office.organisation) as session:
        halfway = await session.get_one(Run, run)
    assert halfway.finished_at is None
    assert halfway.progress["settle"], "the books wait for Bizcuit"
    assert halfway.progress["follow_up"], "what follows a booking waits for Bizcuit"
    bizcuit.faults.clear()
    await office.finish(run)
    assert len(bizcuit.proposals()) == 4


async def test_one_payment_file_that_is_never_ready_holds_no_other_up(
    office: Office, bizcuit: BizcuitSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest, "PATIENCE_S", 0)
    office.nmbrs.switches["tasks_pending"] = 0
    combi = await linked(office)
    whose, fetch = february(office)["id"], office.nmbrs._document

    def never(task: str) -> Any:
        made = office.nmbrs.books["tasks"].get(task)
        if made is not None and made["content"] == office.nmbrs.books["payment_files"][whose]:
            made["left"] = -1
        return fetch(task)

    monkeypatch.setattr(office.nmbrs, "_document", never)
    await office.run(combi)

    assert office.entries() == 4
    assert len(bizcuit.proposals()) == 3


async def test_reconciliation_counts_no_salaries(office: Office, bizcuit: BizcuitSandbox) -> None:
    combi = await linked(office)
    await office.run(combi)
    shown = await office.call("GET", f"/combis/{combi}/reconciliation?month=2026-02")
    assert {one["flow"] for one in shown["administrations"]} == {"journals"}


async def test_an_exported_combi_brings_its_third_connection(office: Office, bizcuit: BizcuitSandbox) -> None:
    combi = await linked(office)
    file = await portable.exported(office.hub.database, combi)
    assert IBANS[0] not in str(file)
    made = await portable.imported(office.hub.database, office.clock, office.organisation, file)

    row = await office.combi_row(made)
    assert row.side_connection_id == (await office.combi_row(combi)).side_connection_id
    assert row.side_since == office.clock.now(), "what was booked before is not offered"
    other = {**file, "side": {**file["side"], "company": "NL02ABNA0123456789"}}
    with pytest.raises(ValueError, match="connect bizcuit"):
        await portable.imported(office.hub.database, office.clock, office.organisation, other)


async def test_a_combi_that_is_installed_anew_and_a_second_one_offer_nothing_again(
    office: Office, bizcuit: BizcuitSandbox
) -> None:
    side = await side_of(office)
    first = await linked(office, side)
    second = await linked(office, side)
    await office.run(first)
    await office.run(second)
    assert len(bizcuit.proposals()) == 4
    await office.call("PATCH", f"/combis/{first}", {"side_connection_id": None})
    await office.call("PATCH", f"/combis/{first}", {"side_connection_id": side})
    await office.run(first)
    await office.call("DELETE", f"/combis/{first}")
    office.clock.advance(timedelta(days=1))
    await office.run(await linked(office, side))

    assert len(bizcuit.proposals()) == 4
    assert not [one for one in IBANS if one in await stored(office)]


async def test_what_is_shown_of_salaries_names_no_people(office: Office, bizcuit: BizcuitSandbox) -> None:
    combi = await linked(office, net_pay_account="1700")
    await office.run(combi)
    listed = (await office.call("GET", f"/combis/{combi}/items?flow=salaries"))["data"]
    assert len(listed) == 4
    shown = [await office.call("GET", f"/items/{one['id']}") for one in listed]
    shown += [await office.call("POST", f"/combis/{combi}/{what}") for what in ("check", "preview")]
    shown += [await office.call("GET", f"/combis/{combi}/{what}") for what in ("log", "statistics")]
    words = str(shown)
    assert not [one for one in (*IBANS, "Voorbeeld") if one in words]


class Died(BaseException):
    """A worker that is no more."""


@pytest.mark.parametrize("point", points.ALL[:6])
async def test_a_worker_that_dies_while_it_offers_offers_nothing_twice(
    office: Office, bizcuit: BizcuitSandbox, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    combi = await linked(office, flows=["journals"])
    await office.run(combi)
    await office.settings(combi, flows=None)
    run = await started(office, combi)

    def deadly(name: str) -> None:
        if name == point:
            raise Died(point)

    with monkeypatch.context() as mortal:
        mortal.setattr(points, "reach", deadly)
        with pytest.raises(Died):
            await office.slice()
    await office.rows_changed("UPDATE run SET lease_until = clock_timestamp() - interval '1 second'")
    await office.finish(run)

    assert len(bizcuit.proposals()) == 4
    assert set((await salaries(office)).values()) == {"booked"}
    assert not [one for one in IBANS if one in await stored(office)]
