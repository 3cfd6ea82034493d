"""The vendors are away and the worker dies in the middle of its work."""

import time

from tests.acceptance.stage import Scene
from tests.acceptance.story import Mood, Story

NUMBER = 50


def test_work_goes_on_after_the_vendors_were_away_and_a_worker_died(scene: Scene) -> None:
    """Nobody answers for a while and the worker is killed meanwhile; then all comes right."""
    story = Story(scene, Mood("outage", invoices=40), NUMBER)
    story.furnish()
    story.install()
    started = story.me.call("POST", f"/combis/{story.combi}/runs", {}, 202)
    until = time.monotonic() + 60
    while not story.main.items and time.monotonic() < until:
        time.sleep(0.02)
    assert story.main.items
    scene.street.close()
    scene.hub.kill("worker")
    scene.hub.start("another worker", "worker")
    time.sleep(8)
    scene.street.open()
    story.me.ended(started["id"], 120)
    story.come_to_rest()
    story.check_books()
