"""An image that is held is known to be held, whatever its name and however the last run ended."""

from datetime import date

import pytest

from streetimd_assets.store.images import ImageStore, read_image_file

ODD_NAMES = [
    "a/b@000",
    "a%2Fb@000",
    "a%2fb@000",
    "../../a@000",
    "..@000",
    ".@na",
    "a b@000",
    "a\\b@000",
    "a:b@000",
    "a\nb@000",
    "a\x00b@000",
    "\x0e9@000",
    "é9@000",
    "\xa77@000",
    "\n77@000",
    "日本語@000",
    "%@000",
    "~@000",
    "a?*[b]@000",
    "-rf@000",
    "x" * 500 + "@000",
    "x" * 500 + "@090",
    "日" * 100 + "@090",
]


@pytest.fixture
def images(tmp_path):
    return ImageStore(tmp_path, "camden")


def row(name, **about):
    return {"image_id": name, "status": "ok", "image_path": None, "captured_on": date(2021, 5, 4), **about}


def test_an_image_is_read_by_the_path_it_was_kept_under(images, tmp_path):
    path = images.save("p1@090", b"jpeg")
    assert path == "images/camden/p1@090.jpg"
    assert read_image_file(tmp_path, path) == b"jpeg"
    assert read_image_file(tmp_path, "images/camden/p2@090.jpg") is None


def test_names_with_odd_characters_are_safe_and_never_collide(images, tmp_path):
    paths = {name: images.save(name, name.encode()) for name in ODD_NAMES}
    assert len(set(paths.values())) == len(ODD_NAMES)
    for name, path in paths.items():
        assert read_image_file(tmp_path, path) == name.encode()
        assert (tmp_path / path).resolve().parent == (tmp_path / "images" / "camden").resolve()
        assert (tmp_path / path).name.isascii()
    assert len(list((tmp_path / "images" / "camden").iterdir())) == len(ODD_NAMES)


def test_any_one_character_more_or_less_gives_another_file(images):
    names = {f"a{chr(code)}{suffix}@000" for code in range(1, 1200) for suffix in ("", "0", "7", "b")}
    assert len({images.save(name, b"") for name in sorted(names)[::10]}) == len(sorted(names)[::10])


def test_rows_come_back_as_they_were_recorded_the_latest_of_each(images):
    images.record(row("p1@000", status="failed", captured_on=None))
    images.record(row("p2@000", credit="© Ångström\u2028", heading_deg=90.0, n_bytes=12))
    images.record(row("p1@000"))
    assert images.recorded() == {
        "p1@000": row("p1@000"),
        "p2@000": row("p2@000", credit="© Ångström\u2028", heading_deg=90.0, n_bytes=12),
    }


def test_nothing_is_recorded_at_first(images):
    assert images.recorded() == {}


@pytest.mark.parametrize("spoil", [b'\n{"image_id": "p2@0', b"\n{\xc3", b"\n" + bytes(64), b"\n\xff\xfe{"])
def test_a_line_that_a_kill_left_broken_costs_only_itself(images, tmp_path, spoil):
    images.record(row("p1@000"))
    with (tmp_path / "images" / "camden" / "journal.jsonl").open("ab") as journal:
        journal.write(spoil)
    assert set(images.recorded()) == {"p1@000"}
    images.record(row("p3@000"))
    assert set(images.recorded()) == {"p1@000", "p3@000"}


def test_an_image_whose_file_is_gone_is_asked_for_again(images, tmp_path):
    for name in ("p1@000", "p2@000"):
        images.record(row(name, image_path=images.save(name, b"jpeg")))
    images.record(row("p3@000", status="invalid_image"))
    (tmp_path / "images" / "camden" / "p1@000.jpg").unlink()
    assert set(images.recorded()) == {"p2@000", "p3@000"}


def test_local_authorities_keep_journals_of_their_own(images, tmp_path):
    images.record(row("p1@000"))
    assert ImageStore(tmp_path, "sutton").recorded() == {}


def test_a_value_that_json_has_no_word_for_is_not_recorded(images):
    with pytest.raises(ValueError, match="not JSON compliant"):
        images.record(row("p1@000", heading_deg=float("nan")))
    assert images.recorded() == {}
