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

#[cfg(test)]
mod tests {
    use lake_proto::v1::{ActiveChunk, JobEvent, LedgerRange, ParkedChunk, Workers, workers::Count};
    use prost_types::Timestamp;
    use ratatui::{Terminal, backend::TestBackend};

    use super::*;

    fn at(seconds: i64) -> Option<Timestamp> {
        Some(Timestamp { seconds: 1_700_000_000 + seconds, nanos: 0 })
    }

    fn job() -> BackfillJob {
        let range = |first, last| Some(LedgerRange { first, last });
        let chunk = |first, done, retrying: &str| ActiveChunk {
            range: range(first, first + 511),
            done,
            retrying: retrying.to_owned(),
        };
        let event = |seconds| JobEvent { at: at(seconds), what: format!("event {seconds}") };
        BackfillJob {
            id: 3,
            network: "mainnet".to_owned(),
            wanted: vec![LedgerRange { first: 1, last: 60_000 }],
            state: BackfillState::Running.into(),
            workers: Some(Workers { count: Some(Count::Fixed(10)) }),
            active_workers: 2,
            ledgers_wanted: 60_000,
            ledgers_stored: 45_000,
            ledgers_parked: 64,
            parked: vec![ParkedChunk {
                range: range(129, 192),
                reason: "no such\nobject".to_owned(),
                at: at(60),
                ..ParkedChunk::default()
            }],
            active: vec![chunk(45_001, 256, ""), chunk(45_513, 0, "503")],
            ledgers_per_second: 123.45,
            remaining: Some(prost_types::Duration { seconds: 121, nanos: 0 }),
            created_at: at(0),
            history: (0..5).map(event).collect(),
            limited_by: "source".to_owned(),
            bytes_written: 5 << 30,
            ..BackfillJob::default()
        }
    }

    fn view(job: BackfillJob) -> View {
        View { job, notice: String::new() }
    }

    fn drawn(view: &View, width: u16, height: u16) -> Terminal<TestBackend> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, view, Style::Plain)).unwrap();
        terminal
    }

    #[test]
    fn a_large_terminal_shows_all_of_it() {
        drawn(&view(job()), 70, 18).backend().assert_buffer_lines([
            Line::from(vec![
                Span::styled("job 3  mainnet  ", Look::new().add_modifier(Modifier::BOLD)),
                Span::raw("running  since 2023-11-14T22:13:20Z                   "),
            ]),
            Line::from("45,000 of 60,000 ledgers  75.0% [███████████████████████████░░░░░░░░░]"),
            Line::from("123.5 ledgers/s  left 2m01s  written 5 GiB"),
            Line::from("workers 2 of 10, limited by source  parked 64 ledgers"),
            bold("at work in 1..60,000"),
            Line::from("  [████████░░░░░░░░] 45,001..45,512  256 of 512"),
            Line::from("  [░░░░░░░░░░░░░░░░] 45,513..46,024  0 of 512  retrying: 503"),
            bold("parked"),
            Line::from("  2023-11-14T22:14:20Z  129..192  no such object"),
            bold("history"),
            Line::from("  2023-11-14T22:13:20Z  event 0"),
            Line::from("  2023-11-14T22:13:21Z  event 1"),
            Line::from("  2023-11-14T22:13:22Z  event 2"),
            Line::from("  2023-11-14T22:13:23Z  event 3"),
            Line::from("  2023-11-14T22:13:24Z  event 4"),
            Line::from(""),
            Line::from(""),
            Line::from(KEYS),
        ]);
    }

    fn bold(text: &str) -> Line<'static> {
        Line::from(Span::styled(text.to_owned(), Look::new().add_modifier(Modifier::BOLD)))
    }

    fn text(view: &View, width: u16, height: u16) -> Vec<String> {
        let terminal = drawn(view, width, height);
        let cells: Vec<_> = terminal.backend().buffer().content().iter().map(|cell| cell.symbol()).collect();
        cells.chunks(usize::from(width)).map(|row| row.concat().trim_end().to_owned()).collect()
    }

    #[test]
    fn a_small_terminal_drops_history_first_and_the_figures_last() {
        let lines = text(&view(job()), 50, 12);
        assert_eq!(lines[4], "at work in 1..60,000");
        assert_eq!(lines[7], "parked");
        assert_eq!(lines[9], "history: the last 1 of 5");
        assert_eq!(lines[10], "  2023-11-14T22:13:24Z  event 4");
        assert_eq!(lines[11], KEYS);

        let lines = text(&view(job()), 50, 7);
        assert_eq!(lines[4], "at work in 1..60,000: the first 1 of 2");
        assert_eq!(lines[6], KEYS);
        let lines = text(&view(job()), 50, 4);
        assert!(
            lines[0].starts_with("job 3  mainnet  running") && lines[3].starts_with("workers 2"),
            "{lines:?}"
        );
        for (width, height) in [(1, 1), (3, 2), (9, 5), (200, 1), (1, 60), (300, 100)] {
            text(&view(job()), width, height);
        }
    }

    #[test]
    fn reasons_and_notices_are_shown() {
        let waiting = BackfillJob { reason: "the source\x1b[2J is away".to_owned(), ..job() };
        let view = View { job: waiting, notice: "job 3 is cancelled".to_owned() };
        let lines = text(&view, 70, 18);
        assert_eq!(lines[4], "the source [2J is away");
        assert_eq!(lines[17], "job 3 is cancelled");
        assert!(!lines.contains(&KEYS.to_owned()));
    }

    #[test]
    fn colours_only_where_they_are_wanted() {
        let colours = |style| {
            let mut terminal = Terminal::new(TestBackend::new(70, 18)).unwrap();
            terminal.draw(|frame| draw(frame, &view(job()), style)).unwrap();
            let cells = terminal.backend().buffer().content().iter();
            let mut colours: Vec<_> = cells.map(|cell| cell.fg.to_string()).collect();
            colours.sort();
            colours.dedup();
            colours
        };
        assert_eq!(colours(Style::Plain), ["Reset"]);
        assert_eq!(colours(Style::Coloured), ["Green", "Red", "Reset", "Yellow"]);
    }

    #[test]
    fn an_empty_job_is_drawn_too() {
        let lines = text(&view(BackfillJob::default()), 60, 10);
        assert!(lines[1].starts_with("0 of 0 ledgers  100.0% ["), "{lines:?}");
        assert_eq!(lines[4], "");
    }
}
