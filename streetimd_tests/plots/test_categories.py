"""Shares of categories are counted from the tables, not from one another."""

import pandas as pd
import pytest

from streetimd_assets.plots import categories
from streetimd_tests.plots.made_up_tables import TITLES, made_up_tables


@pytest.fixture(scope="module")
def tables():
    return made_up_tables()


def test_category_totals_share_out_every_image_classified(tables):
    totals = categories.category_totals(tables["lsoa_features"])
    assert set(totals.index) == set(TITLES)
    assert totals["n_images"].sum() == tables["lsoa_features"]["n_images"].sum()
    assert totals["share"].sum() == pytest.approx(1)


def test_the_rejected_share_is_not_a_category(tables):
    assert categories.share_names(tables["lsoa_features"]) == list(TITLES)


def test_bars_show_percent_and_count_of_each_category(tables):
    (bars,) = categories.category_shares(tables["lsoa_features"], TITLES).data
    n_images = tables["lsoa_features"]["n_images"].sum()
    park = list(bars.y).index("Park")
    n_park = tables["lsoa_features"]["n_park"].sum()
    assert bars.x[park] == pytest.approx(100 * n_park / n_images)
    assert bars.text[park] == str(n_park)


def test_shares_by_decile_are_means_over_lsoas(tables):
    figure = categories.shares_by_decile(tables["lsoa_features"], tables["deprivation_indices"], TITLES)
    joined = pd.merge(tables["lsoa_features"], tables["deprivation_indices"], on="lsoa_code")
    park = list(categories.category_totals(tables["lsoa_features"]).index).index("park")
    expected = 100 * joined.groupby("imd_decile")["park_share"].mean()
    assert figure.data[park].y == pytest.approx(expected)
    assert "1 = most deprived tenth" in figure.layout.annotations[-1].text
