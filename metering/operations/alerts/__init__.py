"""List alerts, manage webhook endpoints, and send deliveries."""
