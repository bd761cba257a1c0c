//! What the first leader decided once, for as long as the cluster lives.

use minicbor::{Decode, Encode};
use tables::{ReadTables, StorageFault, WriteTables, decode, encode};
use types::{ClusterId, Timestamp};

use super::META;

const KEY: &[u8] = b"cluster";

/// `meta / "cluster"`. Absent until the first leader has initialised the cluster; never changed afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ClusterRow {
    #[n(0)]
    pub id: ClusterId,
    #[n(1)]
    pub created: Timestamp,
    /// Who signs the certificates of this cluster's processes; none in a single process, which has nobody to prove itself to.
    #[n(2)]
    pub authority: Option<Authority>,
}

/// The certificate authority, key and certificate, sealed under a key that is not in these tables: who reads an SCM's disk
/// cannot sign.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct Authority {
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub sealed: Vec<u8>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority(sealed)")
    }
}

impl ClusterRow {
    pub fn read(tables: &(impl ReadTables + ?Sized)) -> Result<Option<Self>, StorageFault> {
        tables.get(META, KEY)?.map(|bytes| decode(&bytes, "cluster")).transpose()
    }

    pub(crate) fn write(&self, tables: &mut (impl WriteTables + ?Sized)) {
        tables.put(META, KEY, encode(self));
    }
}
