"""An Acme of our own: one company with a key, its invoices, and the payments that were written."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hub.sdk.sandbox import Sandbox, json_body, json_response

KEY = "acme-sandbox-key-0001"


class AcmeSandbox(Sandbox):
    """Books: `invoices` by id, `payments` by the key they were put under."""

    name = "acme"

    def reset(self) -> None:
        """One company and no documents."""
        super().reset()
        self.switches = {"page_size": 100, "write_answer": "object"}  # object | empty
        self.books = {"company": {"id": "c1", "name": "Acme Voorbeeld B.V."}, "invoices": {}, "payments": {}}

    def seed(self) -> None:
        """Three sent invoices and a concept."""
        for number in range(1, 5):
            self.add_invoice(number, "sent" if number < 4 else "concept")

    def add_invoice(self, number: int, status: str = "sent") -> None:
        """An invoice of 121 euros."""
        self.books["invoices"][str(number)] = {
            "id": number,
            "number": f"2026-{number:04}",
            "status": status,
            "company": "c1",
            "customer": "k1",
            "customer_name": "Bakkerij De Gouden Aar",
            "date": "2026-03-12",
            "net": "100.00",
            "vat": "21.00",
            "total": "121.00",
            "lines": [
                {"description": "Advies", "net": "100.00", "vat": "21.00", "percentage": 21, "group": "8000 Omzet"}
            ],
        }

    def routes(self) -> list[BaseRoute]:
        """Everything under `/api`."""
        return [
            Route("/api/me", self._me),
            Route("/api/invoices", self._invoices),
            Route("/api/invoices/{id}", self._invoice),
            Route("/api/payments/{key}", self._payment, methods=["GET", "PUT"]),
        ]

    @staticmethod
    def _stranger(request: Request) -> bool:
        return request.headers.get("x-api-key") != KEY

    async def _me(self, request: Request) -> Response:
        return self.expired_answer() if self._stranger(request) else json_response(self.books["company"])

    async def _invoices(self, request: Request) -> Response:
        if self._stranger(request):
            return self.expired_answer()
        after = int(request.query_params.get("after") or 0)
        found = [one for one in self.books["invoices"].values() if one["id"] > after]
        return json_response({"items": found[: int(self.switches["page_size"])]})

    async def _invoice(self, request: Request) -> Response:
        if self._stranger(request):
            return self.expired_answer()
        found = self.books["invoices"].get(request.path_params["id"])
        return json_response(found) if found else json_response({"message": "unknown"}, 404)

    async def _payment(self, request: Request) -> Response:
        if self._stranger(request):
            return self.expired_answer()
        own, payments = request.path_params["key"], self.books["payments"]
        if request.method == "PUT":
            body = await json_body(request)
            if not isinstance(body, dict) or set(body) != {"invoice", "date", "amount"}:
                return json_response({"message": "invoice, date and amount are wanted"}, 400)
            payments[own] = {"id": own, **body}
            if self.switches["write_answer"] == "empty":
                return Response("", 204)
        return json_response(payments[own]) if own in payments else json_response({"message": "unknown"}, 404)


SANDBOX = AcmeSandbox
