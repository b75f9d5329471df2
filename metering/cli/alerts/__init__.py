"""Commands for webhook endpoints and deliveries."""
