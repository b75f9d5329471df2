"""Connections, transactions, bulk inserts, partitions and migrations: what every other room here is built on."""
