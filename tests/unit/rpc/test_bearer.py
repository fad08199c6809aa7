import pytest

from limner.domain.errors import CredentialsInvalidError, CredentialsMissingError
from limner.rpc.bearer import bearer_token


@pytest.mark.parametrize(
    "value", ["Bearer a.b-c_d", "bearer a.b-c_d", "BEARER a.b-c_d", " Bearer  a.b-c_d ", "bEaReR a.b-c_d"]
)
def test_takes_the_token_whatever_the_case_of_the_scheme(value: str) -> None:
    assert bearer_token([value]) == "a.b-c_d"


@pytest.mark.parametrize("values", [[], [""], ["  "], ["Bearer"], ["bearer "]])
def test_says_that_no_token_came(values: list[str]) -> None:
    with pytest.raises(CredentialsMissingError):
        bearer_token(values)


@pytest.mark.parametrize(
    "values",
    [
        ["Bearer a.b.c", "Bearer a.b.c"],
        ["Bearer a.b.c", ""],
        ["Bearer a.b.c, Bearer d.e.f"],
        ["Bearer a.b.c d.e.f"],
        ["Basic YW5uOnNlY3JldA=="],
        ["a.b.c"],
        ["Bearer\ta.b.c"],
        ["Bearer a.b.c\n"],
        ["Bearer a.\u0000b.c"],
        ["Bearer ä.b.c"],
    ],
)
def test_refuses_what_is_not_one_bearer_token(values: list[str]) -> None:
    with pytest.raises(CredentialsInvalidError):
        bearer_token(values)


def test_long_nonsense_is_refused_quickly() -> None:
    with pytest.raises(CredentialsInvalidError):
        bearer_token(["Bearer " + " " * 500_000 + "!"])
