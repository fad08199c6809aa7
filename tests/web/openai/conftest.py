"""What the tests of OpenAI's door leave behind."""

from collections.abc import Iterator

import pytest

from tests.web.openai.clients import close_all


@pytest.fixture(autouse=True)
def closing() -> Iterator[None]:
    yield
    close_all()
