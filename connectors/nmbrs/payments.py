"""Nmbrs' own payment file of a run, for whoever pays it (dossier 6: REST only, a file by task)."""

from datetime import date

from connectors.nmbrs import journals, rest
from connectors.nmbrs.account import named, transport
from connectors.nmbrs.transport import Company, Run
from hub.sdk.connector import File
from hub.sdk.errors import TransientError
from hub.sdk.http import Http


async def payment_file(http: Http, source_id: str, paid_on: date | None = None) -> File | None:
    """The payment file of the run that a journal's source id names; None when there is none, or over SOAP.

    It names employees and their accounts: fetched when it is paid and not kept here. Raises TransientError while
    Nmbrs is still making it.
    """
    if http.way == "key":
        return None
    company, run = await _found(http, source_id)
    if company is None or run is None:
        return None
    path = f"/api/companies/{company.id}/runs/{run.id}/sepa"
    query: dict[str, str | int] = {"year": run.year}
    if paid_on is not None:
        query["paymentDate"] = paid_on.isoformat()
    task = await rest.task(http, path, query)
    async for _, made in rest.files(http, [task]):
        if not isinstance(made, bytes):
            raise made
        name = f"{source_id.replace('/', '-').replace(':', '_')}.xml"
        return File(name, made, "application/xml") if made.strip() else None
    raise TransientError("nmbrs.not_ready")


async def _found(http: Http, source_id: str) -> tuple[Company | None, Run | None]:
    value, _, rest_of_it = source_id.partition(":")
    company = (await named(http, [value])).get(value)
    if company is None:
        return None, None
    listed = await transport(http).runs(http, company.id, int(rest_of_it.partition(":")[0]))
    plain = source_id.partition(":t")[0]
    return company, next((run for key, run in journals.in_order(listed, value) if key == plain), None)
