"""A FinMaster of our own making: no public interface is known, this is the dossier's proposal (dossier 0, 5).

What a payroll entry needs and nothing more; every choice that another maker could have made is a switch.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hub.sdk.sandbox import Sandbox, json_body, json_response

Record = dict[str, Any]
DEMO_TOKEN = "finmaster_demo_goudenkorst"
CHART: tuple[tuple[str, str, str], ...] = (
    ("0100", "Inventaris", "balans"),
    ("1300", "Debiteuren", "debiteuren"),
    ("15100", "Te betalen nettolonen", "balans"),
    ("15200", "Af te dragen loonheffing", "balans"),
    ("15300", "Af te dragen pensioen", "balans"),
    ("15400", "Reservering vakantiegeld", "balans"),
    ("40", "Personeelskosten", "kop"),
    ("40100", "Brutolonen", "winst-verlies"),
    ("40150", "Vakantiegeld", "winst-verlies"),
    ("40300", "Sociale lasten", "winst-verlies"),
    ("40400", "Pensioenlasten", "winst-verlies"),
)
LOKET_CHART: tuple[tuple[str, str, str], ...] = (
    ("1700", "Af te dragen loonheffing", "balans"),
    ("1710", "Te betalen nettolonen", "balans"),
    ("1720", "Af te dragen pensioen", "balans"),
    ("1730", "Reservering vakantiegeld", "balans"),
    ("4000", "Brutolonen", "winst-verlies"),
    ("4010", "Vakantiegeld", "winst-verlies"),
    ("4050", "Sociale lasten", "winst-verlies"),
    ("4100", "Pensioenlasten", "winst-verlies"),
)
"""The chart of somebody who takes over the accounts of Loket.nl."""


class Refused(Exception):
    """A no: a status with one or more faults."""

    def __init__(self, status: int, *faults: Record) -> None:
        super().__init__(str(status))
        self.status = status
        self.faults = list(faults)


class FinmasterSandbox(Sandbox):
    """Administrations by id. For tests: `add_administration`, `account`, `close`, `entries`, `hand`, `fill`."""

    name = "finmaster"

    def reset(self) -> None:
        """No administration."""
        super().reset()
        self.switches = {
            "lists": "named",  # named | bare | data
            "names": "dutch",  # dutch | english, of the fields of master data
            "answer": "entry",  # entry | voucher | empty | list, of a booking
            "duplicate": "409",  # 409 | 200: a reference that is booked already is answered as booked
            "duplicate_voucher": True,  # whether that 409 names the voucher
            "numbers": "text",  # text | number, of amounts
            "absent": "null",  # null | omit
            "lag_s": 0,  # how long a search misses what was booked
            "lists_entries": True,  # False: without a reference nothing is listed
            "no_entry": 200,  # 404: a reference that is not booked is not found instead of an empty list
            "periods": True,  # False: periods are not listed
            "rate_per_minute": 60_000,
        }
        self.books = {"administrations": {}}

    # --- what tests and the demo use

    def add_administration(
        self, own: str = "GK2026", name: str = "Bakkerij De Gouden Korst B.V.", token: str = DEMO_TOKEN, **facts: Any
    ) -> Record:
        """An administration with a chart, two cost centres, journals and three fiscal years of twelve periods."""
        made: Record = {
            "id": own, "naam": name, "token": token, "accounts": {}, "centres": {}, "journals": {}, "periods": [],
            "entries": {}, "next": 1,
        }  # fmt: skip
        self.books["administrations"][own] = made
        for number, words, kind in facts.pop("chart", CHART):
            self.account(made, number, words, kind)
        for code, words in (("WIN", "Winkel"), ("BAK", "Bakkerij")):
            made["centres"][code] = {"code": code, "omschrijving": words, "actief": True}
        for code, kind in (("10", "Bank"), ("70", "Verkoop"), ("90", "Memoriaal")):
            made["journals"][code] = {"code": code, "omschrijving": kind, "soort": kind}
        for year in facts.pop("years", (2025, 2026, 2027)):
            self.add_year(made, year)
        return made

    def add_year(self, administration: Record, year: int) -> None:
        """A fiscal year of twelve calendar months."""
        for month in range(1, 13):
            first = date(year, month, 1)
            last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
            administration["periods"].append({
                "boekjaar": year, "periode": month, "begin": first.isoformat(), "eind": last.isoformat(),
                "status": "open",
            })  # fmt: skip

    def account(self, administration: Record, number: str, words: str, kind: str = "balans", **facts: Any) -> Record:
        """A ledger account; `kostenplaats` is verplicht, toegestaan or verboden."""
        made = {
            "nummer": number, "omschrijving": words, "soort": kind, "geblokkeerd": False, "kostenplaats": "toegestaan",
            **facts,
        }  # fmt: skip
        administration["accounts"][number] = made
        return made

    def close(self, administration: Record, year: int, period: int = 0) -> None:
        """Closes a period, or the whole year."""
        for one in administration["periods"]:
            if one["boekjaar"] == year and period in (0, one["periode"]):
                one["status"] = "gesloten"

    def entries(self, own: str = "GK2026") -> list[Record]:
        """The memorial entries of an administration, in the order of booking."""
        return list(self.books["administrations"][own]["entries"].values())

    def hand(self, own: str, body: Record) -> Record:
        """A bookkeeper enters something by hand: no reference."""
        return self._book(self.books["administrations"][own], {**body, "referentie": None})

    def balance(self, own: str = "GK2026") -> dict[str, Decimal]:
        """Account -> debit less credit over all entries; zeros left out."""
        found: dict[str, Decimal] = {}
        for entry in self.entries(own):
            for line in entry["regels"]:
                before = found.get(line["rekening"], Decimal(0))
                found[line["rekening"]] = before + Decimal(line["debet"]) - Decimal(line["credit"])
        return {account: amount for account, amount in sorted(found.items()) if amount}

    def fill(self, administrations: int) -> None:
        """Many administrations that take over the accounts of Loket.nl, for measurements."""
        for at in range(administrations):
            token = f"finmaster_token_{at:05d}"
            self.add_administration(f"A{at:05d}", f"Administratie {at + 1}", token, chart=LOKET_CHART)

    def seed(self) -> None:
        """The bakery, with both charts and an entry that was made by hand."""
        home = self.add_administration(chart=(*CHART, *LOKET_CHART))
        self.account(home, "4999", "Oude rekening", "winst-verlies", geblokkeerd=True)
        rows = [("0100", "500.00", "0.00"), ("15100", "0.00", "500.00")]
        lines = [{"regel": at, "rekening": account, "kostenplaats": None, "debet": debit, "credit": credit,
                  "omschrijving": "Beginbalans"} for at, (account, debit, credit) in enumerate(rows, 1)]  # fmt: skip
        self.hand("GK2026", {"dagboek": "90", "boekdatum": "2026-01-01", "boekjaar": 2026, "periode": 1,
                             "omschrijving": "Beginbalans", "regels": lines})  # fmt: skip

    # --- the interface

    def routes(self) -> list[BaseRoute]:
        """The proposal of the dossier."""
        return [Route("/{path:path}", self._api, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])]

    def expired_answer(self) -> Response:
        """The 401."""
        return json_response({"fout": "SLEUTEL_ONGELDIG"}, 401)

    def busy_answer(self, seconds: float) -> Response:
        """The 429."""
        return json_response({"fout": "TE_DRUK"}, 429, {"Retry-After": str(int(seconds))} if seconds else None)

    def error_answer(self) -> Response:
        """A 500."""
        return json_response({"fout": "STORING"}, 500)

    async def _api(self, request: Request) -> Response:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        found = [one for one in self.books["administrations"].values() if one["token"] == token]
        if kind != "Bearer" or not found:
            return self.expired_answer()
        steps = request.path_params["path"].strip("/").split("/")
        if steps == ["administraties"] and request.method == "GET":
            return self._list("administraties", [{"id": one["id"], "naam": one["naam"]} for one in found])
        home = next((one for one in found if len(steps) == 3 and one["id"] == steps[1]), None)
        if home is None or steps[0] != "administraties":
            return json_response({"fout": "ONBEKEND"}, 404)
        try:
            if steps[2] == "memoriaalboekingen" and request.method == "POST":
                return self._posted(home, await json_body(request), request.query_params.get("dryRun") == "true")
            if request.method == "GET":
                return self._read(home, steps[2], request.query_params)
        except Refused as no:
            return json_response({"fouten": no.faults} if len(no.faults) != 1 else _flat(no.faults[0]), no.status)
        return json_response({"fout": "METHODE"}, 405)

    def _read(self, home: Record, what: str, asked: Mapping[str, str]) -> Response:
        match what:
            case "grootboekrekeningen":
                return self._list(what, [self._named(one) for one in home["accounts"].values()])
            case "kostenplaatsen":
                return self._list(what, [self._named(one) for one in home["centres"].values()])
            case "dagboeken":
                return self._list(what, [self._named(one) for one in home["journals"].values()])
            case "perioden":
                return self._list(what, list(home["periods"]) if self.switches["periods"] else [])
            case "memoriaalboekingen":
                return self._list(what, self._entries(home, asked))
            case _:
                raise Refused(404, {"code": "ONBEKEND"})

    def _entries(self, home: Record, asked: Mapping[str, str]) -> list[Record]:
        if "referentie" not in asked and not self.switches["lists_entries"]:
            raise Refused(400, {"code": "REFERENTIE_VERPLICHT"})
        seen = self.now() - float(self.switches["lag_s"])
        found = [one for one in home["entries"].values() if one["at"] <= seen]
        if "referentie" in asked:
            found = [one for one in found if one["referentie"] == asked["referentie"]]
            if not found and self.switches["no_entry"] == 404:
                raise Refused(404, {"code": "ONBEKEND"})
        return [self._shown(one) for one in found if one["boekdatum"] >= asked.get("vanaf", "")]

    def _posted(self, home: Record, body: Any, dry_run: bool) -> Response:
        if not isinstance(body, Mapping):
            raise Refused(400, {"code": "GEEN_JSON"})
        mark = body.get("referentie")
        standing = next((one for one in home["entries"].values() if mark and one["referentie"] == mark), None)
        if standing is not None and not dry_run:
            if self.switches["duplicate"] == "200":
                return json_response(self._shown(standing))
            fault: Record = {"fout": "DUBBELE_REFERENTIE"}
            if self.switches["duplicate_voucher"]:
                fault["boekstuknummer"] = standing["boekstuknummer"]
            return json_response(fault, 409)
        faults = self._faults(home, body)
        if dry_run:
            return json_response({"boekbaar": not faults, "fouten": faults, "waarschuwingen": []})
        if faults:
            raise Refused(422, *faults)
        made = self._book(home, dict(body))
        return self._booked(made)

    def _booked(self, made: Record) -> Response:
        short = {"boekstuknummer": made["boekstuknummer"], "status": "geboekt", "referentie": made["referentie"]}
        match self.switches["answer"]:
            case "voucher":
                return json_response({"boekstuknummer": made["boekstuknummer"]}, 201)
            case "empty":
                return Response("", 201)
            case "list":
                return json_response([short], 201)
            case _:
                return json_response(short, 201)

    def _faults(self, home: Record, body: Mapping[str, Any]) -> list[Record]:
        """Everything that is wrong, at once (dossier 3)."""
        given = body.get("regels")
        lines = given if isinstance(given, list) else []
        faults: list[Record] = []
        journal = home["journals"].get(body.get("dagboek"))
        if journal is None or journal["soort"] != "Memoriaal":
            faults.append({"code": "DAGBOEK_ONJUIST", "dagboek": body.get("dagboek")})
        period = next(
            (one for one in home["periods"] if one["begin"] <= str(body.get("boekdatum")) <= one["eind"]), None
        )
        if period is None:
            faults.append({"code": "PERIODE_ONBEKEND", "boekdatum": body.get("boekdatum")})
        elif period["status"] != "open":
            faults.append({"code": "PERIODE_GESLOTEN", "boekdatum": body.get("boekdatum")})
        elif (body.get("boekjaar"), body.get("periode")) != (period["boekjaar"], period["periode"]):
            faults.append({"code": "PERIODE_ONJUIST", "periode": body.get("periode")})
        total = Decimal(0)
        for line in lines:
            total += self._line(home, line, faults)
        if total or not lines:
            faults.append({"code": "NIET_IN_BALANS", "verschil": str(total)})
        return faults

    def _line(self, home: Record, line: Mapping[str, Any], faults: list[Record]) -> Decimal:
        account = home["accounts"].get(line.get("rekening"))
        centre = line.get("kostenplaats")
        about = {"regel": line.get("regel"), "rekening": line.get("rekening")}
        if account is None:
            faults.append({"code": "REKENING_ONBEKEND", **about})
        elif account["geblokkeerd"] or account["soort"] in ("kop", "debiteuren"):
            faults.append({"code": "REKENING_GEBLOKKEERD", **about})
        elif centre and account["kostenplaats"] == "verboden":
            faults.append({"code": "KOSTENPLAATS_VERBODEN", **about})
        elif not centre and account["kostenplaats"] == "verplicht":
            faults.append({"code": "KOSTENPLAATS_VERPLICHT", **about})
        if centre and not home["centres"].get(centre, {}).get("actief"):
            faults.append({"code": "KOSTENPLAATS_ONBEKEND", "regel": line.get("regel"), "kostenplaats": centre})
        try:
            debit, credit = Decimal(str(line.get("debet"))), Decimal(str(line.get("credit")))
        except InvalidOperation:
            faults.append({"code": "BEDRAG_ONLEESBAAR", **about})
            return Decimal(0)
        if (debit and credit) or min(debit, credit) < 0:
            faults.append({"code": "BEDRAG_ONJUIST", **about})
        return debit - credit

    def _book(self, home: Record, body: Record) -> Record:
        voucher = f"{body['boekjaar']}-{home['next']:04d}"
        home["next"] += 1
        moment = datetime.fromtimestamp(self.now(), UTC).isoformat()
        made = {**body, "boekstuknummer": voucher, "status": "geboekt", "at": self.now(), "geboektOp": moment}
        home["entries"][voucher] = made
        return made

    # --- spelling

    def _shown(self, entry: Record) -> Record:
        shown = {name: one for name, one in entry.items() if name != "at"}
        if self.switches["numbers"] == "number":
            shown["regels"] = [
                {**line, "debet": Decimal(line["debet"]), "credit": Decimal(line["credit"])} for line in entry["regels"]
            ]
        return shown

    def _named(self, record: Record) -> Record:
        if self.switches["names"] == "dutch":
            return record
        words = {"nummer": "number", "omschrijving": "description", "soort": "type", "geblokkeerd": "blocked",
                 "kostenplaats": "costCentre", "actief": "active"}  # fmt: skip
        values = {"verplicht": "required", "verboden": "forbidden", "toegestaan": "allowed"}
        return {words.get(name, name): values.get(one, one) if name == "kostenplaats" else one
                for name, one in record.items()}  # fmt: skip

    def _list(self, name: str, found: list[Record]) -> Response:
        if self.switches["absent"] == "omit":
            found = [_sparse(one) for one in found]
        match self.switches["lists"]:
            case "bare":
                return json_response(found)
            case "data":
                return json_response({"data": found, "totaal": len(found)})
            case _:
                return json_response({name: found})


SANDBOX = FinmasterSandbox


def _sparse(found: Any) -> Any:
    if isinstance(found, Mapping):
        return {name: _sparse(one) for name, one in found.items() if one is not None}
    return [_sparse(one) for one in found] if isinstance(found, list) else found


def _flat(fault: Mapping[str, Any]) -> Record:
    """One fault as the dossier shows it: its code under `fout`."""
    return {"fout": fault["code"], **{name: one for name, one in fault.items() if name != "code"}}
