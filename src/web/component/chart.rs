//! Small bar charts as SVG, made here so that they print, need no script and pass a strict policy.

use maud::{Markup, html};

use crate::web::text::Lang;

/// Height of a chart's drawing area, in its own units.
const HEIGHT: i64 = 28;
/// Width of a bar and of the gap behind it, in the chart's own units.
const BAR: usize = 4;
const GAP: usize = 1;

/// Bars for counts, oldest first, the highest one full. `class` is `spark` or `chart`.
pub(crate) fn bars(lang: Lang, class: &str, counts: &[i64]) -> Markup {
    let highest = counts.iter().copied().max().unwrap_or(0).max(1);
    let width = (counts.len() * (BAR + GAP)).saturating_sub(GAP).max(1);
    let total: i64 = counts.iter().sum();
    html! {
        svg class=(class) viewBox={ "0 0 " (width) " " (HEIGHT) } preserveAspectRatio="none" role="img"
            aria-label=(lang.chart_summary(total, crate::web::text::grouped(counts.iter().copied().max().unwrap_or(0)))) {
            @for (index, count) in counts.iter().enumerate() {
                @let height = bar_height(*count, highest);
                rect x=(index * (BAR + GAP)) y=(HEIGHT - height) width=(BAR) height=(height)
                    class=[(*count == 0).then_some("zero")] {}
            }
        }
    }
}

/// A count's height: something that happened is always to be seen, nothing is a hair line.
fn bar_height(count: i64, highest: i64) -> i64 {
    if count <= 0 {
        return 1;
    }
    (count.saturating_mul(HEIGHT) / highest).clamp(3, HEIGHT)
}

/// A thin bar filled to `part` of `whole`.
pub(crate) fn share(part: i64, whole: i64) -> Markup {
    html! {
        svg viewBox="0 0 100 3" preserveAspectRatio="none" aria-hidden="true" {
            rect width=(percent(part, whole)) height="3" {}
        }
    }
}

/// `part` of `whole` in whole per cent, 0 to 100.
pub(crate) fn percent(part: i64, whole: i64) -> i64 {
    if whole <= 0 {
        return 0;
    }
    (part.saturating_mul(100).saturating_add(whole / 2) / whole).clamp(0, 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sparkline_scales_to_its_highest_bar() {
        let svg = bars(Lang::English, "spark", &[0, 1, 50, 100]).into_string();
        assert!(svg.contains(r#"viewBox="0 0 19 28""#), "{svg}");
        assert!(svg.contains(r#"<rect x="0" y="27" width="4" height="1" class="zero">"#), "{svg}");
        assert!(svg.contains(r#"<rect x="5" y="25" width="4" height="3">"#), "a rare event is still seen: {svg}");
        assert!(svg.contains(r#"<rect x="15" y="0" width="4" height="28">"#), "{svg}");
        assert!(svg.contains("151 events, at most 100 at a time"), "{svg}");
    }

    #[test]
    fn nothing_to_draw_is_no_error() {
        assert!(bars(Lang::Chinese, "spark", &[]).into_string().contains("viewBox=\"0 0 1 28\""));
        assert!((3..=HEIGHT).contains(&bar_height(i64::MAX, i64::MAX)), "no overflow");
        assert_eq!(percent(1, 0), 0);
        assert_eq!(percent(1, 3), 33);
        assert_eq!(percent(2, 3), 67);
        assert_eq!(percent(5, 3), 100);
    }
}
