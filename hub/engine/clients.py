"""How the engine reaches a connection: a link that the connections' side opens."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from hub.kit.database import HubSession
from hub.sdk.connector import Connector
from hub.sdk.http import Http


@dataclass(frozen=True)
class Link:
    """An open connection: whose it is, and the client to call with."""

    connection_id: UUID
    connector: Connector
    http: Http
    tenant: str
    """The package's own id of the connected company."""
    identity: Mapping[str, str]

    @property
    def source(self) -> str:
        """This company, as delivery keys name it."""
        return f"{self.connector.manifest.name}:{self.tenant}"


class Clients(Protocol):
    """Opens links and hears of grants that died."""

    async def open(self, organisation_id: UUID, connection_id: UUID) -> Link:
        """A link. Raises ReauthRequired when the connection needs consent, or was revoked."""

    async def open_in(self, session: HubSession, connection_id: UUID) -> Link:
        """The same in a transaction that is open already."""
