"""Before a payroll combi is switched on: the check table, the check, the preview, and one document's posting."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from hub.accounting.chart import Journal, LedgerAccount
from hub.config import Config
from hub.kit.embedded import Services
from tests.engine.payroll import ADMINISTRATION, COMPANY, Payroll, a_payroll

D = Decimal


@pytest.fixture
async def payroll(clean: None, database: object, config: Config, services: Services) -> AsyncIterator[Payroll]:
    """Two runs with an account, a name and a cost centre that the books do not have."""
    async with a_payroll(config, services) as made:
        made.runs.add(
            "1",
            ("4000", "Bruto lonen", "70", "0", "100", "Bediening"),
            ("4300", "Vakantiegeld", "20", "0", "9", "Keuken"),
            ("", "Bonus", "10", "0"),
            ("0170", "Netto lonen", "0", "100"),
            ("4999", "Niets", "0", "0"),
        )
        made.runs.add("2", ("4400", "Pensioen", "5", "0"), ("0170", "Netto lonen", "0", "5"))
        yield made


async def rows(payroll: Payroll, combi: object, table: str) -> list[tuple[str, str, str, str, bool]]:
    """The check table."""
    found = await payroll.engine.suggest(payroll.organisation, combi, table)  # type: ignore[arg-type]
    return [(one.source, one.source_label, one.target, one.origin, one.known) for one in found]


@pytest.mark.parametrize("after_a_run", [False, True])
async def test_every_account_with_what_it_becomes(payroll: Payroll, after_a_run: bool) -> None:
    combi = await payroll.combi(fallback_account="1999")
    await payroll.table(combi, "ledger_accounts", **{"4400": "4401"})
    if after_a_run:
        await payroll.run(combi)
    assert await rows(payroll, combi, "ledger_accounts") == [
        ("0170", "0170 Netto lonen", "0170", "same_code", True),
        ("4000", "4000 Bruto lonen", "4000", "same_code", True),
        ("4300", "4300 Vakantiegeld", "4010", "name", True),
        ("4400", "4400 Pensioen", "4401", "table", False),
        ("Bonus", "Bonus", "1999", "fallback", True),
    ]


async def test_every_cost_centre_with_what_it_becomes(payroll: Payroll) -> None:
    combi = await payroll.combi()
    assert await rows(payroll, combi, "cost_centres") == [
        ("100", "100 Bediening", "100", "same_code", True),
        ("9", "9 Keuken", "200", "name", True),
    ]
    payroll.books.cost_centres = (Journal(id="100", name="Bediening"),)
    payroll.clock.advance(7200)
    assert (await rows(payroll, combi, "cost_centres"))[1] == ("9", "9 Keuken", "", "none", False)


async def test_without_an_administration_nothing_is_known(payroll: Payroll) -> None:
    combi = await payroll.combi(administrations={})
    assert {known for *_, known in await rows(payroll, combi, "ledger_accounts")} == {False}


async def test_the_check_names_all_gaps_of_all_documents_once(payroll: Payroll) -> None:
    combi = await payroll.combi()
    found = await payroll.engine.check(payroll.organisation, combi)
    assert [(one.key, dict(one.values)) for one in found] == [
        ("accounts_unknown", {"accounts": "4300 Vakantiegeld; 4400 Pensioen", "administration": "Loon B.V."}),
        ("lines_without_account", {"lines": "Bonus", "administration": "Loon B.V."}),
        ("cost_centres_unknown", {"cost_centres": "9 Keuken", "administration": "Loon B.V."}),
    ]


async def test_the_check_looks_at_the_settings_first(payroll: Payroll) -> None:
    combi = await payroll.combi(fallback_account="1998", default_cost_centre="300")
    await payroll.table(combi, "cost_centres", **{"9": "900"})
    await payroll.table(combi, "ledger_accounts", **{"4300": "4301", "4400": "4401"})
    found = await payroll.engine.check(payroll.organisation, combi)
    assert [(one.key, one.field) for one in found] == [
        ("fallback_account_unknown", "fallback_account"),
        ("default_cost_centre_unknown", "default_cost_centre"),
        ("accounts_unknown", "ledger_accounts"),
        ("cost_centres_unknown", "cost_centres"),
    ]
    assert found[2].values["accounts"] == "4300 → 4301; 4400 → 4401"


async def test_a_combi_that_has_all_it_needs_checks_out(payroll: Payroll) -> None:
    combi = await payroll.combi(fallback_account="1999", cost_centre_mode="none")
    await payroll.table(combi, "ledger_accounts", **{"4300": "4010", "4400": "4010"})
    assert await payroll.engine.check(payroll.organisation, combi) == []
    shown = await payroll.engine.preview(payroll.organisation, combi)
    assert [(one.action, one.amount, one.administration) for one in shown.documents] == [
        ("create", D(100), ADMINISTRATION),
        ("create", D(5), ADMINISTRATION),
    ]
    assert payroll.books.entries == {}


async def test_the_posting_of_one_document_shows_cost_centres(payroll: Payroll) -> None:
    combi = await payroll.combi(fallback_account="1999")
    await payroll.table(combi, "ledger_accounts", **{"4300": "4010", "4400": "4010"})
    await payroll.table(combi, "cost_centres", **{"9": "200"})
    await payroll.run(combi)
    first, _ = await payroll.items("journals")
    shown = await payroll.engine.preview_of(payroll.organisation, combi, "journals", first.raw or {})
    assert shown is not None
    assert [(one.account, one.name, one.debit, one.credit, one.cost_centre) for one in shown.posting] == [
        ("4000", "Bruto lonen", D(70), D(0), "100"),
        ("4010", "Vakantiegeld", D(20), D(0), "200"),
        ("1999", "Tussenrekening lonen", D(10), D(0), ""),
        ("0170", "Netto lonen", D(0), D(100), ""),
    ]


async def test_live_lists_come_from_the_master_data_where_a_package_has_none(payroll: Payroll) -> None:
    payroll.books.accounts = (LedgerAccount(number="0170", name="Netto"), LedgerAccount(number="9", blocked=True))
    combi = await payroll.combi()
    accounts = await payroll.engine.options(payroll.organisation, combi, "fallback_account")
    assert [(one.value, one.label) for one in accounts.options] == [("0170", "0170 Netto")]
    centres = await payroll.engine.options(payroll.organisation, combi, "default_cost_centre")
    assert [one.value for one in centres.options] == ["100", "200"]


async def test_one_company_and_one_administration_need_no_question(payroll: Payroll) -> None:
    combi = await payroll.combi(administrations={})
    completed = await payroll.engine.complete(payroll.organisation, combi)
    assert completed["administrations"] == {COMPANY: ADMINISTRATION}
