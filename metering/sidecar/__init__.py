"""The sidecar: a pass-through in front of the Hugging Face router that meters every request.

It owns the connections of applications and of the upstream, what is read from requests and answers on the way, the journal
that keeps events until they are stored, and the process that ships them. It reads tokens with the readers of ``formats``, the
same that ``ingest`` uses. It does not charge: events are stored by the operations of ``usage``, or sent to the API of another
service. What requests cost is computed here only to refuse those that a budget has no room for (``budget_gate``).

Two processes: this one passes requests through and writes the journal, and imports neither SQLAlchemy nor an HTTP framework;
``sidecar.shipping`` reads the journal and stores what is in it. If shipping fails, requests still flow.
"""
