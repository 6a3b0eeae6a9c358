//! What the C# compiler makes of asynchronous methods, lambdas and local functions, and numbers as it goes.

use std::borrow::Cow;

/// Class and method as they stand in the source: `Cart`, `LoadAsync` of `Cart+<LoadAsync>d__12`, `MoveNext`; a lambda
/// of `Total` is `Total { <lambda> }`, which newer SDKs call it, too.
pub(in crate::process) fn demangle<'a>(module: &'a str, function: &'a str) -> (Cow<'a, str>, Cow<'a, str>) {
    // An asynchronous lambda.
    if function == "MoveNext"
        && let Some((class, machine)) = module.rsplit_once("+<<")
        && let Some((method, kind)) = machine.split_once('>')
        && kind.starts_with("b__")
        && is_name(method)
    {
        return (Cow::Borrowed(without_closure(class)), Cow::Owned(format!("{method} {{ <lambda> }}")));
    }
    if function == "MoveNext"
        && let Some((class, machine)) = module.rsplit_once("+<")
        && let Some((method, _)) = machine.split_once(">d")
        && is_name(method)
    {
        return (Cow::Borrowed(without_closure(class)), Cow::Borrowed(method));
    }
    let function = match function.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
        Some((method, kind)) if kind.starts_with("b__") => Cow::Owned(format!("{method} {{ <lambda> }}")),
        Some((method, kind)) if kind.starts_with("g__") => {
            let local = kind.trim_start_matches("g__").split('|').next().unwrap_or_default();
            Cow::Owned(format!("{method}.{local}"))
        }
        _ => Cow::Borrowed(function),
    };
    (Cow::Borrowed(without_closure(module)), function)
}

/// `Cart` of `Cart+<>c` and `Cart+<>c__DisplayClass3_0`.
fn without_closure(class: &str) -> &str {
    class.split("+<>c").next().unwrap_or(class)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|character| character.is_alphanumeric() || character == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_source() {
        for (module, function, wanted) in [
            ("Acme.Cart+<LoadAsync>d__12", "MoveNext", ("Acme.Cart", "LoadAsync")),
            ("Acme.Cart+<>c__DisplayClass3_0+<<Load>b__0>d", "MoveNext", ("Acme.Cart", "Load { <lambda> }")),
            ("Acme.Cart+<>c__DisplayClass3_0", "<Total>b__1", ("Acme.Cart", "Total { <lambda> }")),
            ("Acme.Cart+<>c", "Total { <lambda> }", ("Acme.Cart", "Total { <lambda> }")),
            ("Acme.Cart", "<Of>g__Round|5_0", ("Acme.Cart", "Of.Round")),
            ("Acme.Cart+Item", "Price", ("Acme.Cart+Item", "Price")),
            (
                "System.Linq.Enumerable+SelectListIterator`2",
                "MoveNext",
                ("System.Linq.Enumerable+SelectListIterator`2", "MoveNext"),
            ),
        ] {
            let (class, method) = demangle(module, function);
            assert_eq!((class.as_ref(), method.as_ref()), wanted);
        }
    }
}
