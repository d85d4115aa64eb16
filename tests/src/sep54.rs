//! Writes ledgers as others write them: SEP-54 directories, and streams of record-marked ledgers.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use lake_core::RawLedger;

/// Objects per partition folder.
const PARTITION: u32 = 64_000;

/// A SEP-54 directory, with one ledger per object unless it says otherwise.
#[derive(Clone, Debug)]
pub struct Sep54 {
    path: PathBuf,
    per_object: u32,
}

impl Sep54 {
    /// Makes the directory and its `.config.json`.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn create(path: &Path, passphrase: &str) -> Self {
        Self::of_many(path, passphrase, 1)
    }

    /// Makes the directory and its `.config.json` for objects of this many ledgers.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn of_many(path: &Path, passphrase: &str, per_object: u32) -> Self {
        fs::create_dir_all(path).expect("a folder for ledgers can be made");
        let manifest = serde_json::json!({
            "networkPassphrase": passphrase,
            "version": "1.0",
            "compression": "zstd",
            "ledgersPerBatch": per_object,
            "batchesPerPartition": PARTITION,
        });
        fs::write(path.join(".config.json"), manifest.to_string()).expect("a manifest can be written");
        Self { path: path.to_owned(), per_object }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// File of the object that holds a ledger, by SEP-54's rule for keys.
    pub fn object(&self, seq: u32) -> PathBuf {
        let each = PARTITION * self.per_object;
        let start = seq - seq % each;
        let folder = format!("{:08X}--{start}-{}", u32::MAX - start, start + (each - 1));
        let first = seq - seq % self.per_object;
        let name = match self.per_object {
            1 => format!("{:08X}--{first}.xdr.zst", u32::MAX - first),
            many => format!("{:08X}--{first}-{}.xdr.zst", u32::MAX - first, first + (many - 1)),
        };
        self.path.join(folder).join(name)
    }

    /// Adds a ledger under its own name.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn add(&self, ledger: &RawLedger) {
        self.put(ledger.seq.get(), &Self::batch(ledger));
    }

    /// Puts XDR under the name of ledger `seq`, whatever it holds. The name appears when the file is whole.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn put(&self, seq: u32, xdr: &[u8]) {
        let packed = || {
            let mut encoder = zstd::Encoder::new(Vec::new(), 3)?;
            // As Galexie's encoder does: without it some bits of ledger metadata are under no hash at all.
            encoder.include_checksum(true)?;
            encoder.write_all(xdr)?;
            encoder.finish()
        };
        self.put_packed(seq, &packed().expect("bytes in memory can be compressed"));
    }

    /// Puts bytes under the name of ledger `seq` as they are.
    ///
    /// # Panics
    /// When they cannot be written.
    pub fn put_packed(&self, seq: u32, packed: &[u8]) {
        let path = self.object(seq);
        fs::create_dir_all(path.parent().expect("objects lie in partitions"))
            .expect("a partition can be made");
        let temporary = path.with_extension("tmp");
        fs::write(&temporary, packed).expect("a ledger can be written");
        fs::rename(&temporary, &path).expect("a ledger can be renamed");
    }

    /// The compressed bytes of a ledger's object.
    ///
    /// # Panics
    /// When they cannot be read.
    pub fn packed(&self, seq: u32) -> Vec<u8> {
        fs::read(self.object(seq)).expect("a ledger that was written can be read")
    }

    /// XDR of the batch that an object of one ledger holds.
    pub fn batch(ledger: &RawLedger) -> Vec<u8> {
        let seq = ledger.seq.get();
        Self::batch_of(seq, seq, std::slice::from_ref(ledger))
    }

    /// `LedgerCloseMetaBatch`: the first and last sequence that it names, and its ledgers, whatever they are.
    ///
    /// # Panics
    /// With more ledgers than XDR can count.
    pub fn batch_of(first: u32, last: u32, ledgers: &[RawLedger]) -> Vec<u8> {
        let count = u32::try_from(ledgers.len()).expect("a few");
        let mut xdr: Vec<u8> = [first, last, count].iter().flat_map(|n| n.to_be_bytes()).collect();
        ledgers.iter().for_each(|ledger| xdr.extend_from_slice(&ledger.xdr));
        xdr
    }
}

/// Writes ledgers as stellar-core writes them to its metadata stream.
///
/// # Panics
/// When it cannot be written.
pub fn write_records<'l>(out: &mut impl Write, ledgers: impl IntoIterator<Item = &'l RawLedger>) {
    for ledger in ledgers {
        let length = u32::try_from(ledger.xdr.len()).expect("a ledger is smaller than 2 GiB");
        out.write_all(&(length | 0x8000_0000).to_be_bytes()).expect("a record mark can be written");
        out.write_all(&ledger.xdr).expect("a record can be written");
    }
}
