//! Payments and path payments, good and bad.

use stellar_xdr::{
    AccountId, Asset, Operation, OperationBody, PathPaymentStrictReceiveOp, PathPaymentStrictSendOp,
    PaymentOp, VecM,
};

use super::{Planner, operation, setup::list};
use crate::{entries, entries::ONE, tx::Plan};

/// More than anybody has.
const TOO_MUCH: i64 = 900_000_000_000 * ONE;

impl Planner<'_> {
    /// An asset: native in four of ten cases.
    pub(super) fn asset(&mut self) -> Asset {
        if self.rng.percent(40) {
            return Asset::Native;
        }
        self.rng.pick(&self.world.assets).map_or(Asset::Native, |(asset, _)| asset.clone())
    }

    fn payment(&mut self, asset: Asset, amount: i64) -> Option<Operation> {
        let to = self.user()?;
        let destination = self.address_of(&to);
        Some(operation(OperationBody::Payment(PaymentOp { destination, asset, amount })))
    }

    fn amount(&mut self) -> i64 {
        // Mostly small and round, sometimes neither.
        if self.rng.percent(50) { self.rng.between(1, 100) * ONE } else { self.rng.between(1, 50 * ONE) }
    }

    /// One to `most` payments, or a payment by the issuer, or one back to it.
    pub(super) fn payments(&mut self, most: i64) -> Option<Plan> {
        let source = self.source()?;
        let count = self.rng.between(1, most);
        let mut operations: Vec<Operation> = (0..count)
            .filter_map(|_| {
                let (asset, amount) = (self.asset(), self.amount());
                self.payment(asset, amount)
            })
            .collect();
        if self.rng.percent(6)
            && let Some((asset, _)) = self.rng.pick(&self.world.assets).cloned()
            && let Some((_, issuer)) = entries::code_and_issuer(&asset)
        {
            let (issuer, amount) = (issuer.clone(), self.amount());
            operations.push(operation(OperationBody::Payment(PaymentOp {
                destination: entries::plain(&issuer),
                asset,
                amount,
            })));
        }
        Some(self.from(&source, operations))
    }

    /// Small amounts of one asset for many.
    pub(super) fn airdrop(&mut self, size: i64) -> Option<Plan> {
        let source = self.source()?;
        let (asset, _) = self.rng.pick(&self.world.assets).cloned()?;
        let amount = self.rng.between(1, 1000);
        let operations = (0..size).filter_map(|_| self.payment(asset.clone(), amount)).collect();
        Some(self.from(&source, operations))
    }

    /// Payments of which one cannot work: too much, no such destination, no trust.
    pub(super) fn failing_payments(&mut self) -> Option<Plan> {
        let source = self.source()?;
        let count = if self.rng.percent(20) { self.rng.between(8, 26) } else { self.rng.between(0, 2) };
        let mut operations: Vec<Operation> = (0..count)
            .filter_map(|_| {
                let (asset, amount) = (self.asset(), self.amount());
                self.payment(asset, amount)
            })
            .collect();
        let bad = match self.rng.below(3) {
            0 => {
                let asset = self.asset();
                self.payment(asset, TOO_MUCH)?
            }
            1 => {
                let nobody = entries::plain(&entries::account_id(self.rng.bytes32()));
                let asset = Asset::Native;
                operation(OperationBody::Payment(PaymentOp { destination: nobody, asset, amount: ONE }))
            }
            _ => {
                let asset = entries::credit("NONE", self.world.issuers.first()?);
                self.payment(asset, ONE)?
            }
        };
        operations.push(bad);
        Some(self.from(&source, operations))
    }

    /// Two different assets and what lies between.
    fn route(&mut self) -> Option<(Asset, Vec<Asset>, Asset)> {
        let (credit, _) = self.rng.pick(&self.world.assets).cloned()?;
        match self.rng.below(4) {
            0 => Some((Asset::Native, Vec::new(), credit)),
            1 => Some((credit, Vec::new(), Asset::Native)),
            _ => {
                let (other, _) = self.rng.pick(&self.world.assets).cloned()?;
                let through = if other == credit { Vec::new() } else { vec![Asset::Native] };
                Some((credit, through, other))
            }
        }
    }

    /// A path payment that finds its way while the book holds enough.
    pub(super) fn path(&mut self) -> Option<Plan> {
        let source = self.source()?;
        let (from, through, to) = self.route()?;
        let destination = if self.rng.percent(30) { source.clone() } else { self.user()? };
        let operation = self.path_operation(&destination, (from, through, to), None);
        Some(self.from(&source, vec![operation]))
    }

    /// A path payment that asks for too much: what most arbitrage comes to.
    pub(super) fn failing_path(&mut self) -> Option<Plan> {
        let source = self.source()?;
        let route = self.route()?;
        let operation = self.path_operation(&source, route, Some(()));
        Some(self.from(&source, vec![operation]))
    }

    fn path_operation(
        &mut self,
        destination: &AccountId,
        (from, through, to): (Asset, Vec<Asset>, Asset),
        unfair: Option<()>,
    ) -> Operation {
        let destination = self.address_of(destination);
        let amount = self.rng.between(1, 30) * ONE / 10;
        let path: VecM<Asset, 5> = list(through);
        if self.rng.percent(60) {
            operation(OperationBody::PathPaymentStrictSend(PathPaymentStrictSendOp {
                send_asset: from,
                send_amount: amount,
                destination,
                dest_asset: to,
                dest_min: unfair.map_or(1, |()| TOO_MUCH),
                path,
            }))
        } else {
            operation(OperationBody::PathPaymentStrictReceive(PathPaymentStrictReceiveOp {
                send_asset: from,
                send_max: unfair.map_or(100_000 * ONE, |()| 1),
                destination,
                dest_asset: to,
                dest_amount: amount,
                path,
            }))
        }
    }
}
