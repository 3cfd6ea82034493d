"""Links that are refused, die, and come back, and an installation that starts from an address."""

import re
from decimal import Decimal
from html import unescape
from typing import Any

import pytest

from tests.acceptance.stage import Scene, Stranger
from tests.acceptance.story import Mood, Story

NUMBER = 40


@pytest.fixture(scope="module")
def story(scene: Scene) -> Story:
    """An installed combi that booked what there was; one of its invoices stood in the books already, typed by hand."""
    story = Story(scene, Mood("links", minox={"life_as_text": True, "paging": "sibling", "also": (49998,)}), NUMBER)
    story.furnish()
    first = next(iter(story.expected))
    made = story.company.invoices[first]
    story.tenant.book_by_hand(story.main, 10001, 20260001, made["date"], "8000", Decimal("560.25"))
    assert story.expected[first][1] == story.main.items[10001, 20260001]["total"]
    story.install()
    story.come_to_rest()
    return story


def test_what_stands_in_the_books_is_adopted(story: Story) -> None:
    """The invoice that somebody typed in is recognised by number, date and total: no second booking."""
    story.check_books()
    (item,) = [one for one in story.me.items(story.combi, q="F2026-0001") if one["amount"] != "120.99"]
    found = story.me.call("GET", f"/items/{item['id']}")
    assert found["booking"]["adopted"]
    assert "F2026-0001" in found["history"][-1]["sentence"]


def test_only_the_main_user_may_link(story: Story) -> None:
    """Another user's refusal is told to the browser, and the link stays pending."""
    made = story.me.call("POST", "/connections", {"connector": "minox"}, 201)
    login = {"klantnummer": str(story.tenant.id), "gebruiker": "PIET", "wachtwoord": "x"}
    page = story.me.consent(made["authorization_url"], login)
    assert "geweigerd" in page.text
    assert story.me.call("GET", f"/connections/{made['id']}")["status"] == "pending"
    assert story.me.browser.get(made["authorization_url"]).status_code in (404, 410)


def test_a_dead_grant_asks_for_consent_and_loses_nothing(story: Story, scene: Scene) -> None:
    """The run says so, the combi asks for a human, another company is refused, and the same one goes on."""
    me, combi = story.me, story.combi
    story.tenant.refresh.clear()
    story.tenant.access.clear()
    story.sent("F2026-0700", next(iter(story.company.organizations)), [("1", "10", "21", "8000")])
    run = me.run(combi)
    assert run["outcome"]["name"] == "consent_needed"
    assert "Minox" in run["reason"]["sentence"]
    assert me.call("GET", f"/combis/{combi}")["status"] == "attention"
    assert me.call("GET", f"/connections/{story.target}")["status"] == "needs_reauth"
    scene.minox.open(41200 + NUMBER + 1, "Heel ander bedrijf")
    for number, status in ((41200 + NUMBER + 1, "needs_reauth"), (story.tenant.id, "active")):
        asked = me.call("POST", f"/connections/{story.target}/reauthorize")
        login = {"klantnummer": str(number), "gebruiker": "MINOX", "wachtwoord": "x"}
        me.consent(asked["authorization_url"], login)
        assert me.call("GET", f"/connections/{story.target}")["status"] == status
    assert me.call("GET", f"/combis/{combi}")["status"] == "active"
    story.come_to_rest()
    story.check_books()


def test_a_closed_period_is_refused_in_the_packages_own_words(story: Story) -> None:
    """The document is parked, the words are shown, and after the period is opened a retry books it."""
    story.main.closed.add((2026, 11))
    story.sent("F2026-0701", next(iter(story.company.organizations)), [("1", "10", "21", "8000")])
    run = story.me.run(story.combi)
    assert run["outcome"]["name"] == "partly"
    (item,) = story.me.items(story.combi, q="F2026-0701")
    found = story.me.call("GET", f"/items/{item['id']}")
    assert found["status"] == "rejected"
    assert "afgesloten" in (found["findings"][0]["words"] or "") + found["findings"][0]["sentence"]
    lines = story.me.all(f"/combis/{story.combi}/log")
    (line,) = [one for one in lines if one["item_id"] == item["id"]]
    assert "afgesloten" in str(line)
    story.main.closed.clear()
    story.me.call("POST", f"/items/{item['id']}/retry")
    story.come_to_rest()
    story.check_books()


def test_an_address_starts_an_installation(scene: Scene) -> None:
    """Somebody unknown follows a partner's link, consents twice, and has an account and a combi."""
    company = scene.simplicate.open("diep")
    tenant = scene.minox.open(42000, "Diep B.V.")
    browser = Stranger(scene.hub, "none")
    place = f"{scene.hub.url}/install/simplicate/minox"
    page = browser.browser.get(f"{place}?email=nieuw@diep.example&partner=kantoor")
    logins: list[tuple[str, dict[str, str], dict[str, str]]] = [
        ("source", {"fields.domain": "https://diep.simplicate.nl/"}, {"email": company.email, "password": "x"}),
        ("target", {}, {"klantnummer": str(tenant.id), "gebruiker": "MINOX", "wachtwoord": "x"}),
    ]
    for side, fields, login in logins:
        page = browser.browser.post(
            place, data={"csrf": _hidden(page.text, "csrf"), "side": side, "auth": "oauth", **fields}
        )
        leave: Any = re.search(r'id="leave" href="([^"]+)"', page.text)
        page = browser.consent(unescape(leave[1]), login)
        assert page.url.path == "/install/simplicate/minox"
    assert company.email in page.text
    assert "Diep B.V." in page.text
    assert "data-combi" in page.text


def _hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]+)"', page)
    assert found is not None, page
    return found[1]
