"""Functions of the caller that see every event, and cannot break a run."""

import logging
from collections.abc import Callable

from trainer_core.errors import UserError
from trainer_core.runs.events import Event

OnEvent = Callable[[Event], None]
# Not below trainer_core, whose lines become events: this one is said while an event is recorded.
log = logging.getLogger("backprop.callbacks")


def one_callback(callback: OnEvent | None, on_event: OnEvent | None) -> OnEvent:
    """The one that was given under either name, kept from breaking anything. Raises UserError for
    two of them, or for one that cannot be called."""
    if callback is not None and on_event is not None:
        raise UserError("callback and on_event are the same", hint="Leave one of them out.")
    given = on_event if on_event is not None else callback
    if given is None:
        return lambda _: None
    if not callable(given):
        raise UserError(
            f"on_event is {type(given).__name__}, and takes a function of one event",
            hint="For example: on_event=lambda event: print(event.type).",
        )
    return _guarded(given)


def each(*calls: OnEvent) -> OnEvent:
    """One that calls all of them."""

    def call(event: Event) -> None:
        for one in calls:
            one(event)

    return call


def _guarded(call: OnEvent) -> OnEvent:
    failed = False

    def guarded(event: Event) -> None:
        nonlocal failed
        try:
            call(event)
        except Exception:  # whatever it is, it is not the run's
            if not failed:
                log.exception("on_event failed; the run goes on, and this is said once")
            failed = True

    return guarded
