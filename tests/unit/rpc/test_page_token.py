"""Page tokens: what they carry comes back, and nothing else is taken for one."""

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.domain.errors import InvalidFieldError
from limner.domain.identifiers import new_id
from limner.domain.image import Cursor, ImageFilter
from limner.rpc import page_token

EVERYTHING = ImageFilter()
CURSOR = Cursor(datetime(2026, 11, 23, 7, 30, 15, 123456, tzinfo=UTC), new_id())


@given(st.datetimes(timezones=st.just(UTC), min_value=datetime(1970, 1, 1), max_value=datetime(2999, 1, 1)), st.text())
def test_a_cursor_comes_back_to_the_microsecond(at: datetime, workspace: str) -> None:
    cursor = Cursor(at, CURSOR.image_id)
    where = ImageFilter(created_by_user_id=workspace)

    assert page_token.decode(page_token.encode(cursor, workspace, where), workspace, where) == cursor


@pytest.mark.parametrize(
    ("workspace", "where"),
    [
        ("other", EVERYTHING),
        ("acme", ImageFilter(created_by_user_id="ada")),
        ("acme", ImageFilter(generation_id=new_id())),
        ("acm", ImageFilter(generation_id="e")),
    ],
)
def test_a_token_is_good_for_its_own_list_only(workspace: str, where: ImageFilter) -> None:
    token = page_token.encode(CURSOR, "acme", EVERYTHING)

    with pytest.raises(InvalidFieldError):
        page_token.decode(token, workspace, where)


@given(st.text() | st.binary().map(lambda data: base64.urlsafe_b64encode(data).decode()))
def test_invented_tokens_are_refused(token: str) -> None:
    with pytest.raises(InvalidFieldError) as refusal:
        page_token.decode(token, "acme", EVERYTHING)

    assert [violation.field for violation in refusal.value.violations] == ["pageToken"]


@pytest.mark.parametrize("micros", ["9" * 30, "-" + "9" * 30, "1e9", "", "٣", " 1", "1_000"])
def test_impossible_times_are_refused_or_read_as_numbers(micros: str) -> None:
    token = page_token.encode(CURSOR, "acme", EVERYTHING)
    parts = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode().split(".")
    forged = base64.urlsafe_b64encode(".".join([micros, *parts[1:]]).encode()).decode().rstrip("=")

    try:
        assert isinstance(page_token.decode(forged, "acme", EVERYTHING), Cursor)
    except InvalidFieldError as refusal:
        assert refusal.violations[0].field == "pageToken"


def test_a_token_goes_into_an_address_as_it_is() -> None:
    token = page_token.encode(CURSOR, "acme", EVERYTHING)

    assert token.replace("-", "").replace("_", "").isalnum()
    assert len(token) < 512
