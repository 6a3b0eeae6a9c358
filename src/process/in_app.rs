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
/// Where cargo and rustc keep sources. The Rust SDK goes by the names of functions only, and takes other crates for the
/// program's own.
const CRATE_DIRECTORIES: [&str; 4] = ["/cargo/registry/", ".cargo/registry/", "cargo/git/checkouts/", "/rustc/"];
/// Where systems keep their images.
const SYSTEM_IMAGES: [&str; 9] = [
    "/lib/",
    "/lib64/",
    "/usr/lib",
    "/System/",
    "/Library/Apple/",
    "/system/",
    "/apex/",
    "C:\\Windows\\",
    "C:/Windows/",
];
/// Packages of the Java and Android platforms.
const LIBRARY_MODULES: [&str; 9] =
    ["java.", "javax.", "jdk.", "sun.", "com.sun.", "kotlin.", "kotlinx.", "android.", "androidx."];
/// Frameworks of the JVM. Its SDK leaves `in_app` open unless it is told the program's packages.
const JVM_FRAMEWORKS: [&str; 36] = [
    "akka.",
    "ch.qos.logback.",
    "com.android.",
    "com.fasterxml.",
    "com.google.android.",
    "com.google.common.",
    "com.zaxxer.hikari.",
    "com.mysql.",
    "dalvik.",
    "feign.",
    "groovy.",
    "io.grpc.",
    "io.ktor.",
    "io.micrometer.",
    "io.micronaut.",
    "io.netty.",
    "io.quarkus.",
    "io.reactivex.",
    "io.sentry.",
    "io.undertow.",
    "io.vertx.",
    "jakarta.",
    "libcore.",
    "net.bytebuddy.",
    "okhttp3.",
    "okio.",
    "org.apache.",
    "org.codehaus.groovy.",
    "org.eclipse.jetty.",
    "org.hibernate.",
    "org.jboss.",
    "org.postgresql.",
    "org.springframework.",
    "reactor.",
    "retrofit2.",
    "scala.",
];
/// Namespaces of .NET.
const DOTNET_FRAMEWORKS: [&str; 2] = ["System.", "Microsoft."];
/// Rust's machinery of panics, and the SDK that watches it: at the end of a stack, but not where it crashed.
const RUNTIME_FUNCTIONS: [&str; 7] =
    ["sentry", "std::", "core::", "backtrace::", "rust_begin_unwind", "__rust", "alloc::"];

/// Settles `in_app` of every frame: what the client says, unless it says nothing, or calls the runtime or
/// what others have written its own.
pub(super) fn mark(frames: &mut [Frame], platform: &str) {
    for frame in frames.iter_mut() {
        if frame.in_app.is_none() {
            frame.in_app = Some(!is_library(frame, platform));
        }
    }
    let is_foreign = |frame: &Frame| match frame.platform.as_deref().unwrap_or(platform) {
        "native" | "rust" => has_directory(frame, &CRATE_DIRECTORIES),
        "go" => is_go_module(frame),
        "javascript" | "node" => frame.filename.as_deref() == Some("[native code]"),
        _ => false,
    };
    for frame in frames.iter_mut().filter(|frame| is_foreign(frame)) {
        frame.in_app = Some(false);
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

/// True for a frame of what Node.js calls callbacks with.
pub(super) fn is_event_loop(frame: &Frame) -> bool {
    frame.filename.as_deref().is_some_and(|path| path.starts_with("node:"))
}

fn is_library(frame: &Frame, platform: &str) -> bool {
    let module = frame.module.as_deref().unwrap_or_default();
    let belongs_to = |packages: &[&str]| packages.iter().any(|package| module.starts_with(package));
    let is_framework = match frame.platform.as_deref().unwrap_or(platform) {
        "java" | "kotlin" | "groovy" => belongs_to(&JVM_FRAMEWORKS),
        "csharp" => belongs_to(&DOTNET_FRAMEWORKS),
        "go" => is_go_root(frame, module),
        _ => false,
    };
    let package = frame.package.as_deref().unwrap_or_default();
    is_framework
        || has_directory(frame, &LIBRARY_DIRECTORIES)
        || belongs_to(&LIBRARY_MODULES)
        || SYSTEM_IMAGES.iter().any(|directory| package.starts_with(directory))
}

fn has_directory(frame: &Frame, directories: &[&str]) -> bool {
    let path = frame.abs_path.as_deref().or(frame.filename.as_deref()).unwrap_or_default();
    directories.iter().any(|directory| path.contains(directory))
}

/// Modules of others lie in a cache, under their version (which is all that `-trimpath` leaves of it). The Go SDK takes
/// all but Go itself for the program's own.
fn is_go_module(frame: &Frame) -> bool {
    let path = frame.abs_path.as_deref().unwrap_or_default();
    path.contains("/pkg/mod/") || path.contains("@v")
}

/// Go's own packages lie under `src/` by their import path, whose first element has no dot.
fn is_go_root(frame: &Frame, module: &str) -> bool {
    let has_dot = module.split('/').next().unwrap_or_default().contains('.');
    let path = frame.abs_path.as_deref().unwrap_or_default();
    !has_dot && !module.is_empty() && module != "main" && path.contains(&format!("/src/{module}/"))
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
    fn frameworks_are_known_on_their_platform() {
        let of = |module: &str, path: &str, platform: &str| {
            let mut frames = [Frame { module: Some(module.to_owned()), ..frame("f", path, None) }];
            mark(&mut frames, platform);
            frames[0].in_app
        };
        for (module, path, platform, wanted) in [
            ("org.springframework.web.Servlet", "", "java", false),
            ("com.acme.Shop", "", "java", true),
            ("System.IO.File", "", "csharp", false),
            ("reactor.core", "/srv/reactor/core.py", "python", true),
            ("net/http", "/usr/local/go/src/net/http/server.go", "go", false),
            ("shop/api", "/build/api/orders.go", "go", true),
            ("main", "/home/x/src/main/main.go", "go", true),
            ("github.com/acme/shop", "/home/x/go/src/github.com/acme/shop/a.go", "go", true),
        ] {
            assert_eq!(of(module, path, platform), Some(wanted), "{module}");
        }
        let package = |path: &str| Frame { package: Some(path.to_owned()), ..Frame::default() };
        let mut frames = [package("/lib/x86_64-linux-gnu/libc.so.6"), package("/opt/game/bin/game")];
        mark(&mut frames, "native");
        assert_eq!(frames.map(|frame| frame.in_app), [Some(false), Some(true)]);
    }

    #[test]
    fn crates_and_modules_of_others_are_not_the_program_whatever_the_client_says() {
        let path = "/usr/local/cargo/registry/src/index.crates.io-6f17d22bba15001f/tokio-1.41.0/src/task.rs";
        let mut frames =
            [frame("tokio::task::poll", path, Some(true)), frame("shop::main", "/build/main.rs", Some(true))];
        mark(&mut frames, "native");
        assert_eq!(frames.map(|frame| frame.in_app), [Some(false), Some(true)]);
        let mut frames = [
            frame("Next", "/go/pkg/mod/github.com/gin-gonic/gin@v1.10.0/context.go", Some(true)),
            frame("Next", "github.com/gin-gonic/gin@v1.10.0/context.go", Some(true)),
            frame("stock", "/src/api/stock.go", Some(true)),
        ];
        mark(&mut frames, "go");
        assert_eq!(frames.map(|frame| frame.in_app), [Some(false), Some(false), Some(true)]);
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
