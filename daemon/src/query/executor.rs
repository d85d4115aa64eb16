//! Runs one statement per connection on one snapshot: bounded in number, time, memory and rows, streaming, and
//! stopped when its caller goes away.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use duckdb::{Connection, InterruptHandle, Statement, core::LogicalTypeId};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    error::QueryError,
    gate::{Gate, GateError, Permit},
    instance::{self, QuerySettings},
};

/// Batches that wait for a slow reader; DuckDB waits with them.
const BUFFERED_BATCHES: usize = 4;

/// How often a statement whose failure DuckDB lost is run again to learn it.
const LOST_REASON_TRIES: usize = 5;

/// How often a query that must end is interrupted again: an interrupt between two statements is lost.
const INTERRUPT_EVERY: Duration = Duration::from_millis(20);

/// One statement and its limits.
#[derive(Debug, Clone, Default)]
pub struct QueryRequest {
    /// The text.
    pub sql: String,
    /// Stop after so many rows; `None` and anything above the setting mean the setting.
    pub max_rows: Option<u64>,
    /// Stop after this time; `None` and anything above the setting mean the setting.
    pub timeout: Option<Duration>,
}

/// Runs queries. Cheap to clone; all clones share one instance and its limits.
#[derive(Clone)]
pub struct QueryExecutor {
    shared: Arc<Shared>,
}

struct Shared {
    instance: Mutex<Connection>,
    gate: Gate,
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    settings: QuerySettings,
    limits: Mutex<QueryLimits>,
}

/// Limits that can change while queries run; they count for those that come afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryLimits {
    /// Longest time of one query, its wait included.
    pub timeout: Duration,
    /// Most rows of one answer.
    pub max_rows: u64,
}

impl fmt::Debug for QueryExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryExecutor").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}

/// How a query ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryEnd {
    /// Rows sent.
    pub rows: u64,
    /// There were more rows than the limit.
    pub truncated: bool,
    /// Time since the request, the wait for a turn included.
    pub elapsed: Duration,
}

/// The answer as it comes. Dropping it stops the query.
#[derive(Debug)]
pub struct QueryStream {
    schema: SchemaRef,
    parts: mpsc::Receiver<Part>,
    end: Option<QueryEnd>,
    _stop: DropGuard,
}

enum Part {
    Schema(SchemaRef),
    Batch(RecordBatch),
    End(Result<QueryEnd, QueryError>),
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Schema(_) => "Schema",
            Part::Batch(_) => "Batch",
            Part::End(_) => "End",
        })
    }
}

impl QueryStream {
    /// Columns of the answer.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// The next rows; `None` after the last, when [`QueryStream::end`] is known.
    ///
    /// # Errors
    /// What stopped the query; nothing more comes afterwards.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, QueryError>> {
        match self.parts.recv().await {
            Some(Part::Batch(batch)) => Some(Ok(batch)),
            Some(Part::End(Ok(end))) => {
                self.end = Some(end);
                None
            }
            Some(Part::End(Err(error))) => Some(Err(error)),
            Some(Part::Schema(_)) => Some(Err(lost())),
            None if self.end.is_some() => None,
            None => Some(Err(lost())),
        }
    }

    /// How the query ended; `None` until the last row was read.
    pub fn end(&self) -> Option<QueryEnd> {
        self.end
    }
}

fn lost() -> QueryError {
    QueryError::Internal { message: "the worker ended without an answer".to_owned() }
}

/// What queries need but for the lake.
pub struct Prepared {
    instance: Connection,
    gate: Gate,
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").finish_non_exhaustive()
    }
}

impl QueryExecutor {
    /// Opens the instance and attaches the lake. Blocks; the lake must exist.
    ///
    /// # Errors
    /// [`QueryError::Open`] and [`QueryError::BadPath`].
    pub fn open(settings: QuerySettings) -> Result<Self, QueryError> {
        Self::attach(Self::prepare(&settings)?, settings)
    }

    /// The first part of [`QueryExecutor::open`], for which the lake need not be there. Blocks.
    ///
    /// # Errors
    /// [`QueryError::Open`] and [`QueryError::BadPath`].
    pub fn prepare(settings: &QuerySettings) -> Result<Prepared, QueryError> {
        let instance = instance::load(settings)?;
        let gate = Gate::open().map_err(|source| QueryError::Open {
            step: "open the instance that checks statements",
            catalog: settings.catalog.clone(),
            source,
        })?;
        Ok(Prepared { instance, gate })
    }

    /// The rest of [`QueryExecutor::open`]. Blocks; the lake must exist.
    ///
    /// # Errors
    /// [`QueryError::Open`] and [`QueryError::BadPath`].
    pub fn attach(prepared: Prepared, settings: QuerySettings) -> Result<Self, QueryError> {
        let Prepared { instance, gate } = prepared;
        instance::attach(&instance, &settings)?;
        let shared = Shared {
            instance: Mutex::new(instance),
            gate,
            running: Arc::new(Semaphore::new(settings.max_concurrent.max(1))),
            waiting: Arc::new(Semaphore::new(settings.max_concurrent.max(1) + settings.max_waiting)),
            limits: Mutex::new(QueryLimits { timeout: settings.timeout, max_rows: settings.max_rows }),
            settings,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Begins with a new instance, so that all that the old one holds is given back once its queries have ended. Blocks.
    ///
    /// # Errors
    /// [`QueryError::Open`]; the old instance stays then.
    pub fn renew(&self) -> Result<(), QueryError> {
        let instance = instance::load(&self.shared.settings)?;
        instance::attach(&instance, &self.shared.settings)?;
        *self.shared.instance.lock().unwrap_or_else(PoisonError::into_inner) = instance;
        Ok(())
    }

    /// Runs one query at a time until the returned value is dropped; those that run go on.
    pub fn one_at_a_time(&self) -> Option<OwnedSemaphorePermit> {
        let running = &self.shared.running;
        let free = u32::try_from(running.available_permits()).unwrap_or(0);
        Arc::clone(running).try_acquire_many_owned(free.saturating_sub(1)).ok()
    }

    /// Sets the limits of the queries that come from now on.
    pub fn set_limits(&self, limits: QueryLimits) {
        *self.shared.limits.lock().unwrap_or_else(PoisonError::into_inner) = limits;
    }

    /// Runs a statement and answers as soon as its columns are known. `shutdown` stops it.
    ///
    /// # Errors
    /// Every [`QueryError`] but those of opening.
    pub async fn execute(
        &self,
        request: QueryRequest,
        shutdown: CancellationToken,
    ) -> Result<QueryStream, QueryError> {
        let started = Instant::now();
        let settings = &self.shared.settings;
        let limits = *self.shared.limits.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = request.timeout.map_or(limits.timeout, |asked| asked.min(limits.timeout));
        let busy = || QueryError::Busy { running: settings.max_concurrent, waiting: settings.max_waiting };
        let place = self.shared.waiting.clone().try_acquire_owned().map_err(|_full| busy())?;
        let turn = tokio::select! {
            turn = self.shared.running.clone().acquire_owned() => turn.map_err(|_closed| QueryError::Stopping)?,
            () = tokio::time::sleep(limit) => return Err(QueryError::TimedOut { limit }),
            () = shutdown.cancelled() => return Err(QueryError::Stopping),
        };

        let caller = CancellationToken::new();
        let (sender, mut parts) = mpsc::channel(BUFFERED_BATCHES);
        let run = Run {
            shared: self.shared.clone(),
            max_rows: request.max_rows.map_or(limits.max_rows, |asked| asked.min(limits.max_rows)),
            sql: request.sql,
            started,
            limit,
            parts: sender,
            stop: Arc::new(Stop::new(caller.clone(), shutdown)),
            _held: (place, turn),
        };
        let stop = caller.drop_guard();
        let handle = Handle::current();
        // Detached on purpose: it ends by itself, and its answer comes through the channel.
        drop(tokio::task::spawn_blocking(move || run.work(&handle)));
        match parts.recv().await {
            Some(Part::Schema(schema)) => Ok(QueryStream { schema, parts, end: None, _stop: stop }),
            Some(Part::End(Err(error))) => Err(error),
            Some(Part::Batch(_) | Part::End(Ok(_))) | None => Err(lost()),
        }
    }
}

/// Why a query must end before its time.
struct Stop {
    caller: CancellationToken,
    shutdown: CancellationToken,
    /// Set once the watcher has decided, so that an interrupted statement knows why.
    reason: AtomicU8,
    decided: CancellationToken,
    finished: CancellationToken,
}

const TIMED_OUT: u8 = 1;
const CANCELLED: u8 = 2;
const STOPPING: u8 = 3;

impl Stop {
    fn new(caller: CancellationToken, shutdown: CancellationToken) -> Self {
        Self {
            caller,
            shutdown,
            reason: AtomicU8::new(0),
            decided: CancellationToken::new(),
            finished: CancellationToken::new(),
        }
    }

    /// Waits for a reason to end, then interrupts the connection until the worker has noticed.
    async fn watch(&self, deadline: Instant, connection: Arc<InterruptHandle>) {
        let reason = tokio::select! {
            () = self.finished.cancelled() => return,
            () = tokio::time::sleep_until(deadline.into()) => TIMED_OUT,
            () = self.caller.cancelled() => CANCELLED,
            () = self.shutdown.cancelled() => STOPPING,
        };
        self.reason.store(reason, Ordering::SeqCst);
        self.decided.cancel();
        while !self.finished.is_cancelled() {
            connection.interrupt();
            tokio::select! {
                () = self.finished.cancelled() => {}
                () = tokio::time::sleep(INTERRUPT_EVERY) => {}
            }
        }
    }

    fn error(&self, limit: Duration) -> Option<QueryError> {
        match self.reason.load(Ordering::SeqCst) {
            TIMED_OUT => Some(QueryError::TimedOut { limit }),
            CANCELLED => Some(QueryError::Cancelled),
            STOPPING => Some(QueryError::Stopping),
            _ => None,
        }
    }
}

/// One query on its way, on a thread of its own.
struct Run {
    shared: Arc<Shared>,
    sql: String,
    max_rows: u64,
    started: Instant,
    limit: Duration,
    parts: mpsc::Sender<Part>,
    stop: Arc<Stop>,
    _held: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

impl Run {
    fn work(self, runtime: &Handle) {
        let result = self.answer(runtime);
        self.stop.finished.cancel();
        let end = result.map_err(|error| self.stop.error(self.limit).unwrap_or(error));
        // The reader may be slow, but not for ever: it holds a turn.
        let patience = self.limit.max(Duration::from_secs(1));
        let sent = runtime.block_on(async {
            tokio::select! {
                sent = tokio::time::timeout(patience, self.parts.send(Part::End(end))) => {
                    matches!(sent, Ok(Ok(())))
                }
                () = self.stop.caller.cancelled() => false,
            }
        });
        if !sent {
            tracing::debug!("a query's caller went away before its end");
        }
    }

    fn answer(&self, runtime: &Handle) -> Result<QueryEnd, QueryError> {
        let permit = self.shared.gate.check(&self.sql)?;
        let connection = {
            let instance = self.shared.instance.lock().unwrap_or_else(PoisonError::into_inner);
            instance.try_clone().map_err(|error| QueryError::from_duckdb(&error))?
        };
        let (stop, handle) = (self.stop.clone(), connection.interrupt_handle());
        let deadline = self.started + self.limit;
        drop(runtime.spawn(async move { stop.watch(deadline, handle).await }));

        connection
            .execute_batch("USE lake; BEGIN TRANSACTION READ ONLY")
            .map_err(|error| QueryError::from_duckdb(&error))?;
        let result = match self.rows(runtime, &connection, &permit) {
            Err(QueryError::Cancelled) if self.stop.error(self.limit).is_none() => {
                Err(self.lost_reason(&connection, &permit))
            }
            result => result,
        };
        // Nothing was written; the connection is dropped whatever this says.
        if let Err(error) = connection.execute_batch("ROLLBACK") {
            tracing::debug!(%error, "a query's transaction ended by itself");
        }
        result
    }

    /// What a statement failed of that DuckDB calls interrupted although nobody interrupted it.
    ///
    /// When one of its threads fails, DuckDB interrupts the others, and at times hands over their
    /// "interrupted" instead of the failure. The statement is run again, in transactions of its own
    /// (the failure ended the first) and without its rows, until it names its reason.
    fn lost_reason(&self, connection: &Connection, permit: &Permit) -> QueryError {
        let again = || -> Result<(), duckdb::Error> {
            connection.execute_batch("ROLLBACK; BEGIN TRANSACTION READ ONLY")?;
            let mut statement = connection.prepare(permit.sql())?;
            let _schema = statement.stream_arrow([])?.get_schema();
            while statement.step()?.is_some() {}
            Ok(())
        };
        // A caller who went away is no failure of the statement.
        for _ in 0..LOST_REASON_TRIES {
            if self.parts.is_closed() || self.stop.error(self.limit).is_some() {
                return QueryError::Cancelled;
            }
            match again().map_err(|error| QueryError::from_duckdb(&error)) {
                Err(QueryError::Cancelled) => {}
                Err(error) => return error,
                Ok(()) => break,
            }
        }
        QueryError::Internal {
            message: "the statement failed and DuckDB lost the reason; run it again".to_owned(),
        }
    }

    fn rows(
        &self,
        runtime: &Handle,
        connection: &Connection,
        permit: &Permit,
    ) -> Result<QueryEnd, QueryError> {
        // Listing the lake takes hundreds of milliseconds, looking a few tables up takes hardly any.
        if permit.names_tables() && !all_exist(connection, permit) {
            let lake = tables(connection).map_err(|error| QueryError::from_duckdb(&error))?;
            permit.resolve(&lake)?;
        }
        let wrong = |error: duckdb::Error| QueryError::from_duckdb(&error);
        let mut statement = connection.prepare(permit.sql()).map_err(wrong)?;
        if statement.parameter_count() > 0 {
            return Err(GateError::Parameter.into());
        }
        let schema = statement.stream_arrow([]).map_err(wrong)?.get_schema();
        refuse_lossy(&statement, &schema)?;
        self.send(runtime, Part::Schema(schema))?;

        let mut left = self.max_rows;
        // Not by the iterator, which panics where `step` gives an error.
        while let Some(rows) = statement.step().map_err(wrong)? {
            let batch = RecordBatch::from(rows);
            let take = usize::try_from(left).unwrap_or(usize::MAX);
            let truncated = batch.num_rows() > take;
            let batch = if truncated { batch.slice(0, take) } else { batch };
            left = left.saturating_sub(u64::try_from(batch.num_rows()).unwrap_or(u64::MAX));
            if batch.num_rows() > 0 {
                self.send(runtime, Part::Batch(batch))?;
            }
            if truncated {
                return Ok(self.end(left, true));
            }
        }
        Ok(self.end(left, false))
    }

    fn end(&self, left: u64, truncated: bool) -> QueryEnd {
        QueryEnd { rows: self.max_rows - left, truncated, elapsed: self.started.elapsed() }
    }

    /// Hands a part to the reader; a slow reader holds the query, until one of the limits ends it.
    fn send(&self, runtime: &Handle, part: Part) -> Result<(), QueryError> {
        runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.stop.decided.cancelled() => {
                    Err(self.stop.error(self.limit).unwrap_or(QueryError::Cancelled))
                }
                sent = self.parts.send(part) => sent.map_err(|_gone| QueryError::Cancelled),
            }
        })
    }
}

/// Refuses columns of types that DuckDB hands over as something else, which would print wrong values.
fn refuse_lossy(statement: &Statement<'_>, schema: &Schema) -> Result<(), QueryError> {
    for (index, field) in schema.fields().iter().enumerate() {
        let id = statement.column_logical_type(index).id();
        let lossy = [LogicalTypeId::UHugeint, LogicalTypeId::Bit, LogicalTypeId::TimeTZ].contains(&id);
        if lossy {
            let message = format!(
                "column {} is of a type without a form in Arrow ({id:?}): cast it to VARCHAR",
                field.name()
            );
            return Err(QueryError::Wrong { message });
        }
    }
    Ok(())
}

/// Whether each table is found under its full name in the lake. `false` when in doubt.
fn all_exist(connection: &Connection, permit: &Permit) -> bool {
    let exists = |(schema, table): (&str, &str)| {
        connection.prepare(&format!("FROM \"lake\".\"{schema}\".\"{table}\" LIMIT 0")).is_ok()
    };
    permit.plain_tables().is_some_and(|tables| tables.into_iter().all(exists))
}

/// Tables and views of the lake in the transaction's snapshot.
fn tables(connection: &Connection) -> Result<Vec<(String, String)>, duckdb::Error> {
    let mut statement = connection.prepare(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'lake'
         UNION ALL
         SELECT schema_name, view_name FROM duckdb_views() WHERE database_name = 'lake'",
    )?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}
