"""Workers that die, stop, leave or race each other at any moment."""

from tests.kill.stage import Stage


async def test_one_worker_books_everything(stage: Stage) -> None:
    stage.fill(20, 5)
    await stage.combi()
    await stage.worker()
    await stage.rest()
    await stage.assert_books(20, 5)
