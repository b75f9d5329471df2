"""The HTTP API: one resource a file, its routes beside the values that they take and give.

It translates between HTTP and the operations, and decides nothing itself.
"""
