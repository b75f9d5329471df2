"""Answers about verification."""

from collections.abc import Sequence

from pydantic import Field

from metering.answers.fields import Answer
from metering.domain.violations import Violation


class ViolationAnswer(Answer):
    """One invariant that does not hold."""

    code: str = Field(description="The invariant, stable.", examples=["rollup_differs"])
    where: str = Field(description="The row or key.", examples=["event 17"])
    expected: str = Field(description="The value that follows from the facts.", examples=["1040000"])
    got: str = Field(description="The value that is stored.", examples=["1039999"])
    message: str = Field(
        description="The violation in words.", examples=["the charge of event 17 differs from its grade (rated)"]
    )


class VerificationAnswer(Answer):
    """The result of verification."""

    ok: bool = Field(description="Whether every invariant holds.", examples=[True])
    checks: list[str] = Field(description="The checks that ran, in order.", examples=[["database", "references"]])
    violations: list[ViolationAnswer] = Field(description="The violations, in the order of the checks.", examples=[[]])


def verification_answer(checks: Sequence[str], violations: Sequence[Violation]) -> VerificationAnswer:
    """Return the result of checks, by name."""
    found = [
        ViolationAnswer(code=each.code, where=each.where, expected=each.expected, got=each.got, message=each.message)
        for each in violations
    ]
    return VerificationAnswer(ok=not found, checks=list(checks), violations=found)
