"""What a path asks for: the API that it speaks, and what of it can be metered."""

from enum import Enum
from functools import lru_cache

from msgspec import Struct


class ErrorShape(Enum):
    """How an API's clients expect an error to look."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"


class Wire(Struct, frozen=True):
    """One kind of request. ``asks_for_usage``: its streams state usage only if asked for. ``is_inference``: it is metered."""

    name: str
    operation: str = "chat"
    is_inference: bool = True
    asks_for_usage: bool = False
    errors: ErrorShape = ErrorShape.OPENAI

    @property
    def is_known(self) -> bool:
        """Whether it is one of the APIs below."""
        return self.name not in (_OTHER.name, _NO_INFERENCE.name)


_CHAT = Wire("chat", asks_for_usage=True)
_RESPONSES = Wire("responses")
_MESSAGES = Wire("messages", errors=ErrorShape.ANTHROPIC)
_OTHER = Wire("other")
_NO_INFERENCE = Wire("none", is_inference=False)

_IMAGES = Wire("images", "image_generation")
_TRANSCRIPTION = Wire("transcription", "transcription")

_BY_ENDING = (
    ("/chat/completions", _CHAT),
    ("/completions", Wire("completions", "text_completion", asks_for_usage=True)),
    ("/v1/responses", _RESPONSES),
    ("/messages", _MESSAGES),
    ("/messages/count_tokens", Wire("count_tokens", is_inference=False, errors=ErrorShape.ANTHROPIC)),
    ("/responses/input_tokens", _NO_INFERENCE),
    ("/responses", _RESPONSES),
    ("/embeddings", Wire("embeddings", "embeddings")),
    ("/images/generations", _IMAGES),
    ("/images/edits", _IMAGES),
    ("/images/variations", _IMAGES),
    ("/audio/transcriptions", _TRANSCRIPTION),
    ("/audio/translations", _TRANSCRIPTION),
    ("/audio/speech", Wire("speech", "speech")),
    ("/rerank", Wire("rerank", "rerank")),
)
_ASKING = frozenset({b"GET", b"HEAD", b"OPTIONS", b"DELETE", b"TRACE"})


@lru_cache(maxsize=1024)
def wire_of(method: bytes, path: str) -> Wire:
    """Return the wire of a request. A request that only asks for something that exists, such as a list, is no inference."""
    plain = path.rstrip("/")
    for ending, wire in _BY_ENDING:
        if plain.endswith(ending):
            return wire if method not in _ASKING else Wire(wire.name, is_inference=False, errors=wire.errors)
    return _NO_INFERENCE if method in _ASKING else _OTHER
