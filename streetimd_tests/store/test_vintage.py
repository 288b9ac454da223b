"""A study is embedded in one precision, whichever machine is fast at which."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from streetimd_assets.defs.resources import LazyEncoder
from streetimd_assets.schemas import TABLES
from streetimd_assets.store.tables import TableStore
from streetimd_assets.store.vintage import record_encoder, settle_encoder, weights_of
from streetimd_assets.study.encoder import EncoderChoice
from streetimd_tests.store.rows import rows_of

FULL = "ViT-B-32/own file.pt@sha256:0123456789ab"
HALF = f"{FULL} bf16"
OTHER = "ViT-B-16/openai@sha256:ba9876543210 bf16"


@pytest.fixture
def store(tmp_path):
    return TableStore(tmp_path, ())


def embed(store, local_authority, encoder):
    rows = rows_of(TABLES["image_embeddings"], 3).assign(encoder=encoder)
    store.write("image_embeddings", rows, local_authority)


def test_the_first_to_embed_decides_for_all_that_follow(store):
    assert settle_encoder(store, HALF) == HALF
    assert settle_encoder(store, FULL) == HALF


def test_a_study_embedded_before_precision_was_chosen_stays_in_32_bits(store):
    embed(store, "camden", FULL)
    assert settle_encoder(store, HALF) == FULL
    # and is read only once
    store.path("image_embeddings", "camden").unlink()
    assert settle_encoder(store, HALF) == FULL


def test_what_most_local_authorities_have_is_kept(store):
    for name, encoder in {"camden": FULL, "sutton": HALF, "barnet": HALF}.items():
        embed(store, name, encoder)
    assert settle_encoder(store, FULL) == HALF


def test_embeddings_that_cannot_be_read_have_no_say(store):
    embed(store, "camden", FULL)
    store.path("image_embeddings", "camden").write_bytes(b"no table")
    assert settle_encoder(store, HALF) == HALF


def test_other_weights_decide_anew_and_find_their_own_embeddings_again(store):
    embed(store, "camden", FULL)
    assert settle_encoder(store, OTHER) == OTHER
    assert settle_encoder(store, HALF) == FULL


def test_the_same_weights_in_another_network_are_another_encoder(store):
    quick = HALF.replace("ViT-B-32/", "ViT-B-32-quickgelu/")
    assert settle_encoder(store, quick) == quick
    assert settle_encoder(store, HALF) == HALF
    assert settle_encoder(store, quick.removesuffix(" bf16")) == quick


def test_what_has_been_written_down_by_hand_for_another_encoder_has_no_say(store):
    settle_encoder(store, HALF)
    (told,) = (store.folder / "tables").iterdir()
    told.write_text(OTHER)
    assert settle_encoder(store, FULL) == FULL


def test_a_precision_asked_for_is_what_is_kept_to_from_then_on(store):
    assert settle_encoder(store, HALF) == HALF
    record_encoder(store, FULL)
    assert settle_encoder(store, HALF) == FULL


def test_machines_that_begin_at_once_agree(store):
    barrier = threading.Barrier(8)

    def begin(number):
        barrier.wait()
        return settle_encoder(store, HALF if number % 2 else FULL)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(begin, range(8)))) == 1
    (told,) = (store.folder / "tables").iterdir()
    assert told.match("encoder-*.txt")


@pytest.mark.parametrize("identity", [FULL, HALF])
def test_the_weights_are_named_without_the_precision(identity):
    assert weights_of(identity) == FULL


def test_an_encoder_follows_the_store_and_an_explicit_precision_leads_it(store):
    choice = EncoderChoice(model="streetimd-demo", weights="bundled", device="cpu")
    plain = LazyEncoder(choice, store).loaded
    assert (plain.computing.precision, plain.identity[-4:]) == ("fp32", plain.weights_sha256[8:12])
    asked = LazyEncoder(choice.model_copy(update={"precision": "bf16"}), store)
    assert asked.loaded.identity == f"{plain.identity} bf16"
    # who only asks changes nothing
    assert LazyEncoder(choice, store).loaded.identity == plain.identity
    asked.lead()
    followed = LazyEncoder(choice, store).loaded
    assert (followed.identity, followed.computing.precision) == (asked.loaded.identity, "bf16")
    assert followed.logit_scale == plain.logit_scale
