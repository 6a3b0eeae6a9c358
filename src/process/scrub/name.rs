//! Names of fields, and whether they are those of secrets.
//!
//! Some words mean a secret wherever they are in a name (`my_secret_thing`). Others have more meanings and count only
//! as the last word (`accessToken`, not `token_count`), since that is what the value is. A last word that tells
//! something about a secret (`password_length`) makes the name ordinary.

use super::rules::Verdict;

/// Anywhere in the name, its words written together. By their first letters, of which few names have any.
fn anywhere(first: u8) -> &'static [&'static str] {
    match first {
        b'p' => &["password", "passwd", "passphrase", "passcode", "passwort", "privatekey"],
        b's' => &["secret"],
        b'a' => &["apikey", "authorization"],
        b'c' => &["credential", "creditcard", "cardnumber", "contraseña", "contrasena"],
        b'm' => &["mysqlpwd", "motdepasse"],
        b'k' => &["kennwort"],
        b'w' => &["wachtwoord"],
        // пароль, パスワード, 비밀번호
        0xD0 => &["пароль"],
        0xE3 => &["パスワード"],
        0xEB => &["비밀번호"],
        // The first bytes of 密码, 口令, 令牌 and 私钥.
        0xE5 => &["密码", "密碼", "密钥", "密鑰", "口令"],
        0xE4 => &["令牌"],
        0xE7 => &["私钥"],
        _ => &[],
    }
}

/// As [`anywhere`], but short enough to be part of other words: the name, or its end.
const AT_THE_END: [&str; 72] = [
    "ccnumber",
    "sessionid",
    "sessionkey",
    "sessid",
    "accesskey",
    "authkey",
    "signingkey",
    "encryptionkey",
    "masterkey",
    "accountkey",
    "servicekey",
    "sharedkey",
    "sshkey",
    "hmackey",
    "aeskey",
    "licensekey",
    "authcode",
    "authheader",
    "authstring",
    "authdata",
    "securitycode",
    "accesstokens",
    "refreshtokens",
    "authtokens",
    "apitokens",
    "amzsignature",
    "googsignature",
    "cookies",
    "stripekey",
    "openaikey",
    "sendgridkey",
    "appkey",
    "serverkey",
    "jwtkey",
    "cryptkey",
    "pgpass",
    "dbpass",
    "userpass",
    "rootpass",
    "adminpass",
    "ftppass",
    "mailpass",
    "mysqlpass",
    "smtppass",
    "storepass",
    "keypass",
    "applicationkey",
    "subscriptionkey",
    "functionskey",
    "authuserinfo",
    "securekey",
    "loggedinkey",
    "noncekey",
    "noncesalt",
    "authsalt",
    "securesalt",
    "loggedinsalt",
    "mchkey",
    "paykey",
    "signkey",
    "apiv3key",
    "keydata",
    "sessionticket",
    "authticket",
    "onetimecode",
    "verificationcode",
    "mfacode",
    "smscode",
    "otpcode",
    "otpattempt",
    "backupcodes",
    "recoverycodes",
];
/// The last word of the name.
fn is_last_word(word: &str) -> bool {
    matches!(
        word,
        "pass"
            | "pwd"
            | "pw"
            | "creds"
            | "cred"
            | "auth"
            | "csrf"
            | "xsrf"
            | "jwt"
            | "bearer"
            | "otp"
            | "totp"
            | "cvv"
            | "cvc"
            | "ssn"
            | "mdp"
            | "passe"
            | "senha"
    )
}

/// A last word that tells something about a secret and is none.
#[rustfmt::skip]
fn is_about(word: &str) -> bool {
    matches!(
        word,
        "name" | "names" | "field" | "fields" | "file" | "path" | "dir" | "length" | "len" | "size" | "count" | "type"
            | "kind" | "format" | "policy" | "version" | "algorithm" | "alg" | "scheme" | "method" | "strength"
            | "expires" | "expiry" | "expired" | "expiration" | "at" | "ttl" | "age" | "created" | "updated"
            | "changed" | "rotated" | "required" | "enabled" | "disabled" | "valid" | "invalid" | "set" | "exists"
            | "missing" | "present" | "regex" | "pattern" | "url" | "uri" | "message" | "messages" | "msg" | "hasher" | "encoder" | "manager" | "service" | "handler" | "stdin" | "timeout" | "header" | "class" | "error"
            | "errors" | "prompt" | "template" | "view" | "form" | "icon" | "title" | "label" | "placeholder" | "backend" | "backends" | "validator" | "validators"
            | "hashers" | "provider" | "status" | "min" | "max" | "limit" | "attempts" | "endpoint" | "used"
    )
}

/// Names that end like a secret's and are known not to be one: the number of a desktop's session, what tells who signed a
/// library, and what keeps secrets.
const KNOWN: [&str; 5] = ["xdgsessionid", "wordpresstestcookie", "publickeytoken", "secretsmanager", "secretmanager"];

/// A name taken apart.
pub(super) struct Name {
    /// Letters and digits in lower case.
    glued: String,
    /// Where the last word begins in `glued`.
    last: usize,
    /// Where the word before begins.
    before: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    None,
    Lower,
    Upper,
}

impl Name {
    pub(super) fn new(field: &str) -> Self {
        let mut name = Self { glued: String::with_capacity(field.len()), last: 0, before: 0 };
        let mut previous = Case::None;
        let mut characters = field.chars().peekable();
        while let Some(character) = characters.next() {
            let case = match character {
                _ if !character.is_alphanumeric() => Case::None,
                _ if character.is_uppercase() => Case::Upper,
                _ => Case::Lower,
            };
            let starts_word = match (previous, case) {
                (Case::None, Case::Lower | Case::Upper) | (Case::Lower, Case::Upper) => true,
                // The last capital of `APIKey` belongs to what follows.
                (Case::Upper, Case::Upper) => characters.peek().is_some_and(|next| next.is_lowercase()),
                _ => false,
            };
            if starts_word && name.last < name.glued.len() {
                (name.before, name.last) = (name.last, name.glued.len());
            }
            if case != Case::None {
                name.glued.extend(character.to_lowercase());
            }
            previous = case;
        }
        name.drop_numbering();
        name
    }

    /// `password2` and `token_2` are one more of the same.
    fn drop_numbering(&mut self) {
        let kept = self.glued.trim_end_matches(|character: char| character.is_ascii_digit()).len();
        if kept == 0 {
            return;
        }
        self.glued.truncate(kept);
        if self.last >= kept {
            self.last = self.before;
        }
    }

    pub(super) fn into_glued(self) -> String {
        self.glued
    }

    pub(super) fn contains(&self, part: &str) -> bool {
        self.glued.contains(part)
    }

    fn last_word(&self) -> &str {
        self.glued.get(self.last..).unwrap_or_default()
    }

    pub(super) fn verdict(&self) -> Verdict {
        let last = self.last_word();
        let is_about = is_about(last) || self.glued.ends_with("expiresin");
        if (is_about && self.last > 0) || KNOWN.contains(&self.glued.as_str()) {
            Verdict::Ordinary
        } else if self.has_anywhere() {
            Verdict::Sure
        } else if is_last_word(last)
            || last.ends_with("token")
            || last.ends_with("cookie")
            || AT_THE_END.iter().any(|end| self.glued.ends_with(end))
        {
            Verdict::Likely
        } else if last == "dsn" {
            Verdict::Address
        } else {
            Verdict::Ordinary
        }
    }

    /// One of the words is in the name, and not as the beginning of `secretary` or `secretion`.
    fn has_anywhere(&self) -> bool {
        self.glued.bytes().enumerate().any(|(at, first)| {
            anywhere(first).iter().any(|word| {
                let rest = self.glued.get(at..).and_then(|rest| rest.strip_prefix(word));
                rest.is_some_and(|rest| *word != "secret" || !(rest.starts_with("ar") || rest.starts_with("ion")))
            })
        })
    }
}

/// False if [`Name::verdict`] is that of an ordinary name: each of the words above has one of these in it.
pub(super) fn has_stem(bytes: &[u8]) -> bool {
    let (mut first, mut second) = (0, 0);
    for byte in bytes {
        let third = byte | 0x20;
        if is_stem([first, second, third]) {
            return true;
        }
        (first, second) = (second, third);
    }
    has_short_stem(bytes)
}

fn is_stem(letters: [u8; 3]) -> bool {
    matches!(
        &letters,
        b"pas"
            | b"pwd"
            | b"sec"
            | b"ses"
            | b"key"
            | b"tok"
            | b"aut"
            | b"cre"
            | b"car"
            | b"num"
            | b"csr"
            | b"xsr"
            | b"jwt"
            | b"bea"
            | b"coo"
            | b"dsn"
            | b"cvv"
            | b"cvc"
            | b"ssn"
            | b"sig"
            | b"cod"
            | b"tic"
            | b"sal"
            | b"otp"
            | b"mdp"
            | b"nha"
            | b"nwo"
            | b"htw"
            | b"ras"
            | b"\xF0\xBF\xF0"
            | b"\xE3\xA3\xB1"
            | b"\xEB\xB9\xA4"
            | b"\xE5\xAF\xA6"
            | b"\xE4\xBB\xA4"
            | b"\xE5\xAF\xA3"
            | b"\xE7\xA7\xA1"
    )
}

/// `pw`, which is too short to be looked for everywhere: at the end, or with a number or a bracket behind it.
fn has_short_stem(bytes: &[u8]) -> bool {
    let end = bytes.iter().rposition(u8::is_ascii_alphabetic).map_or(0, |last| last + 1);
    bytes.get(..end).and_then(<[u8]>::last_chunk::<2>).is_some_and(|end| end.eq_ignore_ascii_case(b"pw"))
}

/// Names of cookies that stand for somebody who is signed in.
pub(super) fn is_session_cookie(field: &str) -> bool {
    let name = field.to_ascii_lowercase();
    if name.ends_with("culture") {
        return false;
    }
    name.ends_with("sid")
        || [
            "sess", "remember", "symfony", "aspnet", "aspxauth", "identity", "auth", "token", "csrf", "xsrf", "login",
            "logged", "ticket",
        ]
        .iter()
        .any(|part| name.contains(part))
}

/// `HEROKU_KEY`: of a service, or of a cache.
pub(super) fn is_key_of_environment(field: &str) -> bool {
    field.ends_with("_KEY") && !field.bytes().any(|byte| byte.is_ascii_lowercase())
}

/// A cookie's value that nobody has chosen: one part of it is a long number in hexadecimal digits, or letters by chance.
pub(super) fn is_made(value: &str) -> bool {
    value.split(|c: char| !c.is_ascii_alphanumeric()).any(|part| {
        let has = |is: fn(&u8) -> bool| part.bytes().any(|byte| is(&byte));
        let is_mixed = has(u8::is_ascii_digit) && has(u8::is_ascii_lowercase);
        is_mixed && ((part.len() >= 20 && has(u8::is_ascii_uppercase)) || part.len() >= 32)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(field: &str) -> Verdict {
        let verdict = Name::new(field).verdict();
        assert!(has_stem(field.as_bytes()) || verdict == Verdict::Ordinary, "{field} has no stem");
        verdict
    }

    #[test]
    fn words_are_found_in_every_spelling() {
        for (field, last) in [
            ("accessToken", "token"),
            ("x-auth-token", "token"),
            ("APIKey", "key"),
            ("user[password]", "password"),
            ("http.request.header.authorization", "authorization"),
            ("token_2", "token"),
            ("password1", "password"),
            ("OAuth2Token", "token"),
            ("ACCESS_TOKEN", "token"),
            ("7", "7"),
            ("", ""),
        ] {
            assert_eq!(Name::new(field).last_word(), last, "{field}");
        }
    }

    #[test]
    fn names_of_secrets_are_known() {
        for field in ["password", "my_secret_thing", "mysecret", "X-Api-Key", "apiKey", "credentials", "card[number]"] {
            assert_eq!(verdict(field), Verdict::Sure, "{field}");
        }
        for field in
            ["token", "accessToken", "x-auth-token", "csrfmiddlewaretoken", "pass", "DB_PASS", "pw", "db_pw2", "auth"]
        {
            assert_eq!(verdict(field), Verdict::Likely, "{field}");
        }
        for field in ["PHPSESSID", "set-cookie", "sessionId", "Pw", "jwt", "cvv2", "X-Amz-Signature", "cookies"] {
            assert_eq!(verdict(field), Verdict::Likely, "{field}");
        }
        assert_eq!(verdict("database_dsn"), Verdict::Address);
    }

    #[test]
    fn names_that_look_close_are_ordinary() {
        for field in [
            "tokens_used",
            "token_count",
            "author",
            "authority",
            "passenger",
            "bypass",
            "compass",
            "secretary",
            "password_length",
            "access_token_expires_in",
            "SSH_AUTH_SOCK",
            "XAUTHORITY",
            "keyboard",
            "monkey",
            "tokenizer",
            "XDG_SESSION_ID",
            "grant_type",
            "session",
            "discard",
            "PWDX",
            "",
        ] {
            assert_eq!(verdict(field), Verdict::Ordinary, "{field}");
        }
    }
}
