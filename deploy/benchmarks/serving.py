"""The measured web servers, one process each: the hub's API, or a bare FastAPI route with one indexed select."""

import asyncio
import json
import socket
import sys
from typing import Any
from uuid import UUID

import uvicorn
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from deploy.benchmarks.work import a_hub
from hub.app import create_app
from hub.kit.database import driver_url

_COMBIS = text(
    """SELECT id, recipe, name, status, reason, schedule, start_date, version, slot, source_connection_id,
      target_connection_id, created_at, updated_at FROM combi ORDER BY id DESC LIMIT 50"""
)
_ITEMS = text(
    """SELECT id, flow, source_id, number, date, party, amount::text, currency, administration, status, findings,
      target_ref, target_label, updated_at FROM item WHERE combi_id = :combi ORDER BY id DESC LIMIT 50"""
)


def bare(database_url: str) -> FastAPI:
    """The same rows' own columns by the same driver, with no caller, tenant, joins, cursor or words."""
    engine = create_async_engine(driver_url(database_url), pool_size=10)
    app = FastAPI()

    @app.get("/v1/combis")
    async def combis() -> list[dict[str, Any]]:
        async with engine.connect() as connection:
            return [dict(row) for row in (await connection.execute(_COMBIS)).mappings()]

    @app.get("/v1/combis/{combi_id}/items")
    async def items(combi_id: UUID) -> list[dict[str, Any]]:
        async with engine.connect() as connection:
            return [dict(row) for row in (await connection.execute(_ITEMS, {"combi": combi_id})).mappings()]

    return app


async def serve(what: str) -> None:
    """Serves until killed; tells its port."""
    async with a_hub() as (hub, services):
        app = create_app(hub) if what == "hub" else bare(services.database_url)
        # With the protocol named, asyncio sends small answers at once (TCP_NODELAY).
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
            listening.bind(("127.0.0.1", 0))
            print(json.dumps({"port": listening.getsockname()[1]}), flush=True)
            server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off"))
            await server.serve(sockets=[listening])


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
