"""Statistics with charts, and the reconciliation of a month."""

import csv
import io
import re
from decimal import Decimal
from xml.etree import ElementTree

import pytest

from hub.web import chart
from hub.web.chart import Bar, Chart
from tests.web.office import Office


async def test_statistics_draw_what_their_table_says_and_their_csv_holds(office: Office) -> None:
    combi = await office.combi()
    path = f"/combis/{combi}/statistics"
    page = await office.get(f"{path}?from=2026-01-01&to=2026-11-30&interval=month")
    assert "Ging vanzelf" in page
    assert "94,4%" in page
    assert '<svg class="chart"' in page
    assert "mrt 26: Geboekt 8, Wacht of vraagt aandacht 1" in page
    table = re.search(r"mrt 26</th>(.*?)</tr>", page, re.DOTALL)
    assert table
    assert re.findall(r">(\d+)</td>", table.group(1)) == ["8", "1", "0", "0"]
    answer = await office.browser.get(f"{path}.csv?from=2026-03-01&to=2026-03-31&interval=month")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    booked = [row for row in rows if (row["flow"], row["status"]) == ("invoices", "booked")]
    assert [row["documents"] for row in booked] == ["8"]


@pytest.mark.parametrize(
    "query", ["from=x", "from=2026-05-01&to=2026-01-01", "from=1900-01-01&interval=day", "interval=x"]
)
async def test_an_impossible_period_is_said_and_the_usual_one_shown(office: Office, query: str) -> None:
    combi = await office.combi()
    page = await office.get(f"/combis/{combi}/statistics?{query}")
    assert ('aria-invalid="true"' in page) == (query != "interval=x")
    assert '<svg class="chart"' in page


async def test_the_reconciliation_names_every_difference_and_opens_on_a_month_with_documents(office: Office) -> None:
    combi = await office.combi()
    path = f"/combis/{combi}/reconciliation"
    assert "Aansluiting april 2026" in await office.get(path)
    page = await office.get(f"{path}?month=2026-03")
    assert "Er zijn verschillen" in page
    assert "Stuk F2026-0425 is niet geboekt." in page
    assert "€\N{NO-BREAK SPACE}8.580,70" in page
    assert "Sluit aan" in page
    answer = await office.browser.get(f"{path}.csv?month=2026-03")
    assert "F2026-0425" in answer.text
    assert "Niets om aan te sluiten" in await office.get(f"{path}?month=2020-01")
    await office.get(f"{path}?month=2026-13", 422)


def drawn(*bars: Bar) -> ElementTree.Element:
    ticks = tuple((value, str(value)) for value in chart.measures(bars))
    return ElementTree.fromstring(str(chart.draw(Chart(bars, ticks), "Aantal", "Zie de tabel.")))  # noqa: S314 - ours


def heights(picture: ElementTree.Element) -> dict[str, float]:
    return {str(one.get("class")): float(str(one.get("height"))) for one in picture.iter("rect")}


def test_bars_are_as_high_as_their_numbers_say() -> None:
    found = heights(drawn(Bar("jan", "jan", (Decimal(30), Decimal(10), Decimal(0)))))
    assert found["s1"] == pytest.approx(found["s2"] * 3, abs=0.3)
    assert "s3" not in found


def test_what_is_below_nothing_hangs_under_the_base() -> None:
    picture = drawn(Bar("jan", "jan", (Decimal(100),)), Bar("feb", "feb", (Decimal(-50),)))
    base = next(float(str(one.get("y1"))) for one in picture.iter("line") if one.get("class") == "rule base")
    up, down = (one for one in picture.iter("rect"))
    assert float(str(up.get("y"))) + float(str(up.get("height"))) == pytest.approx(base, abs=0.2)
    assert float(str(down.get("y"))) == pytest.approx(base, abs=0.2)


@pytest.mark.parametrize("highest", ["0", "1", "3", "7", "10", "99", "12345.67", "0.4"])
def test_measures_are_round_hold_everything_and_are_few(highest: str) -> None:
    found = chart.measures([Bar("", "", (Decimal(highest),))])
    assert found[0] == 0
    assert found[-1] >= Decimal(highest)
    assert 2 <= len(found) <= 6
    assert all(one == one.to_integral_value() for one in found)


def test_a_picture_has_a_name_and_no_style_and_no_word_breaks_out() -> None:
    picture = drawn(Bar("<b>", 'x" onload="y', (Decimal(1),)))
    assert picture.get("role") == "img"
    assert picture.get("aria-label") == "Aantal. Zie de tabel."
    for one in picture.iter():
        assert not {"style", "onload"} & set(one.keys())
    assert [one.text for one in picture.iter("title")] == ['x" onload="y']
