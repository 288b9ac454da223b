import hashlib
import io

import numpy as np
import pandas as pd
import pytest
import shapely
from PIL import Image

from streetimd_assets import schemas
from streetimd_assets.errors import ImageryError
from streetimd_assets.science import panoramas as science_panoramas
from streetimd_assets.sources.imagery.base import ANSWER_COLUMNS
from streetimd_assets.sources.imagery.collecting import image_id
from streetimd_assets.study.imagery import Faults
from streetimd_assets.synthetic import panoramas, streetscape, truth
from streetimd_assets.synthetic.painting import PaintedStreets
from streetimd_assets.synthetic.scenes import SCENE_CLASSES
from streetimd_assets.synthetic.scenes.seeds import WORLD_SEEDS

HEADINGS = (0.0, 90.0, 180.0, 270.0)
NONE = Faults(displaced_share=0, shared_share=0, missing_share=0, blank_share=0, truncated_share=0, indoor_share=0)
PLANTED = [f"{name}_planted_share" for name in SCENE_CLASSES]


@pytest.fixture(scope="module")
def paint(lsoas, told):
    """Painted streets of the whole world, or of other LSOAs."""

    def paint(places=lsoas, *, deprivation=told, world="signal", faults=NONE, seed=1):
        return PaintedStreets(
            places, deprivation, world=world, faults=faults, headings_deg=HEADINGS, image_size_px=96, seed=seed
        )

    return paint


@pytest.fixture(scope="module")
def locate(lsoas):
    def locate(streets, points, places=lsoas):
        answers = streets.find_panoramas(points)
        return science_panoramas.locate_panoramas(answers, points, places, max_distance_m=50)

    return locate


@pytest.fixture(scope="module")
def look(points, locate):
    """What a reader who makes no mistake sees: shares of classes and mean disrepair, by LSOA."""

    def look(streets):
        scenes = streets.planted_scenes(locate(streets, points))
        seen = pd.crosstab(scenes["lsoa_code"], scenes["category"], normalize="index")
        return seen.assign(disrepair=scenes.groupby("lsoa_code")["disrepair"].mean())

    return look


def first_ok(streets, points, fault=None):
    """A panorama, and a heading, that has this fault."""
    answers = streets.find_panoramas(points)
    scenes = streets.planted_scenes(answers)
    scene = scenes[scenes["fault"].isna() if fault is None else scenes["fault"] == fault].iloc[0]
    return {"panorama_id": scene["panorama_id"]}, scene["heading_deg"]


def test_scene_classes_are_those_that_can_be_painted():
    assert {*streetscape.OUTDOOR_CLASSES, streetscape.INDOOR_CLASS} == set(SCENE_CLASSES)


def test_answers_and_truths_have_the_columns_declared(paint, points):
    streets = paint()
    answers = streets.find_panoramas(points)
    assert tuple(answers.columns) == ANSWER_COLUMNS
    scenes = streets.planted_scenes(answers)
    assert tuple(scenes.columns) == schemas.get_table("planted_scenes").column_names
    declared = schemas.get_table("planted_lsoas", SCENE_CLASSES).column_names
    assert set(streets.planted_lsoas("Z").columns) == set(declared)
    assert scenes["image_id"].tolist() == sorted(
        image_id(*view) for view in zip(scenes["panorama_id"], scenes["heading_deg"], strict=True)
    )


def test_every_class_occurs_at_both_ends_and_the_telling_ones_lean_the_right_way():
    least, most = streetscape.class_probabilities([-0.2, 1.2])
    assert min(least.min(), most.min()) > 0.005
    leaning = dict(zip(streetscape.OUTDOOR_CLASSES, most / least, strict=True))
    assert all(leaning[name] < 0.3 for name in ("detached_houses", "park"))
    assert all(leaning[name] > 3 for name in ("tower_flats", "derelict_land", "industrial"))


def test_planted_shares_are_recovered_by_frequencies(paint, many_points, locate):
    streets = paint(faults=Faults(indoor_share=0.05))
    scenes = streets.planted_scenes(locate(streets, many_points))
    planted = streets.planted_lsoas("Z").set_index("lsoa_code")
    assert np.allclose(planted[PLANTED].sum(axis=1), 1)
    deprived = planted["deprivation"] > 0.5
    for half in (deprived, ~deprived):
        seen = scenes[scenes["lsoa_code"].map(half)]
        expected = planted.loc[seen["lsoa_code"], PLANTED]
        for name in SCENE_CLASSES:
            share = expected[f"{name}_planted_share"].to_numpy()
            # panoramas are indoors with all their views, so that their views do not vary apart
            views = len(HEADINGS) if name == "interior" else 1
            deviation = (seen["category"] == name).sum() - share.sum()
            assert abs(deviation) < 4 * np.sqrt(views * (share * (1 - share)).sum()), name


def test_in_signal_a_perfect_reader_explains_about_seven_tenths_of_deprivation(paint, look, told):
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import KFold, cross_val_predict

    seen = look(paint(faults=Faults()))
    observed = told[seen.index]
    folds = KFold(5, shuffle=True, random_state=0)
    predicted = cross_val_predict(RidgeCV(np.logspace(-3, 2, 11)), seen, observed, cv=folds)
    r2 = 1 - np.sum((observed - predicted) ** 2) / np.sum((observed - observed.mean()) ** 2)
    assert 0.55 < r2 < 0.85


@pytest.mark.parametrize("world", ["null_spatial", "null_iid"])
def test_in_null_worlds_nothing_seen_follows_deprivation(world, paint, look, told, lsoas):
    seen = look(paint(world=world))
    for column in ("disrepair", "detached_houses", "derelict_land"):
        assert abs(np.corrcoef(seen[column], told[seen.index])[0, 1]) < 0.25
    drawn = [
        np.corrcoef(told, paint(world=world, seed=seed).planted_lsoas("Z")["park_planted_share"])[0, 1]
        for seed in range(20)
    ]
    # smooth surfaces correlate by chance more than independent ones do, and in both directions
    assert abs(np.mean(drawn)) < 0.1
    assert np.std(drawn) < (0.2 if world == "null_spatial" else 0.1)


def test_null_spatial_is_as_autocorrelated_as_signal_and_null_iid_is_not(paint, lsoas, morans_i):
    found = {
        world: np.mean(
            [
                morans_i(lsoas, paint(world=world, seed=seed).planted_lsoas("Z")["park_planted_share"])
                for seed in range(5)
            ]
        )
        for world in ("signal", "null_spatial", "null_iid")
    }
    assert found["signal"] > 0.3
    assert found["null_spatial"] == pytest.approx(found["signal"], abs=0.1)
    assert abs(found["null_iid"]) < 0.06


def test_null_worlds_still_tell_the_deprivation_they_ignore(paint, told):
    planted = paint(world="null_iid").planted_lsoas("Z06000001")
    assert planted["deprivation"].tolist() == told[planted["lsoa_code"]].tolist()
    assert set(planted["lad_code"]) == {"Z06000001"}


def test_four_headings_are_four_pictures_of_one_place(paint, points):
    panorama, _ = first_ok(paint(), points)
    data = [paint().fetch_image(panorama, heading) for heading in HEADINGS]
    pixels = [np.asarray(Image.open(io.BytesIO(d)).convert("RGB")).astype(int) for d in data]
    assert len({hashlib.sha256(d).hexdigest() for d in data}) == 4
    for i in range(4):
        for j in range(i):
            assert np.abs(pixels[i] - pixels[j]).mean() > 5


def test_a_picture_tells_panorama_direction_place_and_day(paint, points):
    streets = paint()
    answer = streets.find_panoramas(points.head(1)).iloc[0]
    picture = Image.open(io.BytesIO(streets.fetch_image(answer, 270.0)))
    tags, gps = picture.getexif(), picture.getexif().get_ifd(0x8825)
    assert picture.size == (96, 96)
    assert tags[270] == f"SYNTHETIC IMAGE: panorama {answer['panorama_id']}"
    assert tags.get_ifd(0x8769)[36867] == f"{answer['captured_on']:%Y:%m:%d} 12:00:00"
    assert gps[17] == 270
    degrees, minutes, seconds = (float(part) for part in gps[2])
    assert degrees + minutes / 60 + seconds / 3600 == pytest.approx(answer["latitude_deg"], abs=1e-7)
    degrees, minutes, seconds = (float(part) for part in gps[4])
    assert gps[3] == "W"
    assert -(degrees + minutes / 60 + seconds / 3600) == pytest.approx(answer["longitude_deg"], abs=1e-7)


def test_the_same_picture_comes_whichever_partition_asks_and_in_whatever_order(paint, points, lsoas, told):
    whole, faults = paint(faults=Faults(shared_share=0)), Faults(shared_share=0)
    part = lsoas[lsoas["lad_code"] == "Z06000002"].sample(frac=1, random_state=0)
    alone = paint(part, deprivation=told.sample(frac=1, random_state=0), faults=faults)
    mine = points[points["lsoa_code"].isin(part["lsoa_code"])]
    answers = alone.find_panoramas(mine.sample(frac=1, random_state=0)).sort_values("point_id")
    expected = whole.find_panoramas(points).set_index("point_id").loc[answers["point_id"]].reset_index()
    pd.testing.assert_frame_equal(answers.reset_index(drop=True), expected)
    inside = answers[answers["status"] == "ok"].iloc[[5, 3, 8]].to_dict("records")
    backwards = [alone.fetch_image(panorama, 180.0) for panorama in inside[::-1]]
    assert [whole.fetch_image(panorama, 180.0) for panorama in inside] == backwards[::-1]


def test_another_seed_world_or_edition_is_another_panorama(paint, points):
    editions = [{}, {"seed": 2}, {"world": "null_iid"}, {"faults": NONE.model_copy(update={"blank_share": 0.1})}]
    named = [set(paint(**edition).find_panoramas(points)["panorama_id"]) for edition in editions]
    assert len(set.union(*named)) == sum(map(len, named))
    assert all(name.startswith("signal-1-") for name in named[0])


def test_days_of_capture_span_years_and_seasons(paint, points):
    days = pd.to_datetime(paint().find_panoramas(points)["captured_on"])
    assert set(days.dt.year) == set(range(2015, 2026))
    assert set(days.dt.month) == set(range(1, 13))


def test_without_faults_every_panorama_stands_at_its_point_in_its_own_lsoa(paint, points, locate):
    located = locate(paint(), points)
    assert set(located["status"]) == {"ok"}
    assert located["distance_m"].quantile(0.9) < 0.1
    # only panoramas on a border step aside
    assert located["distance_m"].max() < 2.2


def test_no_panorama_stands_so_near_a_border_that_rounding_decides(paint, many_points, lsoas, locate):
    located = locate(paint(faults=Faults()), many_points)
    standing = located[located["easting_m"].notna()]
    borders = shapely.union_all(lsoas.boundary.values)
    shapely.prepare(borders)
    places = shapely.points(standing["easting_m"], standing["northing_m"])
    assert not shapely.dwithin(borders, places, 0.45).any()


def test_faults_are_as_frequent_as_asked(paint, many_points, locate):
    asked = Faults(
        displaced_share=0.2, shared_share=0.04, missing_share=0.1, blank_share=0.03, truncated_share=0.05,
        indoor_share=0.06,
    )  # fmt: skip
    streets = paint(faults=asked)
    located = locate(streets, many_points)
    scenes = streets.planted_scenes(located)
    n_points, n_images = len(located), len(scenes)
    shared = located["panorama_id"].dropna().duplicated(keep=False).sum() / 2
    alone = ~located["panorama_id"].duplicated(keep=False)
    found = {
        "missing_share": (located["status"] == "no_imagery").sum() / n_points,
        "displaced_share": (alone & (located["distance_m"] > 5)).sum() / n_points / 0.9 / 0.96,
        "shared_share": shared / n_points / 0.9,
        "blank_share": (scenes["fault"] == "blank").sum() / n_images,
        "truncated_share": (scenes["fault"] == "truncated").sum() / n_images,
        "indoor_share": (scenes["category"] == "interior").sum() / n_images,
    }
    for name, share in found.items():
        assert share == pytest.approx(getattr(asked, name), rel=0.2), name


def test_a_shared_panorama_answers_two_points_within_reach_and_counts_once(paint, points, locate):
    located = locate(paint(faults=NONE.model_copy(update={"shared_share": 0.1})), points)
    answered = located.groupby("panorama_id")["status"].agg(lambda status: " ".join(sorted(status)))
    assert set(answered) <= {"ok", "duplicate_panorama ok"}
    assert (answered == "duplicate_panorama ok").sum() > 80
    assert located["distance_m"].max() <= 50


def test_displaced_panoramas_stay_within_50_m_and_some_cross_borders(paint, points, locate, lsoas):
    streets = paint(faults=NONE.model_copy(update={"displaced_share": 1.0}))
    located = locate(streets, points).merge(points[["point_id", "lsoa_code"]], on="point_id")
    assert located["distance_m"].between(17, 50).all()
    assert (located["lsoa_code_x"] != located["lsoa_code_y"]).mean() > 0.05
    part = lsoas[lsoas["lad_code"] == "Z06000001"]
    mine = points[points["lsoa_code"].isin(part["lsoa_code"])]
    left = locate(paint(part, faults=NONE.model_copy(update={"displaced_share": 1.0})), mine, part)
    assert (left["status"] == "outside_local_authority").sum() > 3


def test_scenes_are_drawn_from_the_lsoa_the_panorama_itself_stands_in(paint, points, locate, lsoas):
    streets = paint(faults=NONE.model_copy(update={"displaced_share": 1.0}))
    located = locate(streets, points)
    scenes = streets.planted_scenes(located.assign(lsoa_code="a wrong table"))
    place = located.set_index("panorama_id").loc[scenes["panorama_id"]]
    outline = lsoas.set_index("lsoa_code").geometry.loc[scenes["lsoa_code"]]
    assert shapely.contains_xy(outline.values, place["easting_m"], place["northing_m"]).all()


def test_the_fault_named_is_the_fault_painted(paint, points):
    faults = NONE.model_copy(update={"blank_share": 0.05, "truncated_share": 0.05, "indoor_share": 0.05})
    streets = paint(faults=faults)
    blank = streets.fetch_image(*first_ok(streets, points, "blank"))
    assert np.ptp(np.asarray(Image.open(io.BytesIO(blank)).convert("L"))) <= 2
    broken = Image.open(io.BytesIO(streets.fetch_image(*first_ok(streets, points, "truncated"))))
    with pytest.raises(OSError, match="truncated"):
        broken.load()
    whole = Image.open(io.BytesIO(streets.fetch_image(*first_ok(streets, points))))
    whole.load()
    scenes = streets.planted_scenes(streets.find_panoramas(points))
    indoors = scenes[scenes["fault"] == "indoor"]
    assert set(indoors["category"]) == {"interior"}
    assert (indoors["disrepair"] == 0).all()


def test_no_demo_scene_is_painted_from_a_seed_of_the_training_range(lsoas, told):
    planted = truth.PlantedTruth(lsoas, told, world="signal", faults=NONE, seed=1)
    scenes = [
        planted.scene((4_400_000 + east, 3_180_000), 0, heading) for east in range(500) for heading in HEADINGS
    ]
    seeds = {seed for scene in scenes for seed in (scene.place_seed, scene.view_seed)}
    assert all(seed in WORLD_SEEDS for seed in seeds)
    assert len({scene.view_seed for scene in scenes}) == len(scenes)
    assert len({scene.place_seed for scene in scenes}) == 500


def test_no_points_are_answered_by_no_panoramas(paint, points):
    answers = paint(faults=Faults()).find_panoramas(points.head(0))
    assert len(answers) == 0
    assert len(paint().planted_scenes(answers)) == 0


def test_a_point_without_neighbours_keeps_its_own_panorama(paint, points):
    answers = paint(faults=NONE.model_copy(update={"shared_share": 1.0})).find_panoramas(points.head(1))
    assert answers["status"].tolist() == ["ok"]


def test_days_do_not_lie_before_or_after_the_decade():
    days = [panoramas.captured_on((i, i), key=("trial",)) for i in range(3000)]
    assert (min(days).year, max(days).year) == (2015, 2025)


def test_a_panorama_of_another_seed_is_refused_with_a_remedy(paint, points):
    panorama = paint(seed=2).find_panoramas(points.head(1)).iloc[0]
    with pytest.raises(ImageryError, match=r"is not one of signal-1-.*materialise panoramas again"):
        paint().fetch_image(panorama, 0.0)


def test_a_panorama_outside_the_lsoas_is_refused(paint, points, lsoas):
    panorama = paint().find_panoramas(points.head(1)).iloc[0]
    elsewhere = lsoas[lsoas["lsoa_code"] != points["lsoa_code"].iloc[0]]
    with pytest.raises(ImageryError, match="stands in none of the 299 LSOAs being painted"):
        paint(elsewhere).fetch_image(panorama, 0.0)


def test_a_picture_without_direction_is_refused(paint, points):
    panorama = paint().find_panoramas(points.head(1)).iloc[0]
    with pytest.raises(ImageryError, match="name a heading in degrees"):
        paint().fetch_image(panorama, None)


def test_an_lsoa_without_deprivation_or_beyond_0_to_1_is_refused(paint, told):
    with pytest.raises(ImageryError, match="LSOA Z01000007 has deprivation nan"):
        paint(deprivation=told.drop("Z01000007"))
    with pytest.raises(ImageryError, match=r"LSOA Z01000001 has deprivation 150\.0; painting needs a share"):
        paint(deprivation=told * 0 + 150)
