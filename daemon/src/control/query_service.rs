//! `lake.v1.QueryService`: SQL in, an Arrow IPC stream out.

use std::{pin::Pin, time::Duration};

use arrow_array::RecordBatch;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::ArrowError;
use bytes::Bytes;
use futures::Stream;
use lake_proto::v1::{
    ExecuteRequest, ExecuteResponse, QuerySummary, execute_response::Part, query_service_server::QueryService,
};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::status_code;
use crate::query::{QueryEnd, QueryError, QueryExecutor, QueryRequest, QueryStream};

/// Largest part that is sent, in bytes: below the 4 MiB that gRPC clients accept by default.
const MAX_PART_BYTES: usize = 1024 * 1024;

/// Answers from a [`QueryExecutor`].
pub(super) struct Queries {
    executor: Option<QueryExecutor>,
    shutdown: CancellationToken,
}

impl Queries {
    pub(super) fn new(executor: Option<QueryExecutor>, shutdown: CancellationToken) -> Self {
        Self { executor, shutdown }
    }
}

/// An answer on its way: rows are read when the transport asks for more.
struct Answer {
    rows: QueryStream,
    writer: StreamWriter<Vec<u8>>,
    /// Encoded and not yet sent.
    ready: Bytes,
    ended: Option<QueryEnd>,
}

impl Answer {
    fn new(rows: QueryStream) -> Result<Self, Status> {
        let writer = StreamWriter::try_new(Vec::new(), &rows.schema()).map_err(|error| encoding(&error))?;
        let mut answer = Self { rows, writer, ready: Bytes::new(), ended: None };
        answer.ready = answer.take_encoded();
        Ok(answer)
    }

    async fn next(mut self) -> Option<(Result<ExecuteResponse, Status>, Option<Self>)> {
        loop {
            if !self.ready.is_empty() {
                let part = self.ready.split_to(self.ready.len().min(MAX_PART_BYTES));
                return Some((Ok(response(Part::ArrowIpc(part))), Some(self)));
            }
            if let Some(end) = self.ended {
                return Some((Ok(response(Part::Summary(summary(end)))), None));
            }
            if let Err(error) = self.encode_next().await {
                return Some((Err(error), None));
            }
        }
    }

    async fn encode_next(&mut self) -> Result<(), Status> {
        let written = match self.rows.next().await {
            Some(Ok(batch)) => self.write(&batch),
            Some(Err(error)) => return Err(status_code::of_query(&error)),
            None => {
                self.ended = self.rows.end();
                self.writer.finish()
            }
        };
        written.map_err(|error| encoding(&error))?;
        self.ready = self.take_encoded();
        Ok(())
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        self.writer.write(batch)
    }

    fn take_encoded(&mut self) -> Bytes {
        std::mem::take(self.writer.get_mut()).into()
    }
}

fn response(part: Part) -> ExecuteResponse {
    ExecuteResponse { part: Some(part) }
}

fn summary(end: QueryEnd) -> QuerySummary {
    let elapsed_micros = u64::try_from(end.elapsed.as_micros()).unwrap_or(u64::MAX);
    QuerySummary { rows: end.rows, truncated: end.truncated, elapsed_micros }
}

fn encoding(error: &ArrowError) -> Status {
    status_code::of_query(&QueryError::Internal { message: format!("cannot encode the rows: {error}") })
}

#[tonic::async_trait]
impl QueryService for Queries {
    type ExecuteStream = Pin<Box<dyn Stream<Item = Result<ExecuteResponse, Status>> + Send>>;

    async fn execute(
        &self,
        request: Request<ExecuteRequest>,
    ) -> Result<Response<Self::ExecuteStream>, Status> {
        let executor = self.executor.as_ref().ok_or_else(status_code::no_queries)?;
        let request = request.into_inner();
        let timeout = request
            .timeout
            .map(|asked| Duration::try_from(asked).map_err(|_negative| status_code::bad_duration("timeout")))
            .transpose()?;
        let max_rows = (request.max_rows > 0).then_some(request.max_rows);
        let rows = executor
            .execute(QueryRequest { sql: request.sql, max_rows, timeout }, self.shutdown.clone())
            .await
            .map_err(|error| status_code::of_query(&error))?;
        let answer = Answer::new(rows)?;
        let stream = futures::stream::unfold(Some(answer), |answer| async { answer?.next().await });
        Ok(Response::new(Box::pin(stream)))
    }
}
