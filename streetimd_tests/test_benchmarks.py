"""The table of benchmarks is made from figures that were measured, and judges them as they are."""

import numpy as np
import pandas as pd
import pytest

from benchmarks import table
from benchmarks.findings import Finding, conclude, read, write

RATE = {"what": "images read", "unit": "images/s", "more_is_better": True}


def test_the_table_in_the_readme_is_made_from_the_figures_that_were_kept():
    assert f"{table.BEGIN}{table.table()}{table.END}" in table.README.read_text()


@pytest.mark.parametrize(
    ("finding", "ratio", "is_met"),
    [
        (Finding("time", 2.0, "s", "plain", 6.0, ">= 2.5"), 3.0, True),
        (Finding("time", 2.0, "s", "plain", 4.0, ">= 2.5"), 2.0, False),
        (Finding(**RATE, value=30.0, beside="plain", other=10.0, wanted=">= 3.5"), 3.0, False),
        (Finding(**RATE, value=40.0, beside="plain", other=10.0, wanted=">= 3.5"), 4.0, True),
        (Finding("memory", 70.0, "MiB", wanted="<= 60"), None, False),
        (Finding("memory", 50.0, "MiB", wanted="<= 60"), None, True),
        (Finding("memory", 50.0, "MiB"), None, None),
        (Finding(**RATE, value=None, wanted=">= 3.5", why="there is no GPU"), None, None),
    ],
)
def test_a_finding_is_judged_by_its_ratio_or_else_by_itself(finding, ratio, is_met):
    assert (finding.ratio, finding.is_met) == (ratio, is_met)


def test_what_is_not_met_fails_the_command_and_stands_in_the_table(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("benchmarks.findings.RESULTS", tmp_path)
    slow = Finding("time", 2.0, "s", "plain", 4.0, ">= 2.5")
    assert conclude("pooling", [slow], keep=True) == 1
    assert conclude("pooling", [Finding("time", 1.0, "s")], keep=False) == 0
    assert "NOT MET" in capsys.readouterr().out
    assert "| × 2.00 | >= 2.5 | **not met** |" in "".join(table.lines_of(tmp_path / "pooling.json"))


def test_what_was_kept_is_read_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.findings.RESULTS", tmp_path)
    monkeypatch.setattr("sys.argv", ["pooling.py", "--images", "200000", "--keep"])
    findings = [Finding("time", 2.0, "s", "plain", 4.0), Finding(**RATE, value=None, why="there is no GPU")]
    write("pooling", findings)
    kept, found = read(tmp_path / "pooling.json")
    assert found == findings
    assert kept["command"] == "python -m benchmarks.pooling --images 200000"
    assert int(kept["machine"]["cores"]) >= 1


def made_up(embedding, score):
    return pd.DataFrame({"image_id": ["a", "b"], "embedding": [np.float32(embedding), None], "score": score})


def test_the_fault_campaign_takes_rounding_for_the_same_and_nothing_else():
    campaign = pytest.importorskip("benchmarks.faults.campaign", exc_type=ImportError)
    whole = {"place/table": made_up([0.6, 0.8], [1.0, None]), "place/a.jpg": "its hash"}
    alike = whole | {"place/table": made_up([0.6, 0.8000001], [1.0000001, None])}
    assert campaign.differences(whole, alike) == []
    for other in (
        made_up([0.6, 0.801], [1.0, None]),
        made_up([0.6, 0.8], [1.0, 0.0]),
        made_up([0.6, 0.8], [1.0, None])[:1],
        made_up([0.6, 0.8], [1.0, None]).assign(image_id=["b", "a"]),
    ):
        assert campaign.differences(whole, whole | {"place/table": other}) == ["place/table"]
    assert campaign.differences(whole, {"place/table": whole["place/table"]}) == ["place/a.jpg"]
    assert campaign.differences(whole, whole | {"place/a.jpg": "another"}) == ["place/a.jpg"]
    assert campaign.differences(whole, whole | {"place/b.jpg": "another"}) == ["place/b.jpg"]
