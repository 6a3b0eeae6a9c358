//! Exceptions, the outermost (newest) first, and whatever else has a stack trace.

use maud::{Markup, html};

use super::{frame, section};
use crate::protocol::event::{Event, Exception, Frame, Mechanism, Thread};
use crate::web::component::{badge, value};
use crate::web::text::Lang;

/// The chain of exceptions.
pub(super) fn exceptions(lang: Lang, event: &Event) -> Markup {
    let chain = &event.exception.values;
    let content = html! {
        @for (index, exception) in chain.iter().rev().enumerate() {
            @if index > 0 { (link(lang, exception)) }
            (one(lang, exception))
        }
    };
    html! {
        @if !chain.is_empty() {
            (section("exception", lang.stack_trace(), Some(lang.newest_first()), &content))
        }
    }
}

/// How an exception hangs together with the one above it.
fn link(lang: Lang, exception: &Exception) -> Markup {
    let source = exception.mechanism.as_ref().and_then(|mechanism| mechanism.source.as_deref());
    let is_member = source.is_some_and(|source| source.ends_with(']'));
    let text = if is_member { lang.group_member() } else { lang.chained() };
    html! { div.chain { span { (text) } @if let Some(source) = source { code { (source) } } } }
}

fn one(lang: Lang, exception: &Exception) -> Markup {
    let kind = exception.exception_type.as_deref();
    html! {
        div.exc {
            @if let Some(kind) = kind {
                h3 {
                    (kind) " "
                    @if let Some(module) = &exception.module { span.muted { code { (module) } } }
                }
            }
            @if let Some(text) = &exception.value { div.value { (text) } }
            @if let Some(mechanism) = &exception.mechanism { (mechanism_line(lang, mechanism)) }
        }
        @match &exception.stacktrace {
            Some(stack) => (frame::stack(lang, stack)),
            None => p.exc.muted { (lang.no_frames()) },
        }
    }
}

fn mechanism_line(lang: Lang, mechanism: &Mechanism) -> Markup {
    let text = match mechanism.handled {
        Some(true) => lang.handled_by(&mechanism.kind),
        Some(false) => lang.unhandled_by(&mechanism.kind),
        None => lang.caught_by(&mechanism.kind),
    };
    html! {
        p.mech {
            (text)
            @if let Some(description) = &mechanism.description { " · " (description) }
            @if let Some(link) = &mechanism.help_link { " · " (value::text_value(link)) }
        }
        @if !mechanism.data.is_empty() || !mechanism.meta.is_empty() {
            details.fold {
                summary { (lang.details()) }
                (value::table(lang, mechanism.meta.iter().chain(&mechanism.data)))
            }
        }
    }
}

/// A stack trace that belongs to no exception.
pub(super) fn loose_stack(lang: Lang, event: &Event) -> Markup {
    html! {
        @if let Some(stack) = &event.stacktrace {
            (section("stack", lang.stack_trace(), Some(lang.newest_first()), &frame::stack(lang, stack)))
        }
    }
}

/// All threads; the one that crashed, or that the event was made on, is open.
pub(super) fn threads(lang: Lang, event: &Event) -> Markup {
    let threads = &event.threads.values;
    // An exception of the thread has shown its stack already.
    let has_stack = event.exception.values.iter().any(|exception| exception.stacktrace.is_some());
    let content = html! {
        @for thread in threads { (thread_fold(lang, thread, !has_stack)) }
    };
    html! { @if !threads.is_empty() { (section("threads", lang.threads(), None, &content)) } }
}

fn thread_fold(lang: Lang, thread: &Thread, may_open: bool) -> Markup {
    let is_main = thread.crashed == Some(true) || thread.current == Some(true);
    let name = thread.name.clone().or_else(|| thread.id.as_ref().map(ToString::to_string)).unwrap_or_default();
    let head = html! {
        (lang.thread(name)) " "
        @if thread.crashed == Some(true) { (badge("unhandled", lang.crashed())) " " }
        @if thread.current == Some(true) { (badge("", lang.current())) " " }
        @if let Some(state) = &thread.state { span.muted { (state) } }
    };
    html! {
        @match &thread.stacktrace {
            Some(stack) => details.fold.edge open[may_open && is_main] {
                summary { (head) }
                (frame::stack(lang, stack))
            },
            None => p.exc { (head) },
        }
        @if !thread.held_locks.is_empty() { div.pad { (value::table(lang, &thread.held_locks)) } }
    }
}

/// The place in a template that failed, shown as a frame is.
pub(super) fn template(lang: Lang, event: &Event) -> Markup {
    let as_frame = event.template.as_ref().map(|template| Frame {
        filename: template.filename.clone(),
        abs_path: template.abs_path.clone(),
        lineno: template.lineno,
        in_app: Some(true),
        pre_context: template.pre_context.clone(),
        context_line: template.context_line.clone(),
        post_context: template.post_context.clone(),
        ..Frame::default()
    });
    html! {
        @if let Some(place) = &as_frame {
            (section("template", lang.template(), None, &html! { ol.frames { li { (frame::show(lang, place, true)) } } }))
        }
    }
}
