//! Gives the binaries and tests an rpath, so that they find `libduckdb.so` by themselves.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=DUCKDB_LIB_DIR");
    // Where the packages put it, relative to /usr/bin.
    println!("cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN/../lib/stellar-lake");
    // Where this build found it: for binaries that run from target/.
    if let Some(dir) = env::var_os("DUCKDB_LIB_DIR") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", dir.to_string_lossy());
    }
}
