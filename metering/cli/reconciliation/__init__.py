"""Commands for invoices and reconciliations."""
