"""Companies under names that both APIs know and that stay, and customers who are recognised over both."""

import pytest

from connectors.nmbrs import account
from connectors.nmbrs.sandbox import OWNER, NmbrsSandbox
from hub.connections.recognition import contradicted, shared
from hub.sdk.errors import ConfigError
from tests.connectors.nmbrs.conftest import Connect

BOTH = pytest.mark.parametrize("way", ["key", "oauth"])


def twin(box: NmbrsSandbox) -> dict[str, str]:
    """Another company with number 1, of another debtor."""
    debtor = box.add_debtor("Bakkerij De Tweede B.V.", "00077")
    return box.add_company("Bakkerij De Tweede B.V.", 1, debtor)


async def values(connect: Connect, way: str, *chosen: str, held: dict[str, str] | None = None) -> list[str]:
    async with connect(way) as http:
        return sorted(await account.named(http, chosen, held))


@BOTH
async def test_a_company_is_called_by_its_number(connect: Connect, way: str) -> None:
    async with connect(way) as http:
        found = await account.companies(http, {})
    assert [(one.value, one.label) for one in found][:2] == [
        ("1", "1 · Bakkerij Van der Meulen B.V."), ("2", "2 · Logistiek Noord B.V."),
    ]  # fmt: skip


@BOTH
async def test_a_number_that_repeats_is_called_with_its_debtor_s(connect: Connect, box: NmbrsSandbox, way: str) -> None:
    twin(box)
    assert await values(connect, way) == ["00012/1", "00077/1", "2", "3", "4"]


@BOTH
async def test_what_a_number_meant_it_goes_on_meaning(connect: Connect, box: NmbrsSandbox, way: str) -> None:
    async with connect(way) as http:
        held = {value: one.id for value, one in (await account.named(http)).items()}
    twin(box)
    assert await values(connect, way, "1", held=held) == ["00077/1", "1", "2", "3", "4"]


@BOTH
async def test_a_number_that_became_ambiguous_is_asked_about(connect: Connect, box: NmbrsSandbox, way: str) -> None:
    twin(box)
    with pytest.raises(ConfigError) as asked:
        await values(connect, way, "1")
    assert (asked.value.key, asked.value.field) == ("nmbrs.company_ambiguous", "administrations")
    assert asked.value.values["choices"] == "00012/1, 00077/1"


async def test_a_company_chosen_with_its_debtor_is_so_called_where_its_number_is_alone(
    connect: Connect, box: NmbrsSandbox
) -> None:
    twin(box)
    box.switches["sees_debtors"] = ["00012"]
    assert await values(connect, "oauth", "00012/1") == ["00012/1"]


async def test_companies_that_cannot_be_told_apart_are_left_out_and_said_to_who_chose_one(
    connect: Connect, box: NmbrsSandbox
) -> None:
    box.add_company("Nog een bakkerij", 1)
    for way in ("key", "oauth"):
        assert await values(connect, way) == ["2", "3", "4"]
        assert await values(connect, way, "2") == ["2", "3", "4"]
        with pytest.raises(ConfigError) as refused:
            await values(connect, way, "1")
        assert refused.value.key == "nmbrs.company_number_twice"


async def test_debtors_that_may_not_be_asked_say_which_call_to_enable(connect: Connect, box: NmbrsSandbox) -> None:
    twin(box)
    box.books["users"][OWNER]["off"] = ["List_GetByDebtor"]
    assert await values(connect, "key", "2") == ["2", "3", "4"], "whom it does not concern is not held up"
    with pytest.raises(ConfigError) as refused:
        await values(connect, "key", "1")
    assert refused.value.values["call"] == "CompanyService.List_GetByDebtor"


async def test_a_customer_bears_the_same_marks_over_both(connect: Connect) -> None:
    async with connect("key") as http:
        soap = await account.identify(http)
    async with connect("oauth") as http:
        rest = await account.identify(http)
    assert soap.marks == rest.marks
    assert soap.traces == rest.traces != ()
    assert soap.marks[0] == "1 bakkerijvandermeulenbv"
    assert (soap.tenant, soap.email, soap.user) == ("vandermeulen", OWNER, OWNER)
    assert soap.tenant != rest.tenant
    assert soap.name == "vandermeulen"
    assert rest.name == "Bakkerij Van der Meulen B.V. (+3)"


async def test_who_is_connected_over_rest_stays_the_same_when_debtors_come(connect: Connect, box: NmbrsSandbox) -> None:
    async with connect("oauth") as http:
        before = await account.identify(http)
    for number in range(5):
        box.add_company(f"Nieuw {number}", 50 + number, box.add_debtor(f"Nieuw {number}"))
    async with connect("oauth", fields={"tenant": before.tenant}) as http:
        assert (await account.identify(http)).tenant == before.tenant
    async with connect("oauth") as http:
        assert (await account.identify(http)).tenant == before.tenant


async def test_a_login_that_sees_nothing_is_told(connect: Connect, box: NmbrsSandbox) -> None:
    box.books["companies"].clear()
    for way in ("key", "oauth"):
        async with connect(way) as http:
            with pytest.raises(ConfigError) as refused:
                await account.identify(http)
        assert refused.value.key == "nmbrs.no_companies"


@pytest.mark.parametrize(
    ("ours", "theirs", "count"),
    [
        (["1 a", "2 b"], ["1 a", "2 b"], 2),
        (["1 a", "2 b", "3 c", "4 d"], ["3 c"], 1),
        (["1 a", "2 b"], ["1 a", "2 x"], 1),
        (["1 a", "2 b", "3 c"], ["1 a", "2 x", "3 y"], 0),
        (["1 a"], ["1 b"], 0),
        ([], [], 0),
        ([], ["1 a"], 0),
    ],
)
def test_customers_are_the_same_when_half_of_the_fewest_marks_is(
    ours: list[str], theirs: list[str], count: int
) -> None:
    assert shared(ours, theirs) == count == shared(theirs, ours)


@BOTH
async def test_a_copy_of_an_environment_bears_other_traces(connect: Connect, box: NmbrsSandbox, way: str) -> None:
    async with connect(way) as http:
        ours = await account.identify(http)
    for at, run in enumerate(box.books["runs"].values()):
        run["made_at"] = f"2026-11-02T07:59:{at % 20:02}"
    async with connect(way) as http:
        copy = await account.identify(http)
    assert copy.marks == ours.marks
    assert contradicted(ours.traces, copy.traces)
    box.switches["soap_faults"], box.switches["rest_faults"] = {"Run_GetList": "1002"}, {"/runs": "40303"}
    async with connect(way) as http:
        unseen = await account.identify(http)
    assert (unseen.marks, unseen.traces) == (ours.marks, ())
    assert not contradicted(ours.traces, unseen.traces)


@pytest.mark.parametrize(
    ("ours", "theirs", "apart"),
    [
        (["a/2026=1", "a/2026=2"], ["a/2026=2", "a/2026=3"], False),
        (["a/2026=1"], ["a/2026=2"], True),
        (["a/2025=1"], ["a/2026=1"], False),
        (["a/2026=1"], [], False),
        (["a/2025=1", "a/2026=1"], ["a/2025=1", "a/2026=9"], False),
    ],
)
def test_traces_contradict_when_nothing_agrees(ours: list[str], theirs: list[str], apart: bool) -> None:
    assert contradicted(ours, theirs) is apart is contradicted(theirs, ours)
