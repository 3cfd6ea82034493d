"""The parts of a running hub, made once per process and handed around; `hub_of` gives them to an endpoint."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from redis.asyncio import Redis

from hub.config import Config
from hub.engine.clients import Clients
from hub.engine.queue import Doorbell
from hub.kit.clock import Clock
from hub.kit.database import Database
from hub.kit.mail import Mailer
from hub.kit.secrets import KeyRing
from hub.sdk.http import Limiter

if TYPE_CHECKING:
    from hub.engine.engine import Engine


@dataclass
class Hub:
    """Everything that lives as long as the process."""

    config: Config
    database: Database
    redis: Redis
    clock: Clock
    keys: KeyRing
    mailer: Mailer
    limiter: Limiter
    doorbell: Doorbell
    clients: Clients
    engine: "Engine"


def hub_of(request: Any) -> Hub:
    """The hub that serves this request (or web socket)."""
    return cast(Hub, request.app.state.hub)
