//! Housekeeping of accounts: options, data, sequence numbers, new accounts, trustlines that come and go.

use stellar_xdr::{
    BumpSequenceOp, ChangeTrustOp, CreateAccountOp, DataValue, LedgerKey, LedgerKeyData, ManageDataOp,
    Operation, OperationBody, SequenceNumber, SetOptionsOp, SignerKey, String64, Uint256,
};

use super::{
    Planner, operation,
    setup::{add_signer, home},
};
use crate::{
    entries,
    entries::ONE,
    tx::{self, Plan},
};

impl Planner<'_> {
    /// One of the rarer operations.
    pub(super) fn misc(&mut self) -> Option<Plan> {
        let source = self.source()?;
        let operation = match self.rng.below(6) {
            0 => {
                let number = self.rng.below(1_000_000_000).to_be_bytes();
                let seed = self.world.seed.to_be_bytes();
                let key = tx::keyed(&[&seed, b"newcomer", &self.seq.to_be_bytes(), &number]);
                let starting_balance = self.rng.between(2, 20) * ONE;
                let destination = entries::account_id(key);
                operation(OperationBody::CreateAccount(CreateAccountOp { destination, starting_balance }))
            }
            1 => {
                let line = entries::line_of(&self.world.fashion);
                let open = self.state.trustline(&source, &line).is_some();
                let line = entries::change_of(&self.world.fashion);
                let limit = if open { 0 } else { 1_000 * ONE };
                operation(OperationBody::ChangeTrust(ChangeTrustOp { line, limit }))
            }
            2 => self.data(&source),
            3 => {
                // The transaction itself takes the next number.
                let now = self.state.account(&source)?.seq_num.0 + 1;
                let bump_to = SequenceNumber(now + self.rng.between(0, 50));
                operation(OperationBody::BumpSequence(BumpSequenceOp { bump_to }))
            }
            4 => {
                let domain = format!("home{}.example", self.rng.below(1000));
                let op = SetOptionsOp { home_domain: Some(home(&domain)), ..Default::default() };
                operation(OperationBody::SetOptions(op))
            }
            _ => self.signer(&source),
        };
        Some(self.from(&source, vec![operation]))
    }

    fn data(&mut self, source: &stellar_xdr::AccountId) -> Operation {
        let name = format!("note {}", self.rng.below(3));
        let data_name =
            String64(name.as_bytes().to_vec().try_into().expect("the name has fewer than 64 bytes"));
        let key = LedgerKeyData { account_id: source.clone(), data_name: data_name.clone() };
        let exists = self.state.has(&LedgerKey::Data(key));
        let value = self.rng.bytes32().to_vec().try_into().expect("32 bytes fit a data value");
        let data_value = (!exists || self.rng.percent(60)).then_some(DataValue(value));
        operation(OperationBody::ManageData(ManageDataOp { data_name, data_value }))
    }

    fn signer(&mut self, source: &stellar_xdr::AccountId) -> Operation {
        let number = 40 + self.rng.below(2);
        let key = tx::keyed(&[&entries::key_bytes(source), b"signer", &number.to_be_bytes()]);
        let key = SignerKey::Ed25519(Uint256(key));
        let there =
            self.state.account(source).is_some_and(|a| a.signers.iter().any(|signer| signer.key == key));
        operation(add_signer(source, number, u32::from(!there)))
    }
}
