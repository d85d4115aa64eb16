//! What rounding to whole stroops costs in a trade with a constant-product pool.
//!
//! CAP-38 rounds the computed side of a trade in the pool's favour. The slippage is how far that moved the amount, as a
//! part of the amount that was not rounded, in basis points; computed with four more decimals, as Horizon does.

use stellar_xdr as xdr;

use super::Fill;

/// Basis points in one.
const ONE: u128 = 10_000;

/// Slippage of a fill by the reserves before its operation: of the amount taken where the amount given `is_exact`, else
/// of the amount given. The highest number where the pool could not have made the trade: an operation that uses a pool
/// twice shows its reserves only once.
///
/// # Errors
/// A negative reserve.
pub(super) fn of(
    pool: &xdr::LiquidityPoolEntryConstantProduct,
    fill: &Fill<'_>,
    is_exact: bool,
) -> Result<i64, String> {
    let (a, b) = (pool.reserve_a, pool.reserve_b);
    let (given_from, taken_into) = if *fill.sold_asset == pool.params.asset_a { (a, b) } else { (b, a) };
    let size = |what: &str, n: i64| u128::try_from(n).map_err(|_| format!("{what} is {n}"));
    let (given_from, taken_into) = (size("a reserve", given_from)?, size("a reserve", taken_into)?);
    let (given, taken) = (size("selling_amount", fill.sold)?, size("buying_amount", fill.bought)?);
    let kept = u128::try_from(pool.params.fee).ok().and_then(|fee| ONE.checked_sub(fee));
    let slippage = kept.filter(|kept| *kept > 0).and_then(|kept| {
        if is_exact {
            of_taken(given_from, taken_into, given, kept)
        } else {
            of_given(given_from, taken_into, taken, kept)
        }
    });
    Ok(slippage.map_or(i64::MAX, |points| i64::try_from(points).unwrap_or(i64::MAX)))
}

/// Highest reserve.
const MAX: u128 = (1 << 63) - 1;

/// Given = floor(kept * Y * taken / (X + kept * taken)), X being the reserve that is taken into, Y the other. `None`
/// where the pool would overflow or give nothing. All numbers have 63 bits, `kept` 14.
fn of_given(y: u128, x: u128, taken: u128, kept: u128) -> Option<u128> {
    if x + taken > MAX {
        return None;
    }
    let exact = Quotient::of(y * taken, kept, x * ONE + taken * kept)?;
    if exact.whole == 0 || exact.whole > MAX {
        return None;
    }
    // rounded down: the decimals were cut off
    (exact.decimals * ONE).checked_div(exact.whole * ONE + exact.decimals).map(|slippage| slippage / 100)
}

/// Taken = ceil(X * given / (kept * (Y - given))), with the same names. `None` where the pool would overflow or be
/// emptied.
fn of_taken(y: u128, x: u128, given: u128, kept: u128) -> Option<u128> {
    let left = y.checked_sub(given)?;
    let exact = Quotient::of(x * given, ONE, left * kept)?;
    if exact.whole > MAX || exact.whole + u128::from(exact.is_cut) > MAX.checked_sub(x)? {
        return None;
    }
    if !exact.is_cut {
        return Some(0);
    }
    let slippage = ((ONE - exact.decimals) * ONE).checked_div(exact.whole * ONE + exact.decimals);
    // an amount below four decimals counts as 0, and a part of 0 as 0: Horizon divides so
    Some(slippage.unwrap_or_default() / 100)
}

/// `n * factor / by`, without the 140 bits of the product.
struct Quotient {
    whole: u128,
    /// Four decimals, cut off.
    decimals: u128,
    /// Whether it is not a whole number.
    is_cut: bool,
}

impl Quotient {
    /// `None` for a division by zero or a whole part of more than 128 bits. `by` and `factor` must have less than 100
    /// bits together.
    fn of(n: u128, factor: u128, by: u128) -> Option<Self> {
        let (quotient, remainder) = (n.checked_div(by)?, n.checked_rem(by)?);
        let scaled = remainder * factor;
        let (more, rest) = (scaled.checked_div(by)?, scaled.checked_rem(by)?);
        let whole = quotient.checked_mul(factor)?.checked_add(more)?;
        Some(Self { whole, decimals: (rest * ONE).checked_div(by)?, is_cut: rest > 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: u128 = ONE - 30;

    // Amounts, reserves and slippages are those of the public tests of Horizon's order book.
    #[test]
    fn slippage_of_an_exact_amount_taken_equals_horizons() {
        assert_eq!(of_given(3_740_000_000, 162_020_000_000, 50, KEPT), Some(13));
        assert_eq!(of_given(300, 200, 1, KEPT), Some(32));
        assert_eq!(of_given(210, 200, 1, KEPT), Some(3));
    }

    #[test]
    fn slippage_of_an_exact_amount_given_equals_horizons() {
        assert_eq!(of_taken(162_020_000_000, 3_740_000_000, 1, KEPT), Some(4229));
        assert_eq!(of_taken(400, 200, 20, KEPT), Some(4));
        assert_eq!(of_taken(400, 200, 50, KEPT), Some(1));
    }

    // The edges of stellar-core's own tests of pool exchanges.
    #[test]
    fn a_pool_that_overflows_or_runs_dry_has_no_slippage() {
        assert_eq!(of_given(100, 100, MAX - 100, ONE), Some(0));
        assert_eq!(of_given(100, 100, MAX - 99, ONE), None);
        assert_eq!(of_given(2, 100, 100, ONE), Some(0));
        assert_eq!(of_given(1, 100, 100, ONE), None);
        assert_eq!(of_given(0, 0, 0, ONE), None);
        assert_eq!(of_given(MAX, MAX, MAX, ONE), None);

        assert_eq!(of_taken(100, 100, 99, ONE), Some(0));
        assert_eq!(of_taken(100, 100, 100, ONE), None);
        assert_eq!(of_taken(100, 100, 101, ONE), None);
        assert_eq!(of_taken(101 * 10_000 + 1, MAX / 100, 101 * 10_000, ONE), None);
        assert_eq!(of_taken(MAX / 2, MAX - 100, 49, ONE), Some(0));
        assert_eq!(of_taken(MAX / 2, MAX - 100, 50, ONE), None);
        assert_eq!(of_taken(MAX, MAX, MAX - 1, 1), None);
        assert_eq!(of_taken(2_694_994_506, 9_223_372_036_654_845_862, 4_515_739, KEPT), None);
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        assert_eq!(of_given(MAX, 1, MAX - 1, 1), Some(0));
        assert_eq!(of_given(MAX, 0, MAX, 1), Some(0));
        // a hundred-thousandth of a stroop, rounded up
        assert_eq!(of_taken(MAX, 1, 1_000_000, ONE), Some(0));
    }
}
