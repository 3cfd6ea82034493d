"""Minuba to eAccounting, whatever their undocumented habits are: each approved invoice once, to the cent."""

import re
import time
from concurrent.futures import Future, ThreadPoolExecutor
from decimal import Decimal
from html import unescape
from typing import Any

import pytest

from tests.acceptance.drafts_story import DraftsStory, Mood
from tests.acceptance.stage import Scene, Stranger
from tests.acceptance.vendors.house import Fault

pytestmark = pytest.mark.timeout(600)
FIRST = 70
MOODS = [
    Mood("as documented"),
    Mood(
        "empty answers, lists that lag, references that cannot be searched, bare lists",
        minuba={"envelope": "bare", "omits": True, "ignores": ("state", "parentId", "id"), "no_expiry": True},
        eaccounting={"answers": "empty", "filters": "refused", "lag": 2, "capital_ids": True, "date_times": True},
        settings={"attach_document": True},
    ),
    Mood(
        "texts for numbers, small pages, VAT over the total, negative credits, lower-case states",
        minuba={"text_numbers": True, "upper_states": False, "rotates": True, "date_times": True, "envelope": "data"},
        eaccounting={
            "page": 3, "vat_by": "rate", "credit_totals": "negative", "filters": "ignored", "short_lists": True,
            "rate_as": "fraction", "draft_total": "excl", "no_order": True, "traces": "reference",
        },
    ),
    Mood(
        "converted at once, tokens of fifteen seconds",
        minuba={"life": 15, "refuses": ("state",), "null_when_empty": True, "embeds_nothing": True},
        eaccounting={"no_accounting": True, "life": 15, "answers": "id", "least_pages": 1, "always_400": True},
        settings={"export_as": "invoice"},
    ),
    Mood(
        "bad days",
        minuba={"envelope": "capital", "number_field": "customerNumber"},
        eaccounting={"filters": "broken", "reusable": True, "silent_refresh": True},
        faults=[
            Fault("lost", "POST", "customerinvoicedrafts", 1, 1),
            Fault("500_after", "POST", "customerinvoicedrafts", 1, 2),
            Fault("lost", "POST", "/customers", 1),
            Fault("lost", "POST", "/articles", 1),
            Fault("429", "POST", "customerinvoicedrafts", 1, 3),
            Fault("401", "POST", "customerinvoicedrafts", 1, 3),
            Fault("html", "GET", "customerinvoicedrafts", 1, 2),
            Fault("500", "GET", "/customers", 1),
            Fault("drop", "(GET|POST)", "/v2/", 1, 14),
        ],
        source_faults=[
            Fault("html", "GET", "Invoice", 1),
            Fault("429", "GET", "Client", 1),
            Fault("401", "GET", "", 1, 2),
        ],
    ),
    Mood(
        "bad days for conversions, twelve calls per window",
        eaccounting={"limit": (12, 2), "traces": "draft"},
        settings={"export_as": "invoice"},
        faults=[
            Fault("500", "POST", "/convert", 1),
            Fault("lost", "POST", "/convert", 1, 1),
            Fault("500_after", "POST", "/convert", 1, 1),
        ],
    ),
    Mood(
        "many invoices, many customers, ids that are numbers, no refresh token",
        minuba={"number_ids": True, "no_refresh": True},
        eaccounting={"page": 50},
        invoices=60,
        strangers=1100,
    ),
]  # fmt: skip


def _live(scene: Scene, number: int) -> DraftsStory:
    story = DraftsStory(scene, MOODS[number], FIRST + number)
    story.furnish()
    story.install()
    story.firm.faults, story.account.faults = list(story.mood.faults), list(story.mood.source_faults)
    if story.mood.faults and story.mood.settings.get("export_as") != "invoice":
        story.me.run(story.combi)
        story.a_user_converts()  # between a lost answer and the next run
    items = story.come_to_rest()
    assert {one["status"] for one in items} <= {"booked", "ignored"}, [
        (one, story.me.call("GET", f"/items/{one['id']}")) for one in items if one["status"] == "finding"
    ]
    if story.mood.eaccounting.get("traces") != "draft":
        story.check_books()
    story.a_user_converts()
    story.credit_one()
    story.come_to_rest()
    if story.mood.eaccounting.get("traces") != "draft":
        story.check_books()
    else:
        totals = sorted(
            -one["TotalAmount"] if one["IsCreditInvoice"] else one["TotalAmount"] for one in story.firm.documents()
        )
        assert totals == sorted(story.expected.values())
    if story.mood.settings.get("export_as") == "invoice":
        assert story.firm.customerinvoicedrafts == {}
    if story.mood.settings.get("attach_document"):
        assert len(story.firm.attachments) == len(story.expected)
    assert not [one for one in (*story.firm.faults, *story.account.faults) if one.times], "a bad day that never came"
    written = story.written()
    story.come_to_rest()
    assert story.written() == written, story.firm.calls[-20:]
    return story


@pytest.fixture(scope="module")
def lives(scene: Scene) -> list[Future[DraftsStory]]:
    """All moods at once: their organisations share one hub and one worker."""
    pool = ThreadPoolExecutor(len(MOODS))
    return [pool.submit(_live, scene, number) for number in range(len(MOODS))]


@pytest.mark.parametrize("number", range(len(MOODS)), ids=[mood.name.replace(" ", "_")[:40] for mood in MOODS])
def test_books_come_right(lives: list[Future[DraftsStory]], number: int) -> None:
    """Each approved invoice and credit note, and each customer: once."""
    lives[number].result(timeout=540)


@pytest.mark.parametrize("act", ["convert", "delete"])
def test_what_a_user_does_with_a_lost_draft_books_nothing_twice(scene: Scene, act: str) -> None:
    """Converted, with every trace of us gone: a human says that it stands there. Deleted: it is made once more."""
    habits = {"traces": "none", "filters": "refused", "short_lists": True}
    story = DraftsStory(scene, Mood(act, eaccounting=habits), FIRST + (60 if act == "convert" else 61))
    story.furnish()
    story.install()
    lost = Fault("lost", "POST", "customerinvoicedrafts", 1, 2)
    story.firm.faults = [lost]
    run = story.me.call("POST", f"/combis/{story.combi}/runs", {}, 202)["id"]
    until = time.monotonic() + 120
    while lost.times or len(story.firm.documents()) < len(story.expected):
        assert time.monotonic() < until, "the answer was never lost"
        time.sleep(0.2)
    own = list(story.firm.customerinvoicedrafts)[2]
    number = story.firm.customerinvoicedrafts[own]["OurReference"].partition(" ")[0]
    if act == "convert":
        became = story.firm.convert(own)
        (item,) = [one for one in story.me.items(story.combi) if one["number"] == number]
        while not (asked := _asks(story.me.call("GET", f"/items/{item['id']}"))):
            assert time.monotonic() < until + 240, "nobody is asked"
            time.sleep(1)
        assert len(story.firm.documents()) == len(story.expected)
        assert asked == became["Id"].lower()
        story.me.call("POST", f"/runs/{run}/cancel")
        story.me.call("POST", f"/items/{item['id']}/resolve", {"outcome": "exists", "target_ref": asked})
        became["OurReference"] = number  # For the look into the books.
    else:
        del story.firm.customerinvoicedrafts[own]
    items = story.come_to_rest()
    assert {one["status"] for one in items} <= {"booked", "ignored"}, items
    story.check_books()


def _asks(item: Any) -> str:
    """What a document that is looked up asks a human about."""
    near = [one for one in item["findings"] if one["key"] == "near_miss"] if item["status"] == "unknown" else []
    return str(near[0]["values"]["ref"]) if near else ""


def test_what_eaccounting_requires_is_asked_for_with_a_choice(scene: Scene) -> None:
    """Without postal code and city: a finding, and the choice books the invoice. A name cut short is told."""
    story = DraftsStory(scene, Mood("choices", invoices=2), FIRST + 50)
    story.furnish()
    story.install()
    story.come_to_rest()
    bare = story.account.client("Zonder Plaats B.V.", "10499", home={"postCode": None, "city": None})
    found = story.unbookable(bare)
    assert [one["field"] for one in found["findings"]] == ["missing_address"]
    assert "Zonder Plaats B.V." in found["findings"][0]["sentence"]
    story.expected["20269999"] = Decimal("12.10")
    story.me.call("PATCH", f"/combis/{story.combi}", {"settings": {"missing_address": "placeholder"}})
    story.come_to_rest()
    story.check_books()
    (long,) = [one for one in story.firm.customers.values() if one["CustomerNumber"] == "10483"]
    assert len(long["Name"]) <= 50
    log = story.me.all(f"/combis/{story.combi}/log")
    assert any("Kleinkinderen van Ouderkerk" in str(line) for line in log), [line["sentence"] for line in log]


def test_reverse_charge_needs_both_flags_and_gets_them(scene: Scene) -> None:
    """The customer's card is completed and loses nothing; the row says it too."""
    story = DraftsStory(scene, Mood("reverse charge", invoices=2), FIRST + 51)
    story.furnish()
    story.firm.customer("10485", "Bouwbedrijf Lekstroom B.V.", VatNumber="NL001234567B13", Note="let op")
    story.approved(story.builder, [("Onderaanneming", None, "40", "58", "0", 0)], reverseCharge=True)
    story.install()
    items = story.come_to_rest()
    assert {one["status"] for one in items} <= {"booked", "ignored"}, items
    story.check_books()
    (card,) = [one for one in story.firm.customers.values() if one["CustomerNumber"] == "10485"]
    assert (card["ReverseChargeOnConstructionServices"], card["Note"]) == (True, "let op")


def test_the_package_s_own_link_is_asked_about_and_keeps_nothing_from_working(scene: Scene) -> None:
    """A warning in the check until the customer confirms; activation does not wait for it."""
    story = DraftsStory(scene, Mood("own link", invoices=2), FIRST + 52)
    story.furnish()
    story.install()
    found = story.me.call("POST", f"/combis/{story.combi}/check")
    assert found["ok"]
    assert [one["field"] for one in found["findings"]] == ["own_link_off"]
    assert "twee keer" in found["findings"][0]["sentence"]
    story.me.call("PATCH", f"/combis/{story.combi}", {"settings": {"own_link_off": True}})
    assert story.me.call("POST", f"/combis/{story.combi}/check")["findings"] == []


def test_the_company_is_the_one_that_the_user_chose_and_no_other_takes_its_place(scene: Scene) -> None:
    """Consent anew by another company is refused."""
    story = DraftsStory(scene, Mood("companies", invoices=2), FIRST + 53)
    other = scene.eaccounting.open("iemand-anders", "Heel Ander Bedrijf B.V.")
    story.furnish()
    story.install()
    link = story.me.call("GET", f"/combis/{story.combi}")["target_connection_id"]
    asked = story.me.call("POST", f"/connections/{link}/reauthorize")
    page = story.me.consent(asked["authorization_url"], {"username": other.user, "company": other.name})
    assert page.status_code == 409, page.text
    story.come_to_rest()
    story.check_books()
    assert other.documents() == []


def test_what_a_customer_paid_in_eaccounting_is_paid_in_simplicate(scene: Scene) -> None:
    """A draft is nobody's payment; a converted and paid invoice comes back once, a credited or open one does not."""
    company = scene.simplicate.open("naarvisma")
    firm = scene.eaccounting.open("vismabaas", "Studio Waterlinie B.V.", traces="both", filters="ignored")
    debtor = company.organization("Bakkerij De Gouden Aar B.V.", "info@goudenaar.example")
    made = [
        company.invoice(f"F2026-{at:04}", "2026-11-12", debtor, [("1", f"{at}00", "21", "8000")]) for at in range(1, 5)
    ]
    me = scene.stranger()
    source = me.connect("simplicate", {"domain": company.domain}, {"email": company.email, "password": "x"})
    target = me.connect("eaccounting", {}, {"username": firm.user, "company": firm.name})
    body = {"recipe": "simplicate-eaccounting", "source_connection_id": source, "target_connection_id": target}
    combi = me.call("POST", "/combis", body, 201)["id"]
    live = me.call("GET", f"/combis/{combi}/options/administrations")
    places = {one["value"]: live["options"][0]["value"] for one in live["keys"]}
    me.call("PATCH", f"/combis/{combi}", {"settings": {"administrations": places}})
    me.call("POST", f"/combis/{combi}/activate")
    me.run(combi)
    drafts = {one["OurReference"].partition(" ")[0]: one["Id"] for one in firm.documents()}
    assert sorted(drafts) == [f"F2026-{at:04}" for at in range(1, 5)]
    paid, partly, credited = (firm.convert(drafts[f"F2026-{at:04}"]) for at in (1, 2, 3))
    paid |= {"PaymentStatus": 0, "RemainingAmountInvoiceCurrency": Decimal(0), "PaymentDate": "2026-11-20"}
    paid |= {"RemainingAmount": Decimal(0)}
    partly["RemainingAmountInvoiceCurrency"] = Decimal("1.00")
    credited |= {"PaymentStatus": 0, "RemainingAmountInvoiceCurrency": Decimal(0), "CreditedBy": ["x"]}
    firm.customerinvoices |= {one["Id"]: one for one in (paid, partly, credited)}
    for _ in range(3):
        me.run(combi)
    assert {one: company.paid(one) for one in made if company.paid(one)} == {made[0]: Decimal("121.00")}
    assert len(company.payments) == 1
    assert len(firm.documents()) == 4


def test_an_address_starts_an_installation(scene: Scene) -> None:
    """Somebody follows a link, consents at both by the vendors' own pages (one of them posts its answer)."""
    account = scene.minuba.open("nieuw@installatie.example")
    firm = scene.eaccounting.open("nieuw", "Nieuw Installatie B.V.")
    account.client("Molen en Dijk Vastgoed B.V.", "10482")
    browser = Stranger(scene.hub, "none")
    place = f"{scene.hub.url}/install/minuba/eaccounting"
    page = browser.browser.get(f"{place}?email=nieuw@installatie.example&partner=minuba")
    logins = [("source", {"user": account.user, "password": "x"}), ("target", {"username": firm.user, "company": "x"})]
    for side, login in logins:
        csrf = re.search(r'name="csrf" value="([^"]+)"', page.text)
        assert csrf, page.text
        page = browser.browser.post(place, data={"csrf": csrf[1], "side": side, "auth": "oauth"})
        leave = re.search(r'id="leave" href="([^"]+)"', page.text)
        assert leave, page.text
        page = browser.consent(unescape(leave[1]), login)
        assert page.url.path == "/install/minuba/eaccounting"
        assert page.status_code == 200, page.text
    assert firm.name in page.text
