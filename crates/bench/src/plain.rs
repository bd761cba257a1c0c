//! A plain hyper file server: what streaming a file costs at least, in the same language, over the same library.
//!
//! A process of its own, as the server that it is compared with is one, so that its CPU time can be told apart from the
//! client's. It reads 256 KiB at a time and knows nothing of checksums, keys or replicas.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, Stream};
use http::{Request, Response};
use http_body_util::StreamBody;
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use crate::child::Started;
use crate::error::BenchError;
use crate::launch::free_address;

const READ: usize = 256 * 1024;

pub(crate) async fn serve(listen: SocketAddr, file: &Path) -> Result<(), BenchError> {
    let listener = TcpListener::bind(listen).await.map_err(BenchError::io("listening"))?;
    let file: Arc<PathBuf> = Arc::new(file.to_owned());
    loop {
        let (tcp, _) = listener.accept().await.map_err(BenchError::io("accepting"))?;
        let _ = tcp.set_nodelay(true);
        let file = Arc::clone(&file);
        let service = service_fn(move |_: Request<Incoming>| answer(Arc::clone(&file)));
        tokio::spawn(async move {
            let _ = http1::Builder::new().serve_connection(TokioIo::new(tcp), service).await;
        });
    }
}

async fn answer(
    path: Arc<PathBuf>,
) -> Result<Response<StreamBody<impl Stream<Item = Result<Frame<Bytes>, std::io::Error>>>>, std::io::Error> {
    let file = File::open(&*path).await?;
    let length = file.metadata().await?.len();
    let chunks = stream::try_unfold(file, |mut file| async move {
        let mut chunk = BytesMut::with_capacity(READ);
        let read = file.read_buf(&mut chunk).await?;
        Ok((read > 0).then(|| (Frame::data(chunk.freeze()), file)))
    });
    let mut response = Response::new(StreamBody::new(chunks));
    response.headers_mut().insert(http::header::CONTENT_LENGTH, length.into());
    Ok(response)
}

/// The plain server, run as a child of this process.
#[derive(Debug)]
pub(crate) struct PlainServer {
    child: Started,
    pub(crate) host: String,
    file: PathBuf,
}

impl PlainServer {
    /// Serves so many bytes, from a file in `folder`.
    pub(crate) async fn start(folder: &Path, content: &[u8]) -> Result<Self, BenchError> {
        let file = folder.join(format!("bench-plain-{}", std::process::id()));
        let file_error = |attempt, path: &Path| {
            let path = path.to_owned();
            move |source| BenchError::File { attempt, path, source }
        };
        std::fs::create_dir_all(folder).map_err(file_error("creating", folder))?;
        std::fs::write(&file, content).map_err(file_error("writing", &file))?;
        let host = free_address()?;
        let this = std::env::current_exe().map_err(BenchError::io("finding this program"))?;
        let mut command = Command::new(this);
        command.args(["plain-server", "--listen", &host, "--file"]).arg(&file);
        let child = Started::start(command.stdin(Stdio::null()).stdout(Stdio::null()))?;
        for _ in 0..200 {
            if TcpStream::connect(&host).await.is_ok() {
                return Ok(Self { child, host, file });
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        Err(BenchError::Unexpected("the plain server does not answer".to_owned()))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.pid()
    }
}

impl Drop for PlainServer {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}
