"""Price tables, discounts, and the record of price syncs."""
