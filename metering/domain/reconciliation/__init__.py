"""Reconciliation: what another side says is owed, held against what was metered, to the nano-dollar.

Owns what an invoice is, how its lines find the requests that they are about, the hypotheses of why amounts differ, and the
bridge that leads from our figure to theirs in steps that add up exactly. Pure: where invoices and usage come from, and where
what was found is kept, is for others.
"""
