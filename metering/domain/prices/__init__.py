"""Rates in price lists, price changes, price syncs, imports, discounts and explanations of prices."""
