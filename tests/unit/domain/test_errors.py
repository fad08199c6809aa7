"""Errors that are kept as their reason and told again."""

from limner.domain.errors import FieldViolation, InvalidFieldError, Outcome, from_reason


def test_kept_violations_are_told_again() -> None:
    violations = (
        FieldViolation("imageIds", "the provider can't read one of these pictures; try another"),
        FieldViolation("generate.aspectRatio", "must be one of 1:1, 3:2"),
    )
    first = InvalidFieldError(violations, outcome=Outcome.NOT_BOUGHT)
    again = from_reason(first.reason, first.message, first.metadata, first.outcome)
    assert isinstance(again, InvalidFieldError) and again.violations == violations
    assert (again.message, again.outcome) == (first.message, Outcome.NOT_BOUGHT)
