//! The scenarios, one a file, and the suite of all of them.

mod delete;
mod get;
mod head;
mod list;
mod multipart;
mod objects;
mod pages;
mod put;
mod stream;

use std::path::PathBuf;
use std::sync::Arc;

use crate::cli::{Cli, Command, LoadArgs, MultipartArgs, PagesArgs, StreamArgs, SuiteArgs};
use crate::client::{Client, Target};
use crate::cost::Server;
use crate::error::BenchError;
use crate::launch::Launched;
use crate::report::Report;
use crate::sign::Keys;
use objects::Objects;

/// What every scenario works with.
#[derive(Debug)]
pub(crate) struct Bench {
    target: Arc<Target>,
    server: Server,
    /// For files of our own.
    folder: PathBuf,
}

impl Bench {
    pub(crate) fn new(cli: &Cli, launched: Option<&Launched>) -> Result<Self, BenchError> {
        let args = &cli.target;
        let region = args.region.clone();
        let (host, keys, server) = match launched {
            Some(launched) => {
                let keys = Keys { access: launched.access_key.clone(), secret: launched.secret_key.clone(), region };
                let metrics = vec![format!("http://{}/metrics", launched.admin)];
                (launched.s3.clone(), keys, Server { pids: vec![launched.pid()], metrics, strace: args.strace })
            }
            None => {
                let missing = || BenchError::Usage("--access-key and --secret-key are needed, or --server".to_owned());
                let access = args.access_key.clone().ok_or_else(missing)?;
                let secret = args.secret_key.clone().ok_or_else(missing)?;
                let host = args.endpoint.strip_prefix("http://").map(|host| host.trim_end_matches('/'));
                let host = host.ok_or_else(|| BenchError::Usage("the endpoint is not an http:// URL".to_owned()))?;
                let host = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
                let (pids, metrics) = (args.server_pid.clone(), args.metrics_url.clone());
                (host, Keys { access, secret, region }, Server { pids, metrics, strace: args.strace })
            }
        };
        let target = Arc::new(Target { host, bucket: args.bucket.clone(), keys });
        Ok(Self { target, server, folder: args.data.clone() })
    }

    pub(crate) fn describe(&self) -> String {
        format!("http://{}/{}", self.target.host, self.target.bucket)
    }

    fn client(&self) -> Client {
        Client::new(Arc::clone(&self.target))
    }
}

pub(crate) async fn run(bench: &Bench, command: Command, report: &mut Report) -> Result<(), BenchError> {
    bench.client().ensure_bucket().await?;
    match command {
        Command::Suite(args) => suite(bench, args, report).await,
        Command::Put(args) => put::run(bench, args, report).await.map(|_| ()),
        Command::Get(args) => {
            let objects = Objects::write(bench, "get", args.size, args.requests.min(5000), args.clients).await?;
            get::run(bench, args, &objects, report).await
        }
        Command::Head(args) => {
            let objects = Objects::write(bench, "head", args.size, args.requests.min(5000), args.clients).await?;
            head::run(bench, args, &objects, report).await
        }
        Command::List(args) => {
            let objects = Objects::write(bench, "list", args.size, 5000, args.clients).await?;
            list::run(bench, args, &objects, report).await
        }
        Command::Delete(args) => {
            let objects = Objects::write(bench, "delete", args.size, args.requests, args.clients).await?;
            delete::run(bench, args, &objects, report).await
        }
        Command::Multipart(args) => multipart::run(bench, args, report).await,
        Command::Stream(args) => stream::run(bench, args, report).await,
        Command::Pages(args) => pages::run(bench, args, report).await,
        Command::PlainServer { .. } => Ok(()),
    }
}

/// The figures that a release is judged by, from one server, in one run.
async fn suite(bench: &Bench, args: SuiteArgs, report: &mut Report) -> Result<(), BenchError> {
    const MIB: u64 = 1 << 20;
    let small = LoadArgs { size: 4096, clients: args.clients, requests: args.requests };
    let objects = put::run(bench, small, report).await?;
    get::run(bench, small, &objects, report).await?;
    head::run(bench, small, &objects, report).await?;
    let pages = LoadArgs { requests: (args.requests / 20).max(100), ..small };
    list::run(bench, LoadArgs { clients: 8, ..pages }, &objects, report).await?;
    delete::run(bench, small, &objects, report).await?;
    let medium = LoadArgs { size: MIB, clients: 8, requests: (args.requests / 20).max(100) };
    let objects = put::run(bench, medium, report).await?;
    get::run(bench, medium, &objects, report).await?;
    delete::run(bench, medium, &objects, report).await?;
    multipart::run(bench, MultipartArgs { size: 64 * MIB, part: 8 * MIB, clients: 4, objects: 16 }, report).await?;
    for clients in [1, 4] {
        stream::run(bench, StreamArgs { size: 64 * MIB, clients, requests: 20 }, report).await?;
    }
    pages::run(bench, PagesArgs { keys: args.keys, prefixes: 10, clients: args.clients }, report).await
}

/// A size as people say it.
fn sized(bytes: u64) -> String {
    match bytes {
        _ if bytes >= 1 << 30 && bytes.is_multiple_of(1 << 30) => format!("{} GiB", bytes >> 30),
        _ if bytes >= 1 << 20 && bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        _ if bytes >= 1 << 10 && bytes.is_multiple_of(1 << 10) => format!("{} KiB", bytes >> 10),
        _ => format!("{bytes} B"),
    }
}

/// Text as it stands in a canonical query.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// What stands between the first `<name>` and its end.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, behind) = xml.split_once(&format!("<{name}>"))?;
    behind.split_once(&format!("</{name}>")).map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_encoded_as_signatures_want_them() {
        assert_eq!(encoded("a/b c+d=~é"), "a%2Fb%20c%2Bd%3D~%C3%A9");
    }

    #[test]
    fn an_element_is_found_by_its_whole_name() {
        let xml = "<R><KeyCount>2</KeyCount><Key>a</Key></R>";
        assert_eq!(element(xml, "Key"), Some("a"));
        assert_eq!(element(xml, "KeyCount"), Some("2"));
        assert_eq!(element(xml, "Prefix"), None);
    }

    #[test]
    fn sizes_are_said_in_the_largest_whole_unit() {
        assert_eq!([sized(5), sized(4096), sized(3 << 20), sized(1 << 30)], ["5 B", "4 KiB", "3 MiB", "1 GiB"]);
    }
}
