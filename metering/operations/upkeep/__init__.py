"""Verification, retention, migrations, readiness and monitoring."""
