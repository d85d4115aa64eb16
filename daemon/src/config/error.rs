//! What can be wrong with a configuration. Each message names the file, the place and what to do.

use std::path::PathBuf;

/// A configuration that cannot be used; exit code 78.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file could not be read.
    #[error("{path}: cannot read the configuration: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A file is not the YAML that is expected.
    #[error("{path}{place}: {message}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// `:line:column`, or empty when the parser knows none.
        place: String,
        /// What is wrong, with a suggestion for a misspelt key.
        message: String,
    },
    /// A value has the right type but cannot be meant.
    #[error("{key}: {message} (set in {origin})")]
    Invalid {
        /// Dotted path of the setting.
        key: String,
        /// What is wrong and what would be right.
        message: String,
        /// File that set it.
        origin: String,
    },
}
