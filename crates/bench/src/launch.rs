//! A server of our own, for the length of a measurement.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use crate::child::Started;
use crate::error::BenchError;

const START_TIMEOUT: Duration = Duration::from_secs(60);
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// `trioxide server` on a fresh folder. The folder goes when it stops well, and stays for a look when it does not.
#[derive(Debug)]
pub(crate) struct Launched {
    child: Started,
    folder: PathBuf,
    pub(crate) s3: String,
    pub(crate) admin: String,
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
}

impl Launched {
    pub(crate) async fn start(binary: &Path, data: &Path) -> Result<Self, BenchError> {
        let folder = data.join(format!("bench-{}", std::process::id()));
        let file_error = |attempt, path: &Path| {
            let path = path.to_owned();
            move |source| BenchError::File { attempt, path, source }
        };
        std::fs::create_dir_all(&folder).map_err(file_error("creating", &folder))?;
        let log_path = folder.join("server.log");
        let log = File::create(&log_path).map_err(file_error("creating", &log_path))?;
        let log_too = log.try_clone().map_err(file_error("opening", &log_path))?;
        let (s3, admin) = (free_address()?, free_address()?);
        // Known to nobody but this measurement, whose data go with it.
        let (access_key, secret_key) = ("TRIOXIDEBENCHACCESS1".to_owned(), "trioxide-bench-secret-key-of-40-letters1".to_owned());
        let mut command = Command::new(binary);
        command.arg("server").arg("--data").arg(folder.join("data"));
        command.args(["--s3-addr", &s3, "--admin-addr", &admin]);
        command.env("TRIOXIDE_ROOT_ACCESS_KEY", &access_key).env("TRIOXIDE_ROOT_SECRET_KEY", &secret_key);
        command.env("RUST_LOG", "warn").stdin(Stdio::null()).stdout(log).stderr(log_too);
        let child = Started::start(&mut command)?;
        let mut launched = Self { child, folder, s3, admin, access_key, secret_key };
        launched.wait_until_ready(&log_path).await?;
        Ok(launched)
    }

    async fn wait_until_ready(&mut self, log: &Path) -> Result<(), BenchError> {
        let give_up_at = Instant::now() + START_TIMEOUT;
        loop {
            if let Some(status) = self.child.ended()? {
                return Err(BenchError::Unexpected(format!("the server ended with {status}; see {}", log.display())));
            }
            if TcpStream::connect(&self.s3).await.is_ok() && is_ready(&self.admin).await {
                return Ok(());
            }
            if Instant::now() > give_up_at {
                return Err(BenchError::Unexpected(format!("the server is not ready; see {}", log.display())));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.pid()
    }

    pub(crate) async fn stop(mut self) -> Result<(), BenchError> {
        self.child.signal("TERM")?;
        match self.child.end_within(STOP_TIMEOUT).await? {
            Some(status) if status.success() => {
                let _ = std::fs::remove_dir_all(&self.folder);
                Ok(())
            }
            Some(status) => {
                let folder = self.folder.display();
                Err(BenchError::Unexpected(format!("the server ended with {status}; its folder is {folder}")))
            }
            None => Err(BenchError::Unexpected("the server did not stop on SIGTERM".to_owned())),
        }
    }
}

async fn is_ready(admin: &str) -> bool {
    let ask = async {
        let request = http::Request::get("/health/ready")
            .header(http::header::HOST, admin)
            .body(http_body_util::Full::new(bytes::Bytes::new()))?;
        let response = crate::client::connect(admin).await?.send_request(request).await?;
        Ok::<_, BenchError>(response.status().is_success())
    };
    ask.await.unwrap_or(false)
}

/// An address that nobody listens at now.
pub(crate) fn free_address() -> Result<String, BenchError> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(BenchError::io("finding a free port"))?;
    listener.local_addr().map(|address| address.to_string()).map_err(BenchError::io("finding a free port"))
}
