"""Metering of LLM inference through the Hugging Face router: events, charges, credits, statements."""

__version__ = "0.1.0"
