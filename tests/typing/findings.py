"""What a user's type checker makes of rules, findings and errors. Checked by mypy and pyright, not run."""

from typing import assert_type

import twelvefactor as tf


def findings(finding: tf.Finding) -> None:
    assert_type(finding.rule, tf.Rule)
    assert_type(finding.rule.id, str)
    assert_type(finding.rule.severity, tf.Severity)
    assert_type(finding.where, str)
    assert_type(finding.work, str | None)
    assert_type(finding.count, int)
    finding.count = 2  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def errors(error: tf.ConfigError, violation: tf.FactorViolation) -> None:
    assert_type(error.exit_code, int)
    assert_type([problem.names for problem in error.problems], list[tuple[str, ...]])
    assert_type(violation.findings, tuple[tf.Finding, ...])


def unknown_names() -> None:
    tf.Servce  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
