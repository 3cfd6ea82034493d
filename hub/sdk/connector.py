"""The contract of a connector: what a package can read and write, as plain functions in frozen records."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date as Day  # noqa: N812 - `date` is a field's name
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any
from uuid import UUID

from hub.accounting.booking import Booking
from hub.accounting.chart import Master
from hub.accounting.documents import Document, Finding, Ignored, InvoiceLine, SalaryBatch
from hub.sdk.http import Answer, Http, Refusal
from hub.sdk.manifest import Manifest
from hub.sdk.settings import Option, Settings

Raw = Mapping[str, Any]
"""One record as the package sent it (numbers with a point are Decimals)."""
Cursor = Mapping[str, Any]
"""Where reading goes on: JSON of the connector's own making, stored as it is."""
Payload = Mapping[str, Any]
"""What will be sent, as JSON: stored before it is sent and sent as stored."""


@dataclass(frozen=True)
class Identity:
    """Who is connected. `tenant` is the package's stable id of the company: deliveries hang on it for ever."""

    tenant: str
    name: str
    email: str = ""
    user: str = ""
    marks: tuple[str, ...] = ()
    """By what the same customer is recognised when a package offers several ways in that name it differently (its
    companies by number and name, say). A connection that comes in by another way and shares them keeps its tenant."""
    traces: tuple[str, ...] = ()
    """By what two customers are told apart who share all marks, as `place=fact`: of the places that both ways tell of
    they agree on nothing. The same customer agrees on most, by whatever way; a place without facts says nothing."""


@dataclass(frozen=True)
class Since:
    """From where to read: `cursor` of the last committed page (None: never read), `start` the combi's start date."""

    cursor: Cursor | None
    start: Day | None
    companies: tuple[str, ...] = ()
    """The source's companies that have an administration; empty: the customer has not chosen yet, read all."""
    thorough: bool = False
    """A human asks: also look again at what the package shows no change of."""
    today: Day | None = None
    """The hub's day; None: the calendar's."""


@dataclass(frozen=True)
class Whole:
    """A listing known to be complete: among the source ids that start with `prefix`, these exist and no others.

    A booked document of that prefix that is missing from it has vanished at the source. Who misses it asks again after
    `again_after_s` (0: one complete listing is proof) before a human is told.
    """

    prefix: str
    source_ids: frozenset[str]
    again_after_s: float = 0


@dataclass(frozen=True)
class Page:
    """A page of raw records. `cursor`, when given, is committed together with them.

    An unsorted listing gives its cursor with the last page only; a sorted one may give it with every page.
    Windows overlap on purpose: the engine drops what it has seen. A page shares nothing with the ones after it: the
    next one is asked for while this one is stored.
    """

    records: Sequence[Raw]
    cursor: Cursor | None = None
    wholes: tuple[Whole, ...] = ()
    """What this page, with those before it, proves to be all there is."""


@dataclass(frozen=True)
class SourceStream:
    """A kind of document that can be read from a package."""

    document: type[Document]
    read: Callable[[Http, Since, Settings], AsyncIterator[Page]]
    key: Callable[[Raw], str]
    """The stable source id of a raw record. Raises KeyError or ValueError when it has none."""
    map: Callable[[Raw, Settings], Document | Ignored]
    """Pure. Raises `Malformed` with all findings when the record cannot be read."""
    fetch: Callable[[Http, str], Awaitable[Raw | None]] | None = None
    """One record by its source id; None when the package has none such."""
    attachment: Callable[[Http, str], Awaitable["File | None"]] | None = None
    """The printed document that belongs to a source id; None when there is none (yet)."""
    acknowledge: Callable[[Http, Raw, str, Settings], Awaitable[None]] | None = None
    """Tells the package that this record stands in the books, under the given label, where the settings want that.

    Called after the booking was recorded and, until it returns or is refused, again: what was told already is left.
    """


@dataclass(frozen=True)
class File:
    """A document's printed form."""

    name: str
    content: bytes
    media_type: str = "application/pdf"


@dataclass(frozen=True)
class Key:
    """The delivery key: stable identities only. Everything derived from it is the same after any loss of our data."""

    source: str
    """`connector:tenant` of the source."""
    stream: str
    source_id: str
    target: str
    """`connector:administration` of the target."""
    version: int = 1
    """Grows only when a booking was reversed or deleted and is made anew."""

    @cached_property
    def text(self) -> str:
        """The key as stored, without the version."""
        return f"{self.source}/{self.stream}/{self.source_id}>{self.target}"

    @cached_property
    def _digest(self) -> bytes:
        return hashlib.sha256(f"{self.text}#{self.version}".encode()).digest()

    @cached_property
    def uuid(self) -> UUID:
        """A UUID for packages that let the client choose one: formed as version 4, derived from the key."""
        return UUID(bytes=self._digest[:16], version=4)

    @cached_property
    def mark(self) -> str:
        """Twelve hexadecimal digits for packages that only offer a text to search in."""
        return self._digest.hex()[:12]


@dataclass(frozen=True)
class Receipt:
    """What the target says it has. `total` is read back where the answer shows it, with the document's sign."""

    ref: str
    """The target's own id, by which it is found and updated."""
    label: str = ""
    """The same for a human, such as `VERK 20260412`."""
    total: Decimal | None = None
    open_item: str = ""
    """The key under which `Settlements` will speak of it."""
    existed: bool = False
    """True when it stood there already."""
    warnings: tuple[str, ...] = ()
    """The package's own words next to a success: shown, never dropped."""
    fingerprint: str = ""
    """Over what stands in the target, to notice hands that changed it; empty when the package does not show it."""
    filed: bool = False
    """True when nothing was sent: the document waits for the next file, which the customer imports by hand."""


@dataclass(frozen=True)
class Filed:
    """A document in a file: what was to be sent, and under which reference."""

    reference: str
    payload: Payload


@dataclass(frozen=True)
class Batch:
    """The documents of one file, in the order of booking. The same batch makes the same file for ever."""

    number: int
    year: int
    made_on: Day
    company: Mapping[str, str]
    """The connection's fields, as they were when the batch was made."""
    settings: Settings
    """The combi's choices, as they were then."""
    documents: tuple[Filed, ...]


@dataclass(frozen=True)
class Files:
    """How documents that were not sent become files."""

    year: Callable[[Payload], int]
    """The fiscal year of a document: a file holds one."""
    formats: Mapping[str, Callable[[Batch], File]]
    """Pure. By the name under which a format is asked for."""


@dataclass(frozen=True)
class Progress:
    """How far the people at the target have come with what we offered them."""

    state: str
    """The connector's word for it; its sentence is `progress.<connector>.<state>`."""
    over: bool = False
    """True when nothing more will happen to it."""
    removed: tuple[str, ...] = ()
    """References of the orders that were taken out there, or refused by the bank."""


@dataclass(frozen=True)
class Existing:
    """Something that stands in the target already, told by its listing."""

    ref: str
    label: str = ""
    mark: str = ""
    """Our own key on it, when it bears one: `Key.mark` or `str(Key.uuid)`, or what `TargetWriter.marks` says."""
    number: str = ""
    date: Day | None = None
    total: Decimal | None = None
    emails: tuple[str, ...] = ()
    open_item: str = ""


@dataclass(frozen=True)
class TargetWriter:
    """A kind of document that can be written into a package."""

    encode: Callable[[Booking, Master, Settings], Payload]
    """Pure. Raises `RecordRejected` with findings when this document cannot be said in the package's words."""
    find: Callable[[Http, Key, Payload], Awaitable[Receipt | None]]
    """What stands there under our key; None only when it is provably absent. Raises `OutcomeUnknown` when in doubt."""
    write: Callable[[Http, Payload, Key], Awaitable[Receipt]]
    """Creates. The engine calls it at most once per stored intent, unless `find` proved absence since."""
    update: Callable[[Http, Payload, Key, str], Awaitable[Receipt]] | None = None
    """Changes what stands under the given `ref` to the payload; idempotent."""
    alike: Callable[[Http, Payload, datetime], Awaitable[Sequence[Existing]]] | None = None
    """What may be ours without bearing our key, the likeliest first: documents made since a moment that people may have
    rewritten. Asked when `find` finds nothing after an unknown outcome, for packages where a key can be lost."""
    reversal: Callable[[Payload, Receipt, Day], Payload] | None = None
    """Pure. The payload of the opposite of what was booked with this payload and receipt, on a day. It is written and
    found like any other, under a key of its own; afterwards the document is booked anew under the next version."""
    validate: Callable[[Booking, Master, Settings], list[Finding]] = field(default=lambda *_: [])
    """Pure. All that the package would refuse, known before sending."""
    claim: Callable[[Booking, Settings], str | None] = field(default=lambda *_: None)
    """What no two documents of one administration may share: the invoice number as booked, the e-mail address or the
    number by which debtors are told apart. What stands in the target under it is asked about or adopted."""
    marks: Callable[[Key], tuple[str, ...]] = field(default=lambda key: (str(key.uuid), key.mark))
    """How our key may be spelt on an `Existing.mark`."""
    index: Callable[[Http, str, Day | None, Settings], AsyncIterator[Sequence[Existing]]] | None = None
    """All that stands in an administration since a day, in pages: for adoption on a first run."""
    match: Callable[[Http, Booking], Awaitable[Sequence[Existing]]] | None = None
    """The same for one document, asked live."""
    match_is_proof: bool = False
    """True when a document that `match` does not find cannot stand there under our key either: `find` is not asked."""
    account: Callable[[InvoiceLine, Master, Settings], str] | None = None
    """For packages that book by article: the ledger account of a line to which the customer's rules give none; empty
    when only the package itself can tell. None: a line without account is a finding."""
    outdated: Callable[[Booking, Master], bool] | None = None
    """For packages that book by article: whether a booking names one that the master data do not hold. It may have been
    made since they were read, so they are read once more."""
    adopt: Callable[[Http, Payload, Key, Existing], Awaitable[Receipt]] | None = None
    """Makes an existing record ours where the package can store our key; None: it is only remembered."""
    attach: Callable[[Http, Payload, str, File], Awaitable[None]] | None = None
    """Hangs a file on what stands under `ref`; does nothing when one hangs there already."""
    files: Files | None = None
    """For packages that take documents as files too."""
    progress: Callable[[Http, str], Awaitable[Progress | None]] | None = None
    """For what waits for people at the target: how far `ref` has come; None when it cannot be told."""


@dataclass(frozen=True)
class OpenItem:
    """One entry of an open-item listing; amounts with the document's sign. `balance` 0 is positive proof of payment."""

    open_item: str
    total: Decimal
    balance: Decimal
    paid_on: Day | None = None
    reference: str = ""


@dataclass(frozen=True)
class Settled:
    """Positive proof that an item is fully paid. `paid_on` None: the package does not say when."""

    paid_on: Day | None = None
    reference: str = ""


@dataclass(frozen=True)
class StillOpen:
    """The item is not fully paid, or it cannot be told: nothing is concluded."""


@dataclass(frozen=True)
class Gone:
    """The booking itself no longer stands in the target."""


@dataclass(frozen=True)
class Settlements:
    """How a package tells which booked documents were paid."""

    read: Callable[[Http, str, Settings], AsyncIterator[Sequence[OpenItem]]]
    """All open items of an administration, in pages, to the last: absence from it makes `confirm` be asked."""
    confirm: Callable[[Http, str, Receipt], Awaitable[Settled | StillOpen | Gone]]
    """The fate of one booking that is not in the listing."""


@dataclass(frozen=True)
class Note:
    """A message for the source's own timeline."""

    source_id: str
    title: str
    text: str


Options = Callable[[Http, Mapping[str, Any]], Awaitable[Sequence[Option]]]


@dataclass(frozen=True)
class Connector:
    """One package: facts, choices and functions. `CONNECTOR` in the connector's `__init__.py`."""

    manifest: Manifest
    settings: type[Settings]
    identify: Callable[[Http], Awaitable[Identity]]
    """Who is connected; also the connection's test. Raises ReauthRequired or ConfigError."""
    options: Mapping[str, Options] = field(default_factory=dict)
    """Live lists by name. `companies` (sources) and `administrations` (targets) are asked by the engine itself."""
    sources: Mapping[str, SourceStream] = field(default_factory=dict)
    settlements: Mapping[str, Settlements] = field(default_factory=dict)
    targets: Mapping[str, TargetWriter] = field(default_factory=dict)
    master: Callable[[Http, str], Awaitable[Master]] | None = None
    """The master data of one administration. Administration ids are unique within the package, over all its tenants."""
    note: Callable[[Http, Note], Awaitable[None]] | None = None
    salaries: Callable[[Http, Raw, Settings], Awaitable[SalaryBatch | None]] | None = None
    """What the payroll run behind a journal's raw record pays to whom, by the package's own payment file; None when
    there is none for that run. Raises Malformed when the file cannot be read, RecordRejected when it is refused."""
    refusal: Callable[[Answer], Refusal | None] | None = None
    """Reads the package's own error form out of an answer; None: judge by the status code alone."""
