//! Every call with what it needs: the one list that [`super::guard`] enforces. A call that is not in it is not served.

use std::time::Duration;

use lake_proto::v1 as pb;
use prost::{DecodeError, Message};

/// What a caller may do. Each includes the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Permission {
    /// Look at the daemon and query the lake.
    Read,
    /// Change what the daemon does.
    Change,
}

/// One call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rpc {
    /// Path of the HTTP/2 request: `/package.Service/Method`.
    pub(super) path: &'static str,
    /// What a caller needs.
    pub(super) permission: Permission,
    /// Longest time until the answer, or its first part, must be there.
    pub(super) deadline: Duration,
    /// The message that it takes, without its package.
    #[cfg(test)]
    pub(super) input: &'static str,
    /// Its arguments for the log, from the bytes of that message.
    pub(super) arguments: fn(&[u8]) -> Result<String, DecodeError>,
}

/// An answer from memory.
const QUICK: Duration = Duration::from_secs(10);
/// An answer that has to wait for commits, files or a source.
const SLOW: Duration = Duration::from_secs(120);
/// An answer that a sample of a source is measured for.
const MEASURED: Duration = Duration::from_secs(300);
/// A statement begins to answer within its own, configured limit; this is beyond every sensible one.
const QUERY: Duration = Duration::from_secs(24 * 3600);

fn arguments<M: Message + Default + std::fmt::Debug>(bytes: &[u8]) -> Result<String, DecodeError> {
    M::decode(bytes).map(|message| format!("{message:?}"))
}

macro_rules! rpcs {
    ($($service:ident.$method:ident($input:ident): $permission:ident, $deadline:ident;)*) => {
        &[$(Rpc {
            path: concat!("/lake.v1.", stringify!($service), "/", stringify!($method)),
            permission: Permission::$permission,
            deadline: $deadline,
            #[cfg(test)]
            input: stringify!($input),
            arguments: arguments::<pb::$input>,
        }),*]
    };
}

/// All calls. A check notes what is to be mended and reads files by name, so it changes; a plan only measures.
pub(super) const RPCS: &[Rpc] = rpcs! {
    ControlService.GetStatus(GetStatusRequest): Read, QUICK;
    ControlService.WatchStatus(WatchStatusRequest): Read, QUICK;
    ControlService.GetHealth(GetHealthRequest): Read, QUICK;
    QueryService.Execute(ExecuteRequest): Read, QUERY;
    BackfillService.PlanBackfill(PlanBackfillRequest): Read, MEASURED;
    BackfillService.StartBackfill(StartBackfillRequest): Change, MEASURED;
    BackfillService.ListBackfills(ListBackfillsRequest): Read, QUICK;
    BackfillService.GetBackfill(GetBackfillRequest): Read, QUICK;
    BackfillService.WatchBackfill(WatchBackfillRequest): Read, QUICK;
    BackfillService.PauseBackfill(PauseBackfillRequest): Change, SLOW;
    BackfillService.ResumeBackfill(ResumeBackfillRequest): Change, SLOW;
    BackfillService.CancelBackfill(CancelBackfillRequest): Change, SLOW;
    BackfillService.SetBackfill(SetBackfillRequest): Change, SLOW;
    BackfillService.ListGaps(ListGapsRequest): Read, SLOW;
    NetworkService.ListNetworks(ListNetworksRequest): Read, QUICK;
    NetworkService.GetNetwork(GetNetworkRequest): Read, QUICK;
    NetworkService.AddNetwork(AddNetworkRequest): Change, SLOW;
    NetworkService.RemoveNetwork(RemoveNetworkRequest): Change, SLOW;
    NetworkService.PauseNetwork(PauseNetworkRequest): Change, SLOW;
    NetworkService.ResumeNetwork(ResumeNetworkRequest): Change, SLOW;
    ConfigService.GetConfig(GetConfigRequest): Read, QUICK;
    ConfigService.DiffConfig(DiffConfigRequest): Read, SLOW;
    ConfigService.ReloadConfig(ReloadConfigRequest): Change, SLOW;
    ConfigService.SetLogLevel(SetLogLevelRequest): Change, QUICK;
    DoctorService.Diagnose(DiagnoseRequest): Read, SLOW;
    EventService.WatchEvents(WatchEventsRequest): Read, QUICK;
    MaintenanceService.GetMaintenance(GetMaintenanceRequest): Read, QUICK;
    MaintenanceService.RunMaintenance(RunMaintenanceRequest): Change, SLOW;
    VerifyService.Verify(VerifyRequest): Change, SLOW;
};

/// A call that is not ours: whatever it is, it only looks.
macro_rules! looking {
    ($($path:literal),*) => {
        &[$(Rpc {
            path: $path,
            permission: Permission::Read,
            deadline: QUICK,
            #[cfg(test)]
            input: "",
            arguments: arguments::<()>,
        }),*]
    };
}

/// The standard calls: health and reflection.
pub(super) const STANDARD: &[Rpc] = looking![
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
];

/// The call of this path.
pub(super) fn find(path: &str) -> Option<&'static Rpc> {
    RPCS.iter().chain(STANDARD).find(|rpc| rpc.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost_types::FileDescriptorSet;

    #[test]
    fn every_call_of_the_interface_has_its_permission() {
        let set = FileDescriptorSet::decode(pb::FILE_DESCRIPTOR_SET).unwrap();
        let mut described = Vec::new();
        for file in set.file.iter().filter(|file| file.package().starts_with("lake.")) {
            for service in &file.service {
                for method in &service.method {
                    let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                    assert!(!method.client_streaming(), "{path}: arguments are logged as one message");
                    described.push((path, method.input_type().trim_start_matches(".lake.v1.").to_owned()));
                }
            }
        }
        let mut listed: Vec<_> = RPCS.iter().map(|rpc| (rpc.path.to_owned(), rpc.input.to_owned())).collect();
        described.sort();
        listed.sort();
        assert_eq!(listed, described);
    }

    #[test]
    fn the_manual_lists_every_call_with_its_permission_and_deadline() {
        let manual = include_str!("../../../packaging/doc/control.md");
        let rows = |rpc: &Rpc| {
            let (service, method) = rpc.path.trim_start_matches("/lake.v1.").split_once('/').unwrap();
            let permission = format!("{:?}", rpc.permission).to_lowercase();
            format!(
                "| `{service}` | `{method}` | {permission} | {} |",
                humantime::format_duration(rpc.deadline)
            )
        };
        let expected: Vec<String> = RPCS.iter().map(rows).collect();
        for rpc in STANDARD {
            assert_eq!(rpc.permission, Permission::Read);
            assert!(manual.contains(&format!("`{}`", rpc.path.trim_start_matches('/'))), "{}", rpc.path);
        }
        let written: Vec<&str> = manual.lines().filter(|line| line.contains("Service` | `")).collect();
        assert_eq!(written, expected, "packaging/doc/control.md");
    }

    #[test]
    fn arguments_are_told_by_name() {
        let rpc = find("/lake.v1.BackfillService/PauseBackfill").unwrap();
        let bytes = pb::PauseBackfillRequest { id: 7 }.encode_to_vec();
        assert_eq!((rpc.arguments)(&bytes).unwrap(), "PauseBackfillRequest { id: 7 }");
        assert!((rpc.arguments)(&[0xff]).is_err());
        assert!(find("/lake.v1.BackfillService/Forgotten").is_none());
    }
}
