"""One side of the Try screen: a model in a worker, and the conversation with it.

What takes time happens in threads; what comes of it is delivered to the screen's own thread.
"""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field
from typing import Any

from trainer_core.config.sampling import Sampling
from trainer_core.data.chat import Said, Say
from trainer_core.data.conversations import Turn, as_prompt
from trainer_core.errors import BackpropError
from trainer_core.runs.events import Failed, Progress, Stage
from trainer_core.worker.chats import Chat
from tui.try_found import Answerer

# The stage in which the model is loaded, and answers.
READY = "answering"


@dataclass
class Prompt:
    """What is asked next: the turns that go before it, where a row begins the conversation, and the
    answer that is expected, where one is known."""

    turn: Turn
    before: tuple[Turn, ...] = ()
    tools: tuple[Mapping[str, Any], ...] = ()
    expected: str | None = None
    where: str = ""


@dataclass
class Exchange:
    """A prompt and its answer by `model`, whole once it is `over`. `turns` is all that it was
    asked; `conversation` names what it belongs to."""

    model: Answerer
    prompt: Prompt
    sampling: Sampling
    conversation: str
    turns: tuple[Turn, ...]
    said: Said = field(default_factory=Said)
    error: str = ""
    over: bool = False

    def facts(self) -> dict[str, Any]:
        """What the transcript holds of it, in the words of predictions.jsonl."""
        tools = [dict(tool) for tool in self.prompt.tools]
        return {
            "conversation": self.conversation,
            "model": self.model.name,
            **self.model.request.model_dump(),
            "where": self.prompt.where,
            "prompt": as_prompt(self.turns),
            **({"tools": tools} if tools else {}),
            "expected": self.prompt.expected,
            "sampling": asdict(self.sampling),
            "answer": self.said.text,
            **self.said.model_dump(include={"tokens", "seconds", "ended"}),
        }


class Side:
    """Starts its worker when it is first asked. `changed` is set when there is something to paint;
    `ended` is called with each exchange that is over."""

    def __init__(self, deliver: Callable[..., object], ended: Callable[[Exchange], None]) -> None:
        self.model: Answerer | None = None
        self.exchanges: list[Exchange] = []
        self.stage = self.stage_detail = self.problem = ""
        self.changed = True
        self._deliver = deliver
        self._ended = ended
        self._chat: Chat | None = None
        self._left: Chat | None = None
        self._opening = False
        self._waiting: Exchange | None = None
        self._turns: tuple[Turn, ...] = ()

    # --- for the screen --------------------------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        """Whether an answer is still to come, or to end."""
        return bool(self.exchanges) and not self.exchanges[-1].over

    @property
    def is_loading(self) -> bool:
        """Whether the model is being loaded."""
        return self._opening or (self._chat is not None and self.stage != READY)

    def choose(self, model: Answerer | None) -> None:
        """Let another model answer, in a new conversation."""
        self._fail("another model was chosen")
        self._close()
        self._left = None
        self.model, self.problem = model, ""
        self.begin_anew()

    def forget(self) -> None:
        """End the worker and all that was said."""
        self.choose(None)
        self.exchanges = []

    def begin_anew(self) -> None:
        """Forget the conversation; it stays on the screen."""
        self._turns, self.changed = (), True

    def load(self) -> None:
        """Load the model, if that has not begun."""
        if self.model is not None and self._chat is None and not self._opening:
            self.problem, self.stage = "", "starting"
            self._open(self.model)

    def say(self, prompt: Prompt, sampling: Sampling, conversation: str) -> None:
        """Ask, as soon as the model is loaded."""
        if self.model is None:
            return
        turns = (*self._turns, *prompt.before, prompt.turn)
        exchange = Exchange(self.model, prompt, sampling, conversation, turns)
        self.exchanges.append(exchange)
        self.changed = True
        if self._chat is not None:
            self._send(self._chat, exchange)
        else:
            self._waiting = exchange
            self.load()

    def hush(self) -> None:
        """End the answer; what there is of it stays."""
        if self._waiting is not None:
            self._waiting.said.ended = "stopped"
            self._over(self._waiting)
        elif self._chat is not None and self.is_busy:
            self._chat.hush()

    def take_events(self, deadline: float) -> None:
        """What the worker says of itself, until `deadline`."""
        chat = self._chat
        for event in chat.client.take(deadline) if chat is not None else ():
            if isinstance(event, Stage):
                self.stage, self.stage_detail, self.changed = event.stage, event.detail, True
            elif isinstance(event, Progress):
                self.stage_detail, self.changed = f"{event.done:,} {event.unit}", True
            elif isinstance(event, Failed):
                self.problem = f"{event.message.rstrip('.')}. {event.hint}".strip()
                self._close()
        if chat is not None and self._chat is chat and chat.client.ended:
            self._close()

    def leave(self) -> None:
        """Let go of the worker, which soon ends; `return_to` within its patience finds it there."""
        if not self.is_busy and self._chat is not None:
            chat = self._chat
            self._close()
            self._left = chat

    def return_to(self) -> None:
        """Take hold of the worker again, if it is still there."""
        if self._left is not None and self.model is not None and not self._opening:
            self._open(self.model, self._left)

    def close(self) -> None:
        """The end of this side: what was said so far of an answer is all there is."""
        self._fail("the dashboard was closed")
        self._close()

    # --- the worker ------------------------------------------------------------------------------

    def _open(self, model: Answerer, left: Chat | None = None) -> None:
        self._opening = self.changed = True
        self._left = None
        threading.Thread(
            target=self._open_there, args=[model, left], name="try side", daemon=True
        ).start()

    def _open_there(self, model: Answerer, left: Chat | None) -> None:
        """In a thread: the worker that was left if there is one, else a new one."""
        chat, problem = None, ""
        try:
            if left is None:
                chat = Chat(model.request)
            elif left.return_to():
                chat = left
        except (BackpropError, OSError) as error:
            problem = str(error)
        self._deliver(self._opened, model, chat, problem)

    def _opened(self, model: Answerer, chat: Chat | None, problem: str) -> None:
        self._opening, self.changed = False, True
        if model is not self.model:  # another was chosen meanwhile
            if chat is not None:
                _in_thread(chat.close)
            if self._waiting is not None:
                self.load()
            return
        self._chat, self.problem = chat, problem
        waiting = self._waiting
        if problem:
            self._fail(problem)
        elif chat is not None and waiting is not None:
            self._waiting = None
            self._send(chat, waiting)
        elif waiting is not None:  # the worker that was left has ended
            self.load()

    def _close(self) -> None:
        chat, self._chat = self._chat, None
        self.stage = self.stage_detail = ""
        self.changed = True
        if chat is not None:
            _in_thread(chat.close)

    # --- answers ---------------------------------------------------------------------------------

    def _send(self, chat: Chat, exchange: Exchange) -> None:
        words = Say(
            turns=list(exchange.turns),
            tools=list(exchange.prompt.tools),
            sampling=exchange.sampling,
        )
        answer = chat.say(words, lambda said: self._tell(self._heard, exchange, said))
        answer.add_done_callback(lambda whole: self._tell(self._answered, exchange, whole))

    def _tell(self, hear: Callable[..., None], *arguments: Any) -> None:
        self._deliver(hear, *arguments)

    def _heard(self, exchange: Exchange, said: Said) -> None:
        if not exchange.over:
            exchange.said, self.changed = said, True

    def _answered(self, exchange: Exchange, answer: "Future[Said]") -> None:
        error = answer.exception()
        if exchange.over:
            return
        if error is None:
            exchange.said = answer.result()
            if exchange.said.text:  # what nothing was said to is no part of the conversation
                self._turns = (*exchange.turns, Turn("assistant", exchange.said.text))
        else:
            self.take_events(time.monotonic() + 0.05)  # which may say why the worker is gone
            exchange.error = self.problem or str(error)
        self._over(exchange)

    def _fail(self, why: str) -> None:
        """Give up the exchange that is not over, if there is one."""
        if self.is_busy:
            self.exchanges[-1].error = why
            self._over(self.exchanges[-1])

    def _over(self, exchange: Exchange) -> None:
        exchange.over = self.changed = True
        if self._waiting is exchange:
            self._waiting = None
        self._ended(exchange)


def is_as_expected(exchange: Exchange) -> bool:
    """Whether the answer is the one that was expected, but for white space around it."""
    expected = exchange.prompt.expected
    return expected is not None and exchange.said.text == expected.strip()


def _in_thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="try side", daemon=True).start()
