"""Real roads, neighbourhoods, index and photographs of London through the whole graph."""

import csv

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from streetimd_tests.conftest import streetimd
from streetimd_tests.graph import new_instance
from streetimd_tests.real_data import real_data_folder
from streetimd_tests.standins import serve_real_data

pytestmark = pytest.mark.real_data
PLACES = 'local_authorities = ["Camden", "Tower Hamlets"]\ncategory_set = "demo"\n'
EVERY_ROAD = "include_tunnels = true\ninclude_private = true"
ENCODER = '[encoder]\nmodel = "streetimd-demo"\nweights = "bundled"\n'


def geography(addresses, more="") -> str:
    """Point a study at the stand-ins."""
    return (
        f'[geography]\nboundaries = "{addresses.lsoa_service}"\nlookup = "{addresses.lookup_service}"\n'
        f'overpass_url = "{addresses.overpass_url}"\n{more}\n[deprivation]\nurl = "{addresses.deprivation_url}"\n'
    )


@pytest.fixture(scope="module")
def london(run_variant):
    """Camden and Tower Hamlets with painted images, at most four points per LSOA."""
    with serve_real_data(real_data_folder()) as addresses:
        text = (
            f'name = "london"\ntitle = "Two boroughs"\n{PLACES}{geography(addresses)}'
            "[sampling]\nspacing_m = 50\nmax_points_per_lsoa = 4\n"
            f'[imagery]\nsource = "painted"\nimage_size_px = 96\n{ENCODER}'
            '[modelling]\neffort = "quick"\nn_trees = 50\nn_folds = 3\nn_repeats = 2\nn_permutations = 2\n'
        )
        return run_variant(text=text)


def test_real_boroughs_run_whole(london):
    store = london.house.store
    features = store.read_study_wide("lsoa_features", ["camden", "tower-hamlets"])
    assert len(features) == 130 + 169
    assert features["n_points"].max() == 4
    assert (features["n_points"] > 0).mean() > 0.99
    ranks = store.read("deprivation_indices", "camden")
    assert set(ranks["imd_decile"]) == set(range(1, 11))
    whole = store.read("model_scores").query("fold == 'all' and split == 'random_folds'")
    best = whole[whole["feature_set"] == "embeddings"]["r2_low"].max()
    assert best > 0.2


def test_with_two_boroughs_none_is_left_out_and_blocks_of_neighbours_are_the_headline(london):
    scores = london.house.store.read("model_scores").query("fold == 'all' and experiment == 'tuned'")
    refused = scores[scores["split"] == "leave_one_la_out"]
    assert len(refused) > 10
    assert refused["r2"].isna().all()
    assert refused["note"].str.contains("only 2 local authorities are covered and 4 are needed").all()
    assert scores[scores["split"] == "spatial_blocks"]["r2"].notna().all()
    page = (london.house.folder / "pages" / "study_report.html").read_text(encoding="utf-8")
    assert "With spatial blocks held out, ridge on embeddings explains" in page
    assert "No local authority is left out: only 2 local authorities are covered" in page


def test_every_page_says_that_images_are_painted(london):
    pages = list((london.house.folder / "pages").rglob("*.html"))
    # the study's report and its example images, and four pages of each borough
    assert len(pages) == 2 + 4 * 2
    for page in pages:
        assert "SYNTHETIC IMAGES" in page.read_text(encoding="utf-8")


def test_points_are_50_m_apart_in_both_boroughs(tmp_path):
    """Without the cap: as many points as road length over spacing, within 2%."""
    import dagster as dg

    from streetimd_assets.definitions import build_defs
    from streetimd_assets.defs.house import House
    from streetimd_assets.settings import Settings
    from streetimd_assets.study import load_study

    with serve_real_data(real_data_folder()) as addresses:
        path = tmp_path / "dense.toml"
        path.write_text(
            f'name = "dense"\n{PLACES}{geography(addresses, EVERY_ROAD)}[sampling]\nspacing_m = 50\n'
            f'[imagery]\nsource = "painted"\n{ENCODER}'
        )
        study, settings = load_study(path), Settings(str(path), tmp_path)
        collect = build_defs(study, settings).resolve_job_def("collect")
        chosen = ["lsoa_boundaries", "road_segments", "sample_points"]
        with new_instance(tmp_path / "dagster") as instance:
            for slug, expected_m in (("camden", 286_000), ("tower-hamlets", 330_000)):
                result = collect.execute_in_process(
                    instance=instance, partition_key=slug, asset_selection=[dg.AssetKey(name) for name in chosen]
                )
                metadata = result.asset_materializations_for_node("road_segments")[0].metadata
                length_m = metadata["road_km_inside"].value * 1000
                assert length_m == pytest.approx(expected_m, rel=0.01)
                points = House(study, settings).store.read("sample_points", slug)
                assert len(points) == pytest.approx(length_m / 50, rel=0.02)
                if slug == "camden":
                    assert points["lsoa_code"].nunique() == 130


def test_a_table_of_area_features_of_real_boroughs_is_read_without_images(run_variant, tmp_path):
    """Whether an LSOA is among the unhealthy, and noise: by the index's own headings, for all of England."""
    from streetimd_assets.store.opening import open_study

    index = pd.read_csv(real_data_folder() / "imd" / "iod2025_file7.csv.gz").set_index("LSOA code (2021)")
    ranks = index["Index of Multiple Deprivation (IMD) Rank (where 1 is most deprived)"]
    unhealthy = index["Health Deprivation and Disability Decile (where 1 is most deprived 10% of LSOAs)"] <= 4
    table = pd.DataFrame({"LSOA name (2021)": index["LSOA name (2021)"], "Unhealthy, yes or no": unhealthy})
    table = table.assign(noise=np.random.default_rng(1).normal(size=len(table)))
    table.to_parquet(tmp_path / "areas.parquet")
    with serve_real_data(real_data_folder()) as addresses:
        places = PLACES.replace('category_set = "demo"\n', "")
        quick = '[modelling]\neffort = "quick"\nn_trees = 20\nn_folds = 3\nn_repeats = 1\nn_permutations = 1\n'
        named = f'[features]\nfeatures_from = "{tmp_path / "areas.parquet"}"\n'
        ran = run_variant(text=f'name = "areas"\n{places}{geography(addresses)}{named}{quick}')
    opened = open_study(ran.study, ran.data_root)
    features = opened.read("lsoa_features").set_index("lsoa_code")
    assert len(features) == 130 + 169
    assert (features["Unhealthy, yes or no"] == unhealthy.loc[features.index]).all()
    found = opened.read("imd_correlations").query("measure == 'imd_rank'").set_index("feature")["pearson_r"]
    # rank 1 is the most deprived
    expected = np.corrcoef(unhealthy.loc[features.index], ranks.loc[features.index])[0, 1]
    assert found["Unhealthy, yes or no"] == pytest.approx(expected, abs=1e-6)
    assert expected < -0.4
    assert abs(found["noise"]) < 0.2
    assert "SYNTHETIC" not in (ran.house.folder / "pages" / "study_report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """The 50 London photographs and a manifest made from their metadata."""
    images = real_data_folder() / "images" / "london_mapillary"
    manifest = tmp_path_factory.mktemp("photographs") / "manifest.csv"
    with (images / "metadata.csv").open(encoding="utf-8") as rows, manifest.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["image_path", "longitude", "latitude", "heading", "captured_at", "licence", "credit"])
        for row in csv.DictReader(rows):
            where = (row["lon"], row["lat"], row["compass_angle"], row["captured_date"])
            writer.writerow([row["file"], *where, "CC BY-SA 4.0", "Mapillary contributors"])
    return images, manifest


def test_photographs_elsewhere_are_counted_and_those_inside_reach_the_features(run_variant, photographs):
    images, manifest = photographs
    with serve_real_data(real_data_folder()) as addresses:
        path = manifest.with_name("study.toml")
        path.write_text(
            f'name = "photographs"\n{PLACES}{geography(addresses)}'
            f'[imagery]\nsource = "folder"\nfolder = "{images}"\nmanifest = "{manifest}"\n{ENCODER}'
        )
        data = manifest.with_name("data")
        # a handful of photographs is too few for models: what is collected is what is looked at
        done = streetimd("run", str(path), "--data", str(data), expect=2)
    assert "are needed" in done.stderr
    from streetimd_assets.defs.house import House
    from streetimd_assets.settings import Settings
    from streetimd_assets.study import load_study

    store = House(load_study(path), Settings(str(path), data)).store
    truth = pd.read_csv(images / "metadata.csv", dtype=str)
    inside = set()
    for slug in ("camden", "tower-hamlets"):
        panoramas = store.read("panoramas", slug)
        assert len(panoramas) == 50
        lsoas = set(store.read("lsoa_boundaries", slug)["lsoa_code"])
        expected = set(truth[truth["lsoa21_by_point"].isin(lsoas)]["file"].str.removesuffix(".jpg"))
        ok = panoramas[panoramas["status"].isin(["ok", "duplicate_panorama"])]
        assert set(ok["point_id"]) == expected
        no_position = truth["lon"].isna().sum()
        assert (panoramas["status"] == "failed").sum() == no_position
        assert (panoramas["status"] == "outside_local_authority").sum() == 50 - len(expected) - no_position
        features = store.read("lsoa_features", slug)
        assert features["n_images"].sum() == len(store.read("image_embeddings", slug, ["image_id"]))
        inside |= expected
    assert len(inside) == 4


def test_every_decodable_photograph_goes_through_the_real_architecture(tmp_path, photographs):
    """ViT-B-32 from a local checkpoint with random weights: its categories mean nothing, its code path does."""
    import torch

    from streetimd_assets.encoders import load_encoder
    from streetimd_assets.encoders.torchvision_shim import import_open_clip
    from streetimd_assets.science import classification
    from streetimd_assets.study import load_category_set

    checkpoint = tmp_path / "random.pt"
    torch.save(import_open_clip().create_model("ViT-B-32").state_dict(), checkpoint)
    encoder = load_encoder("ViT-B-32", str(checkpoint), batch_size=16)
    checkpoint.unlink()
    images, _ = photographs
    files = sorted(images.glob("*.jpg"))
    pictures = [Image.open(path).convert("RGB") for path in files]
    embeddings = encoder.embed_images(pictures)
    assert embeddings.shape == (50, 512)
    assert np.allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-4)
    alone = np.vstack([encoder.embed_images([picture]) for picture in pictures[:3]])
    assert (np.sum(alone * embeddings[:3], axis=1) > 0.9999).all()
    categories = load_category_set("uk-streets")
    words = pd.DataFrame(
        {
            "position": range(len(categories.names)),
            "category": categories.names,
            "is_reject": [category.is_reject for category in categories.category],
            "embedding": [
                classification.average_prompts(encoder.embed_texts(categories.phrases(category)))
                for category in categories.category
            ],
            "logit_scale": encoder.logit_scale,
            "category_set_hash": categories.content_hash,
            "encoder": encoder.identity,
        }
    )
    rows = pd.DataFrame(
        {
            "image_id": [path.stem for path in files],
            "lsoa_code": "E01000842",
            "heading_deg": 0.0,
            "encoder": encoder.identity,
        }
    )
    classified = classification.classify_images(rows, embeddings, words)
    assert (
        classification.largest_sum_deviation(
            classified[[f"{name}_probability" for name in categories.names]].to_numpy()
        )
        < 1e-5
    )
    assert len(classified) == 50
