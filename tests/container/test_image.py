"""The image as it is started and stopped, in every way it promises."""

import json
import re
import time

from engine import IMAGE, ContainerTest, docker, eventually

# What the README names for --cap-drop ALL.
CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID")


class Image(ContainerTest):
    def test_it_is_small_and_has_no_shell_on_the_way_to_its_entry_point(self):
        image = json.loads(docker("image", "inspect", IMAGE))[0]
        config = image["Config"]
        self.assertLess(image["Size"], 200_000_000)
        self.assertEqual(config["Entrypoint"], ["supervisor", "run", "--data-dir", "/data", "--port", "8000"])
        self.assertEqual(config["StopSignal"], "SIGTERM")
        self.assertIn("8000/tcp", config["ExposedPorts"])
        self.assertEqual(config["Healthcheck"]["Test"][:3], ["CMD", "supervisor", "healthcheck"])

        container = self.container("--volume", f"{self.volume()}:/data").wait_until_ready()
        processes = docker("top", container.name, "-o", "pid,args").splitlines()[1:]
        programs = {line.split()[1].rsplit("/", 1)[-1].rstrip(":") for line in processes}
        self.assertEqual(programs - {"supervisor", "glitchbox", "postgres", "redis-server"}, set(), processes)
        print(f"image: {image['Size'] / 1e6:.0f} MB")


class Start(ContainerTest):
    def test_a_first_start_is_quick_its_log_short_its_stop_clean_and_nothing_is_lost(self):
        boots = []
        for _ in range(3):
            volume = self.volume()
            container = self.container("--volume", f"{volume}:/data")
            boots.append((container.wait_until_serving(), container.wait_until_healthy()))
            container.wait_until_ready()
        # The machine has other things to do; the quickest of three shows what the image takes.
        serving, healthy = (min(column) for column in zip(*boots))
        print(f"first boot: serving after {serving:.2f} s, healthy after {healthy:.2f} s")
        self.assertLessEqual(serving, 2.5)
        self.assertLessEqual(healthy, 3.0)

        log = container.logs()
        self.assertLessEqual(len(log.splitlines()), 30, log)
        self.assertEqual(re.findall(r"(?m)^.*(?:ERROR|FATAL|PANIC|panicked).*$", log), [])
        self.assertNotIn("NO VOLUME", log)
        password = container.exec("cat", "/data/secrets/admin-password")
        self.assertNotIn(password, log)

        key, token = container.dsn_key(), container.token()
        container.send_event("kept over a restart", key)
        container.wait_for_issue(token, "kept over a restart")
        code, seconds = container.stop()
        self.assertEqual(code, 0)
        self.assertLess(seconds, 10)
        self.assertIn("database system is shut down", container.logs())
        container.remove()

        warm = []
        for _ in range(3):
            again = self.container("--volume", f"{volume}:/data")
            warm.append(again.wait_until_serving())
            again.wait_until_ready()
            last, again_log = again, again.logs()
            self.assertNotIn("recovery", again_log)
            self.assertNotIn("not properly shut down", again_log)
            self.assertEqual(again.exec("cat", "/data/secrets/admin-password"), password)
            self.assertEqual(again.dsn_key(), key)
            self.assertEqual([issue["title"] for issue in again.issues(token)], ["ValueError: kept over a restart"])
            self.assertEqual(last.stop()[0], 0)
        print(f"warm start: serving after {min(warm):.2f} s")
        self.assertLessEqual(min(warm), 1.0)

    def test_docker_kill_loses_nothing_that_was_answered(self):
        container = self.container("--volume", f"{self.volume()}:/data").wait_until_ready()
        key, token = container.dsn_key(), container.token()
        for _ in range(50):
            container.send_event("before the kill", key)
        docker("kill", container.name)
        container.start().wait_until_serving()
        eventually("all 50 events", lambda: [int(issue["count"]) for issue in container.issues(token)] == [50])

    def test_docker_stop_during_the_first_start_ends_in_order_and_the_next_start_succeeds(self):
        container = self.container("--volume", f"{self.volume()}:/data")
        code, seconds = container.stop()
        self.assertEqual(code, 0)
        self.assertLess(seconds, 10)
        container.start().wait_until_serving()

    def test_commands_work_in_the_container_with_no_options(self):
        # What an environment file for the recipes says of the machine outside means nothing in here.
        outside = ("--env", "DATA_DIR=./elsewhere", "--env", "PORT=9999", "--workdir", "/tmp")
        container = self.container("--volume", f"{self.volume()}:/data", *outside).wait_until_ready()
        services = container.services()
        for name in ("postgres", "redis", "worker", "web"):
            self.assertEqual((services[name]["state"], services[name]["health"]), ("ready", "ok"), name)
        self.assertIn("admin@localhost", container.exec("glitchbox", "user", "list"))
        self.assertEqual(container.exec("supervisor", "psql", "--", "-Atc", "show data_checksums"), "on")
        provider = "select datlocprovider, datlocale from pg_database where datname = 'glitchbox'"
        self.assertEqual(container.exec("supervisor", "psql", "--", "-Atc", provider), "b|C.UTF-8")
        self.assertEqual(container.exec("supervisor", "redis-cli", "--", "ping"), "PONG")
        self.assertEqual(container.exec("supervisor", "healthcheck"), "ok")
        self.assertIn("web: ready in", container.exec("supervisor", "logs"))
        before = services["web"]["pid"]
        container.exec("supervisor", "restart", "web")
        self.assertNotEqual(container.services()["web"]["pid"], before)
        self.assertEqual(container.exec("ls", "/tmp"), "")

    def test_without_a_volume_it_says_loudly_what_that_means(self):
        container = self.container().wait_until_ready()
        self.assertIn("NO VOLUME IS MOUNTED ON /data: ALL DATA IS LOST", container.logs())

    def test_a_second_container_on_the_same_volume_is_refused(self):
        volume = self.volume()
        self.container("--volume", f"{volume}:/data").wait_until_ready()
        second = self.container("--volume", f"{volume}:/data")
        self.assertEqual(second.wait_until_exited(), 13)
        self.assertIn("in use by another running glitchbox", second.logs())

    def test_a_malformed_setting_is_named(self):
        container = self.container("--env", "EXPOSE_DB_PORT=perhaps")
        self.assertEqual(container.wait_until_exited(), 15)
        self.assertIn("EXPOSE_DB_PORT", container.logs())


class Restricted(ContainerTest):
    def check(self, *options):
        """A first start, a stop and a second start with `options` work and keep an event."""
        container = self.container(*options)
        container.wait_until_serving()
        container.wait_until_ready()
        token = container.token()
        container.send_event("kept")
        container.wait_for_issue(token, "kept")
        self.assertEqual(container.stop()[0], 0)
        container.start().wait_until_serving()
        container.wait_for_issue(token, "kept")
        self.assertEqual(container.exec("supervisor", "psql", "--", "-Atc", "select 1"), "1")
        return container

    def test_read_only(self):
        self.check("--read-only", "--volume", f"{self.volume()}:/data")

    def test_any_user_on_an_empty_volume(self):
        volume = self.volume()
        self.check("--user", "12345", "--volume", f"{volume}:/data").remove()
        # The volume is that user's now.
        other = self.container("--user", "23456", "--volume", f"{volume}:/data")
        self.assertEqual(other.wait_until_exited(), 13)
        self.assertIn("filled by user id 12345", other.logs())
        # A new password is taken over, though there is no name for this user.
        changed = self.container("--user", "12345", "--env", "DB_PASSWORD=a new password", "--volume", f"{volume}:/data")
        changed.wait_until_ready()
        self.assertEqual(changed.exec("cat", "/data/secrets/db-password"), "a new password")
        self.assertIn("admin@localhost", changed.exec("glitchbox", "user", "list"))
        changed.stop()
        # Root may take it over.
        self.container("--volume", f"{volume}:/data").wait_until_serving()

    def test_the_password_the_template_was_made_with_opens_nothing(self):
        for options in ((), ("--user", "12345")):
            container = self.container(*options, "--volume", f"{self.volume()}:/data").wait_until_ready()
            for role in ("postgres", "glitchbox", "analytics_ro"):
                environment = ("--env", "PGPASSWORD=template", "--env", "PGHOST=/data/run")
                command = ("/usr/lib/postgresql/17/bin/psql", "-U", role, "-c", "select 1", "glitchbox")
                done = container.exec(*command, options=environment, check=False)
                self.assertEqual(done, "", role)
            trusted = container.exec("supervisor", "psql", "--", "-Atc", "select distinct auth_method from pg_hba_file_rules")
            self.assertEqual(trusted, "scram-sha-256")

    def test_no_capabilities_but_the_named_ones(self):
        added = [option for name in CAPABILITIES for option in ("--cap-add", name)]
        self.check("--cap-drop", "ALL", *added, "--volume", f"{self.volume()}:/data")

    def test_root_without_a_needed_capability_is_told_which(self):
        for lacking in CAPABILITIES:
            added = [option for name in CAPABILITIES if name != lacking for option in ("--cap-add", name)]
            container = self.container("--cap-drop", "ALL", *added, "--volume", f"{self.volume()}:/data")
            self.assertEqual(container.wait_until_exited(), 15)
            self.assertIn(f"--cap-add {lacking}", container.logs())

    def test_everything_taken_away_at_once(self):
        options = ("--read-only", "--user", "12345", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
        container = self.check(*options, "--memory", "512m", "--volume", f"{self.volume()}:/data")
        # Docker gives 64 MB of /dev/shm: PostgreSQL must not count on it.
        shown = container.exec("supervisor", "psql", "--", "-Atc", "show dynamic_shared_memory_type")
        self.assertEqual(shown, "mmap")
        self.assertEqual(container.inspect("{{.State.OOMKilled}}"), "false")

    def test_an_unwritable_place_for_the_data_is_named(self):
        container = self.container("--read-only")
        self.assertEqual(container.wait_until_exited(), 14)
        self.assertIn("/data", container.logs())


class Health(ContainerTest):
    def test_the_engine_sees_it_fall_ill_and_recover(self):
        container = self.container("--volume", f"{self.volume()}:/data")
        container.wait_until_healthy()
        container.exec("supervisor", "stop", "web")
        probe = lambda: json.loads(container.inspect("{{json .State.Health}}"))
        eventually("a failed probe", lambda: any(entry["ExitCode"] for entry in probe()["Log"]), 15)
        container.exec("supervisor", "start", "web")
        recovered = lambda: probe()["Log"][-1]["ExitCode"] == 0 and probe()["Status"] == "healthy"
        eventually("a good probe after it", recovered, 15)
        began = time.monotonic()
        container.stop()
        self.assertLess(time.monotonic() - began, 10)
