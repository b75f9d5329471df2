"""Statements: an account's books, its months, the lines of a statement, and the sealed record of a closed one."""
