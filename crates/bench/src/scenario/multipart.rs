//! How fast do long objects come in, in parts?
//!
//! Estimate: MD5 of every byte at 530 MB/s and SHA-256 at 350, on one core: 210 MB/s a core before HTTP and disk, so about
//! 250 MB/s on two cores that the client shares. Creating and completing cost three log entries an object: nothing.

use http::Method;

use super::{Bench, element, encoded, sized};
use crate::cli::MultipartArgs;
use crate::client::{Ask, Client, Payload};
use crate::drive::{Operation, drive};
use crate::error::BenchError;
use crate::report::{Report, Row};

pub(crate) async fn run(bench: &Bench, args: MultipartArgs, report: &mut Report) -> Result<(), BenchError> {
    if args.part == 0 || args.size == 0 {
        return Err(BenchError::Usage("an object and its parts have some bytes".to_owned()));
    }
    let last = args.size - (args.size - 1) / args.part * args.part;
    let upload = Upload {
        parts: args.size.div_ceil(args.part),
        full: Payload::noise(args.part.min(args.size)),
        last: Payload::noise(last),
    };
    let outcome = drive(&bench.target, &bench.server, args.clients, args.objects, upload).await?;
    let name = format!("multipart {} by {}", sized(args.size), sized(args.part));
    report.add(Row::new(name, args.clients, &outcome));
    let mut client = bench.client();
    for number in 0..args.objects {
        let path = bench.target.path(&key(number));
        let ask = Ask { method: Method::DELETE, path, query: String::new(), payload: Payload::empty() };
        client.send(&ask).await?;
    }
    Ok(())
}

fn key(number: u64) -> String {
    format!("multipart/{number:06}")
}

/// One object, from creating the upload to its completion.
struct Upload {
    parts: u64,
    full: Payload,
    last: Payload,
}

impl Operation for Upload {
    async fn run(&self, client: &mut Client, number: u64) -> Result<u64, BenchError> {
        let path = client.target().path(&key(number));
        let ask = |method, query: String, payload| Ask { method, path: path.clone(), query, payload };
        let created = client.fetch(&ask(Method::POST, "uploads=".to_owned(), Payload::empty())).await?;
        let created = String::from_utf8_lossy(&created);
        let id = element(&created, "UploadId").map(encoded);
        let id = id.ok_or_else(|| BenchError::Unexpected(format!("no upload id in {created}")))?;

        let mut complete = String::from("<CompleteMultipartUpload>");
        let mut bytes = 0;
        for part in 1..=self.parts {
            let payload = if part == self.parts { &self.last } else { &self.full };
            let query = format!("partNumber={part}&uploadId={id}");
            let answer = client.send(&ask(Method::PUT, query, payload.clone())).await?;
            let etag = answer.headers.get(http::header::ETAG).and_then(|etag| etag.to_str().ok()).unwrap_or_default();
            complete.push_str(&format!("<Part><PartNumber>{part}</PartNumber><ETag>{etag}</ETag></Part>"));
            bytes += payload.len();
        }
        complete.push_str("</CompleteMultipartUpload>");
        let answer = client.fetch(&ask(Method::POST, format!("uploadId={id}"), Payload::new(complete))).await?;
        // A completion can fail behind a 200.
        let answer = String::from_utf8_lossy(&answer);
        match element(&answer, "ETag") {
            Some(_) => Ok(bytes),
            None => Err(BenchError::Unexpected(format!("completing {path}: {answer}"))),
        }
    }
}
