"""One office, from the first call to a new installation, with nothing but what api.md tells."""

import csv
import io
import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from tests.acceptance.stage import Scene
from tests.acceptance.story import Mood, Story

NUMBER = 30


@dataclass
class Office:
    """A linked office whose first run has ended; some of its invoices cannot be booked as they are."""

    story: Story
    you: Any
    run: Any = None
    events: list[tuple[str, Any]] = field(default_factory=list)

    def found(self, number: str, flow: str = "invoices") -> Any:
        """A document by its number, with everything known about it."""
        listed = self.story.me.items(self.story.combi, flow=flow, q=number)
        (one,) = [one for one in listed if one["number"] == number]
        return self.story.me.call("GET", f"/items/{one['id']}")


@pytest.fixture(scope="module")
def office(scene: Scene) -> Office:
    """The office: installed, and synchronised once while somebody watched."""
    story = Story(scene, Mood("office"), NUMBER)
    story.furnish()
    people = list(story.company.organizations)
    story.company.invoice("F2026-0950", "2026-11-12", people[0], [("1", "100", "21", "9999"), ("1", "50", "21", "")])
    story.company.invoice("F2027-0951", "2027-01-04", people[0], [("1", "100", "21", "8000")])
    story.company.invoice("F2026-0952", "2026-11-12", people[2], [("1", "10", "21", "vrij")])
    story.mood.settings = {"default_revenue_account": ""}
    story.install()
    office = Office(story, scene.stranger(1))
    started = story.me.call("POST", f"/combis/{story.combi}/runs", {}, 202)
    with story.me.api.stream("GET", f"/runs/{started['id']}/events", timeout=90) as stream:
        name = ""
        for line in stream.iter_lines():
            name = line[7:] if line.startswith("event: ") else name
            if line.startswith("data: "):
                office.events.append((name, json.loads(line[6:])))
    office.run = story.me.ended(started["id"])
    return office


def test_progress_is_told_until_the_end(office: Office) -> None:
    """Events end with the run as it ended."""
    names = [name for name, _ in office.events]
    assert names[-1] == "finished"
    assert set(names[:-1]) == {"progress"}
    assert office.events[-1][1]["outcome"] == office.run["outcome"]
    assert office.run["outcome"]["name"] == "partly"
    assert office.run["outcome"]["sentence"]
    assert office.run["outcome"]["action"]


def test_all_that_is_wrong_with_a_document_is_said_at_once_in_its_own_words(office: Office) -> None:
    """Two findings on one invoice; what is good is booked meanwhile."""
    office.story.check_books()
    findings = {one["key"]: one for one in office.found("F2026-0950")["findings"]}
    assert set(findings) == {"account_unknown", "no_account"}
    assert "9999 Staat niet in Minox" in findings["account_unknown"]["sentence"]
    assert all(one["field"] == "ledger_accounts" for one in findings.values())
    late = office.found("F2027-0951")["findings"]
    assert "2027" in late[0]["sentence"]
    assert "boekjaar" in late[0]["sentence"]


def test_every_document_ends_somewhere(office: Office) -> None:
    """Nothing is dropped: each invoice of the source is a document with a status, concepts too."""
    listed = {one["source_id"]: one["status"] for one in office.story.me.items(office.story.combi, flow="invoices")}
    assert set(listed) == set(office.story.company.invoices)
    assert sorted(set(listed.values())) == ["booked", "finding", "ignored"]


def test_a_booked_document_tells_where_it_stands(office: Office) -> None:
    """Its administration, its reference and a history that reads as sentences."""
    booked = office.found("F2026-0002")
    assert booked["status"] == "booked"
    assert booked["administration"] == booked["booking"]["target"].partition(":")[2]
    assert booked["target_ref"] in office.story.main.batches
    assert Decimal(booked["amount"]) == Decimal(booked["booking"]["total"]) == Decimal("1900.00")
    assert booked["booking"]["verified"]
    assert "F2026-0002" in booked["history"][-1]["sentence"]


def test_the_log_the_statistics_and_the_reconciliation_agree(office: Office) -> None:
    """As JSON and as CSV."""
    me, combi = office.story.me, office.story.combi
    log = me.all(f"/combis/{combi}/log")
    assert all(one["sentence"] and "_" not in one["sentence"] for one in log), [one["sentence"] for one in log]
    assert len([one for one in log if one["key"] == "item.invoices.write"]) == len(office.story.expected)
    figures = me.call("GET", f"/combis/{combi}/statistics?from=2026-01-01&to=2027-12-31&interval=month")
    groups = [one for period in figures["periods"] for one in period["groups"] if one["flow"] == "invoices"]
    booked = [one for one in groups if one["status"] == "booked"]
    total = sum(total for _, total in office.story.expected.values())
    assert sum(one["documents"] for one in booked) == len(office.story.expected)
    assert sum(Decimal(one["amount"]) for one in booked) == total
    page = me.call("GET", f"/combis/{combi}/reconciliation?month=2026-11")
    assert not page["balanced"]
    assert sum(Decimal(one["present"]["total"]) for one in page["administrations"]) == total
    missing = {one["number"] for place in page["administrations"] for one in place["differences"]}
    assert missing == {"F2026-0950", "F2026-0952"}
    for path in ("log", "statistics?interval=month", "reconciliation?month=2026-11"):
        answer = me.api.get(f"/combis/{combi}/{path}", headers={"Accept": "text/csv"})
        assert answer.headers["content-type"].startswith("text/csv")
        rows = list(csv.DictReader(io.StringIO(answer.text.lstrip("\ufeff"))))
        assert len(rows) > 1
        assert None not in rows[0]


def test_a_mapping_mends_what_it_is_about(office: Office) -> None:
    """The suggestions name the customer's own groups; what is mapped is booked with the next run."""
    me, combi = office.story.me, office.story.combi
    table = me.call("GET", f"/combis/{combi}/mappings/ledger_accounts")
    unknown = [one["source"] for one in table["suggestions"] if one["origin"] == "none"]
    assert sorted(unknown) == ["9999 Staat niet in Minox", "Overige omzet"]
    proposed = {one["source"]: one["target"] for one in table["suggestions"] if one["target"]}
    assert proposed["8010 Omzet boeken"] == "8010"
    me.call(
        "PUT",
        f"/combis/{combi}/mappings/ledger_accounts",
        {"entries": [{"source": one, "target": "8999"} for one in unknown]},
    )
    me.run(combi)
    assert office.found("F2026-0952")["status"] == "booked"
    (line,) = office.story.main.on(20260952)
    assert line["debit"] == Decimal("12.10")
    assert [one["key"] for one in office.found("F2026-0950")["findings"]] == ["no_account"]


def test_a_human_decides_about_what_is_left(office: Office) -> None:
    """Skip, retry and resolve; what makes no sense is refused in words."""
    me = office.story.me
    late, odd = office.found("F2027-0951")["id"], office.found("F2026-0950")["id"]
    assert me.call("POST", f"/items/{late}/skip", {"reason": "volgend jaar"})["status"] == "skipped"
    refused = me.call("POST", f"/items/{late}/skip", {"reason": "nog eens"}, 409)
    assert "_" not in refused["title"] + refused.get("detail", "")
    assert me.call("POST", f"/items/{late}/retry")["status"] == "waiting"
    me.call("POST", f"/items/{late}/skip", {"reason": "volgend jaar"})
    me.call("POST", f"/items/{odd}/resolve", {"outcome": "exists"}, 422)
    batches = office.story.tenant.count("PUT", "batch")
    me.call("PATCH", f"/combis/{office.story.combi}", {"settings": {"default_revenue_account": "8999"}})
    me.call("POST", f"/items/{odd}/retry")
    me.run(office.story.combi)
    assert office.found("F2026-0950")["status"] == "booked"
    assert office.found("F2027-0951")["status"] == "skipped"
    assert office.story.tenant.count("PUT", "batch") == batches + 1


def test_a_changed_invoice_changes_its_booking(office: Office) -> None:
    """Under the same key, and said so; once more changes nothing."""
    story = office.story
    invoice = next(one for one in story.company.invoices.values() if one["invoice_number"] == "F2026-0903")
    invoice["invoice_lines"][0]["price"] = "300.000000"
    invoice |= {name: Decimal(300) for name in ("total_excluding_vat", "total_including_vat", "total_outstanding")}
    invoice["updated_at"] = story.company.now()
    story.expected[invoice["id"]] = (3, Decimal(300))
    story.me.run(story.combi)
    item = office.found("F2026-0903")
    assert item["status"] == "booked"
    assert item["booking"]["total"] == "300.00"
    (line,) = story.main.on(20260903)
    assert line["debit"] == 300


def test_a_repeated_request_is_answered_as_before(office: Office) -> None:
    """`Idempotency-Key` and `If-Match`."""
    me, combi = office.story.me, office.story.combi
    body = {
        "recipe": "simplicate-minox",
        "source_connection_id": office.story.source,
        "target_connection_id": office.story.target,
    }
    first = me.api.post("/combis", json=body, headers={"Idempotency-Key": "een"})
    again = me.api.post("/combis", json=body, headers={"Idempotency-Key": "een"})
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert me.api.post("/combis", json={**body, "name": "x"}, headers={"Idempotency-Key": "een"}).status_code in (
        409,
        422,
    )
    draft = f"/combis/{first.json()['id']}"
    assert me.api.patch(draft, json={"name": "A"}, headers={"If-Match": first.headers["etag"]}).status_code == 200
    assert me.api.patch(draft, json={"name": "B"}, headers={"If-Match": first.headers["etag"]}).status_code == 412
    assert me.api.delete(draft).status_code == 204
    assert me.call("GET", f"/combis/{combi}")["status"] == "active"


def test_wrong_questions_are_answered_with_the_field(office: Office) -> None:
    """problem+json that names what to change."""
    me, story = office.story.me, office.story
    body = {"recipe": "simplicate-minox", "source_connection_id": story.source, "target_connection_id": story.target}
    wrong: list[tuple[str, Any, str]] = [
        ("/connections", {"connector": "exact", "fields": {}}, "connector"),
        ("/connections", {"connector": "simplicate", "fields": {}}, "fields.domain"),
        ("/connections", {"connector": "simplicate", "fields": {"domain": "x/../../y"}}, "fields.domain"),
        ("/combis", {**body, "recipe": "simplicate-exact"}, "recipe"),
        ("/combis", {**body, "source_connection_id": story.target}, "source_connection_id"),
        ("/combis", {**body, "settings": {"jurnal": "VERK"}}, "settings.jurnal"),
        ("/combis", {**body, "settings": {"vat_entry": "bruto"}}, "settings.vat_entry"),
    ]
    for path, asked, field_name in wrong:
        answer = me.api.post(path, json=asked)
        assert answer.status_code == 422, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert field_name in {one["field"] for one in answer.json()["errors"]}, answer.text


def test_a_strangers_ids_do_not_exist(office: Office) -> None:
    """Everything of another organisation is 404."""
    combi, run, item = office.story.combi, office.run["id"], office.found("F2026-0002")["id"]
    reads = [
        "",
        "/items",
        "/runs",
        "/log",
        "/statistics",
        "/reconciliation",
        "/mappings/ledger_accounts",
        "/options/journal",
    ]
    asked = [("GET", f"/combis/{combi}{path}") for path in reads]
    asked += [("GET", f"/runs/{run}"), ("GET", f"/runs/{run}/events"), ("GET", f"/items/{item}")]
    asked += [("GET", f"/connections/{office.story.source}"), ("POST", f"/connections/{office.story.source}/check")]
    asked += [("POST", f"/combis/{combi}/{word}") for word in ("check", "preview", "activate", "pause", "runs")]
    asked += [("POST", f"/items/{item}/{word}") for word in ("retry", "skip")] + [("DELETE", f"/combis/{combi}")]
    answers = {(method, path): office.you.api.request(method, path).status_code for method, path in asked}
    assert set(answers.values()) == {404}, answers
    assert office.you.api.get("/combis").json()["data"] == []


def test_a_proof_run_writes_nothing(office: Office) -> None:
    """By preview, and by a run in preview mode."""
    story = office.story
    number = story.sent("F2026-0960", next(iter(story.company.organizations)), [("1", "100", "21", "8000")])
    calls = story.tenant.count("(PUT|POST|PATCH)", "") + story.company.count("POST", "")
    shown = story.me.call("POST", f"/combis/{story.combi}/preview")
    (document,) = [one for one in shown["documents"] if one["source_id"] == number]
    assert sum(Decimal(one["debit"]) for one in document["posting"]) == Decimal("121.00")
    assert sum(Decimal(one["credit"]) for one in document["posting"]) == Decimal("121.00")
    run = story.me.run(story.combi, mode="preview")
    assert run["result"]
    assert calls == story.tenant.count("(PUT|POST|PATCH)", "") + story.company.count("POST", "")
    story.me.run(story.combi)
    assert office.found("F2026-0960")["status"] == "booked"


def test_a_paused_combi_stays_asleep_and_an_installation_anew_books_nothing_twice(office: Office) -> None:
    """Pause, remove, install again with other connections."""
    story = office.story
    assert story.me.call("POST", f"/combis/{story.combi}/pause")["next_run_at"] is None
    story.me.call("DELETE", f"/combis/{story.combi}", status=204)
    story.me.call("GET", f"/combis/{story.combi}", status=404)
    batches, customers = story.tenant.count("PUT", "batch"), story.tenant.count("POST", "customer")
    story.mood.settings = {}
    story.install()
    run = story.me.run(story.combi)
    assert run["outcome"]["code"] < 3000, run
    again = [call.path.rsplit("/")[-1] for call in story.tenant.calls if call.method == "PUT"][batches:]
    assert not again, [story.main.batches.get(key) for key in again]
    assert customers == story.tenant.count("POST", "customer")
    listed = story.me.items(story.combi, flow="invoices", status="booked")
    assert {one["source_id"] for one in listed} >= set(story.expected)
