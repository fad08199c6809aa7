import json
from pathlib import Path

import pytest

from tests.standin import StandIn, png
from tests.unit.cli.conftest import Limner


def test_upload_prints_the_ids(limner: Limner, service: StandIn, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(png(8, 8))

    result = limner("upload", str(tmp_path / "a.png"), str(tmp_path / "b.png"))

    assert result.stdout.split() == list(service.images)


def test_upload_of_something_else_fails(limner: Limner, tmp_path: Path) -> None:
    path = tmp_path / "cat.txt"
    path.write_text("a cat")

    result = limner("upload", str(path))

    assert result.exit_code == 1
    assert "picture: is no PNG, JPEG or WebP picture (INVALID_FIELD" in result.stderr


def test_a_file_that_is_too_large_is_not_even_read(limner: Limner, service: StandIn, tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    with path.open("wb") as file:
        file.truncate(1 << 40)

    result = limner("upload", str(path))

    assert (result.exit_code, "larger than 20 MiB" in result.stderr) == (2, True)
    assert "UploadImage" not in service.calls


def test_ls_prints_columns_with_tabs_newest_first(limner: Limner, service: StandIn) -> None:
    first = service.keep(png(64, 48), prompt="a cat", model="sketch")
    second = service.keep(png(8, 8), prompt="two\nlines\tand \x1b[31mred")

    lines = [line.split("\t") for line in limner("ls").stdout.splitlines()]

    assert [line[0] for line in lines] == [second.id, first.id]
    assert lines[1][1:3] == ["2026-11-23 06:43:00Z", "64x48"]
    assert lines[1][4:] == ["ada", "sketch", "a cat"]
    assert lines[0][-1] == "two lines and \N{REPLACEMENT CHARACTER}[31mred"


def test_ls_shows_as_many_as_asked(limner: Limner, service: StandIn) -> None:
    for _ in range(60):
        service.keep(png(8, 8))

    assert len(limner("ls").stdout.splitlines()) == 50
    assert len(limner("ls", "--limit", "3").stdout.splitlines()) == 3
    assert len(limner("ls", "--all").stdout.splitlines()) == 60


def test_ls_goes_through_all_pages(limner: Limner, service: StandIn) -> None:
    data = png(8, 8)
    kept = [service.keep(data).id for _ in range(450)]

    lines = limner("ls", "--all", "--json").stdout.splitlines()

    assert [json.loads(line)["id"] for line in lines] == kept[::-1]
    assert service.page_sizes == [200, 200, 200]


def test_ls_filters(limner: Limner, service: StandIn) -> None:
    made = service.keep(png(8, 8), generation_id="g1")
    service.keep(png(8, 8))

    assert limner("ls", "--generation", "g1").stdout.startswith(made.id)
    assert limner("ls", "--user", "nobody").stdout == ""


def test_get_shows_the_facts(limner: Limner, service: StandIn) -> None:
    image = service.keep(png(64, 48), prompt="a cat")
    image.parameters.update({"seed": 4_294_967_295, "aspectRatio": "1:1"})

    text = limner("get", image.id).stdout

    assert "prompt       a cat" in text
    assert "seed         4294967295" in text
    assert json.loads(limner("get", image.id, "--json").stdout)["imageWidth"] == 64


def test_get_writes_files(limner: Limner, service: StandIn, tmp_path: Path) -> None:
    images = [service.keep(png(8, 8)), service.keep(png(8, 8, "jpeg"))]

    result = limner("get", *(image.id for image in images), "-o", str(tmp_path))

    paths = [tmp_path / f"{images[0].id}.png", tmp_path / f"{images[1].id}.jpg"]
    assert result.stdout == "".join(f"{path}\n" for path in paths)
    assert [path.read_bytes() for path in paths] == [service.contents[image.id] for image in images]


def test_get_overwrites_only_by_force(limner: Limner, service: StandIn, tmp_path: Path) -> None:
    image = service.keep(png(8, 8))
    path = tmp_path / f"{image.id}.png"
    path.write_bytes(b"mine")

    assert limner("get", image.id, "-o", str(tmp_path)).exit_code == 2
    assert path.read_bytes() == b"mine"
    assert limner("get", image.id, "-o", str(tmp_path), "--force").exit_code == 0
    assert path.read_bytes() == service.contents[image.id]


def test_a_download_that_breaks_off_leaves_the_old_file(limner: Limner, service: StandIn, tmp_path: Path) -> None:
    image = service.keep(png(64, 48) + b"torn")
    path = tmp_path / "cat.png"
    path.write_bytes(b"old")

    result = limner("get", image.id, "-o", str(path), "--force")

    assert (result.exit_code, "STORAGE_UNAVAILABLE" in result.stderr) == (1, True)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_get_writes_bytes_to_standard_output(limner: Limner, service: StandIn) -> None:
    image = service.keep(png(64, 48))

    assert limner("get", image.id, "-o", "-").stdout_bytes == service.contents[image.id]


def test_rm_deletes_and_says_nothing(limner: Limner, service: StandIn) -> None:
    ids = [service.keep(png(8, 8)).id for _ in range(2)]

    result = limner("rm", *ids)

    assert (result.exit_code, result.output, service.images) == (0, "", {})
    assert "IMAGE_NOT_FOUND" in limner("rm", ids[0]).stderr


def test_models_and_usage_print_columns(limner: Limner) -> None:
    lines = [line.split("\t") for line in limner("models").stdout.splitlines()]
    assert lines[0][:3] == ["sketch", "generate, edit", "yes"]
    assert lines[1][2:6] == ["no: the weights are missing", "1", "1", "2, 3, 4"]
    assert [line[6] for line in lines] == ["0 USD", "unknown", "unknown"]

    assert limner("usage").stdout == "images\t7\t0\t100\nUSD\t0.28\t0.00\tnone\n"


def test_models_and_usage_as_json(limner: Limner) -> None:
    models = [json.loads(line) for line in limner("models", "--json").stdout.splitlines()]
    assert [(model["id"], model["ready"]) for model in models] == [
        ("sketch", True),
        ("realesr-animevideo", False),
        ("realesrgan-x4plus", True),
    ]
    assert "priceUsd" not in models[1]

    usage = json.loads(limner("usage", "--json").stdout)
    assert usage["images"] == {"limit": 100, "used": 7, "reserved": 0}


def test_models_need_no_workspace(limner: Limner) -> None:
    assert limner("models", env={"LIMNER_WORKSPACE": ""}).exit_code == 0
    assert limner("usage", env={"LIMNER_WORKSPACE": ""}).exit_code == 2


@pytest.mark.parametrize(
    ("env", "exit_code", "words"),
    [
        ({"LIMNER_TOKEN": ""}, 1, "CREDENTIALS_MISSING"),
        ({"LIMNER_TOKEN": "stranger"}, 1, "CREDENTIALS_INVALID"),
        ({"LIMNER_TOKEN": "two words"}, 2, "characters that no access token has"),
        ({"LIMNER_WORKSPACE": "elsewhere"}, 1, "PERMISSION_DENIED"),
        ({"LIMNER_SERVER": "127.0.0.1:1"}, 1, "No answer from 127.0.0.1:1 without TLS."),
        ({"LIMNER_SERVER": "ftp://x"}, 2, "is no address of a server"),
    ],
)
def test_a_wrong_connection_is_told(limner: Limner, env: dict[str, str], exit_code: int, words: str) -> None:
    result = limner("usage", env=env)

    assert (result.exit_code, result.stdout) == (exit_code, "")
    assert words in result.stderr
    assert "two words" not in result.stderr


def test_rm_goes_on_and_names_the_one_that_failed(limner: Limner, service: StandIn) -> None:
    first, last, missing = service.keep(png(8, 8)), service.keep(png(8, 8)), "0" * 32
    result = limner("rm", first.id, missing, last.id)

    assert (result.exit_code, service.images) == (1, {})
    assert result.stderr.startswith(f"{missing}: ")
    assert "IMAGE_NOT_FOUND" in result.stderr
    assert f"1 of 3 images were not deleted: {missing}" in result.stderr
