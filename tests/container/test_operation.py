"""What an operator does with a running container: backups, the nightly restart, its report."""

import hashlib
import hmac
import http.server
import json
import threading

from engine import ContainerTest, docker, eventually

SECRET = "the secret of the receiver"


class Receiver(http.server.BaseHTTPRequestHandler):
    """Takes everything; what came is in the server's list `received`."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.headers, body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Backups(ContainerTest):
    def test_a_backup_is_made_verified_and_restored_by_any_user(self):
        for user in ((), ("--user", "12345", "--cap-drop", "ALL", "--read-only")):
            volume = self.volume()
            container = self.container(*user, "--volume", f"{volume}:/data").wait_until_ready()
            key, token = container.dsn_key(), container.token()
            container.send_event("in the backup", key)
            container.wait_for_issue(token, "in the backup")
            container.exec("supervisor", "backup", "create")
            listed = json.loads(container.exec("supervisor", "backup", "list", "--json"))
            backups = listed if isinstance(listed, list) else listed["backups"]
            name = backups[0]["name"]
            container.exec("supervisor", "backup", "verify", name)

            # Into a new volume, with the appliance running on it.
            other = self.container(*user, "--volume", f"{self.volume()}:/data").wait_until_ready()
            content = docker("exec", container.name, "base64", "-w0", f"/data/backups/{name}")
            other.exec("sh", "-c", f"umask 077; base64 -d >/data/backups/{name}", options=("-i",), stdin=content)
            other.exec("supervisor", "backup", "restore", "--yes", name)
            eventually("it serves again", lambda: other.http("/_health/")[0] == 200)
            other.wait_for_issue(token, "in the backup")
            self.assertEqual(other.dsn_key(), key)


class ScheduledRestart(ContainerTest):
    def test_it_fails_no_request_and_reports(self):
        server = http.server.ThreadingHTTPServer(("0.0.0.0", 0), Receiver)
        server.received = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        url = f"http://host.docker.internal:{server.server_port}/hook"
        hook = ("--add-host", "host.docker.internal:host-gateway", "--env", f"RESTART_WEBHOOK_URL={url}")
        secret = ("--env", f"RESTART_WEBHOOK_SECRET={SECRET}")
        container = self.container(*hook, *secret, "--volume", f"{self.volume()}:/data").wait_until_ready()
        key, before = container.dsn_key(), container.services()

        ended, failures, sent = threading.Event(), [], []

        def send():
            while not ended.is_set():
                try:
                    sent.append(container.send_event("during the restart", key))
                except AssertionError as error:
                    failures.append(error)

        senders = [threading.Thread(target=send) for _ in range(4)]
        for sender in senders:
            sender.start()
        try:
            eventually("some events", lambda: len(sent) > 20)
            report = json.loads(container.exec("supervisor", "scheduled-restart", "--json"))
            count = len(sent)
            eventually("some more events", lambda: len(sent) > count + 20)
        finally:
            ended.set()
            for sender in senders:
                sender.join()
        self.assertEqual(failures, [])
        self.assertEqual(report["result"], "ok", report)
        after = container.services()
        for name in ("web", "worker"):
            self.assertNotEqual(after[name]["pid"], before[name]["pid"], name)
        for name in ("postgres", "redis"):
            self.assertEqual(after[name]["pid"], before[name]["pid"], name)

        headers, body = eventually("the report at the receiver", lambda: server.received)[0]
        digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        self.assertEqual(headers["X-Signature"], f"sha256={digest}")
        self.assertIn("ok", body.decode())
        token = container.token()
        whole = lambda: [int(issue["count"]) for issue in container.issues(token)] == [len(sent)]
        eventually(f"all {len(sent)} events", whole)
