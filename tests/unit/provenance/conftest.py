from collections.abc import Iterator

import pytest

from limner.certificates import load_anchors, load_identity
from limner.provenance.marks import C2paMarks
from tests.certificates import Signer, signer_in


@pytest.fixture(scope="session")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return signer_in(tmp_path_factory.mktemp("signer"))


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return signer_in(tmp_path_factory.mktemp("stranger"), "Somebody Else")


@pytest.fixture
def marks(signer: Signer) -> Iterator[C2paMarks]:
    made = marks_of(signer)
    yield made
    made.close()


def marks_of(signer: Signer, *, trusted: bool = True, **options: object) -> C2paMarks:
    identity = load_identity(str(signer.chain), str(signer.key))
    anchors = load_anchors(signer.anchors) if trusted else ""
    return C2paMarks(identity=identity, anchors_pem=anchors, **options)  # type: ignore[arg-type]
