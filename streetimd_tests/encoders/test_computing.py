"""What is left to choose is chosen by what the device can do; cores are shared and settings left alone."""

import threading

import numpy as np
import pytest

from streetimd_assets.encoders import computing, load_encoder, workers
from streetimd_assets.encoders.computing import choose_computing
from streetimd_assets.encoders.readiness import describe_computing
from streetimd_assets.encoders.speed import count_operations
from streetimd_assets.encoders.torchvision_shim import import_open_clip
from streetimd_assets.encoders.weights import is_vision_transformer, read_config
from streetimd_assets.errors import EncoderError
from streetimd_assets.synthetic.scenes import paint_scene


@pytest.fixture(params=[True, False], ids=["fast", "slow"])
def is_fast(request, monkeypatch):
    flags = {"avx2", "avx512_bf16"} if request.param else {"avx2"}
    monkeypatch.setattr(computing, "processor_flags", lambda: frozenset(flags))
    return request.param


def test_sixteen_bits_are_chosen_for_transformers_where_the_processor_has_them(is_fast):
    chosen = choose_computing("cpu", "auto", "auto", is_transformer=True)
    assert chosen.precision == ("bf16" if is_fast else "fp32")
    assert choose_computing("cpu", "auto", "auto", is_transformer=False).precision == "fp32"
    assert chosen.batch_size == 32


def test_what_is_asked_for_is_done(is_fast):
    import torch

    half = choose_computing("cpu", "bf16", 7, is_transformer=False)
    assert (half.precision, half.batch_size) == ("bf16", 7)
    # where they are slow, rounded weights are multiplied in 32 bits
    assert half.dtype == (torch.bfloat16 if is_fast else torch.float32)
    assert choose_computing("cpu", "fp32", "auto", is_transformer=True).dtype == torch.float32


@pytest.mark.parametrize(("capability", "precision"), [((7, 5), "fp32"), ((8, 0), "bf16"), ((9, 0), "bf16")])
def test_a_gpu_is_asked_for_its_generation_and_memory(monkeypatch, capability, precision):
    import torch

    memory = 24 if precision == "bf16" else 4
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    properties = type("Properties", (), {"total_memory": memory * 2**30})
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    chosen = choose_computing("auto", "auto", "auto", is_transformer=True)
    assert (chosen.device, chosen.precision) == ("cuda", precision)
    assert chosen.batch_size == (256 if memory == 24 else 64)


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, "many"])
def test_a_batch_size_that_is_none_is_refused(batch_size):
    with pytest.raises(EncoderError, match="batch_size is auto or a number above 0"):
        choose_computing("cpu", "auto", batch_size, is_transformer=True)


@pytest.mark.parametrize(
    ("model", "is_one"),
    [("ViT-B-32", True), ("ViT-B-16-quickgelu", True), ("RN101", False), ("convnext_base", False)],
)
def test_transformers_are_told_from_convolutions(model, is_one):
    assert is_vision_transformer(read_config(model)) is is_one


def test_what_will_compute_is_said_in_words(is_fast):
    bits = "bf16 weights" if is_fast else "32 bits"
    assert describe_computing("ViT-B-32", "cpu", "auto").endswith(
        f"{bits}, or in what the study is embedded in already"
    )
    assert describe_computing("streetimd-demo", "cpu", "fp32").endswith("32 bits")


def test_workers_have_their_own_threads_and_leave_those_of_others():
    import torch

    before = torch.get_num_threads()
    with workers.workers(3, 1) as pool:
        barrier = threading.Barrier(3)

        def count(_):
            barrier.wait()
            return torch.get_num_threads()

        assert list(pool.map(count, range(3))) == [1, 1, 1]
        assert torch.get_num_threads() == before
    later = []
    thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert [torch.get_num_threads(), *later] == [before, before]


@pytest.mark.parametrize("n_batches", [1, 2, 3, 9, 100])
@pytest.mark.parametrize("n_cores", range(1, 66))
def test_all_cores_but_a_few_have_a_thread_and_none_has_two(n_cores, n_batches):
    n_workers, n_threads = workers.share_cores(n_cores, n_batches)
    assert 1 <= n_workers <= min(n_batches, 8)
    assert n_cores - n_workers < n_workers * n_threads <= n_cores
    if n_batches == 100:
        assert n_workers * n_threads >= 0.85 * n_cores


def test_a_thread_that_cannot_be_started_is_said_and_the_others_end(monkeypatch):
    began = threading.Thread.start

    def start(thread):
        if thread.name.endswith("_1"):
            raise RuntimeError("can't start new thread")
        began(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(RuntimeError, match="can't start"), workers.workers(2, 1):
        pass
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("embedding")]


def test_torch_told_to_use_fewer_threads_is_obeyed(monkeypatch):
    import torch

    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert workers.count_cores() == 1


def test_operations_are_those_of_open_clips_profile():
    network = import_open_clip().create_model("ViT-B-32").eval()
    assert count_operations(network, 224) == pytest.approx(8.82e9, rel=0.02)


def test_the_rate_at_most_is_above_what_is_reached(demo):
    assert 1 < demo.images_per_second_at_most < 1e7


@pytest.fixture
def files(tmp_path):
    """Pictures of two sizes, and one larger than what is moved to a GPU as it is."""
    paths = []
    for number, size in enumerate([(640, 640), (320, 240), (640, 640), (1600, 1200), (320, 240)] * 2):
        picture = paint_scene("shops", disrepair=0.1 * number, place_seed=number, view_seed=number)
        paths.append(tmp_path / f"{number}.png")
        picture.resize(size).save(paths[-1])
    return paths


def test_files_are_embedded_in_order_by_several_workers(files):
    encoder = load_encoder("streetimd-demo", "bundled", batch_size=3, device="cpu")
    told = []
    embedded = encoder.embed_files(files, told.append)
    assert told == [3, 6, 9, 10]
    alone = np.vstack([encoder.embed_files([path]) for path in files])
    assert (embedded * alone).sum(axis=1).min() > 0.99999
    assert encoder.embed_files([]).shape == (0, 512)


def test_the_way_of_a_gpu_gives_the_same_on_a_processor(files, demo):
    """The decoding ahead, the moving and the resizing in 32 bits, with the processor for a GPU."""
    import torch

    preparation, device = demo._preparation, torch.device("cpu")
    batches = [files[:4], files[4:8], files[8:]]
    made = list(workers.embed_on_gpu(batches, preparation, demo._encode_images, device, 2))
    assert [len(part) for part in made] == [4, 4, 2]
    assert (torch.cat(made).numpy() * demo.embed_files(files)).sum(axis=1).min() > 0.9999


def test_a_broken_file_stops_either_way_and_is_named(files, demo):
    import torch

    files[5].write_bytes(b"<html>")
    with pytest.raises(EncoderError, match=files[5].name):
        demo.embed_files(files)
    with pytest.raises(EncoderError, match=files[5].name):
        list(workers.embed_on_gpu([files], demo._preparation, demo._encode_images, torch.device("cpu"), 2))


@pytest.mark.gpu
def test_a_gpu_embeds_as_the_processor_does(files):
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs an NVIDIA GPU, which torch does not see here")
    there, here = (load_encoder("streetimd-demo", "bundled", batch_size=4, device=name) for name in ("cuda", "cpu"))
    assert (there.embed_files(files) * here.embed_files(files)).sum(axis=1).min() >= 0.999
