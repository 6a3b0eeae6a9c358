//! Stack traces: the newest call first, frames of the program open, those of libraries folded away.

use maud::{Markup, html};

use crate::protocol::event::{Frame, Stacktrace};
use crate::web::component::{badge, value};
use crate::web::text::Lang;

/// Frames of the program that are open from the start.
const OPEN: usize = 8;

/// What stands on one line of the list.
#[derive(Debug, PartialEq)]
enum Run<'a> {
    /// A frame on its own, open or not.
    One(&'a Frame, bool),
    /// Neighbouring frames of libraries.
    Libraries(Vec<&'a Frame>),
}

/// A stack trace.
pub(super) fn stack(lang: Lang, stack: &Stacktrace) -> Markup {
    html! {
        ol.frames {
            @for run in runs(stack) {
                @match run {
                    Run::One(frame, is_open) => li { (show(lang, frame, is_open)) },
                    Run::Libraries(frames) => li {
                        details.fw {
                            summary { (lang.frames_elsewhere(count(&frames))) }
                            ol { @for frame in frames { li { (show(lang, frame, false)) } } }
                        }
                    },
                }
            }
            @if let Some((from, to)) = stack.frames_omitted {
                li.exc.muted { (lang.frames_omitted(i64::try_from(to.saturating_sub(from)).unwrap_or(i64::MAX))) }
            }
        }
        @if !stack.registers.is_empty() {
            details.fold.edge { summary { (lang.registers()) } div.pad { (value::table(lang, &stack.registers)) } }
        }
    }
}

/// The frames from the newest call on, those of libraries gathered. The newest call always stands
/// alone; when no frame is of the program, it is the open one.
fn runs(stack: &Stacktrace) -> Vec<Run<'_>> {
    let has_own = stack.frames.iter().any(is_own);
    let mut runs = Vec::new();
    let mut open = 0;
    for (index, frame) in stack.frames.iter().rev().enumerate() {
        if is_own(frame) || index == 0 {
            let is_open = (is_own(frame) || !has_own) && open < OPEN;
            open += usize::from(is_open);
            runs.push(Run::One(frame, is_open));
        } else if let Some(Run::Libraries(frames)) = runs.last_mut() {
            frames.push(frame);
        } else {
            runs.push(Run::Libraries(vec![frame]));
        }
    }
    // A fold around a single frame would hide nothing.
    for run in &mut runs {
        if let Run::Libraries(frames) = run
            && let [frame] = frames.as_slice()
        {
            *run = Run::One(frame, false);
        }
    }
    runs
}

fn is_own(frame: &Frame) -> bool {
    frame.in_app == Some(true)
}

fn count(frames: &[&Frame]) -> i64 {
    i64::try_from(frames.len()).unwrap_or(i64::MAX)
}

/// One frame: a fold when there is something to see in it.
pub(super) fn show(lang: Lang, frame: &Frame, is_open: bool) -> Markup {
    let has_body = frame.context_line.is_some() || !frame.vars.is_empty();
    let class = if is_own(frame) { "frame app" } else { "frame lib" };
    html! {
        @if has_body {
            details class=(class) open[is_open] {
                summary { (head(lang, frame)) }
                (source(frame))
                @if !frame.vars.is_empty() {
                    div.vars { h4 { (lang.locals()) } (value::table(lang, &frame.vars)) }
                }
            }
        } @else {
            div class=(class) { div.sum { (head(lang, frame)) } }
        }
    }
}

fn head(lang: Lang, frame: &Frame) -> Markup {
    let file = frame.filename.as_deref().or(frame.abs_path.as_deref());
    let place = file.or(frame.module.as_deref()).or(frame.package.as_deref()).or(frame.instruction_addr.as_deref());
    let detail = frame.abs_path.as_deref().or(frame.module.as_deref());
    html! {
        span.fn title=[frame.raw_function.as_deref()] {
            (frame.function.as_deref().or(frame.symbol.as_deref()).unwrap_or(lang.unknown_function()))
        }
        @if let Some(place) = place {
            span.at title=[detail] {
                b { (place) }
                @if let Some(line) = frame.lineno { ":" (line) }
                @if let Some(column) = frame.colno { ":" (column) }
            }
        }
        @if is_own(frame) { (badge("", lang.in_app())) }
    }
}

/// The lines around the call, numbered, the line itself marked.
fn source(frame: &Frame) -> Markup {
    let before = u64::try_from(frame.pre_context.len()).unwrap_or(u64::MAX);
    let first = frame.lineno.map(|line| line.saturating_sub(before));
    let lines = frame
        .pre_context
        .iter()
        .map(|line| (line, false))
        .chain(frame.context_line.iter().map(|line| (line, true)))
        .chain(frame.post_context.iter().map(|line| (line, false)));
    html! {
        @if frame.context_line.is_some() {
            div.src tabindex="0" role="region" aria-label=(frame.filename.as_deref().unwrap_or("source")) {
                ol {
                    @for (offset, (line, is_hit)) in (0_u64..).zip(lines) {
                        li class=[is_hit.then_some("hit")] {
                            span.ln { @if let Some(first) = first { (first.saturating_add(offset)) } }
                            code { (line) }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(name: &str, in_app: bool) -> Frame {
        Frame { function: Some(name.to_owned()), in_app: Some(in_app), ..Frame::default() }
    }

    fn names(stack: &Stacktrace) -> Vec<String> {
        let name = |frame: &Frame| frame.function.clone().unwrap();
        runs(stack)
            .iter()
            .map(|run| match run {
                Run::One(frame, is_open) => format!("{}{}", name(frame), if *is_open { "*" } else { "" }),
                Run::Libraries(frames) => format!("({})", frames.iter().map(|f| name(f)).collect::<Vec<_>>().join(" ")),
            })
            .collect()
    }

    #[test]
    fn library_frames_are_gathered_between_own_ones() {
        let frames = [("run", false), ("main", true), ("get", false), ("send", false), ("mine", true), ("lib", false)];
        let stack = Stacktrace { frames: frames.map(|(name, own)| frame(name, own)).into(), ..Stacktrace::default() };
        assert_eq!(names(&stack), ["lib", "mine*", "(send get)", "main*", "run"]);
    }

    #[test]
    fn without_own_frames_the_newest_call_is_open() {
        let frames = vec![frame("a", false), frame("b", false), frame("c", false)];
        assert_eq!(names(&Stacktrace { frames, ..Stacktrace::default() }), ["c*", "(b a)"]);
    }

    #[test]
    fn context_lines_are_numbered_and_escaped() {
        let frame = Frame {
            lineno: Some(10),
            pre_context: vec!["before".to_owned()],
            context_line: Some("if a < b {".to_owned()),
            post_context: vec!["after".to_owned()],
            ..frame("f", true)
        };
        let shown = show(Lang::English, &frame, true).into_string();
        assert!(shown.contains(r#"<li><span class="ln">9</span><code>before</code></li>"#), "{shown}");
        assert!(
            shown.contains(r#"<li class="hit"><span class="ln">10</span><code>if a &lt; b {</code></li>"#),
            "{shown}"
        );
        assert!(shown.contains(r#"<span class="ln">11</span>"#), "{shown}");
    }
}
