"""Payment proposals: what is sent, found again, refused and followed."""

from collections.abc import AsyncIterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from lxml import etree

from connectors.bizcuit import CONNECTOR, pain, proposals
from connectors.bizcuit.sandbox import BizcuitSandbox
from connectors.bizcuit.settings import BizcuitSettings
from hub.accounting import invariants
from hub.accounting.chart import Master
from hub.sdk.connector import Batch, Filed
from hub.sdk.errors import ConfigError, OutcomeUnknown, RecordRejected
from hub.sdk.http import Http
from tests.connectors.bizcuit.batches import ACCOUNT, BY_FILE, BY_OAUTH, MONTH, TYPED, batch, booking, key, order
from tests.connectors.support import connected

WRITER = CONNECTOR.targets["salaries"]
MASTER = Master(administration=ACCOUNT)
CHOSEN = BizcuitSettings()
SCHEMA = etree.XMLSchema(etree.parse(Path(__file__).parent / "pain.001.001.09.xsd"))
"""ISO 20022's own schema, as the package sepaxml 2.7 ships it."""


@pytest.fixture
def box() -> BizcuitSandbox:
    sandbox = BizcuitSandbox()
    sandbox.seed()
    return sandbox


@pytest.fixture
async def http(box: BizcuitSandbox) -> AsyncIterator[Http]:
    secrets = dict(zip(("access_token", "refresh_token"), box.grant(), strict=True))
    async with connected(CONNECTOR, box, "", secrets, way=BY_OAUTH) as client:
        yield client


PAYLOAD = WRITER.encode(booking(), MASTER, CHOSEN)


def test_a_month_is_encoded_as_the_contract_has_it() -> None:
    assert PAYLOAD["body"] == {
        "debtorIban": ACCOUNT,
        "requestedExecutionDate": "2035-02-25",
        "description": "Salarissen februari 2026 Waterlelie Advies B.V.",
        "batchBooking": True,
        "numberOfLines": 2,
        "controlSum": "5134.17",
        "lines": [
            {
                "endToEndId": "L202602-0007",
                "creditorName": "T. Okkema",
                "creditorIban": "NL12VBLD0730088119",
                "amount": "2611.92",
                "remittance": "Salaris februari 2026",
                "purpose": "SALA",
            },
            {
                "endToEndId": "L202602-0012",
                "creditorName": "R. Bensaid",
                "creditorIban": "NL97VBLD0911540027",
                "amount": "2522.25",
                "remittance": "Salaris februari 2026",
                "purpose": "SALA",
            },
        ],
    }


@pytest.mark.parametrize(
    ("words", "kept"),
    [("Zoë Ångström-Ünal", "Zoe Angstrom-Unal"), ("Søren & Co €", "Soren Co"), ("//x", "//x"), ("a\u0000b", "a b")],
)
def test_texts_are_in_the_characters_of_banks(words: str, kept: str) -> None:
    assert proposals.sepa(words, 70) == kept


async def test_a_proposal_is_offered_once_and_found_again(box: BizcuitSandbox, http: Http) -> None:
    assert await WRITER.find(http, key(), PAYLOAD) is None
    receipt = await WRITER.write(http, PAYLOAD, key())
    assert receipt.total == Decimal("5134.17")
    again = await WRITER.find(http, key(), PAYLOAD)
    assert again is not None
    assert again.ref == receipt.ref
    assert (await WRITER.write(http, PAYLOAD, key())).ref == receipt.ref
    assert len(box.proposals()) == 1
    assert box.proposals()[0]["state"] == "offered"


@pytest.mark.parametrize("form", ["list", "bare", "object", "absent"])
async def test_every_form_of_the_search_is_read(box: BizcuitSandbox, http: Http, form: str) -> None:
    box.switches["find"] = form
    assert await WRITER.find(http, key(), PAYLOAD) is None
    receipt = await WRITER.write(http, PAYLOAD, key())
    found = await WRITER.find(http, key(), PAYLOAD)
    assert found is not None
    assert found.ref == receipt.ref
    assert await WRITER.find(http, key("another"), PAYLOAD) is None


async def test_a_lost_answer_is_unknown_and_the_proposal_is_found(box: BizcuitSandbox, http: Http) -> None:
    box.fault("lost", method="POST", path="/payment_proposals")
    with pytest.raises(OutcomeUnknown):
        await WRITER.write(http, PAYLOAD, key())
    assert await WRITER.find(http, key(), PAYLOAD) is not None


async def test_an_offer_that_stands_under_our_reference_with_another_day_is_ours(
    box: BizcuitSandbox, http: Http
) -> None:
    first = await WRITER.write(http, PAYLOAD, key())
    later = {**PAYLOAD, "body": {**PAYLOAD["body"], "requestedExecutionDate": "2035-02-27"}}

    again = await WRITER.write(http, later, key())

    assert (again.ref, again.existed) == (first.ref, True)
    assert len(box.proposals()) == 1


async def test_an_account_whose_link_ended_is_refused_before_anything_is_offered(
    box: BizcuitSandbox, http: Http
) -> None:
    payload = WRITER.encode(booking(debtor_iban="NL45VBLD0680012245"), MASTER, CHOSEN)
    with pytest.raises(RecordRejected, match="account_link_inactive") as refused:
        await WRITER.write(http, payload, key())
    assert refused.value.values["account"] == "NL…2245"
    payload = WRITER.encode(booking(debtor_iban="NL12VBLD0730088119"), MASTER, CHOSEN)
    with pytest.raises(RecordRejected, match="account_unknown"):
        await WRITER.write(http, payload, key())
    assert not box.proposals()
    assert not any(one.startswith("POST /sandbox") for one in box.calls)


async def test_a_bank_without_consent_and_a_missing_interface_are_told_apart(box: BizcuitSandbox, http: Http) -> None:
    box.switches["bank_consent"] = False
    with pytest.raises(RecordRejected, match=r"bizcuit\.consent_missing"):
        await WRITER.write(http, PAYLOAD, key())


async def test_states_are_followed_and_approved_is_not_paid(box: BizcuitSandbox, http: Http) -> None:
    assert WRITER.progress is not None
    ref = (await WRITER.write(http, PAYLOAD, key())).ref
    stands = await WRITER.progress(http, ref)
    assert stands is not None
    assert (stands.state, stands.over) == ("offered", False)
    box.remove_line(ref, "L202602-0012")
    box.approve(ref)
    stands = await WRITER.progress(http, ref)
    assert stands is not None
    assert (stands.state, stands.over, stands.removed) == ("approved", False, ("L202602-0012",))
    box.authorise(ref)
    stands = await WRITER.progress(http, ref)
    assert stands is not None
    assert (stands.state, stands.over) == ("executed", True)
    assert await WRITER.progress(http, "pp-0") is None


async def test_by_file_nothing_is_called_and_the_file_is_valid(box: BizcuitSandbox) -> None:
    async with connected(CONNECTOR, box, "", {}, way=BY_FILE, fields=TYPED) as http:
        assert (await CONNECTOR.identify(http)).tenant == ACCOUNT
        receipt = await WRITER.write(http, PAYLOAD, key())
    assert receipt.filed
    assert not box.calls
    other = WRITER.encode(
        booking(*(order(f"X-{n}", "Çelik", "NL12VBLD0730088119", "0.01") for n in range(150))), MASTER, CHOSEN
    )
    filed = (Filed(receipt.ref, PAYLOAD), Filed("LOON-0123456789ab", other))
    made = pain.document(Batch(7, 2035, date(2035, 2, 23), TYPED, CHOSEN, filed))
    tree = etree.fromstring(made.content)
    SCHEMA.assertValid(tree)
    ns = {"p": pain.NAMESPACE}
    assert tree.findtext(".//p:GrpHdr/p:NbOfTxs", namespaces=ns) == "152"
    assert tree.findtext(".//p:GrpHdr/p:CtrlSum", namespaces=ns) == "5135.67"
    amounts = [Decimal(one.text or "0") for one in tree.iterfind(".//p:InstdAmt", ns)]
    assert sum(amounts) == Decimal("5135.67")
    assert made.content == pain.document(Batch(7, 2035, date(2035, 2, 23), TYPED, CHOSEN, filed)).content


async def test_a_typed_account_that_is_no_iban_is_refused(box: BizcuitSandbox) -> None:
    async with connected(CONNECTOR, box, "", {}, way=BY_FILE, fields={**TYPED, "iban": "NL64VBLD0417000301"}) as http:
        with pytest.raises(ConfigError, match="iban_wrong"):
            await CONNECTOR.identify(http)


def test_the_laws_of_a_batch_name_everything_that_is_wrong() -> None:
    wrong = booking(
        order("A", "X", "NL13VBLD0730088119", "10.00"),
        order("A", "Y", "NL97VBLD0911540027", "0"),
        total=Decimal("10.01"),
        currency="USD",
    )
    keys = [one.key for one in invariants.findings(wrong)]
    assert sorted(keys) == [
        "salaries_not_in_euro", "salaries_total_differs", "salary_amount_wrong", "salary_iban_wrong",
        "salary_reference_twice",
    ]  # fmt: skip
    assert "NL13VBLD0730088119" not in str(invariants.findings(wrong))
    assert not invariants.findings(booking())
    assert [one.key for one in invariants.findings(booking(*MONTH, total=Decimal("5134.17"), orders=()))] == [
        "salaries_empty", "salaries_total_differs",
    ]  # fmt: skip


def test_a_batch_without_account_to_pay_from_is_a_finding() -> None:
    assert [one.key for one in WRITER.validate(booking(debtor_iban=""), MASTER, CHOSEN)] == ["bizcuit.account_missing"]
    assert not WRITER.validate(booking(debtor_iban=""), MASTER, BizcuitSettings(debtor_iban=ACCOUNT))
    assert batch().fingerprint() != batch(total=Decimal("1")).fingerprint()
