//! The gRPC interface of stellar-lake: messages, clients and servers generated from `lake/v1/*.proto`.
//!
//! Nothing is written by hand here; the documentation of every message is in the proto files.

/// Version 1 of the interface, package `lake.v1`.
pub mod v1 {
    tonic::include_proto!("lake.v1");

    /// The encoded `google.protobuf.FileDescriptorSet` of the interface, imports included, for reflection.
    pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/lake_v1.bin"));
}
