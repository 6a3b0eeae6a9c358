"""Every recipe of the justfile that has to do with a container, run as people run it: in a copy of the project."""

import json
import os
import pty
import re
import shutil
import socket
import subprocess
import tempfile
import unittest
import urllib.request
import uuid
from pathlib import Path

from engine import IMAGE, docker, eventually, run
from registry import Registry

ROOT = Path(__file__).resolve().parents[2]
JUST = str(ROOT / "tests/just")
# What steers recipes may be set where the tests run.
STEERING = (
    "BACKUP_DIR CONTAINER_NAME DATA_DIR DEFAULT_DOMAIN DEFAULT_PORT EXPOSE_DB_PORT EXPOSE_REDIS_PORT EXPOSE_WEB_PORT "
    "GLITCHTIP_DOMAIN IMAGE_NAME PERSIST_DATA REGISTRY"
).split()

# As old installations have it: comments behind values, quotes, a folder and a port of the machine outside.
ENV_FILE = """\
CONTAINER_NAME={name}
IMAGE_NAME={image}
DATA_DIR={folder}/data
DEFAULT_PORT={port}
ALLOWED_HOSTS="localhost,.svc.cluster.local,127.0.0.1,[::1]"
SECRET_KEY=                    # generate one
DB_PASSWORD=                  # generate one
DATABASE_POOL=false          # pooling
PERSIST_DATA={persist}             # keep the data
EXPOSE_DB_PORT={expose}          # to the host
EXPOSE_REDIS_PORT={expose}       # to the host
MAX_UPLOAD_SIZE=10485760      # 10 MB
EMAIL_URL=consolemail://
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def is_free(port):
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


class Project:
    """A copy of the justfile and its scripts with an .env of its own."""

    def __init__(self, persist="false", expose="false"):
        self.folder = Path(tempfile.mkdtemp(prefix="glitchbox-test-"))
        for part in ("justfile", "Dockerfile", ".dockerignore"):
            shutil.copy(ROOT / part, self.folder)
        shutil.copytree(ROOT / "scripts", self.folder / "scripts")
        self.name, self.port = f"glitchbox-test-{uuid.uuid4().hex[:12]}", free_port()
        values = {"name": self.name, "image": IMAGE, "folder": self.folder, "port": self.port}
        (self.folder / ".env").write_text(ENV_FILE.format(**values, persist=persist, expose=expose))

    def remove(self):
        for name in (self.name, f"{self.name}-previous"):
            run("rm", "--force", "--volumes", name)
        run("volume", "rm", "--force", f"{self.name}-data")
        shutil.rmtree(self.folder)

    def just(self, *arguments, **options):
        """Runs a recipe without a terminal; its exit code and outputs."""
        environment = {name: value for name, value in os.environ.items() if name not in STEERING}
        environment |= options.pop("env", {})
        stdin = {} if "input" in options else {"stdin": subprocess.DEVNULL}
        command = [JUST, *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=600, **stdin, **options
        )

    def on_terminal(self, answers, *arguments):
        """Runs a recipe on a terminal, typing each answer when its question is there; exit code and output."""
        environment = {name: value for name, value in os.environ.items() if name not in STEERING}
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [JUST, *arguments], cwd=self.folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        shown, questions = "", list(answers)
        while True:
            try:
                shown += os.read(ours, 65536).decode(errors="replace")
            except OSError:
                break
            if questions and questions[0][0] in shown:
                os.write(ours, questions.pop(0)[1].encode())
        os.close(ours)
        return process.wait(timeout=60), shown

    def health(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/_health/", timeout=10) as answer:
            return answer.read().decode()


class RecipeTest(unittest.TestCase):
    def succeeds(self, project, *arguments, **options):
        done = project.just(*arguments, **options)
        self.assertEqual(done.returncode, 0, f"{arguments}: {done.stdout}{done.stderr}")
        return done.stdout

    def refuses(self, project, *arguments, **options):
        """What it said; with an exit code that tells, and without a word of just's own."""
        done = project.just(*arguments, **options)
        self.assertNotEqual(done.returncode, 0, f"{arguments}: {done.stdout}{done.stderr}")
        self.assertNotIn("error: Recipe", done.stderr)
        return done.stderr


class Operation(RecipeTest):
    """Recipes for a container that runs."""

    @classmethod
    def setUpClass(cls):
        cls.project = Project()
        cls.addClassCleanup(cls.project.remove)
        done = cls.project.just("deploy-test")
        if done.returncode != 0:
            raise AssertionError(done.stdout + done.stderr)
        cls.deployed = done.stdout

    def just(self, *arguments, **options):
        return self.succeeds(self.project, *arguments, **options)

    def test_deploy_test_says_where_everything_is(self):
        self.assertIn(f"http://localhost:{self.project.port}", self.deployed)
        self.assertIn(f"@localhost:{self.project.port}/1", self.deployed)
        self.assertIn(f"Data: {self.project.name}-data", self.deployed)
        self.assertEqual(self.project.health(), "ok")
        policy = docker("inspect", "--format", "{{.HostConfig.RestartPolicy.Name}}", self.project.name)
        self.assertEqual(policy, "unless-stopped")

    def test_logs_of_everything(self):
        for recipe, line in {
            "logs": "glitchbox is ready",
            "logs-supervisor": "web: ready in",
            "logs-app": " web | ",
            "logs-worker": " worker | ",
            "logs-celery": " worker | ",
            "logs-pgsql": "database system is ready to accept connections",
            "logs-redis": " redis | ",
            "logs-migrate": "The database is up to date",
        }.items():
            with self.subTest(recipe):
                self.assertIn(line, self.just(recipe))
        self.assertEqual(len(self.just("lines=1", "logs-pgsql").splitlines()), 1)

    def test_logs_of_errors(self):
        self.just("it-shell", "-c", "echo 2026-01-01T00:00:00.000Z ERROR from the past >>/data/logs/worker.err.log")
        self.just("it-shell", "-c", "echo 2026-01-02T00:00:00.000Z WARN not so long ago >>/data/logs/web.err.log")
        self.assertIn("not so long ago", self.just("logs-web-errors"))
        self.assertIn("from the past", self.just("logs-celery-errors"))
        everything = self.just("logs-errors")
        self.assertLess(everything.index("from the past"), everything.index("not so long ago"))
        self.assertNotIn("ready to accept connections", everything)

    def test_logs_go_on_when_they_are_shown_on_a_terminal(self):
        for recipe in ("logs", "logs-app", "logs-celery-errors"):
            self.just("it-shell", "-c", "echo 2026-01-03T00:00:00.000Z WARN a line >>/data/logs/worker.err.log")
            with self.subTest(recipe):
                # Ctrl-C once something is there: without it, this would not end.
                _, shown = self.project.on_terminal([("20", "\x03")], recipe)
                self.assertIn("^C", shown)

    def test_shells_hand_arguments_on_as_they_are(self):
        self.assertEqual(self.just("it-shell", "-c", 'echo "$1"', "_", "two  blanks, 'quotes' and $dollars"),
                         "two  blanks, 'quotes' and $dollars\n")
        self.assertEqual(self.just("it-shell-psql", "-XAtc", "select 'a  b', count(*) from project"), "a  b|1\n")
        self.assertEqual(self.just("it-shell-psql", "-XAt", input="select 1 + 1"), "2\n")
        self.assertEqual(self.just("it-shell-redis", "ping"), "PONG\n")
        code, shown = self.project.on_terminal([("# ", "exit 7\r")], "it-shell")
        self.assertEqual(code, 7, shown)
        code, shown = self.project.on_terminal([("=# ", "\\q\r")], "it-shell-psql")
        self.assertEqual(code, 0, shown)

    def test_admin_commands(self):
        self.assertIn("admin@localhost", self.just("admin", "user", "list"))
        self.assertEqual(json.loads(self.just("it-django-mange", "key", "list", "--json"))[0]["project"], "default")
        made = self.just("admin", "user", "create", "a@example.com", "--name", "A  B", "--password-stdin",
                         input="correct horse battery")
        self.assertNotIn("password is", made)
        self.assertIn("A  B", self.just("admin", "user", "info", "a@example.com"))
        self.assertIn("nonsense", self.refuses(self.project, "admin", "nonsense"))

    def test_run_migrate(self):
        self.assertIn("The database is up to date", self.just("run-migrate"))

    def test_run_scheduled_restart(self):
        def pids():
            status = json.loads(docker("exec", self.project.name, "supervisor", "status", "--json"))
            return {service["name"]: service["pid"] for service in status["services"]}

        before = pids()
        self.just("run-scheduled-restart", "--dry-run")
        self.assertEqual(pids(), before)
        self.just("run-scheduled-restart")
        after = pids()
        for name in ("web", "worker"):
            self.assertNotEqual(after[name], before[name], name)
        for name in ("postgres", "redis"):
            self.assertEqual(after[name], before[name], name)
        self.assertIn("web", self.just("logs-scheduled-restart"))
        # That the disk of the machine under the engine is nearly full is told, rightly.
        told = [line for line in self.just("logs-scheduled-restart-errors").splitlines() if "the disk of" not in line]
        self.assertEqual(told, [])
        self.just("it-shell", "-c", "echo 2026-01-01T00:00:00.000Z redis failed: away >>/data/logs/scheduled-restart.log")
        self.assertIn("redis failed", self.just("logs-scheduled-restart-errors"))

    def test_backup_and_restore(self):
        made = self.just("backup")
        file = Path(re.search(r"(?m)^Here: +(.*)$", made).group(1))
        self.assertEqual(file.parent, Path("backups"))
        copy = self.project.folder / file
        self.assertEqual(copy.stat().st_mode & 0o777, 0o600)
        docker("exec", self.project.name, "test", "-f", f"/data/backups/{file.name}")
        elsewhere = self.just("backup", "else where")
        self.assertIn("else where/", elsewhere)

        def restored(*arguments):
            self.just("admin", "user", "create", "late@example.com")
            self.just("restore", *arguments)
            self.assertNotIn("late@example.com", self.just("admin", "user", "list"))

        # By the name of one in the container; from a file of this machine that the container no longer has.
        restored(file.name)
        docker("exec", self.project.name, "rm", f"/data/backups/{file.name}")
        restored(str(file))
        # Chosen from the list, on a terminal.
        self.just("admin", "user", "create", "late@example.com")
        answers = [("nothing: none): ", f"{file.name}\r"), ("Type yes to go on: ", "yes\r")]
        code, shown = self.project.on_terminal(answers, "restore")
        self.assertEqual(code, 0, shown)
        self.assertNotIn("late@example.com", self.just("admin", "user", "list"))

        # What cannot be restored changes nothing and leaves nothing.
        self.assertIn("which one?", self.refuses(self.project, "restore"))
        self.assertIn("no-such-file", self.refuses(self.project, "restore", "no-such-file"))
        damaged = bytearray(copy.read_bytes())
        damaged[5000] ^= 1
        (self.project.folder / "damaged.tar").write_bytes(damaged)
        self.assertIn("damaged", self.refuses(self.project, "restore", "damaged.tar"))
        self.assertEqual(run("exec", self.project.name, "test", "-e", "/data/backups/damaged.tar").returncode, 1)
        self.assertEqual(self.project.health(), "ok")


class Deployment(RecipeTest):
    """Replacing and removing containers."""

    def project(self, **values):
        project = Project(**values)
        self.addCleanup(project.remove)
        return project

    def key(self, project):
        return json.loads(self.succeeds(project, "admin", "key", "list", "--json"))[0]["public_key"]

    def container_id(self, project):
        return docker("inspect", "--format", "{{.Id}}", project.name)

    def test_a_container_is_replaced_and_its_data_kept(self):
        project = self.project()
        self.succeeds(project, "deploy-test")
        key, first = self.key(project), self.container_id(project)
        self.succeeds(project, "deploy-test")
        self.assertEqual(self.key(project), key)
        self.assertNotEqual(self.container_id(project), first)
        self.assertFalse(run("container", "inspect", f"{project.name}-previous").returncode == 0)

        # A place where the data is not is no place to go on.
        second = self.container_id(project)
        said = self.refuses(project, "deploy-test", env={"PERSIST_DATA": "true"})
        self.assertIn(f"{project.name}-data", said)
        self.assertIn("PERSIST_DATA: `perhaps`", self.refuses(project, "deploy-test", env={"PERSIST_DATA": "perhaps"}))
        self.assertEqual(self.container_id(project), second)
        self.assertFalse((project.folder / "data").exists())

        # One that does not come up gives way to the one before.
        bad = f"{project.name}-bad"
        docker("build", "--quiet", "--tag", bad, "-", input=f"FROM {IMAGE}\nENV LOG_FORMAT=sideways\n")
        self.addCleanup(docker, "image", "rm", bad, check=False)
        said = self.refuses(project, "deploy-test", env={"IMAGE_NAME": bad})
        self.assertIn("LOG_FORMAT", said)
        self.assertIn("the old one runs again", said)
        self.assertEqual(self.container_id(project), second)
        eventually("the old one serves", lambda: run("exec", project.name, "supervisor", "healthcheck").returncode == 0)
        self.assertEqual(self.key(project), key)

        # `clean` leaves the data; here also the image, which other tests need.
        said = self.succeeds(project, "clean", env={"IMAGE_NAME": "glitchbox-test-no-such-image"})
        self.assertIn(f"{project.name}-data", said)
        self.assertNotEqual(run("container", "inspect", project.name).returncode, 0)
        self.succeeds(project, "deploy-test")
        self.assertEqual(self.key(project), key)

    def test_data_in_a_folder_outlives_the_container(self):
        ports_are_free = is_free(5432) and is_free(6379)
        project = self.project(persist="true", expose=str(ports_are_free).lower())
        said = self.succeeds(project, "deploy-test")
        self.assertIn(f"Data: {project.folder}/data", said)
        self.assertTrue((project.folder / "data/secrets/admin-password").is_file())
        key = self.key(project)
        if ports_are_free:
            with socket.create_connection(("127.0.0.1", 6379), 10) as redis:
                redis.sendall(b"PING\r\n")
                self.assertIn(b"NOAUTH", redis.recv(100))
            with socket.create_connection(("127.0.0.1", 5432), 10) as postgres:
                # Asks for TLS, which is answered with one letter.
                postgres.sendall(bytes.fromhex("0000000804d2162f"))
                self.assertIn(postgres.recv(1), (b"N", b"S"))
        else:
            print("SKIPPED: EXPOSE_DB_PORT and EXPOSE_REDIS_PORT, whose ports this machine uses itself")
        self.succeeds(project, "clean", env={"IMAGE_NAME": "glitchbox-test-no-such-image"})
        self.succeeds(project, "deploy-test")
        self.assertEqual(self.key(project), key)

    def test_a_container_with_its_data_inside_is_not_removed(self):
        project = self.project()
        docker("run", "--detach", "--name", project.name, IMAGE)
        self.assertIn("inside it", self.refuses(project, "clean"))
        self.assertIn("itself", self.refuses(project, "deploy-test"))
        docker("container", "inspect", project.name)


class Images(RecipeTest):
    """Making and handing on images."""

    def setUp(self):
        self.project = Project()
        self.addCleanup(self.project.remove)
        self.image = f"{self.project.name}-image"

    def test_build_push_and_clean(self):
        # The recipe is the same for any Dockerfile; that of the project has been built for all these tests.
        (self.project.folder / "Dockerfile").write_text("FROM scratch\nARG CONTENT\nCOPY content-* /\nLABEL a=$CONTENT\n")
        (self.project.folder / ".dockerignore").unlink()
        (self.project.folder / "content-1").write_text("something")
        env = {"IMAGE_NAME": self.image}
        self.succeeds(self.project, "build", "--build-arg", "CONTENT=b  c", env=env)
        self.assertEqual(docker("image", "inspect", "--format", "{{.Config.Labels.a}}", self.image), "b  c")

        self.assertIn("REGISTRY", self.refuses(self.project, "push", env=env))
        registry = Registry()
        self.addCleanup(registry.close)
        env["REGISTRY"] = f"{registry.address()}/team"
        self.succeeds(self.project, "push", env=env)
        self.succeeds(self.project, "push", "1.0", env=env)
        self.assertEqual(registry.tags, {f"team/{self.image}:latest", f"team/{self.image}:1.0"})
        for tag in registry.tags:
            docker("image", "rm", f"{registry.address()}/{tag}")

        self.assertIn(self.image, self.succeeds(self.project, "clean", env=env))
        self.assertNotEqual(run("image", "inspect", self.image).returncode, 0)


if __name__ == "__main__":
    unittest.main()
