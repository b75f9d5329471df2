"""Routes for invoices, reconciliations, and Hugging Face's Billing API."""
