//! Which frames are the program's own.

use crate::protocol::event::Frame;

/// Parts of a path that only libraries have.
const LIBRARY_DIRECTORIES: [&str; 15] = [
    "site-packages/",
    "dist-packages/",
    "node_modules/",
    "/usr/lib/",
    "/usr/lib64/",
    "/lib/python",
    "/vendor/",
    "/gems/",
    "/.cargo/registry/",
    "/rustc/",
    "/rustlib/",
    "/go/pkg/mod/",
    "<frozen ",
    "node:",
    "/.rbenv/",
];
/// Packages of the Java and Android platforms.
const LIBRARY_MODULES: [&str; 9] =
    ["java.", "javax.", "jdk.", "sun.", "com.sun.", "kotlin.", "kotlinx.", "android.", "androidx."];
/// Rust's machinery of panics, and the SDK that watches it: at the end of a stack, but not where it crashed.
const RUNTIME_FUNCTIONS: [&str; 7] =
    ["sentry", "std::", "core::", "backtrace::", "rust_begin_unwind", "__rust", "alloc::"];

/// Settles `in_app` of every frame: what the client says, unless it says nothing, or calls the runtime its own.
pub(super) fn mark(frames: &mut [Frame], platform: &str) {
    for frame in frames.iter_mut() {
        if frame.in_app.is_none() {
            frame.in_app = Some(!is_library(frame));
        }
    }
    if is_native(platform) {
        for frame in frames.iter_mut().rev().take_while(|frame| is_runtime(frame)) {
            frame.in_app = Some(false);
        }
    }
}

/// Platforms whose stacks may end in Rust's runtime.
pub(super) fn is_native(platform: &str) -> bool {
    matches!(platform, "native" | "rust")
}

/// True for a frame of Rust's machinery of panics.
pub(super) fn is_runtime(frame: &Frame) -> bool {
    let name = frame.function.as_deref().unwrap_or_default().trim_start_matches(['<', '_']);
    let raw = frame.function.as_deref().unwrap_or_default();
    RUNTIME_FUNCTIONS.iter().any(|prefix| name.starts_with(prefix) || raw.starts_with(prefix))
}

fn is_library(frame: &Frame) -> bool {
    let path = frame.abs_path.as_deref().or(frame.filename.as_deref()).unwrap_or_default();
    let module = frame.module.as_deref().unwrap_or_default();
    LIBRARY_DIRECTORIES.iter().any(|directory| path.contains(directory))
        || LIBRARY_MODULES.iter().any(|package| module.starts_with(package))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(function: &str, path: &str, in_app: Option<bool>) -> Frame {
        Frame { function: Some(function.to_owned()), abs_path: Some(path.to_owned()), in_app, ..Frame::default() }
    }

    #[test]
    fn what_the_client_says_counts() {
        let mut frames = [frame("a", "/x/site-packages/a.py", Some(true)), frame("b", "/srv/b.py", Some(false))];
        mark(&mut frames, "python");
        assert_eq!(frames.map(|frame| frame.in_app), [Some(true), Some(false)]);
    }

    #[test]
    fn libraries_are_known_by_their_place() {
        let mut frames = [
            frame("a", "/usr/lib/python3.11/json/decoder.py", None),
            frame("b", "/srv/app/node_modules/x/index.js", None),
            frame("c", "/srv/app/views.py", None),
            Frame { module: Some("java.util.List".to_owned()), ..Frame::default() },
        ];
        mark(&mut frames, "other");
        assert_eq!(frames.map(|frame| frame.in_app), [Some(false), Some(false), Some(true), Some(false)]);
    }

    #[test]
    fn the_machinery_of_a_rust_panic_is_not_the_program() {
        let mut frames = [
            frame("std::rt::lang_start", "", Some(true)),
            frame("app::main", "", Some(true)),
            frame("core::panicking::panic_fmt", "", Some(true)),
            frame("<sentry_panic::Integration as Trait>::handle", "", Some(true)),
        ];
        mark(&mut frames, "native");
        assert_eq!(frames.map(|frame| frame.in_app), [Some(true), Some(true), Some(false), Some(false)]);
    }
}
