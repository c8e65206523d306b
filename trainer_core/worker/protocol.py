"""What clients and workers say to each other: JSON through `send_bytes`, one message each.

client → worker   Hello, then Command and Ask as often as it likes
worker → client   Welcome or Refused, then events (runs/events.py), each as it stands in the file;
                  among them replies, which go to every client and stand in no file
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from trainer_core.runs.control import CommandName

PROTOCOL = 1
# A question may hold a whole conversation.
MAX_CLIENT_MESSAGE = 1 << 20
MAX_WORKER_MESSAGE = 1 << 24


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore")


class Hello(_Message):
    """The first words of a client."""

    type: Literal["hello"] = "hello"
    protocol: int = PROTOCOL
    client: str = ""


class Command(_Message):
    """What the user wants of the job."""

    type: Literal["command"] = "command"
    command: CommandName
    reason: str = ""


class Ask(_Message):
    """A question to the job; the Reply carries the same `id`, which no other client would draw."""

    type: Literal["ask"] = "ask"
    id: str
    question: dict[str, Any]


class Welcome(_Message):
    """The client is subscribed: events above `last` come live, the rest is in events.jsonl."""

    type: Literal["welcome"] = "welcome"
    protocol: int = PROTOCOL
    run: str
    job: str
    last: int


class Refused(_Message):
    """The client cannot be served."""

    type: Literal["refused"] = "refused"
    message: str


FromClient = Hello | Command | Ask
_FROM_CLIENT: TypeAdapter[FromClient] = TypeAdapter(
    Annotated[FromClient, Field(discriminator="type")]
)
_GREETING: TypeAdapter[Welcome | Refused] = TypeAdapter(
    Annotated[Welcome | Refused, Field(discriminator="type")]
)


def pack(message: _Message) -> bytes:
    """A message as it is sent."""
    return message.model_dump_json().encode()


def from_client(data: bytes) -> FromClient:
    """Parse what a client sent. Raises ValueError."""
    return _FROM_CLIENT.validate_json(data)


def greeting(data: bytes) -> Welcome | Refused:
    """Parse a worker's answer to Hello. Raises ValueError."""
    return _GREETING.validate_json(data)
