//! Another plan for an appliance that runs.

use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::appliance::{Appliance, SUPERVISOR, runs, wait_until};

/// Three services that say what they are.
const PLAN: &str = r#"
[service.keep]
kind = "exec"
command = ["sh", "-c", "echo keeping; exec sleep 1000"]
[service.change]
kind = "exec"
command = ["sh", "-c", "echo before; exec sleep 1000"]
after = ["keep"]
env = { TOKEN = "first" }
[service.gone]
kind = "exec"
command = ["sleep", "1000"]
"#;

const NEXT: &str = r#"
[log]
tail_lines = 2
[schedule.night]
cron = "30 4 * * *"
task = "backup"
[service.fresh]
kind = "exec"
command = ["sh", "-c", "echo fresh; exec sleep 1000"]
[service.keep]
kind = "exec"
command = ["sh", "-c", "echo keeping; exec sleep 1000"]
stop = ["INT", "KILL@0.2"]
[service.change]
kind = "exec"
command = ["sh", "-c", "echo after $TOKEN; exec sleep 1000"]
after = ["keep", "fresh"]
env = { TOKEN = "second" }
"#;

fn start(plan: &str) -> Appliance {
    let appliance = Appliance::start(plan);
    appliance.until_said("supervisor | ready in");
    appliance
}

fn status(appliance: &Appliance) -> serde_json::Value {
    serde_json::from_slice(&appliance.command(&["status", "--json"]).stdout).unwrap()
}

fn names(appliance: &Appliance) -> Vec<String> {
    let status = status(appliance);
    status["services"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
}

/// Exit code, standard output and standard error.
fn reload(appliance: &Appliance, arguments: &[&str]) -> (i32, String, String) {
    let output = appliance.command(&[&["reload"], arguments].concat());
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn only_what_is_different_is_touched_and_all_of_it_is_shown() {
    let mut appliance = start(PLAN);
    let (keep, change) = (appliance.service("keep"), appliance.service("change"));
    assert_eq!(reload(&appliance, &[]).1, "Nothing is different.\n");
    appliance.write_plan(NEXT);
    let (code, told, _) = reload(&appliance, &["--dry-run"]);
    let expected = "\
log.tail_lines: (default) -> 2
schedule.night.cron: (default) -> \"30 4 * * *\"
schedule.night.task: (default) -> \"backup\"
fresh (new)
  command: (changed)
  kind: (default) -> \"exec\"
keep (changed in place)
  stop: (default) -> [\"INT\", \"KILL@0.2\"]
change (changed, needs a new generation)
  after: [\"keep\"] -> [\"keep\", \"fresh\"]
  command: (changed)
  env.TOKEN: (changed)
gone (removed)
Nothing has been changed: this is what a reload would do.
";
    assert_eq!((code, told.as_str()), (0, expected));
    assert_eq!(names(&appliance), ["keep", "change", "gone"]);
    let (code, told, _) = reload(&appliance, &[]);
    assert_eq!(code, 0, "{told}");
    for line in [
        "fresh (new): fresh is ready",
        "keep (changed in place): counts from now on",
        "gone (removed): gone is stopped",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    assert!(told.contains("change (changed, needs a new generation): change is ready (generation 2"), "{told}");
    assert!(told.ends_with("The plan is in force.\n"), "{told}");
    assert_eq!(names(&appliance), ["fresh", "keep", "change"]);
    assert_eq!(appliance.service("keep")["pid"], keep["pid"]);
    assert_ne!(appliance.service("change")["pid"], change["pid"]);
    appliance.until_said("change | after second");
    // What is new comes before what comes after it, and what goes is last.
    let order: Vec<String> = appliance
        .said("supervisor")
        .into_iter()
        .filter(|line| {
            ["fresh: ready", "change: stopped", "change: ready in", "gone: stopped"]
                .iter()
                .any(|it| line.starts_with(it))
        })
        .map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(order, ["change: ready", "fresh: ready", "change: stopped", "change: ready", "gone: stopped"]);
    assert!(appliance.output().contains("reload: The plan is in force."), "{}", appliance.output());
    // Logs and schedules too.
    assert!(status(&appliance)["schedules"][0]["shown"].to_string().contains("04:30:00"), "{}", status(&appliance));
    assert!(appliance.done(&["logs", "-n", "50", "supervisor"]).lines().count() <= 2);
    // What is taken out can come back, and is the same service.
    appliance.write_plan(PLAN);
    assert_eq!(reload(&appliance, &[]).0, 0);
    assert_eq!(names(&appliance), ["keep", "change", "gone"]);
    assert_eq!(appliance.service("gone")["generation"], 2);
    assert!(appliance.refused(&["restart", "fresh"]).contains("There is no service \"fresh\""));
    assert_eq!(appliance.stop(), 0);
}

#[test]
fn a_faulty_plan_is_told_with_all_its_lines_and_changes_nothing() {
    let mut appliance = start(PLAN);
    let before = status(&appliance);
    appliance.write_plan("[service.keep]\nkind = \"exec\"\ncolour = 1\nafter = [\"chnage\"]\n[log]\nfiles = 0\n");
    for arguments in [&["--dry-run"][..], &[], &["--json"]] {
        let (code, told, faults) = reload(&appliance, arguments);
        assert_eq!(code, 15, "{told} {faults}");
        let text = if arguments == ["--json"] { told } else { faults };
        for part in [
            "line 1: service.keep.command",
            "line 3: service.keep.colour",
            "line 4: service.keep.after",
            "line 6: log.files",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(arguments == ["--json"] || text.ends_with("supervisor: Nothing has been changed.\n"), "{text}");
    }
    std::fs::remove_file(appliance.path("plan.toml")).unwrap();
    assert!(reload(&appliance, &[]).2.contains("cannot be read"));
    let pids = |status: &serde_json::Value| {
        status["services"].as_array().unwrap().iter().map(|it| it["pid"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(pids(&status(&appliance)), pids(&before));
    assert_eq!(appliance.stop(), 0);
}

/// Serves until it is told to drain; gets ready only if its first argument says so.
const WEB: &str = r#"
[service.web]
kind = "exec"
command = ["bash", "-c", "trap 'echo draining; exit 0' USR2; echo running BEHAVIOUR; if [ BEHAVIOUR = good ] || [ -e DIR/go ]; then SUPERVISOR notify READY=1; elif [ BEHAVIOUR = bad ]; then exit 4; fi; while [ BEHAVIOUR != slow ] || [ ! -e DIR/go ]; do sleep 0.02; done; SUPERVISOR notify READY=1; while :; do sleep 0.05; done"]
ready = "notify"
ready_within_s = 20
restart = "MODE"
stop = ["TERM", "KILL@1"]
"#;

fn web(behaviour: &str, mode: &str) -> String {
    WEB.replace("BEHAVIOUR", behaviour).replace("MODE", mode)
}

fn kill_main_process(appliance: &Appliance, service: &str) {
    let pid = i32::try_from(appliance.service(service)["pid"].as_i64().unwrap()).unwrap();
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
}

#[test]
fn a_generation_that_fails_with_new_settings_leaves_the_old_one_and_the_old_settings() {
    let mut appliance = start(&web("good", "overlap"));
    let first = appliance.service("web");
    appliance.write_plan(&web("bad", "overlap"));
    let (code, told, verdict) = reload(&appliance, &[]);
    assert_eq!((code, verdict.as_str()), (1, "supervisor: The plan is in force, but not all of it has taken.\n"));
    assert!(told.contains("web: the new generation ended before it was ready (exit 4); generation 1 stays"), "{told}");
    assert_eq!(appliance.service("web")["pid"], first["pid"]);
    // A crash brings the settings back that worked.
    kill_main_process(&appliance, "web");
    wait_until(|| appliance.service("web")["generation"] == 3, || appliance.output());
    wait_until(|| appliance.service("web")["state"] == "ready", || appliance.output());
    assert_eq!(appliance.said("web"), ["running good", "running bad", "running good"]);
    // What has not taken is still different, and can be put right.
    assert_eq!(reload(&appliance, &[]).0, 1);
    appliance.write_plan(&web("good", "stop-start"));
    let (code, told, _) = reload(&appliance, &[]);
    assert!(code == 0 && told.contains("web (changed in place)"), "{told}");
    assert_eq!(appliance.stop(), 0);
}

#[test]
fn a_service_without_overlap_goes_back_to_its_former_settings_too() {
    let mut appliance = start(&web("good", "stop-start"));
    appliance.write_plan(&web("bad", "stop-start"));
    let (code, told, _) = reload(&appliance, &["--json"]);
    assert_eq!(code, 1, "{told}");
    let answer: serde_json::Value = serde_json::from_str(&told).unwrap();
    let web = &answer["services"][0];
    assert_eq!((&web["service"], &web["fate"], &web["ok"]), (&"web".into(), &"restarted".into(), &false.into()));
    let sentence = "web ended before it was ready (exit 4); its former settings count again";
    assert_eq!((&web["message"], &web["keys"][0]["key"]), (&sentence.into(), &"command".into()));
    wait_until(|| appliance.service("web")["state"] == "ready", || appliance.output());
    assert_eq!(appliance.said("web"), ["running good", "running bad", "running good"]);
    assert_eq!(appliance.stop(), 0);
}

#[test]
fn a_new_service_that_fails_is_taken_out_again_and_harms_nobody() {
    let mut appliance = start(PLAN);
    let before = appliance.service("keep")["pid"].clone();
    let bad = "[service.bad]\nkind = \"exec\"\ncommand = [\"/nowhere/program\"]\n[service.more]\nkind = \"exec\"\ncommand = [\"sleep\", \"1000\"]\nafter = [\"bad\"]\n";
    appliance.write_plan(&format!("{PLAN}{bad}"));
    let (code, told, _) = reload(&appliance, &[]);
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("bad (new): bad cannot be started"), "{told}");
    assert!(told.contains("more (new): is not added: bad, which it comes after, does not run"), "{told}");
    assert_eq!(names(&appliance), ["keep", "change", "gone"]);
    assert_eq!(appliance.service("keep")["pid"], before);
    assert_eq!(appliance.stop(), 0);
}

#[test]
fn one_reload_at_a_time_and_none_beside_tasks_and_the_end() {
    let mut appliance = start(&web("good", "overlap"));
    appliance.write_plan(&web("slow", "overlap"));
    let reload_in_background = |appliance: &Appliance| {
        appliance.bare_command(&["reload"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
    };
    let first = reload_in_background(&appliance);
    appliance.until_said("web | running slow");
    let (code, _, told) = reload(&appliance, &[]);
    assert!(code == 4 && told.contains("Busy: another reload is under way."), "{told}");
    let task = appliance.command(&["scheduled-restart", "--dry-run"]);
    assert_eq!(task.status.code(), Some(4), "{task:?}");
    // A restart by hand joins the new generation.
    let joined = appliance.bare_command(&["restart", "web"]).stdout(Stdio::piped()).spawn().unwrap();
    std::fs::write(appliance.path("go"), "").unwrap();
    assert!(first.wait_with_output().unwrap().status.success(), "{}", appliance.output());
    let joined = String::from_utf8(joined.wait_with_output().unwrap().stdout).unwrap();
    assert!(joined.starts_with("web is ready (generation "), "{joined}");
    // The end comes first.
    std::fs::remove_file(appliance.path("go")).unwrap();
    appliance.write_plan(&web("slow", "overlap").replace("running slow", "running later"));
    let broken_off = reload_in_background(&appliance);
    appliance.until_said("web | running later");
    assert_eq!(appliance.stop(), 0);
    let broken_off = broken_off.wait_with_output().unwrap();
    let told = String::from_utf8(broken_off.stdout).unwrap();
    assert!(broken_off.status.code() == Some(1) && told.contains("the appliance is stopping"), "{told}");
}

#[test]
fn a_hangup_reloads_what_has_no_terminal() {
    let mut appliance = Appliance::new(PLAN, &[], &[]);
    appliance.run_under(&["setsid"]);
    appliance.start_again();
    appliance.until_said("supervisor | ready in");
    appliance.write_plan("[service.keep]\nkind = \"exce\"\n");
    appliance.signal(Signal::SIGHUP);
    appliance.until_said("reload: Nothing has been changed.");
    assert!(appliance.output().contains("line 2: service.keep.kind"), "{}", appliance.output());
    appliance.write_plan(NEXT);
    appliance.signal(Signal::SIGHUP);
    appliance.until_said("reload: The plan is in force.");
    assert_eq!(names(&appliance), ["fresh", "keep", "change"]);
    assert_eq!(appliance.stop(), 0);
}

#[test]
fn a_terminal_that_goes_away_ends_the_appliance_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let plan = "[service.a]\nkind = \"exec\"\ncommand = [\"sh\", \"-c\", \"echo $$ >DIR/pid; exec sleep 1000\"]\n";
    std::fs::write(path("plan.toml"), plan.replace("DIR", folder.path().to_str().unwrap())).unwrap();
    let shown = folder.path().display();
    let command =
        format!("exec {SUPERVISOR} run --data-dir {shown}/data --config {shown}/plan.toml >{shown}/output 2>&1");
    let mut terminal = Command::new("script")
        .args(["--quiet", "--command", &command, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let output = || std::fs::read_to_string(path("output")).unwrap_or_default();
    wait_until(|| output().contains("supervisor | ready in") && runs(&path("pid")), output);
    terminal.kill().unwrap();
    terminal.wait().unwrap();
    wait_until(|| output().contains("stopped, exit 0"), output);
    assert!(output().contains("stopping everything: SIGHUP, the terminal is gone"), "{}", output());
    assert!(!runs(&path("pid")));
}
