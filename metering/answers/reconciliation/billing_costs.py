"""Answers to Hugging Face's Billing API, in its spelling."""

from collections.abc import Mapping

from pydantic import Field

from metering.answers.fields import Answer


class RequestCostAnswer(Answer):
    """The cost of one request."""

    requestId: str = Field(description="The request ID from the question.", examples=["deadbeef0"])  # noqa: N815
    costNanoUsd: int = Field(description="Its cost in whole nano-USD; 0 is a cost.", examples=[100])  # noqa: N815


class BillingCostsAnswer(Answer):
    """The known costs; requests without a known cost are left out."""

    requests: list[RequestCostAnswer] | None = Field(
        description="In the order of the request IDs; null if no cost is known.",
        examples=[[{"requestId": "deadbeef0", "costNanoUsd": 100}]],
    )


def billing_costs_answer(costs: Mapping[str, int]) -> BillingCostsAnswer:
    """Return costs (nano-USD) by request ID. Not validated: ten thousand costs are one answer."""
    requests = [RequestCostAnswer.model_construct(requestId=each, costNanoUsd=cost) for each, cost in costs.items()]
    return BillingCostsAnswer.model_construct(requests=requests or None)
