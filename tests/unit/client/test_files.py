from pathlib import Path

import pytest

from limner.client.files import atomic_file, picture_path
from tests.standin import png


@pytest.mark.parametrize(("kind", "suffix"), [("png", ".png"), ("jpeg", ".jpg"), ("webp", ".webp")])
def test_a_picture_in_a_directory_is_called_by_its_id_and_content(tmp_path: Path, kind: str, suffix: str) -> None:
    assert picture_path(tmp_path, "0199ab", png(8, 8, kind)) == tmp_path / f"0199ab{suffix}"


def test_a_picture_in_a_file_is_called_as_asked(tmp_path: Path) -> None:
    assert picture_path(tmp_path / "cat.jpg", "0199ab", png(8, 8)) == tmp_path / "cat.jpg"


@pytest.mark.parametrize("image_id", ["../evil", "a/b", "", ".hidden", "a" * 129])
def test_an_answer_can_not_choose_the_path(tmp_path: Path, image_id: str) -> None:
    with pytest.raises(ValueError, match="no id"):
        picture_path(tmp_path, image_id, png(8, 8))


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "cat.png"
    with atomic_file(path, overwrite=False) as file:
        file.write(b"half")
        file.flush()
        assert not path.exists()
        file.write(b"whole")

    assert path.read_bytes() == b"halfwhole"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), atomic_file(tmp_path / "cat.png", overwrite=False) as file:
        file.write(b"half")
        raise KeyboardInterrupt

    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), atomic_file(path, overwrite=True) as file:
        file.write(b"half")
        raise RuntimeError

    assert path.read_bytes() == b"old"


def test_an_existing_file_is_overwritten_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(b"old")
    with pytest.raises(FileExistsError), atomic_file(path, overwrite=False):
        pass
    assert path.read_bytes() == b"old"

    with atomic_file(path, overwrite=True) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"


def test_a_file_that_appears_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "cat.png"
    with pytest.raises(FileExistsError), atomic_file(path, overwrite=False) as file:
        file.write(b"ours")
        path.write_bytes(b"theirs")

    assert path.read_bytes() == b"theirs"
    assert list(tmp_path.iterdir()) == [path]
