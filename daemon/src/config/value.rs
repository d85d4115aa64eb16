//! Scalars with units: durations such as `500ms`, sizes such as `64MiB`, and the start of a network.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A duration with its unit, e.g. `1s`, `10m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DurationText(pub Duration);

impl<'de> Deserialize<'de> for DurationText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map(Self).map_err(|e| {
            de::Error::custom(format!("`{text}` is not a duration such as 500ms, 5s or 10m: {e}"))
        })
    }
}

impl Serialize for DurationText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(self.0))
    }
}

/// A size in bytes: `64MiB`, `1GiB`, or a plain number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SizeText(pub u64);

impl<'de> Deserialize<'de> for SizeText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = SizeText;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as 64MiB or a number of bytes")
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<SizeText, E> {
                Ok(SizeText(v))
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<SizeText, E> {
                bytesize::ByteSize::from_str(v)
                    .map(|b| SizeText(b.as_u64()))
                    .map_err(|e| E::custom(format!("`{v}` is not a size such as 64MiB or 1GiB: {e}")))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Serialize for SizeText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const UNITS: [(u32, &str); 3] = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        match UNITS.iter().find(|(bits, _)| self.0 > 0 && self.0.trailing_zeros() >= *bits) {
            Some((bits, unit)) => serializer.collect_str(&format_args!("{}{unit}", self.0 >> bits)),
            None => serializer.serialize_u64(self.0),
        }
    }
}

/// Where a network begins: `oldest`, `latest` or a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartText {
    /// The oldest ledger that the source has.
    Oldest,
    /// The newest ledger that the source has when the network is first started.
    Latest,
    /// This ledger.
    Ledger(u32),
}

impl fmt::Display for StartText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Oldest => f.write_str("oldest"),
            Self::Latest => f.write_str("latest"),
            Self::Ledger(n) => n.fmt(f),
        }
    }
}

impl<'de> Deserialize<'de> for StartText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = StartText;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`oldest`, `latest` or a ledger sequence")
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<StartText, E> {
                u32::try_from(v)
                    .map(StartText::Ledger)
                    .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(v), &self))
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<StartText, E> {
                match v {
                    "oldest" => Ok(StartText::Oldest),
                    "latest" => Ok(StartText::Latest),
                    _ => Err(E::invalid_value(de::Unexpected::Str(v), &self)),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Serialize for StartText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Ledger(n) => serializer.serialize_u32(*n),
            Self::Oldest | Self::Latest => serializer.collect_str(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_are_read_with_their_units() {
        assert_eq!(serde_yaml::from_str::<SizeText>("64MiB").unwrap().0, 64 << 20);
        assert_eq!(serde_yaml::from_str::<SizeText>("1000").unwrap().0, 1000);
        assert_eq!(serde_yaml::from_str::<DurationText>("500ms").unwrap().0, Duration::from_millis(500));
        let error = serde_yaml::from_str::<DurationText>("5 parsecs").unwrap_err().to_string();
        assert!(error.contains("not a duration such as"), "{error}");
    }

    #[test]
    fn a_start_is_a_word_or_a_ledger() {
        assert_eq!(serde_yaml::from_str::<StartText>("oldest").unwrap(), StartText::Oldest);
        assert_eq!(serde_yaml::from_str::<StartText>("63092982").unwrap(), StartText::Ledger(63_092_982));
        assert!(serde_yaml::from_str::<StartText>("yesterday").is_err());
        assert!(serde_yaml::from_str::<StartText>("-1").is_err());
        assert!(serde_yaml::from_str::<StartText>("4294967296").is_err());
    }
}
