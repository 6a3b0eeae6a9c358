//! Takes secrets out of everything that is told: known values, and what looks like one.

use serde_json::Value;

use super::forms::forms;
use crate::settings::Secret;

/// Shorter known values would blank out ordinary words.
const SHORTEST: usize = 8;

/// Who chose one of these has no secret, and every other line would lose its meaning.
const PUBLIC: [&str; 5] = ["postgres", "glitchbox", "glitchtip", "supervisor", "analytics_ro"];

/// Members of our documents that nobody else writes.
const OURS: [&str; 11] = [
    "kind",
    "id",
    "trigger",
    "scheduled_for",
    "started_at",
    "finished_at",
    "sent_at",
    "mode",
    "result",
    "status",
    "partitions_until",
];

/// What stands in the place of a secret.
const MASK: &str = "***";

/// Ends of names whose values nobody should read. Compared without case.
const NAMES: [&str; 12] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "secret_key",
    "token",
    "apikey",
    "api_key",
    "access_key",
    "sentry_key",
    "authorization",
    "signature",
];

/// Knows the secrets of this appliance.
#[derive(Debug, Clone, Default)]
pub struct Redactor {
    /// The longest first: one may be a part of another.
    known: Vec<Secret>,
}

impl Redactor {
    /// For these values and, of each that is an address, the parts that are secret by themselves.
    pub fn new(secrets: &[Secret]) -> Self {
        let mut known: Vec<Secret> = Vec::new();
        for secret in secrets {
            for guise in guises(secret.expose()) {
                if !known.iter().any(|secret| secret.expose() == guise) {
                    known.push(Secret::new(guise));
                }
            }
        }
        known.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
        Self { known }
    }

    /// The text without secrets.
    pub fn text(&self, text: &str) -> String {
        let mut clean = text.to_owned();
        let places = Trigrams::of(text);
        for secret in &self.known {
            // Most are ruled out by their first letters, for a fraction of a search. What is replaced adds nothing.
            if places.may_hold(secret.expose()) && clean.contains(secret.expose()) {
                clean = clean.replace(secret.expose(), MASK);
            }
        }
        named_values(&bearers(&user_info(&clean)))
    }

    /// The document without secrets: every string in it is looked at, but for members that hold words of ours by which the
    /// document is read back. Names of members are ours too.
    pub fn json(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.json(item)).collect(),
            Value::Object(members) => {
                let clean = |(name, item): (String, Value)| {
                    let is_ours = OURS.contains(&name.as_str()) && item.is_string();
                    let item = if is_ours { item } else { self.json(item) };
                    (name, item)
                };
                members.into_iter().map(clean).collect()
            }
            other => other,
        }
    }
}

/// What must not be read where a secret is known: the secret and, if it is an address, the parts of it that are secret by
/// themselves, each in every form. Those that are too short or ordinary words are left out.
pub(crate) fn guises(secret: &str) -> Vec<String> {
    let whole = secret.trim();
    let values = std::iter::once(whole).chain(parts_of_address(whole));
    let values = values.filter(|value| value.len() >= SHORTEST && !PUBLIC.contains(value));
    values.flat_map(forms).filter(|form| form.len() >= SHORTEST).collect()
}

/// Which three bytes follow one another in a text, roughly.
struct Trigrams([u64; 32]);

impl Trigrams {
    fn of(text: &str) -> Self {
        let mut seen = [0; 32];
        for three in text.as_bytes().windows(3) {
            let (word, bit) = Self::place(three);
            if let Some(word) = seen.get_mut(word) {
                *word |= bit;
            }
        }
        Self(seen)
    }

    /// False: the text does not hold it, which has three bytes or more.
    fn may_hold(&self, value: &str) -> bool {
        let Some(three) = value.as_bytes().get(..3) else { return true };
        let (word, bit) = Self::place(three);
        self.0.get(word).is_none_or(|seen| seen & bit != 0)
    }

    fn place(three: &[u8]) -> (usize, u64) {
        let number = three.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
        let hash = number.wrapping_mul(0x9E37_79B1) >> 21;
        ((hash >> 6) as usize, 1 << (hash & 63))
    }
}

/// Of `scheme://user:password@host/a/b?c=d`: the password, and what is long enough for a token among the parts of the path
/// and the values of the query; of `bot1:x` also the `x`.
fn parts_of_address(text: &str) -> Vec<&str> {
    let Some((_, rest)) = text.split_once("://") else { return Vec::new() };
    let (authority, rest) =
        rest.split_at_checked(rest.find(['/', '?', '#']).unwrap_or(rest.len())).unwrap_or((rest, ""));
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let password = authority.rsplit_once('@').and_then(|(user, _)| user.split_once(':')).map(|(_, password)| password);
    let parts = path.split(['/', '#']).flat_map(|part| [Some(part), part.split_once(':').map(|(_, token)| token)]);
    let values = query.split(['&', '#']).map(|pair| pair.split_once('=').map(|(_, value)| value));
    // A database's name is no secret; a token is long.
    password.into_iter().chain(parts.chain(values).flatten().filter(|token| token.len() >= 16)).collect()
}

/// `scheme://anything@host` -> `scheme://***@host`.
fn user_info(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        clean.push_str(before);
        clean.push_str("://");
        let end = after.find(|c: char| c.is_whitespace() || "/?#\"'<>|\\".contains(c)).unwrap_or(after.len());
        let (authority, tail) = after.split_at_checked(end).unwrap_or((after, ""));
        match authority.rsplit_once('@') {
            Some((_, host)) => {
                clean.push_str(MASK);
                clean.push('@');
                clean.push_str(host);
            }
            None => clean.push_str(authority),
        }
        rest = tail;
    }
    clean.push_str(rest);
    clean
}

/// `Bearer x` and `Basic x` -> `Bearer ***`.
fn bearers(text: &str) -> String {
    let mut clean = text.to_owned();
    for scheme in ["Bearer ", "bearer ", "Basic ", "Token "] {
        clean = replace_after(&clean, scheme, |rest| {
            let end = rest.find(|c: char| c.is_whitespace() || "\"',;<>".contains(c)).unwrap_or(rest.len());
            // `Token expired` is a sentence, not a token.
            if end >= 16 || (scheme.eq_ignore_ascii_case("bearer ") && end > 0) { end } else { 0 }
        });
    }
    clean
}

/// Replaces what follows each `mark`, as far as `length` says.
fn replace_after(text: &str, mark: &str, length: impl Fn(&str) -> usize) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(mark) {
        clean.push_str(before);
        clean.push_str(mark);
        rest = after;
        if let Some((secret, tail)) = after.split_at_checked(length(after))
            && !secret.is_empty()
        {
            clean.push_str(MASK);
            rest = tail;
        }
    }
    clean.push_str(rest);
    clean
}

/// `password=x`, `"token": "x"`, `SECRET_KEY: x` -> `password=***`.
fn named_values(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['=', ':']) {
        let Some((before, after)) = rest.split_at_checked(at) else { break };
        let (sign, mut after) = after.split_at_checked(1).unwrap_or((after, ""));
        clean.push_str(before);
        clean.push_str(sign);
        // Within JSON within a string, a quotation mark comes with its backslash.
        let word = before.trim_end_matches(['"', '\'', '\\', ' ']);
        let word = word.rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-')).next().unwrap_or("");
        if is_secret_name(word) {
            let value = after.trim_start_matches([' ', '"', '\'', '\\']);
            let (lead, value) = after.split_at_checked(after.len() - value.len()).unwrap_or(("", after));
            let end = value.find(|c: char| c.is_whitespace() || "\"'&,;<>\\}])".contains(c)).unwrap_or(value.len());
            clean.push_str(lead);
            if end > 0 {
                clean.push_str(MASK);
            }
            after = value.split_at_checked(end).map_or("", |(_, tail)| tail);
        }
        rest = after;
    }
    clean.push_str(rest);
    clean
}

fn is_secret_name(word: &str) -> bool {
    let word = word.to_ascii_lowercase().replace('-', "_");
    NAMES.iter().any(|name| word.ends_with(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    fn redactor(secrets: &[&str]) -> Redactor {
        Redactor::new(&secrets.iter().map(|secret| Secret::new(*secret)).collect::<Vec<_>>())
    }

    #[test]
    fn known_values_go_wherever_they_stand() {
        let redactor = redactor(&["hunter2hunter2", "short", "postgres://gb:s3cr3tpw@db.example.com/gb"]);
        assert_eq!(redactor.text("xhunter2hunter2x short"), "x***x short");
        assert_eq!(redactor.text("cannot log in with s3cr3tpw"), "cannot log in with ***");
        let hook = "https://open.feishu.cn/open-apis/bot/v2/hook/0a1b2c3d-0000-4e5f";
        let redactor = Redactor::new(&[Secret::new(hook)]);
        assert_eq!(redactor.text("hook 0a1b2c3d-0000-4e5f"), "hook ***");
        let bot = Redactor::new(&[Secret::new(
            "https://api.telegram.org/bot123:AAE0123456789abcdef/sendMessage?chat_id=-1001",
        )]);
        assert_eq!(bot.text("token AAE0123456789abcdef of bot123, -1001"), "token *** of bot123, -1001");
        let robot = Redactor::new(&[Secret::new("https://oapi.dingtalk.com/robot/send?access_token=0123456789abcdef")]);
        assert_eq!(robot.text("token 0123456789abcdef at robot/send"), "token *** at robot/send");
        assert_eq!(redactor.text(&format!("POST {hook}: refused")), "POST ***: refused");
    }

    #[test]
    fn what_looks_like_a_secret_goes_too() {
        let redactor = Redactor::default();
        let cases = [
            ("redis://:pw@host:6379/0 is away", "redis://***@host:6379/0 is away"),
            ("https://0123456789abcdef@sentry.example.com/1", "https://***@sentry.example.com/1"),
            ("password=a b", "password=*** b"),
            ("PGPASSWORD: x", "PGPASSWORD: ***"),
            ("DB_PASSWORD='a,b'", "DB_PASSWORD='***,b'"),
            ("{\"token\": \"abc\", \"n\": 1}", "{\"token\": \"***\", \"n\": 1}"),
            ("Authorization: Bearer abc.def", "Authorization: *** ***"),
            ("GET /?sentry_key=abc&x=1", "GET /?sentry_key=***&x=1"),
            ("web: ready in 81 ms (generation 2)", "web: ready in 81 ms (generation 2)"),
            ("see https://errors.example.com/a:b", "see https://errors.example.com/a:b"),
        ];
        for (text, wanted) in cases {
            if text.starts_with("Authorization") {
                assert!(!redactor.text(text).contains("abc"), "{}", redactor.text(text));
            } else {
                assert_eq!(redactor.text(text), wanted);
            }
        }
    }

    #[test]
    fn no_secret_survives_wherever_it_is_put() {
        let mut random = StdRng::seed_from_u64(7);
        let letters: Vec<char> = "abzAZ09-_./:@=&?\"'\\ <>{}[],;%#+*~|é密\n\t".chars().collect();
        for _ in 0..3_000 {
            let mut word = |least: usize, most: usize| -> String {
                let length = random.random_range(least..=most);
                (0..length).map(|_| letters[random.random_range(0..letters.len())]).collect()
            };
            let secret = word(12, 40);
            let (before, after) = (word(0, 30), word(0, 30));
            let trimmed = secret.trim();
            if trimmed.len() < SHORTEST {
                continue;
            }
            let redactor = redactor(&[&secret]);
            let told = redactor.text(&format!("{before}{secret}{after}"));
            assert!(!told.contains(trimmed), "{secret:?} in {told:?}");
            // In a document, and in the text of that document.
            let document = serde_json::json!({ "a": [format!("{before}{secret}{after}")] });
            let told = redactor.json(document.clone()).to_string();
            assert!(!serde_json::from_str::<Value>(&told).unwrap()["a"][0].as_str().unwrap().contains(trimmed));
            let quoted = serde_json::to_string(trimmed).unwrap();
            assert!(!redactor.text(&document.to_string()).contains(quoted.trim_matches('"')));
        }
    }

    #[test]
    fn passwords_in_addresses_do_not_survive() {
        let mut random = StdRng::seed_from_u64(11);
        let letters: Vec<char> = "abcXYZ0189-_.~!$&'()*+,;=%".chars().collect();
        for _ in 0..1_000 {
            let length = random.random_range(8..30);
            let password: String = (0..length).map(|_| letters[random.random_range(0..letters.len())]).collect();
            // What cuts an address short ends it for a reader as well.
            let password = password.replace('\'', "x");
            let told = Redactor::default().text(&format!("cannot reach redis://user:{password}@host/0: refused"));
            assert!(!told.contains(&password), "{password} in {told}");
            assert!(told.contains("@host/0"), "{told}");
        }
    }
}
