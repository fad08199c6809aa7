import json
from pathlib import Path

import pytest

from tests.standin import BROKEN, BUSY, PARTIAL, REFUSED, StandIn, png
from tests.unit.cli.conftest import Limner

SEED_FIELDS = {
    "id",
    "generationId",
    "workspaceId",
    "createdByUserId",
    "prompt",
    "model",
    "parameters",
    "inputImageIds",
    "imageWidth",
    "imageHeight",
    "imageSize",
    "createdAt",
    "updatedAt",
    "_links",
}


def test_generate_prints_the_ids_and_writes_nothing(
    limner: Limner, service: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = limner("generate", "a cat", "-n", "2")

    assert result.exit_code == 0
    assert result.stdout.split() == list(service.images)
    assert result.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_generate_passes_every_option_on(limner: Limner, service: StandIn) -> None:
    options = ("--aspect-ratio", "16:9", "--format", "webp", "--model", "other", "--seed", "0", "-n", "2")
    assert limner("generate", "a cat", *options).exit_code == 0

    assert [image.model for image in service.images.values()] == ["other", "other"]


def test_json_has_the_fields_of_rest(limner: Limner) -> None:
    result = limner("generate", "a cat", "--json")

    answer = json.loads(result.stdout)
    assert result.stdout.count("\n") == 1
    assert answer.keys() == {"images", "generationId", "description"}
    image = answer["images"][0]
    assert image.keys() == SEED_FIELDS
    assert (image["imageWidth"], image["inputImageIds"], answer["description"]) == (64, [], "")
    assert image["parameters"] == {"aspectRatio": "1:1", "numImages": 1}
    assert '"numImages": 1}' in result.stdout or '"numImages": 1,' in result.stdout
    assert image["_links"]["content"].endswith("/content")


def test_json_of_an_upscale_shows_its_empty_prompt(limner: Limner, service: StandIn) -> None:
    cat = service.keep(png(8, 8))
    result = limner("upscale", cat.id, "--model", "realesrgan-x4plus", "--factor", "4", "--json")

    image = json.loads(result.stdout)["images"][0]
    assert (image["prompt"], image["inputImageIds"]) == ("", [cat.id])


def test_a_partial_result_is_a_warning(limner: Limner) -> None:
    result = limner("generate", PARTIAL, "-n", "3")
    assert (result.exit_code, len(result.stdout.split())) == (0, 2)
    assert "2 of 3 images were made. (PARTIAL_RESULT)" in result.stderr

    detail = json.loads(limner("generate", PARTIAL, "-n", "3", "--json").stdout)["detail"]
    assert (detail["requestedImages"], detail["createdImages"]) == (3, 2)


def test_the_prompt_comes_from_standard_input(limner: Limner, service: StandIn) -> None:
    limner("generate", "-", stdin="a long prompt")

    assert [image.prompt for image in service.images.values()] == ["a long prompt"]


def test_pictures_go_to_a_directory_by_their_ids(limner: Limner, service: StandIn, tmp_path: Path) -> None:
    result = limner("generate", "a cat", "-n", "2", "-o", f"{tmp_path}/new/")

    paths = [Path(line) for line in result.stdout.splitlines()]
    assert paths == [tmp_path / "new" / f"{image_id}.png" for image_id in service.images]
    assert [path.read_bytes() for path in paths] == list(service.contents.values())


def test_a_file_name_chooses_the_format(limner: Limner, tmp_path: Path) -> None:
    path = tmp_path / "cat.webp"
    result = limner("generate", "a cat", "-o", str(path))

    assert result.stdout == f"{path}\n"
    assert path.read_bytes()[8:12] == b"WEBP"


def test_the_format_option_wins_over_the_file_name(limner: Limner, tmp_path: Path) -> None:
    path = tmp_path / "cat.webp"
    limner("generate", "a cat", "--format", "png", "-o", str(path))

    assert path.read_bytes().startswith(b"\x89PNG")


def test_json_and_files_go_together(limner: Limner, tmp_path: Path) -> None:
    path = tmp_path / "cat.png"
    result = limner("generate", "a cat", "--json", "-o", str(path))

    assert json.loads(result.stdout)["images"][0]["imageSize"] == path.stat().st_size


def test_one_picture_goes_to_standard_output(limner: Limner, service: StandIn) -> None:
    result = limner("generate", "a cat", "-o", "-")

    assert [result.stdout_bytes] == list(service.contents.values())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-n", "2", "-o", "cat.png"], "need a directory"),
        (["-o", "nowhere/cat.png"], "no directory"),
        (["-o", "there.png"], "exists already"),
        (["-o", "there.png/"], "can't be a directory"),
        (["-o", "cat.bmp"], ".bmp is no ending"),
        (["-n", "2", "-o", "-"], "one picture"),
        (["--json", "-o", "-"], "nothing else"),
        (["-n", "11"], "11 is not in the range"),
        (["--seed", "-1"], "-1 is not in the range"),
    ],
)
def test_what_could_not_be_written_is_never_asked_for(
    limner: Limner,
    service: StandIn,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.png").write_bytes(b"mine")

    result = limner("generate", "a cat", *options)

    assert result.exit_code == 2
    assert words in result.stderr
    assert "RunTask" not in service.calls
    assert Path("there.png").read_bytes() == b"mine"


def test_force_overwrites(limner: Limner, tmp_path: Path) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(b"old")

    assert limner("generate", "a cat", "-o", str(path), "--force").exit_code == 0
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_picture_that_can_not_be_written_is_kept_and_named(limner: Limner, service: StandIn, tmp_path: Path) -> None:
    (tmp_path / "cat.png").mkdir()
    (tmp_path / "cat.png").chmod(0o500)
    long_name = tmp_path / ("c" * 250)

    result = limner("generate", "a cat", "-o", str(long_name))

    assert result.exit_code == 1
    assert next(iter(service.images)) in result.stderr


def test_files_are_uploaded_before_an_edit(
    limner: Limner, service: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cat.png").write_bytes(png(64, 48))
    kept = service.keep(png(8, 8))

    result = limner("edit", "cat.png", kept.id, "side by side")

    made = service.images[result.stdout.strip()]
    uploaded = next(each for each in service.images if each not in {kept.id, made.id})
    assert list(made.input_image_ids) == [uploaded, kept.id]
    assert service.contents[uploaded] == Path("cat.png").read_bytes()


def test_a_file_is_uploaded_before_an_upscale(limner: Limner, service: StandIn, tmp_path: Path) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(png(64, 48))

    result = limner("upscale", str(path), "--model", "realesrgan-x4plus", "--factor", "2")

    assert result.exit_code == 0
    assert len(service.calls["UploadImage"]) == 1


@pytest.mark.parametrize("image", ["no/cat.png", "cat.png", "." + "c" * 5000, "a\tb"])
def test_a_file_that_is_not_there_is_wrong_usage(limner: Limner, service: StandIn, image: str) -> None:
    result = limner("edit", image, "warmer")

    assert (result.exit_code, "RunTask" in service.calls) == (2, False)
    assert "is neither a file nor the id of an image" in result.stderr


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        (REFUSED, "Error: The provider refuses this prompt. (CONTENT_REJECTED, request "),
        (BUSY, "Error: Too much is in flight. Try again in 1.5 s. (OVERLOADED, request "),
        (BROKEN, "Error: A bug. (INTERNAL, request "),
        ("", "Error: prompt: must not be empty; numImages: must be 1 to 10 (INVALID_FIELD, request "),
    ],
)
def test_a_failed_call_is_told_in_one_line(limner: Limner, service: StandIn, prompt: str, words: str) -> None:
    result = limner("generate", prompt, "--json")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(words)
    assert result.stderr.count("\n") == 1
    assert service.calls["RunTask"][-1]["x-request-id"] in result.stderr


def test_show_and_cancel(limner: Limner, service: StandIn) -> None:
    generation = json.loads(limner("generate", "a cat", "--json").stdout)["generationId"]

    assert "state       succeeded" in limner("show", generation).stdout
    assert json.loads(limner("show", generation, "--json").stdout)["state"] == "SUCCEEDED"
    assert json.loads(limner("cancel", generation, "--json").stdout)["mayBill"] is False
    assert "GENERATION_NOT_FOUND" in limner("cancel", "0" * 32).stderr


def test_show_tells_why_a_generation_failed(limner: Limner, service: StandIn) -> None:
    limner("generate", REFUSED)
    generation = next(iter(service.generations))

    assert "The provider refuses this prompt." in limner("show", generation).stdout
    error = json.loads(limner("show", generation, "--json").stdout)["error"]
    assert error["details"][0]["reason"] == "CONTENT_REJECTED"


def test_a_key_is_sent_along(limner: Limner, service: StandIn) -> None:
    limner("generate", "a cat", "--idempotency-key", "order-17", "--json")
    limner("generate", "a cat", "--json")

    own, made = (each.generate.request_id for each in service.tasks)
    assert own == "order-17"
    assert made not in ("", own)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("upscale", "{file}", "--model", "nothing", "--factor", "4"), "nothing is no model that can upscale"),
        (("upscale", "{file}", "--model", "sketch", "--factor", "4"), "sketch is no model that can upscale"),
        (("upscale", "{file}", "--model", "realesr-animevideo", "--factor", "4"), "the weights are missing"),
        (("upscale", "{file}", "--model", "realesrgan-x4plus", "--factor", "5"), "not by 5"),
        (("upscale", "{file}", "--model", "realesrgan-x4plus", "--factor", "4", "--format", "gif"), "not gif"),
        (("edit", "{file}", "warmer", "--model", "sketch", "--aspect-ratio", "7:1"), "not 7:1"),
        (("edit", "{file}", " ", "--model", "sketch"), "The prompt is empty"),
        (("edit", "{file}", "0" * 32, "warmer", "--model", "sketch"), "IMAGE_NOT_FOUND"),
    ],
)
def test_a_file_is_not_uploaded_for_a_task_that_is_refused(
    limner: Limner, service: StandIn, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    file = tmp_path / "cat.png"
    file.write_bytes(png(8, 8))
    result = limner(*(each.format(file=file) for each in arguments))

    assert (result.exit_code, service.images) == (1, {})
    assert words in result.stderr
    assert not service.calls["UploadImage"]
    assert not service.calls["RunTask"]
