import asyncio
import json
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from limner.cli.main import cli
from limner.domain.image import OutputFormat
from limner.domain.provenance import SourceType
from limner.service.marks import Making
from tests.certificates import Signer, signer_in
from tests.pictures import png
from tests.unit.provenance.conftest import marks_of


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return signer_in(tmp_path / "signer")


@pytest.fixture
def signed(signer: Signer, tmp_path: Path) -> Path:
    making = Making(action="c2pa.created", title="a", source_type=SourceType.TRAINED_ALGORITHMIC_MEDIA)
    path = tmp_path / "signed.png"
    with closing(marks_of(signer)) as marks:
        path.write_bytes(asyncio.run(marks.sign(png(16, 16), OutputFormat.PNG, making)))
    return path


def test_verify_tells_who_signed_a_file(signer: Signer, signed: Path) -> None:
    result = CliRunner().invoke(cli, ["verify", str(signed)], env={"LIMNER_C2PA_TRUST_ANCHORS": str(signer.anchors)})

    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "C2PA: TRUSTED, by Limner, Example Pictures",
        "  actions: c2pa.created",
        "WATERMARK: ABSENT",
        "  note: not looked for: LIMNER_WATERMARK is off",
        "source type: TRAINED_ALGORITHMIC_MEDIA",
    ]


def test_verify_prints_what_rest_answers(signed: Path) -> None:
    result = CliRunner().invoke(cli, ["verify", str(signed), "--json"])

    answer = json.loads(result.stdout)
    assert (answer["marks"][0]["state"], answer["sourceType"]) == ("VALID", "TRAINED_ALGORITHMIC_MEDIA")


def test_verify_of_what_is_no_picture_fails(tmp_path: Path) -> None:
    (tmp_path / "cat.txt").write_text("a cat")

    result = CliRunner().invoke(cli, ["verify", str(tmp_path / "cat.txt")])

    assert (result.exit_code, "is no picture" in result.stderr) == (1, True)
