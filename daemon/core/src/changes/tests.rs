//! Net changes of hand-made ledgers.
