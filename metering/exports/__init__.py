"""Statements and reconciliations as files, one format per module. Pure: values in, bytes out."""
