"""Principal components are drawn with what they carry, what they are made of, and where they lie."""

import numpy as np
import pytest

from streetimd_assets.plots import components
from streetimd_tests.plots.made_up_tables import N_DIMENSIONS, made_up_tables


@pytest.fixture(scope="module")
def tables():
    return made_up_tables()


def test_components_show_their_variance_its_running_sum_and_r(tables):
    figure = components.component_variances_and_correlations(tables["embedding_components"], target="imd_rank")
    variance, running, r = figure.data
    assert variance.y == pytest.approx([40, 20, 10, 5, 2])
    assert running.y == pytest.approx([40, 60, 70, 75, 77])
    assert r.y == pytest.approx([0.1, -0.6, 0.2, 0.0, 0.1])
    assert "1 = most deprived" in figure.layout.xaxis2.title.text


def test_loadings_fall_from_the_largest_and_keep_every_dimension(tables):
    figure = components.component_loadings(tables["embedding_components"])
    assert len(figure.data) == 5
    for trace, loadings in zip(figure.data, tables["embedding_components"]["loadings"], strict=True):
        assert trace.y == pytest.approx(np.sort(loadings)[::-1])
        assert f"dimension {np.argmax(loadings)}:" in trace.text[0]
    assert "Embedding dimensions" in figure.layout.xaxis.title.text
    even = sorted(shape.y0 for shape in figure.layout.shapes)
    assert even == pytest.approx([-(N_DIMENSIONS**-0.5), N_DIMENSIONS**-0.5])


def test_loadings_of_area_features_are_told_by_name(tables):
    names = [f"feature &amp; {place}" for place in range(N_DIMENSIONS)]
    figure = components.component_loadings(tables["embedding_components"], names)
    for trace, loadings in zip(figure.data, tables["embedding_components"]["loadings"], strict=True):
        assert f", {names[np.argmax(loadings)]}:" in trace.text[0]
    assert figure.layout.xaxis.title.text.startswith("Area features")
