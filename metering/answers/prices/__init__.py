"""Answers about prices: rates, price tables, history, changes, syncs, imports, discounts and explanations."""
