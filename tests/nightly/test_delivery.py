"""The ways out for alerts, tried with a real command and a real server on this machine."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from gmmdask.nightly.delivery import Unreachable, log_lines, post_webhook, run_command

MESSAGE = {"text": "first\nsecond", "lines": ["first", "second"], "alerts": []}
SECRET = "T0K3N"


class Hook:
    """A server that answers as it is told, remembers what it was sent, and can hold its answer back."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.received: list[dict] = []
        self.release = threading.Event()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                length = int(self.headers["Content-Length"])
                hook.received.append({"path": self.path, "body": json.loads(self.rfile.read(length))})
                answer = hook.answers.pop(0) if hook.answers else 200
                if answer == 0:
                    hook.release.wait(30)
                    self.close_connection = True
                    return
                self.send_response(answer)
                if answer in (302, 307):
                    self.send_header("Location", f"{hook.address}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST  # noqa: N815

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def close(self) -> None:
        self.release.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def hook() -> Iterator[Hook]:
    served = Hook()
    yield served
    served.close()


def post(hook: Hook, timeout: float = 10.0) -> tuple[str, list[float]]:
    waited: list[float] = []
    trouble = post_webhook(MESSAGE, f"{hook.address}/hooks/{SECRET}", timeout, pauses=(1.0, 4.0), sleep=waited.append)
    return trouble, waited


def test_a_webhook_gets_the_message_as_json_once(hook):
    assert post(hook) == ("", [])
    assert hook.received == [{"path": f"/hooks/{SECRET}", "body": MESSAGE}]


@pytest.mark.parametrize("answer", [429, 500, 503])
def test_what_may_pass_is_tried_again_after_a_pause(hook, answer):
    hook.answers = [answer, answer]
    assert post(hook) == ("", [1.0, 4.0])
    assert len(hook.received) == 3


def test_a_webhook_that_keeps_failing_is_given_up_and_told_by_its_host_alone(hook):
    hook.answers = [500] * 3
    trouble, _ = post(hook)
    assert trouble == "the webhook at 127.0.0.1 answered 500"
    assert isinstance(trouble, Unreachable)
    assert len(hook.received) == 3


@pytest.mark.parametrize("answer", [400, 403, 404, 302, 307])
def test_a_refusal_or_redirect_is_final(hook, answer):
    hook.answers = [answer]
    trouble, waited = post(hook)
    assert (trouble, waited) == (f"the webhook at 127.0.0.1 answered {answer}", [])
    assert not isinstance(trouble, Unreachable), "it did answer"
    assert len(hook.received) == 1, "nothing went where the redirect pointed"


def test_a_webhook_that_never_answers_is_left_after_the_timeout(hook):
    hook.answers = [0] * 3
    trouble, waited = post(hook, timeout=0.05)
    assert trouble == "the webhook at 127.0.0.1 did not answer (not within the time allowed)"
    assert len(waited) == 2


def test_a_webhook_where_nothing_listens_is_told_without_its_address():
    trouble = post_webhook(MESSAGE, f"http://127.0.0.1:9/{SECRET}", 1.0, pauses=())
    assert trouble == "the webhook at 127.0.0.1 did not answer (Connection refused)"


def test_a_command_reads_the_message_from_its_input(tmp_path):
    path = tmp_path / "got.json"
    program = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(sys.stdin.read())"
    assert run_command(MESSAGE, [sys.executable, "-c", program, str(path)], 30.0) == ""
    assert json.loads(path.read_text()) == MESSAGE


def test_no_shell_reads_what_a_command_is_given(tmp_path):
    program = "import sys; sys.exit(sys.argv[1] != '$(id); `id` > x')"
    assert run_command(MESSAGE, [sys.executable, "-c", program, "$(id); `id` > x"], 30.0) == ""


def test_a_command_that_fails_is_told_with_its_last_words_and_without_its_arguments():
    program = f"import sys; print('no', file=sys.stderr); print('{'late ' * 90}', file=sys.stderr); sys.exit(7)"
    trouble = run_command(MESSAGE, [sys.executable, "-c", program, SECRET], 30.0)
    assert trouble.startswith(f"the command {sys.executable!r} ended with exit code 7: late late ")
    assert len(trouble) < 300
    assert SECRET not in trouble


def test_a_command_neither_gets_nor_tells_the_address_of_the_webhook(monkeypatch):
    monkeypatch.setenv("GMMDASK_ALERTS__WEBHOOK", f"https://x/services/{SECRET}")
    monkeypatch.setenv("gmmdask_alerts", f'{{"webhook": "https://x/services/{SECRET}"}}')
    program = (
        "import os, sys; seen = [name for name in os.environ if name.upper().startswith('GMMDASK_ALERTS')]; "
        "sys.exit(f'{seen} POST {sys.argv[1]} and {sys.argv[2]} failed')"
    )
    command = [sys.executable, "-c", program, f"https://x/services/{SECRET}", f"/{SECRET}"]
    trouble = run_command(MESSAGE, command, 30.0, secret=f"https://x/services/{SECRET}")
    assert trouble.endswith("exit code 1: [] POST *** and /*** failed")


def test_a_command_that_reads_nothing_is_fine():
    assert run_command({**MESSAGE, "text": "x" * 1_000_000}, [sys.executable, "-c", "pass"], 30.0) == ""


def test_a_command_that_hangs_is_stopped_with_all_that_it_started(monkeypatch):
    """Its child holds a pipe open, which ends only when the last that holds it is gone."""
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    monkeypatch.setattr("gmmdask.nightly.delivery.subprocess.Popen", partial(subprocess.Popen, close_fds=False))
    child = "import time; time.sleep(600)"
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', '{child}'], close_fds=False)"
    trouble = run_command(MESSAGE, [sys.executable, "-c", program], 1.0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        assert pipe.read() == "", "the end: nobody holds it any more"
    assert trouble == f"the command {sys.executable!r} was stopped after 1 s"
    assert isinstance(trouble, Unreachable)


@pytest.mark.parametrize("command", ["/nowhere/notify", "no\0name"])
def test_a_command_that_is_not_there_is_told(command):
    assert run_command(MESSAGE, [command], 1.0).startswith(f"the command {command!r} cannot be run (")


def test_the_log_gets_a_line_an_alert(caplog):
    with caplog.at_level(logging.WARNING, logger="gmmdask.alerts"):
        assert log_lines(MESSAGE) == ""
    assert [record.getMessage() for record in caplog.records] == ["first", "second"]
