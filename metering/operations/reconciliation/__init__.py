"""Import invoices, compare them with metered usage, explain variances and decide on them; answer Hugging Face's Billing API."""
