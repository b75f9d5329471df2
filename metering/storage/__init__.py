"""The database: tables, and plain functions named after what they ask or write.

Functions take a connection and never commit: the operation that calls them owns the transaction. The schema comes to be
through Alembic only (``migrations/``); the tables here are what the migrations are checked against.
"""
