use std::os::fd::AsFd;
use std::sync::Arc;

use super::*;

fn launch(script: &str) -> LaunchSpec {
    let cwd = Arc::new(OwnedFd::from(std::fs::File::open("/").unwrap()));
    let argv = vec!["sh".into(), "-c".into(), script.into()];
    LaunchSpec::new(Program::Path("/bin/sh".into()), argv, cwd)
}

fn output(spec: &LaunchSpec) -> String {
    let child = spawn(spec).unwrap();
    let mut text = String::new();
    std::fs::File::from(child.stdout).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn nothing_is_inherited_but_what_was_asked_for() {
    let mut spec = launch("echo $A:$HOME; cat; cat <&7; ls /proc/$$/fd; umask");
    spec.set_env("A", "x");
    spec.set_env("A", "one");
    spec.set_env("PATH", "/usr/bin:/bin");
    spec.stdin = Some(b"typed\n".to_vec());
    let (read, write) = pipe2(OFlag::O_CLOEXEC).unwrap();
    std::fs::File::from(write).write_all(b"handed on\n").unwrap();
    spec.inherit.push((Arc::new(read), 7));
    assert_eq!(output(&spec), "one:\ntyped\nhanded on\n0\n1\n2\n7\n0077\n");
}

#[test]
fn an_open_executable_runs_without_its_path() {
    let mut spec = launch("echo $0");
    spec.program = Program::Fd(Arc::new(std::fs::File::open("/bin/sh").unwrap().into()));
    assert_eq!(output(&spec), "sh\n");
    assert!(spec.cwd.as_fd().as_raw_fd() > 2);
}

#[test]
fn a_failed_exec_names_the_step_and_the_reason() {
    let mut spec = launch("");
    spec.program = Program::Path("/nowhere/at-all".into());
    assert_eq!(spawn(&spec).unwrap_err().to_string(), "exec: No such file or directory (os error 2)");
}
