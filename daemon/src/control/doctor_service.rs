//! `lake.v1.DoctorService`: the looks of [`crate::doctor`] by the running daemon.

use std::sync::Arc;

use lake_proto::v1::{self as pb, doctor_service_server::DoctorService};
use tokio::sync::Mutex;
use tonic::{Request, Response, Status};

use super::status_code;
use crate::{
    doctor::{self, Finding, Severity},
    reload::Reloader,
};

/// Answers from [`doctor`], with the inputs of a [`Reloader`].
pub(super) struct DoctorCalls {
    reloader: Option<Arc<Reloader>>,
    /// A look reads from all sources: one at a time.
    looking: Mutex<()>,
}

impl DoctorCalls {
    pub(super) fn new(reloader: Option<Arc<Reloader>>) -> Self {
        Self { reloader, looking: Mutex::default() }
    }
}

#[tonic::async_trait]
impl DoctorService for DoctorCalls {
    async fn diagnose(
        &self,
        _request: Request<pb::DiagnoseRequest>,
    ) -> Result<Response<pb::DiagnoseResponse>, Status> {
        let reloader = self.reloader.as_ref().ok_or_else(status_code::no_config)?;
        let _looking = self.looking.lock().await;
        let mut findings = doctor::examine(reloader.inputs()).await;
        findings.extend(reloader.waiting().await);
        Ok(Response::new(pb::DiagnoseResponse { findings: findings.into_iter().map(finding).collect() }))
    }
}

fn finding(finding: Finding) -> pb::MachineFinding {
    let severity = match finding.severity {
        Severity::Fine => pb::FindingSeverity::Fine,
        Severity::Warning => pb::FindingSeverity::Warning,
        Severity::Error => pb::FindingSeverity::Error,
    };
    pb::MachineFinding {
        check: finding.check.to_owned(),
        severity: severity.into(),
        message: finding.message,
        what_to_do: finding.what_to_do,
    }
}
