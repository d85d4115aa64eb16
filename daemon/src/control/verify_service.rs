//! `lake.v1.VerifyService`: translation between the proto and [`Verifier`].

use std::{pin::Pin, sync::Arc};

use futures::{Stream, StreamExt};
use lake_proto::v1::{self as pb, verify_response::Part, verify_service_server::VerifyService};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::{status_code, translate::duration};
use crate::verify::{Event, Finding, Kind, Options, Tally, Verifier};

/// Answers from a [`Verifier`].
pub(super) struct Verifies {
    verifier: Option<Arc<Verifier>>,
    shutdown: CancellationToken,
}

impl Verifies {
    pub(super) fn new(verifier: Option<Arc<Verifier>>, shutdown: CancellationToken) -> Self {
        Self { verifier, shutdown }
    }
}

#[tonic::async_trait]
impl VerifyService for Verifies {
    type VerifyStream = Pin<Box<dyn Stream<Item = Result<pb::VerifyResponse, Status>> + Send>>;

    async fn verify(
        &self,
        request: Request<pb::VerifyRequest>,
    ) -> Result<Response<Self::VerifyStream>, Status> {
        let verifier = self.verifier.as_ref().ok_or_else(status_code::no_verify)?;
        let request = request.into_inner();
        let options = Options {
            network: request.network,
            from: request.from,
            to: request.to,
            against_source: request.against_source,
            archive: Some(request.archive).filter(|place| !place.is_empty()),
        };
        let events = verifier.start(options).await.map_err(|error| status_code::of_verify(&error))?;
        let parts = ReceiverStream::new(events).map(|event| match event {
            Ok(event) => Ok(pb::VerifyResponse { part: Some(part(&event)) }),
            Err(error) => Err(status_code::of_verify(&error)),
        });
        Ok(Response::new(Box::pin(parts.take_until(self.shutdown.clone().cancelled_owned()))))
    }
}

fn part(event: &Event) -> Part {
    match event {
        Event::Progress(reached) => Part::Progress(tally(reached)),
        Event::Finding(found) => Part::Finding(finding(found)),
        Event::Summary(all) => Part::Summary(tally(all)),
    }
}

fn tally(tally: &Tally) -> pb::VerifyTally {
    pb::VerifyTally {
        ledgers_wanted: tally.wanted,
        ledgers: tally.ledgers,
        files: tally.files,
        files_without_hash: tally.unhashed,
        bytes: tally.bytes,
        rows: tally.rows,
        headers: tally.headers,
        rows_compared: tally.compared,
        headers_anchored: tally.anchored,
        findings: tally.findings,
        took: duration(tally.took),
    }
}

fn finding(finding: &Finding) -> pb::VerifyFinding {
    pb::VerifyFinding {
        kind: kind(finding.kind).into(),
        range: Some(pb::LedgerRange { first: finding.range.start().get(), last: finding.range.end().get() }),
        table: finding.table.clone(),
        file: finding.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default(),
        problem: finding.problem.clone(),
        heals: finding.heals,
    }
}

const fn kind(kind: Kind) -> pb::VerifyFindingKind {
    match kind {
        Kind::Gap => pb::VerifyFindingKind::Gap,
        Kind::File => pb::VerifyFindingKind::File,
        Kind::Lineage => pb::VerifyFindingKind::Lineage,
        Kind::Header => pb::VerifyFindingKind::Header,
        Kind::Rows => pb::VerifyFindingKind::Rows,
        Kind::Source => pb::VerifyFindingKind::Source,
        Kind::Archive => pb::VerifyFindingKind::Archive,
    }
}
