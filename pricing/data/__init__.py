"""Bundled data: price sheets, plans and aliases, as dated YAML, one file per provider, each entry with its source.

``hf_router/`` is generated from the recorded history of the router's price list; ``hf_router_additions/`` has later changes of
the same list, written by hand; ``partners/`` has the partners' own lists; ``hf_inference.yaml`` prices Hugging Face's own
compute; ``plans.yaml`` has the subscriptions; ``model_aliases.yaml`` has providers' own names for models. A new price is a new
version of its entry, never an edit.
"""
