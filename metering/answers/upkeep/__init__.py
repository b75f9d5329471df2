"""Answers about the database: verification, retention, schema and readiness."""
