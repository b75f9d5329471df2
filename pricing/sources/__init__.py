"""Readers of prices: one file a source, each a pure function from text to price tables or plans.

Owns the formats of what is published. Fetches nothing, stores nothing, and does not decide which price applies.
"""
