"""The catalogue over the API."""

from tests.combis.stage import Tenant


async def test_a_connector_tells_how_one_gets_in_and_what_can_be_chosen(ours: Tenant) -> None:
    listed = (await ours.api.get("/v1/connectors")).json()["data"]
    one = (await ours.api.get("/v1/connectors/simplicate")).json()

    assert one in listed
    assert (one["roles"], one["auth"][0]["kind"]) == (["source"], "oauth")
    assert "domain" in [field["name"] for field in one["auth"][0]["fields"]]
    minox = (await ours.api.get("/v1/connectors/minox")).json()
    assert minox["roles"] == ["target"]
    assert minox["settings_schema"]["properties"]["journal"]["x-choice"] == "journals"
    assert (await ours.api.get("/v1/connectors/nonsense")).status_code == 404


async def test_the_offered_pairs_come_first(ours: Tenant) -> None:
    pairs = (await ours.api.get("/v1/recipes")).json()["data"]

    assert {"minuba-eaccounting", "simplicate-minox"} <= {pair["id"] for pair in pairs if pair["offered"]}
    assert [pair["offered"] for pair in pairs] == sorted((pair["offered"] for pair in pairs), reverse=True)


async def test_a_link_of_the_package_s_own_is_asked_about_only_where_there_is_one(ours: Tenant) -> None:
    own = {}
    for name in ("minuba-eaccounting", "minuba-minox", "simplicate-eaccounting"):
        pair = (await ours.api.get(f"/v1/recipes/{name}")).json()
        own[name] = [one["label"] for one in pair["questions"] if one["field"] == "own_link_off"]

    assert own == {
        "minuba-eaccounting": ["Minuba's own accounting link is off"],
        "minuba-minox": [],
        "simplicate-eaccounting": [],
    }


async def test_a_pair_tells_its_questions_in_order_in_the_callers_language(ours: Tenant) -> None:
    english = (await ours.api.get("/v1/recipes/simplicate-minox")).json()
    dutch = (await ours.api.get("/v1/recipes/simplicate-minox", headers={"Accept-Language": "nl-NL"})).json()

    assert [one["field"] for one in english["questions"]][:2] == ["administrations", "journal"]
    assert english["settings"]["booking_date"] == "invoice_date"
    assert english["settings_schema"]["properties"]["administrations"]["x-choice"] == "administrations"
    assert dutch["questions"] != english["questions"]
