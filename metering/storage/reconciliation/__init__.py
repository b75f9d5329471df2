"""Invoices, metered requests, reconciliation runs, and answers given to Hugging Face."""
