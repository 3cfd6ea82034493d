"""The pages of an installation: every question stands on exactly one of them."""

import pytest

from hub.combis import topics
from hub.engine import recipe as recipes
from hub.engine import registry
from hub.engine.recipe import Recipe
from hub.kit import text
from hub.web import pages

assert pages  # the pages bring their words
EVERY = list(recipes.all_recipes().values())


@pytest.mark.parametrize("recipe", EVERY, ids=[one.id for one in EVERY])
def test_every_question_stands_on_exactly_one_page(recipe: Recipe) -> None:
    placed = [field for topic in topics.topics(recipe) for field in topic.fields]
    assert sorted(placed) == sorted(topics.asked(recipe))
    assert set(recipe.questions) <= {*placed, "ignored_companies"}


@pytest.mark.parametrize("recipe", EVERY, ids=[one.id for one in EVERY])
def test_every_page_has_its_words_and_every_choice_too(recipe: Recipe) -> None:
    for topic in topics.topics(recipe):
        for part in ("step", "title", "intro"):
            assert text.known(f"install.{part}.{topic.name}")
    for flow in recipe.flows:
        assert text.known(f"catalogue.flow.{flow}.words")


def test_the_seed_pair_asks_its_questions_in_the_order_of_the_books() -> None:
    found = topics.topics(recipes.get("simplicate-minox"))
    assert [topic.name for topic in found] == ["administrations", "start", "accounts", "mapping", "booking", "extras"]
    assert found[0].fields == ("administrations",)
    assert found[3].table == "ledger_accounts"


def test_payroll_starts_at_a_period_and_maps_accounts_and_cost_centres() -> None:
    found = {topic.name: topic for topic in topics.topics(recipes.get("nmbrs-minox"))}
    assert found["start"].fields == ("start_year", "start_period")
    assert (found["mapping"].table, found["centres"].table) == ("ledger_accounts", "cost_centres")


def test_a_finding_leads_to_the_page_where_it_is_set_right() -> None:
    recipe = recipes.get("simplicate-minox")
    assert topics.topic_of(recipe, "journal") == "accounts"
    assert topics.topic_of(recipe, "ignored_companies") == "administrations"
    assert topics.topic_of(recipe, "ledger_accounts") == "mapping"
    assert topics.topic_of(recipe, "nobody_asks_this") == ""


@pytest.mark.parametrize("name", sorted({side for one in EVERY for side in (one.source, one.target)}))
def test_a_package_says_what_it_is_and_what_to_prepare(name: str) -> None:
    registry.get(name)
    assert text.known(f"package.{name}")
    assert text.keys(f"prepare.{name}.")


@pytest.mark.parametrize("name", sorted(registry.all_connectors()))
def test_every_way_into_a_package_has_its_words(name: str) -> None:
    for auth in registry.get(name).manifest.auth:
        assert text.known(f"web.way_{auth.kind}")
        assert all(text.known(f"connect.{name}.{field.name}") for field in auth.fields)
