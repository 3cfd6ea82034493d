"""What one connection was told in this run: articles and customers are listed once, not asked one by one."""

import asyncio
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from hub.sdk.connector import Raw
from hub.sdk.http import Http


@dataclass
class Memory:
    """Lives as long as the connection's client. Hits are used, absence is always proven by asking again."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    articles: dict[str, str] = field(default_factory=dict)
    """Article number -> id, of default articles that were made or looked up."""
    customers: dict[str, list[Raw]] | None = None
    """All customers by number; None: not listed, or too many to."""
    many_customers: bool = False
    cards: dict[str, Raw] = field(default_factory=dict)
    """Customers' cards by id, read because an invoice depends on them."""
    invoices: dict[str, Raw] | None = None
    """Invoices by our mark, their id and the id of the draft they came from: only ever used as positive proof."""


_memories: WeakKeyDictionary[Http, Memory] = WeakKeyDictionary()


def memory(http: Http) -> Memory:
    """The memory of this connection's client."""
    return _memories.setdefault(http, Memory())
