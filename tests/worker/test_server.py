"""Clients attach over a real socket: none can harm another or the run, and each sees every event
once, in order."""

import os
import shutil
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Client
from pathlib import Path

import pytest

from trainer_core.runs.events import Event, Log
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import Recorder
from trainer_core.runs.status import new_status, take_lock, write_status
from trainer_core.worker.client import RunClient
from trainer_core.worker.handshake import HandshakeError, prove_to_worker
from trainer_core.worker.outbox import Outbox
from trainer_core.worker.protocol import (
    Command,
    Hello,
    Refused,
    Welcome,
    greeting,
    pack,
)
from trainer_core.worker.server import RunServer


def until(condition: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Poll, generously bounded: a slow machine must not fail a test."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.01)


class Run:
    """A run with a living lock, a recorder and a listener, and no job behind it."""

    def __init__(self, path: Path) -> None:
        self.folder = RunFolder(path)
        path.mkdir()
        self.lock = take_lock(self.folder)
        self.commands: list[Command] = []
        self.server = RunServer("run", "train", self.commands.append, 0)
        self.status = new_status("run", "train")
        self.note_address()
        self.recorder = Recorder(self.folder, self.server.publish)
        self.clients: list[RunClient] = []

    def note_address(self) -> None:
        self.status.address, self.status.key_file = self.server.address, self.server.key_file
        write_status(self.folder, self.status)

    def client(self) -> RunClient:
        client = RunClient(self.folder)
        self.clients.append(client)
        assert client.wait_connected(60)
        return client

    def raw(self):
        return Client(self.server.address, family="AF_UNIX")

    def say(self, count: int) -> None:
        for number in range(count):
            self.recorder.record(Log(level="INFO", message=str(number)))

    def end(self) -> None:
        self.server.close(flush=10)
        self.recorder.close()
        self.lock.release()
        for client in self.clients:
            client.close()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    runtime = tempfile.mkdtemp(prefix="bp", dir="/tmp")  # a socket's path must be short
    monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
    run = Run(tmp_path / "run")
    yield run
    run.end()
    shutil.rmtree(runtime)


def numbers(client: RunClient, last: int) -> list[int]:
    """The numbers of the events that a client has seen when it comes to `last`."""
    seen: list[int] = []
    for event in client.events(timeout=60):
        assert event is not None, f"nothing more after {len(seen)} events"
        seen.append(event.n)
        if event.n >= last:
            break
    return seen


def test_every_event_once_in_order_for_early_and_late_clients(run: Run) -> None:
    early = run.client()
    writer = threading.Thread(target=run.say, args=[3000])
    writer.start()
    between = [run.client() for _ in range(3)]
    writer.join()
    late = run.client()
    for client in (early, *between, late):
        assert numbers(client, 3000) == list(range(1, 3001))
    run.say(1)
    for client in (early, *between, late):
        assert numbers(client, 3001) == [3001]


def test_events_without_a_number_come_live(run: Run) -> None:
    from trainer_core.runs.events import State

    client = run.client()
    run.server.publish(State(message="disk full"))
    event = next(iter(client.events(timeout=60)))
    assert isinstance(event, State)


def test_the_end_of_a_run_ends_its_clients(run: Run) -> None:
    client = run.client()
    run.say(5)
    run.server.close(flush=10)
    run.lock.release()
    assert [event.n for event in client.events(timeout=60) if event is not None] == [1, 2, 3, 4, 5]
    assert client.ended
    assert not client.send("pause")


def test_a_command_arrives_as_sent(run: Run) -> None:
    assert run.client().send("stop", reason="Ctrl+C")
    until(lambda: run.commands, "the command")
    assert run.commands == [Command(command="stop", reason="Ctrl+C")]


def test_a_wrong_key_is_refused_and_others_attach(run: Run) -> None:
    with run.raw() as connection, pytest.raises(HandshakeError):
        prove_to_worker(connection, b"not the key" * 3)
    client = run.client()
    run.say(1)
    assert numbers(client, 1) == [1]


def test_silent_clients_hold_nobody_up(run: Run) -> None:
    silent = [run.raw() for _ in range(20)]
    try:
        client = run.client()
        run.say(10)
        assert numbers(client, 10) == list(range(1, 11))
    finally:
        for connection in silent:
            connection.close()


def test_garbage_and_oversized_messages_end_only_their_sender(run: Run) -> None:
    key = Path(run.server.key_file).read_bytes()
    for message in (b"\xff{", b"{}", b"x" * 100_000, b""):
        with run.raw() as connection:
            prove_to_worker(connection, key)
            with pytest.raises((EOFError, OSError)):  # noqa: PT012 - either call may meet the closed socket
                connection.send_bytes(message)
                while not isinstance(greeting(connection.recv_bytes()), Refused):
                    pass
                connection.recv_bytes()
    assert run.client().send("save")
    until(lambda: run.commands, "the command")


def test_another_protocol_is_refused_in_words(run: Run) -> None:
    with run.raw() as connection:
        prove_to_worker(connection, Path(run.server.key_file).read_bytes())
        connection.send_bytes(pack(Hello(protocol=999)))
        answer = greeting(connection.recv_bytes())
    assert isinstance(answer, Refused)
    assert "protocol" in answer.message


def test_a_client_that_stops_reading_misses_nothing_and_delays_nobody(run: Run) -> None:
    with run.raw() as stuck:
        prove_to_worker(stuck, Path(run.server.key_file).read_bytes())
        stuck.send_bytes(pack(Hello()))
        assert isinstance(greeting(stuck.recv_bytes()), Welcome)
        reading = run.client()
        run.say(50_000)  # far more than a socket and an outbox hold; returning is the test
        assert numbers(reading, 50_000) == list(range(1, 50_001))


def test_a_client_reads_from_the_file_what_the_wire_dropped(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, take = threading.Event(), RunClient._take

    def slow(client: RunClient, message: bytes) -> None:
        go_on.wait(120)
        take(client, message)

    monkeypatch.setattr(RunClient, "_take", slow)
    client = run.client()
    run.say(50_000)
    (outbox,) = run.server._clients
    assert outbox.dropped > 0
    go_on.set()
    assert numbers(client, 50_000) == list(range(1, 50_001))


def test_a_vanished_address_is_listened_on_anew(run: Run) -> None:
    assert not run.server.ensure_reachable()
    before = run.client()
    shutil.rmtree(Path(run.server.key_file).parent)
    assert run.server.ensure_reachable()
    run.note_address()
    after = run.client()
    run.say(3)
    assert numbers(before, 3) == numbers(after, 3) == [1, 2, 3]


def test_only_the_user_can_read_the_key(run: Run) -> None:
    key = Path(run.server.key_file)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    for folder in (key.parent, key.parent.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert folder.stat().st_uid == os.getuid()
    run.server.close(flush=0)
    assert not key.parent.exists()


def test_an_open_runtime_folder_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "backprop").mkdir()
    (tmp_path / "backprop").chmod(0o777)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    server = RunServer("run", "train", lambda _: None, 0)
    assert not server.address.startswith(str(tmp_path))
    server.close(flush=0)


def test_a_full_outbox_drops_the_oldest() -> None:
    from multiprocessing import Pipe

    ours, theirs = Pipe()
    outbox = Outbox(ours, capacity=10)
    big = b"x" * 100_000
    for number in range(100):
        outbox.put(b"%03d" % number + big)
    assert outbox.dropped >= 80
    seen: list[int] = []
    while not seen or seen[-1] != 99:
        assert theirs.poll(60)
        seen.append(int(theirs.recv_bytes()[:3]))
    assert seen == sorted(set(seen))
    assert seen[-10:] == list(range(90, 100))
    outbox.close(flush=10)
    ours.close()
    theirs.close()


def test_events_are_typed_on_the_way(run: Run) -> None:
    client = run.client()
    run.say(1)
    event: Event | None = next(iter(client.events(timeout=60)))
    assert isinstance(event, Log)
    assert event.message == "0"
