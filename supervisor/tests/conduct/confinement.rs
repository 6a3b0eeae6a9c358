//! What a service may do and gets to know.

use std::collections::BTreeMap;
use std::process::Command;

use nix::unistd::geteuid;

use super::appliance::{Appliance, wait_until};

/// Shows what the kernel and the environment say of it.
const SHOW: &str = r#"
grep -E '^(NoNewPrivs|Cap|Groups|Uid)' /proc/self/status
sed -n 's/^Max \([a-z ]*[a-z]\)  *\([0-9a-z]*\)  *\([0-9a-z]*\)  *.*/limit \1: \2 \3/p' /proc/self/limits
echo "oom: $(cat /proc/self/oom_score_adj)"
env | sed 's/^/env /'
echo shown
"#;

/// What a service that runs [`SHOW`] has said, by name.
fn shown(settings: &str, variables: &[(&str, &str)]) -> BTreeMap<String, String> {
    let plan =
        format!("[service.show]\nkind = \"exec\"\noneshot = true\ncommand = [\"sh\", \"DIR/show\"]\n{settings}\n");
    let mut appliance = Appliance::new(&plan, &[], variables);
    std::fs::write(appliance.path("show"), SHOW).unwrap();
    Command::new("chmod").args(["-R", "a+rX"]).arg(appliance.path("")).status().unwrap();
    appliance.start_again();
    wait_until(|| appliance.said("show").contains(&"shown".to_owned()), || appliance.output());
    let lines = appliance.said("show");
    assert_eq!(appliance.stop(), 0);
    let pair = |line: &String| {
        let (name, value) = line.split_once(if line.starts_with("env ") { '=' } else { ':' })?;
        Some((name.to_owned(), value.split_whitespace().collect::<Vec<_>>().join(" ")))
    };
    lines.iter().filter_map(pair).collect()
}

fn rights(shown: &BTreeMap<String, String>, set: &str) -> u64 {
    u64::from_str_radix(&shown[set], 16).unwrap()
}

/// The rights this test itself has.
fn own(set: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(set)?.strip_prefix(':')).unwrap();
    u64::from_str_radix(line.trim(), 16).unwrap()
}

#[test]
fn a_service_is_confined_by_default() {
    let shown = shown("", &[]);
    assert_eq!((shown["NoNewPrivs"].as_str(), shown["limit core file size"].as_str()), ("1", "0 0"));
    assert_eq!(rights(&shown, "CapInh") | rights(&shown, "CapAmb"), 0);
    assert_eq!(rights(&shown, "CapEff"), own("CapEff"), "root keeps its rights unless told otherwise");
    assert_eq!(shown["oom"], std::fs::read_to_string("/proc/self/oom_score_adj").unwrap().trim());
}

#[test]
fn limits_and_the_place_when_memory_runs_out_are_as_the_plan_says() {
    let settings = "limits = { open_files = 99, processes = 5000, memory_mb = 512, core_mb = 2 }\noom_score_adjust = 250\nno_new_privs = false";
    let shown = shown(settings, &[]);
    assert_eq!(shown["limit open files"], "99 99");
    assert_eq!(shown["limit processes"], "5000 5000");
    assert_eq!(shown["limit data size"], "536870912 536870912");
    assert_eq!(shown["limit core file size"], "2097152 2097152");
    let own: i32 = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap().trim().parse().unwrap();
    assert_eq!(shown["oom"], (own + 250).min(1000).to_string());
    assert_eq!(shown["NoNewPrivs"], "0");
}

#[test]
fn another_user_has_no_rights_and_its_own_groups_only() {
    if !geteuid().is_root() {
        eprintln!("SKIPPED: only root can start a service as another user");
        return;
    }
    let shown = shown("user = \"nobody\"", &[]);
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(rights(&shown, set), 0, "{set}");
    }
    assert_eq!((shown["Uid"].as_str(), shown["Groups"].as_str()), ("65534 65534 65534 65534", "65534"));
}

#[test]
fn root_keeps_the_rights_it_is_left_and_no_others() {
    if !geteuid().is_root() {
        eprintln!("SKIPPED: only root has rights to keep");
        return;
    }
    let shown = shown("capabilities = [\"KILL\", \"NET_BIND_SERVICE\"]", &[]);
    for set in ["CapPrm", "CapEff", "CapBnd"] {
        assert_eq!(rights(&shown, set), 1 << 5 | 1 << 10, "{set}");
    }
}

#[test]
fn root_without_the_right_to_bound_rights_confines_all_the_same() {
    if !geteuid().is_root() {
        eprintln!("SKIPPED: only root can give rights up");
        return;
    }
    // As `docker run --cap-drop ALL --cap-add CHOWN,DAC_OVERRIDE,FOWNER,KILL,SETGID,SETUID` starts it.
    let few = "-all,+chown,+dac_override,+fowner,+kill,+setgid,+setuid";
    let plan = "[service.show]\nkind = \"exec\"\noneshot = true\ncommand = [\"sh\", \"-c\", \"grep -E '^(NoNewPrivs|CapEff|CapPrm)' /proc/self/status; cat /proc/self/oom_score_adj; echo shown\"]\n";
    for (settings, rights) in [("user = \"nobody\"\noom_score_adjust = -500", 0), ("capabilities = [\"KILL\"]", 1 << 5)]
    {
        let mut appliance = Appliance::new(&format!("{plan}{settings}\n"), &[], &[]);
        appliance.run_under(&["setpriv", "--bounding-set", few, "--inh-caps", "-all", "--ambient-caps", "-all"]);
        appliance.start_again();
        appliance.until_said("show | shown");
        let rights = format!("{rights:016x}");
        let said = appliance.said("show").join("\n").replace('\t', " ");
        assert!(said.contains(&format!("CapPrm: {rights}")) && said.contains(&format!("CapEff: {rights}")), "{said}");
        assert!(said.contains("NoNewPrivs: 1"), "{said}");
        assert_eq!(appliance.stop(), 0);
    }
}

#[test]
fn an_ordinary_user_runs_services_that_cannot_have_more() {
    if !geteuid().is_root() {
        eprintln!("SKIPPED: only root can become somebody else (the other tests ran as an ordinary user)");
        return;
    }
    let plan = "[service.a]\nkind = \"exec\"\ncommand = [\"sh\", \"-c\", \"(env -i setsid sleep 4242 &); grep NoNewPrivs /proc/self/status; echo up; exec sleep 1000\"]\noom_score_adjust = -500\nlimits = { open_files = 1000000000 }\n";
    let mut appliance = Appliance::new(plan, &[], &[]);
    Command::new("chown").args(["-R", "12345:0"]).arg(appliance.path("")).status().unwrap();
    appliance.run_under(&[
        "setpriv",
        "--reuid=12345",
        "--regid=0",
        "--clear-groups",
        "--bounding-set",
        "-all",
        "--inh-caps",
        "-all",
    ]);
    appliance.start_again();
    appliance.until_said("a | up");
    assert!(appliance.said("a")[0].ends_with("\t1"), "{}", appliance.output());
    assert_eq!(appliance.stop(), 0);
}

#[test]
fn a_users_service_sees_its_own_variables_and_those_it_is_given() {
    let variables = [
        ("SECRET_KEY", "hunter2-secret"),
        ("DB_PASSWORD", "hunter2-db"),
        ("HANDED", "on"),
        ("OTHER", "kept back"),
        ("HTTPS_PROXY", "p"),
    ];
    let shown = shown("env = { OWN = \"mine\" }\npass_env = [\"HANDED\", \"MISSING\", \"OWN\"]", &variables);
    let mut names: Vec<&str> = shown.keys().filter_map(|name| name.strip_prefix("env ")).collect();
    // Of the shell's own making.
    names.retain(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name));
    assert_eq!(names, ["DATA_DIR", "GLITCHBOX_SERVICE", "HANDED", "OWN", "PATH", "TZ"]);
    assert_eq!((shown["env HANDED"].as_str(), shown["env OWN"].as_str()), ("on", "mine"));
}
