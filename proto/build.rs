//! Generates Rust code from `lake/v1/*.proto` with a compiler written in Rust: no protoc is needed.

use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let files = [
        "lake/v1/types.proto",
        "lake/v1/control.proto",
        "lake/v1/query.proto",
        "lake/v1/backfill.proto",
        "lake/v1/verify.proto",
        "lake/v1/networks.proto",
        "lake/v1/config.proto",
        "lake/v1/doctor.proto",
        "lake/v1/events.proto",
        "lake/v1/maintenance.proto",
    ];
    for file in files {
        println!("cargo::rerun-if-changed={file}");
    }

    let mut compiler = protox::Compiler::new(["."])?;
    compiler.include_imports(true).include_source_info(true).open_files(files)?;

    let descriptor_set = PathBuf::from(env::var("OUT_DIR")?).join("lake_v1.bin");
    fs::write(&descriptor_set, compiler.encode_file_descriptor_set())?;

    tonic_prost_build::configure().bytes(".").compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
