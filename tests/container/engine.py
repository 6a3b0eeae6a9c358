"""A container of the image under test, and what a test asks of it."""

import json
import os
import subprocess
import time
import unittest
import urllib.error
import urllib.request
import uuid

IMAGE = os.environ.get("GLITCHBOX_IMAGE", "glitchbox-test")
# Everything a test makes carries it, so that all of it can be found and removed.
LABEL = "glitchbox-test"


def docker(*arguments, check=True, **options):
    """Runs a docker command and returns what it wrote to standard output."""
    done = run(*arguments, **options)
    if check and done.returncode != 0:
        raise AssertionError(f"docker {' '.join(arguments)} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout.strip()


def run(*arguments, **options):
    """Runs a docker command and returns its exit code, standard output and standard error."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=120, **options)


def eventually(what, probe, seconds=30):
    """Waits until `probe` returns something true, and returns that."""
    deadline = time.monotonic() + seconds
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


class Container:
    """A running container; its address is on the loopback interface, on a port of the engine's choice."""

    def __init__(self, *options, command=()):
        self.name = f"glitchbox-test-{uuid.uuid4().hex[:12]}"
        self.began = time.monotonic()
        common = ("--name", self.name, "--label", LABEL, "--publish", "127.0.0.1::8000")
        docker("run", "--detach", *common, *options, IMAGE, *command)

    def address(self):
        # It changes when a container is started again.
        port = docker("port", self.name, "8000").splitlines()[0].rsplit(":", 1)[1]
        return f"http://127.0.0.1:{port}"

    def http(self, path, body=None, headers=None, method=None):
        """Status and body of an answer; status 0 when there is none."""
        data = body.encode() if isinstance(body, str) else body
        request = urllib.request.Request(self.address() + path, data=data, headers=headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except (OSError, IndexError, AssertionError):
            return 0, ""

    def wait_until_serving(self, seconds=30):
        """Seconds from `docker run` (or `start`) until `/_health/` answered 200."""
        eventually(f"{self.name} serves\n{self.logs()}", lambda: self.http("/_health/")[0] == 200, seconds)
        return time.monotonic() - self.began

    def wait_until_healthy(self, seconds=30):
        """Seconds from `docker run` (or `start`) until the engine calls it healthy."""
        state = lambda: self.inspect("{{.State.Health.Status}}") == "healthy"
        eventually(f"{self.name} is healthy", state, seconds)
        return time.monotonic() - self.began

    def wait_until_ready(self, seconds=30):
        """Waits for the lines that say where it is and how to get in."""
        eventually("the banner", lambda: "glitchbox is ready" in self.logs(), seconds)
        return self

    def wait_until_exited(self, seconds=30):
        """Its exit code."""
        eventually("it has ended", lambda: self.inspect("{{.State.Status}}") == "exited", seconds)
        return int(self.inspect("{{.State.ExitCode}}"))

    def inspect(self, template):
        return docker("inspect", "--format", template, self.name)

    def logs(self):
        done = run("logs", self.name)
        return done.stdout + done.stderr

    def exec(self, *command, options=(), check=True, stdin=None):
        return docker("exec", *options, self.name, *command, check=check, input=stdin)

    def services(self):
        """`supervisor status --json`, by name."""
        status = json.loads(self.exec("supervisor", "status", "--json"))
        return {service["name"]: service for service in status["services"]}

    def stop(self):
        """`docker stop` with its default 10 s; the exit code and the seconds it took."""
        began = time.monotonic()
        docker("stop", self.name)
        return int(self.inspect("{{.State.ExitCode}}")), time.monotonic() - began

    def start(self):
        self.began = time.monotonic()
        docker("start", self.name)
        return self

    def remove(self):
        docker("rm", "--force", "--volumes", self.name, check=False)

    # What an SDK and an API client do.

    def dsn_key(self):
        keys = json.loads(self.exec("glitchbox", "key", "list", "--json"))
        return keys[0]["dsn"].split("//")[1].split("@")[0]

    def token(self):
        scopes = "org:read,project:read,project:write,event:read,event:write"
        made = self.exec("glitchbox", "token", "create", "--user", "admin@localhost", "--scope", scopes, "--json")
        return json.loads(made)["token"]

    def send_event(self, message, key=None):
        """An error event through the envelope endpoint; its id."""
        event_id = uuid.uuid4().hex
        event = {
            "event_id": event_id,
            "level": "error",
            "platform": "python",
            "exception": {"values": [{"type": "ValueError", "value": message}]},
        }
        lines = [{"event_id": event_id}, {"type": "event"}, event]
        envelope = "".join(json.dumps(line) + "\n" for line in lines)
        auth = {"X-Sentry-Auth": f"Sentry sentry_version=7, sentry_client=test/1, sentry_key={key or self.dsn_key()}"}
        status, body = self.http("/api/1/envelope/", envelope, auth)
        assert status == 200, (status, body)
        return event_id

    def issues(self, token):
        path = "/api/0/projects/default/default/issues/?query="
        status, body = self.http(path, headers={"Authorization": f"Bearer {token}"})
        assert status == 200, (status, body)
        return json.loads(body)

    def wait_for_issue(self, token, title):
        return eventually(
            f"an issue {title!r}",
            lambda: next((issue for issue in self.issues(token) if title in issue["title"]), None),
        )


class ContainerTest(unittest.TestCase):
    """Removes what a test made, and shows the logs of one that failed."""

    def setUp(self):
        self.containers = []

    def container(self, *options, command=()):
        container = Container(*options, command=command)
        self.containers.append(container)
        self.addCleanup(container.remove)
        return container

    def volume(self):
        """A new volume with a name."""
        name = f"glitchbox-test-{uuid.uuid4().hex[:12]}"
        docker("volume", "create", "--label", LABEL, name)
        self.addCleanup(docker, "volume", "rm", "--force", name, check=False)
        return name

    def tearDown(self):
        outcome = getattr(self._outcome, "result", None)
        problems = [test for test, _ in getattr(outcome, "failures", []) + getattr(outcome, "errors", [])]
        failed = any(test is self for test in problems) or not getattr(self._outcome, "success", True)
        if failed:
            for container in self.containers:
                print(f"\n--- {self.id()}: {container.name}\n{container.logs()}")
