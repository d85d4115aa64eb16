//! A job as a full screen: what is drawn, from data alone.

use lake_proto::v1::{BackfillJob, BackfillState};
use ratatui::{
    Frame,
    layout::Rect,
    style::{Color, Modifier, Style as Look},
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{
    Style,
    backfill_text::{active, event, left, parked, progress, range, rate, share, state_word, workers},
    human::{count, moment, one_line, size},
};

const KEYS: &str = "q leave  p pause  r resume  + - workers";

/// Cells of a chunk's bar.
const CHUNK_BAR: usize = 16;

/// Fewest lines at which the keys are shown: below that, the job's figures need the room.
const MIN_HEIGHT_FOR_KEYS: u16 = 5;

/// What the screen shows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct View {
    /// The job.
    pub(crate) job: BackfillJob,
    /// What came of the last key; empty when there is nothing to say.
    pub(crate) notice: String,
}

/// A titled list that gets what room there is.
struct Section {
    title: String,
    lines: Vec<Line<'static>>,
    /// Whether the last lines matter most.
    tail: bool,
}

/// Draws the view. What does not fit is cut: first history, then parked chunks, then chunks at work.
pub(crate) fn draw(frame: &mut Frame<'_>, view: &View, style: Style) {
    let area = frame.area();
    let footer = u16::from(area.height >= MIN_HEIGHT_FOR_KEYS);
    let body = Rect { height: area.height - footer, ..area };

    let mut lines = head(&view.job, area.width, style);
    let room = usize::from(body.height).saturating_sub(lines.len());
    for (section, rows) in allot(sections(&view.job, style), room) {
        lines.extend(fitted(section, rows));
    }
    frame.render_widget(Paragraph::new(lines), body);

    if footer > 0 {
        let area = Rect { y: area.y + body.height, height: footer, ..area };
        frame.render_widget(Paragraph::new(foot(view)), area);
    }
}

fn head(job: &BackfillJob, width: u16, style: Style) -> Vec<Line<'static>> {
    let bold = Look::new().add_modifier(Modifier::BOLD);
    let state = paint(state_word(job.state()), colour(job), style);
    let title = Line::from(vec![
        Span::styled(format!("job {}  {}  ", job.id, job.network), bold),
        state,
        Span::raw(format!("  since {}", moment(job.created_at.as_ref()))),
    ]);
    let progress = progress(job);
    // The bar, its brackets and a space share the line with the numbers.
    let cells = usize::from(width).saturating_sub(progress.chars().count() + 3);
    let mut lines = vec![
        title,
        Line::from(format!("{progress} {}", bar(share(job), cells))),
        Line::from(format!("{}  left {}  written {}", rate(job), left(job), size(job.bytes_written))),
        Line::from(format!("workers {}  parked {} ledgers", workers(job), count(job.ledgers_parked))),
    ];
    if !job.reason.is_empty() {
        lines.push(Line::from(paint(&one_line(&job.reason), Color::Yellow, style)));
    }
    lines
}

fn sections(job: &BackfillJob, style: Style) -> Vec<Section> {
    let chunks = job.active.iter().map(|chunk| {
        let ledgers = chunk.range.unwrap_or_default();
        let all = f64::from(ledgers.last.saturating_sub(ledgers.first)) + 1.0;
        let done = f64::from(u32::try_from(chunk.done).unwrap_or(u32::MAX)) / all;
        let colour = if chunk.retrying.is_empty() { Color::Reset } else { Color::Yellow };
        Line::from(paint(&format!("  {} {}", bar(done, CHUNK_BAR), active(chunk)), colour, style))
    });
    let parked =
        job.parked.iter().map(|chunk| Line::from(paint(&format!("  {}", parked(chunk)), Color::Red, style)));
    let history = job.history.iter().map(|entry| Line::from(format!("  {}", event(entry))));
    let wanted = job.wanted.iter().map(range).collect::<Vec<_>>().join(", ");
    vec![
        Section { title: format!("at work in {wanted}"), lines: chunks.collect(), tail: false },
        Section { title: "parked".to_owned(), lines: parked.collect(), tail: true },
        Section { title: "history".to_owned(), lines: history.collect(), tail: true },
    ]
}

/// Divides the room among the sections that have something to show, the first ones first; each gets its title and
/// at least one line, or nothing.
fn allot(mut sections: Vec<Section>, room: usize) -> Vec<(Section, usize)> {
    sections.retain(|section| !section.lines.is_empty());
    sections.truncate(room / 2);
    let mut rows = vec![0; sections.len()];
    let mut free = room - sections.len();
    // One line at a time to each that still wants one: the lists are as short as a screen.
    while free > 0 {
        let before = free;
        for (rows, section) in rows.iter_mut().zip(&sections) {
            if free > 0 && *rows < section.lines.len() {
                *rows += 1;
                free -= 1;
            }
        }
        if free == before {
            break;
        }
    }
    sections.into_iter().zip(rows).collect()
}

/// The section's title and so many of its lines.
fn fitted(section: Section, rows: usize) -> Vec<Line<'static>> {
    let hidden = section.lines.len().saturating_sub(rows);
    let title = match (hidden, section.tail) {
        (0, _) => section.title,
        (_, false) => format!("{}: the first {rows} of {}", section.title, section.lines.len()),
        (_, true) => format!("{}: the last {rows} of {}", section.title, section.lines.len()),
    };
    let title = Line::styled(title, Look::new().add_modifier(Modifier::BOLD));
    let skipped = if section.tail { hidden } else { 0 };
    std::iter::once(title).chain(section.lines.into_iter().skip(skipped).take(rows)).collect()
}

fn foot(view: &View) -> Line<'static> {
    if view.notice.is_empty() {
        return Line::from(KEYS);
    }
    Line::styled(view.notice.clone(), Look::new().add_modifier(Modifier::REVERSED))
}

/// `[###...]` in block characters; empty when there is no room.
fn bar(share: f64, cells: usize) -> String {
    if cells < 4 {
        return String::new();
    }
    let reached = |cell: usize| {
        let cell = u32::try_from(cell).map_or(f64::INFINITY, f64::from);
        let cells = u32::try_from(cells).map_or(f64::INFINITY, f64::from);
        share * cells > cell + 0.5
    };
    let filled = (0..cells).filter(|&cell| reached(cell)).count();
    format!("[{}{}]", "█".repeat(filled), "░".repeat(cells - filled))
}

fn paint(text: &str, colour: Color, style: Style) -> Span<'static> {
    match style {
        Style::Plain => Span::raw(text.to_owned()),
        Style::Coloured => Span::styled(text.to_owned(), Look::new().fg(colour)),
    }
}

/// Green works or is done, yellow waits or lacks something, red needs somebody.
fn colour(job: &BackfillJob) -> Color {
    match job.state() {
        BackfillState::Finished if job.ledgers_parked > 0 => Color::Yellow,
        BackfillState::Running | BackfillState::Finished => Color::Green,
        BackfillState::Unspecified | BackfillState::Paused | BackfillState::Cancelled => Color::Yellow,
        BackfillState::Stopped => Color::Red,
    }
}
