import pytest
import shapely

from streetimd_assets.errors import BoundaryError
from streetimd_assets.study.local_authorities import SYNTHETIC_LOCAL_AUTHORITIES, LocalAuthority
from streetimd_assets.synthetic.geography import build_lsoas, places_in_world


def test_the_world_has_300_lsoas_in_six_local_authorities(lsoas):
    sizes = lsoas["lad_code"].value_counts()
    assert {a.lad_code: a.n_lsoas for a in SYNTHETIC_LOCAL_AUTHORITIES} == sizes.to_dict()
    assert len(lsoas) == 300
    assert lsoas["lsoa_code"].is_unique
    assert lsoas["lsoa_name"].is_unique
    assert lsoas.crs.to_epsg() == 27700


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_lsoas_tile_one_region_without_gap_or_overlap(seed):
    lsoas = build_lsoas(seed=seed)
    region = lsoas.union_all()
    assert lsoas.is_valid.all()
    assert lsoas.area.sum() == pytest.approx(region.area, abs=0.01)
    assert region.geom_type == "Polygon"
    assert not region.interiors


def test_every_local_authority_is_one_piece_and_adjoins_another(lsoas):
    authorities = lsoas.dissolve("lad_code").geometry
    assert set(authorities.geom_type) == {"Polygon"}
    for code, outline in authorities.items():
        assert max(outline.intersection(other).length for other in authorities.drop(code)) > 200


def test_outlines_are_irregular_and_of_urban_size(lsoas):
    boxes = shapely.area(shapely.oriented_envelope(lsoas.geometry.values))
    assert (lsoas.area / boxes).max() < 0.95
    assert lsoas.area.between(30_000, 200_000).all()


def test_the_world_lies_well_inside_england(lsoas):
    west, south, east, north = lsoas.total_bounds
    assert 350_000 < west < east < 500_000
    assert 250_000 < south < north < 400_000


def test_an_authority_asked_alone_has_the_outlines_it_has_among_the_others(lsoas):
    for authority in SYNTHETIC_LOCAL_AUTHORITIES:
        alone = build_lsoas([authority])
        among = lsoas[lsoas["lad_code"] == authority.lad_code].reset_index(drop=True)
        assert alone.equals(among)


def test_another_seed_is_another_world_and_the_same_seed_the_same(lsoas):
    assert build_lsoas(seed=1).equals(lsoas)
    assert not build_lsoas(seed=2).geometry.equals(lsoas.geometry)


def test_a_caller_cannot_spoil_the_world_of_the_next():
    build_lsoas()["lsoa_code"] = "spoilt"
    assert build_lsoas()["lsoa_code"][0] == "Z01000001"


def test_a_place_outside_the_world_is_refused_by_name():
    with pytest.raises(BoundaryError, match="'Camden' is not in the synthetic world; choose among Alderwick"):
        build_lsoas([LocalAuthority("camden", "E09000007", "Camden", 130)])


def test_lsoas_of_another_world_are_refused(lsoas):
    with pytest.raises(BoundaryError, match="outlines of the synthetic world of seed 2"):
        places_in_world(lsoas, seed=2)
    with pytest.raises(BoundaryError, match="LSOA E01000001 is not in the synthetic world"):
        places_in_world(lsoas.head(2).assign(lsoa_code=["Z01000001", "E01000001"]), seed=1)
