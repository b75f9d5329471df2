"""Bundled knowledge: price sheets, plans and aliases, dated YAML, one file a provider, each entry with its source.

``hf_router/`` is generated from the record of the router's price list; ``hf_router_additions/`` are later changes of the same
list, written by hand; ``partners/`` are the partners' own lists; ``hf_inference.yaml`` is Hugging Face's own compute;
``plans.yaml`` are the subscriptions; ``model_aliases.yaml`` are the providers' own names of models. A new price is a new
version of its entry, never an edit.
"""
