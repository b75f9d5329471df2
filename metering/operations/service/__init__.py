"""Settings from the environment, logging, and opening the service."""
