"""Answers about invoices, reconciliations and their variances, and answers to Hugging Face's Billing API."""
