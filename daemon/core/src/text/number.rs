//! Numbers as Horizon writes them: amounts and prices with seven decimals, times in ISO 8601.

use std::fmt;

use stellar_xdr as xdr;

use super::put::{Put, digits, display_by_put, put_display};

/// Stroops in one unit of an asset.
const UNIT: u128 = 10_000_000;

/// An amount in stroops, written as a decimal of the asset's unit with exactly seven places: `12.3456789`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stroops(pub i64);

impl Put for Stroops {
    fn put(&self, to: &mut Vec<u8>) {
        // 64-bit arithmetic: amounts are most of the text there is
        if self.0 < 0 {
            to.push(b'-');
        }
        let size = self.0.unsigned_abs();
        digits(size / 10_000_000, 1, to);
        to.push(b'.');
        digits(size % 10_000_000, 7, to);
    }
}

/// A 128-bit amount in stroops, written like [`Stroops`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal7(pub i128);

impl Put for Decimal7 {
    fn put(&self, to: &mut Vec<u8>) {
        if let Ok(short) = i64::try_from(self.0) {
            return Stroops(short).put(to);
        }
        if self.0 < 0 {
            to.push(b'-');
        }
        let size = self.0.unsigned_abs();
        (size / UNIT).put(to);
        to.push(b'.');
        digits(u64::try_from(size % UNIT).unwrap_or_default(), 7, to);
    }
}

/// The number that a contract's 128-bit integer stands for.
pub fn i128_of(parts: &xdr::Int128Parts) -> i128 {
    (i128::from(parts.hi) << 64) | i128::from(parts.lo)
}

/// A price as a decimal with seven places, halves rounded away from zero. `None` when the denominator is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price7(Decimal7);

impl Price7 {
    /// The price `n`/`d`.
    pub fn new(price: &xdr::Price) -> Option<Self> {
        let (n, d) = (i128::from(price.n), i128::from(price.d));
        let negative = (n < 0) != (d < 0);
        let (n, d) = (n.unsigned_abs() * UNIT, d.unsigned_abs());
        // both fit in 31 bits plus the unit: no step here can overflow
        let rounded = i128::try_from((2 * n + d).checked_div(2 * d)?).ok()?;
        Some(Self(Decimal7(if negative { -rounded } else { rounded })))
    }
}

impl Put for Price7 {
    fn put(&self, to: &mut Vec<u8>) {
        self.0.put(to);
    }
}

/// A price as its fraction, `n/d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PriceRatio {
    /// Numerator.
    pub n: i32,
    /// Denominator.
    pub d: i32,
}

impl Put for PriceRatio {
    fn put(&self, to: &mut Vec<u8>) {
        self.n.put(to);
        to.push(b'/');
        self.d.put(to);
    }
}

display_by_put!(Stroops, Decimal7, Price7);

/// Seconds since the Unix epoch as ISO 8601 in UTC, `2024-09-16T07:49:14Z`. Exact for every 64-bit number: years
/// beyond 9999 carry a plus sign, as Horizon writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IsoTime(pub i64);

impl fmt::Display for IsoTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.0.div_euclid(86_400), self.0.rem_euclid(86_400));
        let (year, month, day) = civil_from_days(days);
        let sign = if year > 9999 {
            "+"
        } else if year < 0 {
            "-"
        } else {
            ""
        };
        write!(
            f,
            "{sign}{:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
            year.unsigned_abs(),
            second / 3600,
            second / 60 % 60,
            second % 60
        )
    }
}

impl Put for IsoTime {
    fn put(&self, to: &mut Vec<u8>) {
        put_display(self, to);
    }
}

/// Year, month and day of a number of days since 1970-01-01 in the Gregorian calendar.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    // years begin in March here, so that the leap day is the last of its year
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_at_the_ends_of_the_range() {
        assert_eq!(Stroops(0).to_string(), "0.0000000");
        assert_eq!(Stroops(-1).to_string(), "-0.0000001");
        assert_eq!(Stroops(i64::MAX).to_string(), "922337203685.4775807");
        assert_eq!(Stroops(i64::MIN).to_string(), "-922337203685.4775808");
        assert_eq!(Decimal7(i128::MIN).to_string(), "-17014118346046923173168730371588.4105728");
    }

    #[test]
    fn the_halves_of_a_128_bit_integer_join_with_their_sign() {
        assert_eq!(i128_of(&xdr::Int128Parts { hi: -1, lo: u64::MAX }), -1);
        assert_eq!(i128_of(&xdr::Int128Parts { hi: 1, lo: 2 }), (1 << 64) + 2);
    }

    #[test]
    fn prices_round_halves_away_from_zero() {
        let text = |n, d| Price7::new(&xdr::Price { n, d }).map(|p| p.to_string());
        assert_eq!(text(1_000_000_000, 21_159_993).as_deref(), Some("47.2589948"));
        assert_eq!(text(1, 20_000_000).as_deref(), Some("0.0000001"));
        assert_eq!(text(-1, 20_000_000).as_deref(), Some("-0.0000001"));
        assert_eq!(text(1, 20_000_001).as_deref(), Some("0.0000000"));
        assert_eq!(text(i32::MAX, 1).as_deref(), Some("2147483647.0000000"));
        assert_eq!(text(1, 0), None);
    }

    #[test]
    fn times_are_written_as_horizon_writes_them() {
        assert_eq!(IsoTime(1_726_472_954).to_string(), "2024-09-16T07:49:14Z");
        assert_eq!(IsoTime(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(IsoTime(-1).to_string(), "1969-12-31T23:59:59Z");
        assert_eq!(IsoTime(951_782_400).to_string(), "2000-02-29T00:00:00Z");
        assert_eq!(IsoTime(253_402_300_800).to_string(), "+10000-01-01T00:00:00Z");
        assert_eq!(IsoTime(i64::MAX).to_string(), "+292277026596-12-04T15:30:07Z");
    }
}
