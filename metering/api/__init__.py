"""The HTTP API: one resource per file, with its routes and request bodies.

It translates between HTTP and the operations, and decides nothing itself.
"""
