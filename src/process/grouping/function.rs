//! Names of functions, without what differs between builds, runs and versions of a compiler.

use std::borrow::Cow;

/// How Swift's compiler marks a function that it has split, specialised or wrapped.
const SWIFT_MARKS: [&str; 5] = ["specialized ", "@objc ", "merged ", "partial apply for ", "implicit "];
/// In front of the number of a function that Java's, Kotlin's or Scala's compiler has named.
const JVM_NUMBERED: [&str; 5] = ["lambda$", "lambda-", "$anonfun$", "access$", "$default$"];

/// A function's name as it counts; empty if it has none.
pub(super) fn function<'a>(name: &'a str, platform: &str) -> Cow<'a, str> {
    let name = name.trim();
    if matches!(name, "" | "?" | "<anonymous>" | "<redacted>" | "<unknown>") {
        return Cow::Borrowed("");
    }
    match platform {
        "javascript" | "node" => Cow::Borrowed(javascript(name)),
        "java" | "kotlin" | "groovy" if JVM_NUMBERED.iter().any(|mark| name.contains(mark)) => {
            Cow::Borrowed(name.trim_end_matches(|character: char| character.is_ascii_digit()))
        }
        "ruby" => ruby(name),
        "php" => php(name),
        "go" => go(name),
        // `-refresh/1-fun-2-`: the second function without a name in `refresh/1`.
        "elixir" => without_digits_behind("fun-", name),
        "cocoa" | "swift" | "objc" => swift(name),
        // `{lambda(int)#2}`, `{closure#0}`, and `$_3` of clang.
        "native" | "rust" | "c" | "cpp" => match without_digits_behind("#", without_rust_hash(name)) {
            Cow::Borrowed(name) => without_digits_behind("$_", name),
            Cow::Owned(name) => Cow::Owned(name.replace("{closure#}", "{{closure}}")),
        },
        _ => Cow::Borrowed(name),
    }
}

/// `bar` of `async Foo.bar [as baz]`. The receiver is what the engine guessed; a path stands for the top level of a
/// file, and Firefox writes `f/<` for a function without a name in `f`.
fn javascript(name: &str) -> &str {
    let name = name.split(" [as ").next().unwrap_or(name);
    let name = name.strip_prefix("async ").or_else(|| name.strip_prefix("new ")).unwrap_or(name);
    if name.contains('/') {
        return "";
    }
    let name = name.rsplit('.').next().unwrap_or(name);
    if matches!(name, "<anonymous>" | "?") { "" } else { name }
}

/// The method without its class, which only Ruby 3.4 and later name; of a block its method; of a compiled template
/// without its numbers.
fn ruby(name: &str) -> Cow<'_, str> {
    let method = |name| without_class(without_template_numbers(name));
    match name.split_once(" in ") {
        Some((block, rest)) if block.starts_with("block") => Cow::Owned(format!("block in {}", method(rest))),
        _ => Cow::Borrowed(method(name)),
    }
}

fn without_class(name: &str) -> &str {
    if name.starts_with('<') { name } else { name.rsplit(['#', '.']).next().unwrap_or(name) }
}

/// `_app_views_x_html_erb` of `_app_views_x_html_erb__123_456`: hash and number of the compiled method; the hash may
/// be negative, which adds an underscore.
fn without_template_numbers(name: &str) -> &str {
    let stripped = || without_number(without_number(name)?);
    if name.starts_with('_') { stripped().unwrap_or(name) } else { name }
}

/// `a` of `a_12` and `a__12`.
fn without_number(name: &str) -> Option<&str> {
    let rest = name.trim_end_matches(|character: char| character.is_ascii_digit());
    (rest.len() < name.len() && rest.ends_with('_')).then(|| rest.trim_end_matches('_'))
}

/// Closures and anonymous classes without the file and line that their names have; compiled templates of Twig without
/// the hash.
fn php(name: &str) -> Cow<'_, str> {
    let method = || name.rsplit("::").next().unwrap_or_default();
    if name.contains("{closure") {
        Cow::Borrowed("{closure}")
    } else if name.contains("@anonymous") || name.starts_with("[Anonymous") {
        Cow::Owned(format!("class@anonymous::{}", method()))
    } else if name.starts_with("__TwigTemplate_") {
        Cow::Owned(format!("__TwigTemplate::{}", method()))
    } else {
        Cow::Borrowed(name)
    }
}

/// `f.func` of `f.func3.1`.
fn go(name: &str) -> Cow<'_, str> {
    let name = name.strip_suffix("-fm").unwrap_or(name);
    match without_digits_behind(".func", name) {
        Cow::Owned(name) => Cow::Owned(
            name.trim_end_matches(|character: char| character.is_ascii_digit() || character == '.').to_owned(),
        ),
        borrowed @ Cow::Borrowed(_) => borrowed,
    }
}

/// Without the compiler's marks and the numbers of closures and of the parts of an asynchronous function.
fn swift(name: &str) -> Cow<'_, str> {
    let mut name = name;
    if name.starts_with('(')
        && let Some((_, rest)) = name.split_once(" resume partial function for ")
    {
        name = rest;
    }
    while let Some(rest) = SWIFT_MARKS.iter().find_map(|mark| name.strip_prefix(mark)) {
        name = rest;
    }
    without_digits_behind("#", name)
}

/// `app::run` of `app::run::h0123456789abcdef`.
pub(in crate::process) fn without_rust_hash(name: &str) -> &str {
    match name.rsplit_once("::h") {
        Some((path, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => path,
        _ => name,
    }
}

/// Compilers number what has no name, and number anew when something is put in front.
fn without_digits_behind<'a>(mark: &str, name: &'a str) -> Cow<'a, str> {
    let is_digit = |character: char| character.is_ascii_digit();
    if !name.split(mark).skip(1).any(|rest| rest.starts_with(is_digit)) {
        return Cow::Borrowed(name);
    }
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some((before, behind)) = rest.split_once(mark) {
        out.push_str(before);
        out.push_str(mark);
        rest = behind.trim_start_matches(is_digit);
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_lose_what_differs_between_runs() {
        for (name, platform, wanted) in [
            ("Foo.bar", "javascript", "bar"),
            ("Object.<anonymous>", "node", ""),
            ("Server.?", "node", ""),
            ("Server.emit [as x]", "node", "emit"),
            ("async load", "node", "load"),
            ("/srv/app/routes.js", "node", ""),
            ("f/<", "javascript", ""),
            ("f/g</<", "javascript", ""),
            ("<anonymous>", "javascript", ""),
            ("lambda$run$12", "java", "lambda$run$"),
            ("run$lambda$3", "kotlin", "run$lambda$"),
            ("sha256", "java", "sha256"),
            ("block (2 levels) in call", "ruby", "block in call"),
            ("block in Shop::Cart#call", "ruby", "block in call"),
            ("Shop::Cart.call", "ruby", "call"),
            ("<class:Cart>", "ruby", "<class:Cart>"),
            ("_app_views_x_html_erb__123_456", "ruby", "_app_views_x_html_erb"),
            ("_app_views__form_html_erb___123_456", "ruby", "_app_views__form_html_erb"),
            ("rows_1_2", "ruby", "rows_1_2"),
            ("class@anonymous\u{1}/x.php:7::run", "php", "class@anonymous::run"),
            ("App\\{closure}", "php", "{closure}"),
            ("{closure:App\\X::run():7}", "php", "{closure}"),
            ("__TwigTemplate_0c9a1b2c::doDisplay", "php", "__TwigTemplate::doDisplay"),
            ("(*Server).routes.func3.1", "go", "(*Server).routes.func"),
            ("glob..func2", "go", "glob..func"),
            ("(*T).functions", "go", "(*T).functions"),
            ("Shop.\"-refresh/1-fun-2-\"/3", "elixir", "Shop.\"-refresh/1-fun--\"/3"),
            ("closure #2 in closure #1 in Cart.load()", "cocoa", "closure # in closure # in Cart.load()"),
            ("(2) suspend resume partial function for Cart.load()", "cocoa", "Cart.load()"),
            ("@objc specialized Cart.load()", "cocoa", "Cart.load()"),
            ("app::run::h0123456789abcdef", "native", "app::run"),
            ("app::run::{closure#0}", "native", "app::run::{{closure}}"),
            ("run()::{lambda(int)#2}::operator()", "native", "run()::{lambda(int)#}::operator()"),
            ("<redacted>", "native", ""),
            ("<lambda>", "python", "<lambda>"),
            ("Class.method", "python", "Class.method"),
        ] {
            assert_eq!(function(name, platform), wanted, "{name}");
        }
    }
}
