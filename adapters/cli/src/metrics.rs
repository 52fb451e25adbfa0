//! `--metrics ADDR`: this process's figures for Prometheus, while a command runs.
//!
//! Scrapers come now and then and want one page. Each is served by a task; a few at a time, each
//! for a short while, so that nobody who only holds a connection open costs anything.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aqueduct_tokio::Endpoint;
use aqueduct_tokio::metrics::prometheus_client::registry::Registry;
use aqueduct_tokio::metrics::{EndpointCollector, Format};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::exit::Failure;
use crate::output::Output;

/// Scrapers that are served at a time; more wait.
const SCRAPERS: usize = 16;
/// How long one may take for all that it asks.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one may take to say what it wants.
const ASKING: Duration = Duration::from_secs(5);
/// After an accept that failed, which says nothing about the next.
const PAUSE: Duration = Duration::from_millis(100);

/// The page, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Page {
    task: Option<JoinHandle<()>>,
}

impl Drop for Page {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Page {
    /// The figures of this process's one endpoint, if they are wanted.
    ///
    /// # Errors
    /// The address cannot be had.
    pub(crate) async fn open(
        addr: Option<SocketAddr>,
        endpoint: &Endpoint,
        output: &Output,
    ) -> Result<Self, Failure> {
        Self::of(addr, EndpointCollector::new(endpoint), output).await
    }

    /// What the collector finds.
    ///
    /// # Errors
    /// The address cannot be had.
    pub(crate) async fn of(
        addr: Option<SocketAddr>,
        figures: EndpointCollector,
        output: &Output,
    ) -> Result<Self, Failure> {
        let Some(addr) = addr else { return Ok(Self { task: None }) };
        let failed = |error| Failure::local(format_args!("metrics at {addr}"), &error);
        let listener = TcpListener::bind(addr).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        output.event("metrics", json!({"addr": bound.to_string()}));
        if !output.is_json() {
            output.note(&format!("metrics at http://{bound}/metrics"));
        }
        let mut registry = Registry::default();
        registry.register_collector(Box::new(figures));
        Ok(Self { task: Some(tokio::spawn(serve(listener, Arc::new(registry)))) })
    }
}

async fn serve(listener: TcpListener, registry: Arc<Registry>) {
    let places = Arc::new(Semaphore::new(SCRAPERS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, from)) => {
                let registry = Arc::clone(&registry);
                tokio::spawn(async move {
                    talk(stream, from, registry).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "a scraper did not get through");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn talk(stream: TcpStream, from: SocketAddr, registry: Arc<Registry>) {
    let service = service_fn(|request| {
        let answer = answer(&request, &registry);
        async move { Ok::<_, Infallible>(answer) }
    });
    let talk = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(ASKING)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(PATIENCE, talk).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%from, %error, "a scraper spoke no HTTP"),
        Err(_) => tracing::debug!(%from, "a scraper took too long"),
    }
}

fn answer(request: &Request<Incoming>, registry: &Registry) -> Response<Full<Bytes>> {
    if request.method() != Method::GET || request.uri().path() != "/metrics" {
        return plain(StatusCode::NOT_FOUND, "the figures are at /metrics\n".into());
    }
    let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
    let format = Format::accepted(accept);
    match format.write(registry) {
        Ok(text) => {
            let mut page = Response::new(Full::new(text.into()));
            let kind = HeaderValue::from_static(format.content_type());
            page.headers_mut().insert(CONTENT_TYPE, kind);
            page
        }
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "the figures have no form\n".into()),
    }
}

fn plain(status: StatusCode, text: Bytes) -> Response<Full<Bytes>> {
    let mut page = Response::new(Full::new(text));
    *page.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    page.headers_mut().insert(CONTENT_TYPE, kind);
    page
}
