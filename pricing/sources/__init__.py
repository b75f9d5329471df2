"""Readers of prices: one module per source, each with a pure function from text to price tables or plans.

Owns the published formats. Fetches nothing, stores nothing, and does not decide which price applies.
"""
