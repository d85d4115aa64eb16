//! `lake.v1.NetworkService`: translation between the proto and [`Networks`].

use std::sync::Arc;

use lake_proto::v1::{self as pb, network_service_server::NetworkService};
use tonic::{Request, Response, Status};

use super::status_code;
use crate::{
    config::NetworkDefinition,
    networks::{NetworkError, NetworkView, Networks},
};

/// Answers from [`Networks`].
pub(super) struct NetworkCalls {
    networks: Option<Arc<Networks>>,
}

impl NetworkCalls {
    pub(super) fn new(networks: Option<Arc<Networks>>) -> Self {
        Self { networks }
    }

    fn networks(&self) -> Result<Arc<Networks>, Status> {
        self.networks.clone().ok_or_else(status_code::no_networks)
    }

    /// Makes a change to its end, also when the caller goes away.
    async fn change<T, F>(&self, change: impl FnOnce(Arc<Networks>) -> F) -> Result<T, Status>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, NetworkError>> + Send + 'static,
    {
        let changed = tokio::spawn(change(self.networks()?)).await;
        let changed = changed.unwrap_or_else(|error| Err(NetworkError::Ended(error.to_string())));
        changed.map_err(|error| status_code::of_networks(&error))
    }
}

#[tonic::async_trait]
impl NetworkService for NetworkCalls {
    async fn list_networks(
        &self,
        _request: Request<pb::ListNetworksRequest>,
    ) -> Result<Response<pb::ListNetworksResponse>, Status> {
        let networks = self.networks()?.list().iter().map(network).collect();
        Ok(Response::new(pb::ListNetworksResponse { networks }))
    }

    async fn get_network(
        &self,
        request: Request<pb::GetNetworkRequest>,
    ) -> Result<Response<pb::GetNetworkResponse>, Status> {
        let view = self.networks()?.get(&request.into_inner().name);
        let view = view.map_err(|error| status_code::of_networks(&error))?;
        Ok(Response::new(pb::GetNetworkResponse { network: Some(network(&view)) }))
    }

    async fn add_network(
        &self,
        request: Request<pb::AddNetworkRequest>,
    ) -> Result<Response<pb::AddNetworkResponse>, Status> {
        let definition = NetworkDefinition::parse(&request.into_inner().definition)
            .map_err(|error| status_code::of_networks(&error.into()))?;
        let view = self.change(|networks| async move { networks.add(definition).await }).await?;
        Ok(Response::new(pb::AddNetworkResponse { network: Some(network(&view)) }))
    }

    async fn remove_network(
        &self,
        request: Request<pb::RemoveNetworkRequest>,
    ) -> Result<Response<pb::RemoveNetworkResponse>, Status> {
        let pb::RemoveNetworkRequest { name, purge } = request.into_inner();
        let purged = self.change(|networks| async move { networks.remove(&name, purge).await }).await?;
        Ok(Response::new(pb::RemoveNetworkResponse { purged }))
    }

    async fn pause_network(
        &self,
        request: Request<pb::PauseNetworkRequest>,
    ) -> Result<Response<pb::PauseNetworkResponse>, Status> {
        let name = request.into_inner().name;
        let view = self.change(|networks| async move { networks.pause(&name).await }).await?;
        Ok(Response::new(pb::PauseNetworkResponse { network: Some(network(&view)) }))
    }

    async fn resume_network(
        &self,
        request: Request<pb::ResumeNetworkRequest>,
    ) -> Result<Response<pb::ResumeNetworkResponse>, Status> {
        let name = request.into_inner().name;
        let view = self.change(|networks| async move { networks.resume(&name).await }).await?;
        Ok(Response::new(pb::ResumeNetworkResponse { network: Some(network(&view)) }))
    }
}

fn network(view: &NetworkView) -> pb::Network {
    let settings = &view.settings;
    let origin = if view.added { pb::NetworkOrigin::Added } else { pb::NetworkOrigin::Configured };
    pb::Network {
        name: settings.name.clone(),
        passphrase: settings.passphrase.clone(),
        source: view.source.clone(),
        history: view.history.clone(),
        live: settings.live,
        start: settings.start.to_string(),
        end: settings.end,
        origin: origin.into(),
        paused: view.paused,
    }
}
