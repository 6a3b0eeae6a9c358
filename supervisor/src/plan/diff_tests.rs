use super::*;
use crate::plan::parse;

const OLD: &str = "\
[log]
files = 5
[service.cache]
kind = \"exec\"
command = [\"cache\"]
[service.web]
kind = \"exec\"
command = [\"web\", '--fast']
after = [\"cache\"]
env = { TOKEN = \"abc\", MODE = \"a\" }
stop = [\"TERM\", \"KILL@2\"]
[service.old]
kind = \"exec\"
command = [\"old\"]
";

const NEW: &str = "\
[log]
files = 7
tail_lines = 9
[service.fresh]
kind = \"exec\"
command = [\"fresh\"]
[service.web]
kind = \"exec\"
stop = ['TERM',
        'KILL@2']
command = [\"web\", \"--fast\"]
after = [\"fresh\", \"cache\"]
env = { TOKEN = \"xyz\", MODE = \"a\" }
[service.cache]
kind = \"exec\"
command = [\"cache\"]
backoff = { max_s = 9 }
";

fn plans() -> (Plan, Plan) {
    (parse(OLD).unwrap(), parse(NEW).unwrap())
}

#[test]
fn what_is_different_is_named_key_by_key_and_secrets_are_masked() {
    let (old, new) = plans();
    let difference = Difference::between(&old, &new);
    let settings: Vec<String> = difference.settings.iter().map(ToString::to_string).collect();
    assert_eq!(settings, ["log.files: 5 -> 7", "log.tail_lines: (default) -> 9"]);
    let services: Vec<(&str, Fate)> = difference.services.iter().map(|it| (it.service.as_str(), it.fate)).collect();
    let expected =
        [("fresh", Fate::Added), ("cache", Fate::Adjusted), ("web", Fate::Restarted), ("old", Fate::Removed)];
    assert_eq!(services, expected);
    let of_web: Vec<String> = difference.services[2].keys.iter().map(ToString::to_string).collect();
    assert_eq!(of_web, ["after: [\"cache\"] -> [\"fresh\", \"cache\"]", "env.TOKEN: (changed)"]);
    let fresh: Vec<String> = difference.services[0].keys.iter().map(ToString::to_string).collect();
    assert!(fresh.contains(&"command: (changed)".to_owned()), "{fresh:?}");
    assert!(Difference::between(&new, &new).is_empty());
    let clean = difference.settings[0].clone().cleaned(|value| value.replace('7', "*"));
    assert_eq!(clean.to_string(), "log.files: 5 -> *");
}

#[test]
fn numbers_stay_whatever_comes_and_goes() {
    let (old, new) = plans();
    let (old_web, old_cache) = (old.find("web").unwrap(), old.find("cache").unwrap());
    let merged = new.numbered_like(&old);
    assert_eq!((merged.find("web"), merged.find("cache")), (Some(old_web), Some(old_cache)));
    assert_eq!(merged.find("old"), old.find("old"));
    let fresh = merged.find("fresh").unwrap();
    assert_eq!(fresh, 3);
    let mut after = merged.services[old_web].after.clone();
    after.sort_unstable();
    assert_eq!(after, [old_cache, fresh]);
    let mut ranked: Vec<_> = merged.services.iter().filter(|spec| spec.name != "old").collect();
    ranked.sort_by_key(|spec| spec.rank);
    assert_eq!(ranked.iter().map(|spec| spec.name.as_str()).collect::<Vec<_>>(), ["fresh", "cache", "web"]);
    // Taken out and brought back: the same number again.
    let mut without = merged;
    let gone = without.find("old").unwrap();
    without.services[gone].removed = true;
    assert!(without.find("old").is_none());
    let back = parse(OLD).unwrap().numbered_like(&without);
    assert_eq!(back.find("old"), Some(gone));
}

#[test]
fn what_needs_a_start_of_everything_is_refused_in_a_sentence() {
    let shipped = parse(crate::plan::DEFAULT).unwrap();
    let obstacles = |text: &str, has_app: bool| {
        let new = parse(text).unwrap();
        Difference::between(&shipped, &new).obstacles(&shipped, &new, has_app)
    };
    assert!(obstacles(crate::plan::DEFAULT, true).is_empty());
    let without = crate::plan::DEFAULT.replace("after = [\"postgres\", \"redis\"]", "after = [\"postgres\"]");
    let (head, tail) = without.split_once("[service.redis]").unwrap();
    let (_, tail) = tail.split_once("[service.migrate]").unwrap();
    let [sentence] = &obstacles(&format!("{head}[service.migrate]{tail}"), true)[..] else { panic!() };
    assert!(sentence.starts_with("redis cannot be taken out while the appliance runs"), "{sentence}");
    let [sentence] = &obstacles(&crate::plan::DEFAULT.replacen("ready = \"probe\"\n", "", 1), true)[..] else {
        panic!()
    };
    assert!(sentence.starts_with("service.postgres.ready cannot be changed"), "{sentence}");
    let none = parse("[service.a]\nkind = \"exec\"\ncommand = [\"a\"]\n").unwrap();
    let some = parse("[service.a]\nkind = \"exec\"\ncommand = [\"a\"]\n[service.worker]\nkind = \"app\"\n").unwrap();
    let found = |has_app| Difference::between(&none, &some).obstacles(&none, &some, has_app);
    assert!(found(false)[0].starts_with("worker cannot be added"));
    assert!(found(true).is_empty());
}
