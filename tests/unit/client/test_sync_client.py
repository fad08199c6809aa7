import itertools
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from limner.client import (
    NO_RETRIES,
    Client,
    ContentRejectedError,
    DeadlineExceededError,
    EditImagesRequest,
    GenerateImagesRequest,
    Generation,
    InvalidRequestError,
    LimnerClientError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    UnauthenticatedError,
    UnavailableError,
    UpscaleImageRequest,
)
from tests.standin import BROKEN, BUSY, PARTIAL, REFUSED, SLOW, TOKEN, WORKSPACE, StandIn, png


def test_generate_answers_the_images(client: Client, service: StandIn) -> None:
    made = client.generate("a cat", num_images=2, aspect_ratio="1:1", output_format="webp", seed=0)

    assert [image.prompt for image in made.images] == ["a cat", "a cat"]
    assert {image.id for image in made.images} == set(service.images)
    assert not made.HasField("detail")


def test_edit_and_upscale_say_what_they_started_from(client: Client) -> None:
    cat = client.upload(png(64, 48))
    warm = client.edit([cat.id], "warmer").images[0]
    large = client.upscale(cat.id, model_id="realesrgan-x4plus", upscale_factor=4).images[0]

    assert list(warm.input_image_ids) == list(large.input_image_ids) == [cat.id]
    assert large.model == "realesrgan-x4plus"


def test_a_partial_result_is_a_warning(client: Client) -> None:
    made = client.generate(PARTIAL, num_images=3)

    assert (len(made.images), made.detail.code) == (2, "PARTIAL_RESULT")
    assert made.detail.missing_images[0].reason == "PROVIDER_UNAVAILABLE"


def test_run_tells_what_happens_until_the_end(client: Client) -> None:
    events = list(client.run(GenerateImagesRequest(prompt="a cat", num_images=2)))

    kinds = [event.WhichOneof("event") for event in events]
    assert kinds == ["queued", "progress", "preview", "image", "image", "progress", "completed"]
    assert events[-1].completed.state == Generation.SUCCEEDED
    assert events[-1].completed.generation_id == events[0].queued.generation_id


def test_run_takes_every_kind_of_task(client: Client) -> None:
    cat = client.upload(png(64, 48))
    tasks = (
        EditImagesRequest(prompt="warmer", image_ids=[cat.id]),
        UpscaleImageRequest(image_id=cat.id, model_id="realesrgan-x4plus", upscale_factor=2),
    )

    assert [list(client.run(task))[-1].completed.operation for task in tasks] == ["edit", "upscale"]


def test_run_raises_after_the_failed_generation(client: Client) -> None:
    kinds = []
    with pytest.raises(ContentRejectedError):
        for event in client.run(GenerateImagesRequest(prompt=REFUSED)):
            kinds.append(event.WhichOneof("event"))  # noqa: PERF401 the events before the error count

    assert kinds[-1] == "completed"


def test_closing_a_run_cancels_the_call(client: Client, service: StandIn) -> None:
    events = client.run(GenerateImagesRequest(prompt=SLOW))
    next(events)
    assert service.running.wait(5)
    events.close()

    assert service.left.wait(5)


def test_a_generation_is_shown_and_cancelled(client: Client, service: StandIn) -> None:
    generation_id = next(client.run(GenerateImagesRequest(prompt=SLOW))).queued.generation_id

    assert client.get_generation(generation_id).state == Generation.RUNNING
    assert client.cancel_generation(generation_id).may_bill
    assert client.get_generation(generation_id).state == Generation.CANCELLED


def test_images_fetches_page_after_page(client: Client, service: StandIn) -> None:
    kept = [service.keep(png(8, 8)).id for _ in range(7)]

    assert [image.id for image in client.images(page_size=3)] == kept[::-1]
    assert service.page_sizes == [3, 3, 3]


def test_images_fetches_no_page_that_is_not_needed(client: Client, service: StandIn) -> None:
    for _ in range(7):
        service.keep(png(8, 8))

    assert len(list(itertools.islice(client.images(page_size=3), 3))) == 3
    assert service.page_sizes == [3]


def test_images_shows_what_the_filters_say(client: Client, service: StandIn) -> None:
    made = client.generate("a cat", num_images=2)
    client.upload(png(8, 8))

    assert len(list(client.images(generation_id=made.generation_id))) == 2
    assert list(client.images(created_by_user_id="nobody")) == []


def test_delete_and_image(client: Client) -> None:
    cat = client.upload(png(64, 48))
    assert (client.image(cat.id).image_width, client.image(cat.id).image_height) == (64, 48)

    client.delete(cat.id)
    with pytest.raises(NotFoundError) as caught:
        client.image(cat.id)
    assert caught.value.reason == "IMAGE_NOT_FOUND"


def test_a_picture_of_20_mib_goes_both_ways(client: Client) -> None:
    picture = png(8, 8)
    picture += bytes(20 * 1024 * 1024 - len(picture))

    assert client.content(client.upload(picture).id) == picture


def test_download_writes_the_bytes_as_stored(client: Client, service: StandIn, tmp_path: Path) -> None:
    image = service.keep(png(64, 48))

    path = client.download(image.id, tmp_path)

    assert path == tmp_path / f"{image.id}.png"
    assert path.read_bytes() == service.contents[image.id]
    with pytest.raises(FileExistsError):
        client.download(image.id, tmp_path)
    assert client.download(image.id, tmp_path, overwrite=True) == path


def test_a_download_that_breaks_off_leaves_no_file(client: Client, service: StandIn, tmp_path: Path) -> None:
    image = service.keep(png(64, 48) + b"torn")

    with pytest.raises(UnavailableError):
        client.download(image.id, tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_models_and_usage(client: Client) -> None:
    assert [(model.id, model.ready) for model in client.models()] == [
        ("sketch", True),
        ("realesr-animevideo", False),
        ("realesrgan-x4plus", True),
    ]
    assert client.usage().images.used == 7


def test_wrong_fields_are_told_all_at_once(client: Client) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        client.generate("")

    assert [each.field for each in caught.value.violations] == ["prompt", "numImages"]


def test_an_overloaded_service_says_when_to_try_again(service: StandIn) -> None:
    once = Client(service.address, token=TOKEN, workspace=WORKSPACE, retries=NO_RETRIES)
    with once as client, pytest.raises(OverloadedError) as caught:
        client.generate(BUSY)

    assert caught.value.retry_after_s == 1.5
    assert len(service.calls["GenerateImages"]) == 1


def test_an_error_holds_the_request_id_that_the_service_saw(client: Client, service: StandIn) -> None:
    with pytest.raises(LimnerClientError) as caught:
        client.generate(BROKEN)

    assert caught.value.code is grpc.StatusCode.INTERNAL
    assert caught.value.request_id == service.calls["GenerateImages"][0]["x-request-id"]


def test_a_call_ends_at_its_timeout(service: StandIn) -> None:
    with (
        Client(service.address, token=TOKEN, workspace=WORKSPACE, task_timeout_s=0.2) as client,
        pytest.raises(DeadlineExceededError),
    ):
        client.generate(SLOW)

    assert service.left.wait(5)


def test_closing_the_client_ends_what_is_running(client: Client, service: StandIn) -> None:
    failures: list[Exception] = []

    def wait() -> None:
        try:
            client.generate(SLOW)
        except LimnerClientError as error:
            failures.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    assert service.running.wait(5)
    client.close()
    thread.join(5)

    assert len(failures) == 1
    assert service.left.wait(5)


@pytest.mark.parametrize(("token", "reason"), [("", "CREDENTIALS_MISSING"), ("other", "CREDENTIALS_INVALID")])
def test_credentials_that_are_not_accepted(service: StandIn, token: str, reason: str) -> None:
    with Client(service.address, token=token) as client, pytest.raises(UnauthenticatedError) as caught:
        client.models()

    assert caught.value.reason == reason


def test_a_token_source_is_asked_before_each_call(service: StandIn) -> None:
    tokens = iter([TOKEN, "expired"])
    with Client(service.address, token=lambda: next(tokens), workspace=WORKSPACE) as client:
        client.usage()
        with pytest.raises(UnauthenticatedError):
            client.usage()


def test_another_workspace_shares_the_connection(client: Client) -> None:
    with pytest.raises(PermissionDeniedError):
        client.for_workspace("elsewhere").usage()
    with pytest.raises(UnauthenticatedError):
        client.for_workspace(WORKSPACE, token="other").usage()

    assert client.usage().workspace_id == WORKSPACE


def test_nobody_there_is_unavailable() -> None:
    with Client("127.0.0.1:1", token=TOKEN) as client, pytest.raises(UnavailableError) as caught:
        client.models()

    assert caught.value.reason == ""


def test_tls_with_the_operators_own_authority() -> None:
    key, certificate = self_signed()
    with (
        StandIn(grpc.ssl_server_credentials([(key, certificate)])) as service,
        Client(f"grpcs://{service.address}", token=TOKEN, root_certificates=certificate) as client,
        Client(f"grpcs://{service.address}", token=TOKEN) as trusting_others,
    ):
        assert client.models()
        with pytest.raises(UnavailableError):
            trusting_others.models()


def test_the_client_imports_nothing_of_the_server() -> None:
    program = "import sys, limner.client; print(*(name for name in sys.modules if name.startswith('limner.')))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()

    assert [name for name in loaded if not name.startswith("limner.client")] == []


def self_signed() -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.fromtimestamp(time.time(), UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, certificate.public_bytes(serialization.Encoding.PEM)
