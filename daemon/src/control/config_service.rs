//! `lake.v1.ConfigService`: translation between the proto and [`Reloader`].

use std::sync::Arc;

use lake_proto::v1::{self as pb, config_service_server::ConfigService};
use tonic::{Request, Response, Status};

use super::status_code;
use crate::{
    config::{ConfigValue, Origin},
    reload::{Change, Effect, ReloadError, Reloader},
};

/// Answers from a [`Reloader`].
pub(super) struct ConfigCalls {
    reloader: Option<Arc<Reloader>>,
}

impl ConfigCalls {
    pub(super) fn new(reloader: Option<Arc<Reloader>>) -> Self {
        Self { reloader }
    }

    fn reloader(&self) -> Result<Arc<Reloader>, Status> {
        self.reloader.clone().ok_or_else(status_code::no_config)
    }
}

#[tonic::async_trait]
impl ConfigService for ConfigCalls {
    async fn get_config(
        &self,
        _request: Request<pb::GetConfigRequest>,
    ) -> Result<Response<pb::GetConfigResponse>, Status> {
        let values = self.reloader()?.values().await.into_iter().map(value).collect();
        Ok(Response::new(pb::GetConfigResponse { values }))
    }

    async fn diff_config(
        &self,
        _request: Request<pb::DiffConfigRequest>,
    ) -> Result<Response<pb::DiffConfigResponse>, Status> {
        let changes = self.reloader()?.diff().await.map_err(|error| status_code::of_reload(&error))?;
        Ok(Response::new(pb::DiffConfigResponse { changes: changes.into_iter().map(change).collect() }))
    }

    async fn reload_config(
        &self,
        _request: Request<pb::ReloadConfigRequest>,
    ) -> Result<Response<pb::ReloadConfigResponse>, Status> {
        let reloader = self.reloader()?;
        // To its end, also when the caller goes away.
        let reloaded = tokio::spawn(async move { reloader.reload().await }).await;
        let reloaded = reloaded.unwrap_or_else(|error| Err(ReloadError::Ended(error.to_string())));
        let changes = reloaded.map_err(|error| status_code::of_reload(&error))?;
        Ok(Response::new(pb::ReloadConfigResponse { changes: changes.into_iter().map(change).collect() }))
    }

    async fn set_log_level(
        &self,
        request: Request<pb::SetLogLevelRequest>,
    ) -> Result<Response<pb::SetLogLevelResponse>, Status> {
        let level = Some(request.into_inner().level).filter(|level| !level.is_empty());
        let level = self.reloader()?.set_level(level).await.map_err(status_code::bad_argument)?;
        Ok(Response::new(pb::SetLogLevelResponse { level }))
    }
}

fn value(value: ConfigValue) -> pb::ConfigValue {
    let (origin, place) = match value.origin {
        Origin::BuiltIn => (pb::ConfigOrigin::Default, String::new()),
        Origin::File(path) => (pb::ConfigOrigin::File, path.display().to_string()),
        Origin::Environment(name) => (pb::ConfigOrigin::Environment, name),
        Origin::CommandLine => (pb::ConfigOrigin::CommandLine, String::new()),
        Origin::RunTime(path) => {
            (pb::ConfigOrigin::RunTime, path.map(|path| path.display().to_string()).unwrap_or_default())
        }
        Origin::Limit => (pb::ConfigOrigin::Limit, String::new()),
    };
    pb::ConfigValue { key: value.key, value: value.value, origin: origin.into(), place }
}

fn change(change: Change) -> pb::ConfigChange {
    let effect = match change.effect {
        Effect::Live => pb::ConfigEffect::Live,
        Effect::Restart => pb::ConfigEffect::Restart,
        Effect::Failed => pb::ConfigEffect::Failed,
    };
    pb::ConfigChange {
        key: change.key,
        before: change.before,
        after: change.after,
        effect: effect.into(),
        note: change.note,
    }
}
