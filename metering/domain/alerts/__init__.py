"""Alert types, and webhooks: endpoints, messages, signatures and retries."""
