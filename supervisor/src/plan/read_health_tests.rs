use super::super::read::parse;
use super::super::{CheckHow, DEFAULT, Ready};

fn errors(source: &str) -> Vec<String> {
    parse(source).unwrap_err()
}

#[test]
fn web_and_worker_ship_with_a_watchdog() {
    let plan = parse(DEFAULT).unwrap();
    for name in ["web", "worker"] {
        let spec = &plan.services[plan.find(name).unwrap()];
        assert_eq!((spec.watchdog_ms, spec.watchdog_usec(), spec.silence_shows_ms()), (12_000, 8_000_000, 5_000));
        assert!(spec.liveness && spec.patient == (name == "worker"));
    }
}

#[test]
fn what_health_cannot_be_is_told_with_its_line() {
    let source = "\
[service.a]
kind = \"exec\"
command = [\"a\"]
watchdog_s = 12
liveness = \"no\"
[service.b]
kind = \"exec\"
command = [\"b\"]
ready = \"notify\"
watchdog_s = 0.2
check = { http = \"https://example.org/\", tcp = \"9000\", every_s = 0.05, often = 1 }
[service.postgres]
kind = \"bundled\"
check = { tcp = \"127.0.0.1:5432\", failures = -1 }
[service.c]
kind = \"exec\"
command = [\"c\"]
oneshot = true
check = { exec = [] }
[service.d]
kind = \"app\"
ready = \"check\"
";
    assert_eq!(
        errors(source),
        [
            "line 1: service.a.watchdog_s: is for a service with ready = \"notify\"",
            "line 5: service.a.liveness: must be true or false",
            "line 6: service.b.watchdog_s: must be at least 0.3, or 0 for none",
            "line 11: service.b.check.http: must be like http://127.0.0.1:9000/health: plain HTTP, to an address and not a name",
            "line 11: service.b.check.often: unknown setting",
            "line 11: service.b.check.tcp: must be an address such as 127.0.0.1:9000, or the path of a socket such as run/my.sock",
            "line 11: service.b.check: every_s must be at least 0.1, and timeout_s more than 0",
            "line 11: service.b.check: needs one of http, tcp and exec",
            "line 14: service.postgres.check.failures: must be a whole number from 0 to 1000000",
            "line 14: service.postgres.check: postgres and redis are asked in their own protocol",
            "line 19: service.c.check.exec: needs the program and its arguments",
            "line 19: service.c.check: a oneshot is not checked: it ends",
            "line 20: service.d.ready: \"check\" needs a check",
        ]
    );
}

#[test]
fn checks_are_read_with_their_defaults() {
    let read = |check: &str| {
        let source = format!("[service.a]\nkind = \"exec\"\ncommand = [\"a\"]\ncheck = {{ {check} }}\n");
        let service = parse(&source).unwrap().services.remove(0);
        assert_eq!(service.ready, Ready::Check);
        service.check.unwrap()
    };
    let http = |address: &str, host: &str, path: &str| CheckHow::Http {
        address: address.parse().unwrap(),
        host: host.into(),
        path: path.into(),
    };
    let check = read("http = \"http://127.0.0.1:9000/health?full=1\"");
    assert_eq!((check.every_ms, check.timeout_ms, check.failures), (10_000, 3_000, 3));
    assert_eq!(check.how, http("127.0.0.1:9000", "127.0.0.1:9000", "/health?full=1"));
    assert_eq!(read("http = \"http://localhost\"").how, http("127.0.0.1:80", "localhost", "/"));
    assert_eq!(read("http = \"http://[::1]:80\"").how, http("[::1]:80", "[::1]:80", "/"));
    assert_eq!(read("tcp = \"localhost:70\"").how, CheckHow::Tcp("127.0.0.1:70".parse().unwrap()));
    let check = read("tcp = \"run/my.sock\", every_s = 1, timeout_s = 0.5, failures = 0");
    assert_eq!((check.every_ms, check.timeout_ms, check.failures), (1_000, 500, 0));
    assert_eq!(check.how, CheckHow::Unix("run/my.sock".into()));
    assert_eq!(read("exec = [\"true\", \"-x\"]").how, CheckHow::Exec(vec!["true".into(), "-x".into()]));
}
