//! A finding as a drawing: a column for each process, time from top to bottom, an arrow for each edge.

use std::fmt::Write as _;

use super::finding::{Finding, ShownTransaction};
use super::text::{about, headline};

const LINE: usize = 18;
const PAD: usize = 10;
const GAP: usize = 70;
const COLUMN_GAP: usize = 120;
const LEFT: usize = 150;
/// The width of a letter of the small fixed font.
const LETTER: f64 = 7.3;
/// Longer texts are cut in boxes; the whole ones stand in their titles.
const BOX_LETTERS: usize = 60;

/// Written out for both, without variables, which not every viewer knows.
const STYLE: &str = "
  text { font: 12px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace }
  .title { font-weight: bold; font-size: 15px }
  .name { font-weight: bold }
  .edge { fill: none; stroke-width: 2 }
  .label { font-weight: bold; paint-order: stroke; stroke-width: 5px }
  .paper { fill: #ffffff }
  text { fill: #1f2328 }
  .dim { fill: #59636e }
  .box { fill: #f6f8fa; stroke: #818b98 }
  .edge.ww { stroke: #9a6700 } .head.ww, .label.ww { fill: #9a6700 }
  .edge.wr { stroke: #1a7f37 } .head.wr, .label.wr { fill: #1a7f37 }
  .edge.rw { stroke: #cf222e } .head.rw, .label.rw { fill: #cf222e }
  .edge.order { stroke: #0969da } .head.order, .label.order { fill: #0969da }
  .label { stroke: #ffffff }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117 }
    text { fill: #f0f6fc }
    .dim { fill: #9198a1 }
    .box { fill: #151b23; stroke: #656c76 }
    .edge.ww { stroke: #d29922 } .head.ww, .label.ww { fill: #d29922 }
    .edge.wr { stroke: #3fb950 } .head.wr, .label.wr { fill: #3fb950 }
    .edge.rw { stroke: #f85149 } .head.rw, .label.rw { fill: #f85149 }
    .edge.order { stroke: #4493f8 } .head.order, .label.order { fill: #4493f8 }
    .label { stroke: #0d1117 }
  }
";

struct Placed {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

impl Placed {
    fn right(&self) -> usize {
        self.x + self.width
    }
}

/// Draws a finding. The drawing needs nothing beside itself, and follows the reader's light or dark colours.
#[must_use]
pub fn render_svg(finding: &Finding) -> String {
    let boxes: Vec<Vec<String>> = finding.transactions.iter().map(lines).collect();
    let title = headline(finding);
    let below: Vec<String> = below(finding);
    let placed = place(finding, &boxes);
    let bottom = placed
        .iter()
        .map(|placed| placed.y + placed.height)
        .max()
        .unwrap_or(0);
    let right = placed.iter().map(Placed::right).max().unwrap_or(0) + LEFT;
    let texts = std::iter::once(title.as_str()).chain(below.iter().map(String::as_str));
    let longest = texts.map(|text| text.chars().count()).max().unwrap_or(0);
    let width = right.max(width_of(longest + 8));
    let height = bottom + PAD * 3 + below.len() * LINE;

    let mut svg = String::new();
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         role=\"img\" aria-label=\"{}\">\n<style>{STYLE}</style>\n",
        escape(&title)
    );
    let _ = writeln!(svg, "<rect class=\"paper\" width=\"100%\" height=\"100%\"/>");
    let _ = writeln!(
        svg,
        "<text class=\"title\" x=\"{PAD}\" y=\"24\">{}</text>",
        escape(&title)
    );
    for ((transaction, lines), placed) in finding.transactions.iter().zip(&boxes).zip(&placed) {
        draw_box(&mut svg, transaction, lines, placed);
    }
    draw_edges(&mut svg, finding, &placed);
    for (at, line) in below.iter().enumerate() {
        let y = bottom + PAD * 3 + at * LINE;
        let _ = writeln!(
            svg,
            "<text class=\"dim\" x=\"{PAD}\" y=\"{y}\">{}</text>",
            escape(line)
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// What stands below the drawing: the story, and why each edge is there.
fn below(finding: &Finding) -> Vec<String> {
    let mut lines = Vec::new();
    if !finding.story.is_empty() {
        lines.push(finding.story.clone());
    }
    for edge in &finding.edges {
        let name = |at: usize| finding.transactions[at].name.as_str();
        lines.push(format!(
            "{} {} {}: {}",
            name(edge.from),
            edge.kind,
            name(edge.to),
            edge.why
        ));
    }
    lines
}

fn lines(transaction: &ShownTransaction) -> Vec<String> {
    let about = about(transaction);
    let details = about.split_once(": ").map_or("", |(_, details)| details);
    let mut lines = vec![transaction.name.clone()];
    // Process, times; timestamps and place in lines of their own.
    let mut line = String::new();
    for part in details.split(", ") {
        if !line.is_empty() && line.chars().count() + part.chars().count() > 44 {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push_str(", ");
        }
        line.push_str(part);
    }
    lines.push(line);
    lines.extend(transaction.operations.iter().cloned());
    lines
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "pixels"
)]
fn width_of(letters: usize) -> usize {
    (letters as f64 * LETTER) as usize
}

fn cut(text: &str) -> String {
    if text.chars().count() <= BOX_LETTERS {
        return text.to_owned();
    }
    let short: String = text.chars().take(BOX_LETTERS - 1).collect();
    short + "…"
}

/// A column for each process, and a place from top to bottom by time (else in the order of the cycle).
fn place(finding: &Finding, boxes: &[Vec<String>]) -> Vec<Placed> {
    let mut processes: Vec<&str> = Vec::new();
    for transaction in &finding.transactions {
        if !processes.contains(&transaction.process.as_str()) {
            processes.push(&transaction.process);
        }
    }
    let column = |at: usize| {
        processes
            .iter()
            .position(|process| *process == finding.transactions[at].process)
            .unwrap_or(0)
    };
    let width = |at: usize| {
        let letters = boxes[at]
            .iter()
            .map(|line| cut(line).chars().count())
            .max()
            .unwrap_or(0);
        width_of(letters) + PAD * 2
    };
    let count = finding.transactions.len();
    let widths: Vec<usize> = (0..processes.len())
        .map(|process| {
            (0..count)
                .filter(|at| column(*at) == process)
                .map(width)
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_key(|at| (finding.transactions[*at].invoke, *at));
    let mut placed: Vec<Placed> = Vec::new();
    placed.resize_with(count, || Placed {
        x: 0,
        y: 0,
        width: 0,
        height: 0,
    });
    let mut y = 50;
    for at in order {
        let before: usize = widths[..column(at)].iter().map(|width| width + COLUMN_GAP).sum();
        let height = boxes[at].len() * LINE + PAD;
        placed[at] = Placed {
            x: LEFT + before,
            y,
            width: width(at),
            height,
        };
        y += height + GAP;
    }
    placed
}

fn draw_box(svg: &mut String, transaction: &ShownTransaction, lines: &[String], placed: &Placed) {
    let Placed { x, y, width, height } = placed;
    let _ = writeln!(
        svg,
        "<g><title>{}</title><rect class=\"box\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"6\"/>",
        escape(&format!(
            "{}\n{}",
            about(transaction),
            transaction.operations.join("\n")
        ))
    );
    let details = lines.len() - transaction.operations.len();
    for (at, line) in lines.iter().enumerate() {
        let class = match at {
            0 => " class=\"name\"",
            at if at < details => " class=\"dim\"",
            _ => "",
        };
        let _ = writeln!(
            svg,
            "<text{class} x=\"{}\" y=\"{}\">{}</text>",
            x + PAD,
            y + PAD / 2 + LINE * (at + 1) - 4,
            escape(&cut(line))
        );
    }
    svg.push_str("</g>\n");
}

/// Arrows run on the right if they lead down, on the left if they lead up, each in a lane of its own.
fn draw_edges(svg: &mut String, finding: &Finding, placed: &[Placed]) {
    let mut lanes = [0_usize; 2];
    let mut used = vec![[0_usize; 2]; placed.len()];
    for edge in &finding.edges {
        let (from, to) = (&placed[edge.from], &placed[edge.to]);
        let down = from.y < to.y;
        let side = usize::from(!down);
        let lane = lanes[side];
        lanes[side] += 1;
        let mut hold = |at: usize| {
            let place = &mut used[at][side];
            *place += 1;
            placed[at].y + (*place * 16).min(placed[at].height - 6)
        };
        let (y1, y2) = (hold(edge.from), hold(edge.to));
        let (x1, x2, bend) = if down {
            let bend = from.right().max(to.right()) + 40 + lane * 26;
            (from.right(), to.right(), bend)
        } else {
            let bend = from.x.min(to.x).saturating_sub(40 + lane * 26).max(12);
            (from.x, to.x, bend)
        };
        let class = class(edge.kind);
        let _ = writeln!(
            svg,
            "<g><title>{}</title><path class=\"edge {class}\" d=\"M{x1},{y1} C{bend},{y1} {bend},{y2} {x2},{y2}\"/>",
            escape(&edge.why)
        );
        let (tip, wing) = if down { (x2, x2 + 9) } else { (x2, x2 - 9) };
        let _ = writeln!(
            svg,
            "<path class=\"head {class}\" d=\"M{tip},{y2} L{wing},{} L{wing},{} Z\"/>",
            y2 - 5,
            y2 + 5
        );
        // A quarter of the way out lies the middle of such a curve.
        let middle = (x1 + x2 + bend * 6) / 8;
        let _ = writeln!(
            svg,
            "<text class=\"label {class}\" text-anchor=\"middle\" x=\"{middle}\" y=\"{}\">{}</text></g>",
            (y1 + y2) / 2 + 4,
            escape(edge.kind)
        );
    }
}

fn class(kind: &str) -> &'static str {
    match kind {
        "ww" => "ww",
        "wr" => "wr",
        kind if kind.starts_with("rw") => "rw",
        _ => "order",
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            // XML has no other control characters.
            '\n' | '\t' => escaped.push(character),
            control if control.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}
