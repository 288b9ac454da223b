"""Small tables with every column the pages read, invented, the same each time."""

from datetime import date, timedelta

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from streetimd_assets.schemas import MEASURES

SCRIPT = "<script>alert(1)</script>"
TITLES = {"terrace": "Terraced houses", "park": "Park", "interior": "Interior"}
REJECTS = ("interior",)
HEADING = "Trial (SYNTHETIC IMAGES)"
SPLITS = ("random_folds", "leave_one_la_out")
N_DIMENSIONS = 16


def made_up_lsoas(n_authorities=4, side=5):
    """Squares of 500 m in a row of local authorities, one of them with a hole."""
    rows = []
    for authority in range(n_authorities):
        for number in range(side * side):
            west = 400_000 + 500 * (authority * side + number % side)
            south = 300_000 + 500 * (number // side)
            square = shapely.box(west, south, west + 500, south + 500)
            if authority == number == 0:
                square = square.difference(shapely.box(west + 200, south + 200, west + 300, south + 300))
            code = f"Z0{authority}00{number:04d}"
            rows.append((code, f"Place {authority} {number:03d}A", f"Z0600000{authority + 1}", square))
    columns = ["lsoa_code", "lsoa_name", "lad_code", "geometry"]
    return gpd.GeoDataFrame(pd.DataFrame(rows, columns=columns), geometry="geometry", crs="EPSG:27700")


def made_up_tables(lsoas=None, seed=0):
    """Every table the study report reads, by name."""
    lsoas = made_up_lsoas() if lsoas is None else lsoas
    rng = np.random.default_rng(seed)
    codes, lads, n = lsoas["lsoa_code"], lsoas["lad_code"], len(lsoas)
    rank = rng.permutation(n) + 1
    return {
        "lsoa_boundaries": pd.DataFrame(lsoas[["lsoa_code", "lsoa_name", "lad_code"]]),
        "deprivation_indices": pd.DataFrame(
            {
                "lsoa_code": codes,
                "lad_code": lads,
                "deprivation_index": "synthetic",
                "imd_score": 100.0 - rank,
                "imd_rank": rank,
                "imd_decile": (rank - 1) * 10 // n + 1,
            }
        ),
        "panoramas": pd.DataFrame(
            {
                "lsoa_code": [codes.iloc[k * n // 10] for k in range(10)],
                "status": ["ok"] * 8 + ["no_imagery", "too_far"],
                "captured_on": [date(2020, 1, 15) + timedelta(days=30 * k) for k in range(10)],
            }
        ),
        "street_images": pd.DataFrame(
            {
                "status": ["ok"] * 30 + ["invalid_image", "failed"],
                "source": "painted",
                "licence": "CC0",
                "credit": ["A. Painter"] * 20 + [None] * 12,
                "captured_on": date(2020, 1, 15),
            }
        ),
        "category_embeddings": pd.DataFrame(
            {
                "position": range(3),
                "category": list(TITLES),
                "is_reject": [name in REJECTS for name in TITLES],
                "prompts": [f"a {name}\nthe {name}" for name in TITLES],
            }
        ),
        "category_probabilities": pd.DataFrame(
            {
                "category": (["terrace"] * 5 + ["park"] * 4 + ["interior"]) * 10,
                "probability": rng.uniform(0.4, 1, 100),
                "margin": rng.uniform(0, 0.3, 100),
            }
        ),
        "prompt_sensitivities": made_up_sensitivities(),
        "lsoa_features": made_up_features(codes, lads, rng),
        "imd_correlations": made_up_correlations(n, rng),
        "noise_correlations": pd.concat(
            [made_up_draws("independent", 0.1, 0.2, n), made_up_draws("spatial", 0.25, 0.45, n)], ignore_index=True
        ),
        "spatial_fields": made_up_fields(n),
        "embedding_components": pd.DataFrame(
            {
                "component": range(1, 6),
                "explained_variance_share": [0.4, 0.2, 0.1, 0.05, 0.02],
                "pearson_r": [0.1, -0.6, 0.2, 0.0, 0.1],
                "spearman_r": 0.1,
                "n_lsoas": n,
                "loadings": list(np.linalg.qr(rng.normal(size=(N_DIMENSIONS, 5)))[0].T),
            }
        ),
        "model_scores": made_up_scores(n),
        "model_differences": made_up_differences(made_up_scores(n)),
        "lsoa_predictions": made_up_predictions(codes, lads, rank, rng),
        "residual_autocorrelation": made_up_autocorrelation(n),
        "residual_clusters": made_up_clusters(codes, lads),
        "learning_curve": made_up_curve(n),
        "component_scores": pd.DataFrame(
            {"lsoa_code": codes, "component_1": rng.normal(size=n), "component_2": rng.normal(size=n)}
        ),
        "feature_importances": made_up_importances(),
        "example_images": made_up_examples(codes, lads),
        "example_words": made_up_words(),
        "concept_correlations": made_up_concepts(n),
        "local_authority_scores": pd.DataFrame(
            {
                "model_id": [f"imd_rank/embeddings-mean/ridge/{split}" for split in SPLITS],
                "lad_code": lads.iloc[0],
                "feature_set": "embeddings",
                "estimator": "ridge",
                "split": SPLITS,
                "n_lsoas": 9,
                **with_ends("r2", None),
                **with_ends("mean_absolute_error", 12.0, 2.0),
                **with_ends("mean_error", -3.0, 2.0),
                **with_ends("spearman_r", None),
            }
        ),
    }


def made_up_features(codes, lads, rng):
    counts = rng.integers(0, 8, (len(codes), 3))
    counts[1] = 0
    kept, total = counts[:, :2].sum(axis=1), counts.sum(axis=1)
    features = pd.DataFrame({"lsoa_code": codes, "lad_code": lads, "n_points": 5, "n_panoramas": 4})
    features["n_images"], features["n_images_kept"] = total, kept
    with np.errstate(invalid="ignore", divide="ignore"):
        features["rejected_share"] = 1 - kept / total
        for place, name in enumerate(TITLES):
            features[f"n_{name}"] = counts[:, place]
            features[f"{name}_share"] = counts[:, place] / (total if name in REJECTS else kept)
    return features


def made_up_draws(kind, low, high, n):
    return pd.DataFrame(
        {
            "kind": kind,
            "draw": range(100),
            "max_absolute_r": np.linspace(low, high, 100),
            "median_absolute_r": low / 2,
            "n_dimensions": N_DIMENSIONS,
            "n_lsoas": n,
        }
    )


def made_up_fields(n):
    return pd.DataFrame(
        {
            "measure": MEASURES,
            "morans_i": 0.52,
            "range_m": 2_345.0,
            "smooth_share": 0.7,
            "shape": "exponential",
            "stretch": 1.0,
            "bearing_deg": 0.0,
            "longest_range_m": 3_456.0,
            "n_lsoas": n,
        }
    )


def made_up_correlations(n, rng):
    tables = []
    for measure in MEASURES:
        r = rng.uniform(-0.6, 0.6, N_DIMENSIONS)
        tables.append(
            pd.DataFrame(
                {
                    "measure": measure,
                    "dimension": range(N_DIMENSIONS),
                    "pearson_r": r,
                    "spearman_r": r,
                    "p_value": 0.01,
                    "q_value": np.where(np.abs(r) > 0.3, 0.01, 0.5),
                    "spatial_p_value": 0.02,
                    "spatial_q_value": np.where(np.abs(r) > 0.5, 0.02, 0.6),
                    "spectral_p_value": 0.02,
                    "spectral_q_value": np.where(np.abs(r) > 0.4, 0.02, 0.6),
                    "n_lsoas": n,
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def with_ends(name, value, apart=0.1):
    """A score and its interval; one that is missing has none."""
    low, high = (None, None) if value is None else (value - apart, value + apart)
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def score_row(experiment, feature_set, statistic, category, estimator, split, fold, r2, n):
    features = "-".join(filter(None, (feature_set, statistic, category)))
    low, high = (r2 - 0.1, r2 + 0.05) if fold == "all" and r2 is not None else (None, None)
    return {
        "model_id": f"imd_rank/{features}/{estimator}/{split}",
        "experiment": experiment,
        "lsoas": "own",
        "target": "imd_rank",
        "feature_set": feature_set,
        "statistic": statistic,
        "category": category,
        "estimator": estimator,
        "split": split,
        "fold": fold,
        "n_lsoas": n,
        "coverage_share": n / 100,
        "n_train": n - 20,
        "n_test": n if fold == "all" else 20,
        "r2": r2,
        "r2_low": low,
        "r2_high": high,
        **with_ends("mean_absolute_error", 10.0),
        **with_ends("decile_absolute_error", 1.5),
        **with_ends("spearman_r", 0.5),
        **with_ends("within_one_decile_share", 0.6),
        **with_ends("weighted_kappa", 0.7),
        "interval_coverage_share": 0.9,
        "tuning": "nested",
        "parameters": None,
        "note": None,
    }


def made_up_differences(scores):
    """Each tuned model beside the ridge and the coordinates of its split."""
    whole = scores[(scores["fold"] == "all") & (scores["experiment"] == "tuned")]
    rows = []
    for reference in whole[whole["estimator"].isin(["ridge", "coordinates"])].to_dict("records"):
        for row in whole[whole["split"] == reference["split"]].to_dict("records"):
            apart = row["r2"] - reference["r2"]
            rows.append(
                {
                    "model_id": row["model_id"],
                    "reference_id": reference["model_id"],
                    "experiment": "tuned",
                    "target": row["target"],
                    "split": row["split"],
                    "r2_difference": apart,
                    "r2_difference_low": apart - 0.02,
                    "r2_difference_high": apart + 0.03,
                    "n_lsoas": row["n_lsoas"],
                }
            )
    table = pd.DataFrame(rows)
    return table[table["model_id"] != table["reference_id"]].reset_index(drop=True)


def made_up_scores(n):
    rows = []
    for fold in ("all", "0", "1"):
        # single folds lie far from the whole, so that a figure that drew them would show it
        whole = fold == "all"
        for place, split in enumerate(SPLITS):
            for estimator, r2 in (("ridge", 0.6), ("random_forest", 0.5)):
                r2 = r2 - 0.1 * place if whole else -0.5
                rows.append(score_row("tuned", "embeddings", "mean", None, estimator, split, fold, r2, n))
            for name, r2 in (("mean", -0.01), ("coordinates", 0.3 - 0.25 * place)):
                rows.append(score_row("tuned", "baseline", None, None, name, split, fold, r2, n))
        for statistic in ("mean", "median", "max"):
            forest = ("random_forest", "repeated_80_20", fold)
            r2 = 0.55 if whole else -0.5
            rows.append(score_row("forest_80_20", "embeddings", statistic, None, *forest, r2, n))
            rows.append(score_row("forest_80_20", "embeddings", statistic, "park", *forest, r2 - 0.2, n - 40))
        rows.append(score_row("forest_80_20", "percentages", None, None, *forest, 0.25 if whole else -0.5, n))
    # too few LSOAs show the category: the model has a row and no score
    rows.append(score_row("forest_80_20", "embeddings", "max", "terrace", *forest[:2], "all", None, 4))
    return pd.DataFrame(rows)


def made_up_predictions(codes, lads, rank, rng):
    tables = []
    for split in SPLITS:
        predicted = rank + rng.normal(0, 10, len(codes))
        tables.append(
            pd.DataFrame(
                {
                    "model_id": f"imd_rank/embeddings-mean/ridge/{split}",
                    "lsoa_code": codes,
                    "lad_code": lads,
                    "fold": "0",
                    "observed": rank.astype(float),
                    "predicted": predicted,
                    "residual": rank - predicted,
                    "predicted_low": predicted - 15,
                    "predicted_high": predicted + 15 + np.arange(len(codes)) % 3,
                    "is_thin": np.arange(len(codes)) % 10 == 0,
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def made_up_autocorrelation(n):
    return pd.DataFrame(
        [
            {
                "model_id": f"imd_rank/{features}/{estimator}/{split}",
                "split": split,
                "morans_i": morans_i + 0.1 * place,
                "expected_i": -1 / (n - 1),
                "p_value": 0.001 if morans_i else 0.4,
                "observed_morans_i": 0.52,
                "n_neighbours": 8,
                "n_lsoas": n,
            }
            for place, split in enumerate(SPLITS)
            for features, estimator, morans_i in (
                ("embeddings-mean", "ridge", 0.21),
                ("embeddings-mean", "random_forest", 0.0),
                ("baseline", "mean", 0.5),
            )
        ]
    )


def made_up_clusters(codes, lads):
    """The first local authority's LSOAs are of every kind, the others of none."""
    kinds = ["low_low", "low_high", "high_low", "high_high", "none"]
    return pd.DataFrame(
        {
            "model_id": f"imd_rank/embeddings-mean/ridge/{SPLITS[-1]}",
            "lsoa_code": codes,
            "lad_code": lads,
            "residual": 0.0,
            "local_i": 0.0,
            "cluster": [kinds[k % 5] if k < 25 else "none" for k in range(len(codes))],
            "p_value": 0.5,
            "q_value": 0.5,
        }
    )


def made_up_curve(n):
    return pd.DataFrame(
        [
            {
                "n_points_per_lsoa": k,
                "repeat": repeat,
                "split": SPLITS[-1],
                "estimator": "ridge",
                "mean_points_per_lsoa": float(min(k, 6)),
                "mean_images_per_lsoa": 4.0 * min(k, 6),
                "r2": r2,
                "r2_low": r2 - 0.05 if repeat == "all" else None,
                "r2_high": r2 + 0.05 if repeat == "all" else None,
                "n_lsoas": n,
            }
            for k, r2 in ((1, 0.40), (2, 0.47), (3, 0.495), (8, 0.50))
            for repeat in ("0", "all")
        ]
    )


def made_up_importances():
    """Three features by permutation and Gini, two groups of each sort, and two shares by SHAP."""
    features = ["mean_embedding_003", "park_share", "mean_embedding_001"]
    forest, boosted = "imd_rank/both-mean/random_forest", "imd_rank/percentages/lightgbm"
    eight = "\n".join([f"mean_embedding_{number:03d}" for number in range(7)] + ["park_share"])
    columns = ["model_id", "method", "feature", "importance", "importance_sd", "band_low", "band_high", "band_top",
               "top_share", "direction_r", "position", "members"]  # fmt: skip
    none = float("nan")
    rows = [
        *((forest, "permutation", name, value, sd, -0.02, 0.05, 0.12, share, none, place, None)
          for place, (name, value, sd, share) in enumerate(
              zip(features, [0.2, 0.1, -0.01], [0.02, 0.01, 0.01], [1.0, 0.5, 0.0], strict=True), start=1)),
        *((forest, "gini", name, value, 0.1, 0.0, high, 0.4, 1.0, none, place, None)
          for place, (name, value, high) in enumerate(
              zip(features, [0.5, 0.3, 0.2], [0.3, 0.1, 0.3], strict=True), start=1)),
        (forest, "permutation_cluster", "cluster_01", 0.3, 0.02, -0.02, 0.05, 0.06, none, none, 1, eight),
        (forest, "permutation_cluster", "cluster_02", 0.04, 0.02, -0.02, 0.05, 0.06, none, none, 2, features[0]),
        (forest, "permutation_component", "component_02", 0.04, 0.02, -0.02, 0.05, 0.06, none, none, 1, eight),
        (boosted, "shap", "terrace_share", 80.0, 5.0, 10.0, 20.0, 25.0, none, -0.9, 1, None),
        (boosted, "shap", "park_share", 15.0, 5.0, 10.0, 20.0, 25.0, none, 0.1, 2, None),
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def made_up_sensitivities():
    """Two local authorities of 100 images; one rewording moves every tenth image, the control takes none."""
    variants = [
        ("reworded: a picture of {}.", "reworded", None, 10),
        ("park without: the park", "without_prompt", "park", 2),
        ("control: a cucumber", "control", "control", 0),
    ]
    return pd.DataFrame(
        [
            (variant, kind, category, 100, n_changed, n_changed / 100)
            for variant, kind, category, n_changed in variants
            for _ in range(2)
        ],
        columns=["variant", "kind", "category", "n_images", "n_changed", "changed_share"],
    )


def made_up_examples(codes, lads):
    """Two images at each end of two features."""
    rows = [
        {
            "model_id": "imd_rank/both-mean/random_forest",
            "feature": feature,
            "feature_position": place,
            "end": end,
            "position": position,
            "value": (2 - position) * (1 if end == "high" else -1) / 10,
            "image_id": f"{feature}@{end}{position}",
            "lsoa_code": codes.iloc[position],
            "lad_code": lads.iloc[position],
            "heading_deg": 90.0,
            "category": "park",
            "image_path": f"{feature}-{end}-{position}.jpg",
            "captured_on": date(2021, 5, 4),
            "licence": "CC0",
            "credit": "A. Painter",
            "viewer_url": "https://example.org/picture",
        }
        for place, feature in enumerate(("mean_embedding_003", "park_share"), start=1)
        for end in ("high", "low")
        for position in (1, 2)
    ]
    return pd.DataFrame(rows)


def made_up_concepts(n):
    """Two pairs, forty texts and thirty random words; the first text goes most with deprivation."""
    names = [("run down", "pair"), ("busy", "pair"), *((f"text {k:02d}", "prompt") for k in range(40))]
    names += [(f"random: thing {k:02d}", "random") for k in range(30)]
    names += [(f"random: thing {k:02d} − other", "random") for k in range(30)]
    tables = []
    for measure, sign in (("imd_rank", -1), ("imd_score", 1)):
        texts = np.linspace(0.6, -0.5, 40)
        random = np.linspace(-0.2, 0.2, 30)
        r = sign * np.array([0.55, -0.1, *texts, *random, *(random / 2)])
        rows = pd.DataFrame(names, columns=["concept", "kind"]).assign(measure=measure, toward="high\nhigher")
        is_pair = (rows["kind"] == "pair") | rows["concept"].str.contains(" − ")
        rows["away"] = np.where(is_pair, "low\nlower", None)
        is_random = rows["kind"] == "random"
        tables.append(
            rows.assign(
                pearson_r=r,
                pearson_r_low=r - 0.1,
                pearson_r_high=r + 0.15,
                spearman_r=r,
                spatial_p_value=0.01,
                spatial_q_value=np.where(is_random, np.nan, np.where(np.abs(r) > 0.3, 0.02, 0.4)),
                random_word_p_value=np.where(is_random, np.nan, np.where(np.abs(r) > 0.2, 1 / 31, 0.5)),
                n_lsoas=n,
            )
        )
    return pd.concat(tables, ignore_index=True)


def made_up_words():
    """Two texts at each end of the first feature of the examples."""
    return pd.DataFrame(
        {
            "feature": "mean_embedding_003",
            "feature_position": 1,
            "end": ["high", "high", "low", "low"],
            "position": [1, 2, 1, 2],
            "text": ["a boarded-up shop", "litter", "a village green", "hanging baskets"],
            "value": [2.34, 1.5, -1.9, -1.2],
        }
    )
