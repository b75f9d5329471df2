"""Settings from the environment, and opening the service with them."""
