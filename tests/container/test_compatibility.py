"""Environment files and docker lines of installations that this image replaces."""

import tempfile
from pathlib import Path

from engine import ContainerTest

# As written for the shell, with comments behind the values: docker hands all of it over.
ENV_FILE = """\
# Container configuration
CONTAINER_NAME=glitchtip-aio
IMAGE_NAME=glitchtip-aio
DATA_DIR=./data
DEFAULT_PORT=8000
DEFAULT_DOMAIN=http://localhost:8000

# Django security configuration
ALLOWED_HOSTS=localhost,127.0.0.1
CSRF_TRUSTED_ORIGINS=http://localhost:8000
SECRET_KEY=                    # Generate unique key for production
DEBUG=false
ENABLE_USER_REGISTRATION=false
ENABLE_ORGANIZATION_CREATION=false
DEFAULT_FROM_EMAIL=glitchtip@localhost

# Data persistence
PERSIST_DATA=false             # Enable persistent volumes
EXPOSE_WEB_PORT=true           # Expose web port to host
EXPOSE_DB_PORT=false          # Expose database port to host
EXPOSE_REDIS_PORT=false       # Expose Redis port to host

# Security
DB_PASSWORD=                  # Database password (generate for production)
REDIS_PASSWORD=              # Redis password (optional)
DATABASE_POOL=false          # Connection pooling

# Email configuration
EMAIL_URL=consolemail://

# Performance
MAX_UPLOAD_SIZE=10485760      # 10MB

# Notification (Optional)
FEISHU_GROUP_DEVOPS_ROBOT_WEBHOOK_URL=  # Feishu webhook for restart notifications
"""

# A production installation's additions, with quotes.
PRODUCTION = """\
GLITCHTIP_DOMAIN=https://errors.example.com
GLITCHTIP_MAX_EVENT_LIFE_DAYS=90
GLITCHTIP_MAX_TRANSACTION_EVENT_LIFE_DAYS=180
GLITCHTIP_MAX_FILE_LIFE_DAYS=180
ALLOWED_HOSTS="errors.example.com,.svc.cluster.local,.localhost,127.0.0.1,[::1]"
TZ=Asia/Shanghai
"""


class EnvironmentFile(ContainerTest):
    def start(self, text):
        file = tempfile.NamedTemporaryFile("w", suffix=".env")
        self.addCleanup(file.close)
        file.write(text)
        file.flush()
        return self.container("--env-file", file.name, "--volume", f"{self.volume()}:/data").wait_until_ready()

    def test_comments_behind_values_are_no_part_of_them(self):
        container = self.start(ENV_FILE)
        self.assertEqual(container.exec("cat", "/data/secrets/db-password").strip().count("#"), 0)
        self.assertIn("admin@localhost", container.exec("glitchbox", "user", "list"))
        self.assertEqual({service["health"] for service in container.services().values()}, {"ok"})
        token = container.token()
        container.send_event("from an old installation's settings")
        container.wait_for_issue(token, "from an old installation's settings")

    def test_the_example_as_it_is(self):
        container = self.start((Path(__file__).parents[2] / ".env.example").read_text())
        self.assertIn("http://localhost:8000", container.logs())
        self.assertEqual({service["health"] for service in container.services().values()}, {"ok"})

    def test_a_production_file(self):
        container = self.start(ENV_FILE + PRODUCTION)
        self.assertIn("https://errors.example.com", container.logs())
        status, _ = container.http("/_health/", headers={"Host": "web.default.svc.cluster.local"})
        self.assertEqual(status, 200)


class DockerLines(ContainerTest):
    def test_volumes_on_the_folders_of_the_servers(self):
        # Everything goes into the one of the database, so a new container with the same volumes has all of it.
        for postgres, redis in (("/data/postgres", "/data/redis"), ("/data/postgres/data", "/data/redis/data")):
            with self.subTest(postgres):
                volumes = ("--volume", f"{self.volume()}:{postgres}", "--volume", f"{self.volume()}:{redis}")
                container = self.container(*volumes).wait_until_ready()
                self.assertIn(f"/data is no volume, but {postgres} is", container.logs())
                key, token = container.dsn_key(), container.token()
                container.send_event("kept in the database's volume", key)
                container.wait_for_issue(token, "kept in the database's volume")
                # Where people look for things.
                container.exec("test", "-f", "/data/secrets/admin-password")
                container.exec("test", "-f", "/data/logs/web.log")
                self.assertEqual(container.stop()[0], 0)
                container.remove()
                again = self.container(*volumes).wait_until_ready()
                self.assertEqual(again.dsn_key(), key)
                again.wait_for_issue(token, "kept in the database's volume")

    def test_everything_in_one_line_and_nothing_kept(self):
        container = self.container(
            "--rm", "--env", "SECRET_KEY=0123456789abcdef", "--env", "GLITCHTIP_DOMAIN=http://localhost:8000",
            "--env", "EMAIL_URL=consolemail://", "--env", "DEFAULT_FROM_EMAIL=glitchtip@localhost", "--env", "DEBUG=true",
            "--env", "ENABLE_USER_REGISTRATION=false", "--env", "DB_PASSWORD=0123456789abcdef",
            "--env", "GLITCHTIP_MAX_EVENT_LIFE_DAYS=7", "--env", "ALLOWED_HOSTS=localhost,127.0.0.1",
        ).wait_until_ready()
        self.assertEqual({service["health"] for service in container.services().values()}, {"ok"})
