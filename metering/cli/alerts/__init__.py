"""Commands for webhooks and their deliveries."""
