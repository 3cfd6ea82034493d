"""A server of the interface that the dossier proposes for FinMaster; what it leaves open is a habit."""

import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from tests.acceptance.vendors.house import Vendor, World, answer

ACCOUNTS = {
    "4000": "Brutolonen",
    "4050": "Sociale lasten",
    "01700": "Af te dragen loonheffing",
    "1710": "Te betalen nettolonen",
    "40100": "Lonen en salarissen",
    "40300": "Sociale lasten werkgever",
    "15200": "Loonheffing",
    "15100": "Nettolonen",
}


@dataclass
class Ledger(World):
    """One administration with its key."""

    id: str = ""
    name: str = ""
    token: str = ""
    accounts: dict[str, str] = field(default_factory=lambda: dict(ACCOUNTS))
    blocked: set[str] = field(default_factory=set)
    centres: dict[str, str] = field(default_factory=lambda: {"WIN": "Winkel", "BAK": "Bakkerij"})
    closed: set[int] = field(default_factory=set)
    """Closed months of 2026."""
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    numbers: Any = field(default_factory=lambda: itertools.count(917))

    def balance(self) -> dict[str, Decimal]:
        """Account -> debit less credit; zeros left out."""
        found: dict[str, Decimal] = {}
        for entry in self.entries.values():
            for line in entry["regels"]:
                amount = Decimal(str(line["debet"])) - Decimal(str(line["credit"]))
                found[line["rekening"]] = found.get(line["rekening"], Decimal(0)) + amount
        return {account: amount for account, amount in found.items() if amount}

    def references(self) -> list[str]:
        """Of all entries."""
        return [str(one["referentie"]) for one in self.entries.values()]


class Finmaster(Vendor):
    """All administrations, by their keys."""

    def __init__(self) -> None:
        self.ledgers: dict[str, Ledger] = {}

    def environment(self, url: str) -> dict[str, str]:
        """What tells a hub where this vendor is."""
        return {"HUB_ENDPOINTS__FINMASTER__API": url}

    def open(self, own: str, name: str, **habits: Any) -> Ledger:
        """A new administration."""
        token = f"sleutel-van-{own}-0123456789"
        self.ledgers[token] = Ledger(habits, id=own, name=name, token=token)
        return self.ledgers[token]

    def world_of(self, request: Request) -> Ledger | None:
        """By the key."""
        return self.ledgers.get(request.headers.get("authorization", "").removeprefix("Bearer "))

    async def handle(self, request: Request) -> Response:
        """Master data, and entries."""
        ledger = self.world_of(request)
        if ledger is None:
            return answer({"melding": "Sleutel onbekend"}, 401)
        steps = request.url.path.strip("/").split("/")
        if steps == ["administraties"]:
            return self._list(ledger, "administraties", [{"id": ledger.id, "naam": ledger.name}])
        if len(steps) != 3 or steps[:2] != ["administraties", ledger.id]:
            return answer({"melding": "Niet gevonden"}, 404)
        if steps[2] == "memoriaalboekingen":
            if request.method == "POST":
                return self._post(ledger, await request.json(), request.query_params.get("dryRun") == "true")
            return self._search(ledger, request.query_params)
        found = self._master(ledger, steps[2])
        return answer({"melding": "Niet gevonden"}, 404) if found is None else self._list(ledger, steps[2], found)

    def _master(self, ledger: Ledger, what: str) -> list[dict[str, Any]] | None:
        words = "naam" if ledger.habit("names") else "omschrijving"
        number = "rekeningnummer" if ledger.habit("names") else "nummer"
        match what:
            case "grootboekrekeningen":
                return [
                    {number: own, words: name, "soort": "balans", "geblokkeerd": own in ledger.blocked}
                    for own, name in ledger.accounts.items()
                ]
            case "kostenplaatsen":
                return [{"code": own, words: name} for own, name in ledger.centres.items()]
            case "dagboeken":
                kinds = {"10": "bank", "90": "memoriaal"}
                return [{"code": own, words: kind.title(), "soort": kind} for own, kind in kinds.items()]
            case "perioden":
                return [self._month(ledger, month) for month in range(1, 13)]
            case _:
                return None

    def _month(self, ledger: Ledger, month: int) -> dict[str, Any]:
        last = {2: 28, 4: 30, 6: 30, 9: 30, 11: 30}.get(month, 31)
        span = {"begindatum": f"2026-{month:02}-01", "einddatum": f"2026-{month:02}-{last}"}
        closed = month in ledger.closed
        told: dict[str, Any] = (
            {"afgesloten": closed} if ledger.habit("names") else {"status": "gesloten" if closed else "open"}
        )
        return {"boekjaar": 2026, "nummer": month, **span, **told}

    def _search(self, ledger: Ledger, asked: Mapping[str, str]) -> Response:
        wanted = asked.get("referentie")
        if wanted is None and ledger.habit("reference_needed"):
            return answer({"melding": "referentie ontbreekt"}, 400)
        seen = time.monotonic() - float(ledger.habit("lag", 0))
        found = [one for one in ledger.entries.values() if one["_at"] <= seen]
        if wanted and not ledger.habit("ignores_reference"):
            found = [one for one in found if one["referentie"] == wanted]
        return self._list(ledger, "memoriaalboekingen", [self._shown(ledger, one) for one in found])

    def _shown(self, ledger: Ledger, entry: dict[str, Any]) -> dict[str, Any]:
        shown = {name: one for name, one in entry.items() if not name.startswith("_")}
        if ledger.habit("numbers"):
            lines = entry["regels"]
            shown["regels"] = [
                {**one, "debet": Decimal(one["debet"]), "credit": Decimal(one["credit"])} for one in lines
            ]
        if ledger.habit("no_lines"):
            del shown["regels"]
        return shown

    def _post(self, ledger: Ledger, body: dict[str, Any], dry_run: bool) -> Response:
        standing = next((one for one in ledger.entries.values() if one["referentie"] == body.get("referentie")), None)
        if standing is not None and not dry_run:
            told = {} if ledger.habit("bare_409") else {"boekstuknummer": standing["boekstuknummer"]}
            return answer({"fout": "DUBBELE_REFERENTIE", **told}, 409)
        faults = self._faults(ledger, body)
        if faults or dry_run:
            return answer({"boekbaar": not faults, "fouten": faults, "waarschuwingen": []}, 422 if faults else 200)
        voucher = f"2026-{next(ledger.numbers):04}"
        entry = {**body, "boekstuknummer": voucher, "status": ledger.habit("status", "geboekt")}
        ledger.entries[voucher] = {**entry, "_at": time.monotonic()}
        match ledger.habit("answers"):
            case "empty":
                return answer(..., 201)
            case "whole":
                return answer(self._shown(ledger, entry))
            case "list":
                return answer([{"boekstuknummer": voucher}], 201)
            case _:
                short = {"boekstuknummer": voucher, "status": "geboekt", "referentie": body["referentie"]}
                return answer(short, 201)

    def _faults(self, ledger: Ledger, body: dict[str, Any]) -> list[dict[str, Any]]:
        lines = body.get("regels") or []
        faults = [
            {"code": "REKENING_ONBEKEND", "rekening": one["rekening"]}
            for one in lines
            if one["rekening"] not in ledger.accounts or one["rekening"] in ledger.blocked
        ]
        faults += [
            {"code": "KOSTENPLAATS_ONBEKEND", "kostenplaats": one["kostenplaats"]}
            for one in lines
            if one.get("kostenplaats") and one["kostenplaats"] not in ledger.centres
        ]
        if int(body["boekdatum"][5:7]) in ledger.closed or not body["boekdatum"].startswith("2026"):
            faults.append({"code": "PERIODE_GESLOTEN", "boekdatum": body["boekdatum"]})
        sides = [Decimal(str(one["debet"])) - Decimal(str(one["credit"])) for one in lines]
        if not lines or sum(sides, Decimal(0)):
            faults.append({"code": "NIET_IN_BALANS"})
        if body.get("dagboek") != "90":
            faults.append({"code": "DAGBOEK", "dagboek": body.get("dagboek")})
        return faults

    def _list(self, ledger: Ledger, name: str, found: list[dict[str, Any]]) -> Response:
        match ledger.habit("lists"):
            case "bare":
                return answer(found)
            case "items":
                return answer({"items": found, "aantal": len(found)})
            case "single" if len(found) == 1:
                return answer({name: found[0]})
            case _:
                return answer({name: found})
