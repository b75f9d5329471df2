"""Answers about charging usage that was unpriced."""

from pydantic import Field

from metering.answers.fields import Answer, amount, nano_usd, usd
from metering.domain.charges.rating_results import RatingResult


class ChargedModelAnswer(Answer):
    """Events of one model that were charged."""

    provider: str = Field(description="The provider.", examples=["together"])
    model: str = Field(description="The model.", examples=["meta-llama/Llama-3.3-70B-Instruct"])
    charged: int = Field(description="Number of events that were charged.", examples=[12])
    amount_nano_usd: int = nano_usd("The sum of their charges")
    amount_usd: str = usd("The sum of their charges")


class RatingAnswer(Answer):
    """Events that were unpriced and have been charged."""

    charged: int = Field(description="Number of events that were charged.", examples=[12])
    amount_nano_usd: int = nano_usd("The sum of their charges")
    amount_usd: str = usd("The sum of their charges")
    still_unpriced: int = Field(description="Number of events that are still unpriced.", examples=[0])
    models: list[ChargedModelAnswer] = Field(description="The charged events, by provider and model.", examples=[[]])


def rating_answer(result: RatingResult) -> RatingAnswer:
    """Return the result of charging unpriced usage."""
    return RatingAnswer(
        charged=result.rated,
        **amount("amount", result.amount_nano),
        still_unpriced=result.still_unpriced,
        models=[
            ChargedModelAnswer(provider=provider, model=model, charged=totals.events, **amount("amount", totals.amount_nano))
            for (provider, model), totals in sorted(result.by_model.items())
        ],
    )
