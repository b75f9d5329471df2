"""The database itself: backends, transactions, bulk inserts and migrations. Every other room here builds on it."""
