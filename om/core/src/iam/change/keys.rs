//! Access keys of users, and of the account itself.

use types::{IamError, IamErrorCode, IamValue};

use super::{Ground, limit};
use crate::commands::{SealedPair, access_keys};
use crate::iam::find::{Trouble, existing, missing};
use crate::iam::show;
use crate::namespace;
use crate::rows::{self, AccessKeyId, AccessKeyRow, IamUserRow, PairOrigin, RevokedKeyRow, access_key_of_user, iam_access_key};
use crate::tables::{ACCESS_KEYS, IAM_ACCESS_KEYS, KEY_USES, REVOKED_KEYS, USER_ACCESS_KEYS};

const MOST_KEYS: usize = 2;

impl Ground<'_> {
    /// The user's name as it is written.
    fn holder(&self, user: Option<&str>) -> Result<Option<String>, Trouble> {
        let row = user.map(|name| existing::<IamUserRow>(self.tables(), &self.account.id, name)).transpose()?;
        Ok(row.map(|row| row.name))
    }

    fn held(&self, user: Option<&str>) -> Result<Vec<AccessKeyId>, Trouble> {
        match user {
            Some(name) => self.keys_of(name),
            None => Ok(access_keys(self.tables(), &self.account.id)?),
        }
    }

    fn key(&self, user: Option<&str>, key: &AccessKeyId) -> Result<AccessKeyRow, Trouble> {
        self.holder(user)?;
        let row = namespace::access_key(self.tables(), key)?;
        let is_theirs = |row: &AccessKeyRow| row.user == self.account.id && row.holder == user.map(str::to_ascii_lowercase);
        row.filter(is_theirs).ok_or_else(|| missing("Access Key", &key.0))
    }

    pub(super) fn create_key(&mut self, user: Option<String>, pair: SealedPair) -> Result<IamValue, Trouble> {
        let user = user.as_deref();
        let name = self.holder(user)?;
        if self.held(user)?.len() >= MOST_KEYS {
            return Err(limit(format!("Cannot exceed quota for AccessKeysPerUser: {MOST_KEYS}")));
        }
        let is_known = namespace::access_key(self.tables(), &pair.access_key)?.is_some();
        if is_known || namespace::is_revoked(self.tables(), &pair.access_key)? {
            return Err(IamError::new(IamErrorCode::EntityAlreadyExists, "the access key exists, or once did").into());
        }
        let SealedPair { access_key, sealed, secret_version } = pair;
        let row = AccessKeyRow {
            user: self.account.id.clone(),
            sealed,
            secret_version,
            created: self.now,
            origin: None,
            holder: user.map(str::to_ascii_lowercase),
            is_inactive: None,
        };
        rows::put(self.tables, ACCESS_KEYS, access_key.0.as_bytes(), &row);
        match user {
            Some(user) => self.tables.put(IAM_ACCESS_KEYS, &iam_access_key(&self.account.id, user, &access_key), Vec::new()),
            None => self.tables.put(USER_ACCESS_KEYS, &access_key_of_user(&self.account.id, &access_key), Vec::new()),
        }
        Ok(IamValue::field("AccessKey", show::access_key(name.as_deref(), &access_key, &row)))
    }

    pub(super) fn ensure_key(&mut self, user: &str, pair: SealedPair) -> Result<IamValue, Trouble> {
        self.holder(Some(user))?;
        let lower = user.to_ascii_lowercase();
        let known = namespace::access_key(self.tables(), &pair.access_key)?;
        if known.as_ref().is_some_and(|row| row.user != self.account.id || row.holder.as_deref() != Some(lower.as_str())) {
            return Err(IamError::new(IamErrorCode::EntityAlreadyExists, "the access key belongs to somebody else").into());
        }
        if namespace::is_revoked(self.tables(), &pair.access_key)? {
            return Ok(IamValue::empty());
        }
        let (mut given, mut others) = (Vec::new(), 0);
        for key in self.keys_of(user)?.into_iter().filter(|key| *key != pair.access_key) {
            let origin = namespace::access_key(self.tables(), &key)?.and_then(|row| row.origin);
            if origin == Some(PairOrigin::Configuration) { given.push(key) } else { others += 1 }
        }
        if others >= MOST_KEYS {
            return Err(limit(format!("Cannot exceed quota for AccessKeysPerUser: {MOST_KEYS}")));
        }
        // A file of before does not bring them back: they may have been replaced because others knew them.
        for key in given {
            self.tables.delete(ACCESS_KEYS, key.0.as_bytes());
            self.tables.delete(KEY_USES, key.0.as_bytes());
            self.tables.delete(IAM_ACCESS_KEYS, &iam_access_key(&self.account.id, user, &key));
            let revoked = RevokedKeyRow { user: self.account.id.clone(), revoked: self.now };
            rows::put(self.tables, REVOKED_KEYS, key.0.as_bytes(), &revoked);
        }
        let SealedPair { access_key, sealed, secret_version } = pair;
        let row = AccessKeyRow {
            user: self.account.id.clone(),
            sealed,
            secret_version,
            created: known.as_ref().map_or(self.now, |row| row.created),
            origin: Some(PairOrigin::Configuration),
            holder: Some(lower),
            // Who disabled it did not mean one secret of it.
            is_inactive: known.and_then(|row| row.is_inactive),
        };
        rows::put(self.tables, ACCESS_KEYS, access_key.0.as_bytes(), &row);
        self.tables.put(IAM_ACCESS_KEYS, &iam_access_key(&self.account.id, user, &access_key), Vec::new());
        Ok(IamValue::empty())
    }

    pub(super) fn set_key_status(&mut self, user: Option<&str>, key: &AccessKeyId, is_active: bool) -> Result<IamValue, Trouble> {
        let row = self.key(user, key)?;
        let row = AccessKeyRow { is_inactive: (!is_active).then_some(true), ..row };
        rows::put(self.tables, ACCESS_KEYS, key.0.as_bytes(), &row);
        Ok(IamValue::empty())
    }

    pub(super) fn delete_key(&mut self, user: Option<&str>, key: &AccessKeyId) -> Result<IamValue, Trouble> {
        self.key(user, key)?;
        self.tables.delete(ACCESS_KEYS, key.0.as_bytes());
        self.tables.delete(KEY_USES, key.0.as_bytes());
        match user {
            Some(user) => self.tables.delete(IAM_ACCESS_KEYS, &iam_access_key(&self.account.id, user, key)),
            None => self.tables.delete(USER_ACCESS_KEYS, &access_key_of_user(&self.account.id, key)),
        }
        // A configuration that names the pair does not bring it back.
        let revoked = RevokedKeyRow { user: self.account.id.clone(), revoked: self.now };
        rows::put(self.tables, REVOKED_KEYS, key.0.as_bytes(), &revoked);
        Ok(IamValue::empty())
    }
}
