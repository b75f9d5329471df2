"""Statements as files for other programs. Pure: a Statement in, text out; one format a file."""
