"""Statements as files for people and for other programs. Pure: a statement and its days in, bytes out; one form a file."""
