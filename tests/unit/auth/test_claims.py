import pytest

from limner.auth.claims import ClaimNames, caller_of
from limner.domain.errors import CredentialsInvalidError
from limner.domain.limits import MAX_IDENTIFIER_CHARS
from limner.service.caller import Caller, Role

NAMES = ClaimNames()


def test_reads_user_roles_and_admin() -> None:
    claims = {"sub": "ann", "workspaces": {"w1": "member", "w2": "admin"}, "admin": True}
    expected = Caller(user_id="ann", workspaces={"w1": Role.MEMBER, "w2": Role.ADMIN}, admin=True)
    assert caller_of(claims, NAMES) == expected


def test_reads_the_claims_that_the_operator_named() -> None:
    names = ClaimNames(user="email", workspaces="https://example.com/ws", admin="root")
    claims = {"sub": "ignored", "email": "ann@example.com", "https://example.com/ws": {"w1": "admin"}, "root": True}
    caller = caller_of(claims, names)
    assert caller == Caller(user_id="ann@example.com", workspaces={"w1": Role.ADMIN}, admin=True)


@pytest.mark.parametrize("user", [None, "", " ", 7, True, ["ann"], "a\nb", "a\x00b", "\ud800", "a" * 129, {"a": 1}])
def test_refuses_a_token_without_a_proper_user(user: object) -> None:
    with pytest.raises(CredentialsInvalidError, match="does not name its user in sub"):
        caller_of({"sub": user}, NAMES)


def test_accepts_the_longest_user_id() -> None:
    assert caller_of({"sub": "ü" * MAX_IDENTIFIER_CHARS}, NAMES).user_id == "ü" * MAX_IDENTIFIER_CHARS


@pytest.mark.parametrize("value", [1, "true", "yes", [True], {"admin": True}, None, False])
def test_only_json_true_makes_an_admin(value: object) -> None:
    assert not caller_of({"sub": "ann", "admin": value}, NAMES).admin


def test_entries_that_are_not_understood_give_no_membership() -> None:
    workspaces = {
        "w1": "member",
        "w2": "owner",
        "w3": "Admin",
        "w4": True,
        "w5": ["admin"],
        "": "admin",
        "a\nb": "admin",
    }
    assert caller_of({"sub": "ann", "workspaces": workspaces}, NAMES).workspaces == {"w1": Role.MEMBER}


def test_a_list_of_ids_gives_members() -> None:
    caller = caller_of({"sub": "ann", "workspaces": ["w1", "w2", 3, None, ["w4"], ""]}, NAMES)
    assert caller.workspaces == {"w1": Role.MEMBER, "w2": Role.MEMBER}


@pytest.mark.parametrize("workspaces", [None, {}, []])
def test_a_user_may_have_no_workspace(workspaces: object) -> None:
    assert caller_of({"sub": "ann", "workspaces": workspaces}, NAMES).workspaces == {}


@pytest.mark.parametrize("workspaces", ["w1", 7, True])
def test_refuses_workspaces_of_another_kind(workspaces: object) -> None:
    with pytest.raises(CredentialsInvalidError, match="neither an object nor a list"):
        caller_of({"sub": "ann", "workspaces": workspaces}, NAMES)
