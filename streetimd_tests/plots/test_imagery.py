"""The plan's page shows what images would take; the attribution page credits every picture counted."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
import pytest

from streetimd_assets.plots import imagery
from streetimd_assets.plots.linked_maps import LinkedMaps
from streetimd_tests.plots.made_up_tables import SCRIPT, made_up_lsoas
from streetimd_tests.plots.reading_pages import ReadPage

HEADING = "Trial (SYNTHETIC IMAGES)"


@dataclass(frozen=True)
class Terms:
    title: str = "Terms of Street Pictures"
    url: str = "https://pictures.example/terms"
    as_of: date = date(2026, 1, 31)
    retention: str = "As long as the licence is kept."
    licence: str = "CC BY-SA 4.0"
    licence_url: str | None = "https://licences.example/by-sa"
    credit: str = "Photos from Street Pictures"
    summary: str = "Everyone may use the pictures and says whose they are."


@pytest.fixture(scope="module")
def lsoas():
    return made_up_lsoas(1)


def plan_of(lsoas, **changes):
    """Two panoramas and eight images in each LSOA, one LSOA without any."""
    n = len(lsoas)
    table = pd.DataFrame(
        {
            "lsoa_code": lsoas["lsoa_code"], "road_length_m": 1500.0, "n_points": 4, "n_panoramas": 2,
            "n_images_planned": 8, "median_distance_m": 6.0, "oldest_captured_on": date(2015, 3, 1),
            "median_captured_on": date(2019, 3, 1), "median_age_years": 5.5, "n_images_held": 3,
            "n_images_to_fetch": 5, "cost_usd": 0.035,
        }
    )  # fmt: skip
    missing = ["median_distance_m", "oldest_captured_on", "median_captured_on", "median_age_years"]
    table.loc[n - 1, missing] = None
    table.loc[n - 1, ["n_panoramas", "n_images_planned", "n_images_held", "n_images_to_fetch"]] = 0
    table.loc[n - 1, "cost_usd"] = 0.0
    return table.assign(**changes)


def points_of(lsoas):
    codes = np.repeat(lsoas["lsoa_code"].to_numpy(), 4)
    return pd.DataFrame({"point_id": [f"point {place}" for place in range(len(codes))], "lsoa_code": codes})


def panoramas_of(points, status="ok"):
    table = pd.DataFrame({"point_id": points["point_id"], "status": status})
    table["captured_on"] = [date(2014 + place % 3, 6, 1) for place in range(len(table))]
    return table


def plan_page(lsoas, plan=None, points=None, panoramas=None, **changes):
    points = points_of(lsoas) if points is None else points
    panoramas = panoramas_of(points) if panoramas is None else panoramas
    given = {"heading": HEADING, "prices_note": "Prices of January 2026."} | changes
    return imagery.imagery_map_page(plan_of(lsoas) if plan is None else plan, lsoas, points, panoramas, **given)


def test_one_line_says_how_many_images_are_planned_held_and_to_fetch_and_what_they_cost(lsoas):
    words = ReadPage(plan_page(lsoas)).words
    planned = "192 images of 48 panoramas in 25 LSOAs: 72 held already, 120 to fetch"
    line = f"When this plan was made: {planned}, which costs $0.84."
    assert line in words
    assert "Prices of January 2026." in words


def test_images_that_cost_nothing_are_said_to(lsoas):
    assert "to fetch, which costs nothing." in ReadPage(plan_page(lsoas, plan_of(lsoas, cost_usd=0.0))).words


def test_the_table_has_each_lsoa_and_its_sum(lsoas):
    page = plan_page(lsoas)
    rows = page[page.index("The plan by LSOA") :].partition("</tbody>")[0].split("<tr")[2:]
    cells = [[cell.rpartition(">")[2] for cell in row.split("</t")[:-2]] for row in rows]
    assert cells[0] == ["All", "37.5", "100", "48", "192", "72", "120", "–", "–", "–", "0.84"]
    assert len(cells) == 1 + 25
    code = lsoas["lsoa_code"].iloc[0]
    of_first = next(row for row in cells if code in row[0])
    assert of_first[1:] == ["1.5", "4", "2", "8", "3", "5", "6", "2015-03-01", "5.5", "0.04"]
    assert cells[-1][1:] == ["1.5", "4", "0", "0", "0", "0", "–", "–", "–", "0.00"]


def test_the_share_of_points_answered_counts_a_panorama_for_each_point_that_it_serves(lsoas):
    points = points_of(lsoas).iloc[:8]
    statuses = ["ok", "duplicate_panorama", "too_far", "no_imagery", *["ok"] * 4]
    share = imagery.answered_share(points, panoramas_of(points).assign(status=statuses))
    assert share.to_list() == [0.5, 1.0]


def test_a_point_with_four_flat_photographs_is_answered_once(lsoas):
    points = points_of(lsoas).iloc[:4]
    four = pd.concat([panoramas_of(points.iloc[:1])] * 4)
    assert imagery.answered_share(points, four).to_list() == [0.25]


def test_where_nobody_looked_near_points_there_is_no_map_of_coverage(lsoas):
    points = points_of(lsoas)
    without = imagery.imagery_map_page(
        plan_of(lsoas), lsoas, None, panoramas_of(points), heading=HEADING, prices_note=""
    )
    assert maps_of(without) == ["Images planned", "Median age of the panoramas, years"]
    labels = ["Images planned", "Sample points with a usable panorama", "Median age of the panoramas, years"]
    assert maps_of(plan_page(lsoas)) == labels


def maps_of(page):
    return [drawn["aria-label"] for drawn in ReadPage(page).attributes("svg") if drawn["class"] == "map"]


def test_each_lsoa_of_the_maps_has_its_row_in_the_table(lsoas):
    read = ReadPage(plan_page(lsoas))
    rows = {row["id"].removeprefix("lsoa-") for row in read.attributes("tr") if "id" in row}
    assert rows > set(lsoas["lsoa_code"])
    assert read.data("linked-maps")[0]["codes"] == lsoas["lsoa_code"].tolist()


def test_panoramas_are_counted_by_status_and_by_year_of_capture(lsoas):
    points = points_of(lsoas).iloc[:10]
    panoramas = panoramas_of(points).assign(status=["ok"] * 6 + ["too_far"] * 4)
    panoramas.loc[0, "captured_on"] = None
    words = ReadPage(plan_page(lsoas, points=points, panoramas=panoramas)).words
    assert "ok used 6" in words
    assert "2016 2 33.3% 2015 2 33.3% 2014 1 16.7% not known 1 16.7%" in words


@pytest.mark.parametrize("is_empty", [False, True], ids=["planned", "empty"])
def test_the_plan_has_no_script_but_that_of_its_maps_and_stays_small(lsoas, is_empty):
    points = points_of(lsoas).iloc[: 0 if is_empty else None]
    plan = plan_of(lsoas).iloc[: 0 if is_empty else None]
    page = plan_page(lsoas, plan, points, panoramas_of(points))
    read = ReadPage(page)
    assert read.code == [LinkedMaps.script]
    assert not read.plot_library
    assert len(page) < 80_000


def test_script_planted_in_names_is_text_on_both_pages(lsoas):
    planted = lsoas.assign(lsoa_name=SCRIPT)
    page = plan_page(planted, heading=SCRIPT, prices_note=SCRIPT, notes=[SCRIPT])
    pictures = taken().assign(credit=SCRIPT, licence=SCRIPT, source=SCRIPT)
    terms = {SCRIPT: Terms(title=SCRIPT, summary=SCRIPT, licence=SCRIPT, url=f"javascript:{SCRIPT}")}
    for read in (ReadPage(page), ReadPage(imagery.attribution_page(pictures, heading=SCRIPT, terms=terms))):
        assert set(read.code) <= {LinkedMaps.script}
        assert read.words.count(SCRIPT) > 5
        assert not any("javascript" in str(attributes.get("href")) for attributes in read.attributes("a"))


def taken(n=6):
    """Pictures of three panoramas of one person, and one of another without a date."""
    table = pd.DataFrame({"panorama_id": [f"p{place // 2}" for place in range(n)]})
    table["image_id"] = [f"{name}@{90 * (place % 2):03d}" for place, name in enumerate(table["panorama_id"])]
    table["captured_on"] = [date(2018 + place // 2, 5, 4) for place in range(n)]
    table["viewer_url"] = "https://viewer.example/" + table["panorama_id"]
    table = table.assign(status="ok", source="pictures", licence="CC BY-SA 4.0", credit="ann, Street Pictures")
    other = {"panorama_id": "q", "image_id": "q@000", "captured_on": None, "viewer_url": "https://viewer.example/q"}
    return pd.concat([table, table.iloc[:1].assign(credit=None, **other)], ignore_index=True)


def attribution(table, **changes):
    given = {"heading": HEADING, "terms": {"pictures": Terms()}} | changes
    return ReadPage(imagery.attribution_page(table, **given))


def test_each_credit_stands_with_its_licence_days_panoramas_and_pictures():
    words = attribution(taken()).words
    assert "pictures CC BY-SA 4.0 ann, Street Pictures 2018-05-04 2020-05-04 3 6" in words
    assert "pictures CC BY-SA 4.0 – not known not known 1 1" in words


def test_days_licence_and_terms_are_links_that_give_nothing_away():
    links = {link["href"]: link for link in attribution(taken()).attributes("a") if link["href"][0] != "#"}
    viewer, terms = "https://viewer.example/", Terms()
    assert set(links) == {f"{viewer}p0", f"{viewer}p2", f"{viewer}q", terms.licence_url, terms.url}
    assert all(link["rel"] == "noopener noreferrer" for link in links.values())


def test_pictures_that_are_not_used_are_not_credited():
    table = taken().assign(status=["failed"] * 6 + ["ok"])
    assert "ann, Street Pictures" not in attribution(table).words


def test_the_provider_states_its_terms_only_where_its_pictures_are_used():
    statement = "In short: Everyone may use the pictures"
    assert statement in attribution(taken()).words
    assert "as read on 2026-01-31" in attribution(taken()).words
    assert statement not in attribution(taken().assign(source="folder")).words


def test_a_licence_other_than_the_providers_usual_one_is_not_linked_to_it():
    read = attribution(taken().assign(licence="etalab-2.0"), terms={"pictures": Terms(url="https://a.example/")})
    table = [link["href"] for link in read.attributes("a") if link["href"].startswith("https://viewer")]
    licence = [link for link in read.attributes("a") if link["href"] == Terms().licence_url]
    assert len(table) == 4
    # once in the statement, never in the table
    assert len(licence) == 1


def test_no_picture_at_all_makes_a_sheet_without_rows():
    read = attribution(taken().iloc[:0])
    assert len(read.attributes("tr")) == 1
