"""An image that is held is known to be held, whatever its name and however the last run ended."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

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
    known = {"image_id": name, "status": "ok", "image_path": None, "captured_on": date(2021, 5, 4)}
    return {**known, "is_deleted": False, **about}


def keep(images, *names, data=b"jpeg"):
    """Save and record pictures, as a collection does."""
    for name in names:
        images.record(row(name, image_path=images.save(name, data), n_bytes=len(data), view="640 px"))


def folder_of(tmp_path):
    return tmp_path / "images" / "camden"


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
    keep(images, "p1@000", "p2@000")
    images.record(row("p3@000", status="invalid_image"))
    (folder_of(tmp_path) / "p1@000.jpg").unlink()
    assert set(images.recorded()) == {"p2@000", "p3@000"}


@pytest.mark.parametrize("left", [b"", b"jpe", b"jpegs"])
def test_an_image_whose_file_has_another_length_than_was_recorded_is_not_held(images, tmp_path, left):
    keep(images, "p1@000", "p2@000")
    (folder_of(tmp_path) / "p1@000.jpg").write_bytes(left)
    assert set(images.recorded()) == {"p2@000"}
    keep(images, "p1@000")
    assert set(images.recorded()) == {"p1@000", "p2@000"}


def test_a_deleted_image_has_no_file_and_is_held_with_all_that_is_known_of_it(images, tmp_path):
    keep(images, "a/b@000", "p2@000")
    before = images.recorded()
    assert images.delete(["a/b@000", "never seen@000"]) == 1
    assert images.files() == (1, 4)
    after = images.recorded()
    assert after["a/b@000"] == before["a/b@000"] | {"is_deleted": True}
    assert after["p2@000"] == before["p2@000"]
    assert read_image_file(tmp_path, after["a/b@000"]["image_path"]) is None
    assert images.delete(["a/b@000"]) == 0


def test_a_deleted_image_that_is_fetched_again_has_its_file_again(images, tmp_path):
    keep(images, "p1@000")
    images.delete(["p1@000"])
    keep(images, "p1@000", data=b"another view")
    assert images.recorded()["p1@000"] == row(
        "p1@000", image_path="images/camden/p1@000.jpg", n_bytes=12, view="640 px"
    )
    (folder_of(tmp_path) / "p1@000.jpg").unlink()
    assert images.recorded() == {}


def test_an_image_is_held_while_its_file_is_being_deleted(images, monkeypatch):
    keep(images, "p1@000", "p2@000")
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        images.delete(["p1@000", "p2@000"])
    monkeypatch.undo()
    assert set(images.recorded()) == {"p1@000", "p2@000"}
    # the files that were left can still be deleted
    assert images.delete(["p1@000", "p2@000"]) == 2
    assert set(images.recorded()) == {"p1@000", "p2@000"}
    assert images.files() == (0, 0)


def test_purging_leaves_no_picture_and_forgets_no_image(images, tmp_path):
    keep(images, "p1@000", "p2@000")
    images.record(row("p3@000", status="invalid_image"))
    # killed after a file was saved and before it was recorded, and while one was written
    images.save("p4@000", b"jpeg")
    (folder_of(tmp_path) / ".tmp-0-p5@000.jpg").write_bytes(b"jp")
    assert images.files() == (4, 14)
    assert images.purge() == 4
    assert images.files() == (0, 0)
    assert [path.name for path in folder_of(tmp_path).iterdir()] == ["journal.jsonl"]
    assert set(images.recorded()) == {"p1@000", "p2@000", "p3@000"}
    assert images.purge() == 0


def test_where_nothing_was_collected_there_is_nothing_to_count_delete_or_purge(images, tmp_path):
    assert (images.files(), images.delete(["p1@000"]), images.purge()) == ((0, 0), 0, 0)
    assert list(tmp_path.iterdir()) == []


def test_rows_recorded_by_many_threads_are_all_there(images):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: images.record(row(f"{number}@000", credit="x" * 5000)), range(400)))
    assert set(images.recorded()) == {f"{number}@000" for number in range(400)}


def test_local_authorities_keep_journals_of_their_own(images, tmp_path):
    images.record(row("p1@000"))
    assert ImageStore(tmp_path, "sutton").recorded() == {}


def test_a_value_that_json_has_no_word_for_is_not_recorded(images):
    with pytest.raises(ValueError, match="not JSON compliant"):
        images.record(row("p1@000", heading_deg=float("nan")))
    assert images.recorded() == {}
