//! Names of modules, classes and files, without what differs between builds, runs and hosts.

use std::borrow::Cow;

use super::frame::is_javascript;

/// What proxies add to the name of the class that they stand for: Spring, Hibernate, Byte Buddy, Javassist.
const JVM_PROXIES: [&str; 8] = [
    "$$EnhancerBy",
    "$$SpringCGLIB",
    "$$FastClassBy",
    "$HibernateProxy",
    "$ByteBuddy",
    "$MockitoMock",
    "_$$_javassist",
    "_$$_jvst",
];
/// Length of the hashes that Vite, Rollup and esbuild put into the names of files.
const BUNDLE_HASH: usize = 8;

/// A module's or class's name without what is numbered or hashed at build or run time.
pub(super) fn module_name<'a>(module: &'a str, platform: &str) -> Cow<'a, str> {
    match platform {
        "java" | "kotlin" | "groovy" => jvm_class(module),
        // A bundler's number of a chunk.
        "node" | "javascript" if module.bytes().all(|byte| byte.is_ascii_digit()) => Cow::Borrowed("<chunk>"),
        // The SDK makes it from the file's name.
        "node" | "javascript" if has_hash_form(module) => Cow::Owned(without_hashes(module, false)),
        _ => Cow::Borrowed(module),
    }
}

/// The class behind a proxy or a hidden class; without the numbers of anonymous classes, lambdas and accessors.
fn jvm_class(class: &str) -> Cow<'_, str> {
    if class.rsplit('.').next().is_some_and(|name| name.starts_with("$Proxy")) {
        return Cow::Borrowed("$Proxy");
    }
    let class = JVM_PROXIES.iter().find_map(|mark| Some(class.split_once(mark)?.0)).unwrap_or(class);
    // `lambda-3` is a function of Compose.
    let is_number = |text: &str| {
        let digits = text.strip_prefix("lambda-").unwrap_or(text);
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    if let Some((owner, _)) = class.split_once("$$Lambda") {
        Cow::Owned(format!("{owner}$$Lambda"))
    } else if class.contains("GeneratedMethodAccessor") || class.contains("GeneratedConstructorAccessor") {
        Cow::Borrowed(class.trim_end_matches(|character: char| character.is_ascii_digit()))
    } else if class.split('$').skip(1).any(is_number) {
        Cow::Owned(class.split('$').filter(|part| !is_number(part)).collect::<Vec<_>>().join("$"))
    } else {
        Cow::Borrowed(class)
    }
}

/// The last part of a path in lower case; of a script without its content hash and version.
pub(super) fn file_name<'a>(path: &'a str, platform: &str) -> Cow<'a, str> {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
    if matches!(name, "<anonymous>" | "[native code]") {
        return Cow::Borrowed("");
    }
    if is_javascript(platform) {
        return match name {
            // React Native calls its one bundle by the system it is for.
            "index.android.bundle" | "index.ios.bundle" | "main.jsbundle" => Cow::Borrowed("<bundle>"),
            _ if has_hash_form(name) => Cow::Owned(without_hashes(name, true)),
            _ => Cow::Owned(name.to_lowercase()),
        };
    }
    if platform == "php" && is_compiled_template(name) {
        return Cow::Borrowed("<hash>.php");
    }
    if name.chars().any(char::is_uppercase) { Cow::Owned(name.to_lowercase()) } else { Cow::Borrowed(name) }
}

/// Blade and Twig call a compiled template by the hash of its path, which differs from host to host.
fn is_compiled_template(name: &str) -> bool {
    let stem = name.strip_suffix(".php").unwrap_or_default();
    stem.len() >= 32 && stem.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// False where a look at the parts would find no hash: there is neither digit nor capital, nor a part of its own.
fn has_hash_form(name: &str) -> bool {
    name.bytes().any(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase() || matches!(byte, b'.' | b'-'))
}

/// `app.<hash>.js` of `app.3f9a1c2b.js`, `jquery-<version>.min.js` of `jquery-3.6.0.min.js`.
fn without_hashes(name: &str, with_versions: bool) -> String {
    let (name, extension) = match without_bundle_hash(name) {
        Some((stem, extension)) => (stem, Some(extension)),
        None => (name, None),
    };
    let mut out = String::with_capacity(name.len() + 8);
    for piece in name.split_inclusive(['.', '-', ':']) {
        let word = piece.trim_end_matches(['.', '-', ':']);
        let separator = piece.get(word.len()..).unwrap_or_default();
        if with_versions && is_version(word) {
            if out.ends_with("<version>.") {
                out.pop();
            } else {
                out.push_str("<version>");
            }
            out.push_str(separator);
        } else if is_content_hash(word) {
            out.push_str("<hash>");
            out.push_str(separator);
        } else {
            out.push_str(&piece.to_lowercase());
        }
    }
    if let Some(extension) = extension {
        out.push_str("<hash>");
        out.push_str(&extension.to_lowercase());
    }
    out
}

/// `index-` and `.js` of `index-B-K3f9aX.js`: such a hash is base64url, so that dashes do not part it.
fn without_bundle_hash(name: &str) -> Option<(&str, &str)> {
    let end = name.rfind('.').unwrap_or(name.len());
    let start = end.checked_sub(BUNDLE_HASH)?;
    let (stem, hash, extension) = (name.get(..start)?, name.get(start..end)?, name.get(end..)?);
    (stem.ends_with(['-', '.']) && is_bundle_hash(hash)).then_some((stem, extension))
}

/// Letters of both cases and a digit, capitals and a digit, or letters with capitals all over.
fn is_bundle_hash(word: &str) -> bool {
    let count = |test: fn(&u8) -> bool| word.bytes().filter(test).count();
    let is_base64 = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    let (digits, lower) = (count(u8::is_ascii_digit), count(u8::is_ascii_lowercase));
    let capitals_inside = word.bytes().skip(1).filter(u8::is_ascii_uppercase).count();
    let has_capital = count(u8::is_ascii_uppercase) > 0;
    is_base64 && has_capital && (digits > 0 || (lower > 0 && capitals_inside > 1))
}

fn is_version(word: &str) -> bool {
    let digits = word.trim_start_matches('v');
    !digits.is_empty() && digits.len() < 7 && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Seven or more hexadecimal digits, or eight and more letters of both cases, with a digit among them; or eight and more
/// hexadecimal digits that happen to be letters, which no word is.
fn is_content_hash(word: &str) -> bool {
    let has = |test: fn(&u8) -> bool| word.as_bytes().iter().any(test);
    let all = |test: fn(&u8) -> bool| word.as_bytes().iter().all(test);
    if !has(u8::is_ascii_digit) {
        return word.len() >= 8 && all(u8::is_ascii_hexdigit);
    }
    let is_hexadecimal = word.len() >= 7 && all(u8::is_ascii_hexdigit);
    let is_mixed =
        word.len() >= 8 && all(u8::is_ascii_alphanumeric) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
    is_hexadecimal || is_mixed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_lose_hashes_and_versions() {
        for (path, wanted) in [
            ("/static/app.3f9a1c2b.js", "app.<hash>.js"),
            ("https://x/assets/index-BhK3f9aX.js?v=2", "index-<hash>.js"),
            ("https://x/assets/index-B-K3f9aX.js", "index-<hash>.js"),
            ("https://x/assets/index-DqRsTuvW.js", "index-<hash>.js"),
            ("https://x/assets/chunk-2KXQ7WZT.js", "chunk-<hash>.js"),
            ("/assets/cart-Checkout.js", "cart-checkout.js"),
            ("/assets/cart-userCard.js", "cart-usercard.js"),
            ("jquery-3.6.0.min.js", "jquery-<version>.min.js"),
            ("/a/App.js", "app.js"),
            ("app:///main.jsbundle", "<bundle>"),
            ("<anonymous>", ""),
            ("/chunk-vendors.js", "chunk-vendors.js"),
        ] {
            assert_eq!(file_name(path, "javascript"), wanted, "{path}");
        }
        assert_eq!(file_name("/srv/app/Migration_0001.py", "python"), "migration_0001.py");
        assert_eq!(file_name("C:\\app\\Main.cs", "csharp"), "main.cs");
        assert_eq!(file_name("/views/2b6ff1dd8c6b52f6e3a6a7a0a4b5c6d7e8f90123.php", "php"), "<hash>.php");
    }

    #[test]
    fn generated_classes_lose_their_numbers() {
        for (module, wanted) in [
            ("com.x.Foo$$Lambda$14/0x0000000800c0", "com.x.Foo$$Lambda"),
            ("com.x.Foo$$Lambda/0x0000000800c0", "com.x.Foo$$Lambda"),
            ("com.x.Foo$$EnhancerBySpringCGLIB$$1a2b", "com.x.Foo"),
            ("com.x.Foo$$SpringCGLIB$$0", "com.x.Foo"),
            ("sun.reflect.GeneratedMethodAccessor123", "sun.reflect.GeneratedMethodAccessor"),
            ("jdk.proxy2.$Proxy141", "$Proxy"),
            ("com.x.Foo$load$2$1", "com.x.Foo$load"),
            ("com.x.ComposableSingletons$CartKt$lambda-3$1", "com.x.ComposableSingletons$CartKt"),
            ("com.x.Foo$Bar", "com.x.Foo$Bar"),
            ("com.x.Foo", "com.x.Foo"),
        ] {
            assert_eq!(module_name(module, "java"), wanted);
        }
        assert_eq!(module_name("index-4f9a1c22", "node"), "index-<hash>");
        assert_eq!(module_name("412", "node"), "<chunk>");
        assert_eq!(module_name("api.v2:orders", "node"), "api.v2:orders");
        assert_eq!(module_name("App\\Foo", "php"), "App\\Foo");
    }
}
