"""The pages for browsers: one module per topic."""

from pathlib import Path

from fastapi import APIRouter

from hub.kit.text import register
from hub.web.pages import (
    account,
    assets,
    attention,
    catalogue,
    combis,
    documents,
    edit,
    history,
    install,
    login,
    mapping,
    reauthorize,
    relink,
    runs,
    setup,
    statistics,
)

for folder in sorted((Path(__file__).parents[1] / "strings").iterdir()):
    register(folder)

router = APIRouter(include_in_schema=False)
for topic in (
    assets,
    combis,
    runs,
    documents,
    attention,
    mapping,
    statistics,
    edit,
    relink,
    history,
    login,
    catalogue,
    install,
    setup,
    account,
    reauthorize,
):
    router.include_router(topic.router)
