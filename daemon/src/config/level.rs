//! Levels of the log.

use tracing_subscriber::EnvFilter;

/// Levels by name.
const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// Reads a level, or a filter such as `info,stellar_lake::source=debug`. A lone word must be a level: a filter would take a
/// misspelt one for the name of a part of the program, and silence all others.
///
/// # Errors
/// What is wrong, and what would be right.
pub fn log_filter(text: &str) -> Result<EnvFilter, String> {
    for word in text.split(',').map(str::trim).filter(|part| !part.contains(['=', ':', '['])) {
        if !LEVELS.contains(&word.to_ascii_lowercase().as_str()) {
            let closest = LEVELS.iter().min_by_key(|level| strsim::damerau_levenshtein(level, word));
            let hint = closest.filter(|level| strsim::damerau_levenshtein(level, word) <= 2);
            let hint = hint.map(|level| format!("did you mean `{level}`?"));
            let hint = hint.unwrap_or_else(|| format!("use one of {}", LEVELS.join(", ")));
            return Err(format!("`{word}` is not a level: {hint}"));
        }
    }
    EnvFilter::try_new(text)
        .map_err(|error| format!("`{text}` is not a level or filter such as info: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_level_is_told_and_not_taken_for_a_filter() {
        for good in ["info", "DEBUG", "off", "info,stellar_lake::source=debug", "stellar_lake::lake=trace"] {
            assert!(log_filter(good).is_ok(), "{good}");
        }
        assert_eq!(log_filter("inof").unwrap_err(), "`inof` is not a level: did you mean `info`?");
        assert!(log_filter("everything").unwrap_err().contains("use one of error, warn"));
        assert!(log_filter("info,stellar_lake=loud").unwrap_err().contains("is not a level or filter"));
        assert!(log_filter("").is_err());
    }
}
