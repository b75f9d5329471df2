"""What is shown about prices: rates in price lists, their changes, price syncs, imports, discounts and explanations."""
