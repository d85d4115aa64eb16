//! Verify, for people and for programs.

use lake_proto::v1::{VerifyFinding, VerifyFindingKind, VerifyTally, verify_response::Part};
use serde::Serialize;

use super::human::{count, one_line, size, span};

/// One line of the JSON: exactly one of them is there.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PartJson<'a> {
    Progress(TallyJson),
    Finding(FindingJson<'a>),
    Summary(TallyJson),
}

#[derive(Debug, Serialize)]
pub(crate) struct TallyJson {
    ledgers_wanted: u64,
    ledgers: u64,
    files: u64,
    files_without_hash: u64,
    bytes: u64,
    rows: u64,
    headers: u64,
    rows_compared: u64,
    headers_anchored: u64,
    findings: u64,
    seconds: f64,
}

#[derive(Debug, Serialize)]
pub(crate) struct FindingJson<'a> {
    /// `gap`, `file`, `lineage`, `header`, `rows`, `source`, `archive` or `unknown`.
    kind: &'static str,
    first: u32,
    last: u32,
    table: &'a str,
    /// Null where it is none.
    file: Option<&'a str>,
    problem: &'a str,
    /// `lakectl repair` mends it.
    heals: bool,
}

impl<'a> From<&'a Part> for PartJson<'a> {
    fn from(part: &'a Part) -> Self {
        match part {
            Part::Progress(tally) => Self::Progress(TallyJson::from(tally)),
            Part::Finding(finding) => Self::Finding(FindingJson::from(finding)),
            Part::Summary(tally) => Self::Summary(TallyJson::from(tally)),
        }
    }
}

impl From<&VerifyTally> for TallyJson {
    fn from(tally: &VerifyTally) -> Self {
        Self {
            ledgers_wanted: tally.ledgers_wanted,
            ledgers: tally.ledgers,
            files: tally.files,
            files_without_hash: tally.files_without_hash,
            bytes: tally.bytes,
            rows: tally.rows,
            headers: tally.headers,
            rows_compared: tally.rows_compared,
            headers_anchored: tally.headers_anchored,
            findings: tally.findings,
            seconds: took(tally).as_secs_f64(),
        }
    }
}

impl<'a> From<&'a VerifyFinding> for FindingJson<'a> {
    fn from(finding: &'a VerifyFinding) -> Self {
        let range = finding.range.unwrap_or_default();
        Self {
            kind: kind(finding.kind()),
            first: range.first,
            last: range.last,
            table: &finding.table,
            file: Some(finding.file.as_str()).filter(|file| !file.is_empty()),
            problem: &finding.problem,
            heals: finding.heals,
        }
    }
}

fn took(tally: &VerifyTally) -> std::time::Duration {
    tally.took.and_then(|took| took.try_into().ok()).unwrap_or_default()
}

const fn kind(kind: VerifyFindingKind) -> &'static str {
    match kind {
        VerifyFindingKind::Unspecified => "unknown",
        VerifyFindingKind::Gap => "gap",
        VerifyFindingKind::File => "file",
        VerifyFindingKind::Lineage => "lineage",
        VerifyFindingKind::Header => "header",
        VerifyFindingKind::Rows => "rows",
        VerifyFindingKind::Source => "source",
        VerifyFindingKind::Archive => "archive",
    }
}

/// A finding as one line.
pub(crate) fn finding(finding: &VerifyFinding) -> String {
    let range = finding.range.unwrap_or_default();
    let file = match finding.file.as_str() {
        "" => String::new(),
        file => format!("{}: ", one_line(file)),
    };
    format!(
        "{}..{}  {}  {}: {file}{}",
        range.first,
        range.last,
        kind(finding.kind()),
        finding.table,
        one_line(&finding.problem)
    )
}

/// How far it is, as one line.
pub(crate) fn progress(tally: &VerifyTally) -> String {
    format!(
        "{} of {} ledgers, {}, {} findings, {}",
        count(tally.ledgers),
        count(tally.ledgers_wanted),
        size(tally.bytes),
        count(tally.findings),
        span(took(tally))
    )
}

/// The end.
pub(crate) fn summary(tally: &VerifyTally) -> String {
    let verdict = match tally.findings {
        0 => "sound: nothing found".to_owned(),
        1 => "1 finding: `lakectl gaps` lists it, `lakectl repair` stores the ledgers anew".to_owned(),
        n => format!(
            "{} findings: `lakectl gaps` lists them, `lakectl repair` stores the ledgers anew",
            count(n)
        ),
    };
    let mut text = format!(
        "{verdict}\n{} ledgers, {} headers, {} rows in {} files of {}, {}\n",
        count(tally.ledgers),
        count(tally.headers),
        count(tally.rows),
        count(tally.files),
        size(tally.bytes),
        span(took(tally))
    );
    if tally.rows_compared > 0 {
        text.push_str(&format!("{} rows made again from the source\n", count(tally.rows_compared)));
    }
    if tally.headers_anchored > 0 {
        text.push_str(&format!("{} headers compared with the archive\n", count(tally.headers_anchored)));
    }
    if tally.files_without_hash > 0 {
        let files = count(tally.files_without_hash);
        text.push_str(&format!("{files} files of a merge that is not finished have no hash yet\n"));
    }
    text
}
