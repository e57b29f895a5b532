"""The client against servers on real sockets: which model answers, and whose answer it is."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest
from small_export import UNITS, expected_image, vectors

from mi_keras.serving.client import Client
from mi_keras.serving.contract import ServedModel

CLIENTS, REQUESTS = 8, 240


def test_a_model_describes_its_endpoints(server, rest):
    with Client(server.address(rest), "thesis", rest=rest) as client:
        served = client.describe()
    assert (served.name, served.version) == ("thesis", 2)
    assert set(served.endpoints) == {"serving_default", "invert", "invert_from_output", "invert_png"}
    inputs, outputs = served.endpoints["invert"].inputs, served.endpoints["invert"].outputs
    assert {name: str(info) for name, info in inputs.items()} == {
        "output_vector": "float32 (rows, 10)", "activations": "float32 (rows, 6)",
    }  # fmt: skip
    assert outputs["image"].shape == (None, 8, 8, 1)
    assert served.endpoints["invert_png"].outputs["png_bytes"].dtype == "string"


@pytest.mark.parametrize(
    ("which", "version"),
    [({}, 2), ({"version": 1}, 1), ({"version": 2}, 2), ({"label": "stable"}, 1)],
    ids=str,
)
def test_the_version_that_was_asked_for_answers(server, rest, which, version):
    sent = vectors(5)
    with Client(server.address(rest), "thesis", rest=rest, **which) as client:
        assert client.describe().version == version
        image = client.predict("invert_from_output", {"output_vector": sent})["image"]
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, expected_image(version, sent), atol=1e-6)


def test_all_inputs_arrive_under_their_names(server, rest):
    sent, units = vectors(3), vectors(3, seed=2)[:, :UNITS]
    with Client(server.address(rest), "thesis", rest=rest) as client:
        answer = client.predict("invert", {"activations": units, "output_vector": sent})
        png = client.predict("invert_png", {"output_vector": sent, "activations": units})["png_bytes"]
    np.testing.assert_allclose(answer["image"], expected_image(2, sent, units), atol=1e-6)
    assert [content[:8] for content in png] == [b"\x89PNG\r\n\x1a\n"] * 3


def test_of_many_concurrent_requests_none_is_lost_or_swapped(server, loaded, rest):
    run = loaded["thesis"][2].runnable.signatures["invert_from_output"]
    wrong, done, lock = [], [], threading.Lock()

    def work(worker):
        with Client(server.address(rest), "thesis", rest=rest) as client:
            for number in range(worker, REQUESTS, CLIENTS):
                sent = vectors(1 + number % 3, seed=number)
                image = client.predict("invert_from_output", {"output_vector": sent})["image"]
                expected = run(output_vector=sent)["image"].numpy()
                same = (
                    np.array_equal(image, expected)
                    if server.exact
                    else np.allclose(image, expected, atol=1e-6)
                )
                with lock:
                    done.append(number)
                    if not same:
                        wrong.append(number)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == list(range(REQUESTS))
    assert wrong == []


def test_64_images_of_320_pixels_travel_in_one_message(server):
    maps = np.random.default_rng(1).random((64, 20, 20, 4), np.float32)
    with Client(server.grpc, "split") as client:
        images = client.predict("reconstruct", {"feature_maps": maps})["image"]
    np.testing.assert_array_equal(images, maps[..., :3].repeat(16, axis=1).repeat(16, axis=2))


def test_threads_that_ask_first_at_the_same_time_get_one_version(monkeypatch):
    both, asked = threading.Barrier(2), []

    def metadata(*_):
        with suppress(threading.BrokenBarrierError):
            both.wait(0.2)
        asked.append(1)
        return ServedModel("thesis", len(asked), {})

    monkeypatch.setattr("mi_keras.serving.transport_rest.RestTransport.metadata", metadata)
    with Client(None, "thesis", rest=True) as client, ThreadPoolExecutor(2) as threads:
        versions = [each.version for each in threads.map(lambda _: client.describe(), range(2))]
    assert versions == [1, 1]


def test_plain_text_to_another_machine_is_said_once(caplog):
    for _ in range(2):
        Client("192.0.2.1:8501", "thesis", rest=True).close()
        Client("https://192.0.2.1:8501", "thesis", rest=True).close()
        for near in ("127.0.0.2:8501", "[::1]:8501", "localhost:8501"):
            Client(near, "thesis", rest=True).close()
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["192.0.2.1"]
