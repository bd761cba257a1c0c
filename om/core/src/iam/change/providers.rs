//! Identity providers that vouch for users whom the account does not know.

use types::{IamError, IamErrorCode, IamValue};

use super::{Ground, limit};
use crate::iam::find::{self, Trouble, missing};
use crate::iam::names::{Kind, arn, split_arn};
use crate::rows::{self, OidcProviderRow, named};
use crate::tables::OIDC_PROVIDERS;

const MOST_CLIENTS: usize = 100;

impl Ground<'_> {
    pub(super) fn create_provider(
        &mut self,
        url: String,
        clients: Vec<String>,
        thumbprints: Vec<String>,
    ) -> Result<IamValue, Trouble> {
        if find::provider(self.tables(), &self.account.id, &url)?.is_some() {
            return Err(
                IamError::new(IamErrorCode::EntityAlreadyExists, format!("Provider with url {url} already exists.")).into()
            );
        }
        let arn = arn(&self.account, Kind::OidcProvider, "/", &url);
        self.put_provider(&OidcProviderRow { url, clients, thumbprints, created: self.now });
        Ok(IamValue::field("OpenIDConnectProviderArn", arn))
    }

    fn put_provider(&mut self, row: &OidcProviderRow) {
        rows::put(self.tables, OIDC_PROVIDERS, &named(&self.account.id, &row.url), row);
    }

    pub(super) fn delete_provider(&mut self, arn: &str) -> Result<IamValue, Trouble> {
        // Of one that is gone already it says so, and does not fail: so IAM does.
        if let Some(url) = self.provider_url(arn) {
            self.tables.delete(OIDC_PROVIDERS, &named(&self.account.id, &url));
        }
        Ok(IamValue::empty())
    }

    fn provider_url(&self, arn: &str) -> Option<String> {
        provider_url(&self.account.account_id(), arn)
    }

    fn provider(&self, arn: &str) -> Result<OidcProviderRow, Trouble> {
        let url = self.provider_url(arn).ok_or_else(|| missing("identity provider", arn))?;
        find::provider(self.tables(), &self.account.id, &url)?.ok_or_else(|| missing("identity provider", arn))
    }

    pub(super) fn set_client(&mut self, arn: &str, client: String, is_there: bool) -> Result<IamValue, Trouble> {
        let mut row = self.provider(arn)?;
        let is_known = row.clients.contains(&client);
        match (is_there, is_known) {
            (true, false) if row.clients.len() >= MOST_CLIENTS => {
                return Err(limit(format!("Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: {MOST_CLIENTS}")));
            }
            (true, false) => row.clients.push(client),
            (false, true) => row.clients.retain(|known| *known != client),
            (true, true) | (false, false) => return Ok(IamValue::empty()),
        }
        self.put_provider(&row);
        Ok(IamValue::empty())
    }

    pub(super) fn set_thumbprints(&mut self, arn: &str, thumbprints: Vec<String>) -> Result<IamValue, Trouble> {
        let row = OidcProviderRow { thumbprints, ..self.provider(arn)? };
        self.put_provider(&row);
        Ok(IamValue::empty())
    }
}

/// Of an ARN of the account's: `host/path`.
pub(in crate::iam) fn provider_url(account: &str, arn: &str) -> Option<String> {
    let (of, path, name) = split_arn(arn, Kind::OidcProvider)?;
    (of == account).then(|| format!("{}{name}", path.trim_start_matches('/')))
}
